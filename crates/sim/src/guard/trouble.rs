//! What goes wrong in a trial, and what mends it.

use std::time::Duration;

use bascule_core::plan::Kind;
use bascule_core::ports::TenureStore as _;
use bascule_core::tenure::{Event, Release};
use bascule_core::time::Timestamp;
use bascule_engine::crash::CrashPoint;
use tokio::time::sleep;

use super::PLACES;
use crate::drive::{self, Command, Run};
use crate::fault::Faults;
use crate::rng::Rng;
use crate::site::Site;

use super::trial::{PROCESSES, Stage};

/// The last fault begins before this, in virtual milliseconds.
pub(super) const FAULTS_MS: u64 = 40_000;

/// The longest a fault lasts: longer than a failover with everything that it waits for.
pub(super) const LASTS_MS: u64 = 20_000;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A region's machines stop, and come back.
    Lose(usize),
    /// They all sleep, and wake.
    Freeze(usize),
    /// A process sleeps.
    Sleep(usize),
    /// A process dies; another starts in its place.
    Kill(usize),
    /// A place is cut off from both others.
    Isolate(usize),
    /// Messages from one place to another are lost.
    OneWay(usize, usize),
    /// Messages between two places are lost.
    Cut(usize, usize),
    /// Messages to and from the store are lost or made twice.
    StoreLoses,
    /// The store answers late.
    StoreSlow,
    /// A process' wall clock is set.
    WallStep(usize),
    /// Probes say the contrary of what they saw.
    Lies,
    /// Calls to parts fail, and journal writes.
    Calls,
    /// The standby falls behind.
    Lag,
    /// A person moves the site, and may be killed meanwhile.
    Switchover,
    /// A region's instances answer nobody.
    Ill(usize),
    /// A person has the active region let go, and takes it back.
    LetGo,
}

pub(super) fn trouble(rng: &mut Rng) -> Trouble {
    let place = |rng: &mut Rng, of: usize| usize::try_from(rng.below(of as u64)).unwrap_or(0);
    let pair = |rng: &mut Rng| {
        let a = place(rng, PLACES);
        (a, (a + 1 + place(rng, PLACES - 1)) % PLACES)
    };
    match rng.below(16) {
        0 | 1 => Trouble::Lose(place(rng, 2)),
        2 | 3 => Trouble::Freeze(place(rng, 2)),
        4 => Trouble::Sleep(place(rng, PROCESSES)),
        5 => Trouble::Kill(place(rng, PROCESSES)),
        6 => Trouble::Isolate(place(rng, PLACES)),
        7 => {
            let (a, b) = pair(rng);
            Trouble::OneWay(a, b)
        }
        8 => {
            let (a, b) = pair(rng);
            Trouble::Cut(a, b)
        }
        9 => Trouble::StoreLoses,
        10 => Trouble::StoreSlow,
        11 => Trouble::WallStep(place(rng, PROCESSES)),
        12 => Trouble::Lies,
        13 => Trouble::Calls,
        14 => Trouble::Lag,
        _ => Trouble::Switchover,
    }
}

impl Stage {
    pub(super) fn begin(&mut self, trouble: Trouble, rng: &mut Rng) {
        let sim = self.site.sim.clone();
        match trouble {
            Trouble::Lose(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.lose(&region));
                self.kill(2 * place);
                self.kill(2 * place + 1);
            }
            Trouble::Freeze(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.region(&region).frozen_ms = u64::MAX);
            }
            Trouble::Sleep(number) => self.guard(|g| g.processes[number].frozen_ms = u64::MAX),
            Trouble::Kill(number) => self.kill(number),
            Trouble::Isolate(place) => self.links(place, None, false),
            Trouble::OneWay(from, to) => sim.with(|s| s.set_link(from, to, false)),
            Trouble::Cut(a, b) => self.links(a, Some(b), false),
            Trouble::StoreLoses => {
                let loss = 50 + rng.below(400);
                self.guard(|g| g.loss_per_mille = loss);
            }
            Trouble::StoreSlow => {
                let slow = 100 + rng.below(1_500);
                self.guard(|g| g.store_slow_ms = slow);
            }
            Trouble::WallStep(number) => {
                let step = i64::try_from(rng.below(7_200_000)).unwrap_or(0) - 3_600_000;
                self.guard(|g| g.processes[number].clocks.step_wall(step));
            }
            Trouble::Lies => {
                let lies = 100 + rng.below(900);
                self.guard(|g| g.lies_per_mille = lies);
            }
            Trouble::Calls => {
                let (per_mille, left) = (20 + rng.below(200), 1 + u32::try_from(rng.below(8)).unwrap_or(0));
                sim.with(|s| s.faults = Faults::Random { per_mille, left });
            }
            Trouble::Lag => {
                let lag_ms = 100 + rng.below(9_000);
                sim.with(|s| s.lag_ms = lag_ms);
            }
            Trouble::Switchover => {
                let when = if rng.chance(500) { "before" } else { "after" };
                let crash =
                    rng.chance(600).then(|| format!("{when}={}", 1 + rng.below(25)).parse().ok()).flatten();
                self.person(crash);
            }
            Trouble::Ill(place) => self.ill(place, true),
            Trouble::LetGo => self.let_go(true),
        }
    }

    pub(super) fn mend(&mut self, trouble: Trouble) {
        let sim = self.site.sim.clone();
        match trouble {
            Trouble::Lose(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.bring_back(&region));
                self.restart(2 * place);
                self.restart(2 * place + 1);
            }
            Trouble::Freeze(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.region(&region).frozen_ms = 0);
            }
            Trouble::Sleep(number) => self.guard(|g| g.processes[number].frozen_ms = 0),
            Trouble::Kill(number) => self.restart(number),
            Trouble::Isolate(place) => self.links(place, None, true),
            Trouble::OneWay(from, to) => sim.with(|s| s.set_link(from, to, true)),
            Trouble::Cut(a, b) => self.links(a, Some(b), true),
            Trouble::StoreLoses => self.guard(|g| g.loss_per_mille = 0),
            Trouble::StoreSlow => self.guard(|g| g.store_slow_ms = 0),
            Trouble::WallStep(number) => self.guard(|g| g.processes[number].clocks.step_wall(0)),
            Trouble::Lies => self.guard(|g| g.lies_per_mille = 0),
            Trouble::Calls => sim.with(|s| s.faults = Faults::None),
            Trouble::Lag => sim.with(|s| s.lag_ms = crate::site::LAG_MS),
            Trouble::Switchover => {}
            Trouble::Ill(place) => self.ill(place, false),
            Trouble::LetGo => self.let_go(false),
        }
    }

    fn ill(&self, place: usize, ill: bool) {
        let region = self.regions[place].clone();
        self.site.sim.with(|s| s.region(&region).ill = ill);
    }

    /// A person tries it, and takes it back until that is done.
    fn let_go(&self, on: bool) {
        let (store, sim) = (self.site.store.clone(), self.site.sim.clone());
        tokio::spawn(async move {
            loop {
                if let Ok(Some(tenure)) = store.tenure().await {
                    let (epoch, at) = (tenure.epoch, Timestamp(sim.now_ms()));
                    let release = Release {
                        by: "a person".to_owned(),
                        why: "a trial".to_owned(),
                        at,
                        for_a_while: false,
                    };
                    let event = match tenure.released {
                        _ if on => Event::Released { epoch, release },
                        Some(release) => Event::Kept { epoch, release },
                        None => return sim.say("a person: nothing was let go"),
                    };
                    match store.advance(event).await {
                        Ok(tenure) => {
                            return sim.say(format!("a person: let go = {}", tenure.released.is_some()));
                        }
                        Err(error) => sim.say(format!("a person is told: {error}")),
                    }
                }
                if on {
                    return;
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
    }

    fn links(&self, place: usize, other: Option<usize>, up: bool) {
        self.site.sim.with(|s| {
            for far in (0..PLACES).filter(|far| *far != place && other.is_none_or(|o| o == *far)) {
                s.set_link(place, far, up);
                s.set_link(far, place, up);
            }
        });
    }

    /// A person asks for a switchover, and may be gone at any journal write.
    pub(super) fn person(&mut self, crash: Option<CrashPoint>) {
        let site = Site {
            manifest: (*self.manifest).clone(),
            sim: self.site.sim.clone(),
            store: self.site.store.clone(),
            world: self.site.world.clone(),
        };
        let id = format!("person-{}", self.people.len()).parse().expect("an id");
        self.people.push(tokio::spawn(async move {
            let Ok(Some(tenure)) = site.store.tenure().await else { return Run::Died };
            let to = site.manifest.other(&tenure.active).clone();
            let assessment = drive::assess(&site, Kind::Switchover, &to, None).await;
            let Some(plan) = assessment.runnable().cloned() else {
                site.sim.say("the person is refused");
                return Run::Died;
            };
            drive::run(&site, &id, Command::Apply(Box::new(plan)), crash).await
        }));
    }
}
