//! What a store refuses, whatever it is made of. Invariant: an append is durable only if its grip is
//! current at the instant of the write; the caller holds its own lock or transaction around these checks.

use bascule_core::id::{OperationId, Term};
use bascule_core::operation::{Event, Operation};
use bascule_core::ports::{Entry, Grip, Header, Journal, StoreError};
use bascule_core::tenure::Tenure;

/// May an operation begin?
pub(crate) fn may_begin(
    header: &Header,
    tenure: Option<&Tenure>,
    open: Option<&OperationId>,
) -> Result<(), StoreError> {
    if let Some(open) = open {
        return Err(StoreError::Busy(open.clone()));
    }
    if header.plan_hash != header.plan.hash() {
        return Err(StoreError::Damaged(format!(
            "the plan of {} does not have the hash it was pinned by",
            header.id
        )));
    }
    header.plan.validate().map_err(|e| StoreError::Damaged(e.to_string()))?;
    let Some(tenure) = tenure else {
        return Err(bascule_core::tenure::Illegal::NotFounded.into());
    };
    if tenure.epoch != header.plan.base {
        return Err(StoreError::Fenced(format!(
            "the plan was made on epoch {}, but epoch {} has begun",
            header.plan.base, tenure.epoch
        )));
    }
    Ok(())
}

/// What of an operation an append is held against.
pub(crate) struct Standing {
    pub term: Term,
    pub length: u64,
    pub open: bool,
}

/// May these entries be appended?
pub(crate) fn may_append(
    id: &OperationId,
    grip: Grip,
    at: u64,
    standing: &Standing,
    tenure: Option<&Tenure>,
) -> Result<(), StoreError> {
    if grip.term != standing.term {
        return Err(StoreError::Fenced(format!(
            "another controller has taken {id} over: its term is {}, yours {}",
            standing.term, grip.term
        )));
    }
    let epoch = tenure.map(|t| t.epoch);
    if epoch != Some(grip.epoch) {
        let current = epoch.map_or("none".to_owned(), |e| e.to_string());
        return Err(StoreError::Fenced(format!("the site's epoch is {current}, yours {}", grip.epoch)));
    }
    if !standing.open {
        return Err(StoreError::Fenced(format!("{id} has ended")));
    }
    if at != standing.length {
        return Err(StoreError::Conflict { operation: id.clone(), expected: at, found: standing.length });
    }
    Ok(())
}

/// Whether these entries close the operation.
pub(crate) fn closes(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.event, Event::Ended { .. }))
}

/// Hold a journal that was read to what it must be.
pub(crate) fn intact(journal: Journal) -> Result<Journal, StoreError> {
    let Header { id, plan, plan_hash, .. } = &journal.header;
    plan.validate().map_err(|e| StoreError::Damaged(format!("{id}: {e}")))?;
    if plan_hash != &plan.hash() {
        return Err(StoreError::Damaged(format!("the plan of {id} does not have the hash it was pinned by")));
    }
    let mut state = Operation::new(plan.clone());
    for (number, entry) in journal.entries.iter().enumerate() {
        state = state
            .next(entry.event.clone())
            .map_err(|e| StoreError::Damaged(format!("entry {number} of {id} does not follow: {e}")))?;
    }
    Ok(journal)
}
