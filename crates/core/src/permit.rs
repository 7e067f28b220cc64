//! The permit: whose confirmation a region's commits wait for, as its database says it.
//!
//! Invariant (I1): the permit is in force only if every commit needs one of the two keepers, and nobody else's word
//! will do. `ANY 1` of more than the pair, or of others, is no fence; `FIRST 1` counts one keeper and not the other.

use serde::{Deserialize, Serialize};

use crate::id::Epoch;
use crate::time::Timestamp;

/// The names by which a region's keepers confirm, in the manifest's order.
pub const NAMES: [&str; 2] = ["bascule_a", "bascule_b"];

/// What `synchronous_standby_names` has to be.
#[must_use]
pub fn setting() -> String {
    format!("ANY 1 ({})", NAMES.join(", "))
}

/// Whether a value of `synchronous_standby_names` is that, however it is spelled.
#[must_use]
pub fn is_required_by(setting: &str) -> bool {
    let plain: String = setting.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    let [a, b] = NAMES;
    [format!("any1({a},{b})"), format!("any1({b},{a})")].contains(&plain.to_ascii_lowercase())
}

/// Whether a region's commits need a keeper's permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Permit {
    /// They do, and this keeper's counts.
    InForce,
    /// They do not.
    NotInForce {
        /// What the primary said.
        why: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// What a primary told a keeper of its own region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The epoch in which it did.
    pub epoch: Epoch,
    /// When, by the keeper's clock.
    pub at: Timestamp,
    /// What it told.
    pub permit: Permit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_any_one_of_the_pair_is_a_fence() {
        assert!(is_required_by(&setting()));
        assert!(is_required_by("any 1(\"bascule_b\",bascule_a)"));
        for other in [
            "",
            "*",
            "bascule_a, bascule_b",
            "FIRST 1 (bascule_a, bascule_b)",
            "ANY 1 (bascule_a)",
            "ANY 1 (bascule_a, bascule_b, us_east_2_db2)",
            "ANY 2 (bascule_a, bascule_b)",
            "us-east-2-db2",
        ] {
            assert!(!is_required_by(other), "{other}");
        }
    }
}
