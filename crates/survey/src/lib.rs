//! Looks at a running site and makes [`Facts`] of it: what checks, inventory and document are made from.
//!
//! Invariant: nothing here changes the site. Every look has a limit, and the whole survey ends within [`Site::within`]; what
//! did not answer by then is "not observed", with the reason, and takes nothing else with it (I7). What is left out:
//! judging (that is `bascule_core::check`), and who is active, which the store knows.

mod address;
mod application;
mod assets;
mod balancer;
mod control;
mod database;
mod follow;
mod limit;
mod member;
mod names;
mod network;
mod parameters;
mod permission;
mod promise;
mod question;
mod rules;
mod secrets;

pub use limit::{LOOK, WITHIN, WITHIN_MAX};

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bascule_core::asset::AssetKind;
use bascule_core::facts::{Fact, Facts, Listing, Region, Source};
use bascule_core::id::RegionName;
use bascule_core::manifest::{self, Manifest};
use bascule_core::time::Timestamp;
use bascule_providers::dns::DnsNames;
use bascule_providers::file::Identity;
use bascule_providers::haproxy::HaproxyGate;
use bascule_providers::patroni::PatroniCluster;
use bascule_providers::pgbouncer::PgbouncerPool;

use limit::Limits;

/// A site that can be looked at. Nothing is connected yet.
pub struct Site {
    /// What its manifest says.
    pub manifest: Manifest,
    /// The manifest, as it was named.
    pub file: String,
    /// The line of it that says what the site is without; 0 if none does.
    pub without_line: usize,
    /// The folder that the manifest's paths start in.
    pub folder: PathBuf,
    /// Both regions' parts.
    pub regions: BTreeMap<RegionName, Parts>,
    /// Its names; or why they can't be asked for.
    pub names: Result<DnsNames, String>,
    /// Whether there is a key to change the zone with; or why there is none.
    pub may_update: Result<(), String>,
    /// How long all looks may take: [`WITHIN`] or more, up to [`WITHIN_MAX`].
    pub within: Duration,
    /// For questions by HTTP: short time-outs.
    pub http: reqwest::Client,
}

/// A region's parts; or why one can't be asked, as where a file with its password can't be read.
#[derive(Clone)]
pub struct Parts {
    /// Its database cluster.
    pub cluster: Result<PatroniCluster, String>,
    /// Its load balancer.
    pub balancer: Arc<HaproxyGate>,
    /// Its pool.
    pub pool: Result<Arc<PgbouncerPool>, String>,
}

/// What every look has at hand.
struct Scene {
    site: Site,
    limits: Limits,
}

/// One region, while it is looked at.
#[derive(Clone)]
struct Place {
    scene: Arc<Scene>,
    /// Its own turns.
    limits: Arc<Limits>,
    name: RegionName,
    parts: Parts,
}

impl Scene {
    /// What the manifest says.
    fn said<T>(&self, value: T) -> Fact<T> {
        Fact::seen(value, now(), self.manifest())
    }

    /// What the manifest does not say.
    fn unsaid<T>(&self, why: impl Into<String>) -> Fact<T> {
        Fact::not_observed(why, self.manifest())
    }

    /// What the site has of a kind that the manifest does not describe: nothing, where it says so.
    fn undescribed<T>(&self, kind: AssetKind, why: impl Into<String>) -> Listing<T> {
        if self.site.manifest.without.contains(&kind) {
            let line = self.site.without_line;
            return Fact::seen(BTreeMap::new(), now(), Source::Line { file: self.site.file.clone(), line });
        }
        self.unsaid(why)
    }

    fn manifest(&self) -> Source {
        Source::Line { file: self.site.file.clone(), line: 0 }
    }

    /// The most parts of one kind that are in one place.
    fn parts_of_a_kind(site: &Site) -> usize {
        let of = |region: &manifest::Region| {
            region.compute.instances.len().max(region.database.members.len()).max(region.keepers.len())
        };
        let most = site.manifest.regions.values().map(of).max().unwrap_or(0);
        most.max(site.manifest.names.records.len())
    }
}

impl Place {
    fn cluster(&self) -> Result<&PatroniCluster, String> {
        self.parts.cluster.as_ref().map_err(Clone::clone)
    }

    fn manifest(&self) -> &manifest::Region {
        let regions = &self.scene.site.manifest;
        regions.region(&self.name).expect("a place is made of one of the manifest's regions")
    }

    fn peer(&self) -> &RegionName {
        self.scene.site.manifest.other(&self.name)
    }
}

/// Look at the whole site, side by side. Which region is active is asked for meanwhile, of whoever knows; if nobody
/// says, the home region is taken for it, and the reason comes with the facts.
pub async fn survey(
    site: Site,
    active: impl Future<Output = Result<RegionName, String>>,
) -> (Facts, Option<String>) {
    let limits = Limits::begin(site.within, Scene::parts_of_a_kind(&site));
    let scene = Arc::new(Scene { site, limits });
    let (mut facts, active) = tokio::join!(look_at(&scene), scene.limits.by_the_end(active));
    if active.as_ref().is_ok_and(|active| *active == facts.away.name) {
        std::mem::swap(&mut facts.home, &mut facts.away);
    }
    (facts, active.err())
}

async fn look_at(scene: &Arc<Scene>) -> Facts {
    let home = &scene.site.manifest.home;
    let away = scene.site.manifest.other(home);
    let place = |name: &RegionName| {
        let parts = scene.site.regions.get(name).cloned()?;
        let limits = Arc::new(scene.limits.beside());
        Some(Place { scene: Arc::clone(scene), limits, name: name.clone(), parts })
    };
    let (home, away) = (place(home), place(away));
    let (home, away) = home.zip(away).expect("the caller gives the parts of both regions");
    let (mut here, mut there, (dns, name_servers), update, control, shared) = tokio::join!(
        look(&home),
        look(&away),
        names::look(scene),
        permission::names(scene),
        control::control(scene),
        assets::shared(scene),
    );
    follow::follow(&mut here, &mut there);
    follow::follow(&mut there, &mut here);
    let (asked_here, asked_there) = (follow::asked(&here), follow::asked(&there));
    tokio::join!(
        follow::catch_up(&home, &mut here, asked_there),
        follow::catch_up(&away, &mut there, asked_here)
    );
    let (mut home, mut away) = (here.region, there.region);
    for region in [&mut home, &mut away] {
        region.permissions = permission::with(region.permissions.clone(), &update);
        region.object_storage = shared.buckets(scene, &region.name);
    }
    secrets::apart(
        [&mut home.secrets, &mut away.secrets],
        [&here.secrets, &there.secrets],
        &scene.manifest(),
    );
    parameters::tell(&scene.site.manifest, &mut home, &mut away, [&here.members, &there.members]);
    rules::tell(&mut home, &mut away, [&here.members, &there.members]);
    Facts {
        site: scene.site.manifest.site.clone(),
        promise: promise::promise(scene),
        wanted: promise::wanted(scene),
        paper: scene.said(bascule_core::facts::Paper::Planned),
        dns,
        name_servers,
        monitoring: shared.monitoring,
        repository: shared.repository,
        control,
        home,
        away,
    }
}

/// A region as it was seen, and what both regions together make more of.
struct Seen {
    region: Region,
    cluster: database::Looked,
    members: Vec<member::Answered>,
    secrets: BTreeMap<String, Identity>,
}

async fn look(place: &Place) -> Seen {
    let (cluster, members, compute, balancer, pool, secrets, keys) = tokio::join!(
        database::look(place),
        member::members(place),
        application::compute(place),
        balancer::look(place),
        network::pool(place),
        secrets::look(place),
        assets::key_pairs(place),
    );
    let group = promise::compute_name(&place.scene);
    let balancers = balancer::listing(place, &balancer, &group);
    let listing = |name: String, value| BTreeMap::from([(name, value)]);
    let database = database::facts(place, &cluster, &members, compute.database_host.clone());
    let region = Region {
        name: place.name.clone(),
        compute: place.scene.said(listing(group, compute.group)),
        kubernetes: place.scene.undescribed(
            AssetKind::Kubernetes,
            "a manifest can't describe a Kubernetes cluster, and nothing says that there is none: write \
             without = [\"kubernetes\"] into [site], if so",
        ),
        load_balancer: place.scene.said(BTreeMap::from([(promise::balancer_name(&place.scene), balancers)])),
        database: place.scene.said(BTreeMap::from([(promise::database_name(&place.scene), database)])),
        object_storage: Fact::unasked(),
        key_pair: keys,
        network: network::network(place, &members, &balancer, &pool),
        secrets: secrets.digests,
        permissions: permission::permissions(place, &members, &balancer, &pool),
        clock_skew: member::clock_skew(&members),
    };
    Seen { region, cluster, members, secrets: secrets.files }
}

/// Now, by this machine's wall clock.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An answer, or why there is none, as a fact.
fn fact<T>(answer: Result<T, String>, from: Source) -> Fact<T> {
    match answer {
        Ok(value) => Fact::seen(value, now(), from),
        Err(why) => Fact::not_observed(why, from),
    }
}

/// A running part, as a source.
fn at(address: impl std::fmt::Display) -> Source {
    Source::Address(address.to_string())
}
