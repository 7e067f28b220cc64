//! `bascule pause`: nothing moves by itself until it is taken off.

use std::process::ExitCode;

use bascule_core::vantage::Pause;
use clap::Args as ClapArgs;

use crate::cmd::{block_on, print};
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `pause`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Why; whoever is called out at night reads it
    #[arg(required_unless_present = "off", conflicts_with = "off")]
    why: Option<String>,
    /// Who
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    /// Let the site move by itself again
    #[arg(long)]
    off: bool,
}

/// Longest reason kept: a sentence, and no log file.
const WHY_MAX: usize = 500;

/// Why somebody does something that others have to understand later.
pub fn reason(why: Option<&str>, off: bool, example: &str) -> Result<String, exit::Usage> {
    let why = why.unwrap_or_default().trim();
    if !off && (why.is_empty() || why.len() > WHY_MAX) {
        let text = format!("say why in 1 to {WHY_MAX} bytes, e.g. `bascule {example}`");
        return Err(exit::Usage(text));
    }
    Ok(why.to_owned())
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let why = reason(args.why.as_deref(), args.off, "pause \"schema migration\"")?;
    block_on(async {
        let world = wiring::world(site)?;
        let before = world.places.pause().await?;
        if args.off {
            world.places.set_pause(None).await?;
            let was = before
                .map_or("it was not paused".to_owned(), |p| format!("{} had paused it: {}", p.by, p.why));
            print(&format!("{}: may move by itself again ({was})\n", site.manifest.site));
        } else {
            let pause = Pause { by: args.by.clone(), why, since: world.clock.now() };
            world.places.set_pause(Some(&pause)).await?;
            print(&format!(
                "{}: nothing moves by itself until `bascule pause --off`; a person can still move it\n",
                site.manifest.site
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}
