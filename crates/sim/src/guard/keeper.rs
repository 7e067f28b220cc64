//! A keeper and the witness' prober, as loops over the ports and core's decisions.
//!
//! Renewing is a task of its own, so that nothing that is looked at or done delays it. What a process does
//! ends with its task: dropped, it leaves what is under way to arrive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bascule_core::decision::{self, Act, Decision, Look, Open, Situation, Vantage};
use bascule_core::id::{OperationId, RegionName};
use bascule_core::manifest::{Automatic, Manifest};
use bascule_core::observation::ClusterRole;
use bascule_core::operation::Operation;
use bascule_core::plan::Kind;
use bascule_core::planner::{self, Assessment, Request};
use bascule_core::ports::{OpenOperation, StoreError};
use bascule_core::tenure::hold::Event;
use bascule_core::tenure::timing::Timing;
use bascule_core::tenure::{self, Illegal, Tenure};
use bascule_core::time::Mono;
use bascule_core::vantage::{Freshness, Place, RegionReport, Report, Writes};
use bascule_engine::executor::{self, Control};
use bascule_engine::observer;
use bascule_engine::world::World;
use tokio::time::{sleep, timeout};

use super::SharedHold;
use crate::site::Sim;

/// Reports that are older than so many renewals say nothing any more: one may be late, one lost.
const FRESH_RENEWALS: u32 = 3;

/// One process.
pub struct Process {
    /// Its number in the world.
    pub number: usize,
    /// The site's manifest.
    pub manifest: Arc<Manifest>,
    /// What it reaches.
    pub world: World,
    /// The fake world, for probes and the trace.
    pub sim: Arc<Sim>,
    /// Who it is.
    pub place: Place,
    /// Its place among its region's keepers.
    pub rank: u32,
    /// Its hold.
    pub hold: SharedHold,
}

/// What a process remembers between its looks.
#[derive(Default)]
struct Memory {
    count: u64,
    failing_since: Option<Mono>,
    fresh: BTreeMap<Place, Freshness>,
    beats: Option<(OperationId, u64, u64, Mono)>,
    failover: Option<Assessment>,
    reinstate: Option<Assessment>,
    acted: u32,
}

impl Process {
    /// Run until it is killed.
    pub async fn run(self) {
        let me = &self;
        sleep(me.timing().renew / 2 * me.rank).await;
        tokio::join!(me.renew(), me.watch());
    }

    fn policy(&self) -> &Automatic {
        self.manifest.automatic.as_ref().expect("a site with keepers has the section")
    }

    fn timing(&self) -> Timing {
        self.policy().timing()
    }

    fn region(&self) -> Option<&RegionName> {
        match &self.place {
            Place::Keeper { region, .. } => Some(region),
            Place::Witness => None,
        }
    }

    fn held(&self, event: Event) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = hold.next(event, &self.timing());
    }

    /// Renew once in a while, and at once when the tenure has changed hands.
    async fn renew(&self) {
        let Some(region) = self.region() else { return };
        let mut seen: Option<Tenure> = None;
        loop {
            if let Ok(Some(tenure)) = self.world.tenures.tenure().await {
                self.world.sight.saw(&tenure, self.world.clock.mono());
                if &tenure.active == region {
                    self.renew_once(region, &tenure).await;
                } else {
                    self.held(Event::Over { epoch: tenure.epoch });
                }
                seen = Some(tenure);
            }
            self.moved(seen.as_ref()).await;
        }
    }

    async fn renew_once(&self, region: &RegionName, tenure: &Tenure) {
        let epoch = tenure.epoch;
        let sent = self.world.clock.mono();
        match self.world.tenures.advance(tenure::Event::Renewed { epoch, region: region.clone() }).await {
            Ok(next) => {
                self.world.sight.saw(&next, self.world.clock.mono());
                self.held(Event::Renewed { epoch, sent });
            }
            Err(StoreError::Tenure(Illegal::Over { current, .. })) => {
                self.held(Event::Over { epoch: current.epoch });
            }
            // It may have been made all the same; only an answer counts.
            Err(_) => {}
        }
    }

    /// Wait for a renewal's time, or until another epoch has begun.
    async fn moved(&self, seen: Option<&Tenure>) {
        let other_epoch = async {
            let mut than = seen.cloned();
            loop {
                match self.world.watch.changed(than.as_ref()).await {
                    Ok(now) if now.as_ref().map(|t| t.epoch) != seen.map(|t| t.epoch) => return,
                    Ok(now) => than = now,
                    Err(_) => sleep(self.timing().renew).await,
                }
            }
        };
        let _ = timeout(self.timing().renew, other_epoch).await;
    }

    /// Look, tell, decide, act.
    async fn watch(&self) {
        let mut memory = Memory::default();
        loop {
            sleep(self.timing().renew).await;
            let Ok(Some(tenure)) = self.world.tenures.tenure().await else { continue };
            self.world.sight.saw(&tenure, self.world.clock.mono());
            let writes = self.probe(&tenure.active, &mut memory).await;
            let report = self.report(&tenure, &writes, &mut memory);
            let _ = self.world.places.report(&self.place, &report).await;
            if let Some(region) = self.region() {
                self.settle(region, &tenure).await;
                if let Some(act) = self.decide(region, &tenure, &mut memory).await {
                    self.act(act, &mut memory).await;
                }
            }
        }
    }

    async fn probe(&self, active: &RegionName, memory: &mut Memory) -> Writes {
        let from = Some(self.number);
        crate::ports::thawed(&self.sim, from).await;
        sleep(Duration::from_millis(5)).await;
        let worked = self.sim.with(|s| {
            let lies = s.guard.as_ref().map_or(0, |guard| guard.lies_per_mille);
            let wrote = s.reaches(from, Some(active)) && s.attempt(active).is_some();
            wrote != (lies > 0 && s.rng.chance(lies))
        });
        crate::ports::thawed(&self.sim, from).await;
        let now = self.world.clock.mono();
        if worked {
            memory.failing_since = None;
            return Writes::Work;
        }
        let since = *memory.failing_since.get_or_insert(now);
        let for_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        Writes::Fail { why: "no answer".to_owned(), for_ms }
    }

    fn report(&self, tenure: &Tenure, writes: &Writes, memory: &mut Memory) -> Report {
        memory.count += 1;
        let seen = RegionReport { writes: writes.clone(), standby: None };
        Report {
            count: memory.count,
            at: self.world.clock.now(),
            version: "sim".to_owned(),
            regions: BTreeMap::from([(tenure.active.clone(), seen)]),
            decision: None,
        }
    }

    /// Say that the other region follows, once it was seen to.
    async fn settle(&self, region: &RegionName, tenure: &Tenure) {
        if &tenure.active != region || tenure.settled {
            return;
        }
        let other = self.manifest.other(region);
        let seen = self.world.regions[other].database.observe().await;
        if seen.seen().is_some_and(|d| d.role == ClusterRole::Standby && d.streaming) {
            let _ = self.world.tenures.advance(tenure::Event::Settled { epoch: tenure.epoch }).await;
        }
    }

    async fn decide(&self, here: &RegionName, tenure: &Tenure, memory: &mut Memory) -> Option<Act> {
        let vantages = self.vantages(&tenure.active, memory).await?;
        let pause = self.world.places.pause().await;
        let open = self.open(memory).await.ok()?;
        loop {
            let now = self.world.clock.mono();
            let sight = self.world.sight.saw(tenure, now);
            let why = pause.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let situation = Situation {
                policy: self.policy(),
                here,
                rank: self.rank,
                tenure,
                sight: &sight,
                now,
                wall: self.world.clock.now(),
                vantages: &vantages,
                pause: pause.as_ref().map(Option::as_ref).map_err(|_| why.as_str()),
                open: open.as_ref(),
                failover: memory.failover.as_ref(),
                reinstate: memory.reinstate.as_ref(),
            };
            match decision::decide(&situation) {
                Decision::Rest(decision::Rest::Renewed) => {
                    (memory.failover, memory.reinstate) = (None, None);
                    return None;
                }
                Decision::Rest(_) => return None,
                Decision::Refuse(_) => {
                    // What the planner said may be otherwise by now.
                    memory.failover = None;
                    return None;
                }
                Decision::Look(Look::Failover) => {
                    memory.failover = Some(self.assess(Kind::Failover, here).await);
                }
                Decision::Look(Look::Reinstate) => {
                    memory.reinstate = Some(self.assess(Kind::Reinstate, self.manifest.other(here)).await);
                }
                Decision::Act(act) => return Some(act),
            }
        }
    }

    async fn vantages(&self, active: &RegionName, memory: &mut Memory) -> Option<Vec<Vantage>> {
        let reports = self.world.places.reports().await.ok()?;
        let now = self.world.clock.mono();
        let bound = self.timing().renew * FRESH_RENEWALS;
        let judge = |(place, report): (Place, Report)| {
            let before = memory.fresh.get(&place).copied();
            let fresh = before.map_or_else(|| Freshness::first(&report), |f| f.saw(&report, now));
            memory.fresh.insert(place.clone(), fresh);
            let writes = report.regions.get(active).map(|seen| seen.writes.clone());
            Vantage { place, fresh: fresh.is_fresh(now, bound), writes }
        };
        Some(reports.into_iter().map(judge).collect())
    }

    async fn open(&self, memory: &mut Memory) -> Result<Option<Open>, StoreError> {
        let Some(OpenOperation { header, term, beats }) = self.world.journals.open().await? else {
            memory.beats = None;
            return Ok(None);
        };
        let now = self.world.clock.mono();
        let since = match &memory.beats {
            Some((id, t, b, since)) if id == &header.id && (*t, *b) == (term.0, beats) => *since,
            Some(_) | None => now,
        };
        memory.beats = Some((header.id.clone(), term.0, beats, since));
        let journal = self.world.journals.read(&header.id).await?;
        let events = journal.entries.iter().map(|e| &e.event);
        let state = Operation::replay(header.plan, events);
        let past_commit = state.is_ok_and(|s| s.past_return().is_some());
        Ok(Some(Open { id: header.id, silent_for: now.since(since), past_commit }))
    }

    async fn assess(&self, kind: Kind, to: &RegionName) -> Assessment {
        let observation = observer::observe(&self.world).await;
        let request = Request { kind, to: to.clone(), accept_loss_ms: None, measured_pauses_ms: Vec::new() };
        planner::plan(&self.manifest, &observation, &request)
    }

    async fn act(&self, act: Act, memory: &mut Memory) {
        self.sim.say(format!("{} decides: {act}", self.place));
        memory.acted += 1;
        let control = Control { watch: self.watcher(), stop: Arc::new(AtomicBool::new(false)) };
        let runnable = |assessment: &Option<Assessment>| assessment.as_ref()?.runnable().cloned();
        let id = || format!("by-{}-{}-{}", self.number, self.sim.now_ms(), memory.acted).parse();
        let result = match act {
            Act::Resume(id) => executor::resume(&self.world, id, control).await,
            Act::Abort(id) => {
                executor::abort(&self.world, id, "its region is lost".to_owned(), control).await
            }
            Act::FailOver | Act::Reinstate => {
                let looked = if act == Act::FailOver { &memory.failover } else { &memory.reinstate };
                let Some(plan) = runnable(looked) else { return };
                let id = id().expect("numbers make an id");
                executor::begin(&self.world, id, plan, control).await
            }
            Act::Release => {
                self.held(Event::Released);
                return;
            }
        };
        (memory.failover, memory.reinstate) = (None, None);
        match result {
            Ok(outcome) => self.sim.say(format!("{}: {outcome:?}", self.place)),
            Err(error) => self.sim.say(format!("{}: {error}", self.place)),
        }
    }

    fn watcher(&self) -> Arc<dyn Fn(&bascule_core::ports::Entry) + Send + Sync> {
        let (sim, place) = (self.sim.clone(), self.place.clone());
        Arc::new(move |entry| sim.say(format!("{place} journal: {}", crate::drive::describe(entry))))
    }
}
