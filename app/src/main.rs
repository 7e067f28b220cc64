//! `events-app`: reads the environment, listens, serves until SIGTERM or SIGINT.
//!
//! Exit codes: 0 after a graceful end, 1 when it could not serve, 2 when the configuration is wrong.

use std::process::ExitCode;

use events_app::{App, config::Config, names::System, server};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,tokio_postgres=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();

    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("events-app: {error}");
            return ExitCode::from(2);
        }
    };
    let served = async {
        let app = App::new(&config, System::new(&config.database_host))?;
        server::run(config.listen, app).await
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}
