//! A move that was abandoned past its commit: the way back, and, if the region returns, the way on.

use bascule_core::action::Action;
use bascule_core::id::{Epoch, OperationId};
use bascule_core::observation::{ClusterRole, GateState, LastMove, Observation, Observed};
use bascule_core::plan::Kind;
use bascule_core::planner::{Assessment, Code};
use bascule_core::time::Timestamp;

use crate::{NOW, assess, east, region, request, seen, unseen, west};

/// West was made active `ago_ms` before now by a move that nobody finished, and is lost. East was active before: it
/// follows, or nobody could stop it.
fn left_behind(east_is: ClusterRole, opened: bool, ago_ms: u64) -> Observation {
    let mut observation = crate::dark();
    observation.regions.insert(east(), region(&east(), east_is, GateState::Closed));
    let lost = observation.regions.get_mut(&west()).expect("it is there");
    (lost.database, lost.gate, lost.pool, lost.compute) = (unseen(), unseen(), unseen(), unseen());
    lost.lost_since = Some(NOW);
    observation.last_move = seen(LastMove::Unfinished { opened });
    if let Observed::Seen { value, .. } = &mut observation.tenure {
        (value.epoch, value.active, value.settled) = (Epoch(2), west(), false);
        value.since = Timestamp(NOW.0 - ago_ms);
        value.by = Some("switchover-1".parse::<OperationId>().expect("an id"));
    }
    observation
}

fn back(observation: &Observation) -> Assessment {
    assess(observation, &request(Kind::Failover, east()))
}

fn codes(found: &Assessment) -> Vec<Code> {
    found.blocks.iter().map(|block| block.code).collect()
}

#[test]
fn nothing_is_lost_of_a_region_that_was_never_opened() {
    for role in [ClusterRole::Standby, ClusterRole::Primary] {
        let found = back(&left_behind(role, false, 600_000));
        assert!(found.runnable().is_some(), "{role:?}: {:?}", found.blocks);
    }
    let unknown = Observation { last_move: unseen(), ..left_behind(ClusterRole::Primary, false, 600_000) };
    assert_eq!(codes(&back(&unknown)), [Code::LossOverObjective], "what is not known counts as lost");
}

#[test]
fn a_region_that_was_never_stood_down_lacks_what_was_written_since() {
    assert!(back(&left_behind(ClusterRole::Primary, true, 100)).runnable().is_some());
    let long = left_behind(ClusterRole::Primary, true, 90_000);
    assert_eq!(codes(&back(&long)), [Code::LossOverObjective]);
    let accepted =
        bascule_core::planner::Request { accept_loss_ms: Some(90_000), ..request(Kind::Failover, east()) };
    assert!(assess(&long, &accepted).runnable().is_some());
}

#[test]
fn a_region_that_comes_back_is_made_what_the_tenure_says() {
    let mut observation = left_behind(ClusterRole::Primary, false, 5_000);
    observation.regions.insert(west(), region(&west(), ClusterRole::Standby, GateState::Closed));
    let found = assess(&observation, &request(Kind::Restore, west()));
    let plan = found.runnable().expect("nothing forbids it");
    let at = |sought: &Action| plan.steps.iter().position(|step| &step.action == sought);
    let gate = |region, state| Action::SetGate { region, state, epoch: Epoch(2) };
    let closed = at(&gate(east(), GateState::Closed)).expect("the other one stays closed");
    let promoted = at(&Action::Promote { region: west() }).expect("a promotion");
    let opened = at(&gate(west(), GateState::Local)).expect("its gate opens");
    assert!(closed < promoted && promoted < opened);
    assert!(plan.steps.iter().any(|step| matches!(step.action, Action::MoveName { .. })));

    observation.last_move = seen(LastMove::Finished);
    let found = assess(&observation, &request(Kind::Restore, west()));
    assert_eq!(codes(&found), [Code::NotPrimary], "who made a standby of it after that, and why?");
}
