//! Did two regions take writes at the same time? A pure question to the probes.
//!
//! Accepted probes of a region with no refusal between them form a *run*. The commit of a probe lies
//! somewhere between its sending and its answer, so a run is known from two sides: the region certainly
//! took writes from the first one's answer to the last one's sending (*certain*), and possibly from the
//! first one's sending to the last one's answer (*possible*). A single accepted probe has no certain
//! length, but it is one write that certainly happened between its two ends: when these lie within
//! another region's certain time, the two wrote at once, and the time between its ends is counted.
//!
//! *Proven* is therefore what overlaps for certain, and *possible* what may have; with one writer both
//! are zero. Silence ends no run: a region that accepted before and after it is held to have gone on.

use std::collections::BTreeSet;
use std::time::Duration;

use bascule_core::id::RegionName;

use crate::recording::{Probe, ProbeOutcome};
use crate::time::At;

/// Longest time between two probes of one region for it to count as watched: the prober folds refusals
/// for a second and a probe takes at most 1.75 s to be given up; a busy machine may skip a few.
const WATCH_GAP: Duration = Duration::from_secs(2);

/// In how much time two regions took writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubleWriter {
    /// For certain.
    pub proven: Duration,
    /// At the most, the proven time included.
    pub possible: Duration,
    /// Where the first possible overlap began.
    pub first: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: At,
    to: At,
}

impl Span {
    fn meet(self, other: Span) -> Option<Span> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Span { from, to })
    }

    fn holds(self, inner: Span) -> bool {
        self.from <= inner.from && inner.to <= self.to
    }
}

/// Accepted probes of one region without a refusal between them.
struct Run {
    writes: Vec<Span>,
}

impl Run {
    fn possible(&self) -> Option<Span> {
        Some(Span { from: self.writes.first()?.from, to: self.writes.last()?.to })
    }

    fn certain(&self) -> Option<Span> {
        let (from, to) = (self.writes.first()?.to, self.writes.last()?.from);
        (from < to).then_some(Span { from, to })
    }
}

/// The time in which two regions took writes.
#[must_use]
pub fn double_writer(probes: &[Probe]) -> DoubleWriter {
    let regions: BTreeSet<&RegionName> = probes.iter().map(|probe| &probe.region).collect();
    let runs: Vec<Vec<Run>> = regions.iter().map(|region| runs(probes, region)).collect();
    let (mut proven, mut possible) = (Vec::new(), Vec::new());
    for (index, left) in runs.iter().enumerate() {
        for right in &runs[index + 1..] {
            for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
                let Some(both) = a.possible().zip(b.possible()).and_then(|(a, b)| a.meet(b)) else {
                    continue;
                };
                possible.push(both);
                proven.extend(a.certain().zip(b.certain()).and_then(|(a, b)| a.meet(b)));
                for (writes, during) in [(&a.writes, b.certain()), (&b.writes, a.certain())] {
                    let Some(during) = during else { continue };
                    proven.extend(writes.iter().copied().filter(|write| during.holds(*write)));
                }
            }
        }
    }
    let first = possible.iter().map(|span| span.from).min();
    DoubleWriter { proven: measure(proven), possible: measure(possible), first }
}

/// How much of `from..to` nobody can say of `region` whether it took writes.
#[must_use]
pub fn unwatched(probes: &[Probe], region: &RegionName, from: At, to: At) -> Duration {
    let mut dark = Vec::new();
    let mut last = At::START;
    for probe in of_region(probes, region) {
        if probe.sent.since(last) > WATCH_GAP {
            dark.push(Span { from: last, to: probe.sent });
        }
        if probe.outcome == ProbeOutcome::Unseen {
            dark.push(Span { from: probe.sent, to: probe.done });
        }
        last = last.max(probe.done);
    }
    if to.since(last) > WATCH_GAP {
        dark.push(Span { from: last, to });
    }
    measure(dark.into_iter().filter_map(|span| span.meet(Span { from, to })).collect())
}

fn of_region<'a>(probes: &'a [Probe], region: &RegionName) -> Vec<&'a Probe> {
    let mut own: Vec<&Probe> = probes.iter().filter(|probe| probe.region == *region).collect();
    own.sort_by_key(|probe| (probe.sent, probe.done));
    own
}

fn runs(probes: &[Probe], region: &RegionName) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut writes = Vec::new();
    for probe in of_region(probes, region) {
        match probe.outcome {
            ProbeOutcome::Accepted => writes.push(Span { from: probe.sent, to: probe.done }),
            ProbeOutcome::Refused if writes.is_empty() => {}
            ProbeOutcome::Refused => runs.push(Run { writes: std::mem::take(&mut writes) }),
            ProbeOutcome::Unseen => {}
        }
    }
    if !writes.is_empty() {
        runs.push(Run { writes });
    }
    runs
}

/// The length of the union.
fn measure(mut spans: Vec<Span>) -> Duration {
    spans.sort_unstable();
    let (mut total, mut reached) = (Duration::ZERO, At::START);
    for span in spans {
        total += span.to.since(span.from.max(reached));
        reached = reached.max(span.to);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProbeOutcome::{Accepted, Refused, Unseen};

    fn probe(region: &str, from_ms: u64, to_ms: u64, outcome: ProbeOutcome) -> Probe {
        let (sent, done) = (At::from_ms(from_ms), At::from_ms(to_ms));
        Probe { region: region.parse().unwrap(), sent, done, outcome, count: 1, detail: None }
    }

    /// Probes of `outcome` every 20 ms, each 2 ms long.
    fn series(region: &str, from_ms: u64, to_ms: u64, outcome: ProbeOutcome) -> Vec<Probe> {
        (from_ms..to_ms).step_by(20).map(|ms| probe(region, ms, ms + 2, outcome)).collect()
    }

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn one_writer_after_the_other_is_no_overlap() {
        let mut probes = series("a", 0, 1000, Accepted);
        probes.extend(series("a", 1000, 2000, Refused));
        probes.extend(series("b", 0, 1300, Refused));
        probes.extend(series("b", 1300, 2000, Accepted));
        let none = DoubleWriter { proven: Duration::ZERO, possible: Duration::ZERO, first: None };
        assert_eq!(double_writer(&probes), none);
    }

    #[test]
    fn moving_there_and_back_is_no_overlap() {
        let mut probes = series("a", 0, 1000, Accepted);
        probes.extend(series("a", 1000, 2000, Refused));
        probes.extend(series("a", 2000, 3000, Accepted));
        probes.extend(series("b", 1100, 1900, Accepted));
        assert_eq!(double_writer(&probes).possible, Duration::ZERO);
    }

    #[test]
    fn a_planted_overlap_is_found_in_full() {
        let mut probes = series("a", 0, 1000, Accepted);
        probes.extend(series("b", 600, 2000, Accepted));
        let found = double_writer(&probes);
        // b's first write lies within a's certain time, and a's last write within b's.
        assert_eq!((found.proven, found.possible), (ms(982 - 600), ms(982 - 600)));
        assert_eq!(found.first, Some(At::from_ms(600)));
    }

    #[test]
    fn one_late_write_of_a_zombie_is_proof_enough() {
        let mut probes = series("b", 0, 1000, Accepted);
        probes.push(probe("a", 500, 503, Accepted));
        probes.push(probe("a", 510, 511, Refused));
        assert_eq!(double_writer(&probes).proven, ms(3));
    }

    #[test]
    fn silence_does_not_end_a_run_but_a_refusal_does() {
        let zombie = |between| {
            let mut probes = series("a", 0, 100, Accepted);
            probes.push(probe("a", 100, 900, between));
            probes.extend(series("a", 900, 1000, Accepted));
            probes.extend(series("b", 300, 800, Accepted));
            double_writer(&probes).proven
        };
        assert_eq!(zombie(Unseen), ms(782 - 300));
        assert_eq!(zombie(Refused), Duration::ZERO);
    }

    #[test]
    fn ends_that_touch_within_one_answer_are_possible_but_not_proven() {
        let probes = [probe("a", 0, 2, Accepted), probe("a", 20, 40, Accepted), probe("b", 30, 35, Accepted)];
        let found = double_writer(&probes);
        assert_eq!((found.proven, found.possible), (Duration::ZERO, ms(5)));
    }

    /// Laws over every small history: three probes a region, each of three outcomes and four places.
    #[test]
    fn overlap_is_symmetric_and_proven_never_exceeds_possible() {
        let outcomes = [Accepted, Refused, Unseen];
        let history = |region: &str, mut seed: usize| -> Vec<Probe> {
            let mut at = 0;
            let mut probes = Vec::new();
            for _ in 0..3 {
                at += 10 * (seed % 4) as u64;
                probes.push(probe(region, at, at + 15, outcomes[seed / 4 % 3]));
                (at, seed) = (at + 15, seed / 12);
            }
            probes
        };
        for seed in 0..1728_usize {
            let other = seed * 7 % 1728;
            let forth = [history("a", seed), history("b", other)].concat();
            let back = [history("b", other), history("a", seed)].concat();
            let swapped = [history("b", seed), history("a", other)].concat();
            let found = double_writer(&forth);
            assert_eq!(found, double_writer(&back), "order of entries, {seed}");
            assert_eq!(found, double_writer(&swapped), "names of regions, {seed}");
            assert!(found.proven <= found.possible, "{seed}: {found:?}");
            assert_eq!(found.first.is_some(), found.possible > Duration::ZERO, "{seed}");
        }
    }

    #[test]
    fn what_no_probe_saw_is_unwatched() {
        let region = "a".parse().unwrap();
        let whole = |probes: &[Probe]| unwatched(probes, &region, At::START, At::from_ms(10_000));
        assert_eq!(whole(&[]), ms(10_000), "a region nobody asked");
        let mut probes = series("a", 0, 10_000, Accepted);
        assert_eq!(whole(&probes), Duration::ZERO);
        probes.retain(|probe| !(4000..7000).contains(&probe.sent.as_ms()));
        assert_eq!(whole(&probes), ms(7000 - 3982), "a prober that was stopped");
        probes.push(probe("a", 4000, 6990, Unseen));
        assert_eq!(whole(&probes), ms(2990), "a region that was silent");
    }
}
