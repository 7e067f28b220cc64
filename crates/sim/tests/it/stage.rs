//! Trials: a site brought to where an operation can begin, and what must hold once it is over.

use std::future::Future;
use std::time::Duration;

use bascule_core::id::{Epoch, OperationId, RegionName};
use bascule_core::observation::GateState;
use bascule_core::operation::{Course, Event, Operation, Outcome};
use bascule_core::plan::{Kind, Plan};
use bascule_core::ports::{JournalStore, TenureStore};
use bascule_core::tenure::Tenure;
use bascule_engine::crash::CrashPoint;
use bascule_sim::drive::{self, Command, Run};
use bascule_sim::log::Role;
use bascule_sim::site::Site;
use bascule_sim::state::{Name, State};

/// Longer than anything the world does by itself: a rewind and a replication delay, in milliseconds.
const CALM_MS: u64 = 10_000;

/// Run on a clock of its own, which moves when everybody waits.
pub fn in_virtual_time<T>(trial: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(trial)
}

/// Which operation, in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub kind: Kind,
    /// Away from home, or back.
    pub back: bool,
}

pub const CASES: [Case; 6] = [
    Case { kind: Kind::Switchover, back: false },
    Case { kind: Kind::Switchover, back: true },
    Case { kind: Kind::Failover, back: false },
    Case { kind: Kind::Failover, back: true },
    Case { kind: Kind::Reinstate, back: false },
    Case { kind: Kind::Reinstate, back: true },
];

/// What an abort must leave alone. Positions go on, so they are no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    regions: Vec<(RegionName, bool, GateState, Epoch, bool, Role)>,
    names: Vec<Name>,
    tenure: Option<Tenure>,
}

pub struct Trial {
    pub site: Site,
    pub case: Case,
    pub id: OperationId,
    pub from: RegionName,
    pub to: RegionName,
    pub plan: Plan,
    pub before: Shape,
}

pub async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

pub async fn succeed(site: &Site, id: &str, kind: Kind, to: &RegionName) {
    let assessment = drive::assess(site, kind, to, None).await;
    let plan = assessment.runnable().unwrap_or_else(|| panic!("{:?}", assessment.blocks)).clone();
    let run = drive::run(site, &id.parse().expect("an id"), Command::Apply(Box::new(plan)), None).await;
    assert!(run.succeeded(), "{run:?}");
}

impl Trial {
    /// A site on which the operation can begin, with its plan.
    pub async fn new(case: Case, seed: u64) -> Self {
        let site = Site::new(seed).await;
        let (mut from, mut to) = (site.home(), site.away());
        if case.back {
            succeed(&site, "prelude-away", Kind::Switchover, &to).await;
            sleep_ms(2_000).await;
            std::mem::swap(&mut from, &mut to);
        }
        if case.kind != Kind::Switchover {
            site.sim.with(|s| s.lose(&from));
            sleep_ms(500).await;
        }
        if case.kind == Kind::Reinstate {
            succeed(&site, "prelude-lost", Kind::Failover, &to).await;
            site.sim.with(|s| s.bring_back(&from));
            sleep_ms(500).await;
            std::mem::swap(&mut from, &mut to);
        }
        let assessment = drive::assess(&site, case.kind, &to, None).await;
        let plan =
            assessment.runnable().unwrap_or_else(|| panic!("{case:?}: {:?}", assessment.blocks)).clone();
        let before = shape(&site).await;
        site.sim.with(|s| {
            s.trace.clear();
            s.longest_pause_ms = 0;
        });
        let id = "trial".parse().expect("an id");
        Self { site, case, id, from, to, plan, before }
    }

    pub async fn apply(&self, crash: Option<CrashPoint>) -> Run {
        drive::run(&self.site, &self.id, Command::Apply(Box::new(self.plan.clone())), crash).await
    }

    pub async fn resume(&self, crash: Option<CrashPoint>) -> Run {
        drive::run(&self.site, &self.id, Command::Resume, crash).await
    }

    pub async fn abort(&self, crash: Option<CrashPoint>) -> Run {
        drive::run(&self.site, &self.id, Command::Abort, crash).await
    }

    /// Resume until it has ended: what still goes wrong is limited, so this is too.
    pub async fn finish(&self, mut run: Run) -> Run {
        for _ in 0..20 {
            match run {
                Run::Ended(_) => return run,
                Run::Stopped(_) | Run::Died => run = self.resume(None).await,
            }
            if let Some(outcome) = self.over().await {
                return Run::Ended(outcome);
            }
        }
        run
    }

    /// How the operation ended, by its journal.
    pub async fn over(&self) -> Option<Outcome> {
        let journal = self.site.store.read(&self.id).await.ok()?;
        let events = journal.entries.iter().map(|e| &e.event);
        let state = Operation::replay(journal.header.plan.clone(), events).expect("a sound journal");
        let Course::Ended { outcome } = state.course else { return None };
        Some(outcome)
    }

    /// Whether a step was given up: then the left region still has to be reinstated.
    async fn gave_up(&self) -> bool {
        let journal = self.site.store.read(&self.id).await.expect("it is there");
        let given_up = |e: &Event| matches!(e, Event::Done { evidence, .. } if evidence.waived.is_some());
        journal.entries.iter().any(|e| given_up(&e.event))
    }

    /// [`Trial::check`], after the left region was reinstated if a step of it was given up.
    pub async fn check_loosely(&self, run: &Run, what: &str) {
        if run.succeeded() && self.gave_up().await {
            sleep_ms(CALM_MS).await;
            let assessment = drive::assess(&self.site, Kind::Reinstate, &self.from, None).await;
            if let Some(plan) = assessment.runnable() {
                let id = "mend".parse().expect("an id");
                let mended = drive::run(&self.site, &id, Command::Apply(Box::new(plan.clone())), None).await;
                assert!(mended.succeeded(), "{what}: {mended:?}");
            }
        }
        self.check(run, what).await;
    }

    /// What must hold of an operation that has ended. `what` names the trial if it does not.
    pub async fn check(&self, run: &Run, what: &str) {
        if let Some(wrong) = self.wrong(run).await {
            let trace = self.site.sim.with(|s| s.trace.join("\n"));
            panic!("{wrong}\nin {what}, {:?}\n{trace}", self.case);
        }
    }

    async fn wrong(&self, run: &Run) -> Option<String> {
        let after = shape(&self.site).await;
        let ended = match run {
            Run::Ended(_) if run.succeeded() => self.wrong_success().await,
            Run::Ended(_) => self.wrong_abort(&after).await,
            Run::Stopped(error) => Some(format!("stopped: {error}")),
            Run::Died => Some("the controller died".to_owned()),
        };
        let violations = self.site.sim.with(|s| s.violations.clone());
        ended.or_else(|| (!violations.is_empty()).then(|| violations.join("; ")))
    }

    async fn wrong_abort(&self, after: &Shape) -> Option<String> {
        let mut wanted = self.before.clone();
        if self.case.kind == Kind::Reinstate {
            // It has nothing to take back: the returned region may be closed, or follow already.
            let keep = |shape: &Shape| Shape {
                regions: shape.regions.iter().filter(|r| r.0 == self.from).cloned().collect(),
                ..shape.clone()
            };
            wanted = keep(&wanted);
            if keep(after) != wanted {
                return Some(format!("aborted, but it was {wanted:?} and is {after:?}"));
            }
        } else if *after != wanted {
            return Some(format!("aborted, but it was {wanted:?} and is {after:?}"));
        }
        let alive = self.site.sim.with(|s| s.regions.keys().any(|r| s.takes_writes(r)));
        let flows = alive || self.case.kind == Kind::Failover;
        if !flows || alive && !writes_flow(&self.site).await {
            return Some("aborted, but users' writes do not flow".to_owned());
        }
        None
    }

    async fn wrong_success(&self) -> Option<String> {
        if self.case.kind != Kind::Reinstate {
            return self.wrong_move().await;
        }
        let returned = self.site.sim.with(|s| {
            let region = s.region(&self.to).clone();
            (region.gate, region.held, region.log.is_primary())
        });
        if returned != (GateState::Remote, false, false) {
            return Some(format!("reinstated, but (gate, held, primary) is {returned:?}"));
        }
        self.wrong_standby(&self.to).await
    }

    async fn wrong_move(&self) -> Option<String> {
        let tenure = self.site.store.tenure().await.expect("memory answers").expect("founded");
        if tenure.active != self.to || tenure.epoch != self.plan.base.next() {
            return Some(format!("succeeded, but the tenure is {tenure:?}"));
        }
        let ttls: Vec<_> =
            self.site.manifest.names.records.iter().map(|r| (r.name.clone(), r.ttl.as_secs())).collect();
        let (serves, names, missing) = self.site.sim.with(|s| {
            let takes = s.takes_writes(&self.to);
            let there = s.region(&self.to);
            let serves = takes && !there.held && there.gate_epoch == tenure.epoch;
            let moved = |(name, ttl): &(_, u64)| {
                let now = &s.names[name];
                now.at == self.to && u64::from(now.ttl_s) == *ttl
            };
            (serves, ttls.iter().all(moved), s.missing_at(&self.to).len())
        });
        if !serves || !writes_flow(&self.site).await {
            return Some(format!("succeeded, but {} does not serve", self.to));
        }
        if !names {
            return Some("succeeded, but the names do not point there as long as they should".to_owned());
        }
        if self.case.kind == Kind::Failover {
            return None;
        }
        if missing > 0 {
            return Some(format!("I2: {missing} acknowledged writes are not in {}", self.to));
        }
        self.wrong_standby(&self.from).await
    }

    async fn wrong_standby(&self, region: &RegionName) -> Option<String> {
        for _ in 0..CALM_MS / 500 {
            self.not_following(region)?;
            sleep_ms(500).await;
        }
        self.not_following(region)
    }

    fn not_following(&self, region: &RegionName) -> Option<String> {
        let missing = self.site.sim.with(|s| {
            let due = s.now_ms.saturating_sub(s.lag_ms + 50);
            let feed = s.feed(region).0;
            (feed, s.missing_at(region).iter().filter(|a| a.at_ms < due).count(), s.region(region).held)
        });
        // What a failover lost is missing in both regions for good.
        let lost = self.site.sim.with(|s| {
            let active = s.other(region);
            s.missing_at(&active).len()
        });
        (missing.0, missing.1 <= lost, missing.2)
            .ne(&(true, true, false))
            .then(|| format!("{region} does not follow: (fed, missing, held) is {missing:?}"))
    }
}

pub async fn writes_flow(site: &Site) -> bool {
    let count = |s: &mut State| s.acks.len();
    let before = site.sim.with(count);
    sleep_ms(100).await;
    site.sim.with(count) > before
}

pub async fn shape(site: &Site) -> Shape {
    let tenure = site.store.tenure().await.expect("memory answers");
    site.sim.with(|s| Shape {
        regions: s
            .regions
            .iter()
            .map(|(n, r)| (n.clone(), r.alive, r.gate, r.gate_epoch, r.held, r.log.role))
            .collect(),
        names: s.names.values().cloned().collect(),
        tenure,
    })
}
