//! Every state × every event: the machine's verdict is the table's.
//!
//! The states are put together by hand, reachable or not, so that nothing hides behind a path that the
//! machine itself forbids. The table below is written from the documentation, not from the code.

use bascule_core::action::Evidence;
use bascule_core::operation::{Course, Event, Operation, Outcome, StepState};
use bascule_core::plan::{Kind, Phase};

use crate::{events, evidence, ids, plans};

fn step_states() -> Vec<StepState> {
    let why = || "because".to_owned();
    vec![
        StepState::Pending,
        StepState::Intended { attempt: 1, doubt: false },
        StepState::Intended { attempt: 2, doubt: true },
        StepState::Done { evidence: evidence() },
        StepState::Done { evidence: Evidence::waived("gone") },
        StepState::Failed { attempt: 1, why: why() },
        StepState::Unknown { attempt: 1, why: why() },
    ]
}

fn courses() -> Vec<Course> {
    let why = || "because".to_owned();
    vec![
        Course::Forward,
        Course::Aborting { why: why() },
        Course::Ended { outcome: Outcome::Succeeded },
        Course::Ended { outcome: Outcome::Aborted { why: why() } },
        Course::Ended { outcome: Outcome::Abandoned { why: why() } },
    ]
}

fn done(state: &StepState) -> bool {
    matches!(state, StepState::Done { .. })
}

fn acted(state: &StepState) -> bool {
    matches!(state, StepState::Intended { .. } | StepState::Done { .. } | StepState::Unknown { .. })
}

/// What the documentation says of an event in a state.
fn legal(now: &Operation, event: &Event) -> bool {
    let steps = &now.plan.steps;
    let at = |id| steps.iter().position(|s| &s.id == id);
    let owed = |i: usize| steps[i].undo.is_some() && acted(&now.steps[i]) && !now.undone[i];
    let next_undo = (0..steps.len()).rev().find(|&i| owed(i));
    let commits = steps.iter().any(|s| s.phase == Phase::Commit);
    let returned =
        commits && steps.iter().zip(&now.steps).any(|(s, state)| s.phase >= Phase::Commit && acted(state));
    let forward = now.course == Course::Forward;
    let aborting = matches!(now.course, Course::Aborting { .. });
    match event {
        Event::Intended { step } => {
            forward
                && at(step).is_some_and(|i| {
                    !done(&now.steps[i])
                        && steps[i]
                            .needs
                            .iter()
                            .all(|need| done(&now.steps[at(need).expect("a step of the plan")]))
                })
        }
        Event::Done { step, evidence } if evidence.waived.is_some() => {
            forward
                && now.plan.kind == Kind::Switchover
                && at(step).is_some_and(|i| {
                    steps[i].phase > Phase::Commit
                        && steps[i].action.calls() == Some(&now.plan.from)
                        && matches!(now.steps[i], StepState::Failed { .. } | StepState::Unknown { .. })
                })
        }
        Event::Refuted { step, .. } => {
            forward
                && at(step).is_some_and(|i| {
                    steps[i].action.is_commit() && matches!(now.steps[i], StepState::Intended { .. })
                })
        }
        Event::Done { step, .. } | Event::Failed { step, .. } | Event::Unknown { step, .. } => {
            forward && at(step).is_some_and(|i| matches!(now.steps[i], StepState::Intended { .. }))
        }
        Event::AbortBegan { .. } => forward && !returned,
        Event::UndoIntended { step } | Event::UndoDone { step, .. } | Event::UndoFailed { step, .. } => {
            aborting && next_undo.is_some() && at(step) == next_undo
        }
        Event::Ended { outcome: Outcome::Succeeded } => forward && now.steps.iter().all(done),
        Event::Ended { outcome: Outcome::Aborted { .. } } => aborting && next_undo.is_none(),
        Event::Ended { outcome: Outcome::Abandoned { .. } } => {
            forward && steps.iter().zip(&now.steps).any(|(s, state)| s.action.is_commit() && done(state))
        }
    }
}

/// All ways to choose one of `choices` for each of `places`.
fn choose<T: Clone>(choices: &[T], places: usize) -> Vec<Vec<T>> {
    (0..places).fold(vec![vec![]], |all, _| {
        let with = |row: &Vec<T>| {
            choices.iter().map(|c| [&row[..], std::slice::from_ref(c)].concat()).collect::<Vec<_>>()
        };
        all.iter().flat_map(with).collect()
    })
}

#[test]
fn every_state_admits_exactly_the_events_of_the_table() {
    let mut pairs = 0_u32;
    let mut admitted = 0_u32;
    for plan in plans() {
        let count = plan.steps.len();
        let mut named = ids(&plan);
        named.push("nobody".parse().unwrap());
        let events = events(&named);
        for steps in choose(&step_states(), count) {
            for undone in choose(&[false, true], count) {
                for course in courses() {
                    let now = Operation {
                        plan: plan.clone(),
                        steps: steps.clone(),
                        undone: undone.clone(),
                        course,
                    };
                    for event in &events {
                        let verdict = now.clone().next(event.clone());
                        assert_eq!(verdict.is_ok(), legal(&now, event), "{event:?} in {now:?}: {verdict:?}");
                        pairs += 1;
                        admitted += u32::from(verdict.is_ok());
                    }
                }
            }
        }
    }
    assert!(
        pairs > 1_000_000 && admitted > 20_000,
        "{pairs} pairs, {admitted} admitted: too few to mean much"
    );
}

#[test]
fn an_event_changes_only_what_it_is_about() {
    for plan in plans() {
        let ids = ids(&plan);
        for steps in choose(&step_states(), ids.len()) {
            let now = Operation {
                plan: plan.clone(),
                undone: vec![false; ids.len()],
                steps,
                course: Course::Forward,
            };
            for event in events(&ids) {
                let Ok(after) = now.clone().next(event.clone()) else { continue };
                let about = match &event {
                    Event::Intended { step }
                    | Event::Done { step, .. }
                    | Event::Failed { step, .. }
                    | Event::Refuted { step, .. }
                    | Event::Unknown { step, .. }
                    | Event::UndoIntended { step }
                    | Event::UndoDone { step, .. }
                    | Event::UndoFailed { step, .. } => Some(step),
                    Event::AbortBegan { .. } | Event::Ended { .. } => None,
                };
                for (i, id) in ids.iter().enumerate() {
                    assert!(Some(id) == about || now.steps[i] == after.steps[i], "{event:?} changed {id}");
                }
                assert_eq!(now.plan, after.plan);
            }
        }
    }
}
