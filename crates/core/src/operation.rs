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
mod record;

use crate::id::StepId;
use crate::plan::Plan;
pub use record::{Course, Event, Illegal, Outcome, StepState, event_name};

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
