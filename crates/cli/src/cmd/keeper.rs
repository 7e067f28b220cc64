//! `bascule keeper`: the daemon in a region, and the witness' prober.
//!
//! Two threads: in one the keeper renews, looks and decides; in the other stand the permit and the HTTP answers,
//! so that a decision that takes long keeps no commit waiting, and a loop that hangs opens no gate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use bascule_core::id::{MemberName, RegionName};
use bascule_core::manifest::Automatic;
use bascule_core::tenure::Tenure;
use bascule_core::vantage::Place;
use bascule_engine::keeper::{Keeper, Settings, SharedHold, State};
use bascule_providers::permit::{self, PermitState};
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::block_on;
use crate::site::Site;
use crate::{exit, wiring};

/// Arguments of `keeper`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The region it keeps
    #[arg(long, required_unless_present = "witness", conflicts_with = "witness")]
    region: Option<RegionName>,
    /// Which of the region's keepers it is, by its name in the manifest
    #[arg(long, required_unless_present = "witness", conflicts_with = "witness")]
    name: Option<MemberName>,
    /// Be the prober at the witness instead: it looks and reports, and decides nothing
    #[arg(long)]
    witness: bool,
    /// Record what it would have done, and do nothing by itself; it still renews and holds the gate
    #[arg(long)]
    observe_only: bool,
    /// Listen here instead of at its address in the manifest, e.g. 0.0.0.0:7300 in a container
    #[arg(long)]
    listen: Option<SocketAddr>,
}

/// The names by which a region's keepers confirm, in the manifest's order: `synchronous_standby_names` has both.
pub const PERMITS: [&str; 2] = ["bascule_a", "bascule_b"];

/// Who this process is.
struct Post {
    place: Place,
    rank: u32,
    address: SocketAddr,
}

/// Run it until it is stopped.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let Some(policy) = site.manifest.automatic.clone() else {
        let text = "the manifest has no [automatic] section: this site has no keepers";
        return Err(exit::Usage(text.to_owned()).into());
    };
    let post = post(site, args)?;
    tracing::info!(place = %post.place, timing = %policy.timing(), "keeper starts");
    block_on(async {
        let world = wiring::world_from(site, Some(post.address.ip()))?;
        let keeper = Keeper::new(Settings {
            world,
            manifest: Arc::new(site.manifest.clone()),
            policy: policy.clone(),
            place: post.place.clone(),
            rank: post.rank,
            observe_only: args.observe_only,
            probe: Arc::new(wiring::probe(site, policy.timing().renew)?),
            version: env!("CARGO_PKG_VERSION"),
        });
        let at = args.listen.unwrap_or(post.address);
        let listener = std::net::TcpListener::bind(at).with_context(|| format!("listen on {at}"))?;
        let gate = Gate {
            place: post.place.clone(),
            hold: keeper.hold(),
            state: keeper.state(),
            permit: Arc::default(),
        };
        let permit = permit(site, &post, &policy, &gate)?;
        let served = serve_apart(listener, gate, permit)?;
        notify("READY=1");
        tokio::select! {
            () = keeper.run() => {}
            // In one task with the keeper: if its loops stall, so does this.
            () = watchdog() => {}
            stopped = stopped(&keeper) => stopped?,
            ended = served => return ended.context("the gate's thread is gone")?,
        }
        tracing::info!("keeper stops");
        Ok(ExitCode::SUCCESS)
    })
}

/// An operation takes 2 s, or as long as its steps may take: a rewind a minute. The unit's `TimeoutStopSec` and the
/// pod's `terminationGracePeriodSeconds` are longer.
const FINISH_WITHIN: Duration = Duration::from_secs(60);

/// Wait to be told to stop, and then for what is under way. Nothing has to be handed over: the region's other
/// keeper renews and confirms by itself, and an operation that is not finished in time is taken over.
async fn stopped(keeper: &Keeper) -> anyhow::Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => {}
        interrupt = tokio::signal::ctrl_c() => interrupt?,
    }
    notify("STOPPING=1");
    keeper.stop();
    let state = keeper.state();
    let idle = async {
        while state.is_acting() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(FINISH_WITHIN, idle).await.is_err() {
        tracing::warn!("an operation under way is left to another controller");
    }
    Ok(())
}

/// Tell the service manager at half of the interval it wants (sd_watchdog_enabled(3)) that the loops run.
async fn watchdog() {
    let wanted = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
    let Some(every) = wanted.map(|micros: u64| Duration::from_micros(micros / 2)) else {
        return std::future::pending().await;
    };
    loop {
        notify("WATCHDOG=1");
        // Not oftener than is of use, whatever is asked for.
        tokio::time::sleep(every.max(Duration::from_millis(100))).await;
    }
}

fn post(site: &Site, args: &Args) -> anyhow::Result<Post> {
    let (Some(region), Some(name)) = (&args.region, &args.name) else {
        let witness = site.manifest.witness.as_ref();
        let witness =
            witness.ok_or_else(|| exit::Usage("the manifest has no [witness] section".to_owned()))?;
        return Ok(Post { place: Place::Witness, rank: 0, address: witness.address });
    };
    let known = site.manifest.region(region).map(|region| &region.keepers[..]);
    let known = known.ok_or_else(|| exit::Usage(format!("the manifest has no region {region}")))?;
    let found = known.iter().enumerate().find(|(_, keeper)| &keeper.name == name);
    let (rank, keeper) = found.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|keeper| keeper.name.as_str()).collect();
        exit::Usage(format!("{region} has no keeper {name}; it has: {}", names.join(", ")))
    })?;
    let place = Place::Keeper { region: region.clone(), name: name.clone() };
    Ok(Post { place, rank: u32::try_from(rank)?, address: keeper.address })
}

/// What the permit and the gate's answers ask.
#[derive(Clone)]
struct Gate {
    place: Place,
    hold: SharedHold,
    state: Arc<State>,
    permit: Arc<PermitState>,
}

/// What the permit asks of the hold.
struct Confirming(SharedHold, Arc<State>);

impl permit::Hold for Confirming {
    fn is_open(&self) -> bool {
        self.0.is_open().is_some()
    }

    fn is_followed(&self) -> bool {
        self.1.tenure().is_some_and(|tenure| tenure.settled)
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What confirms commits; nothing at the witness.
fn permit(site: &Site, post: &Post, policy: &Automatic, gate: &Gate) -> anyhow::Result<Task> {
    let Place::Keeper { region, .. } = &post.place else {
        return Ok(Box::pin(std::future::pending()));
    };
    let application = usize::try_from(post.rank).ok().and_then(|rank| PERMITS.get(rank)).copied();
    let Some(application) = application else {
        tracing::info!("a third keeper confirms nothing: the database asks for two by name");
        return Ok(Box::pin(std::future::pending()));
    };
    let config = wiring::permit(site, region, application, policy.max_data_loss)?;
    let hold = Arc::new(Confirming(gate.hold.clone(), gate.state.clone()));
    Ok(Box::pin(permit::run(config, hold, gate.permit.clone())))
}

/// A thread and a runtime of their own. The answer is why they ended, which they do not by themselves.
fn serve_apart(
    listener: std::net::TcpListener,
    gate: Gate,
    permit: Task,
) -> anyhow::Result<tokio::sync::oneshot::Receiver<anyhow::Result<ExitCode>>> {
    listener.set_nonblocking(true)?;
    let (say, ended) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("gate".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router(gate)) => served.context("serve the gate"),
                // A gate that is open while nobody confirms keeps users waiting: rather be started again.
                ended = tokio::spawn(permit) => Err(anyhow::anyhow!("the permit has ended: {ended:?}")),
            }
        });
        // Whoever would listen is gone only when the process ends.
        let _ = say.send(served.map(|()| ExitCode::FAILURE));
    })?;
    Ok(ended)
}

fn router(gate: Gate) -> Router {
    Router::new()
        .route("/gate/db", get(answer))
        .route("/gate/web", get(answer))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(gate)
}

/// What a load balancer asks: may writes pass at this instant?
async fn answer(Shared(gate): Shared<Gate>) -> impl IntoResponse {
    match gate.hold.is_open() {
        Some(epoch) => (StatusCode::OK, format!("open, epoch {epoch}\n")),
        None => (StatusCode::SERVICE_UNAVAILABLE, format!("closed: {}\n", why_closed(&gate))),
    }
}

fn why_closed(gate: &Gate) -> String {
    let region = match &gate.place {
        Place::Keeper { region, .. } => region,
        Place::Witness => return "the witness keeps no gate".to_owned(),
    };
    match gate.state.tenure() {
        None => "the store has not answered yet, or the site has not been founded".to_owned(),
        Some(tenure) if &tenure.active != region => {
            format!("{} is active in epoch {}", tenure.active, tenure.epoch)
        }
        Some(Tenure { released: Some(release), .. }) => {
            format!("{region} was let go by {}: {}", release.by, release.why)
        }
        Some(tenure) => format!("the tenure of epoch {} was not renewed in time", tenure.epoch),
    }
}

#[derive(Serialize)]
struct Status {
    place: String,
    version: &'static str,
    /// The epoch in which it lets writes pass, if it does.
    open: Option<u64>,
    open_for_ms: Option<u64>,
    epoch: Option<u64>,
    active: Option<String>,
    settled: Option<bool>,
    decision: Option<String>,
    writes: Option<bascule_core::vantage::Writes>,
    confirming: bool,
    acting: bool,
}

async fn status(Shared(gate): Shared<Gate>) -> Json<Status> {
    let tenure = gate.state.tenure();
    Json(Status {
        place: gate.place.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        open: gate.hold.is_open().map(|epoch| epoch.0),
        open_for_ms: gate.hold.left().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        epoch: tenure.as_ref().map(|t| t.epoch.0),
        active: tenure.as_ref().map(|t| t.active.to_string()),
        settled: tenure.as_ref().map(|t| t.settled),
        decision: gate.state.decision(),
        writes: gate.state.probed().map(|probed| probed.writes),
        confirming: gate.permit.is_streaming(),
        acting: gate.state.is_acting(),
    })
}

/// Prometheus' text format, version 0.0.4.
async fn metrics(Shared(gate): Shared<Gate>) -> String {
    let (renewals, looks, acts) = gate.state.counts();
    let rows: BTreeMap<&str, (&str, &str, u64)> = BTreeMap::from([
        (
            "bascule_gate_open",
            ("gauge", "Whether writes may pass.", u64::from(gate.hold.is_open().is_some())),
        ),
        ("bascule_epoch", ("gauge", "The epoch it knows.", gate.state.tenure().map_or(0, |t| t.epoch.0))),
        ("bascule_renewals_total", ("counter", "Renewals that succeeded.", renewals)),
        ("bascule_looks_total", ("counter", "Looks at the active region.", looks)),
        ("bascule_acts_total", ("counter", "Things done by itself.", acts)),
        (
            "bascule_permit_streaming",
            ("gauge", "Whether it confirms commits.", u64::from(gate.permit.is_streaming())),
        ),
        (
            "bascule_permit_unconfirmed_bytes",
            ("gauge", "Log that waits for the other region.", gate.permit.unconfirmed()),
        ),
        ("bascule_permit_sessions_total", ("counter", "Sessions with a primary.", gate.permit.sessions())),
    ]);
    rows.iter().fold(String::new(), |text, (name, (kind, help, value))| {
        text + &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
    })
}

/// Tell the service manager, if there is one (sd_notify(3)): a datagram to the socket it names.
fn notify(word: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound().and_then(|socket| {
        // A path that begins with @ is a name in the abstract namespace (unix(7)).
        match path.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => socket.send_to_addr(word.as_bytes(), &SocketAddr::from_abstract_name(name)?),
            None => socket.send_to(word.as_bytes(), &path),
        }
    });
    if let Err(error) = told {
        tracing::warn!(%error, word, "the service manager was not told");
    }
}
