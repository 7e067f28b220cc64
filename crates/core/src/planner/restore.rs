//! What the tenure says, made so again: the active region's gate open and its pool not holding, the standby's
//! gate passing users on.
//!
//! A load balancer closes its gate when it starts, and a call to a pool may be carried out after it was taken back.
//! No tenure moves, so nothing is lost whatever becomes of it; it is an operation all the same, since two
//! controllers must not set gates at one time. It ends with its calls: whether users are served the keepers see a
//! second later, and an operation that waited for it would stand in the way of a failover.

use super::build::{CALL_BOUND_MS, Steps};
use super::{Code, Scene};
use crate::action::Action;
use crate::id::{RegionName, StepId};
use crate::observation::{ClusterRole, GateState};
use crate::plan::{Phase, Plan};

pub(super) fn plan(scene: &mut Scene<'_>) -> Plan {
    let active = scene.request.to.clone();
    let standby = scene.manifest.other(&active).clone();
    check(scene, &active);

    let mut steps = Steps::default();
    let mut made: Vec<StepId> = Vec::new();
    let why = "it is active, and its gate does not pass writes to it";
    made.extend(gate(scene, &mut steps, &active, GateState::Local, "open", why));
    made.extend(pool(scene, &mut steps, &active));
    let follows = scene.region(&standby).and_then(|r| r.database.seen());
    if follows.is_some_and(|database| database.role == ClusterRole::Standby) {
        let why = "users who come to this region are passed on to the active one";
        made.extend(gate(scene, &mut steps, &standby, GateState::Remote, "forward", why));
        made.extend(pool(scene, &mut steps, &standby));
    }
    if made.is_empty() {
        scene.block(
            Code::NothingToRestore,
            &active,
            "gates and pools are as the tenure says",
            "nothing to do; if users can't write, see `bascule status`",
        );
    }
    steps.into_plan(scene, standby, active)
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
