//! The one binary, `bascule`. Thin: it reads the arguments and hands them to one file a command.

mod cmd;
mod exit;
mod render;
mod site;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

/// Moves a whole application from one region to another and back, without losing data, and proves
/// beforehand that it can.
#[derive(Debug, Parser)]
#[command(name = "bascule", version, after_help = exit::HELP)]
struct Cli {
    /// The site's manifest.
    #[arg(short, long, global = true, env = "BASCULE_MANIFEST", default_value = "bascule.toml")]
    manifest: std::path::PathBuf,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BASCULE_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .init();
    let cli = Cli::parse();
    match cmd::run(cli.command, &cli.manifest) {
        Ok(code) => code,
        Err(error) => exit::explain(&error),
    }
}
