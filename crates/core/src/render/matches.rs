//! Whether a committed document still says what is seen.
//!
//! Compared is what stays so until somebody changes the site: regions, the table, how each asset is protected and why,
//! promises, what is open, what people noted, and the steps. Left out, since it moves by itself: dates, times and what is
//! predicted from them, what the planner warns of, how many of an asset are found or well and the evidence for it, and what is open
//! for a moment ([`MOMENTARY`], and what was not observed just now). White space says nothing. Linear in the number of
//! lines.

use std::collections::HashMap;
use std::fmt;

use super::pre_steps::{NOTHING, UNKNOWN};
use super::words::COUNTED;
use crate::check::Code;

/// What a line about the last rehearsal begins with; the rest of it is not compared.
pub(super) const LAST_REHEARSAL: &str = "Last rehearsal: ";
/// What the line with the date begins with; the rest of it is not compared.
pub(super) const OBSERVED: &str = "Observed: ";
/// Where predicted and measured times begin, in a step's line and in the plan's; the rest is not compared.
pub(super) const PREDICTED: &str = "Predicted: ";
/// What a line with a planner's warning begins with; none of it is compared.
pub(super) const WARNED: &str = "Warned: ";

/// What ends the part of a description that is compared: health and evidence follow.
pub(super) const FOUND: &str = ". Found in ";
/// Checks that judge something that goes up and down by itself: they may fail for a minute, and hold again.
const MOMENTARY: [Code; 8] = [
    Code::DatabaseNodes,
    Code::ClusterNodes,
    Code::Instances,
    Code::Targets,
    Code::LagInObjective,
    Code::BackupAge,
    Code::RepositoryReachable,
    Code::ClockSkew,
];

/// One way in which a committed document differs from a fresh one. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The committed document says what is no longer so.
    Stale {
        /// Its line.
        line: usize,
        /// What it says.
        text: String,
    },
    /// The committed document does not say what is so.
    Missing {
        /// The line of the fresh document.
        line: usize,
        /// What that says.
        text: String,
    },
    /// Both say the same in another order, from this line on.
    Moved {
        /// The committed document's line.
        line: usize,
        /// What it says.
        text: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Stale { line, text } => write!(f, "line {line} no longer holds: {text}"),
            Difference::Missing { line, text } => write!(f, "missing (line {line} of the fresh one): {text}"),
            Difference::Moved { line, text } => write!(f, "line {line} stands in another place now: {text}"),
        }
    }
}

/// Every difference, what is stale first; empty if they match.
#[must_use]
pub fn document_matches(committed: &str, fresh: &str) -> Vec<Difference> {
    let (old, new) = (settled(committed), settled(fresh));
    let mut differences = Vec::new();
    for (line, text) in without(&old, &new) {
        differences.push(Difference::Stale { line, text: text.to_owned() });
    }
    for (line, text) in without(&new, &old) {
        differences.push(Difference::Missing { line, text: text.to_owned() });
    }
    if differences.is_empty() {
        let moved = old.iter().zip(&new).find(|((_, a), (_, b))| a != b);
        differences
            .extend(moved.map(|((line, text), _)| Difference::Moved { line: *line, text: text.clone() }));
    }
    differences
}

/// The lines of one that the other has not, or not so often.
fn without<'a>(one: &'a [(usize, String)], other: &[(usize, String)]) -> Vec<(usize, &'a str)> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for (_, text) in other {
        *left.entry(text).or_default() += 1;
    }
    let mut lacking = Vec::new();
    for (line, text) in one {
        match left.get_mut(text.as_str()) {
            Some(times) if *times > 0 => *times -= 1,
            Some(_) | None => lacking.push((*line, text.as_str())),
        }
    }
    lacking
}

/// The lines that say something, without what is not compared.
fn settled(text: &str) -> Vec<(usize, String)> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines.map(|(index, line)| (index + 1, settle(line))).filter(|(_, line)| !line.is_empty()).collect()
}

fn settle(line: &str) -> String {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // a table's rule may be drawn with any number of dashes
    if !line.is_empty() && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
        return format!("table rule of {}", line.matches('|').count());
    }
    if momentary(&line) {
        return String::new();
    }
    if let Some((before, counted)) = line.split_once(COUNTED).filter(|_| line.starts_with('|'))
        && let Some((_, after)) = counted.split_once(") |")
    {
        return format!("{before} |{after}");
    }
    // what follows the last one was written here; a name may hold the words too
    if let Some(end) = line.rfind(FOUND).filter(|_| !line.starts_with('|')) {
        return line[..end].to_owned();
    }
    let bare = line.strip_prefix("- ").unwrap_or(&line);
    if bare.starts_with(WARNED) {
        return String::new();
    }
    for marker in [LAST_REHEARSAL, OBSERVED, PREDICTED] {
        if bare.starts_with(marker) {
            return marker.to_owned();
        }
    }
    let step = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    match line.rfind(PREDICTED) {
        Some(end) if step => line[..end].to_owned(),
        Some(_) | None => line,
    }
}

/// Whether a line is a pre-step that may be open now, and not in a minute; that nothing is open is no more than that.
fn momentary(line: &str) -> bool {
    let Some(open) = line.strip_prefix("- [ ] ") else { return line == NOTHING };
    let code = open.strip_suffix(')').and_then(|open| open.rsplit_once('(')).map(|(_, code)| code);
    code.is_some_and(|code| {
        let known = Code::ALL.iter().any(|known| known.as_str() == code);
        known && (open.contains(UNKNOWN) || MOMENTARY.iter().any(|m| m.as_str() == code))
    })
}
