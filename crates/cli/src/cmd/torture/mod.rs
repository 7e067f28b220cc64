//! `bascule torture`: a site that moves by itself, broken at random times under load, and judged after each fault.
//!
//! It ends with exit code 6 if two regions ever took writes at once, if more was lost than the objective
//! allows, or if the site did not recover by itself. A seed gives the same faults in the same order; what
//! they meet is up to the real parts.

mod lab;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use serde::Serialize;

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

/// Load before a fault: the slowest write of a busy machine is far shorter.
const STEADY: Duration = Duration::from_secs(2);
/// After healing: a rewind (19 s), Patroni's election (20 s) and the cool-down (10 s), twice.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
/// The load may go on for as long as a row may take.
const LOAD_MAX: &str = "5m";

/// What one fault cost.
#[derive(Debug, Serialize)]
pub struct Row {
    fault: String,
    /// When it was made, in milliseconds since 1970.
    pub broken_at: u64,
    held_ms: u64,
    /// The exit code of the switchover that was under way, if one was.
    switchover: Option<i32>,
    active_before: String,
    active_after: String,
    epochs: u64,
    recovered_ms: Option<u64>,
    acknowledged: u64,
    lost_writes: Option<u64>,
    errors: u64,
    duplicate_writes: Option<u64>,
    unknown_outcomes: u64,
    /// The longest time in which no write was acknowledged.
    pub write_pause_ms: Option<u64>,
    double_writer_ms: Option<u64>,
    double_writer_possible_ms: Option<u64>,
    /// Whether it kept what it promises.
    pub verdict: Verdict,
}

/// Whether a fault cost no more than it may.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Met,
    /// Why not.
    Missed(Vec<String>),
}

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lab = Lab::up(&args.dir)?;
    let rows = torture(&lab, args);
    let down = lab.down();
    let rows = rows?;
    down?;
    print(&table(&rows));
    let missed = rows.iter().filter(|row| matches!(row.verdict, Verdict::Missed(_))).count();
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
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
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
    let report = lab.end(load)?;
    let switchover = switchover.map(|mut child| child.wait()).transpose()?;
    let mut row = Row {
        fault: trouble.name(),
        broken_at: millis(since_1970),
        held_ms: millis(trouble.held),
        switchover: switchover.and_then(|status| status.code()),
        active_before: before.active.clone(),
        active_after: after.active,
        epochs: after.epoch.saturating_sub(before.epoch),
        recovered_ms,
        acknowledged: report.acknowledged,
        lost_writes: report.lost_writes,
        errors: report.errors,
        duplicate_writes: report.duplicate_writes,
        unknown_outcomes: report.unknown_outcomes,
        write_pause_ms: report.write_pause_ms,
        double_writer_ms: report.double_writer_ms,
        double_writer_possible_ms: report.double_writer_possible_ms,
        verdict: Verdict::Met,
    };
    row.verdict = judge(&row, lab.rpo_writes()?);
    Ok(row)
}

/// Unknown is not green.
fn judge(row: &Row, rpo_writes: u64) -> Verdict {
    let mut why = Vec::new();
    match row.double_writer_ms {
        Some(0) => {}
        Some(ms) => why.push(format!("two regions took writes for {ms} ms")),
        None => why.push("whether two regions took writes is not known".to_owned()),
    }
    match row.lost_writes {
        Some(0) => {}
        Some(lost) if row.epochs == 0 => why.push(format!("{lost} writes were lost without a move")),
        Some(lost) if row.epochs == 1 && row.switchover == Some(0) => {
            why.push(format!("{lost} writes were lost in a planned move"));
        }
        Some(lost) if lost > rpo_writes => {
            why.push(format!("{lost} writes were lost, over the objective's {rpo_writes}"));
        }
        Some(_) => {}
        None => why.push("how many writes were lost is not known".to_owned()),
    }
    match row.duplicate_writes {
        Some(0) => {}
        Some(twice) => why.push(format!("{twice} writes are there twice")),
        None => why.push("whether writes are there twice is not known".to_owned()),
    }
    if row.recovered_ms.is_none() {
        why.push(format!("not ready again within {RECOVERED_WITHIN:?}"));
    }
    if why.is_empty() { Verdict::Met } else { Verdict::Missed(why) }
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A row in words.
pub fn line(row: &Row) -> String {
    let show = |v: Option<u64>| v.map_or("unknown".to_owned(), |v| v.to_string());
    let verdict = match &row.verdict {
        Verdict::Met => "met".to_owned(),
        Verdict::Missed(why) => format!("MISSED: {}", why.join("; ")),
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
            fault: "region-loss us-east-2".to_owned(),
            broken_at: 0,
            held_ms: 5_000,
            switchover: None,
            active_before: "us-east-2".to_owned(),
            active_after: "us-west-1".to_owned(),
            epochs: 1,
            recovered_ms: Some(9_000),
            acknowledged: 1_000,
            lost_writes: Some(3),
            errors: 400,
            duplicate_writes: Some(0),
            unknown_outcomes: 3,
            write_pause_ms: Some(4_000),
            double_writer_ms: Some(0),
            double_writer_possible_ms: Some(0),
            verdict: Verdict::Met,
        }
    }

    #[test]
    fn the_judge_knows_what_a_fault_may_not_cost() {
        let missed = |change: fn(&mut Row)| {
            let mut row = row();
            change(&mut row);
            matches!(judge(&row, 500), Verdict::Missed(_))
        };
        assert!(!missed(|_| ()));
        assert!(missed(|row| row.double_writer_ms = Some(1)));
        assert!(missed(|row| row.double_writer_ms = None));
        assert!(missed(|row| row.lost_writes = Some(501)));
        assert!(missed(|row| row.lost_writes = None));
        assert!(missed(|row| row.epochs = 0), "what is lost without a move is lost for no reason");
        assert!(missed(|row| row.recovered_ms = None));
        assert!(missed(|row| row.duplicate_writes = Some(1)));
        assert!(missed(|row| row.switchover = Some(0)), "a planned move loses nothing");
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
