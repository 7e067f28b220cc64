//! What a drill found, as data and as a table for a tired reader.
//!
//! `None` is "not known" and prints as that. The stored form carries a version and refuses unknown keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anyhow::{Context as _, ensure};
use bascule_core::id::RegionName;
use bascule_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oracle::{Drill, Objective};

/// The version of the report's stored form.
pub const REPORT_VERSION: u32 = 1;

/// What a drill found. Instants are milliseconds since the load began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillReport {
    /// [`REPORT_VERSION`] at the time.
    pub version: u32,
    /// What was rehearsed.
    pub drill: Drill,
    /// The run's name, in the names of its writes.
    pub run: String,
    /// The region that was active.
    pub from: RegionName,
    /// The region that was to become so.
    pub to: RegionName,
    /// When the load began, on the wall clock.
    pub started: Timestamp,
    /// How long it ran.
    pub duration_ms: u64,
    /// What was asked of the move.
    pub objective: Objective,
    /// Met, missed, or not knowable, and why.
    pub verdict: Verdict,
    /// What the oracle could not tell.
    pub unknown: Vec<String>,
    /// Writes that users were told are safe.
    pub acknowledged: u64,
    /// Those of them that are gone; `None` when they could not be looked for.
    pub lost_writes: Option<u64>,
    /// The first hundred of their numbers.
    pub lost: Vec<u64>,
    /// Writes stored more than once, though sent once.
    pub duplicate_writes: Option<u64>,
    /// Errors that users saw, of writes and reads.
    pub errors: u64,
    /// The same by kind.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// The first twenty.
    pub first_errors: Vec<SeenError>,
    /// Writes that may or may not have been taken, as far as users know.
    pub unknown_outcomes: u64,
    /// Those of them that were.
    pub unknown_found: Option<u64>,
    /// Reads that succeeded.
    pub reads: Option<u64>,
    /// Reads that did not find a write acknowledged before.
    pub vanished_reads: u64,
    /// The longest time between two acknowledged writes that touches the move; open at its end when no
    /// write was acknowledged any more. It cannot be told from a pause shorter than `pace_ms`.
    pub write_pause_ms: Option<u64>,
    /// Where that began.
    pub write_pause_at_ms: Option<u64>,
    /// The longest such time before the move.
    pub pause_before_ms: Option<u64>,
    /// The time between two writes of the load.
    pub pace_ms: u64,
    /// Write latencies before the move, while it ran, and after it.
    pub latency: Latencies,
    /// From the fault to the end of the write pause; of a planned move, the pause itself.
    pub rto_ms: Option<u64>,
    /// From the command to the end of the write pause.
    pub detection_to_first_write_ms: Option<u64>,
    /// From the last acknowledged write before which nothing is lost to the fault; 0 if nothing is lost.
    pub rpo_ms: Option<u64>,
    /// Time in which two regions provably took writes; `None` when they were not probed.
    pub double_writer_ms: Option<u64>,
    /// The same, with what only may have been.
    pub double_writer_possible_ms: Option<u64>,
    /// The regions that took writes before the move, as the probes saw it.
    pub writers_before: BTreeSet<RegionName>,
    /// The regions that took writes after it.
    pub writers_after: BTreeSet<RegionName>,
    /// For each probed region, how much of the move nobody could see whether it takes writes.
    pub unwatched_ms: BTreeMap<RegionName, u64>,
    /// What the public name answered, and since when.
    pub names: Vec<NamesSeen>,
    /// The phases of the move.
    pub phases: Vec<PhaseSeen>,
}

/// Latencies around a move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latencies {
    /// Of writes sent before the move began.
    pub before: Latency,
    /// Of writes sent while it ran.
    pub during: Latency,
    /// Of writes sent after it.
    pub after: Latency,
}

/// Latencies of acknowledged writes, in milliseconds; `None` when there were no writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// How many writes.
    pub writes: u64,
    /// Half took no longer.
    pub p50_ms: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

/// An error that a user saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenError {
    /// When the user knew.
    pub at_ms: u64,
    /// What the user was doing.
    pub request: String,
    /// What was seen.
    pub what: String,
}

/// An answer of the public name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamesSeen {
    /// Since when.
    pub at_ms: u64,
    /// The addresses.
    pub addresses: Vec<String>,
}

/// A phase of the move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSeen {
    /// What it is called.
    pub name: String,
    /// Its beginning.
    pub start_ms: u64,
    /// Its end.
    pub end_ms: u64,
}

/// Whether the move kept the objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Verdict {
    /// It did, and all of it was seen.
    Met,
    /// It provably did not.
    Missed {
        /// Each thing it missed.
        why: Vec<String>,
    },
    /// Nobody can know.
    Void {
        /// What was not seen.
        why: Vec<String>,
    },
}

impl DrillReport {
    /// Reads a stored report.
    ///
    /// # Errors
    /// When the text is no report, or one of another version.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        let report: Self = serde_json::from_str(text).context("the text is no drill report")?;
        let version = report.version;
        ensure!(version == REPORT_VERSION, "report version {version} is not {REPORT_VERSION}");
        Ok(report)
    }

    /// A table of at most eighty columns; what is not known says so.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        self.write_text(&mut out).expect("a String takes every text");
        out
    }

    fn write_text(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "drill {}: {} -> {}   {}", self.drill, self.from, self.to, self.verdict.word())?;
        let (Verdict::Missed { why } | Verdict::Void { why }) = &self.verdict else {
            return self.write_figures(out);
        };
        for reason in why {
            writeln!(out, "  ! {reason}")?;
        }
        self.write_figures(out)
    }

    fn write_figures(&self, out: &mut String) -> fmt::Result {
        let objective = &self.objective;
        let at = |ms: Option<u64>| ms.map_or(String::new(), |ms| format!("from {}", seconds(ms)));
        let mut row = |label: &str, value: String, note: String| {
            writeln!(out, "{}", format!("  {label:<25}{value:>10}  {note}").trim_end())
        };
        row("writes acknowledged", self.acknowledged.to_string(), format!("run {}", self.run))?;
        let lost = if self.lost.is_empty() {
            String::new()
        } else {
            format!("first: w-{}-{}", self.run, self.lost[0])
        };
        row("  of these lost", number(self.lost_writes), lost)?;
        row("  stored twice", number(self.duplicate_writes), String::new())?;
        let kinds: Vec<String> = self.errors_by_kind.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        row("errors seen by users", self.errors.to_string(), kinds.join(", "))?;
        let found = format!("stored: {}", number(self.unknown_found));
        row("writes of unknown outcome", self.unknown_outcomes.to_string(), found)?;
        row(
            "reads / found nothing",
            format!("{} / {}", number(self.reads), self.vanished_reads),
            String::new(),
        )?;
        let limit = if self.drill.planned() {
            format!("at most {}, ", millis(objective.max_pause_ms))
        } else {
            String::new()
        };
        let note = format!("{limit}{}, pace {} ms", at(self.write_pause_at_ms), self.pace_ms);
        row("write pause", known(self.write_pause_ms), note)?;
        row("  longest before the move", known(self.pause_before_ms), String::new())?;
        row("RTO", known(self.rto_ms), format!("at most {}", millis(objective.rto_ms)))?;
        row("  command to first write", known(self.detection_to_first_write_ms), String::new())?;
        row("RPO", known(self.rpo_ms), format!("at most {}", millis(objective.rpo_ms)))?;
        let possible =
            self.double_writer_possible_ms.filter(|possible| Some(*possible) != self.double_writer_ms);
        let note = possible.map_or(String::new(), |ms| format!("and possibly {}", millis(ms)));
        row("two writers at once", known(self.double_writer_ms), note)?;
        let list = |regions: &BTreeSet<RegionName>| {
            let names: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
            if names.is_empty() { "none seen".to_owned() } else { names.join(" and ") }
        };
        let (before, after) = (list(&self.writers_before), list(&self.writers_after));
        row("taking writes", String::new(), format!("before {before}, after {after}"))?;
        for (region, ms) in self.unwatched_ms.iter().filter(|(_, ms)| **ms > 0) {
            row("  could not be watched", millis(*ms), region.to_string())?;
        }
        writeln!(out, "  write latency                writes       p50       p99       max")?;
        let windows = &self.latency;
        for (name, latency) in
            [("before", &windows.before), ("during", &windows.during), ("after", &windows.after)]
        {
            let (p50, p99, max) = (tenths(latency.p50_ms), tenths(latency.p99_ms), tenths(latency.max_ms));
            writeln!(out, "    {name:<20}{:>11}{p50:>10}{p99:>10}{max:>10}", latency.writes)?;
        }
        self.write_course(out)
    }

    fn write_course(&self, out: &mut String) -> fmt::Result {
        for phase in &self.phases {
            let length = millis(phase.end_ms.saturating_sub(phase.start_ms));
            writeln!(out, "  phase {:<19}{length:>10}  from {}", phase.name, seconds(phase.start_ms))?;
        }
        for names in &self.names {
            writeln!(out, "  name -> {:<27}  from {}", names.addresses.join(" "), seconds(names.at_ms))?;
        }
        for error in self.first_errors.iter().take(5) {
            writeln!(out, "  error {} {}: {}", seconds(error.at_ms), error.request, error.what)?;
        }
        // A void verdict has said them already.
        let told = matches!(self.verdict, Verdict::Void { .. });
        for unknown in self.unknown.iter().filter(|_| !told) {
            writeln!(out, "  ? {unknown}")?;
        }
        Ok(())
    }
}

impl Verdict {
    /// The verdict in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Met => "MET",
            Self::Missed { .. } => "MISSED",
            Self::Void { .. } => "VOID (not knowable)",
        }
    }

    /// Whether the objective was kept, for certain.
    #[must_use]
    pub fn is_met(&self) -> bool {
        matches!(self, Self::Met)
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or("not known".to_owned(), |value| value.to_string())
}

fn known(ms: Option<u64>) -> String {
    ms.map_or("not known".to_owned(), millis)
}

fn millis(ms: u64) -> String {
    format!("{ms} ms")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn tenths(ms: Option<f64>) -> String {
    ms.map_or("-".to_owned(), |ms| format!("{ms:.1}"))
}
