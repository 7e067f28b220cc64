//! Gates and pools become what the tenure says, and nothing else is touched.

use bascule_core::action::Action;
use bascule_core::id::Epoch;
use bascule_core::observation::{GateState, Observation, Observed};
use bascule_core::plan::Kind;
use bascule_core::planner::{Assessment, Code};

use crate::{assess, dark, east, healthy, request, west};

fn restore(observation: &Observation) -> Assessment {
    assess(observation, &request(Kind::Restore, east()))
}

fn actions(found: &Assessment) -> Vec<Action> {
    found.runnable().expect("nothing forbids it").steps.iter().map(|step| step.action.clone()).collect()
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let found = restore(&healthy());
    assert_eq!(found.blocks.iter().map(|b| b.code).collect::<Vec<_>>(), [Code::NothingToRestore]);
}

#[test]
fn a_load_balancer_that_was_restarted_is_told_what_the_tenure_says() {
    for (region, wanted) in [(east(), GateState::Local), (west(), GateState::Remote)] {
        let mut observation = healthy();
        if let Observed::Seen { value, .. } =
            &mut observation.regions.get_mut(&region).expect("it is there").gate
        {
            value.state = GateState::Closed;
        }
        let action = Action::SetGate { region, state: wanted, epoch: Epoch(1) };
        assert_eq!(actions(&restore(&observation)), [action]);
    }
}

#[test]
fn a_pool_that_nobody_holds_is_let_go() {
    let mut observation = healthy();
    if let Observed::Seen { value, .. } = &mut observation.regions.get_mut(&east()).expect("it is there").pool
    {
        value.held = true;
    }
    assert_eq!(actions(&restore(&observation)), [Action::ReleaseWrites { region: east() }]);
    observation.open_operation =
        Observed::Seen { value: Some("op-1".parse().expect("an id")), at: observation.at };
    assert!(restore(&observation).runnable().is_none(), "the operation holds it");
}

#[test]
fn no_gate_is_opened_in_a_region_that_is_not_active_or_not_seen() {
    let other = assess(&healthy(), &request(Kind::Restore, west()));
    assert!(other.blocks.iter().any(|b| b.code == Code::GateMismatch), "{:?}", other.blocks);
    assert!(restore(&dark()).runnable().is_none());
}
