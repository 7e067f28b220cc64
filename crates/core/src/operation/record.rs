//! The words of a journal: what happened to a step, where an operation is heading, and how it came out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::Evidence;
use crate::id::StepId;

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
