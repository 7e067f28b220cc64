//! A move after loss. Nothing in it calls into the region that is gone (I8), and it is refused while
//! more may be lost than the objective allows, or nobody knows how much (I3).
//!
//! Where keepers hold the gates nothing has to be asked of the lost region: its tenure is waited out, and
//! claimed only if nobody renewed it meanwhile. Elsewhere a person vouches for it, and two looks must agree.

use std::time::Duration;

use super::build::{CALL_BOUND_MS, PROMOTE_BOUND_MS, Steps, VERIFY_BOUND_MS};
use super::switchover::{move_names, restore_ttls};
use super::{Code, Scene};
use crate::action::Action;
use crate::id::{Epoch, RegionName, StepId};
use crate::manifest::Automatic;
use crate::observation::{ClusterRole, DatabaseObservation, GateState, LastMove, Observed};
use crate::plan::{Kind, Phase, Plan};
use crate::tenure::timing::Timing;
use crate::time::{Timestamp, millis};

/// Looks at the lost region, from two sides, before it is believed: each takes at most the provider's
/// 1 s, and they run side by side, twice.
const CONFIRM_BOUND_MS: u64 = 5_000;

pub(super) fn plan(scene: &mut Scene<'_>) -> Plan {
    let to = scene.request.to.clone();
    let from = scene.manifest.other(&to).clone();
    check(scene, &from, &to);

    let mut steps = Steps::default();
    let base = scene.tenure.epoch;
    let guard = scene.manifest.automatic.as_ref().map(Automatic::timing);
    let confirm = match &guard {
        Some(timing) => wait_out(&mut steps, &from, base, timing),
        None => steps.add(
            Phase::Prepare,
            &format!("confirm-{from}"),
            Action::ConfirmLost { region: from.clone() },
            &[],
            CONFIRM_BOUND_MS,
            "a region that answers, or still feeds its standby, is not gone",
        ),
    };
    let closed = close_own(scene, &mut steps, &to, base, &confirm);
    let fork = steps.add(
        Phase::Prepare,
        &format!("fork-{to}"),
        Action::ReadFork { region: to.clone(), at_most_ms: allowed_ms(scene) },
        &[&closed],
        CALL_BOUND_MS,
        "where the histories part, and how much may be lost; read before anything changes",
    );
    let mut before_commit = vec![fork];
    let reachable = scene.region(&from).and_then(|r| r.gate.seen()).is_some();
    if reachable && guard.is_none() {
        let gate = |state| Action::SetGate { region: from.clone(), state, epoch: base };
        before_commit.push(steps.add(
            Phase::Prepare,
            &format!("close-{from}"),
            gate(GateState::Closed),
            &[&confirm],
            CALL_BOUND_MS,
            "its load balancer still answers, so it can still be fenced",
        ));
        steps.undo(gate(GateState::Local));
    }
    let commit = steps.add(
        Phase::Commit,
        "commit",
        Action::Commit { base, active: to.clone(), claims: guard.map(|_| confirm.clone()) },
        &before_commit.iter().collect::<Vec<_>>(),
        CALL_BOUND_MS,
        "the lost region's epoch is over: whatever it does when it returns is stale",
    );
    let promoted = steps.add(
        Phase::Open,
        &format!("promote-{to}"),
        Action::Promote { region: to.clone() },
        &[&commit],
        PROMOTE_BOUND_MS,
        "through the cluster manager, which goes on looking after it",
    );
    let opened = steps.add(
        Phase::Open,
        &format!("open-{to}"),
        Action::SetGate { region: to.clone(), state: GateState::Local, epoch: base.next() },
        &[&promoted],
        CALL_BOUND_MS,
        "only now may writes pass in the new region",
    );
    let released = steps.add(
        Phase::Open,
        &format!("release-{to}"),
        Action::ReleaseWrites { region: to.clone() },
        &[&opened],
        CALL_BOUND_MS,
        "in case an operation that died left the pool holding",
    );
    let moved = move_names(scene, &mut steps, &from, &to, &[opened]);
    let mut needs = vec![&released];
    needs.extend(&moved);
    let verify = steps.add(
        Phase::Settle,
        &format!("verify-{to}"),
        Action::VerifyWrite { region: to.clone() },
        &needs,
        VERIFY_BOUND_MS,
        "a write through the front door is the only proof that users are served",
    );
    restore_ttls(scene, &mut steps, &[&verify]);
    steps.into_plan(scene, from, to)
}

/// A region that was a primary before may have its gate open still, and commits that wait there for a permit: with the
/// claim its keepers' holds open, before anything is promoted.
fn close_own(scene: &Scene<'_>, steps: &mut Steps, to: &RegionName, base: Epoch, after: &StepId) -> StepId {
    let gate = |state| Action::SetGate { region: to.clone(), state, epoch: base };
    let closed = steps.add(
        Phase::Prepare,
        &format!("close-{to}"),
        gate(GateState::Closed),
        &[after],
        CALL_BOUND_MS,
        "what an earlier epoch left open here must not pass writes in the new one",
    );
    let passes_on =
        scene.region(to).and_then(|r| r.gate.seen()).is_some_and(|g| g.state == GateState::Remote);
    if passes_on {
        steps.undo(gate(GateState::Remote));
    }
    closed
}

/// Everything that could let a write pass in the lost region has closed by itself when this is done.
fn wait_out(steps: &mut Steps, from: &RegionName, epoch: Epoch, timing: &Timing) -> StepId {
    let still_ms = millis(timing.claim_after());
    steps.add(
        Phase::Prepare,
        &format!("wait-out-{from}"),
        Action::WaitOut { region: from.clone(), epoch, still_ms },
        &[],
        still_ms + CALL_BOUND_MS,
        timing.to_string(),
    )
}

fn check(scene: &mut Scene<'_>, from: &RegionName, to: &RegionName) {
    if &scene.tenure.active == to {
        scene.block(Code::AlreadyActive, to, "is active already", "nothing to do");
    }
    check_gone(scene, from);
    if let Some(new) = scene.need_database(to) {
        scene.warn_members(to, new);
        let newest_age_ms = match new.role {
            ClusterRole::Standby => new.newest_replayed_age_ms,
            // It was left by a move that could not stop it: what it has not is what was written since.
            ClusterRole::Primary => Some(millis(scene.observation.at.since(scene.tenure.since))),
            ClusterRole::Leaderless => {
                scene.block(
                    Code::NotStandby,
                    to,
                    "its database has no leader, so there is nothing to promote",
                    "wait until its cluster manager has chosen one, see `bascule status`",
                );
                new.newest_replayed_age_ms
            }
        };
        // Nothing can be lost of a region that took no write.
        if !scene.observation.last_move.seen().copied().is_some_and(LastMove::is_unopened) {
            check_loss(scene, from, to, newest_age_ms);
        }
    }
    let gate = scene.region(to).map(|r| &r.gate);
    let _ = scene.need(gate, to, "load balancer");
    scene.need_pool(to);
    scene.need_instances(to, Kind::Failover);
    scene.need_names(from, to);
    scene.warn_waits(from, to);
}

fn check_gone(scene: &mut Scene<'_>, from: &RegionName) {
    // A tenure that is waited out proves more than any look at the region; the step fails if it is renewed.
    if scene.manifest.automatic.is_some() {
        return;
    }
    let Some(region) = scene.region(from) else {
        scene.block(
            Code::NotObserved,
            from,
            "nobody looked at it, which does not mean that it is gone",
            "observe again, see `bascule status`",
        );
        return;
    };
    if let Some(database) = region.database.seen()
        && database.role == ClusterRole::Primary
    {
        scene.block(
            Code::RegionNotGone,
            from,
            "its database answers and is a primary",
            format!("move with `bascule switchover --to {}`, which loses nothing", scene.request.to),
        );
    }
    if region.gate.seen().is_none() {
        scene.warn(
            Code::NotFenced,
            from,
            "its gate can't be reached, so nothing here can stop it if it runs behind a broken network",
            "be sure that it is down or cut off from users too; writes it takes after this are set aside",
        );
    }
}

/// The standby compares its own clock with the time the lost region stamped on a write: time
/// synchronisation keeps the two within a fraction of this.
const CLOCKS_APART_MS: u64 = 1_000;

/// How much may be lost, in milliseconds: the newest write that the standby has is so old, and the region
/// was last known to live at most until it was first seen dark; what was acknowledged between the two may
/// be lost. A write newer than the first dark sighting shows that the region came back unseen meanwhile:
/// then that sighting says nothing of when it died.
#[must_use]
pub fn loss_ms(newest_age_ms: u64, dark_for_ms: u64) -> u64 {
    if newest_age_ms.saturating_add(CLOCKS_APART_MS) < dark_for_ms {
        newest_age_ms
    } else {
        newest_age_ms.saturating_sub(dark_for_ms)
    }
}

/// [`loss_ms`] counted to the instant from which on the region acknowledges nothing, which may lie ahead: what it may
/// still acknowledge is lost too.
#[must_use]
pub fn loss_until_ms(newest_age_ms: u64, looked: Timestamp, lost_since: Option<Timestamp>) -> u64 {
    let dark_for = lost_since.map_or(0, |since| millis(looked.since(since)));
    let open_for = lost_since.map_or(0, |since| millis(since.since(looked)));
    loss_ms(newest_age_ms, dark_for).saturating_add(open_for)
}

/// Where keepers hold the gates, a primary that is still seen, although it is left, shows how little can be lost: the standby
/// has all of its log, and what it may acknowledge after that look it acknowledges within a tenure's length.
#[must_use]
pub fn seen_loss_ms(ttl: Duration, old: &DatabaseObservation, new: &DatabaseObservation) -> Option<u64> {
    let roles = old.role == ClusterRole::Primary && new.role == ClusterRole::Standby;
    (roles && new.position?.covers(old.position?)).then(|| millis(ttl))
}

/// What may be lost when it is asked again, in milliseconds. By itself a site loses no more than its objective. A person
/// has accepted what one look found, and two looks at the same loss differ by no more than clocks do; where nobody holds
/// the gates there is only a person.
fn allowed_ms(scene: &Scene<'_>) -> u64 {
    let rpo = millis(scene.manifest.objective.rpo);
    match scene.request.accept_loss_ms.filter(|accepted| *accepted > rpo) {
        Some(accepted) => accepted.saturating_add(CLOCKS_APART_MS),
        None if scene.manifest.automatic.is_none() => rpo.saturating_add(CLOCKS_APART_MS),
        None => rpo,
    }
}

/// When the standby was asked for the age of its newest write: the whole look may have taken a second longer, for the region that
/// does not answer.
fn looked_at(scene: &Scene<'_>, to: &RegionName) -> Timestamp {
    match scene.region(to).map(|region| &region.database) {
        Some(Observed::Seen { at, .. }) => *at,
        Some(Observed::NotObserved { .. }) | None => scene.observation.at,
    }
}

fn check_loss(scene: &mut Scene<'_>, from: &RegionName, to: &RegionName, newest_age_ms: Option<u64>) {
    let rpo = millis(scene.manifest.objective.rpo);
    let (looked, lost) = (looked_at(scene, to), scene.region(from).and_then(|r| r.lost_since));
    let dark_for = lost.map_or(0, |since| millis(looked.since(since)));
    let open_for = lost.map_or(0, |since| millis(since.since(looked)));
    let told = newest_age_ms.map(|age| loss_until_ms(age, looked, lost));
    let databases = [from, to].map(|region| scene.region(region).and_then(|r| r.database.seen()));
    let seen = match (&scene.manifest.automatic, databases) {
        (Some(policy), [Some(old), Some(new)]) => seen_loss_ms(policy.ttl, old, new),
        _ => None,
    };
    let loss = told.into_iter().chain(seen).min();
    let allowed = scene.request.accept_loss_ms.unwrap_or(rpo).max(rpo);
    match loss {
        Some(loss) if loss <= allowed => {}
        Some(loss) => scene.block(
            Code::LossOverObjective,
            to,
            format!(
                "writes of up to {loss} ms may be lost: its newest is {} ms old and {from} {}; allowed are {allowed} ms",
                newest_age_ms.unwrap_or(0),
                if open_for > 0 {
                    format!("may acknowledge more for {open_for} ms")
                } else {
                    format!("has been dark for {dark_for} ms")
                }
            ),
            format!("accept it with --accept-data-loss {loss}ms, or bring {from} back"),
        ),
        None => scene.block(
            Code::LossOverObjective,
            to,
            "how much would be lost is unknown: the age of its newest write was not observed",
            "let its leader answer SQL; an unknown loss can't be accepted",
        ),
    }
}
