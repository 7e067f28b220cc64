//! Everything the engine can reach, as ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bascule_core::id::{DnsName, RegionName};
use bascule_core::ports::{
    Database, FrontDoor, Gate, JournalStore, Log, Names, Pool, ReportStore, TenureStore, TenureWatch,
};
use bascule_core::tenure::Tenure;
use bascule_core::tenure::challenge::Sight;
use bascule_core::time::{Mono, Timestamp};

/// Time, read in one place so that the simulation can replace it.
pub trait Clock: Send + Sync {
    /// What the wall clock shows. It may step.
    fn now(&self) -> Timestamp;
    /// What the clock that never steps shows: it also counts while the machine sleeps.
    fn mono(&self) -> Mono;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn mono(&self) -> Mono {
        // CLOCK_MONOTONIC stands still while a machine is suspended (clock_gettime(2)), and a hold must not.
        let read = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(read.tv_sec).unwrap_or_default();
        Mono(Duration::new(seconds, u32::try_from(read.tv_nsec).unwrap_or_default()))
    }
}

/// The tenure as this process last saw it, and since when it stands still. Whoever looks at the tenure puts
/// it here, so that a keeper's watch and an executor's wait are one.
#[derive(Debug, Clone, Default)]
pub struct SharedSight(Arc<Mutex<Option<Sight>>>);

impl SharedSight {
    /// Take in an answer of the store; `now` is read after it is there. Returns what is seen now.
    pub fn saw(&self, tenure: &Tenure, now: Mono) -> Sight {
        let mut sight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = sight.map_or_else(|| Sight::first(tenure, now), |sight| sight.saw(tenure, now));
        *sight = Some(next);
        next
    }

    /// For how long a tenure that the store has just answered stands still.
    pub(crate) fn still_for(&self, tenure: &Tenure, now: Mono) -> Duration {
        self.saw(tenure, now).still_for(now)
    }
}

/// One region's parts.
#[derive(Clone)]
pub struct RegionPorts {
    /// Its database cluster.
    pub database: Arc<dyn Database>,
    /// Its write-ahead log.
    pub log: Arc<dyn Log>,
    /// Its gate.
    pub gate: Arc<dyn Gate>,
    /// Its connection pool.
    pub pool: Arc<dyn Pool>,
    /// Where the other region's standby follows it.
    pub replication: SocketAddr,
}

/// The site, as far as it can be reached.
#[derive(Clone)]
pub struct World {
    /// Both regions.
    pub regions: BTreeMap<RegionName, RegionPorts>,
    /// The site's names, and where each points when a region is active.
    pub records: BTreeMap<DnsName, BTreeMap<RegionName, IpAddr>>,
    /// Who changes and asks for names.
    pub names: Arc<dyn Names>,
    /// The way users come in.
    pub front_door: Arc<dyn FrontDoor>,
    /// Who is active.
    pub tenures: Arc<dyn TenureStore>,
    /// Tells when the tenure changes.
    pub watch: Arc<dyn TenureWatch>,
    /// What was done.
    pub journals: Arc<dyn JournalStore>,
    /// What the places tell each other.
    pub places: Arc<dyn ReportStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Since when the tenure stands still.
    pub sight: SharedSight,
    /// How long a region may let writes pass after its last renewal; zero where nobody renews.
    pub ttl: Duration,
    /// Where operations leave files, one folder each.
    pub reports: PathBuf,
}
