//! A keeper's decision on what it has seen, and what it does about it.
//!
//! A site at rest costs the store, each second, a look for an open operation from the active region's keepers.

use std::time::Duration;

use bascule_core::decision::{self, Act, Decision, Look, Open, Situation, Stage};
use bascule_core::id::{Epoch, OperationId, RegionName, Term};
use bascule_core::manifest::{Impaired, Mode};
use bascule_core::observation::{ClusterRole, GateState, LastMove, Observation};
use bascule_core::operation::{Operation, Outcome};
use bascule_core::plan::Kind;
use bascule_core::planner::{self, Assessment, Request};
use bascule_core::ports::{OpenOperation, StoreError};
use bascule_core::tenure::{self, Release, Tenure};
use bascule_core::time::{Mono, Timestamp, millis};
use bascule_core::vantage::Pause;
use tokio::time::sleep;

use super::Keeper;
use super::state::Loop;
use crate::executor::{self, Control};
use crate::observer;

/// Between two looks at the other region while the last move is not settled: a rewind takes seconds.
const SETTLING: Duration = Duration::from_secs(2);

/// Between two looks whether gates and pools are what the tenure says, while users are served: each asks every part of
/// both regions, 20 ms of work. A standby's load balancer that was restarted turns users away for so long.
const RESTORING: Duration = Duration::from_secs(15);

/// After an operation that could not be finished; doubled each time, up to the second.
const TROUBLE_MIN: Duration = Duration::from_secs(2);
const TROUBLE_MAX: Duration = Duration::from_secs(60);

/// Between two decisions while a tenure stands still: what this adds to a failover is half of it.
const SUSPICIOUS: Duration = Duration::from_millis(100);

/// What a keeper remembers from decision to decision.
#[derive(Default)]
struct Memory {
    /// The open operation, as it was first seen and last lived.
    seen_open: Option<SeenOpen>,
    settling: Option<Mono>,
    restoring: Option<Mono>,
    /// What the planner said of a failover, and when it was asked.
    failover: Option<(Mono, Assessment)>,
    /// Since when it knows that the other region follows, and in which epoch.
    settled: Option<(Epoch, Mono)>,
    trouble: Option<(Mono, Duration)>,
}

/// An open operation under one controller.
struct SeenOpen {
    id: OperationId,
    term: Term,
    /// Since when this controller has it.
    led: Mono,
    beats: u64,
    /// Since when it has not said that it lives.
    silent: Mono,
}

impl Keeper {
    pub(super) async fn decide_for_ever(&self, here: &RegionName) {
        let mut memory = Memory::default();
        loop {
            let began = self.world.clock.mono();
            self.state.turned(Loop::Decide, began);
            if let Some(tenure) = self.state.tenure()
                && memory.trouble.is_none_or(|(until, _)| began >= until)
            {
                self.decide(&mut memory, &tenure, here).await;
                // An operation of its own may have taken minutes.
                self.state.turned(Loop::Decide, self.world.clock.mono());
            }
            let took = self.world.clock.mono().since(began);
            sleep(self.until_decision().saturating_sub(took).max(SUSPICIOUS)).await;
        }
    }

    /// Often while it is open whether the region is lost: from when its tenure stands still until whoever had to be waited for
    /// has been. Else a renewal's time, or until that begins.
    fn until_decision(&self) -> Duration {
        let timing = self.policy.timing();
        let Some(still) = self.still_for().filter(|_| self.policy.mode != Mode::Manual) else {
            return timing.renew;
        };
        let settled = timing.claim_after() + decision::EXECUTOR_SILENT + timing.renew * (3 + self.rank);
        if still > settled {
            timing.renew
        } else {
            (timing.renew * 2).saturating_sub(still).min(timing.renew)
        }
    }

    async fn decide(&self, memory: &mut Memory, tenure: &Tenure, here: &RegionName) {
        let holder = self.is_in(&tenure.active);
        let settled_for = self.settled_for(memory, tenure);
        // At rest nobody but the holder has to know.
        if !holder && !self.stands_still() {
            self.say(&Decision::Rest(decision::Rest::Renewed));
            return;
        }
        let open = match self.open(memory).await {
            Ok(open) => open,
            Err(error) => return self.say_unknown(&error),
        };
        // One that is younger than a renewal is as good as another.
        let renew = self.policy.timing().renew;
        if memory.failover.as_ref().is_some_and(|(at, _)| self.world.clock.mono().since(*at) > renew) {
            memory.failover = None;
        }
        // A pause can only forbid what would be done: it is asked for when something would be, freshly.
        let (mut reinstate, mut restore) = (None, None);
        let mut pause: Option<Result<Option<Pause>, String>> = None;
        let last_move = if open.is_none() { self.last_move(tenure).await } else { None };
        let unfinished = matches!(last_move, Some(LastMove::Unfinished { .. }));
        // While the other region is not whole its gate is left alone, unless users are not served.
        let fails = self.state.probed().is_some_and(|probed| probed.failing_since.is_some());
        let restored = match self.restored(holder).await {
            Ok(restored) => restored,
            Err(error) => return self.say_unknown(&error),
        };
        let restore_due = holder && (tenure.settled || unfinished || fails) && self.restore_is_due(memory);
        loop {
            let now = self.world.clock.mono();
            let sight = self.world.sight.saw(tenure, now);
            // Anew in each round: an assessment takes a second, and somebody may have written meanwhile.
            let vantages = self.vantages(&tenure.active);
            let decision = decision::decide(&Situation {
                policy: &self.policy,
                here,
                rank: self.rank,
                tenure,
                sight: &sight,
                now,
                wall: self.world.clock.now(),
                settled_for,
                vantages: &vantages,
                pause: match &pause {
                    Some(Ok(asked)) => Ok(asked.as_ref()),
                    Some(Err(why)) => Err(why.as_str()),
                    None => Ok(None),
                },
                open: open.as_ref(),
                last_move,
                failover: memory.failover.as_ref().map(|(_, assessment)| assessment),
                reinstate: reinstate.as_ref(),
                restore_due,
                restore: restore.as_ref(),
                restored,
            });
            if pause.is_none() && matches!(decision, Decision::Act(_) | Decision::Refuse(_)) {
                pause = Some(self.world.places.pause().await.map_err(|error| error.to_string()));
                continue;
            }
            self.say(&decision);
            match decision {
                Decision::Look(Look::Failover) => {
                    let to = if holder { self.manifest.other(here) } else { here };
                    let (_, assessment) = self.assess(Kind::Failover, to).await;
                    memory.failover = Some((self.world.clock.mono(), assessment));
                }
                Decision::Look(Look::Reinstate) => {
                    if memory.settling.is_some_and(|last| now.since(last) < SETTLING) {
                        return;
                    }
                    memory.settling = Some(now);
                    let other = self.manifest.other(here);
                    let (seen, assessment) = self.assess(Kind::Reinstate, other).await;
                    if follows(&seen, other, here, renew) {
                        self.advance(tenure::Event::Settled { epoch: tenure.epoch }).await;
                        return;
                    }
                    reinstate = Some(assessment);
                }
                Decision::Look(Look::Restore) => {
                    memory.restoring = Some(now);
                    restore = Some(self.assess(Kind::Restore, here).await.1);
                }
                Decision::Act(_) if !self.acts() => return,
                Decision::Act(act) => {
                    let failover = memory.failover.take().map(|(_, assessment)| assessment);
                    let drawn = [failover.as_ref(), reinstate.as_ref(), restore.as_ref()];
                    self.act(memory, act, tenure.epoch, drawn).await;
                    return;
                }
                Decision::Rest(_) | Decision::Refuse(_) => return,
            }
        }
    }

    /// At once when users are not served for two looks (one may be an accident), and now and then otherwise. The second keeper
    /// of a region a renewal after the first.
    fn restore_is_due(&self, memory: &Memory) -> bool {
        let renew = self.policy.timing().renew;
        let now = self.world.clock.mono();
        let failing = self.state.probed().and_then(|probed| probed.failing_since);
        let every = match failing {
            Some(since) if now.since(since) >= renew * (2 + self.rank) => renew * 2,
            Some(_) | None => RESTORING,
        };
        memory.restoring.is_none_or(|last| now.since(last) >= every)
    }

    fn settled_for(&self, memory: &mut Memory, tenure: &Tenure) -> Duration {
        let now = self.world.clock.mono();
        let known = memory.settled.filter(|(epoch, _)| tenure.settled && *epoch == tenure.epoch);
        memory.settled = tenure.settled.then(|| known.unwrap_or((tenure.epoch, now)));
        memory.settled.map_or(Duration::ZERO, |(_, since)| now.since(since))
    }

    /// Asked only while the active region's users can't write, and it may be let go for that.
    async fn restored(&self, holder: bool) -> Result<Option<Timestamp>, StoreError> {
        let failing = self.state.probed().and_then(|probed| probed.failing_since);
        let Some(since) = failing.filter(|_| holder && self.policy.impaired == Impaired::Release) else {
            return Ok(None);
        };
        let failing_ms = millis(self.world.clock.mono().since(since));
        let since = Timestamp(self.world.clock.now().0.saturating_sub(failing_ms));
        observer::restored(&self.world, since).await
    }

    /// Journals are read only while the last move is not settled, so seldom.
    async fn last_move(&self, tenure: &Tenure) -> Option<LastMove> {
        match observer::last_move(&self.world, tenure).await {
            Ok(last_move) => Some(last_move),
            Err(error) => {
                tracing::debug!(%error, "how the last move came out is not known");
                None
            }
        }
    }

    fn say(&self, decision: &Decision) {
        if matches!(decision, Decision::Look(_)) {
            return;
        }
        let word = decision.to_string();
        let last = self.state.decision();
        self.state.decided(word.clone());
        // What changes from look to look by its numbers alone is said once.
        let numberless = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        if last.is_none_or(|last| numberless(&last) != numberless(&word)) {
            if matches!(decision, Decision::Rest(decision::Rest::StoreUnknown { .. })) {
                tracing::warn!(decision = word, "decided");
            } else {
                tracing::info!(decision = word, "decided");
            }
        }
    }

    /// What has to be known of the store for any decision is not.
    fn say_unknown(&self, error: &StoreError) {
        self.say(&Decision::Rest(decision::Rest::StoreUnknown { why: error.to_string() }));
    }

    /// The open operation, and for how long its controller has been silent.
    async fn open(&self, memory: &mut Memory) -> Result<Option<Open>, StoreError> {
        let open = self.world.journals.open().await?;
        let now = self.world.clock.mono();
        let Some(OpenOperation { header, term, beats }) = open else {
            memory.seen_open = None;
            return Ok(None);
        };
        let same = memory.seen_open.take().filter(|seen| seen.id == header.id && seen.term == term);
        let led = same.as_ref().map_or(now, |seen| seen.led);
        let silent = same.filter(|seen| seen.beats == beats).map_or(now, |seen| seen.silent);
        memory.seen_open = Some(SeenOpen { id: header.id.clone(), term, led, beats, silent });
        let (silent_for, led_for) = (now.since(silent), now.since(led));
        // Read only when it may have to be taken over.
        let stage = if silent_for < decision::EXECUTOR_SILENT && !self.stands_still() {
            None
        } else {
            let journal = self.world.journals.read(&header.id).await?;
            let events = journal.entries.iter().map(|entry| &entry.event);
            Operation::replay(journal.header.plan, events).ok().map(|state| Stage::of(&state))
        };
        Ok(Some(Open { id: header.id, silent_for, led_for, kind: header.plan.kind, stage }))
    }

    async fn assess(&self, kind: Kind, to: &RegionName) -> (Observation, Assessment) {
        let mut observation = observer::observe(&self.world).await;
        self.lost_since_its_hold_ended(&mut observation);
        let request = Request {
            kind,
            to: to.clone(),
            accept_loss_ms: None,
            accept_unsaved: false,
            measured_pauses_ms: Vec::new(),
        };
        let assessment = planner::plan(&self.manifest, &observation, &request);
        (observation, assessment)
    }

    /// A region may acknowledge writes until `ttl` after its last renewal, and not after it, however it looked to whoever was
    /// cut off from it: what may be lost is counted to there, also while that is ahead. So it is the same whenever it is
    /// asked within one wait.
    fn lost_since_its_hold_ended(&self, observation: &mut Observation) {
        let Some(tenure) = self.state.tenure() else { return };
        let now = self.world.clock.mono();
        let still = self.world.sight.still_for(&tenure, now);
        if let Some(region) = observation.regions.get_mut(&tenure.active) {
            let renewed_ms = self.world.clock.now().0.saturating_sub(millis(still));
            region.lost_since = Some(Timestamp(renewed_ms.saturating_add(millis(self.policy.ttl))));
        }
    }

    async fn advance(&self, event: tenure::Event) {
        match self.world.tenures.advance(event.clone()).await {
            Ok(tenure) => self.heard(&tenure),
            Err(error) => tracing::warn!(%error, ?event, "not recorded; tried again at the next look"),
        }
    }

    /// Whether it does what it decides.
    fn acts(&self) -> bool {
        let stopping = self.stopping.load(std::sync::atomic::Ordering::SeqCst);
        !stopping && !self.observe_only && self.policy.mode == Mode::Automatic
    }

    /// What was decided on the tenure of this epoch. A look may take seconds: the store refuses what comes after its end.
    async fn act(
        &self,
        memory: &mut Memory,
        act: Act,
        epoch: Epoch,
        [failover, reinstate, restore]: [Option<&Assessment>; 3],
    ) {
        let _acting = self.state.acting();
        let ended = match &act {
            Act::Resume(id) => executor::resume(&self.world, id.clone(), self.control()).await,
            Act::Abort(id) => {
                let why = "the region it needs is lost".to_owned();
                executor::abort(&self.world, id.clone(), why, self.control()).await
            }
            Act::Abandon(id) => {
                let why = "the region that it made active is lost".to_owned();
                executor::abandon(&self.world, id.clone(), why, self.control()).await
            }
            Act::FailOver => self.begin(failover).await,
            Act::Reinstate => self.begin(reinstate).await,
            Act::Restore => self.begin(restore).await,
            Act::Release { why } => {
                let (by, at) = (self.place.to_string(), self.world.clock.now());
                let release = Release { by, why: why.clone(), at, for_a_while: true };
                return self.advance(tenure::Event::Released { epoch, release }).await;
            }
            Act::Keep { release } => {
                return self.advance(tenure::Event::Kept { epoch, release: release.clone() }).await;
            }
        };
        match ended {
            Ok(outcome) => {
                tracing::info!(?outcome, %act, "ended");
                // What was taken back may be so again, and a person who would do something about it needs a gap.
                let aborted = matches!(outcome, Outcome::Aborted { .. });
                let pause = memory.trouble.map_or(TROUBLE_MIN, |(_, last)| (last * 2).min(TROUBLE_MAX));
                memory.trouble = aborted.then(|| (self.world.clock.mono().plus(pause), pause));
            }
            // Another keeper, or a person, was first.
            Err(executor::Error::Store(error @ StoreError::Busy(_))) => {
                tracing::info!(%error, %act, "left to another controller");
            }
            // Whoever relieved it gets time to say in the journal what it is about: the two do not take turns.
            Err(executor::Error::Store(error @ StoreError::Fenced(_))) => {
                tracing::info!(%error, %act, "left to another controller");
                let pause = self.policy.timing().renew * (1 + self.rank);
                memory.trouble = Some((self.world.clock.mono().plus(pause), TROUBLE_MIN));
            }
            Err(error) => {
                let pause = memory.trouble.map_or(TROUBLE_MIN, |(_, last)| (last * 2).min(TROUBLE_MAX));
                memory.trouble = Some((self.world.clock.mono().plus(pause), pause));
                tracing::error!(%error, %act, again_in_ms = millis(pause), "not finished");
            }
        }
    }

    async fn begin(&self, assessment: Option<&Assessment>) -> Result<Outcome, executor::Error> {
        let plan = assessment.and_then(Assessment::runnable).cloned();
        let plan = plan.ok_or_else(|| StoreError::Unavailable("no plan was drawn".to_owned()))?;
        let name = format!("{}-{}", plan.kind.as_str(), self.world.clock.now().0);
        let id = name.parse().map_err(|_| StoreError::Damaged(format!("{name} is no operation id")))?;
        executor::begin(&self.world, id, plan, self.control()).await
    }

    fn control(&self) -> Control {
        let watch = |entry: &bascule_core::ports::Entry| tracing::info!(event = ?entry.event, "journal");
        Control { watch: std::sync::Arc::new(watch), stop: std::sync::Arc::default() }
    }
}

/// Whether a region follows and has caught up, every member well, and its gate passes users on: protection is back. Keepers
/// write once every renewal, so what it has is never older than three, unless it lags; or nobody can write, and it has all.
fn follows(seen: &Observation, region: &RegionName, active: &RegionName, renew: Duration) -> bool {
    let written = seen.regions.get(active).and_then(|region| region.database.seen()?.position);
    let Some(region) = seen.regions.get(region) else { return false };
    let database = region.database.seen().is_some_and(|database| {
        let (well, all) = database.well();
        let newest = database.newest_replayed_age_ms.is_some_and(|age| age <= millis(renew * 3));
        let caught_up = newest
            || database.position.zip(written).is_some_and(|(replayed, written)| replayed.covers(written));
        database.role == ClusterRole::Standby && database.streaming && caught_up && well == all
    });
    database && region.gate.seen().is_some_and(|gate| gate.state == GateState::Remote)
}
