//! A returned region becomes the standby. What it wrote past the fork is saved first, then given up.

use super::build::{CALL_BOUND_MS, FOLLOW_BOUND_MS, Steps};
use super::{Code, Scene};
use crate::action::Action;
use crate::id::RegionName;
use crate::observation::{ClusterRole, GateState};
use crate::plan::{Phase, Plan};

/// Reading the log past the fork and the rows it touched: the lab's takes under 1 s; a region that
/// wrote alone for hours takes minutes.
const SAVE_BOUND_MS: u64 = 600_000;

/// A switchover inside the region for each number: 3–5 s, after a replica has become ready.
const RENUMBER_BOUND_MS: u64 = 120_000;

pub(super) fn plan(scene: &mut Scene<'_>) -> Plan {
    let returned = scene.request.to.clone();
    let active = scene.manifest.other(&returned).clone();
    check(scene, &active, &returned);

    let epoch = scene.tenure.epoch;
    let accept_unsaved = scene.request.accept_unsaved;
    if accept_unsaved {
        scene.warn(
            Code::Unsaved,
            &returned,
            "whatever only this region has, and can't be saved, is given up",
            "without --accept-unsaved it stops where something can't be saved, and says what",
        );
    }
    let mut steps = Steps::default();
    let gate = |state| Action::SetGate { region: returned.clone(), state, epoch };
    let closed = steps.add(
        Phase::Prepare,
        &format!("close-{returned}"),
        gate(GateState::Closed),
        &[],
        CALL_BOUND_MS,
        "its epoch is over: nobody may write there",
    );
    let saved = steps.add(
        Phase::Prepare,
        &format!("save-{returned}"),
        Action::SaveDivergence { region: returned.clone(), active: active.clone(), accept_unsaved },
        &[&closed],
        SAVE_BOUND_MS,
        "a rewind destroys the writes that only this region has; people may need to read them",
    );
    let renumbered = steps.add(
        Phase::Prepare,
        &format!("renumber-{returned}"),
        Action::Renumber { region: returned.clone() },
        &[&saved],
        RENUMBER_BOUND_MS,
        "both regions may have promoted to a timeline of the same number; then nobody would see that they parted",
    );
    let stood_down = steps.add(
        Phase::Open,
        &format!("stand-down-{returned}"),
        Action::StandDown { region: returned.clone(), follow: active.clone() },
        &[&renumbered],
        CALL_BOUND_MS,
        "its cluster manager stops it, rewinds it to the fork, and lets it follow",
    );
    let follows = steps.add(
        Phase::Settle,
        &format!("follow-{returned}"),
        Action::AwaitFollowing { region: returned.clone(), within_ms: FOLLOW_BOUND_MS },
        &[&stood_down],
        FOLLOW_BOUND_MS + CALL_BOUND_MS,
        "protection is back only when every member follows",
    );
    let forwarded = steps.add(
        Phase::Settle,
        &format!("forward-{returned}"),
        gate(GateState::Remote),
        &[&follows],
        CALL_BOUND_MS,
        "users who come to this region are passed on to the active one",
    );
    steps.add(
        Phase::Settle,
        &format!("release-{returned}"),
        Action::ReleaseWrites { region: returned.clone() },
        &[&forwarded],
        CALL_BOUND_MS,
        "in case an operation that died left the pool holding",
    );
    steps.into_plan(scene, active, returned)
}

fn check(scene: &mut Scene<'_>, active: &RegionName, returned: &RegionName) {
    if &scene.tenure.active == returned {
        scene.block(
            Code::AlreadyActive,
            returned,
            "is the active region",
            format!("reinstate is for a region that returns; {active} would be the one"),
        );
    }
    let new = scene.need_database(active);
    if new.is_some_and(|database| database.role != ClusterRole::Primary) {
        scene.block(
            Code::NotPrimary,
            active,
            "the active region's database is not a primary: there is nothing to follow",
            "see `bascule status`",
        );
    }
    // The standby follows through it, and would wait for it in vain while the operation is open.
    let passes = scene.region(active).map(|r| &r.gate);
    scene.need(passes, active, "load balancer");
    let gate = scene.region(returned).map(|r| &r.gate);
    let gate = scene.need(gate, returned, "load balancer");
    let pool = scene.region(returned).map(|r| &r.pool);
    let held = scene.need(pool, returned, "pool").is_some_and(|pool| pool.held);
    if let Some(database) = scene.need_database(returned) {
        if let Some(new) = new.filter(|new| new.system_id != database.system_id) {
            scene.block(
                Code::NotSameDatabase,
                returned,
                format!("its database is {}, the active one is {}", database.system_id, new.system_id),
                "seed it from the active region: a rewind can't make another database of it",
            );
        }
        let (well, all) = database.well();
        let forwarding = gate.is_some_and(|g| g.state == GateState::Remote);
        match database.role {
            ClusterRole::Primary => {}
            ClusterRole::Leaderless => scene.block(
                Code::NotObserved,
                returned,
                "its cluster has no leader yet",
                "wait until its cluster manager has chosen one; after a restart that takes up to 20 s",
            ),
            ClusterRole::Standby if database.streaming && well == all && forwarding && !held => scene.block(
                Code::NothingToReinstate,
                returned,
                "follows the active region already",
                "nothing to do",
            ),
            ClusterRole::Standby => {}
        }
    }
}
