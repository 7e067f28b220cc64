//! Laws over every state that a journal can lead to, found by walking all of them.

use std::collections::{BTreeMap, VecDeque};

use bascule_core::action::Evidence;
use bascule_core::id::StepId;
use bascule_core::operation::{Course, Event, Operation, Outcome, Remedy, StepState, Work};
use bascule_core::plan::{Kind, Phase, Plan};

use crate::{events, evidence, ids, plans};

/// Attempts at one step past which the walk does not go: a third attempt differs from the second in its
/// number only.
const ATTEMPTS: u32 = 2;

/// A state, and what really may have happened on the way, kept apart from the machine's own account.
#[derive(Clone)]
struct Reached {
    state: Operation,
    journal: Vec<Event>,
    /// For each step: some attempt was not known to have changed nothing.
    may_have_acted: Vec<bool>,
}

impl Reached {
    fn after(&self, event: &Event) -> Option<Self> {
        let state = self.state.clone().next(event.clone()).ok()?;
        let mut may_have_acted = self.may_have_acted.clone();
        let at =
            |id: &StepId| self.state.plan.steps.iter().position(|s| &s.id == id).expect("a step of the plan");
        match event {
            // Intended while intended: whoever intended it first died, at an unknown moment.
            Event::Intended { step } if matches!(self.state.steps[at(step)], StepState::Intended { .. }) => {
                may_have_acted[at(step)] = true;
            }
            // Said of every attempt, not of the last alone.
            Event::Refuted { step, .. } => may_have_acted[at(step)] = false,
            Event::Unknown { step, .. } => may_have_acted[at(step)] = true,
            Event::Done { step, evidence } if evidence.waived.is_none() => may_have_acted[at(step)] = true,
            Event::Intended { .. }
            | Event::Done { .. }
            | Event::Failed { .. }
            | Event::AbortBegan { .. }
            | Event::UndoIntended { .. }
            | Event::UndoDone { .. }
            | Event::UndoFailed { .. }
            | Event::Ended { .. } => {}
        }
        let journal = [&self.journal[..], std::slice::from_ref(event)].concat();
        Some(Self { state, journal, may_have_acted })
    }

    fn open(&self, index: usize) -> bool {
        matches!(self.state.steps[index], StepState::Intended { .. })
    }
}

fn walk(plan: &Plan) -> Vec<Reached> {
    let start = Reached {
        state: Operation::new(plan.clone()),
        journal: Vec::new(),
        may_have_acted: vec![false; plan.steps.len()],
    };
    let events = events(&ids(plan));
    let mut found: BTreeMap<String, Reached> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(reached) = queue.pop_front() {
        let Operation { steps, undone, course, .. } = &reached.state;
        let key = format!("{steps:?} {undone:?} {course:?} {:?}", reached.may_have_acted);
        if steps.iter().any(|s| s.attempts() > ATTEMPTS) || found.contains_key(&key) {
            continue;
        }
        queue.extend(events.iter().filter_map(|event| reached.after(event)));
        found.insert(key, reached);
    }
    assert!(found.len() > 30, "only {} states reached", found.len());
    found.into_values().collect()
}

fn everywhere(law: impl Fn(&Reached)) {
    for plan in plans() {
        walk(&plan).iter().for_each(&law);
    }
}

#[test]
fn replay_of_the_journal_is_the_live_state() {
    everywhere(|r| {
        let replayed = Operation::replay(r.state.plan.clone(), &r.journal).unwrap();
        assert_eq!(replayed, r.state, "{:?}", r.journal);
        let text = serde_json::to_string(&r.journal).unwrap();
        let read: Vec<Event> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, r.journal, "a journal is read back as it was written");
    });
}

#[test]
fn a_commit_that_may_have_happened_is_never_turned_back() {
    everywhere(|r| {
        let turned = match &r.state.course {
            Course::Forward | Course::Ended { outcome: Outcome::Succeeded | Outcome::Abandoned { .. } } => {
                false
            }
            Course::Aborting { .. } | Course::Ended { outcome: Outcome::Aborted { .. } } => true,
        };
        for (index, step) in r.state.plan.steps.iter().enumerate() {
            let committed = step.action.is_commit() && (r.may_have_acted[index] || r.open(index));
            assert!(!(turned && committed), "turned back after {:?}", r.journal);
        }
    });
}

#[test]
fn past_the_commit_point_abort_is_illegal_and_before_it_legal() {
    everywhere(|r| {
        if r.state.course != Course::Forward {
            return;
        }
        let abort = Event::AbortBegan { why: "asked".to_owned() };
        let verdict = r.state.clone().next(abort);
        let committed = r.state.plan.steps.iter().enumerate().any(|(i, step)| {
            step.phase >= Phase::Commit && (r.may_have_acted[i] || r.open(i)) && r.state.plan.commits()
        });
        assert_eq!(verdict.is_err(), committed, "{:?}", r.journal);
        assert_eq!(r.state.past_return().is_some(), committed, "{:?}", r.journal);
    });
}

/// Before that it can be aborted, or it is not known whether it can.
#[test]
fn only_an_operation_that_is_known_to_have_moved_the_site_is_abandoned() {
    everywhere(|r| {
        let end = Event::Ended { outcome: Outcome::Abandoned { why: "the new region is lost".to_owned() } };
        let verdict = r.state.clone().next(end);
        let moved = r.state.course == Course::Forward && r.state.has_committed();
        assert_eq!(verdict.is_ok(), moved, "{:?}", r.journal);
        if let Ok(ended) = verdict {
            assert!(ended.may_have_promoted() == r.state.may_have_promoted(), "an end promotes nothing");
        }
    });
}

#[test]
fn an_aborted_operation_has_taken_back_all_that_may_have_acted() {
    everywhere(|r| {
        if !matches!(&r.state.course, Course::Ended { outcome: Outcome::Aborted { .. } }) {
            return;
        }
        for (index, step) in r.state.plan.steps.iter().enumerate() {
            let acted = r.may_have_acted[index] || r.open(index);
            let owed = step.undo.is_some() && acted;
            assert!(!owed || r.state.undone[index], "{} was left behind by {:?}", step.id, r.journal);
        }
    });
}

#[test]
fn a_step_is_never_taken_back_before_a_later_one() {
    everywhere(|r| {
        for (index, step) in r.state.plan.steps.iter().enumerate() {
            let undo = Event::UndoDone { step: step.id.clone(), evidence: evidence() };
            if r.state.clone().next(undo).is_err() {
                continue;
            }
            for later in index + 1..r.state.steps.len() {
                let owed = r.state.plan.steps[later].undo.is_some() && r.state.steps[later].may_have_acted();
                assert!(!owed || r.state.undone[later], "{} went first in {:?}", step.id, r.journal);
            }
        }
    });
}

#[test]
fn success_means_that_every_step_is_done_or_was_one_that_could_be_given_up() {
    everywhere(|r| {
        let done = |s: &StepState| matches!(s, StepState::Done { .. });
        let success = r.state.clone().next(Event::Ended { outcome: Outcome::Succeeded });
        let all = r.state.steps.iter().all(done) && r.state.course == Course::Forward;
        assert_eq!(success.is_ok(), all);
        for (step, state) in r.state.plan.steps.iter().zip(&r.state.steps) {
            if let StepState::Done { evidence: Evidence { waived: Some(_), .. } } = state {
                assert_eq!(r.state.plan.kind, Kind::Switchover);
                assert_eq!(step.action.calls(), Some(&r.state.plan.from), "{} was given up", step.id);
                assert!(step.phase > Phase::Commit);
            }
        }
    });
}

#[test]
fn a_step_is_begun_only_when_all_it_needs_is_done() {
    everywhere(|r| {
        for (step, state) in r.state.plan.steps.iter().zip(&r.state.steps) {
            let begun = *state != StepState::Pending;
            assert!(!begun || step.needs.iter().all(|n| r.state.is_done(n)), "{:?}", r.journal);
        }
    });
}

#[test]
fn what_has_ended_takes_no_event() {
    everywhere(|r| {
        if matches!(r.state.course, Course::Ended { .. }) {
            assert_eq!(r.state.work(&[]), Work::Nothing);
            for event in events(&ids(&r.state.plan)) {
                assert!(r.state.clone().next(event).is_err());
            }
        }
    });
}

/// From every reachable state, doing what `work` says, each attempt succeeding, leads to an end.
#[test]
fn work_always_makes_progress_and_all_of_it_is_legal() {
    everywhere(|r| {
        let mut state = r.state.clone();
        // Each step is performed or taken back at most once, and there is one end.
        for _ in 0..=2 * state.steps.len() + 1 {
            let next: Vec<Event> = match state.work(&[]) {
                Work::Nothing => {
                    assert!(matches!(state.course, Course::Ended { .. }));
                    return;
                }
                Work::End(outcome) => vec![Event::Ended { outcome }],
                Work::Undo(step) => vec![
                    Event::UndoIntended { step: step.clone() },
                    Event::UndoDone { step, evidence: evidence() },
                ],
                Work::Perform(steps) => {
                    assert!(!steps.is_empty(), "nothing to do and no end in {state:?}");
                    let pair = |step: &StepId| {
                        let done = Event::Done { step: step.clone(), evidence: evidence() };
                        [Event::Intended { step: step.clone() }, done]
                    };
                    steps.iter().flat_map(pair).collect()
                }
            };
            state = next.into_iter().fold(state, |s, e| s.next(e).unwrap());
        }
        panic!("no end after {:?}", r.journal);
    });
}

#[test]
fn work_never_hands_out_what_is_in_flight_done_or_not_ready() {
    everywhere(|r| {
        let all = ids(&r.state.plan);
        for mask in 0..1_usize << all.len() {
            let in_flight: Vec<StepId> =
                all.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, s)| s.clone()).collect();
            let Work::Perform(ready) = r.state.work(&in_flight) else { continue };
            for step in &ready {
                assert!(!in_flight.contains(step) && !r.state.is_done(step));
                let intend = Event::Intended { step: step.clone() };
                assert!(r.state.clone().next(intend).is_ok(), "{step} in {:?}", r.journal);
            }
        }
    });
}

#[test]
fn the_remedy_is_always_one_that_the_machine_admits() {
    everywhere(|r| {
        if r.state.course != Course::Forward {
            return;
        }
        for step in ids(&r.state.plan) {
            for attempts in 0..=9 {
                let next = match r.state.remedy(&step, attempts) {
                    None | Some(Remedy::Stall { .. }) => continue,
                    Some(Remedy::Retry) => Event::Intended { step: step.clone() },
                    Some(Remedy::Abort { why }) => Event::AbortBegan { why },
                    Some(Remedy::Waive { why }) => {
                        Event::Done { step: step.clone(), evidence: Evidence::waived(why) }
                    }
                };
                assert!(r.state.clone().next(next.clone()).is_ok(), "{next:?} after {:?}", r.journal);
            }
        }
    });
}

#[test]
fn no_step_is_retried_for_ever() {
    everywhere(|r| {
        for step in ids(&r.state.plan) {
            assert_ne!(r.state.remedy(&step, 9), Some(Remedy::Retry));
        }
    });
}

#[test]
fn a_takeover_never_goes_on_holding_writes_nor_trusts_an_old_look_at_a_lost_region() {
    everywhere(|r| {
        let before = r.state.course == Course::Forward && r.state.past_return().is_none();
        let begun = r.state.steps.iter().any(|s| *s != StepState::Pending);
        let must = before && (r.state.holds_writes() || r.state.plan.kind == Kind::Failover && begun);
        match r.state.on_takeover() {
            Some(event) => {
                assert!(must, "turned back without need after {:?}", r.journal);
                assert!(r.state.clone().next(event).is_ok());
            }
            None => assert!(!must, "went on after {:?}", r.journal),
        }
    });
}

#[test]
fn a_reinstate_can_always_be_given_up() {
    for plan in plans().iter().filter(|p| p.kind == Kind::Reinstate) {
        for r in walk(plan) {
            if r.state.course == Course::Forward {
                assert!(r.state.clone().next(Event::AbortBegan { why: "asked".to_owned() }).is_ok());
            }
        }
    }
}

/// Found here: the second attempt's refusal hid that the first may have committed, and the operation
/// turned back, opening the old region beside the new one.
#[test]
fn a_refused_second_commit_does_not_unsay_an_unanswered_first() {
    let plan = plans().remove(0);
    let commit = || "commit".parse::<StepId>().unwrap();
    let hold = || "hold".parse::<StepId>().unwrap();
    let journal = [
        Event::Intended { step: hold() },
        Event::Done { step: hold(), evidence: evidence() },
        Event::Intended { step: commit() },
        Event::Unknown { step: commit(), why: "the store did not answer".to_owned() },
        Event::Intended { step: commit() },
        Event::Failed { step: commit(), why: "the store is damaged".to_owned() },
    ];
    let state = Operation::replay(plan, &journal).unwrap();
    assert_eq!(state.past_return().map(|s| s.id.clone()), Some(commit()));
    assert_eq!(state.remedy(&commit(), 2), Some(Remedy::Retry));
    assert!(state.next(Event::AbortBegan { why: "asked".to_owned() }).is_err());
}

/// Found by the model checker: an operation that claimed at renewals which had grown could neither end nor
/// be taken back, once a controller had died at its commit.
#[test]
fn a_claim_that_the_store_refutes_is_taken_back_whatever_became_of_earlier_attempts() {
    let plan = plans().remove(0);
    let commit = || "commit".parse::<StepId>().unwrap();
    let hold = || "hold".parse::<StepId>().unwrap();
    let journal = [
        Event::Intended { step: hold() },
        Event::Done { step: hold(), evidence: evidence() },
        Event::Intended { step: commit() },
        Event::Intended { step: commit() },
        Event::Refuted { step: commit(), why: "it has renewed".to_owned() },
    ];
    let state = Operation::replay(plan, &journal).unwrap();
    assert_eq!(state.past_return(), None);
    assert!(matches!(state.remedy(&commit(), 1), Some(Remedy::Abort { .. })));
}
