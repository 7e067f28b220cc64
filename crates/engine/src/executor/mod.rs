//! Runs an operation: asks the core what remains, performs it, and journals intent before and outcome
//! after.
//!
//! One journal write carries the outcomes that are in and the intents that follow from them, so a chain
//! of steps costs one fsync a step. The race it handles: another controller takes the operation over;
//! the next append answers `Fenced`, and this one drops everything it has in flight and stops.

mod run;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bascule_core::action::Evidence;
use bascule_core::id::{Epoch, OperationId, StepId};
use bascule_core::operation::{self, Event, Operation, Outcome};
use bascule_core::plan::Plan;
use bascule_core::ports::{Entry, Grip, Header, StoreError};

use crate::lost::{self, NotLost};
use crate::world::World;
use run::Run;

/// Why an operation did not reach an end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's word, `Fenced` among them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal and the state machine disagree.
    #[error("the journal of {0} can't be continued")]
    Illegal(OperationId, #[source] operation::Illegal),
    /// It stopped past the commit point and needs a person.
    #[error("operation {id} has stopped: {why}; mend that, then `bascule resume {id}`")]
    Stalled {
        /// Which.
        id: OperationId,
        /// Why.
        why: String,
    },
    /// It has not made any region active.
    #[error(
        "operation {id} has not moved the site: `bascule abort {id}` takes it back, `bascule resume {id}` goes on"
    )]
    NotCommitted {
        /// Which.
        id: OperationId,
    },
    /// The region that it made active is there, or may be.
    #[error("operation {id} is not abandoned: {why}")]
    NotLost {
        /// Which.
        id: OperationId,
        /// Why, and what to do.
        why: NotLost,
    },
    /// It can't be aborted any more.
    #[error(
        "operation {id} is past the commit point ({step}) and only goes forward: `bascule resume {id}`; if the region \
             that it made active is lost, `bascule abandon {id}`"
    )]
    PastCommit {
        /// Which.
        id: OperationId,
        /// The step that made it so.
        step: StepId,
    },
}

/// How whoever started an operation follows and stops it.
#[derive(Clone)]
pub struct Control {
    /// Called with each record once it is durable.
    pub watch: Arc<dyn Fn(&Entry) + Send + Sync>,
    /// Set to ask for an end: before the commit point the operation turns back, after it goes on.
    pub stop: Arc<AtomicBool>,
}

/// Begin an operation for a plan and run it to its end.
///
/// # Errors
/// See [`Error`]; the operation stays open unless it was never begun.
pub async fn begin(world: &World, id: OperationId, plan: Plan, control: Control) -> Result<Outcome, Error> {
    let header =
        Header { id: id.clone(), plan_hash: plan.hash(), plan: plan.clone(), begun: world.clock.now() };
    let term = world.journals.begin(&header).await?;
    let grip = Grip { term, epoch: plan.base };
    let mut run = Run::new(world.clone(), id, grip, Operation::new(plan), 0, control);
    run.drive().await
}

/// Take an operation over from whoever had it, and run it to its end.
///
/// # Errors
/// See [`Error`].
pub async fn resume(world: &World, id: OperationId, control: Control) -> Result<Outcome, Error> {
    let mut run = take_over(world, id, control).await?;
    if let Some(event) = run.state.on_takeover() {
        run.record(vec![event]).await?;
    }
    run.drive().await
}

/// Take an operation over and turn it back, if it is not past its commit point. What can't be taken back
/// because its region is gone is given up: a person asked, and a failover must not wait for that region.
///
/// # Errors
/// See [`Error`].
pub async fn abort(world: &World, id: OperationId, why: String, control: Control) -> Result<Outcome, Error> {
    let mut run = take_over(world, id.clone(), control).await?;
    if let Some(step) = run.state.past_return() {
        return Err(Error::PastCommit { id, step: step.id.clone() });
    }
    if run.state.course == operation::Course::Forward {
        run.record(vec![Event::AbortBegan { why }]).await?;
    }
    run.waives_lost = true;
    run.drive().await
}

/// Take over an operation that made a region active which is lost, and end it there: it can neither go on without that
/// region nor turn back. What is left is a failover, which waits like any other, or a restore if the region returns.
/// That it is lost the caller has to know.
///
/// # Errors
/// See [`Error`].
pub async fn abandon(
    world: &World,
    id: OperationId,
    why: String,
    control: Control,
) -> Result<Outcome, Error> {
    let mut run = take_over(world, id.clone(), control).await?;
    if run.grip.epoch == run.state.plan.base {
        return Err(Error::NotCommitted { id });
    }
    // Calls of the one before may still arrive, at a region that a failover is about to make a primary.
    let left: Vec<StepId> = run.inherited.keys().cloned().collect();
    for step in &left {
        let bound_ms = run.state.plan.step(step).map_or(0, |step| step.bound_ms);
        run.await_calls_under_way(step, bound_ms).await;
    }
    let mut events = Vec::new();
    if !run.state.has_committed() {
        let commit =
            run.state.plan.steps.iter().find(|step| step.action.is_commit()).map(|step| step.id.clone());
        if let Some(step) = commit {
            // The tenure says that it was made; its answer was lost.
            let evidence = Evidence::note("the tenure names this operation");
            events.push(Event::Intended { step: step.clone() });
            events.push(Event::Done { step, evidence });
        }
    }
    let outcome = Outcome::Abandoned { why };
    events.push(Event::Ended { outcome: outcome.clone() });
    run.record(events).await?;
    Ok(outcome)
}

/// [`abandon`], for a person, who is not believed: that the region is lost has to be seen here.
///
/// # Errors
/// [`Error::NotLost`], and see [`Error`].
pub async fn abandon_if_lost(world: &World, id: OperationId, control: Control) -> Result<Outcome, Error> {
    let plan = world.journals.read(&id).await?.header.plan;
    let tenure = world.tenures.tenure().await?.filter(|tenure| tenure.by.as_ref() == Some(&id));
    let Some(tenure) = tenure else { return Err(Error::NotCommitted { id }) };
    match lost::prove(world, &id, &tenure, &plan.from).await {
        Ok(why) => abandon(world, id, why, control).await,
        Err(why) => Err(Error::NotLost { id, why }),
    }
}

async fn take_over(world: &World, id: OperationId, control: Control) -> Result<Run, Error> {
    let term = world.journals.claim(&id).await?;
    let journal = world.journals.read(&id).await?;
    let events = journal.entries.iter().map(|e| &e.event);
    let state = Operation::replay(journal.header.plan, events).map_err(|e| Error::Illegal(id.clone(), e))?;
    let grip = Grip { term, epoch: epoch_of(world, &id, state.plan.base).await? };
    let length = journal.entries.len() as u64;
    let mut run = Run::new(world.clone(), id, grip, state, length, control);
    for entry in &journal.entries {
        if let Event::Intended { step } = &entry.event {
            run.inherited.insert(step.clone(), entry.at);
        }
    }
    Ok(run)
}

/// The epoch this operation may write in: the one it was planned on, or its own once it has committed.
async fn epoch_of(world: &World, id: &OperationId, base: Epoch) -> Result<Epoch, Error> {
    let tenure = world.tenures.tenure().await?;
    let committed = tenure.as_ref().is_some_and(|t| t.by.as_ref() == Some(id) && t.epoch == base.next());
    Ok(if committed { base.next() } else { base })
}
