//! `bascule torture`: a site that moves by itself, broken at random times under load, and judged after each fault.
//!
//! It ends with exit code 6 if two regions ever took writes at once, if more was lost than the objective
//! allows, if the site did not recover by itself, or if any of that could not be seen. A seed gives the same faults in the same order; what
//! they meet is up to the real parts.

mod lab;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bascule_core::time::millis;
use bascule_drill::{Objective, Verdict};
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::load::LoadReport;
use crate::cmd::print;
use crate::exit;

pub use lab::{Explained, Lab};

/// Arguments of `torture`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Faults
    #[arg(long, default_value_t = 50)]
    faults: u32,
    /// Where the faults and their times come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only faults whose name begins so, e.g. region-loss
    #[arg(long)]
    only: Option<String>,
    /// The lab's folder
    #[arg(long, default_value = "target/lab/torture")]
    dir: PathBuf,
    /// Where the rows go, as JSON
    #[arg(long, default_value = "target/torture.json")]
    out: PathBuf,
}

/// Load before a fault and after its end: the slowest write of a busy machine is far shorter.
const STEADY: Duration = Duration::from_secs(2);
/// Half of what is sent in both of these.
const WRITES_MIN: u64 = RATE * STEADY.as_secs();
/// After healing: a rewind (19 s), Patroni's election (20 s) and the cool-down (10 s), twice.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
/// The load may go on for as long as a row may take.
const LOAD_MAX: &str = "5m";

/// What one fault cost, in the words of a drill.
#[derive(Debug, Serialize)]
pub struct Row {
    version: u32,
    drill: &'static str,
    fault: String,
    /// When it was made, in milliseconds since 1970.
    pub broken_at: u64,
    held_ms: u64,
    /// The exit code of the switchover that was under way, if one was.
    switchover: Option<i32>,
    /// The region that was active before.
    from: String,
    /// The one that was active in the end.
    to: String,
    epochs: u64,
    recovered_ms: Option<u64>,
    objective: Objective,
    acknowledged: u64,
    lost_writes: Option<u64>,
    lost: Vec<u64>,
    errors: u64,
    errors_by_kind: BTreeMap<String, u64>,
    duplicate_writes: Option<u64>,
    unknown_outcomes: u64,
    /// The longest time in which no write was acknowledged.
    pub write_pause_ms: Option<u64>,
    /// From the fault to the end of that; 0 if it ended before.
    rto_ms: Option<u64>,
    rpo_ms: Option<u64>,
    double_writer_ms: Option<u64>,
    double_writer_possible_ms: Option<u64>,
    /// Whether it kept what it promises.
    pub verdict: Verdict,
}

/// The form of a row.
const VERSION: u32 = 1;

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lab = Lab::up(&args.dir)?;
    let rows = torture(&lab, args);
    let down = lab.down();
    let rows = rows?;
    down?;
    print(&table(&rows));
    let missed = rows.iter().filter(|row| !row.verdict.is_met()).count();
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::MISSED) })
}

fn torture(lab: &Lab, args: &Args) -> anyhow::Result<Vec<Row>> {
    let mut dice = Dice(args.seed);
    let mut rows = Vec::new();
    for number in 1..=args.faults {
        // The store may have no leader at this moment.
        let before = lab.recovered(RECOVERED_WITHIN)?.context("the site is not ready to be broken again")?;
        let trouble = choose(&mut dice, &before, args.only.as_deref())?;
        eprintln!("fault {number} of {}: {trouble}", args.faults);
        let row = one(lab, &before, &trouble)?;
        eprintln!("{}", line(&row));
        rows.push(row);
        // What there is is kept even if a later round fails.
        if let Some(parent) = args.out.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&args.out, serde_json::to_string_pretty(&rows)?)
            .with_context(|| format!("write {}", args.out.display()))?;
        if rows.last().is_some_and(|row| row.recovered_ms.is_none()) {
            eprintln!("it did not recover: the rest is left out");
            break;
        }
    }
    Ok(rows)
}

/// Load on, break, wait, heal, wait until it could move again, judge.
pub fn one(lab: &Lab, before: &Explained, trouble: &Trouble) -> anyhow::Result<Row> {
    let load = lab.load(LOAD_MAX, RATE)?;
    std::thread::sleep(STEADY);
    let mut switchover = None;
    if let Some(head_start) = trouble.switchover {
        switchover = Some(lab.start(&["switchover", "--to", &before.standby])?);
        std::thread::sleep(head_start);
    }
    let broken_at = millis(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?);
    for fault in &trouble.faults {
        let leader = if fault.ends_with(LEADER) { lab.store_leader()? } else { String::new() };
        let fault = fault.replace(LEADER, &leader);
        let words: Vec<&str> = fault.split(' ').collect();
        lab.show(&[&["lab", "break", "--dir", &lab.dir()], &words[..]].concat())?;
    }
    std::thread::sleep(trouble.held);
    lab.show(&["lab", "heal", "--dir", &lab.dir()])?;
    let healed = Instant::now();
    let after = lab.recovered(RECOVERED_WITHIN)?;
    let recovered_ms = after.as_ref().map(|_| millis(healed.elapsed()));
    let after = match after {
        Some(after) => after,
        None => lab.explain()?,
    };
    // What it says of itself is held against what users see.
    std::thread::sleep(STEADY);
    let seen = lab.end(load)?;
    let switchover = switchover.map(|mut child| child.wait()).transpose()?;
    let mut row = Row {
        version: VERSION,
        drill: "torture",
        fault: trouble.name(),
        broken_at,
        held_ms: millis(trouble.held),
        switchover: switchover.and_then(|status| status.code()),
        from: before.active.clone(),
        to: after.active,
        epochs: after.epoch.saturating_sub(before.epoch),
        recovered_ms,
        objective: lab.objective()?,
        rto_ms: rto_ms(&seen, broken_at),
        acknowledged: seen.acknowledged,
        lost_writes: seen.lost_writes,
        lost: seen.lost,
        errors: seen.errors,
        errors_by_kind: seen.errors_by_kind,
        duplicate_writes: seen.duplicate_writes,
        unknown_outcomes: seen.unknown_outcomes,
        write_pause_ms: seen.write_pause_ms,
        rpo_ms: seen.rpo_ms,
        double_writer_ms: seen.double_writer_ms,
        double_writer_possible_ms: seen.double_writer_possible_ms,
        verdict: Verdict::Met,
    };
    row.verdict = judge(&row);
    Ok(row)
}

/// Both clocks are this machine's.
fn rto_ms(seen: &LoadReport, broken_at: u64) -> Option<u64> {
    let ended = seen.write_pause_at_ms? + seen.write_pause_ms?;
    seen.write_pause_ended.then(|| (seen.started.0 + ended).saturating_sub(broken_at))
}

fn judge(row: &Row) -> Verdict {
    let (missed, unknown) = (misses(row), unknowns(row));
    match (missed.is_empty(), unknown.is_empty()) {
        (false, _) => Verdict::Missed { why: missed },
        (true, false) => Verdict::Void { why: unknown },
        (true, true) => Verdict::Met,
    }
}

/// What provably failed.
fn misses(row: &Row) -> Vec<String> {
    let mut why = Vec::new();
    let mut over = |value: Option<u64>, limit: u64, what: &str| {
        why.extend(
            value.filter(|value| *value > limit).map(|value| format!("{what}: {value}, over {limit}")),
        );
    };
    let Objective { rpo_ms, rto_ms, .. } = row.objective;
    over(row.double_writer_ms, 0, "ms in which two regions took writes");
    over(row.duplicate_writes, 0, "writes that are there twice");
    if row.epochs == 0 {
        over(row.lost_writes, 0, "writes lost without a move");
    } else if row.epochs == 1 && row.switchover == Some(0) {
        over(row.lost_writes, 0, "writes lost in a planned move");
    }
    over(row.rpo_ms, rpo_ms, "the RPO in ms");
    over(row.rto_ms, rto_ms, "the RTO in ms");
    if row.recovered_ms.is_none() {
        why.push(format!("not ready again within {RECOVERED_WITHIN:?}"));
    }
    why
}

/// What could not be seen; it is not green.
fn unknowns(row: &Row) -> Vec<String> {
    let mut why = Vec::new();
    let mut say = |unknown: bool, text: &str| {
        if unknown {
            why.push(text.to_owned());
        }
    };
    say(row.acknowledged < WRITES_MIN, "too few writes were acknowledged: the load was not there");
    say(row.rto_ms.is_none(), "no end of the write pause was seen");
    say(row.lost_writes.is_none(), "the writes could not be looked for");
    say(row.duplicate_writes.is_none(), "whether writes are there twice is not known");
    let sure = row.double_writer_ms.is_some() && row.double_writer_possible_ms == row.double_writer_ms;
    say(!sure, "two regions may have taken writes at once");
    why
}

/// What is done to a site.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// At once, as `bascule lab break` is told.
    pub faults: Vec<String>,
    /// How long they last.
    pub held: Duration,
    /// A switchover is under way for so long when they strike.
    pub switchover: Option<Duration>,
}

impl Trouble {
    fn name(&self) -> String {
        let switchover = if self.switchover.is_some() { "switchover, then " } else { "" };
        format!("{switchover}{}", self.faults.join(" and "))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {:?}", self.name(), self.held)?;
        self.switchover.map_or(Ok(()), |after| write!(f, ", {after:?} after the switchover began"))
    }
}

/// In a fault: the member that leads the store at that moment.
const LEADER: &str = "LEADER";
/// A switchover takes a second or two, and holds users' writes for a third of one.
const SWITCHOVER_MS: u64 = 2_000;

/// One fault, or, once in six times, two at once; and once in five times in the middle of a switchover.
fn choose(dice: &mut Dice, site: &Explained, only: Option<&str>) -> anyhow::Result<Trouble> {
    let mut known = faults(&site.active, &site.standby);
    if let Some(only) = only {
        known.retain(|fault| fault.starts_with(only));
    }
    if known.is_empty() {
        bail!("no fault begins so");
    }
    let mut chosen = vec![known.swap_remove(dice.index(known.len()))];
    if only.is_none() && dice.below(6) == 0 {
        chosen.push(known.swap_remove(dice.index(known.len())));
    }
    let switchover = if dice.below(5) == 0 { Some(dice.below(SWITCHOVER_MS)) } else { None };
    let held = Duration::from_millis(3_000 + dice.below(7_000));
    Ok(Trouble { faults: chosen, held, switchover: switchover.map(Duration::from_millis) })
}

fn faults(active: &str, standby: &str) -> Vec<String> {
    vec![
        format!("region-loss {active}"),
        format!("region-loss {standby}"),
        format!("region-freeze {active}"),
        format!("region-freeze {standby}"),
        format!("partition {active}"),
        format!("partition {standby}"),
        "partition witness".to_owned(),
        format!("partition {active}:{standby}"),
        format!("partition {active}:witness"),
        format!("partition --one-way {active}:{standby}"),
        format!("partition --one-way {standby}:{active}"),
        format!("partition --one-way {active}:witness"),
        format!("partition --one-way witness:{active}"),
        format!("part-loss {active}-keeper1"),
        format!("part-loss {active}-keeper2"),
        format!("part-freeze {active}-keeper1"),
        format!("part-freeze {active}-keeper2"),
        format!("part-loss {active}-store"),
        format!("part-loss {standby}-store"),
        "part-loss witness-store".to_owned(),
        format!("part-freeze {active}-store"),
        format!("part-loss {standby}-db1"),
        format!("part-loss {LEADER}"),
        format!("part-freeze {LEADER}"),
        "partition --db-link".to_owned(),
    ]
}

/// Numbers from a seed: `splitmix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

/// Writes a second.
const RATE: u64 = 100;

/// A row in words.
pub fn line(row: &Row) -> String {
    let show = |v: Option<u64>| v.map_or("unknown".to_owned(), |v| v.to_string());
    let verdict = match &row.verdict {
        Verdict::Met => "met".to_owned(),
        Verdict::Missed { why } => format!("MISSED: {}", why.join("; ")),
        Verdict::Void { why } => format!("NOT KNOWN: {}", why.join("; ")),
    };
    format!(
        "{:<58} {:>6} {:>5} {:>6} {:>6} {:>7} {:>8} {:>9}  {verdict}",
        row.fault,
        row.held_ms,
        row.epochs,
        show(row.lost_writes),
        row.errors,
        show(row.write_pause_ms),
        show(row.double_writer_ms),
        show(row.recovered_ms)
    )
}

fn table(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<58} {:>6} {:>5} {:>6} {:>6} {:>7} {:>8} {:>9}  verdict\n",
        "fault", "ms", "moves", "lost", "errors", "pause", "2 writers", "ready"
    );
    for row in rows {
        let _ = writeln!(out, "{}", line(row));
    }
    let sum = |of: &dyn Fn(&Row) -> Option<u64>| rows.iter().filter_map(of).sum::<u64>();
    let _ = writeln!(
        out,
        "{} faults: {} moves, {} writes acknowledged, {} lost, two writers for {} ms",
        rows.len(),
        rows.iter().map(|row| row.epochs).sum::<u64>(),
        rows.iter().map(|row| row.acknowledged).sum::<u64>(),
        sum(&|row| row.lost_writes),
        sum(&|row| row.double_writer_ms)
    );
    out
}

#[cfg(test)]
mod tests {
    use bascule_core::explain::Readiness;

    use super::lab::Word;
    use super::*;

    fn row() -> Row {
        Row {
            version: VERSION,
            drill: "torture",
            fault: "region-loss us-east-2".to_owned(),
            broken_at: 0,
            held_ms: 5_000,
            switchover: None,
            from: "us-east-2".to_owned(),
            to: "us-west-1".to_owned(),
            epochs: 1,
            recovered_ms: Some(9_000),
            objective: Objective { rpo_ms: 5_000, rto_ms: 60_000, max_pause_ms: 5_000 },
            acknowledged: 1_000,
            lost_writes: Some(3),
            lost: vec![7, 8, 9],
            errors: 400,
            errors_by_kind: BTreeMap::from([("timeout".to_owned(), 400)]),
            duplicate_writes: Some(0),
            unknown_outcomes: 3,
            write_pause_ms: Some(4_000),
            rto_ms: Some(4_000),
            rpo_ms: Some(30),
            double_writer_ms: Some(0),
            double_writer_possible_ms: Some(0),
            verdict: Verdict::Met,
        }
    }

    fn judged(change: fn(&mut Row)) -> Verdict {
        let mut row = row();
        change(&mut row);
        judge(&row)
    }

    #[test]
    fn the_judge_knows_what_a_fault_may_not_cost() {
        let missed = |change| matches!(judged(change), Verdict::Missed { .. });
        assert!(judged(|_| ()).is_met());
        assert!(missed(|row| row.double_writer_ms = Some(1)));
        assert!(missed(|row| row.rpo_ms = Some(5_001)));
        assert!(missed(|row| row.rto_ms = Some(60_001)));
        assert!(missed(|row| row.epochs = 0), "what is lost without a move is lost for no reason");
        assert!(missed(|row| row.recovered_ms = None));
        assert!(missed(|row| row.duplicate_writes = Some(1)));
        assert!(missed(|row| row.switchover = Some(0)), "a planned move loses nothing");
    }

    #[test]
    fn what_was_not_seen_is_not_met() {
        let void = |change| matches!(judged(change), Verdict::Void { .. });
        assert!(void(|row| row.double_writer_ms = None));
        assert!(void(|row| row.double_writer_possible_ms = Some(1)));
        assert!(void(|row| row.lost_writes = None));
        assert!(void(|row| row.duplicate_writes = None));
        assert!(void(|row| row.rto_ms = None), "writes never came back");
        assert!(void(|row| row.acknowledged = WRITES_MIN - 1), "a load that was not there shows nothing");
    }

    #[test]
    fn a_seed_gives_the_same_faults() {
        let site = || Explained {
            active: "us-east-2".to_owned(),
            standby: "us-west-1".to_owned(),
            epoch: 1,
            readiness: Word::Ready,
        };
        let draw = |seed| {
            let mut dice = Dice(seed);
            (0..20).map(|_| choose(&mut dice, &site(), None).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(choose(&mut Dice(1), &site(), Some("earthquake")).is_err());
    }

    #[test]
    fn every_word_of_explain_is_known() {
        let said = serde_json::to_string(&Readiness::TargetOverLagLimit).unwrap();
        assert_eq!(serde_json::from_str::<Word>(&said).unwrap(), Word::TargetOverLagLimit);
    }
}
