//! A site whose keepers hold the gates: the lost region is waited out, never asked and never vouched for.

use std::time::Duration;

use bascule_core::action::Action;
use bascule_core::manifest::{Automatic, Impaired, Manifest, MaxDataLoss, Mode};
use bascule_core::observation::{Observation, Observed};
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Assessment, Code};
use bascule_core::position::{Lsn, Position};

use crate::{crippled, dark, east, healthy, manifest, request, west};

fn automatic() -> Automatic {
    Automatic {
        mode: Mode::Manual,
        ttl: Duration::from_secs(3),
        cool_down: Duration::from_secs(60),
        impaired_after: Duration::from_secs(10),
        impaired: Impaired::Report,
        max_data_loss: MaxDataLoss::Unlimited,
    }
}

fn assess(observation: &Observation) -> Assessment {
    let guarded = Manifest { automatic: Some(automatic()), ..manifest().clone() };
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

/// Its load balancer is gone, its keepers let go: users can't write there, and its database shows what they wrote.
#[test]
fn a_primary_that_is_left_alive_shows_how_little_is_lost() {
    let mut observation = healthy();
    let age = |observation: &mut Observation, lsn: u64| {
        let west = observation.regions.get_mut(&west()).expect("it is there");
        if let Observed::Seen { value, .. } = &mut west.database {
            value.newest_replayed_age_ms = Some(60_000);
            value.position = value.position.map(|at| Position { lsn: Lsn(lsn), ..at });
        }
    };
    age(&mut observation, 5_000);
    assert!(assess(&observation).runnable().is_some(), "{:?}", assess(&observation).blocks);
    age(&mut observation, 4_999);
    let codes: Vec<Code> = assess(&observation).blocks.iter().map(|b| b.code).collect();
    assert_eq!(codes, [Code::LossOverObjective], "a byte that is missing may be an hour of writes");
}

#[test]
fn what_a_limit_costs_is_said_beforehand() {
    let said = |limit| {
        let policy = Automatic { max_data_loss: limit, ..automatic() };
        let guarded = Manifest { automatic: Some(policy), ..manifest().clone() };
        let found = planner::plan(&guarded, &healthy(), &request(Kind::Switchover, west()));
        assert!(found.runnable().is_some());
        found.warnings.iter().find(|w| w.code == Code::WritesWait).map(|w| w.message.clone())
    };
    assert_eq!(said(MaxDataLoss::Unlimited), None);
    let each = said(MaxDataLoss::Bytes(0)).expect("a warning");
    assert!(
        each.contains("each write in us-west-1 waits until us-east-2") && each.contains("31.0 ms"),
        "{each}"
    );
    let some = said(MaxDataLoss::Bytes(16_000_000)).expect("a warning");
    assert!(some.contains("16000000 bytes or more behind"), "{some}");
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
