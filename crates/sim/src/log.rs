//! A database's write-ahead log, as records that can be counted.
//!
//! A position is the number of records before it times [`RECORD_BYTES`]; a region's log is compared with
//! the other's record by record, so a divergence is seen and not computed.

use bascule_core::position::{Lsn, Position, Timeline};

/// Bytes a record takes; any number will do, this one makes positions look like positions.
pub const RECORD_BYTES: u64 = 0x80;

/// Timelines that a promotion leaves out, so that a returned region that promotes itself has another.
const SKIPPED: u32 = 7;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A user's numbered write.
    Write(u64),
    /// The database was stopped cleanly.
    Shutdown,
    /// A promotion.
    Promotion,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The timeline it was written on.
    pub timeline: Timeline,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// What.
    pub content: Content,
}

/// What a database cluster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the other region, once that is a primary and this one is ready.
    Standby {
        /// It has restarted, and rewound if it must, by this time, in virtual milliseconds.
        ready_ms: u64,
    },
}

/// One region's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// What it does.
    pub role: Role,
    /// The timeline it is on.
    pub timeline: Timeline,
    /// Where that timeline branched off; none on the first.
    pub fork: Option<Position>,
    /// All it has received or written. A standby here replays at once what it receives.
    pub records: Vec<Record>,
}

impl Log {
    /// An empty database.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { role, timeline: Timeline(1), fork: None, records: Vec::new() }
    }

    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Position {
        Position { timeline: self.timeline, lsn: Lsn(RECORD_BYTES * (1 + self.records.len() as u64)) }
    }

    /// Whether it takes writes.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.role == Role::Primary
    }

    /// Append as a primary.
    pub fn write(&mut self, content: Content, at_ms: u64) {
        self.records.push(Record { timeline: self.timeline, at_ms, content });
    }

    /// Become a primary on a new timeline, if it is not one.
    pub fn promote(&mut self, at_ms: u64) -> Position {
        if !self.is_primary() {
            self.role = Role::Primary;
            self.timeline = Timeline(self.timeline.0 + SKIPPED);
            self.branch(at_ms);
        }
        self.end()
    }

    /// Go on as a primary on a new timeline.
    pub fn branch(&mut self, at_ms: u64) {
        self.fork = Some(self.end());
        self.timeline = Timeline(self.timeline.0 + 1);
        self.write(Content::Promotion, at_ms);
    }

    /// How many records it shares with another from the beginning.
    #[must_use]
    pub fn common(&self, other: &Log) -> usize {
        self.records.iter().zip(&other.records).take_while(|(a, b)| a == b).count()
    }

    /// The age of its newest write, in milliseconds.
    #[must_use]
    pub fn newest_age_ms(&self, now_ms: u64) -> Option<u64> {
        let write = self.records.iter().rev().find(|r| matches!(r.content, Content::Write(_)))?;
        Some(now_ms.saturating_sub(write.at_ms))
    }

    /// Whether a user's write is in it.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        self.records.iter().rev().any(|r| r.content == Content::Write(number))
    }
}
