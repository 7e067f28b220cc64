//! `bascule switchover`, `failover`, `reinstate`, `resume`, `abort` and `abandon`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bascule_core::id::{OperationId, RegionName};
use bascule_core::observation::{ClusterRole, Observed};
use bascule_core::operation::{Event, Outcome};
use bascule_core::plan::Kind;
use bascule_core::planner::Request;
use bascule_core::ports::Entry;
use bascule_engine::crash::{CrashPoint, CrashingStore};
use bascule_engine::executor::{self, Control};
use bascule_engine::world::World;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::cmd::{block_on, plan, print, print_json};
use crate::site::Site;
use crate::{exit, render, wiring};

/// Options of everything that runs an operation.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Print the report as JSON at the end
    #[arg(long)]
    pub json: bool,
    /// Die at this journal write (a lab only): before=N, after=N, after=STEP.intent
    #[arg(long, hide = true)]
    pub crash: Option<CrashPoint>,
}

/// Arguments of `switchover`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The region to move to
    #[arg(long)]
    pub to: RegionName,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `failover`.
#[derive(Debug, Args)]
pub struct FailoverArgs {
    /// The region to move to
    #[arg(long)]
    pub to: RegionName,
    /// Accept that writes of up to this long are lost, e.g. 30s
    #[arg(long, value_parser = parse_duration)]
    pub accept_data_loss: Option<Duration>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `reinstate`.
#[derive(Debug, Args)]
pub struct ReinstateArgs {
    /// The region that returned
    pub region: RegionName,
    /// Give up what only it has and can't be saved (its log from then is gone, or it is too much): a rewind destroys it
    #[arg(long)]
    pub accept_unsaved: bool,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `resume`, `abort` and `abandon`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The operation; without it, the one that is open
    pub operation: Option<OperationId>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// A duration with its unit: `250ms`, `30s`, `2m`, `1h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| "write a number and a unit: 250ms, 30s, 2m, 1h")?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("{other:?} is not a unit: use ms, s, m or h, e.g. 30s")),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}

/// `bascule switchover`.
pub fn switchover(site: &Site, args: &MoveArgs) -> anyhow::Result<ExitCode> {
    let request = request(Kind::Switchover, &args.to, None);
    block_on(start(site, request, &args.run))
}

/// `bascule failover`.
pub fn failover(site: &Site, args: &FailoverArgs) -> anyhow::Result<ExitCode> {
    let request = request(Kind::Failover, &args.to, args.accept_data_loss);
    block_on(start(site, request, &args.run))
}

/// `bascule reinstate`.
pub fn reinstate(site: &Site, args: &ReinstateArgs) -> anyhow::Result<ExitCode> {
    let accept_unsaved = args.accept_unsaved;
    let request = Request { accept_unsaved, ..request(Kind::Reinstate, &args.region, None) };
    block_on(async {
        let world = wiring::world(site)?;
        await_leader(&world, &args.region).await;
        start(site, request, &args.run).await
    })
}

/// A request of a person's.
pub fn request(kind: Kind, to: &RegionName, accept: Option<Duration>) -> Request {
    Request {
        kind,
        to: to.clone(),
        accept_loss_ms: accept.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        accept_unsaved: false,
        measured_pauses_ms: Vec::new(),
    }
}

/// A cluster that has just been started takes up to Patroni's `ttl` (20 s in the lab, 30 s by default) to
/// choose a leader; twice the default.
const LEADER_WITHIN: Duration = Duration::from_secs(60);

/// Wait until a region's cluster has a leader, as long as that can reasonably take. The planner says what
/// is the matter if it still has none.
pub async fn await_leader(world: &World, region: &RegionName) {
    let Some(ports) = world.regions.get(region) else { return };
    let deadline = Instant::now() + LEADER_WITHIN;
    while Instant::now() < deadline {
        if let Observed::Seen { value, .. } = ports.database.observe().await
            && value.role != ClusterRole::Leaderless
            && value.position.is_some()
        {
            return;
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// How a started operation came out, for callers that go on from there.
pub enum Started {
    /// It ended.
    Ended(OperationId, Outcome),
    /// It was refused; why is on stderr.
    Refused,
}

/// Plan, run, and print the report.
pub async fn start(site: &Site, request: Request, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let world = with_crash(site, wiring::world(site)?, args)?;
    match begin(site, &world, request).await? {
        Started::Refused => Ok(ExitCode::from(exit::REFUSED)),
        Started::Ended(id, outcome) => finish(&world, &id, &outcome, args).await,
    }
}

/// Plan, and run the plan if nothing forbids it.
pub async fn begin(site: &Site, world: &World, request: Request) -> anyhow::Result<Started> {
    let assessment = plan::assess(site, world, request).await?;
    let mut said = String::new();
    render::findings(&mut said, "warning", &assessment.warnings);
    render::findings(&mut said, "blocked", &assessment.blocks);
    eprint!("{said}");
    let Some(plan) = assessment.runnable().cloned() else {
        eprintln!("refused: nothing was changed");
        return Ok(Started::Refused);
    };
    let now = world.clock.now();
    let id: OperationId = format!("{}-{}", plan.kind.as_str(), now.0).parse()?;
    eprintln!("operation {id}: {} to {}, plan {}", plan.kind.as_str(), plan.to, &plan.hash()[..12]);
    let outcome = executor::begin(world, id.clone(), plan, control()).await?;
    Ok(Started::Ended(id, outcome))
}

/// `bascule resume`.
pub fn resume(site: &Site, args: &OpenArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = with_crash(site, wiring::world(site)?, &args.run)?;
        let id = the_open_one(&world, args).await?;
        let outcome = executor::resume(&world, id.clone(), control()).await?;
        finish(&world, &id, &outcome, &args.run).await
    })
}

/// `bascule abort`.
pub fn abort(site: &Site, args: &OpenArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = with_crash(site, wiring::world(site)?, &args.run)?;
        let id = the_open_one(&world, args).await?;
        let why = "a person asked for it".to_owned();
        let outcome = executor::abort(&world, id.clone(), why, control()).await?;
        finish(&world, &id, &outcome, &args.run).await
    })
}

/// `bascule abandon`.
pub fn abandon(site: &Site, args: &OpenArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = with_crash(site, wiring::world(site)?, &args.run)?;
        let id = the_open_one(&world, args).await?;
        let outcome = executor::abandon_if_lost(&world, id.clone(), control()).await?;
        finish(&world, &id, &outcome, &args.run).await
    })
}

async fn the_open_one(world: &World, args: &OpenArgs) -> anyhow::Result<OperationId> {
    if let Some(id) = &args.operation {
        return Ok(id.clone());
    }
    let open = bascule_engine::observer::open_operation(world).await?;
    open.ok_or_else(|| {
        exit::Usage("no operation is open; `bascule history` lists them all".to_owned()).into()
    })
}

fn with_crash(site: &Site, mut world: World, args: &RunArgs) -> anyhow::Result<World> {
    let Some(point) = &args.crash else { return Ok(world) };
    if site.manifest.lab.is_none() {
        return Err(exit::Usage("--crash is for labs: this site is not one".to_owned()).into());
    }
    // No destructor runs and no buffer is flushed: for the world outside it is kill -9.
    let die = Box::new(|| std::process::abort());
    world.journals = Arc::new(CrashingStore::new(world.journals.clone(), point.clone(), die));
    Ok(world)
}

/// Prints each record as it becomes durable; Ctrl-C asks the operation to turn back or to finish.
pub fn control() -> Control {
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("interrupted: turning back if it is not past the commit point, else finishing");
            flag.store(true, Ordering::SeqCst);
        }
    });
    Control { watch: Arc::new(move |entry| say(began, entry)), stop }
}

fn say(began: Instant, entry: &Entry) {
    let ms = began.elapsed().as_millis();
    match &entry.event {
        Event::Intended { .. } | Event::UndoIntended { .. } => {}
        Event::Done { step, evidence } => eprintln!("{ms:>7} ms  {step}: {}", evidence.note),
        Event::Refuted { step, why } => eprintln!("{ms:>7} ms  {step} REFUTED, nothing changed: {why}"),
        Event::Failed { step, why } => eprintln!("{ms:>7} ms  {step} FAILED, nothing changed: {why}"),
        Event::Unknown { step, why } => eprintln!("{ms:>7} ms  {step} UNKNOWN: {why}"),
        Event::AbortBegan { why } => eprintln!("{ms:>7} ms  turning back: {why}"),
        Event::UndoDone { step, evidence } => eprintln!("{ms:>7} ms  took {step} back: {}", evidence.note),
        Event::UndoFailed { step, why } => eprintln!("{ms:>7} ms  could not take {step} back: {why}"),
        Event::Ended { outcome } => eprintln!("{ms:>7} ms  {outcome}"),
    }
}

async fn finish(
    world: &World,
    id: &OperationId,
    outcome: &Outcome,
    args: &RunArgs,
) -> anyhow::Result<ExitCode> {
    let report = save_report(world, id).await?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&render::report(&report));
    }
    Ok(match outcome {
        Outcome::Succeeded => ExitCode::SUCCESS,
        Outcome::Aborted { .. } => ExitCode::from(exit::ABORTED),
        Outcome::Abandoned { .. } => ExitCode::from(exit::ABANDONED),
    })
}

/// Write an operation's report beside whatever else it left, as text and JSON.
pub async fn save_report(world: &World, id: &OperationId) -> anyhow::Result<bascule_engine::report::Report> {
    let report = bascule_engine::report::report(&world.journals.read(id).await?)?;
    let folder = world.reports.join(id.as_str());
    std::fs::create_dir_all(&folder).with_context(|| format!("report folder {}", folder.display()))?;
    std::fs::write(folder.join("report.txt"), render::report(&report))?;
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "5", "s", "-1s", "1.5s", "5 s", "5d", "99999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
