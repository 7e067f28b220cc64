//! `bascule bench`: moves measured on a new lab, each beside the same move done by hand in the same run.
//!
//! It judges nothing: it prints medians, and ratios within the run, since machines differ and are noisy.

mod idle;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bascule_drill::DrillReport;
use bascule_engine::report::Report;
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::{block_on, peers, print, torture};

/// Arguments of `bench`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Rounds: each has three switchovers, two moves by hand, and one region lost
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// The lab's folder
    #[arg(long, default_value = "target/lab/bench")]
    dir: PathBuf,
    /// Where the medians go, as JSON
    #[arg(long, default_value = "target/bench.json")]
    out: PathBuf,
    /// Measure other failover managers beside it: Patroni inside one region and pg_auto_failover, each at its
    /// defaults and at its tightest settings, so often (2.5 minutes each time)
    #[arg(long, default_value_t = 0)]
    peers: u32,
    /// Lose the region of a site that moves by itself so often (40 s each time)
    #[arg(long, default_value_t = 0)]
    by_itself: u32,
    /// The script that starts and kills them
    #[arg(long, default_value = "infra/bench/peers.sh")]
    peers_script: PathBuf,
    /// The script of the move by hand
    #[arg(long, default_value = "infra/bench/by-hand.sh")]
    script: PathBuf,
}

/// Measured times by what they are of, in milliseconds.
type Took = BTreeMap<String, Vec<f64>>;

/// One measured thing.
#[derive(Debug, Default, Serialize)]
struct Measured {
    unit: &'static str,
    median: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    samples: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Bench {
    version: u32,
    rounds: u32,
    /// Errors and losses are sums over all rounds.
    errors_switchover: u64,
    errors_by_hand: u64,
    lost_switchover: Option<u64>,
    lost_by_hand: Option<u64>,
    lost_region_loss: Option<u64>,
    double_writer_ms: Option<u64>,
    measured: BTreeMap<String, Measured>,
    /// Median milliseconds of each stretch of the hold.
    hold: BTreeMap<String, Measured>,
    ratios: BTreeMap<String, f64>,
    /// Of a site that moves by itself.
    idle_keeper: Option<idle::Idle>,
}

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let me = Me { exe: std::env::current_exe()?, manifest: args.dir.join("bascule.toml") };
    let dir = args.dir.to_string_lossy().into_owned();
    me.show(&["lab", "up", "--minimal", "--dir", &dir])?;
    let measured = measure(&me, args, &dir);
    me.show(&["lab", "down", "--dir", &dir])?;
    let mut bench = measured?;
    let (took, idle) = by_itself(args)?;
    bench.add(&took, None);
    bench.idle_keeper = idle;
    bench.add(&peers(args)?, Some(SAME_CLIENT));
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.out, serde_json::to_string_pretty(&bench)?)
        .with_context(|| format!("write {}", args.out.display()))?;
    print(&table(&bench));
    Ok(ExitCode::SUCCESS)
}

/// What the client that measures the others finds of a site that moves by itself.
const SAME_CLIENT: &str = "by_itself_same_client_outage";

/// A site that moves by itself loses its active region: from the last acknowledged write to the next, and where that
/// time goes. What the store's clock and this one's say of one another is sure: it is one machine.
fn by_itself(args: &Args) -> anyhow::Result<(Took, Option<idle::Idle>)> {
    let mut took: Took = BTreeMap::new();
    if args.by_itself == 0 {
        return Ok((took, None));
    }
    let lab = torture::Lab::up(&args.dir)?;
    eprintln!("by itself: two minutes in which nothing happens");
    let idle = idle::measure(&lab, &args.dir)?;
    for round in 1..=args.by_itself {
        eprintln!("by itself, {round} of {}", args.by_itself);
        let before = lab.explain()?;
        let faults = vec![format!("region-loss {}", before.active)];
        let loss = torture::Trouble { faults, held: LOST_FOR, switchover: None };
        let beside = peers::Beside::start(&lab)?;
        let row = torture::one(&lab, &before, &loss)?;
        eprintln!("{}", torture::line(&row));
        if !row.verdict.is_met() {
            bail!("by itself: {:?}", row.verdict);
        }
        took.entry(SAME_CLIENT.to_owned()).or_default().push(beside.outage()?);
        let operations = lab.history()?;
        let failover = operations.iter().find(|o| o.kind == bascule_core::plan::Kind::Failover);
        let failover = failover.context("nothing moved")?;
        let mut add = |name: &str, ms: Option<u64>| {
            #[allow(clippy::cast_precision_loss)] // milliseconds of a bench are far below 2^52
            took.entry(format!("by_itself_{name}")).or_default().extend(ms.map(|ms| ms as f64));
        };
        let ended = |step: &str| {
            let step = failover.steps.iter().find(|s| s.step.as_str().starts_with(step))?;
            Some(step.ended_us? / 1000)
        };
        let begun = failover.begun.0.saturating_sub(row.broken_at);
        add("loss_to_first_write", row.write_pause_ms);
        // Forced by the tenure's length: nobody may claim before it is waited out.
        add("1_loss_to_decision", Some(begun));
        add("2_claim", ended("commit"));
        add("3_promote", ended("promote").zip(ended("commit")).map(|(a, b)| a.saturating_sub(b)));
        add("4_open", ended("open").zip(ended("promote")).map(|(a, b)| a.saturating_sub(b)));
        // Forced by the names' time to live: whoever has just asked asks again after a second.
        add(
            "5_names_and_clients",
            row.write_pause_ms.zip(ended("open")).map(|(all, open)| all.saturating_sub(begun + open)),
        );
    }
    lab.down()?;
    Ok((took, Some(idle)))
}

/// How long a region stays lost: the move takes 5 s.
const LOST_FOR: Duration = Duration::from_secs(8);

/// How long each of the others takes no writes; sorted by name.
fn peers(args: &Args) -> anyhow::Result<Took> {
    let mut took: Took = BTreeMap::new();
    if args.peers == 0 {
        return Ok(took);
    }
    let script = args.peers_script.canonicalize();
    let script = script.with_context(|| format!("find {}", args.peers_script.display()))?;
    let parent = args.dir.parent().unwrap_or(&args.dir).to_owned();
    std::fs::create_dir_all(&parent)?;
    let folder = parent.canonicalize()?.join("peer");
    for round in 1..=args.peers {
        for (kind, settings) in peers::PEERS {
            eprintln!("{kind} ({settings}), {round} of {}", args.peers);
            let ms = block_on(peers::measure(&script, kind, settings, &folder))?;
            took.entry(format!("{kind}_{settings}_outage")).or_default().push(ms);
        }
    }
    Ok(took)
}

#[derive(Default)]
struct Samples {
    switchovers: Vec<DrillReport>,
    by_hand: Vec<DrillReport>,
    losses: Vec<DrillReport>,
    reinstates: Vec<Report>,
}

fn measure(me: &Me, args: &Args, dir: &str) -> anyhow::Result<Bench> {
    let (east, west) = ("us-east-2", "us-west-1");
    let script = args.script.canonicalize().with_context(|| format!("find {}", args.script.display()))?;
    let script = script.to_string_lossy().into_owned();
    let mut got = Samples::default();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        for to in [west, east] {
            got.switchovers.push(me.json(&[
                "drill",
                "switchover",
                "--to",
                to,
                "--steady",
                "1s",
                "--json",
            ])?);
        }
        for to in [west, east] {
            let argv = ["drill", "by-hand", "--to", to, "--script", &script, "--steady", "1s", "--json"];
            got.by_hand.push(me.json(&argv)?);
        }
        got.losses.push(me.json(&["drill", "region-loss", east, "--steady", "1s", "--json"])?);
        me.show(&["lab", "heal", east, "--dir", dir])?;
        got.reinstates.push(me.json(&["reinstate", east, "--json"])?);
        got.switchovers.push(me.json(&["drill", "switchover", "--to", east, "--steady", "1s", "--json"])?);
    }
    let operations: Vec<Report> = me.json(&["history", "--json", "--limit", "1000"])?;
    Ok(sum_up(args.rounds, &got, &operations))
}

#[allow(clippy::cast_precision_loss)] // milliseconds of a bench are far below 2^52
fn sum_up(rounds: u32, got: &Samples, operations: &[Report]) -> Bench {
    let ms = |values: Vec<Option<u64>>| {
        Measured::of("ms", values.into_iter().flatten().map(|v| v as f64).collect())
    };
    let pauses = |drills: &[DrillReport]| ms(drills.iter().map(|d| d.write_pause_ms).collect());
    let mut measured = BTreeMap::from([
        ("switchover_write_pause".to_owned(), pauses(&got.switchovers)),
        ("by_hand_write_pause".to_owned(), pauses(&got.by_hand)),
        (
            "failover_command_to_first_write".to_owned(),
            ms(got.losses.iter().map(|d| d.detection_to_first_write_ms).collect()),
        ),
        ("failover_rto".to_owned(), ms(got.losses.iter().map(|d| d.rto_ms).collect())),
        ("failover_rpo".to_owned(), ms(got.losses.iter().map(|d| d.rpo_ms).collect())),
        ("reinstate".to_owned(), ms(got.reinstates.iter().map(|r| Some(r.took_us / 1000)).collect())),
    ]);
    let holds = operations.iter().filter(|o| o.kind == bascule_core::plan::Kind::Switchover);
    let mut stretches: Took = BTreeMap::new();
    let mut whole = Vec::new();
    for operation in holds {
        whole.extend(operation.hold_us.map(|us| us as f64 / 1000.0));
        for stretch in &operation.hold {
            // Both directions are the same stretch.
            let name =
                stretch.steps.replace(operation.from.as_str(), "old").replace(operation.to.as_str(), "new");
            stretches.entry(name).or_default().push(stretch.took_us as f64 / 1000.0);
        }
    }
    measured.insert("switchover_hold".to_owned(), Measured::of("ms", whole));
    let hold = stretches.into_iter().map(|(name, v)| (name, Measured::of("ms", v))).collect();
    let mut ratios = BTreeMap::new();
    let median = |name: &str| measured.get(name).and_then(|m| m.median);
    if let (Some(ours), Some(hand)) = (median("switchover_write_pause"), median("by_hand_write_pause")) {
        ratios.insert("by_hand_write_pause / switchover_write_pause".to_owned(), hand / ours);
    }
    let all = || got.switchovers.iter().chain(&got.by_hand).chain(&got.losses);
    let lost = |drills: &[DrillReport]| drills.iter().map(|d| d.lost_writes).sum::<Option<u64>>();
    Bench {
        version: 1,
        rounds,
        errors_switchover: got.switchovers.iter().map(|d| d.errors).sum(),
        errors_by_hand: got.by_hand.iter().map(|d| d.errors).sum(),
        lost_switchover: lost(&got.switchovers),
        lost_by_hand: lost(&got.by_hand),
        lost_region_loss: lost(&got.losses),
        double_writer_ms: all().map(|d| d.double_writer_ms).sum::<Option<u64>>(),
        measured,
        hold,
        ratios,
        idle_keeper: None,
    }
}

impl Bench {
    /// Add measured things, each with its ratio to one that is there already.
    fn add(&mut self, things: &Took, beside: Option<&str>) {
        let ours = beside.and_then(|name| Some((name, self.measured.get(name)?.median?)));
        for (name, samples) in things {
            let measured = Measured::of("ms", samples.clone());
            if let (Some(theirs), Some((own, ours))) = (measured.median, ours) {
                self.ratios.insert(format!("{name} / {own}"), theirs / ours);
            }
            self.measured.insert(name.clone(), measured);
        }
    }
}

impl Measured {
    fn of(unit: &'static str, mut samples: Vec<f64>) -> Self {
        let given = samples.clone();
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let median = match samples.len() {
            0 => None,
            n if n % 2 == 1 => Some(samples[middle]),
            _ => Some(f64::midpoint(samples[middle - 1], samples[middle])),
        };
        Self { unit, median, min: samples.first().copied(), max: samples.last().copied(), samples: given }
    }
}

fn table(bench: &Bench) -> String {
    let show = |v: Option<f64>| v.map_or("unknown".to_owned(), |v| format!("{v:.1}"));
    let count = |n: Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
    let mut out = String::new();
    let _ = writeln!(out, "\n{:<52} {:>3} {:>9} {:>9} {:>9}", "milliseconds", "n", "median", "min", "max");
    let mut rows = |title: &str, all: &BTreeMap<String, Measured>| {
        for (name, m) in all {
            let _ = writeln!(
                out,
                "{title}{name:<50} {:>3} {:>9} {:>9} {:>9}",
                m.samples.len(),
                show(m.median),
                show(m.min),
                show(m.max)
            );
        }
    };
    rows("  ", &bench.measured);
    rows("h ", &bench.hold);
    for (name, ratio) in &bench.ratios {
        let _ = writeln!(out, "{name}: {ratio:.1}");
    }
    if bench.measured.contains_key("by_itself_loss_to_first_write") {
        out.push_str(FORCED);
    }
    if let Some(idle) = &bench.idle_keeper {
        let _ = writeln!(
            out,
            "an idle keeper (the dearest): {:.2} % of a core, {:.1} MB, {:.1} store requests a second",
            idle.cpu_percent, idle.memory_mb, idle.store_requests_per_s
        );
    }
    let _ = writeln!(
        out,
        "errors seen by users: switchovers {}, by hand {}; writes lost: switchovers {}, by hand {}, region losses {}; \
         two writers at once: {} ms (lines marked h: where the hold of a switchover goes)",
        bench.errors_switchover,
        bench.errors_by_hand,
        count(bench.lost_switchover),
        count(bench.lost_by_hand),
        count(bench.lost_region_loss),
        count(bench.double_writer_ms)
    );
    out
}

/// What each part of a move by itself is forced by.
const FORCED: &str = "\
of by_itself: 1 is detection and wait, forced by the tenure's length: nobody may claim before `claim_after` (3206 ms) has passed since
the last renewal, of which up to a second is gone when the region is lost, and seeing it stand still takes 2 s of the same time; 2 is
the store's majority; 3 PostgreSQL's promotion; 4 the load balancer's next check; 5 the names' time to live (1 s) and clients' retries
";

struct Me {
    exe: PathBuf,
    manifest: PathBuf,
}

impl Me {
    fn show(&self, argv: &[&str]) -> anyhow::Result<()> {
        let status = Command::new(&self.exe)
            .args(argv)
            .env("BASCULE_MANIFEST", &self.manifest)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("`bascule {}` ended with {status}", argv.join(" "));
        }
        Ok(())
    }

    fn json<T: serde::de::DeserializeOwned>(&self, argv: &[&str]) -> anyhow::Result<T> {
        let out = Command::new(&self.exe)
            .args(argv)
            .env("BASCULE_MANIFEST", &self.manifest)
            .stderr(Stdio::inherit())
            .output()?;
        if out.stdout.is_empty() {
            bail!("`bascule {}` ended with {} and no answer", argv.join(" "), out.status);
        }
        serde_json::from_slice(&out.stdout).with_context(|| format!("`bascule {}`", argv.join(" ")))
    }
}
