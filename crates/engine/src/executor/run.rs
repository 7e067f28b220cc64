//! One controller's turn at an operation: perform what remains, and journal it.
//!
//! The race it handles: another controller takes the operation over while a step is in flight here. Its beat or its next append hears
//! of it, and what is in flight is dropped, not finished.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::{OperationId, StepId, Term};
use bascule_core::operation::{self, Event, Operation, Outcome, Remedy, StepState, Work};
use bascule_core::ports::{Entry, Grip, StoreError};
use bascule_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use super::{Control, Error, epoch_of};
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

pub(super) struct Run {
    world: World,
    id: OperationId,
    pub(super) grip: Grip,
    pub(super) state: Operation,
    length: u64,
    began: Instant,
    control: Control,
    /// Attempts made by this controller; an earlier one's do not count against it.
    attempts: BTreeMap<StepId, u32>,
    /// When an earlier controller last intended each step, by the wall clock.
    pub(super) inherited: BTreeMap<StepId, Timestamp>,
    /// Whether taking back gives up on a region of which nothing answers.
    pub(super) waives_lost: bool,
    /// Whether it is about to turn back: steps that only wait are told.
    turning: watch::Sender<bool>,
    /// Why this controller is not the one any more, as soon as that is known.
    relieved: watch::Sender<Option<String>>,
}

type InFlight = JoinSet<(StepId, Attempt)>;

impl Run {
    pub(super) fn new(
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

    pub(super) async fn drive(&mut self) -> Result<Outcome, Error> {
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
    pub(super) async fn await_calls_under_way(&self, id: &StepId, bound_ms: u64) {
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

    pub(super) async fn record(&mut self, events: Vec<Event>) -> Result<(), Error> {
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
