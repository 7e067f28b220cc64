//! Runs an operation: asks the core what remains, performs it, and journals intent before and outcome
//! after.
//!
//! One journal write carries the outcomes that are in and the intents that follow from them, so a chain
//! of steps costs one fsync a step. The race it handles: another controller takes the operation over;
//! the next append answers `Fenced`, and this one drops everything it has in flight and stops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::{Epoch, OperationId, StepId, Term};
use bascule_core::operation::{self, Event, Operation, Outcome, Remedy, StepState, Work};
use bascule_core::plan::Plan;
use bascule_core::ports::{Entry, Grip, Header, StoreError};
use bascule_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use crate::lost::{self, NotLost};
use crate::observer;
use crate::perform::{self, Attempt, Setting, Turning};
use crate::world::World;

/// Attempts at taking one step back before a person is asked.
const UNDO_ATTEMPTS_MAX: u32 = operation::ATTEMPTS_MAX;
/// What one attempt at taking a step back may take at least. The step's own bound may be a slice of the
/// hold (20 ms at the shortest), in which a gate can't come up; this is a provider's two time-outs.
const UNDO_BOUND_MIN_MS: u64 = 2_500;

/// Before an append that was not answered is looked for and made again: a lock or a full queue is over
/// within the first, a slow disk within the second, and both together are a twentieth of a usual hold.
const APPEND_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// Between two looks whether whoever started it asked for an end: nobody notices a tenth of a second.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Between two signs of life: a third of what others wait for one ([`bascule_core::decision::EXECUTOR_SILENT`]).
const BEAT: Duration = Duration::from_secs(1);

/// How long a call that a controller made before it lost the operation may still be on its way: a provider
/// gives up after 1 s, and the slowest step that can be taken back (a name) asks at most five times.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5);

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

/// Says that this controller lives, for as long as it does, and hears first when another has taken over.
struct Beat(AbortHandle);

impl Beat {
    fn start(world: &World, id: &OperationId, term: Term, relieved: watch::Sender<Option<String>>) -> Self {
        let (journals, id) = (world.journals.clone(), id.clone());
        let task = tokio::spawn(async move {
            loop {
                sleep(BEAT).await;
                match journals.beat(&id, term).await {
                    Ok(()) => {}
                    // A step in flight may have hours to wait before the next append would say so.
                    Err(StoreError::Fenced(why)) => {
                        relieved.send_replace(Some(why));
                        return;
                    }
                    Err(error) => tracing::warn!(operation = %id, %error, "beat not stored"),
                }
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Run {
    world: World,
    id: OperationId,
    grip: Grip,
    state: Operation,
    length: u64,
    began: Instant,
    control: Control,
    /// Attempts made by this controller; an earlier one's do not count against it.
    attempts: BTreeMap<StepId, u32>,
    /// When an earlier controller last intended each step, by the wall clock.
    inherited: BTreeMap<StepId, Timestamp>,
    /// Whether taking back gives up on a region of which nothing answers.
    waives_lost: bool,
    /// Whether it is about to turn back: steps that only wait are told.
    turning: watch::Sender<bool>,
    /// Why this controller is not the one any more, as soon as that is known.
    relieved: watch::Sender<Option<String>>,
}

type InFlight = JoinSet<(StepId, Attempt)>;

impl Run {
    fn new(
        world: World,
        id: OperationId,
        grip: Grip,
        state: Operation,
        length: u64,
        control: Control,
    ) -> Self {
        let (began, attempts) = (Instant::now(), BTreeMap::new());
        let inherited = BTreeMap::new();
        // Where keepers watch, what a region missed is made up for when it returns.
        let waives_lost = !world.ttl.is_zero();
        let (turning, relieved) = (watch::Sender::new(false), watch::Sender::new(None));
        Self {
            world,
            id,
            grip,
            state,
            length,
            began,
            control,
            attempts,
            inherited,
            waives_lost,
            turning,
            relieved,
        }
    }

    async fn drive(&mut self) -> Result<Outcome, Error> {
        let _beat = Beat::start(&self.world, &self.id, self.grip.term, self.relieved.clone());
        let mut tasks = InFlight::new();
        let mut names: Vec<StepId> = Vec::new();
        let mut outcomes: Vec<Event> = Vec::new();
        loop {
            // Outcomes are applied before asking what remains, and written together with what follows.
            let mut ahead = self.state.clone();
            for event in &outcomes {
                ahead = ahead.next(event.clone()).map_err(|e| self.illegal(e))?;
            }
            match ahead.work(&names) {
                Work::Nothing => return Ok(self.outcome()),
                Work::End(outcome) => outcomes.push(Event::Ended { outcome }),
                Work::Undo(step) => {
                    outcomes.push(Event::UndoIntended { step: step.clone() });
                    self.record(std::mem::take(&mut outcomes)).await?;
                    let event = self.undo(step).await?;
                    outcomes.push(event);
                    continue;
                }
                Work::Perform(ready) => {
                    if ready.is_empty() && outcomes.is_empty() {
                        outcomes = self.collect(&mut tasks, &mut names).await?;
                        continue;
                    }
                    let waived = self.waived(&ahead, &ready);
                    if !waived.is_empty() {
                        outcomes.extend(waived);
                        continue;
                    }
                    let retry = self.stopped(&ahead).or_else(|| self.trouble(&ahead, &ready));
                    if let Some(Remedy::Abort { why }) = retry {
                        // Let what is in flight finish: an abort must know what there is to take back. What only waits
                        // ends at once.
                        self.turning.send_replace(true);
                        while !names.is_empty() {
                            outcomes.extend(self.collect(&mut tasks, &mut names).await?);
                        }
                        outcomes.push(Event::AbortBegan { why });
                        self.record(std::mem::take(&mut outcomes)).await?;
                        continue;
                    }
                    if let Some(Remedy::Stall { why }) = retry {
                        while !names.is_empty() {
                            outcomes.extend(self.collect(&mut tasks, &mut names).await?);
                        }
                        self.record(std::mem::take(&mut outcomes)).await?;
                        return Err(Error::Stalled { id: self.id.clone(), why });
                    }
                    outcomes.extend(ready.iter().map(|step| Event::Intended { step: step.clone() }));
                    self.record(std::mem::take(&mut outcomes)).await?;
                    for step in ready {
                        self.launch(&mut tasks, &step);
                        names.push(step);
                    }
                    continue;
                }
            }
            self.record(std::mem::take(&mut outcomes)).await?;
        }
    }

    fn outcome(&self) -> Outcome {
        match &self.state.course {
            operation::Course::Ended { outcome } => outcome.clone(),
            operation::Course::Forward | operation::Course::Aborting { .. } => Outcome::Succeeded,
        }
    }

    /// What to do about the first step among `ready` that was tried before and did not work.
    fn trouble(&self, ahead: &Operation, ready: &[StepId]) -> Option<Remedy> {
        ready
            .iter()
            .filter_map(|step| ahead.remedy(step, self.attempts.get(step).copied().unwrap_or(0)))
            .find(|remedy| !matches!(remedy, Remedy::Retry))
    }

    /// The steps among `ready` that are given up.
    fn waived(&self, ahead: &Operation, ready: &[StepId]) -> Vec<Event> {
        let attempts = |step| self.attempts.get(step).copied().unwrap_or(0);
        ready
            .iter()
            .filter_map(|step| match ahead.remedy(step, attempts(step))? {
                Remedy::Waive { why } => {
                    Some(Event::Done { step: step.clone(), evidence: Evidence::waived(why) })
                }
                Remedy::Retry | Remedy::Abort { .. } | Remedy::Stall { .. } => None,
            })
            .collect()
    }

    fn stopped(&self, ahead: &Operation) -> Option<Remedy> {
        let asked = self.control.stop.load(Ordering::SeqCst);
        (asked && ahead.past_return().is_none())
            .then(|| Remedy::Abort { why: "whoever started it asked it to stop".to_owned() })
    }

    fn launch(&mut self, tasks: &mut InFlight, id: &StepId) {
        let Some(step) = self.state.plan.step(id).cloned() else { return };
        let tries = self.attempts.entry(id.clone()).or_insert(0);
        let pause = if *tries == 0 { Duration::ZERO } else { retry_pause(*tries) };
        *tries += 1;
        let mut setting = Setting::new(&self.world, &self.id, self.grip.term, &self.state, &step.action);
        setting.turning = Turning::of(&self.turning);
        tasks.spawn(async move {
            sleep(pause).await;
            (step.id.clone(), perform::step(setting, step).await)
        });
    }

    /// The outcomes of at least one step that was in flight, and of all others that are in by now.
    async fn collect(&mut self, tasks: &mut InFlight, names: &mut Vec<StepId>) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let mut next = self.next_in(tasks).await?;
        while let Some(joined) = next {
            match joined {
                Ok((step, attempt)) => {
                    names.retain(|name| name != &step);
                    events.push(self.judge(step, attempt)?);
                }
                Err(panic) => {
                    // A panic in a provider: which step it was is not known, so all in flight are.
                    tracing::error!(%panic, "a step panicked");
                    tasks.abort_all();
                    let why = "the step panicked".to_owned();
                    events.extend(names.drain(..).map(|step| Event::Unknown { step, why: why.clone() }));
                }
            }
            next = tasks.try_join_next();
        }
        if events.iter().any(|event| self.is_doubtful_commit(event)) {
            // It may have happened all the same: the next record must carry the epoch that holds now.
            self.grip.epoch = epoch_of(&self.world, &self.id, self.state.plan.base).await?;
        }
        Ok(events)
    }

    /// The next step that ends. Whoever asks for an end meanwhile is heard, and so is a controller that took over.
    async fn next_in(
        &self,
        tasks: &mut InFlight,
    ) -> Result<Option<Result<(StepId, Attempt), JoinError>>, Error> {
        let mut relieved = self.relieved.subscribe();
        let stop = async {
            while self.stopped(&self.state).is_none() {
                sleep(STOP_POLL).await;
            }
            self.turning.send_replace(true);
            std::future::pending().await
        };
        tokio::select! {
            biased;
            joined = tasks.join_next() => Ok(joined),
            why = relieved.wait_for(Option::is_some) => {
                let why = why.ok().and_then(|why| why.clone()).unwrap_or_default();
                Err(StoreError::Fenced(why).into())
            }
            () = stop => Ok(None),
        }
    }

    fn is_doubtful_commit(&self, event: &Event) -> bool {
        let step = match event {
            Event::Unknown { step, .. } | Event::Failed { step, .. } | Event::Refuted { step, .. } => step,
            Event::Intended { .. }
            | Event::Done { .. }
            | Event::AbortBegan { .. }
            | Event::UndoIntended { .. }
            | Event::UndoDone { .. }
            | Event::UndoFailed { .. }
            | Event::Ended { .. } => return false,
        };
        self.state.plan.step(step).is_some_and(|s| s.action.is_commit())
    }

    fn judge(&mut self, step: StepId, attempt: Attempt) -> Result<Event, Error> {
        Ok(match attempt {
            Attempt::Done(evidence) => {
                if self.state.plan.step(&step).is_some_and(|s| s.action.is_commit()) {
                    self.grip.epoch = self.state.plan.base.next();
                }
                Event::Done { step, evidence: *evidence }
            }
            Attempt::Failed(why) => Event::Failed { step, why },
            Attempt::Refuted(why) => Event::Refuted { step, why },
            Attempt::Unknown(why) => Event::Unknown { step, why },
            Attempt::Fenced(why) => return Err(StoreError::Fenced(why).into()),
        })
    }

    /// A step whose outcome an earlier controller did not record may still arrive: taken back before that,
    /// it would stay. The earlier one ends it by its bound, and its next append is fenced.
    async fn await_calls_under_way(&self, id: &StepId, bound_ms: u64) {
        let index = self.state.plan.steps.iter().position(|s| &s.id == id);
        let open = index.is_some_and(|i| matches!(self.state.steps[i], StepState::Intended { .. }));
        let Some(intended) = self.inherited.get(id).filter(|_| open) else { return };
        let bound = Duration::from_millis(bound_ms).min(UNDER_WAY_MAX);
        sleep(bound.saturating_sub(self.world.clock.now().since(*intended))).await;
    }

    async fn undo(&mut self, id: StepId) -> Result<Event, Error> {
        let found = self.state.plan.step(&id).and_then(|s| Some((s.undo.clone()?, s.bound_ms)));
        let Some((action, bound_ms)) = found else {
            return Ok(Event::UndoFailed { step: id, why: "it has no undo".to_owned() });
        };
        self.await_calls_under_way(&id, bound_ms).await;
        let setting = Setting::new(&self.world, &self.id, self.grip.term, &self.state, &action);
        let mut why = String::new();
        for attempt in 1..=UNDO_ATTEMPTS_MAX {
            match perform::bounded(setting.clone(), action.clone(), bound_ms.max(UNDO_BOUND_MIN_MS)).await {
                Attempt::Done(evidence) => return Ok(Event::UndoDone { step: id, evidence: *evidence }),
                Attempt::Fenced(why) => return Err(StoreError::Fenced(why).into()),
                Attempt::Failed(reason) | Attempt::Refuted(reason) | Attempt::Unknown(reason) => why = reason,
            }
            if let Some(region) = action.calls().filter(|_| self.waives_lost)
                && observer::is_dark(&self.world, region).await
            {
                let why = format!("not taken back: nothing of {region} answers ({why})");
                return Ok(Event::UndoDone { step: id, evidence: Evidence::waived(why) });
            }
            sleep(retry_pause(attempt)).await;
        }
        self.record(vec![Event::UndoFailed { step: id.clone(), why: why.clone() }]).await?;
        let why = format!("could not {} while aborting: {why}", perform::describe(&action));
        Err(Error::Stalled { id: self.id.clone(), why })
    }

    async fn record(&mut self, events: Vec<Event>) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        let at = self.world.clock.now();
        let mono_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            state = state.next(event.clone()).map_err(|e| self.illegal(e))?;
            entries.push(Entry { at, mono_us, event });
        }
        self.append(&entries).await?;
        self.length += entries.len() as u64;
        self.state = state;
        for entry in &entries {
            (self.control.watch)(entry);
        }
        Ok(())
    }

    /// Append, and if the store does not answer, look whether it did: users may be waiting meanwhile.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut pauses = APPEND_PAUSES.iter();
        loop {
            let answer = self.world.journals.append(&self.id, self.grip, self.length, entries).await;
            let Err(StoreError::Unavailable(why)) = answer else { return answer };
            let Some(pause) = pauses.next() else { return Err(StoreError::Unavailable(why)) };
            tracing::warn!(operation = %self.id, why, "append not answered");
            sleep(*pause).await;
            let Ok(journal) = self.world.journals.read(&self.id).await else { continue };
            let from = usize::try_from(self.length).unwrap_or(usize::MAX);
            if journal.term == self.grip.term && journal.entries.get(from..) == Some(entries) {
                return Ok(());
            }
        }
    }

    fn illegal(&self, error: operation::Illegal) -> Error {
        Error::Illegal(self.id.clone(), error)
    }
}

fn retry_pause(attempt: u32) -> Duration {
    Duration::from_millis(operation::retry_after_ms(attempt))
}
