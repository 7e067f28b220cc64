//! `bascule release`: the active region lets go, although its keepers could renew.
//!
//! For a region that can't serve its users and is not lost either: while its keepers renew, nobody may take over. The
//! store itself refuses renewals from then on, so both keepers stop, and a restarted one does not begin again.

use std::process::ExitCode;

use bascule_core::tenure::{Event, Release};
use clap::Args as ClapArgs;

use crate::cmd::{block_on, print};
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `release`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Why; whoever is called out at night reads it
    #[arg(required_unless_present = "off", conflicts_with = "off")]
    why: Option<String>,
    /// Who
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    /// Have the region renew again
    #[arg(long)]
    off: bool,
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let Some(policy) = &site.manifest.automatic else {
        let text =
            "the manifest has no [automatic] section: nobody renews here, so there is nothing to let go of";
        return Err(exit::Usage(text.to_owned()).into());
    };
    let why = crate::cmd::pause::reason(args.why.as_deref(), args.off, "release \"its database is dead\"")?;
    block_on(async {
        let world = wiring::world(site)?;
        let tenure = world.tenures.tenure().await?;
        let tenure = tenure.ok_or_else(|| exit::Usage("the site has not been founded".to_owned()))?;
        let (active, epoch) = (&tenure.active, tenure.epoch);
        let other = site.manifest.other(active);
        if args.off {
            let Some(release) = tenure.released else {
                print(&format!("{active} renews: it had not let go\n"));
                return Ok(ExitCode::SUCCESS);
            };
            let was = format!("{} had let it go: {}", release.by, release.why);
            let kept = world.tenures.advance(Event::Kept { epoch, release }).await?;
            if let Some(newer) = kept.released {
                let text = format!(
                    "{} has let {active} go meanwhile: {}; `bascule release --off` takes that back",
                    newer.by, newer.why
                );
                return Err(exit::Usage(text).into());
            }
            print(&format!("{active} renews again ({was})\n"));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(release) = tenure.released.as_ref().filter(|release| !release.for_a_while) {
            print(&format!("{active} has let go already: {}, {}: {}\n", release.by, release.at, release.why));
            return Ok(ExitCode::SUCCESS);
        }
        let release = Release { by: args.by.clone(), why, at: world.clock.now(), for_a_while: false };
        world.tenures.advance(Event::Released { epoch, release }).await?;
        print(&format!(
            "{active} lets go: its users can write for {} ms more at most.\n\
             Next: `bascule failover --to {other}`, or `bascule release --off` to have it back. In mode automatic the \
             keepers of {other} take over if nothing forbids it, see `bascule explain`.\n",
            policy.ttl.as_millis() + policy.timing().reaction.as_millis()
        ));
        Ok(ExitCode::SUCCESS)
    })
}
