//! A store that lives as long as its process: for tests and the simulation. Clones share what they hold,
//! as two controllers share a store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, SiteName, Term};
use bascule_core::ports::{
    Entry, Grip, Header, Journal, JournalStore, OpenOperation, ReportStore, Reports, StoreError, TenureStore,
    TenureWatch,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place, Report};
use tokio::sync::Notify;

use crate::rules::{self, Standing};

/// A store in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    site: SiteName,
    state: Arc<Mutex<State>>,
    advanced: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    tenure: Option<Tenure>,
    dark: BTreeMap<RegionName, Timestamp>,
    /// Oldest first.
    operations: Vec<Operation>,
    reports: BTreeMap<Place, Report>,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Operation {
    journal: Journal,
    open: bool,
    beats: u64,
}

impl MemoryStore {
    /// An empty store of a site.
    #[must_use]
    pub fn new(site: SiteName) -> Self {
        Self { site, state: Arc::default(), advanced: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half-changed, so one that panicked has not either.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operation {
    /// What is held against whoever acts in its name.
    fn standing(&self) -> Standing {
        let length = self.journal.entries.len() as u64;
        Standing { term: self.journal.term, length, open: self.open }
    }
}

impl State {
    fn find(&mut self, id: &OperationId) -> Result<&mut Operation, StoreError> {
        let found = self.operations.iter_mut().find(|operation| &operation.journal.header.id == id);
        found.ok_or_else(|| StoreError::NoSuchOperation(id.clone()))
    }

    fn standing(&mut self, id: &OperationId) -> Option<Standing> {
        self.find(id).ok().map(|operation| operation.standing())
    }
}

#[async_trait]
impl TenureStore for MemoryStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        Ok(self.state().tenure.clone())
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        let mut state = self.state();
        let operation = rules::made_by(&event).cloned().and_then(|id| state.standing(&id));
        let lives = rules::sign_of_life(&event).cloned();
        let next = rules::advanced(state.tenure.clone(), event, operation.as_ref())?;
        if let Some(region) = lives {
            state.dark.remove(&region);
        }
        state.tenure = Some(next.clone());
        self.advanced.notify_waiters();
        Ok(next)
    }

    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut state = self.state();
        if !dark {
            state.dark.remove(region);
            return Ok(None);
        }
        Ok(Some(*state.dark.entry(region.clone()).or_insert(at)))
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let mut state = self.state();
        let open = state.operations.iter().find(|operation| operation.open);
        let open = open.map(|operation| operation.journal.header.id.clone());
        let used = state.standing(&header.id);
        rules::may_begin(header, &self.site, state.tenure.as_ref(), open.as_ref(), used)?;
        let journal = Journal { header: header.clone(), term: rules::FIRST, entries: Vec::new() };
        state.operations.push(Operation { journal, open: true, beats: 0 });
        Ok(rules::FIRST)
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let mut state = self.state();
        let operation = state.find(id)?;
        let term = rules::claimed(id, &operation.standing())?;
        operation.journal.term = term;
        Ok(term)
    }

    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let tenure = state.tenure.clone();
        let operation = state.find(id)?;
        rules::may_append(id, grip, at, &operation.standing(), tenure.as_ref())?;
        if rules::ended_early(entries) {
            return Err(rules::has_ended(id));
        }
        operation.journal.entries.extend_from_slice(entries);
        operation.open = !rules::closes(entries);
        Ok(())
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        let mut state = self.state();
        let operation = state.find(id)?;
        rules::may_act(id, term, &operation.standing())?;
        operation.beats += 1;
        Ok(())
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        let state = self.state();
        let open = state.operations.iter().find(|operation| operation.open);
        Ok(open.map(|Operation { journal, beats, .. }| OpenOperation {
            header: journal.header.clone(),
            term: journal.term,
            beats: *beats,
        }))
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let journal = self.state().find(id)?.journal.clone();
        rules::intact(id, journal)
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        let state = self.state();
        let newest = state.operations.iter().rev().take(limit as usize);
        Ok(newest.map(|operation| (operation.journal.header.clone(), operation.open)).collect())
    }
}

#[async_trait]
impl ReportStore for MemoryStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        self.state().reports.insert(place.clone(), report.clone());
        Ok(())
    }

    async fn reports(&self) -> Result<Reports, StoreError> {
        let state = self.state();
        Ok(Reports::of(state.reports.iter().map(|(place, report)| Ok((place.clone(), report.clone())))))
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        Ok(self.state().pause.clone())
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.state().pause = pause.cloned();
        Ok(())
    }
}

#[async_trait]
impl TenureWatch for MemoryStore {
    /// Waits for a change without a limit: it has no clock, so that a simulation's is the only one.
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        loop {
            // Before the look: a change in between is not missed (`Notify::notify_waiters`).
            let advanced = self.advanced.notified();
            let tenure = self.state().tenure.clone();
            if rules::differs(tenure.as_ref(), than) {
                return Ok(tenure);
            }
            advanced.await;
        }
    }
}
