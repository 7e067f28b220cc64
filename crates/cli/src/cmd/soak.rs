//! `bascule soak`: a lab that moves by itself, under load and small troubles, for as long as is asked: nothing may move.
//!
//! A move that was not needed is an outage that the tool itself made. The troubles are those of an ordinary day: the active
//! region stands still for a fifth of a second, a keeper or a member of the store is restarted, so is a load balancer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::operate::parse_duration;
use crate::cmd::print;
use crate::cmd::torture::{Explained, Lab};
use crate::exit;

/// Arguments of `soak`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How long
    #[arg(long = "for", default_value = "1h", value_parser = parse_duration)]
    lasts: Duration,
    /// The lab's folder
    #[arg(long, default_value = "target/lab/soak")]
    dir: PathBuf,
    /// Where the result goes, as JSON
    #[arg(long, default_value = "target/soak.json")]
    out: PathBuf,
}

/// Between two troubles: a member of the store that was restarted has caught up.
const EVERY: Duration = Duration::from_secs(15);
/// How long what stands still stands still, at least: the commands around it take as much again.
const PAUSE: Duration = Duration::from_millis(200);
/// What a restart of the active region's load balancer costs its users, at most.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Writes a second: an hour of them is half of what the drill keeps in memory.
const RATE: u64 = 50;
/// The load's own limit lies past the end.
const LOAD_MARGIN: Duration = Duration::from_secs(120);

/// What came of it.
#[derive(Debug, Serialize)]
struct Soaked {
    version: u32,
    lasted_ms: u64,
    troubles: Vec<Trouble>,
    moves: u64,
    acknowledged: u64,
    lost_writes: Option<u64>,
    errors: u64,
    write_pause_ms: Option<u64>,
    double_writer_ms: Option<u64>,
}

impl Soaked {
    /// Nothing moved and nothing was lost, with users there all the time: at least half of what they sent was taken.
    fn is_calm(&self) -> bool {
        let loaded = self.acknowledged >= self.lasted_ms / 1_000 * RATE / 2;
        self.moves == 0 && self.lost_writes == Some(0) && self.double_writer_ms == Some(0) && loaded
    }
}

/// One kind of trouble, and how often it was made.
#[derive(Debug, Serialize)]
struct Trouble {
    trouble: String,
    times: u32,
}

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lab = Lab::up(&args.dir)?;
    let soaked = soak(&lab, args.lasts);
    let down = lab.down();
    let soaked = soaked?;
    down?;
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.out, serde_json::to_string_pretty(&soaked)?)
        .with_context(|| format!("write {}", args.out.display()))?;
    print(&format!("{}\n", told(&soaked)));
    Ok(if soaked.is_calm() { ExitCode::SUCCESS } else { ExitCode::from(exit::MISSED) })
}

fn soak(lab: &Lab, lasts: Duration) -> anyhow::Result<Soaked> {
    let before = lab.explain()?;
    let known = troubles(&before);
    let mut made: Vec<Trouble> =
        known.iter().map(|words| Trouble { trouble: words.join(" "), times: 0 }).collect();
    let load = lab.load(&format!("{}s", (lasts + LOAD_MARGIN).as_secs()), RATE)?;
    let began = Instant::now();
    for (turn, which) in (0..known.len()).cycle().enumerate() {
        std::thread::sleep(EVERY.min(lasts.saturating_sub(began.elapsed())));
        if began.elapsed() >= lasts {
            break;
        }
        let words: Vec<&str> = known[which].iter().map(String::as_str).collect();
        lab.show(&[&["lab", "break", "--dir", &lab.dir()], &words[..]].concat())?;
        std::thread::sleep(PAUSE);
        lab.show(&["lab", "heal", "--dir", &lab.dir()])?;
        made[which].times += 1;
        if which + 1 == known.len() {
            let now = lab.recovered(SETTLED_WITHIN)?.context("the site is not ready again after a round")?;
            eprintln!("{:>6.0?}  {} troubles, epoch {}", began.elapsed(), turn + 1, now.epoch);
        }
    }
    let lasted_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let after = lab.recovered(SETTLED_WITHIN)?.context("the site is not ready at the end")?;
    let seen = lab.end(load)?;
    Ok(Soaked {
        version: 1,
        lasted_ms,
        troubles: made,
        moves: after.epoch.saturating_sub(before.epoch),
        acknowledged: seen.acknowledged,
        lost_writes: seen.lost_writes,
        errors: seen.errors,
        write_pause_ms: seen.write_pause_ms,
        double_writer_ms: seen.double_writer_ms,
    })
}

fn troubles(site: &Explained) -> Vec<Vec<String>> {
    let (active, standby) = (&site.active, &site.standby);
    let all = [
        format!("region-freeze {active}"),
        format!("part-freeze {active}-keeper1"),
        format!("part-loss {active}-store"),
        format!("region-freeze {standby}"),
        format!("part-loss {standby}-lb"),
        format!("part-freeze {active}-store"),
        format!("part-loss {active}-keeper2"),
        "part-loss witness-store".to_owned(),
        format!("part-loss {active}-lb"),
    ];
    all.iter().map(|words| words.split(' ').map(str::to_owned).collect()).collect()
}

fn told(soaked: &Soaked) -> String {
    let troubles: Vec<String> =
        soaked.troubles.iter().map(|t| format!("{} x{}", t.trouble, t.times)).collect();
    let or_unknown = |v: Option<u64>| v.map_or("unknown".to_owned(), |v| v.to_string());
    format!(
        "{} s: {} moves; {} writes acknowledged, {} lost, {} errors, longest pause {} ms, two writers {} ms\n{}",
        soaked.lasted_ms / 1_000,
        soaked.moves,
        soaked.acknowledged,
        or_unknown(soaked.lost_writes),
        soaked.errors,
        or_unknown(soaked.write_pause_ms),
        or_unknown(soaked.double_writer_ms),
        troubles.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_without_users_is_not_calm() {
        let soaked = |acknowledged, moves| Soaked {
            version: 1,
            lasted_ms: 3_600_000,
            troubles: Vec::new(),
            moves,
            acknowledged,
            lost_writes: Some(0),
            errors: 0,
            write_pause_ms: Some(3_000),
            double_writer_ms: Some(0),
        };
        assert!(soaked(179_103, 0).is_calm());
        assert!(!soaked(179_103, 1).is_calm());
        assert!(!soaked(0, 0).is_calm());
    }
}
