//! `bascule plan`.

use std::process::ExitCode;

use bascule_core::id::RegionName;
use bascule_core::plan::Kind;
use bascule_core::planner::{self, Assessment, Request};
use bascule_engine::world::World;
use clap::{Args as ClapArgs, Subcommand};

use crate::cmd::{block_on, operate, print, print_json};
use crate::site::Site;
use crate::{exit, render, wiring};

/// Arguments of `plan`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Print the assessment as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Planned move; nothing is lost
    Switchover {
        /// The region to move to
        #[arg(long)]
        to: RegionName,
    },
    /// Move away from a region that is gone
    Failover {
        /// The region to move to
        #[arg(long)]
        to: RegionName,
        /// Loss that would be accepted, e.g. 30s
        #[arg(long, value_parser = crate::cmd::operate::parse_duration)]
        accept_data_loss: Option<std::time::Duration>,
    },
    /// Make a returned region the standby
    Reinstate {
        /// The region that returned
        #[arg(long, alias = "region")]
        to: RegionName,
        /// Give up what only it has and can't be saved
        #[arg(long)]
        accept_unsaved: bool,
    },
}

/// Operations whose pauses a prediction looks at.
const LOOK_BACK: u32 = 20;

/// Assess a request against the world as it is.
pub async fn assess(site: &Site, world: &World, mut request: Request) -> anyhow::Result<Assessment> {
    for (header, open) in world.journals.list(LOOK_BACK).await? {
        if header.plan.kind == request.kind && !open {
            let journal = world.journals.read(&header.id).await?;
            let report = bascule_engine::report::report(&journal)?;
            if report.outcome == Some(bascule_core::operation::Outcome::Succeeded) {
                request.measured_pauses_ms.extend(report.hold_us.map(|us| us / 1000));
            }
        }
    }
    let seen = bascule_engine::observer::observe(world).await;
    Ok(planner::plan(&site.manifest, &seen, &request))
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let request = match &args.what {
        What::Switchover { to } => operate::request(Kind::Switchover, to, None),
        What::Failover { to, accept_data_loss } => operate::request(Kind::Failover, to, *accept_data_loss),
        What::Reinstate { to, accept_unsaved } => {
            Request { accept_unsaved: *accept_unsaved, ..operate::request(Kind::Reinstate, to, None) }
        }
    };
    block_on(async {
        let world = wiring::world(site)?;
        let assessment = assess(site, &world, request).await?;
        if args.json {
            print_json(&assessment)?;
        } else {
            print(&render::assessment(&assessment));
        }
        Ok(if assessment.runnable().is_some() { ExitCode::SUCCESS } else { ExitCode::from(exit::REFUSED) })
    })
}
