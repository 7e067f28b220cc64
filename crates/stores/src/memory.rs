//! A store that lives as long as its process: for tests and the simulation. Clones share what they hold,
//! as two controllers share a store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, Term};
use bascule_core::ports::{Entry, Grip, Header, Journal, JournalStore, StoreError, TenureStore};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;

use crate::rules::{self, Standing};

/// A store in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tenure: Option<Tenure>,
    dark: BTreeMap<RegionName, Timestamp>,
    operations: Vec<(Journal, bool)>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half-changed, so one that panicked has not either.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        rules::may_begin(header, state.tenure.as_ref(), open.as_ref())?;
        if state.find(&header.id).is_ok() {
            return Err(StoreError::Busy(header.id.clone()));
        }
        let journal = Journal { header: header.clone(), term: Term(1), entries: Vec::new() };
        state.operations.push((journal, true));
        Ok(Term(1))
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let mut state = self.state();
        let (journal, open) = state.find(id)?;
        if !*open {
            return Err(StoreError::Fenced(format!("{id} has ended")));
        }
        journal.term = Term(journal.term.0 + 1);
        Ok(journal.term)
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
        let (journal, open) = state.find(id)?;
        let standing = Standing { term: journal.term, length: journal.entries.len() as u64, open: *open };
        rules::may_append(id, grip, at, &standing, tenure.as_ref())?;
        journal.entries.extend_from_slice(entries);
        *open = !rules::closes(entries);
        Ok(())
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let journal = self.state().find(id)?.0.clone();
        rules::intact(journal)
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        let state = self.state();
        let newest = state.operations.iter().rev().take(limit as usize);
        Ok(newest.map(|(journal, open)| (journal.header.clone(), *open)).collect())
    }
}
