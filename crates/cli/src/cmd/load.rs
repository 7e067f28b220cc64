//! `bascule drill load`: users' load and nothing else, while somebody moves, kills or breaks what they like.
//!
//! It judges what must hold whatever was done: no acknowledged write is lost, no user saw an error, no two
//! regions took writes at once. How long a move took is for the other drills.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_core::time::Timestamp;
use bascule_drill::report::SeenError;
use bascule_drill::{DrillReport, Load, Verdict};
use serde::{Deserialize, Serialize};

/// What users saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadReport {
    version: u32,
    drill: String,
    run: String,
    /// The region that was active at the beginning.
    pub from: RegionName,
    /// On the wall clock.
    pub started: Timestamp,
    /// How long it ran.
    pub duration_ms: u64,
    /// Writes that users were told are safe.
    pub acknowledged: u64,
    /// Of which so many are gone.
    pub lost_writes: Option<u64>,
    /// The first hundred of their numbers.
    pub lost: Vec<u64>,
    /// From the last acknowledged write before which nothing is lost to the last one that is; 0 if nothing is lost.
    pub rpo_ms: Option<u64>,
    /// Writes that are there twice, though sent once.
    pub duplicate_writes: Option<u64>,
    /// Errors that users saw.
    pub errors: u64,
    /// The same by kind.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// The first twenty.
    pub first_errors: Vec<SeenError>,
    /// Writes of which users do not know whether they were taken.
    pub unknown_outcomes: u64,
    /// The longest time between two acknowledged writes, or to the end if none was acknowledged any more.
    pub write_pause_ms: Option<u64>,
    /// Where that began, since the load did: the last acknowledgement before it.
    pub write_pause_at_ms: Option<u64>,
    /// Whether a write was acknowledged after it.
    pub write_pause_ended: bool,
    /// In which two regions took writes.
    pub double_writer_ms: Option<u64>,
    /// In which they may have.
    pub double_writer_possible_ms: Option<u64>,
    /// Met, missed, or not knowable, and why.
    pub verdict: Verdict,
}

impl LoadReport {
    /// The part of a drill's report that does not depend on a move.
    pub fn of(report: DrillReport) -> Self {
        let mut missed = Vec::new();
        let mut say = |count: Option<u64>, what: &str| {
            missed.extend(count.filter(|n| *n > 0).map(|n| format!("{n} {what}")));
        };
        say(report.lost_writes, "acknowledged writes are lost");
        say(report.duplicate_writes, "writes are stored twice");
        say(Some(report.errors), "errors were seen by users");
        say(report.double_writer_ms, "ms in which two regions took writes");
        let mut unknown = Vec::new();
        if report.acknowledged == 0 {
            unknown.push("no write was acknowledged".to_owned());
        }
        if report.lost_writes.is_none() {
            unknown.push("the writes could not be looked for".to_owned());
        }
        if report.double_writer_possible_ms.is_none_or(|possible| Some(possible) > report.double_writer_ms) {
            unknown.push("two regions may have taken writes at once".to_owned());
        }
        let verdict = match (missed.is_empty(), unknown.is_empty()) {
            (false, _) => Verdict::Missed { why: missed },
            (true, false) => Verdict::Void { why: unknown },
            (true, true) => Verdict::Met,
        };
        Self {
            version: 1,
            drill: "load".to_owned(),
            run: report.run,
            from: report.from,
            started: report.started,
            duration_ms: report.duration_ms,
            acknowledged: report.acknowledged,
            lost_writes: report.lost_writes,
            lost: report.lost,
            rpo_ms: report.rpo_ms,
            duplicate_writes: report.duplicate_writes,
            errors: report.errors,
            errors_by_kind: report.errors_by_kind,
            first_errors: report.first_errors,
            unknown_outcomes: report.unknown_outcomes,
            write_pause_ms: report.write_pause_ms,
            write_pause_at_ms: report.write_pause_at_ms,
            // The load is judged as a planned move, whose RTO is the pause itself, if it ended.
            write_pause_ended: report.rto_ms.is_some(),
            double_writer_ms: report.double_writer_ms,
            double_writer_possible_ms: report.double_writer_possible_ms,
            verdict,
        }
    }

    /// For a person.
    pub fn to_text(&self) -> String {
        let known = |n: Option<u64>| n.map_or("not known".to_owned(), |n| n.to_string());
        let mut out =
            format!("load on {} for {} s: {}\n", self.from, self.duration_ms / 1000, self.verdict.word());
        if let Verdict::Missed { why } | Verdict::Void { why } = &self.verdict {
            for reason in why {
                let _ = writeln!(out, "  ! {reason}");
            }
        }
        let _ = writeln!(
            out,
            "  {} writes acknowledged, {} lost; {} errors; longest pause {} ms; two writers at once {} ms",
            self.acknowledged,
            known(self.lost_writes),
            self.errors,
            known(self.write_pause_ms),
            known(self.double_writer_ms),
        );
        for error in self.first_errors.iter().take(5) {
            let _ = writeln!(out, "  error at {} ms, {}: {}", error.at_ms, error.request, error.what);
        }
        out
    }
}

/// Wait until the load may end: its time is over, somebody interrupts it, or (if asked for) the standard
/// input ends, as it does when whoever started this as a child is gone.
///
/// # Errors
/// When signals can't be received.
pub async fn until_over(load: &Load, lasts: Duration, until_eof: bool) -> anyhow::Result<()> {
    eprintln!("load is on; {} writes are acknowledged; Ctrl-C ends it", load.acked_count());
    let (ended, eof) = tokio::sync::oneshot::channel();
    if until_eof {
        // A thread of its own: a read of the standard input can't be given up, but ends with the process.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
    }
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = tokio::time::sleep(lasts) => {}
        Ok(()) = eof => {}
    }
    Ok(())
}
