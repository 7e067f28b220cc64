//! The oracle: what a move cost, by what was recorded. Pure.
//!
//! An acknowledged write that is not found is lost; there is no other evidence of loss and no excuse for
//! it. What was not seen is listed as unknown. The verdict is *missed* as soon as one thing provably
//! failed, *void* when nothing did but something could not be seen, and *met* only when all of it was
//! seen and kept.
//!
//! The write pause is the longest time between two consecutive acknowledgements that touches the move.
//! The service counts as back at its end, not at the first acknowledgement after the fault: that may be
//! an answer that was already on its way when the region died, or a brief return before the real outage.
//!
//! One recording holds one move: what follows `done` is its aftermath.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bascule_core::id::RegionName;
use serde::{Deserialize, Serialize};

use crate::lookup::{Found, Lookup};
use crate::overlap::{double_writer, unwatched};
use crate::recording::{Ack, Failure, FailureKind, Outcome, ProbeOutcome, Recording, Request};
use crate::report::{
    DrillReport, Latencies, Latency, NamesSeen, PhaseSeen, REPORT_VERSION, SeenError, Verdict,
};
use crate::time::At;

/// Acknowledged writes needed on each side of a move: half a second of the default pace. With fewer the
/// load was not there, and finding nothing lost says nothing.
pub const WRITES_MIN: usize = 50;
/// Lost numbers listed.
const LOST_LISTED: usize = 100;
/// Errors listed.
const ERRORS_LISTED: usize = 20;
/// How far the wall clock may drift from the monotonic one: NTP slews at most 500 ppm (RFC 5905)…
const SLEW_PPM: u64 = 500;
/// …and reading both takes a moment, on a busy machine a tenth of a second.
const CLOCK_READ: Duration = Duration::from_millis(100);
/// A region may go unwatched for this long in a move: two probes that were given up (1.75 s each).
const UNWATCHED_MAX: Duration = Duration::from_millis(3500);

/// What is rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    /// A planned move: no error, no loss.
    Switchover,
    /// All of the active region dies at once.
    RegionLoss,
    /// All of the active region stops, and may wake up.
    RegionFreeze,
    /// The active region is cut off, and lives on.
    Partition,
}

impl Drill {
    /// Whether users must not notice more than a pause.
    #[must_use]
    pub fn planned(self) -> bool {
        match self {
            Self::Switchover => true,
            Self::RegionLoss | Self::RegionFreeze | Self::Partition => false,
        }
    }

    /// Whether it is known without the probes that the region takes no writes, or that they can't see it:
    /// of a region that is lost, the lab has ended every process before the fault is marked.
    fn hides_region(self) -> bool {
        match self {
            Self::Switchover => false,
            Self::RegionLoss | Self::RegionFreeze | Self::Partition => true,
        }
    }
}

impl fmt::Display for Drill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Switchover => "switchover",
            Self::RegionLoss => "region-loss",
            Self::RegionFreeze => "region-freeze",
            Self::Partition => "partition",
        })
    }
}

/// What the site asks of a move, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// How much time's writes may be lost when a region is.
    pub rpo_ms: u64,
    /// How long users may be unable to write then.
    pub rto_ms: u64,
    /// How long a planned move may hold writes.
    pub max_pause_ms: u64,
}

/// The move that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// What was rehearsed.
    pub drill: Drill,
    /// From where.
    pub from: RegionName,
    /// To where.
    pub to: RegionName,
    /// What was asked of it.
    pub objective: Objective,
}

/// When things happened, on the run's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// The region broke; `None` in a planned move.
    pub fault: Option<At>,
    /// The move was ordered, by a person or by whoever detected the fault.
    pub command: At,
    /// The move was over.
    pub done: At,
    /// Its phases.
    pub phases: Vec<Phase>,
}

/// A phase of the move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// What it is called.
    pub name: String,
    /// Its beginning.
    pub start: At,
    /// Its end.
    pub end: At,
}

impl Marks {
    /// When users could first notice.
    fn begin(&self) -> At {
        self.fault.map_or(self.command, |fault| fault.min(self.command))
    }
}

/// A time without an acknowledged write.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: At,
    /// When it ended; `None` when no write was acknowledged any more.
    back: Option<At>,
    length: Duration,
}

/// Judges the move by what was recorded and what was found.
#[must_use]
pub fn judge(recording: &Recording, lookup: &Lookup, marks: &Marks, of: &Move) -> DrillReport {
    let acks = by_ack(recording);
    let found = match lookup {
        Lookup::Read(found) => Some(found),
        Lookup::NotRead(_) => None,
    };
    let gap = longest_gap(recording, &acks, marks.begin(), marks.done);
    let before = longest_gap(recording, &acks, At::START, marks.begin());
    let back = gap.and_then(|gap| gap.back);
    let length_ms = |gap: Option<Gap>| gap.map(|gap| up_to_ms(gap.length));
    let lost: Option<Vec<&Ack>> =
        found.map(|found| acks.iter().copied().filter(|ack| !found.numbers.contains(&ack.number)).collect());
    let probed = recording.start.probed.contains(&of.from) && recording.start.probed.contains(&of.to);
    let double = probed.then(|| double_writer(&recording.probes));
    let rto_ms = match marks.fault {
        Some(fault) => back.map(|back| up_to_ms(back.since(fault))),
        None => back.and(length_ms(gap)),
    };
    let mut report = DrillReport {
        version: REPORT_VERSION,
        drill: of.drill,
        run: recording.start.run.clone(),
        from: of.from.clone(),
        to: of.to.clone(),
        started: recording.start.started,
        duration_ms: recording.end.as_ref().map_or(marks.done, |end| end.at).as_ms(),
        objective: of.objective,
        verdict: Verdict::Met,
        unknown: Vec::new(),
        acknowledged: acks.len() as u64,
        lost_writes: lost.as_ref().map(|lost| lost.len() as u64),
        lost: lost_numbers(lost.as_deref()),
        duplicate_writes: found.map(|found| found.duplicates.len() as u64),
        errors: recording.failures.len() as u64,
        errors_by_kind: by_kind(&recording.failures),
        first_errors: recording.failures.iter().take(ERRORS_LISTED).map(seen).collect(),
        unknown_outcomes: unknown_outcomes(recording).count() as u64,
        unknown_found: found.map(|found| unknown_found(recording, found)),
        reads: recording.end.as_ref().map(|end| end.reads),
        vanished_reads: recording.failures.iter().filter(|f| f.kind == FailureKind::Vanished).count() as u64,
        write_pause_ms: length_ms(gap),
        write_pause_at_ms: gap.map(|gap| gap.from.as_ms()),
        pause_before_ms: length_ms(before),
        pace_ms: 1000 / u64::from(recording.start.writes_per_second.max(1)),
        latency: latencies(&acks, marks),
        rto_ms,
        detection_to_first_write_ms: back.map(|back| up_to_ms(back.since(marks.command))),
        rpo_ms: lost.as_ref().map(|lost| rpo_ms(&acks, lost, marks.fault)),
        double_writer_ms: double.map(|double| up_to_ms(double.proven)),
        double_writer_possible_ms: double.map(|double| up_to_ms(double.possible)),
        writers_before: writers(recording, |sent| sent < marks.begin()),
        writers_after: writers(recording, |sent| sent > marks.done),
        unwatched_ms: unwatched_ms(recording, marks),
        names: recording
            .names
            .iter()
            .map(|names| NamesSeen { at_ms: names.at.as_ms(), addresses: names.addresses.clone() })
            .collect(),
        phases: marks.phases.iter().map(phase).collect(),
    };
    report.unknown = unknowns(&report, recording, lookup, marks);
    let missed = misses(&report, recording, marks);
    report.verdict = if !missed.is_empty() {
        Verdict::Missed { why: missed }
    } else if !report.unknown.is_empty() {
        Verdict::Void { why: report.unknown.clone() }
    } else {
        Verdict::Met
    };
    report
}

/// What provably failed.
fn misses(report: &DrillReport, recording: &Recording, marks: &Marks) -> Vec<String> {
    let mut why = Vec::new();
    let mut say = |failed: bool, text: String| {
        if failed {
            why.push(text);
        }
    };
    let objective = report.objective;
    let over = |value: Option<u64>, limit: u64| value.is_some_and(|value| value > limit);
    let n = |value: Option<u64>| value.unwrap_or_default();
    say(
        over(report.double_writer_ms, 0),
        format!("two regions took writes for {} ms", n(report.double_writer_ms)),
    );
    let stayed = report.writers_after.contains(&report.from) && !report.writers_after.contains(&report.to);
    say(stayed, format!("the move did not happen: {} takes writes, {} does not", report.from, report.to));
    say(over(report.duplicate_writes, 0), format!("{} writes are stored twice", n(report.duplicate_writes)));
    if report.drill.planned() {
        say(over(report.lost_writes, 0), format!("{} acknowledged writes are lost", n(report.lost_writes)));
        say(report.errors > 0, format!("users saw {} errors in a planned move", report.errors));
        let (pause, limit) = (n(report.write_pause_ms), objective.max_pause_ms);
        say(over(report.write_pause_ms, limit), format!("writes paused for {pause} ms, over {limit} ms"));
    } else {
        let (rto, limit) = (n(report.rto_ms), objective.rto_ms);
        say(over(report.rto_ms, limit), format!("the RTO was {rto} ms, over {limit} ms"));
        let (rpo, limit) = (n(report.rpo_ms), objective.rpo_ms);
        say(
            over(report.rpo_ms, limit),
            format!("the RPO was {rpo} ms, over {limit} ms: {} writes are lost", n(report.lost_writes)),
        );
    }
    if let (Some(fault), Some(end), None) = (marks.fault, &recording.end, report.rto_ms) {
        let silent = up_to_ms(end.stopped.since(fault));
        let text = format!(
            "no write was acknowledged in the {silent} ms that were watched, over {} ms",
            objective.rto_ms
        );
        say(silent > objective.rto_ms, text);
    }
    why
}

/// What could not be seen.
fn unknowns(report: &DrillReport, recording: &Recording, lookup: &Lookup, marks: &Marks) -> Vec<String> {
    let mut why = Vec::new();
    let mut say = |unknown: bool, text: String| {
        if unknown {
            why.push(text);
        }
    };
    if let Lookup::NotRead(error) = lookup {
        say(true, format!("the writes could not be looked for: {error}"));
    }
    let ordered = marks.fault.unwrap_or(marks.command) <= marks.command && marks.command <= marks.done;
    say(!ordered, "the marks are not in order: fault, command, done".to_owned());
    match &recording.end {
        None => say(true, "the load did not end in order: its recording is not whole".to_owned()),
        Some(end) => {
            say(marks.done > end.at, "the move ended after the load".to_owned());
            let wall = end.wall.0.abs_diff(recording.start.started.0);
            let off = wall.abs_diff(end.at.as_ms());
            let may = end.at.as_ms() * SLEW_PPM / 1_000_000 + up_to_ms(CLOCK_READ);
            say(off > may, format!("the wall clock stepped by {off} ms: given times cannot be placed"));
        }
    }
    let (before, after) = (report.latency.before.writes, report.latency.after.writes);
    let few = |writes: u64| writes < WRITES_MIN as u64;
    say(few(before), format!("only {before} writes were acknowledged before the move, not {WRITES_MIN}"));
    say(few(after), format!("only {after} writes were acknowledged after the move, not {WRITES_MIN}"));
    say(report.rto_ms.is_none(), "no end of the write pause was seen".to_owned());
    match (report.double_writer_ms, report.double_writer_possible_ms) {
        (Some(proven), Some(possible)) => say(
            possible > proven,
            format!("two regions may have taken writes for {possible} ms; the probes prove {proven} ms"),
        ),
        _ => say(true, "the regions were not probed for two writers".to_owned()),
    }
    if report.double_writer_ms.is_some() {
        for (writers, region, when) in
            [(&report.writers_before, &report.from, "before"), (&report.writers_after, &report.to, "after")]
        {
            let unseen = !writers.contains(region);
            say(unseen, format!("no probe saw {region} take a write {when} the move"));
        }
    }
    for (region, ms) in &report.unwatched_ms {
        let hidden = report.drill.hides_region() && *region == report.from;
        let dark = u128::from(*ms) > UNWATCHED_MAX.as_millis() && !hidden;
        say(dark, format!("for {ms} ms of the move nobody saw if {region} takes writes"));
    }
    why
}

fn by_ack(recording: &Recording) -> Vec<&Ack> {
    let mut acks: Vec<&Ack> = recording.acks.iter().collect();
    acks.sort_by_key(|ack| (ack.acked, ack.number));
    acks
}

/// The longest time between two acknowledgements that touches `from..to`. It may be open at the end,
/// where no write was acknowledged any more before the load was stopped.
fn longest_gap(recording: &Recording, acks: &[&Ack], from: At, to: At) -> Option<Gap> {
    let pairs = acks.windows(2).map(|pair| Gap {
        from: pair[0].acked,
        back: Some(pair[1].acked),
        length: pair[1].acked.since(pair[0].acked),
    });
    let last = acks.last().map(|ack| ack.acked);
    let open = last.zip(recording.end.as_ref()).map(|(last, end)| Gap {
        from: last,
        back: None,
        length: end.stopped.since(last),
    });
    let touches = |gap: &Gap| gap.from <= to && gap.from.0 + gap.length.as_micros() as u64 >= from.0;
    pairs.chain(open).filter(touches).max_by_key(|gap| gap.length)
}

/// From the last acknowledged write before the first lost one to the fault, or to the last lost one when
/// that was acknowledged later (or there was no fault).
fn rpo_ms(acks: &[&Ack], lost: &[&Ack], fault: Option<At>) -> u64 {
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return 0 };
    let kept = acks.iter().take_while(|ack| ack.number != first.number).last();
    let until = fault.map_or(last.acked, |fault| fault.max(last.acked));
    up_to_ms(until.since(kept.map_or(At::START, |ack| ack.acked)))
}

fn lost_numbers(lost: Option<&[&Ack]>) -> Vec<u64> {
    let mut numbers: Vec<u64> = lost.unwrap_or_default().iter().map(|ack| ack.number).collect();
    numbers.sort_unstable();
    numbers.truncate(LOST_LISTED);
    numbers
}

fn unknown_outcomes(recording: &Recording) -> impl Iterator<Item = u64> + '_ {
    recording.failures.iter().filter_map(|failure| match (failure.request, failure.outcome) {
        (Request::Write(number), Outcome::Unknown) => Some(number),
        (Request::Write(_), Outcome::NotDone) | (Request::Read(_), _) => None,
    })
}

fn unknown_found(recording: &Recording, found: &Found) -> u64 {
    unknown_outcomes(recording).filter(|number| found.numbers.contains(number)).count() as u64
}

/// The regions that took a probe's write that was sent when `wanted` says.
fn writers(recording: &Recording, wanted: impl Fn(At) -> bool) -> BTreeSet<RegionName> {
    let accepted = recording.probes.iter().filter(|probe| probe.outcome == ProbeOutcome::Accepted);
    accepted.filter(|probe| wanted(probe.sent)).map(|probe| probe.region.clone()).collect()
}

fn unwatched_ms(recording: &Recording, marks: &Marks) -> BTreeMap<RegionName, u64> {
    let dark = |region| up_to_ms(unwatched(&recording.probes, region, marks.begin(), marks.done));
    recording.start.probed.iter().map(|region| (region.clone(), dark(region))).collect()
}

fn latencies(acks: &[&Ack], marks: &Marks) -> Latencies {
    let (begin, done) = (marks.begin(), marks.done);
    let of = |wanted: &dyn Fn(At) -> bool| latency(acks.iter().filter(|ack| wanted(ack.sent)));
    Latencies {
        before: of(&|sent| sent < begin),
        during: of(&|sent| sent >= begin && sent <= done),
        after: of(&|sent| sent > done),
    }
}

/// Nearest-rank percentiles.
fn latency<'a>(acks: impl Iterator<Item = &'a &'a Ack>) -> Latency {
    let mut taken: Vec<u64> = acks.map(|ack| ack.acked.0.saturating_sub(ack.sent.0)).collect();
    taken.sort_unstable();
    let rank = |percent: usize| {
        let index = (taken.len() * percent).div_ceil(100).checked_sub(1)?;
        taken.get(index).map(|micros| (micros / 100) as f64 / 10.0)
    };
    Latency { writes: taken.len() as u64, p50_ms: rank(50), p99_ms: rank(99), max_ms: rank(100) }
}

fn by_kind(failures: &[Failure]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for failure in failures {
        *kinds.entry(kind(failure.kind)).or_default() += 1;
    }
    kinds
}

fn kind(kind: FailureKind) -> String {
    match kind {
        FailureKind::Resolve => "resolve".to_owned(),
        FailureKind::Connect => "connect".to_owned(),
        FailureKind::Timeout => "timeout".to_owned(),
        FailureKind::Broken => "broken".to_owned(),
        FailureKind::Status(status) => format!("status {status}"),
        FailureKind::BadAnswer => "bad answer".to_owned(),
        FailureKind::Vanished => "vanished".to_owned(),
    }
}

fn seen(failure: &Failure) -> SeenError {
    let request = match failure.request {
        Request::Write(number) => format!("write {number}"),
        Request::Read(number) => format!("read {number}"),
    };
    let what = format!("{}: {}", kind(failure.kind), failure.detail);
    SeenError { at_ms: failure.at.as_ms(), request, what }
}

fn phase(phase: &Phase) -> PhaseSeen {
    PhaseSeen { name: phase.name.clone(), start_ms: phase.start.as_ms(), end_ms: phase.end.as_ms() }
}

/// Whole milliseconds, rounded up: a cost is never made smaller than it was.
fn up_to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
