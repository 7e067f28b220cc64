//! The real memory store, made to fail.

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, Term};
use bascule_core::ports::{
    Entry, Grip, Header, Journal, JournalStore, OpenOperation, ReportStore, Reports, StoreError, TenureStore,
    TenureWatch,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place, Report};
use bascule_stores::MemoryStore;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::Fault;
use crate::site::Sim;

/// A store whose writes may fail, with or without having been made, and whose disk may lose the last of them.
pub struct FaultyStore {
    inner: Mutex<Arc<MemoryStore>>,
    /// What was written, for a disk that loses the end of it.
    log: Mutex<Vec<Write>>,
    sim: Arc<Sim>,
    appends: AtomicU64,
}

/// A write that changed what is stored of operations and of the tenure.
#[derive(Debug, Clone)]
enum Write {
    Advance(tenure::Event),
    Begin(Box<Header>),
    Claim(OperationId),
    Append(OperationId, Grip, u64, Vec<Entry>),
}

impl FaultyStore {
    /// An empty one.
    #[must_use]
    pub fn new(sim: Arc<Sim>) -> Self {
        Self { inner: Mutex::new(Arc::new(empty())), log: Mutex::default(), sim, appends: AtomicU64::new(0) }
    }

    fn inner(&self) -> Arc<MemoryStore> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wrote(&self, write: Write) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(write);
    }

    /// The machine dies, and its disk had not kept the last write although it said so (a lost fsync), or only a part
    /// of it, which a store with checksums takes for none (a torn one). What was not an operation's is forgotten with it.
    ///
    /// # Panics
    /// On a site with keepers, whose renewals are not kept: its store has three disks, of which one may be lost.
    pub async fn loses_its_last_write(&self) {
        let log = {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = log.pop();
            self.sim.say(format!("the disk loses {}", lost.as_ref().map_or("nothing", Write::name)));
            log.clone()
        };
        let store = empty();
        for write in log {
            let again = match write {
                Write::Advance(event) => store.advance(event).await.map(drop),
                Write::Begin(header) => store.begin(&header).await.map(drop),
                Write::Claim(id) => store.claim(&id).await.map(drop),
                Write::Append(id, grip, at, entries) => store.append(&id, grip, at, &entries).await,
            };
            again.expect("it was written before");
        }
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(store);
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

impl Write {
    fn name(&self) -> &'static str {
        match self {
            Write::Advance(_) => "a change of the tenure",
            Write::Begin(_) => "the beginning of an operation",
            Write::Claim(_) => "a claim",
            Write::Append(..) => "an append",
        }
    }
}

fn empty() -> MemoryStore {
    MemoryStore::new("events".parse().expect("a site name"))
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
        self.inner().tenure().await
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        // Renewals are many; what becomes of them is decided on their way.
        let renewal = matches!(event, tenure::Event::Renewed { .. });
        let (made, answered) = fate(if renewal { None } else { self.sim.strike("store commit") });
        if made {
            let next = self.inner().advance(event.clone()).await?;
            if !renewal {
                self.wrote(Write::Advance(event));
                let released = next.released.as_ref().map(|release| format!(", let go by {}", release.by));
                self.sim.say(format!(
                    "tenure: {} is active in epoch {}{}",
                    next.active,
                    next.epoch,
                    released.unwrap_or_default()
                ));
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
        self.inner().sight(region, dark, at).await
    }
}

#[async_trait]
impl JournalStore for FaultyStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let term = self.inner().begin(header).await?;
        self.wrote(Write::Begin(Box::new(header.clone())));
        Ok(term)
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let term = self.inner().claim(id).await?;
        self.wrote(Write::Claim(id.clone()));
        Ok(term)
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
            self.inner().append(id, grip, at, entries).await?;
            self.wrote(Write::Append(id.clone(), grip, at, entries.to_vec()));
        }
        if answered { Ok(()) } else { Err(Self::lost("append")) }
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        self.inner().beat(id, term).await
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        self.inner().open().await
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        self.inner().read(id).await
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        self.inner().list(limit).await
    }
}

#[async_trait]
impl ReportStore for FaultyStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        self.inner().report(place, report).await
    }

    async fn reports(&self) -> Result<Reports, StoreError> {
        self.inner().reports().await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.inner().pause().await
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.inner().set_pause(pause).await
    }
}

#[async_trait]
impl TenureWatch for FaultyStore {
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        self.inner().changed(than).await
    }
}
