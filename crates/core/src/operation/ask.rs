//! What a state means: what remains, what to do about trouble, whether there is a way back.
//!
//! Invariant: every answer given here is an event that [`Operation::next`] admits. Nothing here changes a
//! state.

use super::{
    ATTEMPTS_MAX, Course, Event, HELD_ATTEMPTS_MAX, Operation, Outcome, Remedy, StepState,
    WAITING_ATTEMPTS_MAX, Work,
};
use crate::action::{Action, Evidence};
use crate::id::StepId;
use crate::plan::{Kind, Phase, Step};

impl Operation {
    /// The last step that must still be taken back, if any: undos run one by one, newest first.
    pub(super) fn next_undo(&self) -> Option<usize> {
        (0..self.steps.len())
            .rev()
            .find(|&i| self.plan.steps[i].undo.is_some() && self.steps[i].may_have_acted() && !self.undone[i])
    }

    /// The first step at or past the commit phase that may have acted: once there is one, the operation
    /// can't be aborted. A plan that moves no tenure has no such point.
    #[must_use]
    pub fn past_return(&self) -> Option<&Step> {
        if !self.plan.commits() {
            return None;
        }
        self.plan
            .steps
            .iter()
            .zip(&self.steps)
            .find(|(step, state)| step.phase >= Phase::Commit && state.may_have_acted())
            .map(|(step, _)| step)
    }

    /// The commit step, if the plan has one.
    pub(super) fn commit(&self) -> Option<usize> {
        self.plan.steps.iter().position(|step| step.action.is_commit())
    }

    /// Whether it is known that the commit was made.
    #[must_use]
    pub fn has_committed(&self) -> bool {
        self.commit().is_some_and(|index| matches!(self.steps[index], StepState::Done { .. }))
    }

    /// Whether a region may have been made a primary by this operation.
    #[must_use]
    pub fn may_have_promoted(&self) -> bool {
        let promotes = |step: &Step| matches!(step.action, Action::Promote { .. });
        self.plan.steps.iter().zip(&self.steps).any(|(step, state)| promotes(step) && state.may_have_acted())
    }

    /// Past the commit point, what a switchover still asks of the region it left: users of the new region
    /// can do without it. Its gate was closed before the commit, so it takes no writes either way.
    pub(super) fn may_go_without(&self, step: &Step) -> bool {
        self.plan.kind == Kind::Switchover
            && step.phase > Phase::Commit
            && step.action.calls() == Some(&self.plan.from)
    }

    /// Whether writes may be held at this moment because of this operation.
    #[must_use]
    pub fn holds_writes(&self) -> bool {
        self.plan
            .steps
            .iter()
            .zip(&self.steps)
            .any(|(step, state)| step.phase == Phase::Drain && step.undo.is_some() && state.may_have_acted())
    }

    /// Whether the step of that name is done.
    #[must_use]
    pub fn is_done(&self, step: &StepId) -> bool {
        self.evidence(step).is_some()
    }

    /// The proof of a step that is done.
    #[must_use]
    pub fn evidence(&self, step: &StepId) -> Option<&Evidence> {
        let index = self.plan.steps.iter().position(|s| &s.id == step)?;
        match &self.steps[index] {
            StepState::Done { evidence } => Some(evidence),
            StepState::Pending
            | StepState::Intended { .. }
            | StepState::Failed { .. }
            | StepState::Unknown { .. } => None,
        }
    }

    /// What remains, given the steps that the caller is performing at this moment. A step that is
    /// `Intended` and not in flight was left behind by a controller that died: it is performed again.
    #[must_use]
    pub fn work(&self, in_flight: &[StepId]) -> Work {
        match &self.course {
            Course::Ended { .. } => Work::Nothing,
            Course::Aborting { why } => match self.next_undo() {
                Some(index) => Work::Undo(self.plan.steps[index].id.clone()),
                None => Work::End(Outcome::Aborted { why: why.clone() }),
            },
            Course::Forward => {
                let done = |state: &StepState| matches!(state, StepState::Done { .. });
                if self.steps.iter().all(done) {
                    return Work::End(Outcome::Succeeded);
                }
                let ready = self
                    .plan
                    .steps
                    .iter()
                    .zip(&self.steps)
                    .filter(|(step, state)| {
                        !done(state)
                            && !in_flight.contains(&step.id)
                            && step.needs.iter().all(|needs| self.is_done(needs))
                    })
                    .map(|(step, _)| step.id.clone())
                    .collect();
                Work::Perform(ready)
            }
        }
    }

    /// What a controller that takes over does first, before the commit point. Writes that were held when
    /// the last one died have waited for an unknown time: it lets them go by turning back. And a region
    /// that the last one found lost may have returned since: a failover is planned anew.
    #[must_use]
    pub fn on_takeover(&self) -> Option<Event> {
        if self.course != Course::Forward || self.past_return().is_some() {
            return None;
        }
        let begun = self.steps.iter().any(|state| *state != StepState::Pending);
        let why = if self.holds_writes() {
            "the controller died while writes were held, before the commit point"
        } else if self.plan.kind == Kind::Failover && begun {
            "the controller died before the commit point; the region it found lost may have returned since"
        } else {
            return None;
        };
        Some(Event::AbortBegan { why: why.to_owned() })
    }

    /// What to do about a step whose last attempt did not work, after so many attempts of this controller.
    #[must_use]
    pub fn remedy(&self, step: &StepId, attempts: u32) -> Option<Remedy> {
        let index = self.index(step).ok()?;
        let why = match &self.steps[index] {
            StepState::Failed { why, .. } | StepState::Unknown { why, .. } => why,
            StepState::Pending | StepState::Intended { .. } | StepState::Done { .. } => return None,
        };
        let why = format!("{step}: {why}");
        let commits = self.plan.commits();
        if commits && self.past_return().is_none() {
            // Before the point of no return nothing is gained by insisting: users' writes may be held.
            return Some(Remedy::Abort { why });
        }
        let plan_step = &self.plan.steps[index];
        let held = matches!(plan_step.action, Action::StandDown { .. }) && self.may_go_without(plan_step);
        let waits = matches!(plan_step.action, Action::AwaitFollowing { .. });
        let limit = match (held, waits) {
            (true, _) => HELD_ATTEMPTS_MAX,
            (false, true) => WAITING_ATTEMPTS_MAX,
            (false, false) => ATTEMPTS_MAX,
        };
        Some(if attempts < limit {
            Remedy::Retry
        } else if self.may_go_without(plan_step) {
            let region = &self.plan.from;
            Remedy::Waive { why: format!("given up, `bascule reinstate {region}` makes up for it: {why}") }
        } else if commits {
            Remedy::Stall { why }
        } else {
            // Nobody waits for it, and an open operation would stand in the way of a failover.
            Remedy::Abort { why }
        })
    }

    /// The word for where it is heading.
    #[must_use]
    pub fn course_word(&self) -> &'static str {
        match &self.course {
            Course::Forward if self.past_return().is_some() => "past the commit point",
            Course::Forward => "before the commit point",
            Course::Aborting { .. } => "aborting",
            Course::Ended { outcome: Outcome::Succeeded } => "succeeded",
            Course::Ended { outcome: Outcome::Aborted { .. } } => "aborted",
            Course::Ended { outcome: Outcome::Abandoned { .. } } => "abandoned",
        }
    }
}
