//! A site with keepers: five processes in three places, the links between the places, their clocks, and the
//! permits without which no write is acknowledged.
//!
//! A process that is frozen neither sends nor sees an answer; what it asked for before is carried out all the
//! same. Its permit is asked for the time at the instant of a write, by its own clock.

mod judge;
pub mod scenes;
pub mod store;
pub mod trial;
mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::RegionName;
use bascule_core::ports::Probe;
use bascule_core::time::{Mono, Timestamp};
use bascule_engine::keeper::SharedHold;
use bascule_engine::world::Clock;
use tokio::time::{Instant, sleep};

use crate::ports::{From, thawed};
use crate::site::{EPOCH_MS, Sim};
use crate::state::State;

/// East, west, witness.
pub const PLACES: usize = 3;
/// The place in neither region.
pub const WITNESS: usize = 2;
/// Numbers of writes that nobody was told of begin here; no trial makes as many that were.
const STRANDED: u64 = 1 << 40;

/// One process.
#[derive(Clone)]
pub struct Process {
    /// Where it runs.
    pub place: usize,
    /// Whether it runs.
    pub alive: bool,
    /// Until when it is frozen, in virtual milliseconds.
    pub frozen_ms: u64,
    /// Its clocks.
    pub clocks: Arc<Clocks>,
    /// The hold of a keeper. A restarted one has another.
    pub hold: Option<SharedHold>,
}

/// A machine's clocks. They are read while the world is looked at, so they stand outside of it.
#[derive(Debug)]
pub struct Clocks {
    began: Instant,
    /// The instant at which the world is being looked at, in virtual milliseconds, if it is an earlier one.
    looked_at_ms: AtomicU64,
    drift_ppm: i64,
    wall_ms: AtomicI64,
    booted_ms: u64,
}

/// No earlier instant.
const NOW: u64 = u64::MAX;

impl Clocks {
    /// Clocks of a machine: how much faster than true they run, in millionths, and what the steady one showed
    /// at the beginning, in milliseconds.
    #[must_use]
    pub fn new(sim: &Sim, drift_ppm: i64, booted_ms: u64) -> Self {
        let (looked_at_ms, wall_ms) = (AtomicU64::new(NOW), AtomicI64::new(0));
        Self { began: sim.began(), looked_at_ms, drift_ppm, wall_ms, booted_ms }
    }

    /// Set the wall clock off by so many milliseconds.
    pub fn step_wall(&self, ms: i64) {
        self.wall_ms.store(ms, Ordering::SeqCst);
    }

    fn true_ms(&self) -> u64 {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NOW);
        now_ms.min(self.looked_at_ms.load(Ordering::SeqCst))
    }

    /// Look as it was at an instant.
    fn at<T>(&self, now_ms: u64, look: impl FnOnce() -> T) -> T {
        self.looked_at_ms.store(now_ms, Ordering::SeqCst);
        let seen = look();
        self.looked_at_ms.store(NOW, Ordering::SeqCst);
        seen
    }
}

impl Clock for Clocks {
    fn now(&self) -> Timestamp {
        let wall = i128::from(EPOCH_MS)
            + i128::from(self.true_ms())
            + i128::from(self.wall_ms.load(Ordering::SeqCst));
        Timestamp(u64::try_from(wall).unwrap_or(0))
    }

    fn mono(&self) -> Mono {
        let now_ms = self.true_ms();
        let drift = i128::from(now_ms) * i128::from(self.drift_ppm) / 1_000;
        let micros = i128::from(self.booted_ms + now_ms) * 1_000 + drift;
        Mono(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }
}

/// The keepers and what lies between the places.
pub struct Guard {
    /// The processes.
    pub processes: Vec<Process>,
    /// The regions, by their places.
    pub regions: [RegionName; 2],
    /// Whether messages pass from a place to another.
    pub links: [[bool; PLACES]; PLACES],
    /// Messages to and from the store that are lost, in a thousand.
    pub loss_per_mille: u64,
    /// How much longer than usual the store takes, in milliseconds.
    pub store_slow_ms: u64,
    /// Probes that say the contrary of what they saw, in a thousand.
    pub lies_per_mille: u64,
    /// What may be lost, in milliseconds.
    pub rpo_ms: u64,
    stranded: u64,
}

impl Guard {
    /// All links up, nothing wrong.
    #[must_use]
    pub fn new(regions: [RegionName; 2], processes: Vec<Process>) -> Self {
        Self {
            processes,
            regions,
            links: [[true; PLACES]; PLACES],
            loss_per_mille: 0,
            store_slow_ms: 0,
            lies_per_mille: 0,
            rpo_ms: 0,
            stranded: STRANDED,
        }
    }

    /// Whether a keeper of the region confirms a write at this instant.
    #[must_use]
    pub fn permits(&self, region: &RegionName, now_ms: u64) -> bool {
        let here = self.place_of(region);
        self.processes.iter().any(|process| {
            let runs = process.alive && process.place == here && process.frozen_ms <= now_ms;
            let open = |hold: &SharedHold| process.clocks.at(now_ms, || hold.is_open().is_some());
            runs && process.hold.as_ref().is_some_and(open)
        })
    }

    /// The number of a write that nobody is told of.
    pub fn next_stranded(&mut self) -> u64 {
        self.stranded += 1;
        self.stranded
    }

    /// Whether messages pass both ways.
    #[must_use]
    pub fn linked(&self, a: usize, b: usize) -> bool {
        a == b || self.links[a][b] && self.links[b][a]
    }

    fn place_of(&self, region: &RegionName) -> usize {
        usize::from(region != &self.regions[0])
    }
}

impl State {
    /// How much longer a process is frozen, alone or with its region.
    #[must_use]
    pub fn frozen_for_ms(&self, from: From) -> Option<u64> {
        let guard = self.guard.as_ref()?;
        let process = &guard.processes[from?];
        let region = guard.regions.get(process.place).map_or(0, |region| self.regions[region].frozen_ms);
        let until = process.frozen_ms.max(region);
        (until > self.now_ms).then(|| until - self.now_ms)
    }

    /// How much longer a region is frozen.
    #[must_use]
    pub fn region_frozen_for_ms(&self, region: &RegionName) -> Option<u64> {
        let until = self.regions[region].frozen_ms;
        (until > self.now_ms).then(|| until - self.now_ms)
    }

    /// Whether a call reaches a region, or the witness.
    #[must_use]
    pub fn reaches(&self, from: From, region: Option<&RegionName>) -> bool {
        let there = region.is_none_or(|r| self.regions[r].alive && self.regions[r].reachable);
        let (Some(guard), Some(process)) = (self.guard.as_ref(), from) else { return there };
        let target = region.map_or(WITNESS, |region| guard.place_of(region));
        there && guard.linked(guard.processes[process].place, target)
    }

    /// Whether a place's machines run.
    fn place_is_up(&self, place: usize) -> bool {
        let guard = self.guard.as_ref();
        let region = guard.and_then(|guard| guard.regions.get(place));
        region.is_none_or(|region| self.regions[region].is_up(self.now_ms))
    }

    /// Whether a place's request is carried out by the store, and whether the answer returns: there must be
    /// another voter with which this place's own one makes a majority.
    #[must_use]
    pub fn store_fate(&self, place: usize) -> (bool, bool) {
        let Some(guard) = &self.guard else { return (true, true) };
        let others = || (0..PLACES).filter(|other| *other != place && self.place_is_up(*other));
        let sent = others().any(|other| guard.links[place][other]);
        let answered = others().any(|other| guard.linked(place, other));
        (sent, answered)
    }

    /// Cut or mend the links from a place to another, one way.
    pub fn set_link(&mut self, from: usize, to: usize, up: bool) {
        if let Some(guard) = &mut self.guard {
            guard.links[from][to] = up;
            self.link_up = guard.linked(0, 1);
        }
    }
}

/// What a bound on loss may be over by, in milliseconds: users' writes come once in a tick of 100 ms, on either side of an
/// end. The databases' clocks are one here; where they are not, what they differ by is added to the bound.
const LOSS_SLACK_MS: u64 = 200;

impl State {
    /// What a region that is being promoted lacks of what users were told is safe: nothing in a switchover
    /// (I2), and no more than the objective in a failover (I3).
    pub(crate) fn check_loss(&mut self, name: &RegionName) {
        // What an earlier failover lost, neither has.
        let other = self.other(name);
        let gone: BTreeSet<u64> = self.missing_at(&other).iter().map(|ack| ack.number).collect();
        let missing: Vec<_> =
            self.missing_at(name).into_iter().filter(|ack| !gone.contains(&ack.number)).collect();
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else { return };
        let (count, lost_ms) = (missing.len(), last.at_ms - first.at_ms);
        let rpo_ms = self.guard.as_ref().map_or(0, |guard| guard.rpo_ms);
        let what = format!("{name} is promoted without {count} writes, of {lost_ms} ms");
        self.say(&what);
        if lost_ms > rpo_ms + LOSS_SLACK_MS {
            self.violate(format!("I3: {what}; allowed are {rpo_ms} ms"));
        }
    }
}

/// A process' writes through a region's front door.
pub struct FakeProbe {
    sim: Arc<Sim>,
    process: usize,
}

impl FakeProbe {
    /// The probes of a process.
    #[must_use]
    pub fn new(sim: Arc<Sim>, process: usize) -> Self {
        Self { sim, process }
    }
}

#[async_trait]
impl Probe for FakeProbe {
    async fn write_at(&self, region: &RegionName) -> Result<(), String> {
        let from = Some(self.process);
        thawed(&self.sim, from).await;
        sleep(Duration::from_millis(5)).await;
        let worked = self.sim.with(|s| {
            let lies = s.guard.as_ref().map_or(0, |guard| guard.lies_per_mille);
            let wrote = s.reaches(from, Some(region)) && s.attempt(region).is_some();
            wrote != (lies > 0 && s.rng.chance(lies))
        });
        thawed(&self.sim, from).await;
        if worked { Ok(()) } else { Err("it was not taken".to_owned()) }
    }
}
