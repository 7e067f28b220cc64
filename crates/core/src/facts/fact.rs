//! One fact: what was seen, when, and from where.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observation::Observed;
use crate::time::Timestamp;

/// Where something was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A running part: its address, or the call that was made to it.
    Address(String),
    /// A line of a file.
    Line {
        /// The file, as the reader was given it.
        file: String,
        /// From 1; 0 for the file as a whole.
        line: usize,
    },
    /// Nobody looked anywhere.
    Nowhere,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Address(address) => f.write_str(address),
            Source::Line { file, line: 0 } => f.write_str(file),
            Source::Line { file, line } => write!(f, "{file}:{line}"),
            Source::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// One property of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact<T> {
    /// Where it was looked at.
    pub from: Source,
    /// What was there.
    pub answer: Observed<T>,
}

/// All assets of a kind in a place, by name. The listing itself is a fact: one that was seen and is empty
/// says that there are none; one that was not seen says nothing.
pub type Listing<T> = Fact<BTreeMap<String, T>>;

impl<T> Fact<T> {
    /// It was seen.
    #[must_use]
    pub fn seen(value: T, at: Timestamp, from: Source) -> Self {
        Self { from, answer: Observed::Seen { value, at } }
    }

    /// It was looked for in vain.
    #[must_use]
    pub fn not_observed(why: impl Into<String>, from: Source) -> Self {
        Self { from, answer: Observed::NotObserved { why: why.into() } }
    }

    /// Nobody looked.
    #[must_use]
    pub fn unasked() -> Self {
        Self::not_observed("nobody looked", Source::Nowhere)
    }

    /// The value, if it was seen.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.answer.seen()
    }

    /// The same fact with another value, if it has one.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        let answer = match self.answer {
            Observed::Seen { value, at } => Observed::Seen { value: change(value), at },
            Observed::NotObserved { why } => Observed::NotObserved { why },
        };
        Fact { from: self.from, answer }
    }

    /// When it was seen, if it was.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        match self.answer {
            Observed::Seen { at, .. } => Some(at),
            Observed::NotObserved { .. } => None,
        }
    }
}
