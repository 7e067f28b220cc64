//! The one binary, `bascule`. Thin: it reads the arguments and hands them to one file a command.

mod cmd;
mod exit;
mod papers;
mod past;
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
    /// Where operations leave their reports, and the writes that they set aside; `reports` beside the manifest if not given.
    #[arg(long, global = true, env = "BASCULE_REPORTS", value_name = "FOLDER")]
    reports: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let daemon = matches!(cli.command, cmd::Command::Keeper(_));
    let usual = if daemon { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BASCULE_LOG").unwrap_or_else(|_| usual.into());
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // A daemon's log is read by programs first.
    if daemon {
        log.json().init()
    } else {
        log.init()
    }
    match cmd::run(cli.command, &cli.manifest, cli.reports.as_deref()) {
        Ok(code) => code,
        Err(error) => exit::explain(&error),
    }
}
