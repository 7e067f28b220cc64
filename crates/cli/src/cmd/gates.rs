//! `bascule found`, `bascule open` and `bascule guard`: the gates, the tenure they follow, and whose word commits need.
//!
//! Invariant: what is set in each region is tried in every one, whatever becomes of the others: the usual reason for
//! these commands is that one of them is lost.

use std::process::ExitCode;

use std::time::Duration;

use anyhow::bail;
use bascule_core::id::RegionName;
use bascule_core::observation::{GateState, LastMove};
use bascule_core::plan::Kind;
use bascule_core::ports::PortError;
use bascule_core::tenure::{Event, Tenure};
use bascule_engine::world::World;
use bascule_providers::patroni::Lacks;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::cmd::{block_on, operate, print};
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `found`.
#[derive(Debug, Args)]
pub struct FoundArgs {}

/// Arguments of `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {}

/// `bascule found`: the home region becomes active in epoch 1. Founded already: says so, changes nothing.
pub fn found(site: &Site, _: &FoundArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        if let Some(Tenure { active, since, epoch, .. }) = world.tenures.tenure().await? {
            print(&format!(
                "nothing was changed, since the site is founded: {active} is active since {since} (epoch {epoch}); \
                 `bascule open` sets the gates to that\n"
            ));
            return Ok(ExitCode::SUCCESS);
        }
        let event = Event::Founded { active: site.manifest.home.clone(), at: world.clock.now() };
        world.tenures.advance(event).await?;
        set_gates(&world).await
    })
}

/// `bascule open`: after a load balancer was restarted its gate is closed; this opens it if it may be. Where the move that
/// made the region active was abandoned, and the region is back, it finishes that move.
pub fn open(site: &Site, _: &OpenArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        let Some(tenure) = world.tenures.tenure().await? else { return set_gates(&world).await };
        let last_move = bascule_engine::observer::last_move(&world, &tenure).await?;
        let open = bascule_engine::observer::open_operation(&world).await?;
        match (last_move, open) {
            // Its region is back: a gate alone would not make it serve.
            (LastMove::Unfinished { .. }, None) => {
                operate::await_leader(&world, &tenure.active).await;
                let request = operate::request(Kind::Restore, &tenure.active, None);
                operate::start(site, request, &operate::RunArgs::default()).await
            }
            (LastMove::Unfinished { .. } | LastMove::Finished, _) => set_gates(&world).await,
        }
    })
}

/// Arguments of `guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Let commits go through without a keeper's permit again
    #[arg(long)]
    off: bool,
}

/// How long the keepers of the active region may take to open after the site was founded: a renewal and a half.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// `bascule guard`: from here on no commit is acknowledged without a keeper's permit, in neither region.
pub fn guard(site: &Site, args: &GuardArgs) -> anyhow::Result<ExitCode> {
    if args.off {
        return block_on(set_permits(site, false));
    }
    if site.manifest.automatic.is_none() {
        let text =
            "the manifest has no [automatic] section: without keepers every commit would wait for ever";
        return Err(exit::Usage(text.to_owned()).into());
    }
    block_on(async {
        let Some(tenure) = wiring::world(site)?.tenures.tenure().await? else {
            return Err(exit::Usage("the site has not been founded: `bascule found`".to_owned()).into());
        };
        await_open(site, &tenure.active).await?;
        set_permits(site, true).await
    })
}

/// Have commits need a permit, or none, in every region that can be reached, and see that they do.
async fn set_permits(site: &Site, required: bool) -> anyhow::Result<ExitCode> {
    let (need, command) =
        if required { ("need", "bascule guard") } else { ("need not", "bascule guard --off") };
    let mut missed = Vec::new();
    for name in site.manifest.regions.keys() {
        let cluster = match wiring::cluster(site, name) {
            Ok(cluster) => cluster,
            Err(error) => {
                missed.push(name.as_str());
                eprintln!("{name}: nothing was changed: {error:#}");
                continue;
            }
        };
        match cluster.require_permits(required).await {
            Ok(()) => {
                let (lacking, waited) = cluster.await_permits(required).await;
                if lacking.is_empty() {
                    print(&format!("{name}: commits {need} a keeper's permit\n"));
                    continue;
                }
                missed.push(name.as_str());
                eprintln!("{name}: its cluster manager was told that commits {need} a keeper's permit, but");
                lacking.iter().for_each(|one| eprintln!("{}", lacks(one, waited)));
            }
            Err(PortError::Refused(why)) => {
                missed.push(name.as_str());
                eprintln!("{name}: nothing was changed: {why}");
            }
            Err(PortError::Unknown(why)) => {
                missed.push(name.as_str());
                eprintln!("{name}: unknown whether commits {need} a keeper's permit: {why}");
            }
        }
    }
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("not done in {}: `{command}` again once it can be reached", missed.join(" and "));
}

/// What a member shows instead, and what to do.
fn lacks(one: &Lacks, waited: Duration) -> String {
    let member = &one.member;
    match &one.shows {
        Ok(names) => format!(
            "  {member} shows synchronous_standby_names = '{names}' after {} ms: its manager may own the setting \
             (synchronous_mode), or be paused, or the server has it from another file",
            waited.as_millis()
        ),
        Err(why) => format!("  what {member} shows is unknown: {why}"),
    }
}

/// Without an open keeper every commit would wait from the next moment on.
async fn await_open(site: &Site, active: &RegionName) -> anyhow::Result<()> {
    let keepers = site.manifest.region(active).map(|region| &region.keepers[..]).unwrap_or_default();
    let http = bascule_providers::patroni::http_client()?;
    let deadline = Instant::now() + OPEN_WITHIN;
    loop {
        for keeper in keepers {
            let answer = http.get(format!("http://{}/gate/db", keeper.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            let text = format!(
                "no keeper of {active} holds its gate open, and commits would wait for one: start \
                 `bascule keeper --region {active} --name …` first"
            );
            return Err(exit::Usage(text).into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Set every gate that can be reached to what the tenure says. A region that does not follow the active
/// one keeps its gate closed until it is reinstated.
pub async fn set_gates(world: &World) -> anyhow::Result<ExitCode> {
    if let Some(open) = bascule_engine::observer::open_operation(world).await? {
        return Err(
            exit::Usage(format!("operation {open} is open: it sets the gates; resume or abort it")).into()
        );
    }
    let Some(tenure) = world.tenures.tenure().await? else {
        return Err(exit::Usage("the site has not been founded: `bascule found`".to_owned()).into());
    };
    let mut failed = false;
    for (name, region) in &world.regions {
        let state = wanted(world, &tenure, name).await;
        match region.gate.set(state, tenure.epoch).await {
            Ok(()) => print(&format!("{name}: gate {} for epoch {}\n", state.as_str(), tenure.epoch)),
            Err(error) => {
                failed = true;
                eprintln!("{name}: gate not set: {error}");
            }
        }
    }
    if failed {
        bail!("not every gate was set: `bascule open` once it can be reached");
    }
    Ok(ExitCode::SUCCESS)
}

async fn wanted(world: &World, tenure: &Tenure, name: &bascule_core::id::RegionName) -> GateState {
    if &tenure.active == name {
        return GateState::Local;
    }
    let Some(region) = world.regions.get(name) else { return GateState::Closed };
    let database = region.database.observe().await;
    let follows = database.seen().is_some_and(|d| d.role == bascule_core::observation::ClusterRole::Standby);
    if follows { GateState::Remote } else { GateState::Closed }
}
