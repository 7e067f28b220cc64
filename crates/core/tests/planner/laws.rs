//! Laws for every plan, over every pattern of what was and was not observed.

use std::collections::BTreeSet;

use bascule_core::action::Action;
use bascule_core::id::{RegionName, StepId};
use bascule_core::observation::{GateState, Observation};
use bascule_core::plan::{Kind, Phase, Plan, Step};
use bascule_core::planner::{Assessment, Request};

use crate::{assess, crippled, dark, east, healthy, manifest, request, returned, unseen, west};

const KINDS: [Kind; 3] = [Kind::Switchover, Kind::Failover, Kind::Reinstate];

/// Parts that can be hidden: the store twice, the names, and four parts of each region.
const PARTS: u32 = 11;

fn hide(observation: &mut Observation, mask: u32) {
    let hidden = |part: u32| mask >> part & 1 == 1;
    if hidden(0) {
        observation.tenure = unseen();
    }
    if hidden(1) {
        observation.open_operation = unseen();
    }
    if hidden(2) {
        observation.names.values_mut().flatten().for_each(|a| a.answer = unseen());
    }
    for (first, region) in [(3, east()), (7, west())] {
        let region = observation.regions.get_mut(&region).expect("a region");
        if hidden(first) {
            region.database = unseen();
        }
        if hidden(first + 1) {
            region.gate = unseen();
        }
        if hidden(first + 2) {
            region.pool = unseen();
        }
        if hidden(first + 3) {
            region.compute = unseen();
        }
    }
}

/// Every kind and direction, over every pattern of hidden parts of four sites.
fn everywhere(law: impl Fn(&Observation, &RegionName, Kind, u32, &Assessment)) {
    for start in [healthy, crippled, dark, returned] {
        for mask in 0..1_u32 << PARTS {
            let mut observation = start();
            hide(&mut observation, mask);
            for kind in KINDS {
                for to in [east(), west()] {
                    let found = assess(&observation, &request(kind, to.clone()));
                    law(&observation, &to, kind, mask, &found);
                }
            }
        }
    }
}

fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for start in [healthy, crippled, dark, returned] {
        for kind in KINDS {
            for to in [east(), west()] {
                plans.extend(assess(&start(), &request(kind, to)).plan);
            }
        }
    }
    assert_eq!(plans.len(), 24);
    plans
}

/// All steps that must be done before a step begins.
fn before<'a>(plan: &'a Plan, step: &'a Step) -> Vec<&'a Step> {
    let mut found: BTreeSet<&StepId> = BTreeSet::new();
    let mut queue: Vec<&StepId> = step.needs.iter().collect();
    while let Some(id) = queue.pop() {
        if found.insert(id) {
            queue.extend(plan.step(id).expect("a step of the plan").needs.iter());
        }
    }
    plan.steps.iter().filter(|s| found.contains(&s.id)).collect()
}

#[test]
fn a_plan_is_drawn_and_valid_whatever_is_hidden() {
    everywhere(|_, _, _, mask, found| {
        let known = mask & 1 == 0;
        assert_eq!(found.plan.is_some(), known, "a plan needs the epoch and nothing else");
        if let Some(plan) = &found.plan {
            plan.validate().expect("a valid plan");
        }
    });
}

#[test]
fn unknown_is_not_green() {
    // Who moves away from a region does not ask its instances; who fails away from one asks nothing of it.
    everywhere(|_, to, kind, mask, found| {
        let (theirs, ours) = if *to == west() { (3, 7) } else { (7, 3) };
        let needed = match kind {
            Kind::Switchover => 0b111 | 0b111 << theirs | 0b1111 << ours,
            Kind::Failover => 0b111 | 0b1111 << ours,
            Kind::Reinstate => 0b011 | 0b0001 << theirs | 0b0111 << ours,
            Kind::Restore => 0b011 | 0b0111 << ours,
        };
        assert!(mask & needed == 0 || found.runnable().is_none(), "{kind:?} to {to}, {mask:011b}");
    });
}

#[test]
fn no_step_of_a_failover_needs_the_region_that_is_gone() {
    let mut looked = 0;
    everywhere(|observation, to, kind, _, found| {
        let Some(plan) = found.plan.as_ref().filter(|_| kind == Kind::Failover) else { return };
        let from = if *to == west() { east() } else { west() };
        assert_eq!(plan.from, from);
        let gone = observation.regions[&from].gate.seen().is_none();
        for step in &plan.steps {
            let calls = step.action.calls() == Some(&from);
            let undoes = step.undo.as_ref().is_some_and(|u| u.calls() == Some(&from));
            assert!(!gone || !(calls || undoes), "{} calls {from}", step.id);
            assert!(step.phase < Phase::Commit || !calls, "{} calls {from}", step.id);
        }
    });
    for plan in plans().iter().filter(|p| p.kind == Kind::Failover) {
        looked += plan.steps.len();
    }
    assert!(looked > 50);
}

#[test]
fn a_failover_says_how_much_it_may_lose_and_asks_again_before_its_commit() {
    for accepted in [None, Some(600_000)] {
        let request = Request { accept_loss_ms: accepted, ..request(Kind::Failover, west()) };
        let plan = assess(&dark(), &request).plan.expect("a plan");
        let fork = plan.steps.iter().find_map(|s| match s.action {
            Action::ReadFork { at_most_ms, .. } => Some((s, at_most_ms)),
            _ => None,
        });
        let (fork, at_most_ms) = fork.expect("a fork is read");
        // the objective, or what was accepted, and a second by which clocks may differ
        assert_eq!(at_most_ms, accepted.unwrap_or(5_000) + 1_000);
        let commit = plan.steps.iter().find(|s| s.action.is_commit()).expect("a commit");
        assert!(before(&plan, commit).iter().any(|s| s.id == fork.id));
    }
}

#[test]
fn no_name_moves_before_the_database_behind_it_takes_writes() {
    for plan in plans().iter().filter(|p| p.commits()) {
        let mut moved = 0;
        for step in &plan.steps {
            let Action::MoveName { to, .. } = &step.action else { continue };
            let earlier = before(plan, step);
            let promoted = |s: &&&Step| matches!(&s.action, Action::Promote { region } if region == to);
            let opened = |s: &&&Step| matches!(&s.action, Action::SetGate { region, state: GateState::Local, .. } if region == to);
            assert!(
                earlier.iter().any(|s| promoted(&s)) && earlier.iter().any(|s| opened(&s)),
                "{}",
                step.id
            );
            assert!(earlier.iter().any(|s| s.action.is_commit()), "{}", step.id);
            moved += 1;
        }
        assert_eq!(moved, manifest().names.records.len(), "{:?} moves every name", plan.kind);
    }
}

/// Found here: the names waited for the pool of the region they leave.
#[test]
fn past_the_commit_no_user_waits_for_the_region_that_is_left() {
    for plan in plans().iter().filter(|p| p.commits()) {
        for step in &plan.steps {
            let serves = match &step.action {
                Action::MoveName { .. } | Action::VerifyWrite { .. } | Action::Promote { .. } => true,
                Action::ReleaseWrites { region } => region == &plan.to,
                _ => false,
            };
            let waits = |s: &&Step| s.phase > Phase::Commit && s.action.calls() == Some(&plan.from);
            // Only the clean stop is worth waiting for, and it is given up.
            let on = |s: &&Step| waits(s) && !matches!(s.action, Action::StandDown { .. });
            let wrong = before(plan, step).into_iter().find(on).map(|s| s.id.clone());
            assert!(!serves || wrong.is_none(), "{} waits for {wrong:?}", step.id);
        }
    }
}

#[test]
fn the_new_region_is_promoted_only_with_every_write_and_after_the_commit() {
    for plan in plans().iter().filter(|p| p.kind == Kind::Switchover) {
        let promote =
            plan.steps.iter().find(|s| matches!(s.action, Action::Promote { .. })).expect("it promotes");
        let earlier = before(plan, promote);
        let commit = earlier.iter().find(|s| s.action.is_commit()).expect("it commits first");
        let drained = before(plan, commit);
        let has = |wanted: fn(&Action) -> bool| drained.iter().any(|s| wanted(&s.action));
        assert!(
            has(|a| matches!(a, Action::AwaitReplay { .. })) && has(|a| matches!(a, Action::ReadEnd { .. }))
        );
        assert!(has(|a| matches!(a, Action::SetGate { state: GateState::Closed, .. })));
        assert_eq!(drained.iter().filter(|s| matches!(s.action, Action::HoldWrites { .. })).count(), 2);
    }
}

#[test]
fn every_step_says_why_has_a_bound_and_a_name_of_its_own() {
    for plan in plans() {
        for step in &plan.steps {
            assert!(step.why.len() > 10 && step.bound_ms > 0, "{}", step.id);
        }
        let names: BTreeSet<_> = plan.steps.iter().map(|s| &s.id).collect();
        assert_eq!(names.len(), plan.steps.len());
    }
}

#[test]
fn whatever_is_changed_before_the_commit_can_be_taken_back() {
    for plan in plans().iter().filter(|p| p.commits()) {
        for step in plan.steps.iter().filter(|s| s.phase < Phase::Commit) {
            let wanted = match &step.action {
                Action::HoldWrites { region } => Some(Action::ReleaseWrites { region: region.clone() }),
                // A region that is about to be promoted goes back to passing users on, if it did.
                Action::SetGate { region, epoch, .. } if region == &plan.to => step.undo.as_ref().map(|_| {
                    Action::SetGate { region: region.clone(), state: GateState::Remote, epoch: *epoch }
                }),
                Action::SetGate { region, epoch, .. } => {
                    Some(Action::SetGate { region: region.clone(), state: GateState::Local, epoch: *epoch })
                }
                Action::SetTtl { name, .. } => {
                    let record = manifest().names.records.iter().find(|r| &r.name == name);
                    let ttl_s =
                        u32::try_from(record.expect("a record").ttl.as_secs()).expect("a day at most");
                    Some(Action::SetTtl { name: name.clone(), ttl_s, settle_ms: 0 })
                }
                _ => None,
            };
            assert_eq!(step.undo, wanted, "{}", step.id);
        }
    }
}

/// Undos run from the last step to the first.
#[test]
fn the_active_regions_users_are_let_go_before_the_other_region_is_asked_for_anything() {
    for plan in plans().iter().filter(|p| p.kind == Kind::Switchover) {
        let undo = |region: &RegionName| {
            let wanted = Action::ReleaseWrites { region: region.clone() };
            plan.steps.iter().position(|s| s.undo.as_ref() == Some(&wanted)).expect("a hold")
        };
        assert!(undo(&plan.from) > undo(&plan.to));
    }
}

#[test]
fn the_waits_of_the_drain_together_are_no_longer_than_the_hold() {
    for plan in plans().iter().filter(|p| p.kind == Kind::Switchover) {
        let replay =
            plan.steps.iter().find(|s| matches!(s.action, Action::AwaitReplay { .. })).expect("a replay");
        let Action::AwaitReplay { within_ms, .. } = replay.action else { unreachable!() };
        let drain: Vec<_> = before(plan, replay).into_iter().filter(|s| s.phase == Phase::Drain).collect();
        // The two holds run side by side.
        let holds =
            drain.iter().filter(|s| matches!(s.action, Action::HoldWrites { .. })).map(|s| s.bound_ms).max();
        let rest: u64 =
            drain.iter().filter(|s| !matches!(s.action, Action::HoldWrites { .. })).map(|s| s.bound_ms).sum();
        assert!(holds.unwrap_or(0) + rest + within_ms <= plan.max_pause_ms);
    }
}

#[test]
fn the_times_to_live_are_what_they_were_once_it_is_over() {
    for plan in plans().iter().filter(|p| p.commits()) {
        for record in manifest().names.records.iter().filter(|r| r.move_ttl < r.ttl) {
            let ttl = u32::try_from(record.ttl.as_secs()).expect("a day at most");
            let last = plan.steps.iter().rev().find_map(|s| match &s.action {
                Action::SetTtl { name, ttl_s, .. } | Action::MoveName { name, ttl_s, .. }
                    if name == &record.name =>
                {
                    Some(*ttl_s)
                }
                _ => None,
            });
            assert_eq!(last, Some(ttl), "{:?} leaves {}", plan.kind, record.name);
        }
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    for kind in KINDS {
        let ask = || assess(&healthy(), &request(kind, west()));
        assert_eq!(ask(), ask());
        let hash = |found: Assessment| found.plan.expect("a plan").hash();
        assert_eq!(hash(ask()), hash(ask()));
    }
}

#[test]
fn a_plan_is_read_back_as_it_was_written() {
    for plan in plans() {
        let text = serde_json::to_string(&plan).expect("a plan has only string keys");
        let read = Plan::from_json(&text).expect("it was a plan");
        assert_eq!((read.hash(), &read), (plan.hash(), &plan));
    }
}

#[test]
fn the_predicted_pause_is_the_median_of_those_measured() {
    let mut wish = request(Kind::Switchover, west());
    let predict =
        |wish: &bascule_core::planner::Request| assess(&healthy(), wish).plan.expect("a plan").prediction;
    assert_eq!(predict(&wish).write_pause_ms, None);
    wish.measured_pauses_ms = vec![900, 300, 400];
    assert_eq!(predict(&wish).write_pause_ms, Some(400));
}
