//! What a store refuses, whatever it is made of. Invariant: an append is durable only if its grip is
//! current at the instant of the write; the caller holds its own lock or transaction around these checks.

use bascule_core::id::{OperationId, RegionName, SiteName, Term};
use bascule_core::operation::{Event, Operation};
use bascule_core::ports::{Entry, Grip, Header, Journal, StoreError};
use bascule_core::tenure::{self, Tenure};

/// The term of the controller that begins an operation.
pub(crate) const FIRST: Term = Term(1);

/// The operation that an event of the tenure is made by: its standing decides whether the event is admitted.
pub(crate) fn made_by(event: &tenure::Event) -> Option<&OperationId> {
    match event {
        tenure::Event::Committed { by, .. } => Some(by),
        tenure::Event::Founded { .. }
        | tenure::Event::Renewed { .. }
        | tenure::Event::Settled { .. }
        | tenure::Event::Released { .. }
        | tenure::Event::Kept { .. } => None,
    }
}

/// The region that an event comes from, if it shows that the region lives.
pub(crate) fn sign_of_life(event: &tenure::Event) -> Option<&RegionName> {
    match event {
        tenure::Event::Renewed { region, .. } => Some(region),
        tenure::Event::Founded { .. }
        | tenure::Event::Settled { .. }
        | tenure::Event::Released { .. }
        | tenure::Event::Kept { .. }
        | tenure::Event::Committed { .. } => None,
    }
}

/// The tenure after an event; `operation` is the standing of what [`made_by`] names.
pub(crate) fn advanced(
    current: Option<Tenure>,
    event: tenure::Event,
    operation: Option<&Standing>,
) -> Result<Tenure, StoreError> {
    if let tenure::Event::Committed { by, term, base, .. } = &event {
        let made = |tenure: &Tenure| tenure.by.as_ref() == Some(by) && tenure.epoch == base.next();
        if !current.as_ref().is_some_and(made) {
            may_commit(by, *term, operation)?;
        }
    }
    Ok(tenure::next(current, event)?)
}

/// Whether a watcher has to be told of a tenure.
pub(crate) fn differs(tenure: Option<&Tenure>, than: Option<&Tenure>) -> bool {
    let seen = |tenure: &Tenure| (tenure.epoch, tenure.renewals, tenure.settled);
    tenure.map(seen) != than.map(seen)
}

/// A controller that slept through its relief, or through the end of its operation, moves nothing.
fn may_commit(id: &OperationId, term: Term, operation: Option<&Standing>) -> Result<(), StoreError> {
    let Some(operation) = operation else {
        return Err(StoreError::Fenced(format!("{id} has not begun")));
    };
    may_act(id, term, operation)
}

/// May the controller of this term still do anything in the operation's name?
pub(crate) fn may_act(id: &OperationId, term: Term, operation: &Standing) -> Result<(), StoreError> {
    if !operation.open {
        return Err(has_ended(id));
    }
    if term != operation.term {
        return Err(relieved(id, term, operation));
    }
    Ok(())
}

fn relieved(id: &OperationId, term: Term, operation: &Standing) -> StoreError {
    let current = operation.term;
    StoreError::Fenced(format!("another controller has taken {id} over: its term is {current}, yours {term}"))
}

/// May an operation begin? `open` is the one that is open, `used` what already bears its name.
pub(crate) fn may_begin(
    header: &Header,
    site: &SiteName,
    tenure: Option<&Tenure>,
    open: Option<&OperationId>,
    used: Option<Standing>,
) -> Result<(), StoreError> {
    let Header { id, plan, .. } = header;
    if let Some(open) = open {
        return Err(StoreError::Busy(open.clone()));
    }
    if let Some(used) = used {
        return Err(StoreError::Conflict { operation: id.clone(), expected: 0, found: used.length });
    }
    well_formed(header)?;
    if &plan.site != site {
        let text = format!("the plan of {id} is for site {}, this is the store of {site}", plan.site);
        return Err(StoreError::Damaged(text));
    }
    let Some(tenure) = tenure else {
        return Err(bascule_core::tenure::Illegal::NotFounded.into());
    };
    if tenure.epoch != plan.base {
        let text = format!("the plan was made on epoch {}, but epoch {} has begun", plan.base, tenure.epoch);
        return Err(StoreError::Fenced(text));
    }
    Ok(())
}

/// Whether the plan is one, and the one that was pinned.
fn well_formed(header: &Header) -> Result<(), StoreError> {
    let Header { id, plan, plan_hash, .. } = header;
    plan.validate().map_err(|e| StoreError::Damaged(format!("the plan of {id}: {e}")))?;
    if plan_hash != &plan.hash() {
        let text = format!("the plan of {id} does not have the hash it was pinned by");
        return Err(StoreError::Damaged(text));
    }
    Ok(())
}

/// The term of the controller that takes an operation over.
pub(crate) fn claimed(id: &OperationId, standing: &Standing) -> Result<Term, StoreError> {
    if !standing.open {
        return Err(has_ended(id));
    }
    let next = standing.term.0.checked_add(1);
    next.map(Term).ok_or_else(|| StoreError::Damaged(format!("{id} has the last term there is")))
}

/// An operation that is over takes nothing.
pub(crate) fn has_ended(id: &OperationId) -> StoreError {
    StoreError::Fenced(format!("{id} has ended"))
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
        return Err(relieved(id, grip.term, standing));
    }
    let epoch = tenure.map(|t| t.epoch);
    if epoch != Some(grip.epoch) {
        let current = epoch.map_or("none".to_owned(), |e| e.to_string());
        return Err(StoreError::Fenced(format!("the site's epoch is {current}, yours {}", grip.epoch)));
    }
    if !standing.open {
        return Err(has_ended(id));
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

/// Whether something follows the end of the operation.
pub(crate) fn ended_early(entries: &[Entry]) -> bool {
    entries.split_last().is_some_and(|(_, before)| closes(before))
}

/// Hold the beginning of an operation that was read to what it must be.
pub(crate) fn sound(id: &OperationId, header: &Header) -> Result<(), StoreError> {
    if &header.id != id {
        return Err(StoreError::Damaged(format!("the beginning of {id} is that of {}", header.id)));
    }
    well_formed(header)
}

/// Hold a journal that was read to what it must be.
pub(crate) fn intact(id: &OperationId, journal: Journal) -> Result<Journal, StoreError> {
    sound(id, &journal.header)?;
    let mut state = Operation::new(journal.header.plan.clone());
    for (number, entry) in journal.entries.iter().enumerate() {
        state = state
            .next(entry.event.clone())
            .map_err(|e| StoreError::Damaged(format!("entry {number} of {id} does not follow: {e}")))?;
    }
    Ok(journal)
}
