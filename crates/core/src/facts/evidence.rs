//! What an answer rests on.

use serde::{Deserialize, Serialize};

use super::fact::{Fact, Source};
use super::told::Told;
use crate::time::Timestamp;

/// Something that was seen, or looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What, in a few words.
    pub what: String,
    /// Where it was looked at.
    pub from: Source,
    /// When it was seen; none if it was not.
    pub at: Option<Timestamp>,
}

impl Evidence {
    /// What one fact says.
    pub(crate) fn of<T: Told>(what: &str, fact: &Fact<T>) -> Self {
        let what = match (fact.value(), fact.answer.why_not()) {
            (Some(value), _) => format!("{what}: {}", value.told()),
            (None, why) => format!("{what}: not observed: {}", why.unwrap_or_default()),
        };
        Self { what, from: fact.from.clone(), at: fact.at() }
    }
}
