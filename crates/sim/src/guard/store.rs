//! The store as one process reaches it: by messages that are lost, late or made twice.
//!
//! A request that is on its way is carried out although its process dies or sleeps meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, Term};
use bascule_core::ports::{
    Entry, Grip, Header, Journal, JournalStore, OpenOperation, ReportStore, Reports, StoreError, TenureStore,
    TenureWatch,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place, Report};
use tokio::time::sleep;

use crate::drive::describe;
use crate::ports::thawed;
use crate::site::Sim;
use crate::store::FaultyStore;

/// What a request is given, as the real store's client does.
const DEADLINE_MS: u64 = 1_000;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The store of one process.
pub struct PlacedStore {
    inner: Arc<FaultyStore>,
    sim: Arc<Sim>,
    process: usize,
}

/// What becomes of a request.
struct Fate {
    travel_ms: u64,
    done: bool,
    again: bool,
    answered: bool,
}

impl PlacedStore {
    /// The store, from a process.
    #[must_use]
    pub fn new(inner: Arc<FaultyStore>, sim: Arc<Sim>, process: usize) -> Self {
        Self { inner, sim, process }
    }

    fn fate(&self) -> Fate {
        self.sim.with(|s| {
            let place = s.guard.as_ref().map_or(0, |guard| guard.processes[self.process].place);
            let (sent, answered) = s.store_fate(place);
            let (loss, slow) = s.guard.as_ref().map_or((0, 0), |g| (g.loss_per_mille, g.store_slow_ms));
            let lost = |s: &mut crate::state::State| loss > 0 && s.rng.chance(loss);
            let (request_lost, answer_lost, again) = (lost(s), lost(s), lost(s));
            Fate {
                travel_ms: 1 + s.rng.below(3) + if slow > 0 { s.rng.below(slow) } else { 0 },
                done: sent && !request_lost,
                again,
                answered: answered && !answer_lost,
            }
        })
    }

    /// Ask, and wait for the answer as long as the deadline allows.
    async fn ask<T: Send + 'static>(
        &self,
        call: impl Fn(Arc<FaultyStore>) -> Answer<T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let from = Some(self.process);
        thawed(&self.sim, from).await;
        let fate = self.fate();
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            sleep(Duration::from_millis(fate.travel_ms)).await;
            if !fate.done {
                return None;
            }
            let answer = call(inner.clone()).await;
            if fate.again {
                // Made twice by the network: the second answer is nobody's.
                drop(call(inner).await);
            }
            sleep(Duration::from_millis(1)).await;
            fate.answered.then_some(answer)
        });
        let answer = tokio::time::timeout(Duration::from_millis(DEADLINE_MS), async {
            match task.await {
                Ok(Some(answer)) => answer,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        })
        .await;
        thawed(&self.sim, from).await;
        answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer within a second".to_owned())))
    }
}

#[async_trait]
impl TenureStore for PlacedStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        self.ask(|store| Box::pin(async move { store.tenure().await })).await
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        self.ask(move |store| {
            let event = event.clone();
            Box::pin(async move { store.advance(event).await })
        })
        .await
    }

    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let region = region.clone();
        self.ask(move |store| {
            let region = region.clone();
            Box::pin(async move { store.sight(&region, dark, at).await })
        })
        .await
    }
}

#[async_trait]
impl JournalStore for PlacedStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let header = Arc::new(header.clone());
        self.ask(move |store| {
            let header = header.clone();
            Box::pin(async move { store.begin(&header).await })
        })
        .await
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let id = id.clone();
        self.ask(move |store| {
            let id = id.clone();
            Box::pin(async move { store.claim(&id).await })
        })
        .await
    }

    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let (id, entries) = (id.clone(), Arc::new(entries.to_vec()));
        let (sim, process) = (self.sim.clone(), self.process);
        self.ask(move |store| {
            let (id, entries, sim) = (id.clone(), entries.clone(), sim.clone());
            Box::pin(async move {
                let answer = store.append(&id, grip, at, &entries).await;
                for entry in entries.iter().filter(|_| answer.is_ok()) {
                    sim.say(format!("process {process} writes to {id}: {}", describe(entry)));
                }
                answer
            })
        })
        .await
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        let id = id.clone();
        self.ask(move |store| {
            let id = id.clone();
            Box::pin(async move { store.beat(&id, term).await })
        })
        .await
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        self.ask(|store| Box::pin(async move { store.open().await })).await
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let id = id.clone();
        self.ask(move |store| {
            let id = id.clone();
            Box::pin(async move { store.read(&id).await })
        })
        .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        self.ask(move |store| Box::pin(async move { store.list(limit).await })).await
    }
}

#[async_trait]
impl ReportStore for PlacedStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        let said = Arc::new((place.clone(), report.clone()));
        self.ask(move |store| {
            let said = said.clone();
            Box::pin(async move { store.report(&said.0, &said.1).await })
        })
        .await
    }

    async fn reports(&self) -> Result<Reports, StoreError> {
        self.ask(|store| Box::pin(async move { store.reports().await })).await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.ask(|store| Box::pin(async move { store.pause().await })).await
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        let pause = pause.cloned();
        self.ask(move |store| {
            let pause = pause.clone();
            Box::pin(async move { store.set_pause(pause.as_ref()).await })
        })
        .await
    }
}

#[async_trait]
impl TenureWatch for PlacedStore {
    /// A change that can't be told, since the link is down, is told by the next one that can.
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        let tenure = self.inner.changed(than).await?;
        let fate = self.fate();
        sleep(Duration::from_millis(fate.travel_ms)).await;
        thawed(&self.sim, Some(self.process)).await;
        if fate.done && fate.answered {
            Ok(tenure)
        } else {
            Err(StoreError::Unavailable("the watch was cut".to_owned()))
        }
    }
}
