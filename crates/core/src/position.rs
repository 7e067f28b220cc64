//! Where a database stands in its write-ahead log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A byte position in PostgreSQL's write-ahead log, written `16/B374D848`: two hexadecimal halves
/// (PostgreSQL 15 manual, section 8.20, `pg_lsn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

/// A text that is not a log position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log position: write it as PostgreSQL does, for example 16/B374D848")]
pub struct InvalidLsn(String);

impl FromStr for Lsn {
    type Err = InvalidLsn;
    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let half = |part: &str| {
            let hex = !part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
            if hex { u64::from_str_radix(part, 16).ok() } else { None }
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Lsn(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| InvalidLsn(text.to_owned()))
    }
}

impl TryFrom<String> for Lsn {
    type Error = InvalidLsn;
    fn try_from(text: String) -> Result<Self, InvalidLsn> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> String {
        lsn.to_string()
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl Lsn {
    /// How many bytes of log this is ahead of `other`; zero if it is not ahead.
    #[must_use]
    pub fn bytes_past(self, other: Lsn) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

/// A PostgreSQL timeline: a new one begins at each promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline(pub u32);

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the history of a database: positions compare only within one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The branch of history.
    pub timeline: Timeline,
    /// The byte position on it.
    pub lsn: Lsn,
}

impl Position {
    /// Whether this position is at or past `other` **on the same timeline**. Across timelines the
    /// answer is no: what is not known to be covered is not covered.
    #[must_use]
    pub fn covers(self, other: Position) -> bool {
        self.timeline == other.timeline && self.lsn >= other.lsn
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on timeline {}", self.lsn, self.timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_and_print_as_postgresql_does() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(lsn, Lsn(0x16_B374_D848));
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("0/0".parse::<Lsn>().unwrap(), Lsn(0));
        for wrong in ["", "1", "/", "1/", "/1", "g/1", "1/123456789", "+1/1", "1/2/3"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn another_timeline_covers_nothing() {
        let old = Position { timeline: Timeline(1), lsn: Lsn(100) };
        let new = Position { timeline: Timeline(2), lsn: Lsn(200) };
        assert!(!new.covers(old));
        assert!(Position { timeline: Timeline(1), lsn: Lsn(100) }.covers(old));
    }
}
