//! What the tenure says, made so again: the active region's gate open and its pool not holding, the standby's
//! gate passing users on.
//!
//! A load balancer closes its gate when it starts, and a call to a pool may be carried out after it was taken back.
//! Where the move that made the region active was abandoned, and the region came back after all, that is made up for too:
//! it is promoted if it was not, and the names follow.
//!
//! No tenure moves, so nothing is lost whatever becomes of it; it is an operation all the same, since two
//! controllers must not set gates at one time. It ends with its calls: whether users are served the keepers see a
//! second later, and an operation that waited for it would stand in the way of a failover.

use super::build::{CALL_BOUND_MS, PROMOTE_BOUND_MS, Steps};
use super::switchover::move_names;
use super::{Code, Scene};
use crate::action::Action;
use crate::id::{RegionName, StepId};
use crate::observation::{ClusterRole, GateState, LastMove};
use crate::plan::{Phase, Plan};

pub(super) fn plan(scene: &mut Scene<'_>) -> Plan {
    let active = scene.request.to.clone();
    let standby = scene.manifest.other(&active).clone();
    check(scene, &active);

    let mut steps = Steps::default();
    let mut made: Vec<StepId> = Vec::new();
    if is_to_finish(scene) {
        finish(scene, &mut steps, &active, &standby);
        return steps.into_plan(scene, standby, active);
    }
    let why = "it is active, and its gate does not pass writes to it";
    made.extend(gate(scene, &mut steps, &active, GateState::Local, "open", why));
    made.extend(pool(scene, &mut steps, &active));
    let follows = scene.region(&standby).and_then(|r| r.database.seen());
    if follows.is_some_and(|database| database.role == ClusterRole::Standby) {
        let why = "users who come to this region are passed on to the active one";
        made.extend(gate(scene, &mut steps, &standby, GateState::Remote, "forward", why));
        made.extend(pool(scene, &mut steps, &standby));
    }
    // Where something is not seen, that it is as it should be is not known.
    if made.is_empty() && scene.blocks.is_empty() {
        scene.block(
            Code::NothingToRestore,
            &active,
            "gates and pools are as the tenure says",
            "nothing to do; if users can't write, see `bascule status`",
        );
    }
    steps.into_plan(scene, standby, active)
}

/// Whether the tenure's move ended before users were served, and the region is there.
fn is_to_finish(scene: &Scene<'_>) -> bool {
    let database = scene.region(&scene.tenure.active).and_then(|r| r.database.seen());
    let led = database.is_some_and(|database| database.role != ClusterRole::Leaderless);
    led && matches!(scene.observation.last_move.seen(), Some(LastMove::Unfinished { .. }))
}

/// What the move left undone that users need; that the other region follows, a reinstatement sees to.
fn finish(scene: &Scene<'_>, steps: &mut Steps, active: &RegionName, other: &RegionName) {
    let epoch = scene.tenure.epoch;
    let gate = |region: &RegionName, state| Action::SetGate { region: region.clone(), state, epoch };
    let closed = scene.region(other).and_then(|r| r.gate.seen()).is_some().then(|| {
        let why = "its epoch is over: nobody may write there";
        let id = format!("close-{other}");
        steps.add(Phase::Prepare, &id, gate(other, GateState::Closed), &[], CALL_BOUND_MS, why)
    });
    let promoted = steps.add(
        Phase::Open,
        &format!("promote-{active}"),
        Action::Promote { region: active.clone() },
        &closed.iter().collect::<Vec<_>>(),
        PROMOTE_BOUND_MS,
        "it was made active by a move that was abandoned, if need be before it was promoted",
    );
    let opened = steps.add(
        Phase::Open,
        &format!("open-{active}"),
        gate(active, GateState::Local),
        &[&promoted],
        CALL_BOUND_MS,
        "only now may writes pass here",
    );
    steps.add(
        Phase::Open,
        &format!("release-{active}"),
        Action::ReleaseWrites { region: active.clone() },
        &[&opened],
        CALL_BOUND_MS,
        "in case the move left the pool holding",
    );
    move_names(scene, steps, other, active, &[opened]);
}

/// A gate that does not do what it should, set to what it should do.
fn gate(
    scene: &Scene<'_>,
    steps: &mut Steps,
    region: &RegionName,
    wanted: GateState,
    word: &str,
    why: &str,
) -> Option<StepId> {
    let gate = scene.region(region)?.gate.seen()?;
    (gate.state != wanted).then(|| {
        let action = Action::SetGate { region: region.clone(), state: wanted, epoch: scene.tenure.epoch };
        steps.add(Phase::Open, &format!("{word}-{region}"), action, &[], CALL_BOUND_MS, why)
    })
}

/// A pool that holds although no operation is open, let go.
fn pool(scene: &Scene<'_>, steps: &mut Steps, region: &RegionName) -> Option<StepId> {
    let pool = scene.region(region)?.pool.seen()?;
    pool.held.then(|| {
        let action = Action::ReleaseWrites { region: region.clone() };
        let why = "its clients wait, and no operation holds them";
        steps.add(Phase::Open, &format!("release-{region}"), action, &[], CALL_BOUND_MS, why)
    })
}

fn check(scene: &mut Scene<'_>, active: &RegionName) {
    if &scene.tenure.active != active {
        scene.block(
            Code::GateMismatch,
            active,
            "is not the active region, so its gate must not be opened",
            "move there with `bascule switchover`",
        );
    }
    if let Some(database) = scene.need_database(active)
        && database.role != ClusterRole::Primary
        && !is_to_finish(scene)
    {
        scene.block(
            Code::NotPrimary,
            active,
            "its database is not a primary that takes writes",
            "see `bascule status`; if it can't be mended, fail over",
        );
    }
    let gate = scene.region(active).map(|r| &r.gate);
    let _ = scene.need(gate, active, "load balancer");
    scene.need_pool(active);
}
