//! A planned move: nothing is lost (I2), and until the commit point it can be taken back.
//!
//! The order differs from the naive one in two places. The names move last, since a moved name in front
//! of an unpromoted database is an outage. And the tenure is committed when the standby has replayed
//! everything that users wrote, *before* the old primary is stopped: from then on every death has a way
//! forward, whereas a stopped primary before the commit would have none.

use super::build::{
    CALL_BOUND_MS, CHECKPOINT_BOUND_MS, FOLLOW_BOUND_MS, NAME_BOUND_MS, PROMOTE_BOUND_MS,
    SHUTDOWN_RECORD_BOUND_MS, Steps, VERIFY_BOUND_MS, label, ttl_s,
};
use super::{Code, Scene};
use crate::action::Action;
use crate::id::{RegionName, StepId};
use crate::observation::{ClusterRole, GateState};
use crate::plan::{Kind, Phase, Plan};
use crate::time::millis;

pub(super) fn plan(scene: &mut Scene<'_>) -> Plan {
    let to = scene.request.to.clone();
    let from = scene.manifest.other(&to).clone();
    check(scene, &from, &to);

    let mut steps = Steps::default();
    let prepared = prepare(scene, &mut steps, &from, &to);
    let (read_end, replayed) = drain(scene, &mut steps, &from, &to, &prepared);
    let (serving, released) = open(scene, &mut steps, &from, &to, &read_end, &replayed);
    settle(scene, &mut steps, &from, &to, &serving, &released);
    steps.into_plan(scene, from, to)
}

fn check(scene: &mut Scene<'_>, from: &RegionName, to: &RegionName) {
    if &scene.tenure.active == to {
        scene.block(Code::AlreadyActive, to, "is active already", "nothing to do");
    }
    check_databases(scene, from, to);
    scene.warn_waits(from, to);
    for (region, wanted) in [(from, GateState::Local), (to, GateState::Remote)] {
        let gate = scene.region(region).map(|r| &r.gate);
        if let Some(gate) = scene.need(gate, region, "load balancer")
            && gate.state != wanted
        {
            scene.block(
                Code::GateMismatch,
                region,
                format!("its gate is {}, where {} is expected", gate.state.as_str(), wanted.as_str()),
                "set the gates to the recorded tenure with `bascule open`",
            );
        }
        scene.need_pool(region);
    }
    scene.need_instances(to, Kind::Switchover);
    scene.need_names(from, to);
}

fn check_databases(scene: &mut Scene<'_>, from: &RegionName, to: &RegionName) {
    let (old, new) = (scene.need_database(from), scene.need_database(to));
    if let Some(old) = old {
        if old.role != ClusterRole::Primary {
            scene.block(
                Code::NotPrimary,
                from,
                "its database is not a primary that takes writes",
                "see `bascule status`; if it can't be mended, fail over",
            );
        }
        scene.warn_members(from, old);
    }
    let Some(new) = new else { return };
    scene.warn_members(to, new);
    if new.role != ClusterRole::Standby {
        scene.block(
            Code::NotStandby,
            to,
            "its database is not a standby of the other region",
            format!("make it one with `bascule reinstate {to}`"),
        );
        return;
    }
    if !new.streaming {
        scene.block(
            Code::NotStreaming,
            to,
            "its database is not receiving from the active region",
            "mend the replication path between the regions",
        );
    }
    let Some(old) = old else { return };
    if old.system_id != new.system_id {
        scene.block(
            Code::NotSameDatabase,
            to,
            format!("its database is {}, the active one is {}", new.system_id, old.system_id),
            "seed the standby from the active region",
        );
    }
    let (Some(written), Some(replayed)) = (old.position, new.position) else {
        scene.block(
            Code::NotObserved,
            to,
            "the log positions are not known",
            "the leaders must answer SQL; see `bascule status`",
        );
        return;
    };
    if written.timeline != replayed.timeline {
        scene.block(
            Code::NotStreaming,
            to,
            format!("it is on timeline {}, the active region on {}", replayed.timeline, written.timeline),
            format!("reinstate it with `bascule reinstate {to}`"),
        );
    }
    let max_pause = millis(scene.manifest.objective.max_pause);
    let age = new.newest_replayed_age_ms.unwrap_or(u64::MAX);
    // Behind in bytes alone is normal for an instant; behind in bytes *and* older than the hold may
    // last means that the drain would give up.
    if written.lsn > replayed.lsn && age > max_pause {
        scene.block(
            Code::TooFarBehind,
            to,
            format!(
                "it is {} bytes behind and its newest write is {} old",
                written.lsn.bytes_past(replayed.lsn),
                if age == u64::MAX { "of unknown age".to_owned() } else { format!("{age} ms") }
            ),
            format!("wait until it has caught up: the hold lasts at most {max_pause} ms"),
        );
    }
}

fn prepare(scene: &Scene<'_>, steps: &mut Steps, from: &RegionName, to: &RegionName) -> Vec<StepId> {
    let mut prepared: Vec<StepId> = [from, to]
        .into_iter()
        .map(|region| {
            steps.add(
                Phase::Prepare,
                &format!("checkpoint-{region}"),
                Action::Checkpoint { region: region.clone() },
                &[],
                CHECKPOINT_BOUND_MS,
                "a database with few dirty pages stops and promotes quickly; users wait for neither",
            )
        })
        .collect();
    for record in scene.records().iter().filter(|r| r.move_ttl < r.ttl) {
        let (ttl, move_ttl) = (ttl_s(record.ttl), ttl_s(record.move_ttl));
        let set = |ttl_s, settle_ms| Action::SetTtl { name: record.name.clone(), ttl_s, settle_ms };
        prepared.push(steps.add(
            Phase::Prepare,
            &format!("shorten-{}", label(&record.name)),
            set(move_ttl, millis(record.ttl)),
            &[],
            millis(record.ttl) + NAME_BOUND_MS,
            format!("answers live {ttl} s; users should forget the old one within {move_ttl} s"),
        ));
        steps.undo(set(ttl, 0));
    }
    prepared
}

/// Returns the step that reads where users' writes end, and the one after which they all are in `to`.
fn drain(
    scene: &Scene<'_>,
    steps: &mut Steps,
    from: &RegionName,
    to: &RegionName,
    prepared: &[StepId],
) -> (StepId, StepId) {
    // Five steps may each take a fifth of the hold, the replay two: together they can't exceed it.
    let fifth = millis(scene.manifest.objective.max_pause) / 5;
    let base = scene.tenure.epoch;
    let needs: Vec<&StepId> = prepared.iter().collect();
    // Taking back runs from the last step to the first: the active region's users are let go before the
    // other region, which may be the one that died, is asked for anything.
    let held: Vec<StepId> = [to, from]
        .into_iter()
        .map(|region| {
            let id = steps.add(
                Phase::Drain,
                &format!("hold-{region}"),
                Action::HoldWrites { region: region.clone() },
                &needs,
                fifth,
                "users' statements wait in the pool instead of failing",
            );
            steps.undo(Action::ReleaseWrites { region: region.clone() });
            id
        })
        .collect();
    let gate = |state| Action::SetGate { region: from.clone(), state, epoch: base };
    let close = steps.add(
        Phase::Drain,
        &format!("close-{from}"),
        gate(GateState::Closed),
        &held.iter().collect::<Vec<_>>(),
        fifth,
        "fences the old primary: whoever did not come through a pool is cut off too",
    );
    steps.undo(gate(GateState::Local));
    let read_end = steps.add(
        Phase::Drain,
        &format!("end-{from}"),
        Action::ReadEnd { region: from.clone() },
        &[&close],
        fifth,
        "with nobody connected, this is where users' writes end",
    );
    let replayed = steps.add(
        Phase::Drain,
        &format!("replay-{to}"),
        Action::AwaitReplay { region: to.clone(), position_of: read_end.clone(), within_ms: 2 * fifth },
        &[&read_end],
        2 * fifth + CALL_BOUND_MS,
        "nothing is lost only if the new region has replayed exactly that far",
    );
    (read_end, replayed)
}

/// Returns the step after which the new region serves, and the one after which the old one passes on.
fn open(
    scene: &Scene<'_>,
    steps: &mut Steps,
    from: &RegionName,
    to: &RegionName,
    read_end: &StepId,
    replayed: &StepId,
) -> (StepId, StepId) {
    let base = scene.tenure.epoch;
    let commit = steps.add(
        Phase::Commit,
        "commit",
        Action::Commit { base, active: to.clone(), claims: None },
        &[replayed],
        CALL_BOUND_MS,
        "from here on it only goes forward: the new region has every write",
    );
    let stand_down = steps.add(
        Phase::Open,
        &format!("stand-down-{from}"),
        Action::StandDown { region: from.clone(), follow: to.clone() },
        &[&commit],
        CALL_BOUND_MS,
        "stops the old primary cleanly, so that it can follow without a rewind",
    );
    let closed = steps.add(
        Phase::Open,
        &format!("last-record-{to}"),
        Action::AwaitShutdownRecord {
            region: to.clone(),
            position_of: read_end.clone(),
            within_ms: SHUTDOWN_RECORD_BOUND_MS,
        },
        &[&stand_down],
        SHUTDOWN_RECORD_BOUND_MS + CALL_BOUND_MS,
        "the shutdown checkpoint is the last record the old primary can ever have written",
    );
    let promoted = steps.add(
        Phase::Open,
        &format!("promote-{to}"),
        Action::Promote { region: to.clone() },
        &[&closed],
        PROMOTE_BOUND_MS,
        "through the cluster manager, which goes on looking after it",
    );
    let gate =
        |region: &RegionName, state| Action::SetGate { region: region.clone(), state, epoch: base.next() };
    let opened = steps.add(
        Phase::Open,
        &format!("open-{to}"),
        gate(to, GateState::Local),
        &[&promoted],
        CALL_BOUND_MS,
        "only now may writes pass in the new region",
    );
    let forwarded = steps.add(
        Phase::Open,
        &format!("forward-{from}"),
        gate(from, GateState::Remote),
        &[&opened],
        CALL_BOUND_MS,
        "users who still come to the old region are passed on",
    );
    let mut release = |region: &RegionName, gate: &StepId| {
        steps.add(
            Phase::Open,
            &format!("release-{region}"),
            Action::ReleaseWrites { region: region.clone() },
            &[gate],
            CALL_BOUND_MS,
            "the statements that waited go on; their users saw a slow answer, no error",
        )
    };
    (release(to, &opened), release(from, &forwarded))
}

fn settle(
    scene: &Scene<'_>,
    steps: &mut Steps,
    from: &RegionName,
    to: &RegionName,
    serving: &StepId,
    released: &StepId,
) {
    // The names wait for the region they will point at, not for the one they leave: it may be dying.
    let moved = move_names(scene, steps, from, to, std::slice::from_ref(serving));
    let follow = steps.add(
        Phase::Settle,
        &format!("follow-{from}"),
        Action::AwaitFollowing { region: from.clone(), within_ms: FOLLOW_BOUND_MS },
        &[released],
        FOLLOW_BOUND_MS + CALL_BOUND_MS,
        "until the old region follows, another loss would be a real one",
    );
    let mut all: Vec<&StepId> = moved.iter().collect();
    let verify = steps.add(
        Phase::Settle,
        &format!("verify-{to}"),
        Action::VerifyWrite { region: to.clone() },
        &all,
        VERIFY_BOUND_MS,
        "a write through the front door is the only proof that users are served",
    );
    all.push(&follow);
    all.push(&verify);
    restore_ttls(scene, steps, &all);
}

/// Give the names their own times to live back. Shared with the failover.
pub(super) fn restore_ttls(scene: &Scene<'_>, steps: &mut Steps, after: &[&StepId]) {
    for record in scene.records().iter().filter(|r| r.move_ttl < r.ttl) {
        steps.add(
            Phase::Settle,
            &format!("restore-{}", label(&record.name)),
            Action::SetTtl { name: record.name.clone(), ttl_s: ttl_s(record.ttl), settle_ms: 0 },
            after,
            NAME_BOUND_MS,
            "the move is over; long answers spare the name servers",
        );
    }
}

/// One step a name, side by side. Shared with the failover.
pub(super) fn move_names(
    scene: &Scene<'_>,
    steps: &mut Steps,
    from: &RegionName,
    to: &RegionName,
    after: &[StepId],
) -> Vec<StepId> {
    let needs: Vec<&StepId> = after.iter().collect();
    scene
        .records()
        .iter()
        .map(|record| {
            steps.add(
                Phase::Open,
                &format!("move-{}", label(&record.name)),
                Action::MoveName {
                    name: record.name.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    ttl_s: ttl_s(record.move_ttl),
                },
                &needs,
                NAME_BOUND_MS,
                "after the database, never before: a moved name in front of a standby is an outage",
            )
        })
        .collect()
}
