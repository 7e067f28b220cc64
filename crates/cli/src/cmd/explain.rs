//! `bascule explain`: who is active, what would happen if it were lost now, and why not if not.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bascule_core::decision::Vantage;
use bascule_core::explain::{self, Explanation, Known, Readiness, Said};
use bascule_core::manifest::Manifest;
use bascule_core::observation::Observation;
use bascule_core::ports::StoreError;
use bascule_core::vantage::{Pause, Place, Report};
use bascule_engine::world::World;
use clap::Args as ClapArgs;

use crate::cmd::{block_on, print, print_json};
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `explain`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        let (_, found) = look(&world, &site.manifest).await;
        let found = found.map_err(|why| exit::Usage(format!("who is active is not known: {why}")))?;
        if args.json {
            print_json(&found)?;
        } else {
            print(&format!("{found}\n"));
        }
        Ok(match found.readiness {
            Readiness::Ready | Readiness::Manual | Readiness::Observing => ExitCode::SUCCESS,
            Readiness::Paused
            | Readiness::CoolingDown
            | Readiness::NotSettled
            | Readiness::TargetOverLagLimit
            | Readiness::Unobserved
            | Readiness::NotRenewed
            | Readiness::Impaired
            | Readiness::AtWork
            | Readiness::Blocked => ExitCode::from(exit::REFUSED),
        })
    })
}

/// What is stored, as one look finds it.
struct Stored {
    renewals: Option<u64>,
    reports: Vec<(Place, Report)>,
}

/// Look twice: whether somebody renews, and who reports, shows only in what changes between the looks. An
/// `Err` is why nothing can be explained; what was seen is there all the same.
pub async fn look(world: &World, manifest: &Manifest) -> (Observation, Result<Explanation, String>) {
    let before = stored(world).await;
    let between = manifest.automatic.as_ref().map_or(Duration::ZERO, |policy| {
        // A renewal and a report come every `renew`; a busy machine may be half as late.
        policy.timing().renew * 3 / 2
    });
    let (observation, ()) =
        tokio::join!(bascule_engine::observer::observe(world), tokio::time::sleep(between));
    let (before, after) = match (before, stored(world).await) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(error), _) | (_, Err(error)) => return (observation, Err(error.to_string())),
    };
    let pause = world.places.pause().await;
    let explanation = explained(manifest, &observation, [&before, &after], between, &pause);
    (observation, explanation)
}

fn explained(
    manifest: &Manifest,
    observation: &Observation,
    [before, after]: [&Stored; 2],
    between: Duration,
    pause: &Result<Option<Pause>, StoreError>,
) -> Result<Explanation, String> {
    let counts: BTreeMap<&Place, u64> = before.reports.iter().map(|(p, r)| (p, r.count)).collect();
    let active = observation.tenure.seen().map(|tenure| &tenure.active);
    let fresh = |place: &Place, report: &Report| counts.get(place).is_none_or(|count| *count != report.count);
    let said = after.reports.iter().filter(|(place, report)| fresh(place, report));
    let said = said.filter_map(|(place, report)| {
        Some(Said { place: place.to_string(), decision: report.decision.clone()? })
    });
    let says = |(place, report): &(Place, Report)| {
        let seen = active.and_then(|active| report.regions.get(active));
        Vantage {
            place: place.clone(),
            fresh: fresh(place, report),
            writes: seen.map(|seen| seen.writes.clone()),
            permit: seen.and_then(|seen| seen.permit.clone()),
        }
    };
    let why = pause.as_ref().err().map(ToString::to_string).unwrap_or_default();
    explain::explain(&Known {
        manifest,
        observation,
        places: &after.reports.iter().map(says).collect::<Vec<_>>(),
        renewed: manifest.automatic.as_ref().map(|_| before.renewals != after.renewals),
        still_for: between,
        said: &said.collect::<Vec<_>>(),
        pause: pause.as_ref().map(Option::as_ref).map_err(|_| why.as_str()),
    })
}

async fn stored(world: &World) -> Result<Stored, StoreError> {
    let (tenure, reports) = (world.tenures.tenure().await?, world.places.reports().await?);
    for why in &reports.unreadable {
        tracing::warn!(why, "a report that can't be read; its place counts as silent");
    }
    Ok(Stored { renewals: tenure.map(|t| t.renewals), reports: reports.heard })
}
