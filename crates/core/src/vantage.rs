//! What one place sees of the regions, as it tells the others.
//!
//! A report is a claim of its place alone. How fresh it is its reader judges: by its count, which grows with
//! every look, and the reader's own clock ([`Freshness`]). No two places' clocks are compared.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{MemberName, RegionName};
use crate::permit::Told;
use crate::time::{Mono, Timestamp};

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A keeper.
    Keeper {
        /// Its region.
        region: RegionName,
        /// Its name.
        name: MemberName,
    },
    /// The prober at the witness.
    Witness,
}

impl Place {
    /// Whether it lies in a region: then it can't tell that region's death from its own isolation.
    #[must_use]
    pub fn is_in(&self, region: &RegionName) -> bool {
        match self {
            Place::Keeper { region: own, .. } => own == region,
            Place::Witness => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Keeper { name, .. } => name.fmt(f),
            Place::Witness => f.write_str("witness"),
        }
    }
}

/// Whether a region takes writes through its front door, as one place sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Writes {
    /// The last probe wrote.
    Work,
    /// The last probes did not.
    Fail {
        /// Why the last did not.
        why: String,
        /// For how long, by the place's own clock, in milliseconds.
        for_ms: u64,
    },
    /// It was not tried.
    NotProbed {
        /// Why not.
        why: String,
    },
}

/// One region, as one place sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionReport {
    /// Whether it takes writes through its front door.
    pub writes: Writes,
    /// What its primary told of the permit; none from a place outside it, or of a version that did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Told>,
}

/// What one place saw at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Grows with every look; it begins anew when the place does.
    pub count: u64,
    /// When, by the place's clock.
    pub at: Timestamp,
    /// The version of the program that looked.
    pub version: String,
    /// What it saw.
    pub regions: BTreeMap<RegionName, RegionReport>,
    /// What the place would do by itself, in one sentence; none for a place that decides nothing.
    pub decision: Option<String>,
}

/// An operator's word that nothing shall move by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// How fresh a place's reports are, as one reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    count: u64,
    since: Mono,
}

impl Freshness {
    /// The first report seen: its age is not known, so it counts as old until the next one comes.
    #[must_use]
    pub fn first(report: &Report) -> Self {
        Self { count: report.count, since: Mono(Duration::ZERO) }
    }

    /// After a further look at the same place.
    #[must_use]
    pub fn saw(self, report: &Report, now: Mono) -> Self {
        if report.count == self.count { self } else { Self { count: report.count, since: now } }
    }

    /// Whether the newest report came in within `bound`.
    #[must_use]
    pub fn is_fresh(&self, now: Mono, bound: Duration) -> bool {
        self.since > Mono(Duration::ZERO) && now.since(self.since) <= bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(count: u64) -> Report {
        let (regions, version) = (BTreeMap::new(), "1".to_owned());
        Report { count, at: Timestamp(0), version, regions, decision: None }
    }
    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    #[test]
    fn a_report_found_in_the_store_is_not_fresh_until_another_comes() {
        let bound = Duration::from_secs(2);
        let first = Freshness::first(&report(7));
        assert!(!first.is_fresh(at(1), bound), "it may have lain there for a year");
        assert!(!first.saw(&report(7), at(500)).is_fresh(at(500), bound));
        let next = first.saw(&report(8), at(900));
        assert!(next.is_fresh(at(2_900), bound) && !next.is_fresh(at(2_901), bound));
        assert!(next.saw(&report(1), at(5_000)).is_fresh(at(5_000), bound), "its place was restarted");
    }

    #[test]
    fn a_place_inside_a_region_is_no_vantage_on_it() {
        let east: RegionName = "east".parse().unwrap();
        let keeper = Place::Keeper { region: east.clone(), name: "keeper1".parse().unwrap() };
        assert!(keeper.is_in(&east) && !Place::Witness.is_in(&east));
    }
}
