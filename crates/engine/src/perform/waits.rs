//! What an operation waits for: a log's end, a replay, a region that follows, or one that is lost.

use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::{Epoch, RegionName};
use bascule_core::observation::ClusterRole;
use bascule_core::ports::PortError;
use bascule_core::position::Position;
use tokio::time::{Instant, sleep};

use super::serve::serve_again;
use super::{Attempt, Setting};
use crate::world::RegionPorts;

/// Pause between two questions inside a write pause. Each takes about 1 ms on a warm connection: more of
/// them would take from the database, on two cores, what they are waiting for.
const POLL: Duration = Duration::from_millis(5);

/// Pause between two looks at a cluster that restarts, outside the pause: a fraction of a Patroni loop.
pub(super) const SLOW_POLL: Duration = Duration::from_millis(250);

/// Between two looks whether users are served while a region is waited for: they notice an outage of seconds anyway.
const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// Pause between two looks at a tenure that is waited out: a tenth of the shortest time between renewals.
const WAIT_POLL: Duration = Duration::from_millis(100);

/// A region that feeds its standby is not lost. A feed in use is never silent for so long: it carries the
/// readiness probes' writes, several a second, and a lost packet is sent again after 200 ms (Linux
/// `TCP_RTO_MIN`).
const SILENCE: Duration = Duration::from_millis(400);

pub(super) async fn read_end(region: &RegionPorts) -> Result<Evidence, Attempt> {
    // Sessions that were cut take a moment to be gone; the step's bound ends the wait.
    loop {
        let end = region.log.end().await?;
        if end.clients == 0 {
            return Ok(Evidence::at(
                end.position,
                format!("nobody is connected; the log ends at {}", end.position),
            ));
        }
        sleep(POLL).await;
    }
}

pub(super) async fn await_replay(
    region: &RegionPorts,
    position: Position,
    within_ms: u64,
) -> Result<Evidence, Attempt> {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    loop {
        let progress = region.log.progress().await?;
        if progress.replayed.covers(position) {
            return Ok(Evidence::at(
                progress.replayed,
                format!("replayed {}, {position} included", progress.replayed),
            ));
        }
        if Instant::now() >= deadline {
            return Err(Attempt::Failed(format!(
                "replayed only {} of {position} within {within_ms} ms",
                progress.replayed
            )));
        }
        sleep(POLL).await;
    }
}

pub(super) async fn await_shutdown_record(
    region: &RegionPorts,
    end: Position,
    within_ms: u64,
) -> Result<Evidence, Attempt> {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    loop {
        let late = Instant::now() >= deadline;
        match region.log.shutdown_record(end.lsn).await {
            Ok(Some(last)) => {
                let note = format!("replayed the old primary's shutdown checkpoint, which ends at {last}");
                return Ok(Evidence::at(last, note));
            }
            Ok(None) => {}
            Err(PortError::Refused(why)) => return Err(Attempt::Failed(why)),
            Err(PortError::Unknown(why)) if late => return Err(Attempt::Unknown(why)),
            Err(PortError::Unknown(_)) => {}
        }
        if late {
            return Ok(Evidence::note(format!(
                "no shutdown checkpoint within {within_ms} ms; every user's write up to {end} is here, \
                 and the old region will be rewound"
            )));
        }
        sleep(POLL).await;
    }
}

/// A region that is rewound takes minutes to follow; users are served by the other one meanwhile.
pub(super) async fn await_following(
    setting: &Setting,
    region: &RegionName,
    within_ms: u64,
) -> Result<Evidence, Attempt> {
    let ports = setting.region(region)?;
    let serving = if region == &setting.from { &setting.to } else { &setting.from };
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    let mut reopened = Instant::now();
    loop {
        let seen = ports.database.observe().await;
        let state = match seen.seen() {
            Some(database) => {
                let (well, all) = database.well();
                if database.role == ClusterRole::Standby && database.streaming && well == all {
                    return Ok(Evidence::note(format!("follows; {well} of {all} members are well")));
                }
                format!("{:?}, {well} of {all} members well", database.role)
            }
            None => seen.why_not().unwrap_or_default().to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(Attempt::Failed(format!("does not follow within {within_ms} ms: {state}")));
        }
        if reopened.elapsed() >= REOPEN_AFTER {
            reopened = Instant::now();
            serve_again(setting, serving).await;
        }
        sleep(SLOW_POLL).await;
    }
}

/// Two vantages: this controller, which has looked once before it made the plan and looks again here,
/// and the standby that the region should be feeding.
pub(super) async fn confirm_lost(setting: &Setting, region: &RegionName) -> Result<Evidence, Attempt> {
    let lost = setting.region(region)?;
    let survivor = setting.region(&setting.to)?;
    let (database, own) = tokio::join!(lost.database.observe(), survivor.database.observe());
    if database.seen().is_some_and(|d| d.role == ClusterRole::Primary) {
        return Err(Attempt::Failed(format!("{region} answers, and its database is a primary")));
    }
    let silent = match own.seen().map(|d| d.role) {
        Some(ClusterRole::Primary) => format!("{} is a primary, which nobody feeds", setting.to),
        Some(ClusterRole::Standby | ClusterRole::Leaderless) | None => await_silence(survivor).await?,
    };
    Ok(Evidence::note(format!("{region} does not answer here, and {silent}")))
}

/// What this process saw of the tenure before counts: a keeper that decided has waited already.
pub(super) async fn wait_out(
    setting: &Setting,
    region: &RegionName,
    epoch: Epoch,
    still: Duration,
) -> Result<Evidence, Attempt> {
    let began = setting.world.clock.mono();
    let mut first = None;
    loop {
        let Some(tenure) = setting.world.tenures.tenure().await? else {
            return Err(Attempt::Failed("the site has no tenure".to_owned()));
        };
        if tenure.epoch != epoch || &tenure.active != region {
            return Err(Attempt::Failed(format!(
                "{} is active in epoch {}: the tenure that was to be waited out is over",
                tenure.active, tenure.epoch
            )));
        }
        // Read after the answer: the renewal that it shows was sent before.
        let now = setting.world.clock.mono();
        let sight = setting.world.sight.saw(&tenure, now);
        let stood = sight.still_for(now);
        if stood >= still {
            let note = format!(
                "{region} has not renewed its tenure for {} ms; whatever could let a write pass there is closed",
                stood.as_millis()
            );
            return Ok(Evidence { renewals: Some(sight.renewals), ..Evidence::note(note) });
        }
        // One that has stood still for half of it may have been lost while this was waited for.
        let renews = *first.get_or_insert(sight.renewals) != sight.renewals && stood < still / 2;
        if renews && now.since(began) >= still {
            return Err(Attempt::Failed(format!(
                "{region} renews its tenure, so it is not lost; if users can't write there all the same, `bascule \
                 release` has it let go first"
            )));
        }
        setting.turning.or_sleep((still - stood).min(WAIT_POLL)).await?;
    }
}

/// The feed must have been silent for [`SILENCE`]; it is waited for, since the command may come sooner.
async fn await_silence(survivor: &RegionPorts) -> Result<String, Attempt> {
    let deadline = Instant::now() + 2 * SILENCE;
    loop {
        let progress = survivor.log.progress().await?;
        if !progress.streaming {
            return Ok("feeds its standby no more".to_owned());
        }
        if let Some(ms) = progress.silent_ms
            && Duration::from_millis(ms) >= SILENCE
        {
            return Ok(format!("its standby has heard nothing for {ms} ms"));
        }
        if Instant::now() >= deadline {
            return Err(Attempt::Failed("it still feeds its standby".to_owned()));
        }
        sleep(POLL).await;
    }
}
