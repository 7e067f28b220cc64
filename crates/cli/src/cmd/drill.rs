//! `bascule drill`: users' load, a move (after a fault or without one), and a verdict from counted writes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bascule_core::id::{OperationId, RegionName};
use bascule_core::manifest::Manifest;
use bascule_core::plan::{Kind, Phase};
use bascule_drill::{
    At, Drill, DrillReport, Load, LoadPlan, Marks, Move, Objective, ProbeLogin, ProbeTarget,
};
use bascule_engine::report::Report;
use bascule_engine::world::World;
use clap::{Args as ClapArgs, Subcommand};

use crate::cmd::by_hand;
use crate::cmd::load::{self, LoadReport};
use crate::cmd::operate::{self, Started, request};
use crate::cmd::{block_on, print, print_json};
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `drill`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Print the report as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Load before and after the move, each
    #[arg(long, global = true, default_value = "3s", value_parser = operate::parse_duration)]
    steady: Duration,
    /// Writes a second
    #[arg(long, global = true, default_value_t = 100)]
    rate: u32,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A planned move under load: no error, no loss
    Switchover {
        /// The region to move to
        #[arg(long)]
        to: RegionName,
    },
    /// The same move by a script, in a runbook's order (a lab only): what `bench` compares with
    #[command(hide = true)]
    ByHand {
        /// The region to move to
        #[arg(long)]
        to: RegionName,
        /// The script
        #[arg(long)]
        script: PathBuf,
    },
    /// The active region dies under load (a lab only), and the site fails over on command
    RegionLoss {
        /// The region that dies; it must be the active one
        region: RegionName,
        /// Wait so long between the loss and the command
        #[arg(long, default_value = "0ms", value_parser = operate::parse_duration)]
        hesitate: Duration,
        /// Loss accepted, e.g. 30s
        #[arg(long, value_parser = operate::parse_duration)]
        accept_data_loss: Option<Duration>,
    },
    /// Load and nothing else, whatever you do meanwhile: judges losses, errors and double writers
    Load {
        /// How long, at most
        #[arg(long = "for", default_value = "10m", value_parser = operate::parse_duration)]
        lasts: Duration,
        /// End with the standard input, too
        #[arg(long)]
        until_eof: bool,
    },
}

/// The load must be there before anything is measured: half a second's writes at the default rate, within
/// twice the application's request limit.
const WARM_UP_WRITES: u64 = 50;
const WARM_UP_WITHIN: Duration = Duration::from_secs(20);

/// Longest load: an hour at the default rate, which is where a recording ends.
const LOAD_WRITES_MAX: u64 = 360_000;

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        let rehearsal = Rehearsal::of(site, &world, args).await?;
        if let What::Load { lasts, until_eof } = &args.what {
            let report = rehearsal.load_only(*lasts, *until_eof).await?;
            if args.json {
                print_json(&report)?;
            } else {
                print(&report.to_text());
            }
            return Ok(if report.verdict.is_met() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(exit::MISSED)
            });
        }
        let report = rehearsal.run().await?;
        if args.json {
            print_json(&report)?;
        } else {
            print(&report.to_text());
        }
        Ok(if report.verdict.is_met() { ExitCode::SUCCESS } else { ExitCode::from(exit::MISSED) })
    })
}

struct Rehearsal<'a> {
    site: &'a Site,
    world: &'a World,
    args: &'a Args,
    of: Move,
    folder: PathBuf,
    run: String,
}

impl<'a> Rehearsal<'a> {
    async fn of(site: &'a Site, world: &'a World, args: &'a Args) -> anyhow::Result<Self> {
        let tenure = world.tenures.tenure().await?.context("the site has not been founded")?;
        let (drill, to) = match &args.what {
            What::Switchover { to } => (Drill::Switchover, to.clone()),
            What::ByHand { to, .. } => (Drill::Switchover, to.clone()),
            What::Load { lasts, .. } => {
                if lasts.as_secs().saturating_mul(u64::from(args.rate)) > LOAD_WRITES_MAX {
                    let most = LOAD_WRITES_MAX / u64::from(args.rate.max(1));
                    return Err(exit::Usage(format!(
                        "at {} writes a second the load may last {most} s at most",
                        args.rate
                    ))
                    .into());
                }
                (Drill::Switchover, site.manifest.other(&tenure.active).clone())
            }
            What::RegionLoss { region, .. } => {
                if site.manifest.lab.is_none() {
                    return Err(
                        exit::Usage("a region is destroyed only in a lab: this site is none".into()).into()
                    );
                }
                if region != &tenure.active {
                    return Err(
                        exit::Usage(format!("{} is the active region, not {region}", tenure.active)).into()
                    );
                }
                (Drill::RegionLoss, site.manifest.other(region).clone())
            }
        };
        let objective = objective(&site.manifest);
        let run = format!("d{}", world.clock.now().0);
        let folder = world.reports.join(format!("drill-{run}"));
        // By hand a move may go either way: the record of who is active does not follow it.
        let from = site.manifest.other(&to).clone();
        Ok(Self { site, world, args, of: Move { drill, from, to, objective }, folder, run })
    }

    async fn run(&self) -> anyhow::Result<DrillReport> {
        let load = Load::start(self.load_plan()?).await.context("the load does not start")?;
        load.wait_for_acks(WARM_UP_WRITES, WARM_UP_WITHIN).await?;
        tokio::time::sleep(self.args.steady).await;
        let (fault, hesitate) = self.fault(&load).await?;
        tokio::time::sleep(hesitate).await;
        let command = load.mark("command").await?;
        let moved = self.operate().await;
        let done = load.mark("done").await?;
        tokio::time::sleep(self.args.steady).await;
        let front = load.front_door();
        let recording = load.stop().await?;
        let found = bascule_drill::lookup(&front).await;
        let phases = match moved {
            Ok(Moved::ByHand) => Vec::new(),
            Ok(Moved::By(id)) => {
                let report = operate::save_report(self.world, &id).await?;
                phases(&report, |wall| recording.at_wall(wall))
            }
            Ok(Moved::Refused) => {
                bail!("the move was refused; the recording is in {}", self.folder.display())
            }
            Err(error) => return Err(error.context("the move failed under load")),
        };
        let marks = Marks { fault, command, done, phases };
        let report = bascule_drill::judge(&recording, &found, &marks, &self.of);
        std::fs::write(self.folder.join("drill.json"), serde_json::to_string_pretty(&report)?)?;
        std::fs::write(self.folder.join("drill.txt"), report.to_text())?;
        Ok(report)
    }

    /// Only the load: whoever asked for it does the rest.
    async fn load_only(&self, lasts: Duration, until_eof: bool) -> anyhow::Result<LoadReport> {
        let load = Load::start(self.load_plan()?).await.context("the load does not start")?;
        load.wait_for_acks(WARM_UP_WRITES, WARM_UP_WITHIN).await?;
        load::until_over(&load, lasts, until_eof).await?;
        let front = load.front_door();
        let recording = load.stop().await?;
        let found = bascule_drill::lookup(&front).await;
        let done = recording.end.as_ref().map_or(At::START, |end| end.at);
        let marks = Marks { fault: None, command: At::START, done, phases: Vec::new() };
        let report = LoadReport::of(bascule_drill::judge(&recording, &found, &marks, &self.of));
        std::fs::write(self.folder.join("drill.json"), serde_json::to_string_pretty(&report)?)?;
        std::fs::write(self.folder.join("drill.txt"), report.to_text())?;
        Ok(report)
    }

    fn load_plan(&self) -> anyhow::Result<LoadPlan> {
        let manifest = &self.site.manifest;
        let url = &manifest.front_door.url;
        let mut plan =
            LoadPlan::new(self.folder.clone(), &self.run, url.host.clone(), manifest.names.servers.clone());
        plan.port = url.port();
        plan.writes_per_second = self.args.rate;
        if manifest.lab.is_some() {
            // A lab's application user is known; elsewhere double writers stay unknown, and the report says so.
            let lab = bascule_lab::LabPlan::load(&self.site.folder)?;
            let secret = lab.secret_path(bascule_lab::Secret::App);
            plan.probe_login = Some(ProbeLogin {
                database: lab.names.database.clone(),
                user: lab.names.app_role.clone(),
                password: self.site.secret(&secret)?,
                guarded: manifest.automatic.is_some(),
            });
            plan.probes = manifest
                .regions
                .iter()
                .map(|(name, region)| ProbeTarget { region: name.clone(), ingress: region.database.ingress })
                .collect();
        }
        Ok(plan)
    }

    async fn fault(&self, load: &Load) -> anyhow::Result<(Option<At>, Duration)> {
        match &self.args.what {
            What::Switchover { .. } | What::ByHand { .. } | What::Load { .. } => Ok((None, Duration::ZERO)),
            What::RegionLoss { region, hesitate, .. } => {
                let at = load.mark("fault").await?;
                crate::cmd::lab::break_region(&self.site.folder, region).await?;
                Ok((Some(at), *hesitate))
            }
        }
    }

    async fn operate(&self) -> anyhow::Result<Moved> {
        let request = match &self.args.what {
            What::Switchover { to } => request(Kind::Switchover, to, None),
            What::RegionLoss { accept_data_loss, .. } => {
                request(Kind::Failover, &self.of.to, *accept_data_loss)
            }
            What::ByHand { script, .. } => {
                by_hand::run(self.site, self.world, &self.of.from, &self.of.to, script).await?;
                return Ok(Moved::ByHand);
            }
            What::Load { .. } => bail!("a load moves nothing"),
        };
        match operate::begin(self.site, self.world, request).await? {
            Started::Ended(id, bascule_core::operation::Outcome::Succeeded) => Ok(Moved::By(id)),
            Started::Ended(id, outcome) => bail!("operation {id} was {outcome}"),
            Started::Refused => Ok(Moved::Refused),
        }
    }
}

/// What a manifest asks of a move.
pub fn objective(manifest: &Manifest) -> Objective {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let asked = &manifest.objective;
    Objective { rpo_ms: ms(asked.rpo), rto_ms: ms(asked.rto), max_pause_ms: ms(asked.max_pause) }
}

enum Moved {
    By(OperationId),
    ByHand,
    Refused,
}

/// When each phase of an operation ran, on the load's clock.
fn phases(
    report: &Report,
    at_wall: impl Fn(bascule_core::time::Timestamp) -> At,
) -> Vec<bascule_drill::Phase> {
    let begun = at_wall(report.begun).0;
    [Phase::Prepare, Phase::Drain, Phase::Commit, Phase::Open, Phase::Settle]
        .into_iter()
        .filter_map(|phase| {
            let steps = || report.steps.iter().filter(move |s| s.phase == phase);
            let start = steps().filter_map(|s| s.began_us).min()?;
            let end = steps().filter_map(|s| s.ended_us).max()?;
            Some(bascule_drill::Phase {
                name: phase.as_str().to_owned(),
                start: At(begun + start),
                end: At(begun + end),
            })
        })
        .collect()
}
