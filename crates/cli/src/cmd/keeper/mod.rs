//! `bascule keeper`: the daemon in a region, and the witness' prober.
//!
//! Two threads: in one the keeper renews, looks and decides; in the other stand the permit and the HTTP answers,
//! so that a decision that takes long keeps no commit waiting, and a loop that hangs opens no gate.

pub(super) mod pages;
mod service;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bascule_core::id::{MemberName, RegionName};
use bascule_core::manifest::Automatic;
use bascule_core::permit::{NAMES, Permit};
use bascule_core::vantage::Place;
use bascule_engine::keeper::{Keeper, Settings};
use bascule_providers::permit;
use clap::Args as ClapArgs;

use crate::cmd::block_on;
use crate::site::Site;
use crate::{exit, wiring};
use pages::Gate;

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
        let asked = Arc::default();
        let world = wiring::world_from(site, post.address.ip(), Arc::clone(&asked))?;
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
        let permit_name = name(&post);
        let gate = Gate::new(post.place.clone(), keeper.clone(), permit_name.is_some(), asked);
        let permit = permit(site, &post, permit_name, &policy, &gate)?;
        let served = serve_apart(listener, gate.clone(), permit)?;
        tokio::select! {
            () = keeper.run() => {}
            () = service::tell(&gate) => {}
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
    service::notify("STOPPING=1");
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

/// What the permit asks of the hold.
struct Confirming(Keeper);

impl permit::Hold for Confirming {
    fn is_open(&self) -> bool {
        self.0.hold().is_open().is_some()
    }

    fn is_followed(&self) -> bool {
        self.0.state().tenure().is_some_and(|tenure| tenure.settled)
    }

    fn told(&self, permit: Permit) {
        self.0.found(permit);
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The name by which it confirms, if it does.
fn name(post: &Post) -> Option<&'static str> {
    match post.place {
        Place::Keeper { .. } => usize::try_from(post.rank).ok().and_then(|rank| NAMES.get(rank)).copied(),
        Place::Witness => None,
    }
}

/// What confirms commits; nothing at the witness.
fn permit(
    site: &Site,
    post: &Post,
    name: Option<&str>,
    policy: &Automatic,
    gate: &Gate,
) -> anyhow::Result<Task> {
    let (Place::Keeper { region, .. }, Some(name)) = (&post.place, name) else {
        if post.place != Place::Witness {
            tracing::info!("a third keeper confirms nothing: the database asks for two by name");
        }
        return Ok(Box::pin(std::future::pending()));
    };
    let config = wiring::permit(site, region, name, policy.max_data_loss)?;
    let hold = Arc::new(Confirming(gate.keeper.clone()));
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
                served = axum::serve(listener, pages::router(gate)) => served.context("serve the gate"),
                // A gate that is open while nobody confirms keeps users waiting: rather be started again.
                ended = tokio::spawn(permit) => Err(anyhow::anyhow!("the permit has ended: {ended:?}")),
            }
        });
        // Whoever would listen is gone only when the process ends.
        let _ = say.send(served.map(|()| ExitCode::FAILURE));
    })?;
    Ok(ended)
}
