//! `bascule status`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::cmd::{block_on, explain, print, print_json};
use crate::render;
use crate::site::Site;
use crate::wiring;

/// Arguments of `status`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Print the observation as JSON
    #[arg(long)]
    json: bool,
    /// Look again every second until interrupted
    #[arg(long)]
    watch: bool,
}

/// Between two looks of `--watch`: one look at a dead region takes about as long.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        loop {
            if args.json {
                print_json(&bascule_engine::observer::observe(&world).await)?;
            } else {
                let (seen, explanation) = explain::look(&world, &site.manifest).await;
                if args.watch {
                    print("\x1b[H\x1b[2J");
                }
                print(&render::status(&site.manifest, &seen));
                // Where it is not known who is active the table has said so.
                if let Ok(explanation) = explanation {
                    print(&format!("{explanation}\n"));
                }
            }
            if !args.watch {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::select! {
                () = tokio::time::sleep(WATCH_EVERY) => {}
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    })
}
