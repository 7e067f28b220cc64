//! A site whose keepers hold the gates: the lost region is waited out, never asked and never vouched for.

use std::time::Duration;

use bascule_core::action::Action;
use bascule_core::manifest::{Automatic, Impaired, Manifest, MaxDataLoss, Mode};
use bascule_core::observation::Observation;
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Assessment, Code};

use crate::{crippled, dark, east, healthy, manifest, request, west};

fn assess(observation: &Observation) -> Assessment {
    let automatic = Automatic {
        mode: Mode::Manual,
        ttl: Duration::from_secs(3),
        cool_down: Duration::from_secs(60),
        impaired_after: Duration::from_secs(10),
        impaired: Impaired::Report,
        max_data_loss: MaxDataLoss::Unlimited,
    };
    let guarded = Manifest { automatic: Some(automatic), ..manifest().clone() };
    planner::plan(&guarded, observation, &request(Kind::Failover, west()))
}

fn plan(observation: &Observation) -> Plan {
    assess(observation).plan.expect("the epoch is known")
}

#[test]
fn a_failover_claims_the_tenure_that_it_waited_out() {
    for observation in [healthy(), crippled(), dark()] {
        let plan = plan(&observation);
        plan.validate().expect("a valid plan");
        let wait = plan.steps.iter().find(|s| matches!(s.action, Action::WaitOut { .. })).expect("a wait");
        let Action::WaitOut { region, epoch, still_ms } = &wait.action else { unreachable!() };
        assert_eq!((region, *epoch), (&east(), plan.base));
        assert!(*still_ms > 3_000 && wait.bound_ms > *still_ms);
        let commit = plan.steps.iter().find(|s| s.action.is_commit()).expect("a commit");
        let Action::Commit { claims, .. } = &commit.action else { unreachable!() };
        assert_eq!(claims.as_ref(), Some(&wait.id));
        assert!(plan.steps.iter().all(|s| !matches!(s.action, Action::ConfirmLost { .. })));
    }
}

#[test]
fn nothing_of_the_lost_region_is_called_even_if_it_answers() {
    for observation in [healthy(), crippled(), dark()] {
        assert!(plan(&observation).steps.iter().all(|s| s.action.calls() != Some(&east())));
    }
}

#[test]
fn a_region_that_nobody_reaches_is_fenced_all_the_same() {
    let found = assess(&dark());
    assert!(found.runnable().is_some(), "{:?}", found.blocks);
    assert!(found.warnings.iter().all(|f| f.code != Code::NotFenced));
}
