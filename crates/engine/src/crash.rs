//! Dies on purpose, at a journal write, so that tests can show that it does not matter.
//!
//! Wraps a journal store; every append counts. Only a lab may ask for it: the caller enforces that.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bascule_core::id::{OperationId, Term};
use bascule_core::operation::{Event, event_name};
use bascule_core::ports::{Entry, Grip, Header, Journal, JournalStore, OpenOperation, StoreError};

/// Where to die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPoint {
    after: bool,
    at: At,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    /// The nth append, from 1.
    Write(u64),
    /// The append that records this: `promote-us-west-1.intent`.
    Record(String),
}

/// A crash point that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a crash point: write before=N, after=N, before=STEP.intent or after=STEP.done")]
pub struct InvalidCrashPoint(String);

impl FromStr for CrashPoint {
    type Err = InvalidCrashPoint;
    fn from_str(text: &str) -> Result<Self, InvalidCrashPoint> {
        let invalid = || InvalidCrashPoint(text.to_owned());
        let (when, at) = text.split_once('=').ok_or_else(invalid)?;
        let after = match when {
            "after" => true,
            "before" => false,
            _ => return Err(invalid()),
        };
        let at = match at.parse::<u64>() {
            Ok(0) => return Err(invalid()),
            Ok(number) => At::Write(number),
            Err(_) if at.contains('.') => At::Record(at.to_owned()),
            Err(_) => return Err(invalid()),
        };
        Ok(Self { after, at })
    }
}

impl CrashPoint {
    fn hit(&self, write: u64, entries: &[Entry]) -> bool {
        match &self.at {
            At::Write(number) => *number == write,
            At::Record(wanted) => entries.iter().any(|e| &record_name(&e.event) == wanted),
        }
    }
}

fn record_name(event: &Event) -> String {
    let step = match event {
        Event::Intended { step }
        | Event::Done { step, .. }
        | Event::Failed { step, .. }
        | Event::Refuted { step, .. }
        | Event::Unknown { step, .. }
        | Event::UndoIntended { step }
        | Event::UndoDone { step, .. }
        | Event::UndoFailed { step, .. } => step.as_str(),
        Event::AbortBegan { .. } | Event::Ended { .. } => "operation",
    };
    format!("{step}.{}", event_name(event))
}

/// A journal store at whose writes the controller dies.
pub struct CrashingStore {
    inner: Arc<dyn JournalStore>,
    point: CrashPoint,
    writes: AtomicU64,
    die: Box<dyn Fn() + Send + Sync>,
}

impl CrashingStore {
    /// `die` ends the process without any clean-up (or, in the simulation, the task).
    pub fn new(inner: Arc<dyn JournalStore>, point: CrashPoint, die: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { inner, point, writes: AtomicU64::new(0), die }
    }

    async fn die(&self) {
        (self.die)();
        // In the simulation `die` only says so; whoever drives this task drops it here.
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl JournalStore for CrashingStore {
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
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let hit = self.point.hit(write, entries);
        if hit && !self.point.after {
            self.die().await;
        }
        let answer = self.inner.append(id, grip, at, entries).await;
        if hit && self.point.after {
            self.die().await;
        }
        answer
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crash_points_are_read_or_refused() {
        for good in ["after=1", "before=12", "after=promote-us-west-1.intent", "before=operation.end"] {
            assert!(good.parse::<CrashPoint>().is_ok(), "{good}");
        }
        for bad in ["", "after", "during=1", "after=0", "after=promote", "after="] {
            assert!(bad.parse::<CrashPoint>().is_err(), "{bad}");
        }
    }
}
