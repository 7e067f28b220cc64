//! Everything the engine can reach, as ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bascule_core::id::{DnsName, RegionName};
use bascule_core::ports::{Database, FrontDoor, Gate, JournalStore, Log, Names, Pool, TenureStore};
use bascule_core::time::Timestamp;

/// Wall-clock time, read in one place so that the simulation can replace it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
    /// What was done.
    pub journals: Arc<dyn JournalStore>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where operations leave files, one folder each.
    pub reports: PathBuf,
}
