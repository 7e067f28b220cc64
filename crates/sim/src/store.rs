//! The real memory store, made to fail.

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, Term};
use bascule_core::ports::{
    Entry, Grip, Header, Journal, JournalStore, OpenOperation, ReportStore, StoreError, TenureStore,
    TenureWatch,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place, Report};
use bascule_stores::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::Fault;
use crate::site::Sim;

/// A store whose writes may fail, with or without having been made.
pub struct FaultyStore {
    inner: MemoryStore,
    sim: Arc<Sim>,
    appends: AtomicU64,
}

impl FaultyStore {
    /// An empty one.
    #[must_use]
    pub fn new(sim: Arc<Sim>) -> Self {
        Self {
            inner: MemoryStore::new("events".parse().expect("a site name")),
            sim,
            appends: AtomicU64::new(0),
        }
    }

    /// Appends that were tried so far.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.appends.load(Ordering::SeqCst)
    }

    fn lost(call: &str) -> StoreError {
        StoreError::Unavailable(format!("{call}: disk I/O error"))
    }
}

/// Whether a write is made, and whether its answer arrives.
fn fate(fault: Option<Fault>) -> (bool, bool) {
    match fault {
        None => (true, true),
        Some(Fault::LostAnswer | Fault::SlowAnswer) => (true, false),
        Some(Fault::Refused | Fault::LostCall | Fault::Hangs) => (false, false),
    }
}

#[async_trait]
impl TenureStore for FaultyStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        self.inner.tenure().await
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        // Renewals are many; what becomes of them is decided on their way.
        let renewal = matches!(event, tenure::Event::Renewed { .. });
        let (made, answered) = fate(if renewal { None } else { self.sim.strike("store commit") });
        if made {
            let next = self.inner.advance(event).await?;
            if !renewal {
                self.sim.say(format!("tenure: {} is active in epoch {}", next.active, next.epoch));
            }
            if answered {
                return Ok(next);
            }
        }
        Err(Self::lost("commit"))
    }

    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.inner.sight(region, dark, at).await
    }
}

#[async_trait]
impl JournalStore for FaultyStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        self.inner.begin(header).await
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        self.inner.claim(id).await
    }

    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        let (made, answered) = fate(self.sim.strike("store append"));
        if made {
            self.inner.append(id, grip, at, entries).await?;
        }
        if answered { Ok(()) } else { Err(Self::lost("append")) }
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        self.inner.beat(id, term).await
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        self.inner.open().await
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        self.inner.read(id).await
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        self.inner.list(limit).await
    }
}

#[async_trait]
impl ReportStore for FaultyStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        self.inner.report(place, report).await
    }

    async fn reports(&self) -> Result<Vec<(Place, Report)>, StoreError> {
        self.inner.reports().await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.inner.pause().await
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.inner.set_pause(pause).await
    }
}

#[async_trait]
impl TenureWatch for FaultyStore {
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        self.inner.changed(than).await
    }
}
