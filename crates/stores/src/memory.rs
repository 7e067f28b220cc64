//! A store that lives as long as its process: for tests and the simulation. Clones share what they hold,
//! as two controllers share a store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, SiteName, Term};
use bascule_core::ports::{Entry, Grip, Header, Journal, JournalStore, StoreError, TenureStore};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;

use crate::rules::{self, Standing};

/// A store in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    site: SiteName,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tenure: Option<Tenure>,
    dark: BTreeMap<RegionName, Timestamp>,
    /// Oldest first, each with whether it is open.
    operations: Vec<(Journal, bool)>,
}

impl MemoryStore {
    /// An empty store of a site.
    #[must_use]
    pub fn new(site: SiteName) -> Self {
        Self { site, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half-changed, so one that panicked has not either.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What appends to an operation are held against.
fn standing((journal, open): &(Journal, bool)) -> Standing {
    Standing { term: journal.term, length: journal.entries.len() as u64, open: *open }
}

impl State {
    fn find(&mut self, id: &OperationId) -> Result<&mut (Journal, bool), StoreError> {
        let found = self.operations.iter_mut().find(|(journal, _)| &journal.header.id == id);
        found.ok_or_else(|| StoreError::NoSuchOperation(id.clone()))
    }
}

#[async_trait]
impl TenureStore for MemoryStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        Ok(self.state().tenure.clone())
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        let mut state = self.state();
        let next = tenure::next(state.tenure.clone(), event)?;
        state.tenure = Some(next.clone());
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
        let open = state.operations.iter().find(|(_, open)| *open).map(|(j, _)| j.header.id.clone());
        let used = state.find(&header.id).ok().map(|operation| standing(operation));
        rules::may_begin(header, &self.site, state.tenure.as_ref(), open.as_ref(), used)?;
        let journal = Journal { header: header.clone(), term: rules::FIRST, entries: Vec::new() };
        state.operations.push((journal, true));
        Ok(rules::FIRST)
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let mut state = self.state();
        let operation = state.find(id)?;
        let term = rules::claimed(id, &standing(operation))?;
        operation.0.term = term;
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
        rules::may_append(id, grip, at, &standing(operation), tenure.as_ref())?;
        if rules::ended_early(entries) {
            return Err(rules::has_ended(id));
        }
        operation.0.entries.extend_from_slice(entries);
        operation.1 = !rules::closes(entries);
        Ok(())
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let journal = self.state().find(id)?.0.clone();
        rules::intact(id, journal)
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        let state = self.state();
        let newest = state.operations.iter().rev().take(limit as usize);
        Ok(newest.map(|(journal, open)| (journal.header.clone(), *open)).collect())
    }
}
