//! Histories that part: what is lost, and what is saved of it.

use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::RegionName;
use bascule_core::observation::ClusterRole;
use bascule_core::planner;
use bascule_core::ports::Divergence;
use bascule_core::time::millis;

use super::waits::read_end;
use super::{Attempt, Setting};
use crate::observer;
use crate::world::RegionPorts;

pub(super) async fn read_fork(
    setting: &Setting,
    region: &RegionName,
    at_most_ms: u64,
) -> Result<Evidence, Attempt> {
    let world = &setting.world;
    let Some(tenure) = world.tenures.tenure().await? else {
        return Err(Attempt::Failed("the site has no tenure".to_owned()));
    };
    let here = setting.region(region)?;
    let dark_since = world.tenures.sight(&setting.from, true, world.clock.now()).await?;
    let never_stood_down =
        here.database.observe().await.seen().is_some_and(|d| d.role == ClusterRole::Primary);
    // Read before the standby is asked: what its answer takes only makes the loss look larger.
    let now = world.clock.now();
    let dark_for = dark_since.map_or(Duration::ZERO, |since| now.since(observer::gone_since(world, since)));
    // Whoever has waited its tenure out knows that it acknowledges nothing, however long it has looked dark.
    let mono = world.clock.mono();
    let waited = world.sight.still_for(&tenure, mono);
    let over_for = if world.ttl.is_zero() { Duration::ZERO } else { waited.saturating_sub(world.ttl) };
    let dark_for = dark_for.max(over_for);
    let (at, newest_age_ms) = if never_stood_down {
        // A session that was cut may still be told of a commit: not in the new epoch.
        let end = read_end(here).await?.position;
        let end = end.ok_or_else(|| Attempt::Failed("the end of its log is not known".to_owned()))?;
        (end, Some(millis(now.since(tenure.since))))
    } else {
        let progress = here.log.progress().await?;
        // What was received is replayed before promotion, so the histories part there.
        (progress.received, progress.newest_age_ms)
    };
    if observer::last_move(world, &tenure).await?.is_unopened() {
        let note = format!("{} took no write in epoch {}: nothing is lost", setting.from, tenure.epoch);
        return Ok(Evidence { loss_ms: Some(0), ..Evidence::at(at, note) });
    }
    let told = newest_age_ms.map(|age| planner::loss_ms(age, millis(dark_for)));
    let loss_ms = match told {
        Some(ms) if ms <= at_most_ms => Some(ms),
        _ => told.into_iter().chain(seen_loss_ms(setting, here).await).min(),
    };
    match loss_ms {
        Some(ms) if ms <= at_most_ms => {
            let note = format!("the histories part at {at}; writes of at most {ms} ms may be lost");
            Ok(Evidence { loss_ms, ..Evidence::at(at, note) })
        }
        Some(ms) => Err(Attempt::Failed(format!(
            "writes of up to {ms} ms may be lost, over the {at_most_ms} ms that this plan allows: plan again"
        ))),
        None => Err(Attempt::Failed("how much would be lost is not known: plan again".to_owned())),
    }
}

/// See [`planner::seen_loss_ms`]; of a region that does not answer this takes as long as a question to it may.
async fn seen_loss_ms(setting: &Setting, here: &RegionPorts) -> Option<u64> {
    let ttl = Some(setting.world.ttl).filter(|ttl| !ttl.is_zero())?;
    let old = setting.region(&setting.from).ok()?.database.observe().await;
    let new = here.database.observe().await;
    planner::seen_loss_ms(ttl, old.seen()?, new.seen()?)
}

pub(super) async fn save_divergence(
    setting: &Setting,
    region: &RegionName,
    active: &RegionName,
    accept_unsaved: bool,
) -> Result<Evidence, Attempt> {
    let returned = setting.region(region)?;
    let already_follows = returned.database.observe().await;
    if already_follows.seen().is_some_and(|d| d.role == ClusterRole::Standby) {
        return Ok(Evidence::note("its cluster is a standby already; it took no writes of its own"));
    }
    // A region that took over as the primary that it had stayed began no timeline: then the other one did.
    let fork = match setting.region(active)?.log.fork().await? {
        Some(fork) => Some(fork),
        None => returned.log.fork().await?,
    };
    let Some(fork) = fork else {
        let why = format!("{active} and {region} are on their first timelines: the histories never parted");
        return Err(Attempt::Failed(why));
    };
    let folder = setting.world.reports.join(setting.operation.as_str());
    let file = format!("divergence-{region}.jsonl");
    let saved = returned.log.save_divergence(fork, &folder.join(&file)).await?;
    if !accept_unsaved && let Some(why) = unsaved(&saved, region) {
        return Err(Attempt::Failed(why));
    }
    Ok(Evidence { file: saved.file.map(|_| file), ..Evidence::at(fork, saved.note) })
}

/// Why a region must not be rewound, if a person has not given up what could not be saved of it.
fn unsaved(saved: &Divergence, region: &RegionName) -> Option<String> {
    let (what, code) = (saved.unsaved.as_ref()?, planner::Code::Unsaved.as_str());
    let rest = saved.file.as_ref().map(|file| format!(" ({} rows are in {file})", saved.rows));
    Some(format!(
        "{code} not all can be saved of what only {region} has, and a rewind would destroy it: {what}{}; `bascule \
         reinstate {region} --accept-unsaved` gives it up",
        rest.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_can_not_be_saved_whole_is_not_rewound_unasked() {
        let saved = |unsaved: Option<&str>| Divergence {
            file: Some("reports/op/divergence-east.jsonl".to_owned()),
            rows: 7,
            note: String::new(),
            unsaved: unsaved.map(str::to_owned),
        };
        let east: RegionName = "east".parse().expect("a name");
        assert_eq!(unsaved(&saved(None), &east), None);
        let why = unsaved(&saved(Some("its log is gone")), &east).expect("it stops");
        for part in
            ["BSC-P022", "its log is gone", "7 rows are in reports", "reinstate east --accept-unsaved"]
        {
            assert!(why.contains(part), "{why}");
        }
    }
}
