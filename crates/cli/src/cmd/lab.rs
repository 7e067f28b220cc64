//! `bascule lab`: start, look at, break and end a real two-region deployment on this machine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bascule_lab::assets::Assets;
use bascule_lab::client::{self, UpOptions};
use bascule_lab::control::{Reply, Request, call};
use bascule_lab::delay::{self, Route};
use bascule_lab::fault::Fault;
use bascule_lab::plan::{LabMode, LabPlan, Place, Secret};
use bascule_lab::status::{Health, Status};
use bascule_lab::supervise;

/// Start, break and end a real two-region deployment on this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Which lab.
#[derive(Debug, clap::Args)]
struct Which {
    /// The lab's folder [default: target/lab/NAME]
    #[arg(long, env = "BASCULE_LAB")]
    dir: Option<PathBuf>,
    /// The lab's name
    #[arg(long, default_value = "lab")]
    name: String,
}

impl Which {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| Path::new("target/lab").join(&self.name))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start a lab and wait until it is healthy
    Up {
        #[command(flatten)]
        which: Which,
        /// The Python environment with Patroni (`make setup` makes it)
        #[arg(long, default_value = "target/venv")]
        venv: PathBuf,
        /// Start no instance of the application
        #[arg(long)]
        without_app: bool,
        /// Who decides on a move: a person (`manual`, without keepers; `observe`, with keepers that hold the gates and
        /// confirm commits) or the keepers (`automatic`) [default: observe; with --minimal: manual]
        #[arg(long)]
        mode: Option<LabMode>,
        /// Only what a move needs: no object storage, backups, monitoring, repository and key pairs
        #[arg(long)]
        minimal: bool,
    },
    /// Show every part: process, health, memory, CPU
    Status {
        #[command(flatten)]
        which: Which,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Break something on purpose
    Break {
        #[command(flatten)]
        which: Which,
        #[command(subcommand)]
        fault: FaultArgs,
    },
    /// Undo faults, all or those of a region, and start again what they ended
    Heal {
        #[command(flatten)]
        which: Which,
        /// Only what concerns this region
        region: Option<String>,
    },
    /// Run a command at a place of the lab, as you, with the lab's names and addresses
    Exec {
        #[command(flatten)]
        which: Which,
        /// clients, us-east-2, us-west-1 or witness
        #[arg(long, default_value = "clients")]
        at: String,
        /// The command
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// End the lab and remove its files
    Down {
        #[command(flatten)]
        which: Which,
        /// Keep configuration and logs (data is in memory, and goes)
        #[arg(long)]
        keep: bool,
    },
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        venv: PathBuf,
        #[arg(long)]
        rootless: bool,
        #[arg(long)]
        child: bool,
    },
    #[command(hide = true)]
    DelayProxy {
        #[arg(long)]
        delay_ms: u64,
        #[arg(long = "route", required = true)]
        routes: Vec<Route>,
    },
}

#[derive(Debug, clap::Subcommand)]
enum FaultArgs {
    /// Kill every process of a region at once and cut its line
    RegionLoss {
        /// us-east-2 or us-west-1
        region: String,
    },
    /// Stop every process of a region; `heal` wakes them
    RegionFreeze {
        /// us-east-2 or us-west-1
        region: String,
    },
    /// Kill Patroni and PostgreSQL of a node
    NodeLoss {
        /// For example us-east-2-db1
        node: String,
    },
    /// Kill a part and all that it started: a keeper, a member of the store, a load balancer
    PartLoss {
        /// For example us-east-2-keeper1 or witness-store
        part: String,
    },
    /// Stop a part and all that it started; `heal` wakes it
    PartFreeze {
        /// For example us-east-2-keeper1
        part: String,
    },
    /// Kill the postmaster of a region's leader
    DbCrash {
        /// us-east-2 or us-west-1
        region: String,
    },
    /// Drop packets: of a place (R), between two (A:B), one way, or of the database's link
    Partition {
        /// A place, or two as A:B
        places: Option<String>,
        /// Only packets that go this way, written FROM:TO
        #[arg(long)]
        one_way: Option<String>,
        /// Only database traffic between the regions
        #[arg(long)]
        db_link: bool,
    },
    /// Delay database traffic between the regions, by this much in each direction
    SlowLink {
        /// Milliseconds, 1 to 1000
        delay_ms: u64,
    },
    /// Leave no room on a node's data disk
    DiskFull {
        /// For example us-east-2-db1
        node: String,
    },
}

/// Runs the command. Exit code 0 is done, 1 is not done; `lab exec` has the code of what it ran.
///
/// # Errors
/// What could not be done, and why.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Up { which, venv, without_app, mode, minimal } => {
            let (with_app, whole) = (!without_app, !minimal);
            let mode = mode.unwrap_or(if whole { LabMode::Observe } else { LabMode::Manual });
            let options = UpOptions { dir: which.dir(), name: which.name, venv, with_app, mode, whole };
            let plan = client::up(&options, show_progress)?;
            found(&plan)?;
            show_addresses(&plan);
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { which, json } => status(&which.dir(), json),
        Command::Break { which, fault } => {
            let plan = LabPlan::load(&which.dir())?;
            ask(&which.dir(), &Request::Break(fault.parse(&plan)?))
        }
        Command::Heal { which, region } => {
            let region = region.as_deref().map(Place::parse_region).transpose()?;
            ask(&which.dir(), &Request::Heal { region })
        }
        Command::Exec { which, at, command } => {
            let error = bascule_lab::enter_command(&which.dir(), &at)?.args(command).exec();
            Err(error).context("run nsenter")
        }
        Command::Down { which, keep } => {
            client::down(&which.dir(), keep)?;
            eprintln!("{} is down", which.dir().display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Supervise { dir, venv, rootless, child: false } => supervise::init(&dir, &venv, rootless),
        Command::Supervise { dir, venv, rootless, child: true } => {
            supervise::supervise(&dir, &venv, rootless)
        }
        Command::DelayProxy { delay_ms, routes } => {
            delay::run(Duration::from_millis(delay_ms), &routes)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Record which region is active, and have commits wait for the keepers if there are any: from here on it is a
/// site like any other.
fn found(plan: &LabPlan) -> anyhow::Result<()> {
    let path = plan.dir.join(bascule_lab::manifest::FILE);
    let own = std::env::current_exe().context("find this program")?;
    let commands: &[&str] = match plan.mode {
        LabMode::Manual => &["found"],
        // A guarded lab was founded while it started, since its gates wait for that. The second region did not follow yet,
        // and its gate passes nothing on until somebody says so: the keepers, or where they only watch, this.
        LabMode::Observe => &["guard", "open"],
        LabMode::Automatic => &["guard"],
    };
    for command in commands {
        // A process of its own: it enters the lab's network, and this one stays outside.
        let output = std::process::Command::new(&own).arg("--manifest").arg(&path).arg(command).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`bascule {command}`: {}", said.trim());
    }
    Ok(())
}

/// Destroy a region, for a drill.
///
/// # Errors
/// When the lab refuses.
pub async fn break_region(dir: &Path, region: &bascule_core::id::RegionName) -> anyhow::Result<()> {
    let request = Request::Break(Fault::region_loss(region.as_str())?);
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || call(&dir, &request, |_| {})).await??;
    Ok(())
}

impl FaultArgs {
    fn parse(self, plan: &LabPlan) -> anyhow::Result<Fault> {
        match self {
            Self::RegionLoss { region } => Fault::region_loss(&region),
            Self::RegionFreeze { region } => Fault::region_freeze(&region),
            Self::NodeLoss { node } => Fault::node_loss(plan, &node),
            Self::PartLoss { part } => Fault::part_loss(plan, &part),
            Self::PartFreeze { part } => Fault::part_freeze(plan, &part),
            Self::DbCrash { region } => Fault::db_crash(&region),
            Self::Partition { places, one_way, db_link } => {
                Fault::partition(places.as_deref(), one_way.as_deref(), db_link)
            }
            Self::SlowLink { delay_ms } => Fault::slow_link(delay_ms),
            Self::DiskFull { node } => Fault::disk_full(plan, &node),
        }
    }
}

fn ask(dir: &Path, request: &Request) -> anyhow::Result<ExitCode> {
    if let Reply::Done(text) = call(dir, request, |_| {})? {
        eprintln!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn show_progress(reply: &Reply) {
    let line = |at_ms: &u64, text: &str| {
        eprintln!("{:>3}.{:01} s  {text}", at_ms / 1000, at_ms % 1000 / 100);
    };
    match reply {
        Reply::Started { part, at_ms } => line(at_ms, &format!("start    {part}")),
        Reply::Healthy { part, at_ms, role } => {
            let role = role.as_deref().map(|role| format!("  ({role})")).unwrap_or_default();
            line(at_ms, &format!("healthy  {part}{role}"));
        }
        Reply::Note { text, at_ms } => line(at_ms, text),
        Reply::Ready { at_ms } => line(at_ms, "the lab is healthy"),
        Reply::Status(_) | Reply::Done(_) | Reply::Failed(_) => {}
    }
}

fn show_addresses(plan: &LabPlan) {
    let names = &plan.names;
    let exec = format!("bascule lab exec --dir {} --", plan.dir.display());
    let secret = plan.secret_path(Secret::App);
    println!("the lab {} is healthy; try", plan.name);
    println!("  {exec} curl -s http://{}/healthz", names.app);
    println!(
        "  {exec} env PGPASSWORD=$(cat {}) psql -h {} -U {} {}",
        secret.display(),
        names.db,
        names.app_role,
        names.database
    );
    for region in &plan.regions {
        println!(
            "  {}: load balancer {}, pool {}, DNS {}",
            region.place.name(),
            region.lb.address,
            region.pool.address,
            region.dns.address
        );
    }
    println!("  witness: DNS {}", plan.witness.dns.address);
    if let Some(assets) = &plan.assets {
        show_assets(assets, plan);
    }
}

fn show_assets(assets: &Assets, plan: &LabPlan) {
    for (place, region) in &assets.regions {
        println!(
            "  {}: object storage http://{}:{}/{}, Prometheus http://{}:{}",
            place.name(),
            region.storage.address,
            assets.ports.s3,
            region.bucket,
            region.monitor.address,
            assets.ports.monitor
        );
    }
    let mirrors = assets.regions.values().filter_map(|region| region.mirror.as_ref());
    for host in [&assets.repository].into_iter().chain(mirrors) {
        println!("  repository: {}", assets.repository_url(host));
    }
    let secret = plan.secret_path(Secret::Storage);
    println!("  object storage's access key: {}, its secret in {}", assets.access_key, secret.display());
}

fn status(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let Reply::Status(status) = call(dir, &Request::Status, |_| {})? else {
        anyhow::bail!("the lab answered something else");
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&status).context("write JSON")?);
    } else {
        show_status(&status);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_status(status: &Status) {
    const MIB: u64 = 1024 * 1024;
    println!("{:<20} {:>6} {:>5} {:>8} {:>6}  HEALTH", "PART", "PID", "PROCS", "MEMORY", "CPU");
    for part in &status.parts {
        let pid = part.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let health = match &part.health {
            Health::Healthy { role: None } => "healthy".to_owned(),
            Health::Healthy { role: Some(role) } => format!("healthy ({role})"),
            Health::Unhealthy { why } => format!("unhealthy: {why}"),
            Health::Frozen => "frozen".to_owned(),
            Health::Exited { how, at_ms } => format!("ended at {} s: {how}", at_ms / 1000),
            Health::NotStarted => "not started".to_owned(),
        };
        let memory = format!("{} MiB", part.memory_bytes / MIB);
        let cpu = percent(part.cpu_percent);
        println!("{:<20} {pid:>6} {:>5} {memory:>8} {cpu:>6}  {health}", part.name, part.processes);
    }
    println!(
        "{}: up {} s, {} processes, {} MiB memory (PSS), {} MiB on memory disks, CPU {} of a core",
        status.name,
        status.up_ms / 1000,
        status.processes,
        status.memory_bytes / MIB,
        status.disk_bytes / MIB,
        percent(status.cpu_percent)
    );
    for fault in &status.faults {
        println!("fault: {fault}");
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}%"))
}
