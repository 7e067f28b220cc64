//! The fake site: a manifest, a world behind the core's ports, and a handle to bend it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bascule_core::id::{DnsName, Epoch, RegionName};
use bascule_core::manifest::Manifest;
use bascule_core::observation::GateState;
use bascule_core::ports::TenureStore;
use bascule_core::position::Timeline;
use bascule_core::tenure::Event;
use bascule_core::time::{Mono, Timestamp};
use bascule_engine::world::{Clock, RegionPorts, SharedSight, World};
use tokio::time::Instant;

use crate::fault::{Fault, Faults};
use crate::log::{Log, Role};
use crate::ports::{FakeDoor, FakeNames, FakeRegion, From};
use crate::rng::Rng;
use crate::state::{Name, Region, State};
use crate::store::FaultyStore;

/// The manifest of the fake site.
pub const MANIFEST: &str = include_str!("site.toml");
/// 2026-11-22T00:00:00Z, so that transcripts look like ones.
pub(crate) const EPOCH_MS: u64 = 1_795_305_600_000;
/// How long the world has been running when a trial begins, in milliseconds.
const WARM_MS: u64 = 1_000;
/// How long a record takes to the other region while all is well, in milliseconds.
pub const LAG_MS: u64 = 20;

/// The world behind a lock, with its clock.
pub struct Sim {
    state: Mutex<State>,
    began: Instant,
}

impl Sim {
    /// Virtual milliseconds since the world began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Look at the world as it is now, or change it; then what must never be is looked for.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // A trial that panicked is over: what it left is not looked at.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(self.now_ms());
        let result = act(&mut state);
        state.check();
        result
    }

    /// When it began, by the virtual clock.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Write a line of the trace.
    pub fn say(&self, what: impl AsRef<str>) {
        self.with(|s| s.say(what));
    }

    /// What happens to a call.
    pub fn strike(&self, call: &str) -> Option<Fault> {
        self.with(|s| {
            let State { faults, rng, .. } = s;
            let fault = faults.strike(call, rng);
            if let Some(fault) = fault {
                s.say(format!("FAULT {fault:?}: {call}"));
            }
            fault
        })
    }
}

/// A clock that follows virtual time.
struct VirtualClock(Arc<Sim>);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(EPOCH_MS + self.0.now_ms())
    }

    fn mono(&self) -> Mono {
        Mono(std::time::Duration::from_millis(self.0.now_ms()))
    }
}

/// A fake site, founded and healthy.
pub struct Site {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its world.
    pub sim: Arc<Sim>,
    /// Its store.
    pub store: Arc<FaultyStore>,
    /// What the engine sees.
    pub world: World,
}

impl Site {
    /// A site whose first region is active and whose second one follows, with users. Call it on a runtime
    /// whose clock is paused.
    ///
    /// # Panics
    /// If the built-in manifest is wrong.
    pub async fn new(seed: u64) -> Self {
        Self::of(Manifest::parse(MANIFEST).expect("the built-in manifest is right"), seed).await
    }

    /// The same, of another manifest with the same regions.
    pub async fn of(manifest: Manifest, seed: u64) -> Self {
        let state = founded(&manifest, seed);
        let sim = Arc::new(Sim { state: Mutex::new(state), began: Instant::now() });
        let store = Arc::new(FaultyStore::new(sim.clone()));
        let world = world(&manifest, &sim, &store, None);
        let active = manifest.home.clone();
        let founded = Event::Founded { active, at: world.clock.now() };
        store.advance(founded).await.expect("an empty memory store takes it");
        tokio::time::sleep(std::time::Duration::from_millis(WARM_MS)).await;
        sim.with(|s| s.longest_pause_ms = 0);
        Self { manifest, sim, store, world }
    }

    /// The region that is active at the start.
    #[must_use]
    pub fn home(&self) -> RegionName {
        self.manifest.home.clone()
    }

    /// The other one.
    #[must_use]
    pub fn away(&self) -> RegionName {
        self.manifest.other(&self.manifest.home).clone()
    }
}

fn founded(manifest: &Manifest, seed: u64) -> State {
    let region = |name: &RegionName| {
        let home = name == &manifest.home;
        let role = if home { Role::Primary } else { Role::Standby { ready_ms: 0 } };
        Region {
            alive: true,
            reachable: true,
            frozen_ms: 0,
            gate: if home { GateState::Local } else { GateState::Remote },
            gate_epoch: Epoch(1),
            cut_ms: 0,
            straggler_ms: None,
            ill: false,
            held: false,
            log: Log { timeline: Timeline(1), ..Log::new(role) },
            heard_ms: 0,
            is_prefix: true,
        }
    };
    let name = |record: &bascule_core::manifest::NameRecord| {
        let ttl_s = u32::try_from(record.ttl.as_secs()).unwrap_or(u32::MAX);
        (record.name.clone(), Name { at: manifest.home.clone(), ttl_s })
    };
    State {
        now_ms: 0,
        regions: manifest.regions.keys().map(|r| (r.clone(), region(r))).collect(),
        names: manifest.names.records.iter().map(name).collect(),
        link_up: true,
        lag_ms: LAG_MS,
        gate_opens_ms: 2,
        acks: Vec::new(),
        refused: 0,
        users: true,
        longest_pause_ms: 0,
        saved: std::collections::BTreeSet::new(),
        violations: Vec::new(),
        trace: Vec::new(),
        guard: None,
        faults: Faults::None,
        rng: Rng::new(seed),
    }
}

/// The world as a process or a person reaches it.
pub(crate) fn world(manifest: &Manifest, sim: &Arc<Sim>, store: &Arc<FaultyStore>, from: From) -> World {
    let ports = |name: &RegionName| {
        let fake = Arc::new(FakeRegion { sim: sim.clone(), from, name: name.clone() });
        RegionPorts {
            database: fake.clone(),
            log: fake.clone(),
            gate: fake.clone(),
            pool: fake,
            replication: manifest.regions[name].database.replication,
        }
    };
    let records: BTreeMap<DnsName, BTreeMap<RegionName, std::net::IpAddr>> = manifest
        .names
        .records
        .iter()
        .map(|record| {
            let at = |r: &RegionName| (r.clone(), manifest.address(record, r));
            (record.name.clone(), manifest.regions.keys().map(at).collect())
        })
        .collect();
    World {
        regions: manifest.regions.keys().map(|r| (r.clone(), ports(r))).collect(),
        names: Arc::new(FakeNames { sim: sim.clone(), from, records: records.clone() }),
        records,
        front_door: Arc::new(FakeDoor { sim: sim.clone(), from, manifest: manifest.clone() }),
        tenures: store.clone(),
        watch: store.clone(),
        journals: store.clone(),
        places: store.clone(),
        sight: SharedSight::default(),
        ttl: manifest.automatic.as_ref().map_or(Duration::ZERO, |policy| policy.ttl),
        clock: Arc::new(VirtualClock(sim.clone())),
        reports: std::path::PathBuf::from("reports"),
    }
}
