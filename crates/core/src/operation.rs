//! One execution of a plan, as a state machine.
//!
//! Invariant: the state is what folding [`Operation::next`] over the journal gives, and nothing else; the
//! executor, a resuming controller, the simulation and the tests all call this one function.
//!
//! The race it handles: a controller dies between writing an intent and writing its outcome. Such a step
//! stays `Intended`; whoever takes over performs it again (steps are idempotent), and never undoes it
//! blindly. Once the commit step is intended the operation only goes forward, unless that step is known
//! to have failed without effect: in *every* attempt, for a later refusal says nothing of an earlier
//! attempt whose answer was lost. One refusal says so all the same (`Refuted`): a claim at renewals that
//! have grown can succeed no more, in none of its attempts. Without it an operation whose region lives after
//! all could neither end nor be taken back.
//!
//! Past the commit there is one way to end without reaching the goal: the region that was made active is
//! itself lost, and an operation that needs it would block the failover away from it (`Abandoned`). Legal
//! only once the commit is known to be done; that the region is lost its caller has to know.
//!
//! What it leaves out: a plan without a commit step (a reinstate) has no point of no return and can
//! always be given up; nothing users need hangs on it.

mod ask;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::Evidence;
use crate::id::StepId;
use crate::plan::Plan;

/// Attempts that one controller makes at a step before it stops and asks for a person. With the pauses of
/// [`retry_after_ms`] they span 8.5 s: more than a Patroni loop and a leader change at the lab's settings.
pub const ATTEMPTS_MAX: u32 = 5;

/// Attempts at stopping the old primary cleanly while users wait. It saves a rewind and no write, and the
/// gate is closed already: three attempts, 0.5 s of pauses and at worst 2.5 s each, are worth that.
pub const HELD_ATTEMPTS_MAX: u32 = 3;

/// Attempts at a step that waits by itself for minutes, and for which nobody waits.
pub const WAITING_ATTEMPTS_MAX: u32 = 2;

/// Pause before the attempt after `attempt`, in milliseconds: 100, 400, 1600, 6400. The first is short,
/// since users' writes may be held meanwhile.
#[must_use]
pub fn retry_after_ms(attempt: u32) -> u64 {
    100 << (2 * attempt.saturating_sub(1)).min(6)
}

/// What is known of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun; its outcome is not recorded.
    Intended {
        /// Which attempt this is, from 1.
        attempt: u32,
        /// Whether an earlier attempt may have changed something: then this one's failure is no proof
        /// that nothing was changed.
        doubt: bool,
    },
    /// Done, with the proof; or given up, with [`Evidence::waived`].
    Done {
        /// The proof.
        evidence: Evidence,
    },
    /// Known to have changed nothing.
    Failed {
        /// Attempts made.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// It may have changed something.
    Unknown {
        /// Attempts made.
        attempt: u32,
        /// Why it is not known.
        why: String,
    },
}

impl StepState {
    /// Whether the step may have had an effect.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match self {
            StepState::Pending | StepState::Failed { .. } => false,
            StepState::Intended { .. } | StepState::Done { .. } | StepState::Unknown { .. } => true,
        }
    }

    /// Attempts made so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            StepState::Pending | StepState::Done { .. } => 0,
            StepState::Intended { attempt, .. }
            | StepState::Failed { attempt, .. }
            | StepState::Unknown { attempt, .. } => *attempt,
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Every step is done.
    Succeeded,
    /// Everything that was begun was taken back. (A reinstate has nothing to take back: the region stays
    /// closed and can be reinstated anew.)
    Aborted {
        /// Why.
        why: String,
    },
    /// It was past its commit point, and the region it made active is lost: what is left is not done, and
    /// nothing was taken back. The way on is a failover, or, if that region returns, a restore.
    Abandoned {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Succeeded => f.write_str("succeeded"),
            Outcome::Aborted { why } => write!(f, "aborted: {why}"),
            Outcome::Abandoned { why } => write!(f, "abandoned: {why}"),
        }
    }
}

/// Where an operation is heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Course {
    /// Towards the other region.
    Forward,
    /// Back to where it was.
    Aborting {
        /// Why.
        why: String,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// What the journal records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A step is about to be performed.
    Intended {
        /// Which.
        step: StepId,
    },
    /// A step was performed and seen to be done.
    Done {
        /// Which.
        step: StepId,
        /// The proof.
        evidence: Evidence,
    },
    /// A step changed nothing.
    Failed {
        /// Which.
        step: StepId,
        /// Why.
        why: String,
    },
    /// The commit changed nothing in *any* of its attempts, and none that is still on its way will: the
    /// store has seen that what they all claim is no longer so.
    Refuted {
        /// Which.
        step: StepId,
        /// Why.
        why: String,
    },
    /// A step may have changed something.
    Unknown {
        /// Which.
        step: StepId,
        /// Why it is not known.
        why: String,
    },
    /// The operation turns back.
    AbortBegan {
        /// Why.
        why: String,
    },
    /// A step is about to be taken back.
    UndoIntended {
        /// Which.
        step: StepId,
    },
    /// A step was taken back.
    UndoDone {
        /// Which.
        step: StepId,
        /// The proof.
        evidence: Evidence,
    },
    /// Taking a step back did not work; it will be tried again.
    UndoFailed {
        /// Which.
        step: StepId,
        /// Why.
        why: String,
    },
    /// The operation is over.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// Why an event does not follow from a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The plan has no such step.
    #[error("the plan has no step {0}")]
    NoSuchStep(StepId),
    /// The step's state does not admit the event.
    #[error("step {step} can't be {event} when it is {state}")]
    Step {
        /// Which step.
        step: StepId,
        /// What was to happen.
        event: &'static str,
        /// What it is.
        state: String,
    },
    /// The step needs one that is not done.
    #[error("step {step} needs {needs}, which is not done")]
    NotReady {
        /// Which step.
        step: StepId,
        /// What it needs.
        needs: StepId,
    },
    /// The operation is heading elsewhere.
    #[error("{event} can't happen while the operation is {course}")]
    Course {
        /// What was to happen.
        event: &'static str,
        /// Where it is heading.
        course: String,
    },
    /// The point of no return is passed.
    #[error("step {0} lies past the point of no return; the operation only goes forward")]
    PastCommit(StepId),
    /// Only what the users of the new region can do without may be given up.
    #[error("step {0} can't be given up")]
    NotWaivable(StepId),
    /// The outcome claimed is not the one reached.
    #[error("the operation can't end like that: {0} is left to do")]
    NotEnded(StepId),
}

/// What remains to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Perform these steps, side by side; empty when all that can run is running.
    Perform(Vec<StepId>),
    /// Take this step back.
    Undo(StepId),
    /// Record the end.
    End(Outcome),
    /// Nothing: it is over.
    Nothing,
}

/// What to do about a step that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Try it again after [`retry_after_ms`].
    Retry,
    /// Turn back.
    Abort {
        /// Why.
        why: String,
    },
    /// Give the step up and go on: the region that is left does not do its part, and users of the new one
    /// can do without. A reinstate makes up for it later.
    Waive {
        /// Why.
        why: String,
    },
    /// Stop here and ask for a person: `resume` goes on.
    Stall {
        /// Why.
        why: String,
    },
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What it executes.
    pub plan: Plan,
    /// The state of each step, in the plan's order.
    pub steps: Vec<StepState>,
    /// Which steps were taken back, in the plan's order.
    pub undone: Vec<bool>,
    /// Where it is heading.
    pub course: Course,
}

impl Operation {
    /// An operation of which nothing is done.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let count = plan.steps.len();
        Self {
            plan,
            steps: vec![StepState::Pending; count],
            undone: vec![false; count],
            course: Course::Forward,
        }
    }

    /// The state that a journal leads to.
    ///
    /// # Errors
    /// The first event that does not follow: the journal is damaged.
    pub fn replay<'a>(plan: Plan, events: impl IntoIterator<Item = &'a Event>) -> Result<Self, Illegal> {
        events.into_iter().try_fold(Self::new(plan), |state, event| state.next(event.clone()))
    }

    /// The state after an event.
    ///
    /// # Errors
    /// [`Illegal`] when the event does not follow from this state.
    pub fn next(mut self, event: Event) -> Result<Self, Illegal> {
        self.check_course(&event)?;
        match event {
            Event::Intended { step } => self.intend(&step)?,
            Event::Done { step, evidence } => {
                let index = match &evidence.waived {
                    None => self.acting(&step, "done")?,
                    Some(_) => self.waivable(&step)?,
                };
                self.steps[index] = StepState::Done { evidence };
            }
            Event::Failed { step, why } => {
                let index = self.acting(&step, "failed")?;
                let attempt = self.steps[index].attempts();
                self.steps[index] = match self.steps[index] {
                    StepState::Intended { doubt: true, .. } => StepState::Unknown { attempt, why },
                    StepState::Intended { doubt: false, .. }
                    | StepState::Pending
                    | StepState::Done { .. }
                    | StepState::Failed { .. }
                    | StepState::Unknown { .. } => StepState::Failed { attempt, why },
                };
            }
            Event::Refuted { step, why } => {
                let index = self.acting(&step, "refuted")?;
                if !self.plan.steps[index].action.is_commit() {
                    return Err(self.illegal_step(index, "refuted"));
                }
                self.steps[index] = StepState::Failed { attempt: self.steps[index].attempts(), why };
            }
            Event::Unknown { step, why } => {
                let index = self.acting(&step, "unknown")?;
                self.steps[index] = StepState::Unknown { attempt: self.steps[index].attempts(), why };
            }
            Event::AbortBegan { why } => {
                if let Some(step) = self.past_return() {
                    return Err(Illegal::PastCommit(step.id.clone()));
                }
                self.course = Course::Aborting { why };
            }
            Event::UndoIntended { step } | Event::UndoFailed { step, .. } => {
                self.undoable(&step)?;
            }
            Event::UndoDone { step, .. } => {
                let index = self.undoable(&step)?;
                self.undone[index] = true;
            }
            Event::Ended { outcome } => self.end(outcome)?,
        }
        Ok(self)
    }

    fn check_course(&self, event: &Event) -> Result<(), Illegal> {
        let name = event_name(event);
        let fits = match (event, &self.course) {
            (_, Course::Ended { .. }) => false,
            (
                Event::Intended { .. }
                | Event::Done { .. }
                | Event::Failed { .. }
                | Event::Refuted { .. }
                | Event::Unknown { .. }
                | Event::AbortBegan { .. },
                Course::Forward,
            ) => true,
            (
                Event::UndoIntended { .. } | Event::UndoDone { .. } | Event::UndoFailed { .. },
                Course::Aborting { .. },
            ) => true,
            (Event::Ended { .. }, Course::Forward | Course::Aborting { .. }) => true,
            (
                Event::Intended { .. }
                | Event::Done { .. }
                | Event::Failed { .. }
                | Event::Refuted { .. }
                | Event::Unknown { .. }
                | Event::AbortBegan { .. },
                Course::Aborting { .. },
            )
            | (
                Event::UndoIntended { .. } | Event::UndoDone { .. } | Event::UndoFailed { .. },
                Course::Forward,
            ) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Illegal::Course { event: name, course: self.course_word().to_owned() })
        }
    }

    fn index(&self, step: &StepId) -> Result<usize, Illegal> {
        self.plan.steps.iter().position(|s| &s.id == step).ok_or_else(|| Illegal::NoSuchStep(step.clone()))
    }

    fn intend(&mut self, step: &StepId) -> Result<(), Illegal> {
        let index = self.index(step)?;
        if let Some(needs) = self.plan.steps[index].needs.iter().find(|n| !self.is_done(n)) {
            return Err(Illegal::NotReady { step: step.clone(), needs: needs.clone() });
        }
        match &self.steps[index] {
            StepState::Done { .. } => Err(self.illegal_step(index, "intended")),
            // Intended again: the one who intended it before is gone, and this one performs it anew.
            state @ (StepState::Pending
            | StepState::Intended { .. }
            | StepState::Failed { .. }
            | StepState::Unknown { .. }) => {
                self.steps[index] =
                    StepState::Intended { attempt: state.attempts() + 1, doubt: state.may_have_acted() };
                Ok(())
            }
        }
    }

    fn acting(&self, step: &StepId, event: &'static str) -> Result<usize, Illegal> {
        let index = self.index(step)?;
        match &self.steps[index] {
            StepState::Intended { .. } => Ok(index),
            StepState::Pending
            | StepState::Done { .. }
            | StepState::Failed { .. }
            | StepState::Unknown { .. } => Err(self.illegal_step(index, event)),
        }
    }

    fn waivable(&self, step: &StepId) -> Result<usize, Illegal> {
        let index = self.index(step)?;
        match &self.steps[index] {
            StepState::Failed { .. } | StepState::Unknown { .. } => {}
            StepState::Pending | StepState::Intended { .. } | StepState::Done { .. } => {
                return Err(self.illegal_step(index, "given up"));
            }
        }
        if self.may_go_without(&self.plan.steps[index]) {
            Ok(index)
        } else {
            Err(Illegal::NotWaivable(step.clone()))
        }
    }

    fn undoable(&self, step: &StepId) -> Result<usize, Illegal> {
        let index = self.index(step)?;
        if self.next_undo() == Some(index) { Ok(index) } else { Err(self.illegal_step(index, "taken back")) }
    }

    fn end(&mut self, outcome: Outcome) -> Result<(), Illegal> {
        let left = match &outcome {
            Outcome::Succeeded => match self.course {
                Course::Forward => self.steps.iter().position(|s| !matches!(s, StepState::Done { .. })),
                Course::Aborting { .. } | Course::Ended { .. } => Some(0),
            },
            Outcome::Aborted { .. } => match self.course {
                Course::Aborting { .. } => self.next_undo(),
                Course::Forward | Course::Ended { .. } => Some(0),
            },
            // Before it is known that the commit is done, the operation is aborted or resumed.
            Outcome::Abandoned { .. } => match self.course {
                Course::Forward if self.has_committed() => None,
                Course::Forward | Course::Aborting { .. } | Course::Ended { .. } => {
                    Some(self.commit().unwrap_or(0))
                }
            },
        };
        if let Some(step) = left.and_then(|index| self.plan.steps.get(index)) {
            return Err(Illegal::NotEnded(step.id.clone()));
        }
        self.course = Course::Ended { outcome };
        Ok(())
    }

    fn illegal_step(&self, index: usize, event: &'static str) -> Illegal {
        let state = match &self.steps[index] {
            StepState::Pending => "pending",
            StepState::Intended { .. } => "intended",
            StepState::Done { .. } => "done",
            StepState::Failed { .. } => "failed",
            StepState::Unknown { .. } => "unknown",
        };
        let state = if self.undone[index] { "taken back" } else { state };
        Illegal::Step { step: self.plan.steps[index].id.clone(), event, state: state.to_owned() }
    }
}

/// The word for an event, in errors and at crash points.
#[must_use]
pub fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Intended { .. } => "intent",
        Event::Done { .. } => "done",
        Event::Failed { .. } => "failed",
        Event::Refuted { .. } => "refuted",
        Event::Unknown { .. } => "unknown",
        Event::AbortBegan { .. } => "abort",
        Event::UndoIntended { .. } => "undo-intent",
        Event::UndoDone { .. } => "undo-done",
        Event::UndoFailed { .. } => "undo-failed",
        Event::Ended { .. } => "end",
    }
}
