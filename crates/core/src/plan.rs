//! A plan: a DAG of steps with nothing left to decide, and the reasons for each.
//!
//! Invariant: a step needs only steps that stand before it in the list, so a plan cannot have a cycle;
//! [`Plan::validate`] enforces this on plans that were read back from a store.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::id::{Epoch, RegionName, SiteName, StepId};

/// The format in which plans are stored. Older ones are still read.
pub const PLAN_VERSION: u32 = 1;

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A planned move: nothing is lost.
    Switchover,
    /// A move after loss.
    Failover,
    /// A returned region becomes the standby.
    Reinstate,
    /// Gates and pools become what the tenure says again; nothing moves.
    Restore,
}

impl Kind {
    /// The word a person types.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Switchover => "switchover",
            Kind::Failover => "failover",
            Kind::Reinstate => "reinstate",
            Kind::Restore => "restore",
        }
    }
}

/// Which part of a move a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No user sees it.
    Prepare,
    /// Writes are held.
    Drain,
    /// The point of no return.
    Commit,
    /// The new region starts to take writes.
    Open,
    /// Protection is re-established, and the move is verified.
    Settle,
}

impl Phase {
    /// The word on screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Drain => "drain",
            Phase::Commit => "commit",
            Phase::Open => "open",
            Phase::Settle => "settle",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name in the plan.
    pub id: StepId,
    /// The part of the move it belongs to.
    pub phase: Phase,
    /// What it does.
    pub action: Action,
    /// Why it is there, for a person.
    pub why: String,
    /// Steps that must be done before it begins.
    pub needs: Vec<StepId>,
    /// What takes it back if the operation is aborted before the commit point.
    pub undo: Option<Action>,
    /// How long one attempt may take, in milliseconds.
    pub bound_ms: u64,
}

/// What a plan is expected to cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// How long users' writes will wait, in milliseconds; none if nothing is known of it.
    pub write_pause_ms: Option<u64>,
    /// Where that number comes from.
    pub basis: String,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// What it is for.
    pub kind: Kind,
    /// The application.
    pub site: SiteName,
    /// The region that is left (for a reinstate: the region that is active).
    pub from: RegionName,
    /// The region that is moved to (for a reinstate: the region that returns).
    pub to: RegionName,
    /// The epoch it was made on.
    pub base: Epoch,
    /// Longest hold of writes before it lets go, in milliseconds.
    pub max_pause_ms: u64,
    /// Loss that a person accepted, in milliseconds.
    pub accepted_loss_ms: Option<u64>,
    /// Its steps, each after the ones it needs.
    pub steps: Vec<Step>,
    /// What it is expected to cost.
    pub prediction: Prediction,
}

/// Why something that was read as a plan is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// Written by a newer bascule.
    #[error("the plan has format version {0}; this bascule reads version {PLAN_VERSION}")]
    Version(u32),
    /// Two steps of one name.
    #[error("two steps are named {0}")]
    Twice(StepId),
    /// A step needs one that does not stand before it.
    #[error("step {step} needs {needs}, which does not stand before it")]
    Order {
        /// The step.
        step: StepId,
        /// What it needs.
        needs: StepId,
    },
    /// A plan moves the tenure at most once.
    #[error("the plan has {0} commit steps")]
    Commits(usize),
    /// A step after the commit point can't be undone.
    #[error("step {0} follows the commit point and has an undo")]
    UndoAfterCommit(StepId),
    /// Not JSON of a plan at all.
    #[error("not a plan: {0}")]
    Syntax(String),
}

impl Plan {
    /// SHA-256 over the plan's JSON, as lower-case hexadecimal. Field order is the declaration's, and
    /// there is no map in a plan, so equal plans have equal text.
    #[must_use]
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).expect("a plan has only string keys");
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Read a stored plan.
    ///
    /// # Errors
    /// [`InvalidPlan`] if it is not one.
    pub fn from_json(text: &str) -> Result<Self, InvalidPlan> {
        let plan: Plan = serde_json::from_str(text).map_err(|e| InvalidPlan::Syntax(e.to_string()))?;
        plan.validate()?;
        Ok(plan)
    }

    /// Hold the plan to its invariants.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn validate(&self) -> Result<(), InvalidPlan> {
        if self.version != PLAN_VERSION {
            return Err(InvalidPlan::Version(self.version));
        }
        let commits = self.steps.iter().filter(|s| s.action.is_commit()).count();
        if commits > 1 {
            return Err(InvalidPlan::Commits(commits));
        }
        for (index, step) in self.steps.iter().enumerate() {
            let before = &self.steps[..index];
            if before.iter().any(|b| b.id == step.id) {
                return Err(InvalidPlan::Twice(step.id.clone()));
            }
            if let Some(needs) = step.needs.iter().find(|n| !before.iter().any(|b| &b.id == *n)) {
                return Err(InvalidPlan::Order { step: step.id.clone(), needs: needs.clone() });
            }
            if step.undo.is_some() && step.phase >= Phase::Commit {
                return Err(InvalidPlan::UndoAfterCommit(step.id.clone()));
            }
        }
        Ok(())
    }

    /// Whether it moves the tenure. A plan that does not has no point of no return.
    #[must_use]
    pub fn commits(&self) -> bool {
        self.steps.iter().any(|step| step.action.is_commit())
    }

    /// The step of that name.
    #[must_use]
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|s| &s.id == id)
    }
}
