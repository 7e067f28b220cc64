//! What the engine asks of the outside, as small traits. Each has one conformance suite or one real part
//! behind it; the simulation implements the same traits.

use std::net::SocketAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::id::{DnsName, Epoch, OperationId, RegionName, Term};
use crate::observation::{
    ComputeObservation, DatabaseObservation, GateObservation, GateState, NameAnswer, Observed,
    PoolObservation,
};
use crate::operation::Event;
use crate::plan::Plan;
use crate::position::{Lsn, Position, Timeline};
use crate::tenure::Tenure;
use crate::time::Timestamp;
use crate::vantage::{Pause, Place, Report};

/// Why a port could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Something may have been changed: the answer did not arrive.
    #[error("{0}")]
    Unknown(String),
}

/// One region's database cluster, through its cluster manager.
#[async_trait]
pub trait Database: Send + Sync {
    /// Look at the cluster and its leader.
    async fn observe(&self) -> Observed<DatabaseObservation>;
    /// Flush dirty pages on the leader.
    async fn checkpoint(&self) -> Result<(), PortError>;
    /// Make the cluster a standby that follows the given address; returns when its manager has accepted.
    /// Done already: changes nothing.
    async fn stand_down(&self, follow: SocketAddr) -> Result<(), PortError>;
    /// Make the cluster a primary, on a timeline that the other region will not take by itself; returns
    /// where it begins once its leader takes writes.
    /// Done already: changes nothing.
    async fn promote(&self) -> Result<Position, PortError>;
    /// Bring a primary whose history parted from the other region's onto a timeline that the other one
    /// has not; a standby is left as it is. Returns the timeline it is on.
    async fn renumber(&self) -> Result<Timeline, PortError>;
}

/// Where a primary's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The position.
    pub position: Position,
    /// Users' sessions that are still connected: with any of them the end is not the end.
    pub clients: u32,
}

/// How far a standby's leader got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Received and flushed.
    pub received: Position,
    /// Replayed.
    pub replayed: Position,
    /// Age of the newest transaction it replayed, in milliseconds by its own clock.
    pub newest_age_ms: Option<u64>,
    /// Whether it has a connection on which it receives from the other region.
    pub streaming: bool,
    /// How long ago anything last came in on it, in milliseconds by the standby's clock.
    pub silent_ms: Option<u64>,
}

/// One region's write-ahead log. Every method is a single cheap question, fit to be asked in a loop.
#[async_trait]
pub trait Log: Send + Sync {
    /// Where the primary's log ends.
    async fn end(&self) -> Result<LogEnd, PortError>;
    /// How far the standby got.
    async fn progress(&self) -> Result<Progress, PortError>;
    /// The position just behind the shutdown checkpoint in the standby's log after `from`, once it has
    /// been received, was replayed, and is the last record.
    async fn shutdown_record(&self, from: Lsn) -> Result<Option<Position>, PortError>;
    /// Write what this (returned) region's log holds past the fork at which the other region took over
    /// to a file: table, key, row.
    async fn save_divergence(&self, fork: Position, into: &std::path::Path) -> Result<Divergence, PortError>;
    /// Where this region's current timeline branched off its parent; none on the first timeline.
    async fn fork(&self) -> Result<Option<Position>, PortError>;
}

/// What a returned region had that the active one has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The file, or none if there was nothing to save.
    pub file: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// One sentence: what was compared, and what could not be read.
    pub note: String,
    /// What is known not to be in the file, though the region has it or had it; none if nothing is.
    pub unsaved: Option<String>,
}

/// One region's gate.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What it does now.
    async fn observe(&self) -> Observed<GateObservation>;
    /// Set it; `Closed` and `Remote` also cut the sessions to this region's own database. `Local` names
    /// no member: the checks find the primary, but returns only once one server is up.
    async fn set(&self, state: GateState, epoch: Epoch) -> Result<(), PortError>;
}

/// One region's connection pool.
#[async_trait]
pub trait Pool: Send + Sync {
    /// What it does now.
    async fn observe(&self) -> Observed<PoolObservation>;
    /// Hold clients' statements; returns once no transaction is under way.
    async fn hold(&self) -> Result<(), PortError>;
    /// Let them go on.
    async fn release(&self) -> Result<(), PortError>;
}

/// The site's names.
#[async_trait]
pub trait Names: Send + Sync {
    /// What each server answers.
    async fn observe(&self, name: &DnsName) -> Vec<NameAnswer>;
    /// Replace the record `from` by the record `to`, only if it is `from` now; done already: changes
    /// nothing. Returns once every server that can be reached answers so.
    async fn replace(&self, name: &DnsName, from: &Record, to: &Record) -> Result<(), PortError>;
}

/// An address record, as it is compared and set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it points.
    pub address: std::net::IpAddr,
    /// Time to live, in seconds. Not compared: RFC 2136 prerequisites look at values only.
    pub ttl_s: u32,
}

/// The way users come in, and the instances behind it.
#[async_trait]
pub trait FrontDoor: Send + Sync {
    /// Write through the public name and read it back; returns the region whose instance answered.
    async fn write(&self) -> Result<String, PortError>;
    /// Ask a region's instances.
    async fn compute(&self, region: &RegionName) -> Observed<ComputeObservation>;
}

/// Writes through a region's own front door, past the public name.
#[async_trait]
pub trait Probe: Send + Sync {
    /// A write through the load balancer of a region; an `Err` says why it was not acknowledged.
    async fn write_at(&self, region: &RegionName) -> Result<(), String>;
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody newer is in charge: stop at once, do nothing more.
    #[error("fenced: {0}")]
    Fenced(String),
    /// Another operation is open.
    #[error("operation {0} is open: resume or abort it first")]
    Busy(OperationId),
    /// There is no such operation.
    #[error("there is no operation {0}")]
    NoSuchOperation(OperationId),
    /// The tenure does not admit this.
    #[error(transparent)]
    Tenure(#[from] crate::tenure::Illegal),
    /// The journal does not admit this.
    #[error("the journal of {operation} is at {found}, not at {expected}")]
    Conflict {
        /// Whose journal.
        operation: OperationId,
        /// Where the writer thought it was.
        expected: u64,
        /// Where it is.
        found: u64,
    },
    /// What is stored can't be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// It did not answer; the write may have happened.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
}

/// The right to write to a journal: who, and in which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grip {
    /// The controller's term for this operation.
    pub term: Term,
    /// The site's epoch, as the controller knows it.
    pub epoch: Epoch,
}

/// What a journal begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The operation.
    pub id: OperationId,
    /// Its plan.
    pub plan: Plan,
    /// [`Plan::hash`], pinned when the operation began.
    pub plan_hash: String,
    /// When it began.
    pub begun: Timestamp,
}

/// One record of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When, by the controller's clock.
    pub at: Timestamp,
    /// Microseconds since this controller took the operation up, by its monotonic clock.
    pub mono_us: u64,
    /// What.
    pub event: Event,
}

/// An operation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Its beginning.
    pub header: Header,
    /// The current controller's term.
    pub term: Term,
    /// Its records, in order.
    pub entries: Vec<Entry>,
}

/// Who is active. Compare-and-set only.
#[async_trait]
pub trait TenureStore: Send + Sync {
    /// The site's tenure; none before it was founded.
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError>;
    /// Apply an event by [`crate::tenure::next`], atomically. A commit is admitted only while its operation
    /// is open and nobody has taken it over: `Fenced` otherwise. A commit that was made already is
    /// answered by what it made, whoever asks. A renewal is a sign of life: it ends a region's darkness.
    async fn advance(&self, event: crate::tenure::Event) -> Result<Tenure, StoreError>;
    /// Record whether a region was seen; returns since when it has not been, without a break.
    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;
}

/// What the places told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// The newest report of each, by place.
    pub heard: Vec<(Place, Report)>,
    /// Those that can't be read, a newer bascule's or a damaged one, each in a sentence: the others count all the same.
    pub unreadable: Vec<String>,
}

impl Reports {
    /// Sort out what was found.
    #[must_use]
    pub fn of(found: impl IntoIterator<Item = Result<(Place, Report), StoreError>>) -> Self {
        let mut reports = Self::default();
        for report in found {
            match report {
                Ok(report) => reports.heard.push(report),
                Err(error) => reports.unreadable.push(error.to_string()),
            }
        }
        reports.heard.sort_by(|(a, _), (b, _)| a.cmp(b));
        reports
    }
}

/// What the places tell each other, and the operator's word to all of them.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Put a place's newest report where the others find it, instead of the one before.
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError>;
    /// The newest report of every place that ever made one, as far as they can be read.
    async fn reports(&self) -> Result<Reports, StoreError>;
    /// Whether an operator has forbidden moves by themselves.
    async fn pause(&self) -> Result<Option<Pause>, StoreError>;
    /// Forbid them, or allow them again.
    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError>;
}

/// Tells when a tenure has changed, so that nobody has to ask for it all the time.
#[async_trait]
pub trait TenureWatch: Send + Sync {
    /// Returns the stored tenure as soon as it differs from `than`: by its epoch, or its renewals. It may
    /// return earlier with the same; it fails when the store can't be asked.
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError>;
}

/// An operation that has begun and not ended, as whoever might take it over sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOperation {
    /// How it began.
    pub header: Header,
    /// Its controller's term.
    pub term: Term,
    /// How often that controller has said that it lives.
    pub beats: u64,
}

/// The journals of a site's operations.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Begin an operation; only one may be open, and its plan must be made on the current epoch.
    async fn begin(&self, header: &Header) -> Result<Term, StoreError>;
    /// Take an operation over: the next term. The one before is fenced from now on.
    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError>;
    /// Append records, all or none, durably, if the grip is current and `at` is the journal's length. An
    /// `Ended` record closes the operation.
    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError>;
    /// Say that the controller of this term lives; `Fenced` if another has taken over. Whoever sees no beat
    /// for a while may [`JournalStore::claim`] the operation: being wrong about it costs nothing but time.
    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError>;
    /// The operation that is open, if one is.
    async fn open(&self) -> Result<Option<OpenOperation>, StoreError>;
    /// Read an operation.
    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError>;
    /// The newest operations first, at most `limit`, each with whether it is open.
    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError>;
}
