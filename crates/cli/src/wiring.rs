//! From a manifest to a world: which real part stands behind which port.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use bascule_core::facts::Facts;
use bascule_core::id::RegionName;
use bascule_core::manifest::{self, EtcdUser, HttpUrl, Manifest, MaxDataLoss, Region, Store};
use bascule_core::ports::{Gate, JournalStore, ReportStore, TenureStore, TenureWatch};
use bascule_engine::world::{RegionPorts, SharedSight, SystemClock, World};
use bascule_providers::Secret;
use bascule_providers::dns::{DnsConfig, DnsNames};
use bascule_providers::front_door::{FrontDoorConfig, HttpFrontDoor, HttpProbe};
use bascule_providers::haproxy::{GateConfig, GuardedGate, HaproxyGate};
use bascule_providers::patroni::{MemberEndpoint, PatroniCluster, PatroniConfig, http_client};
use bascule_providers::permit::{Ahead, PermitConfig};
use bascule_providers::pgbouncer::{PgbouncerPool, PoolConfig};
use bascule_stores::{EtcdClient, EtcdConfig, EtcdLogin, EtcdStore, EtcdTls, SqliteStore};
use bascule_survey::Parts;

use crate::site::Site;

/// The backend through which a load balancer passes writes on to the other region.
const REMOTE_BACKEND: &str = "db_remote";

/// Everything a command can reach. Nothing is connected yet.
pub fn world(site: &Site) -> anyhow::Result<World> {
    world_of(site, stores(site, None, Arc::default())?)
}

/// The same, for a process that stands at an address: it asks the store's nearest member first, and counts how often.
pub fn world_from(site: &Site, here: IpAddr, asked: Arc<AtomicU64>) -> anyhow::Result<World> {
    world_of(site, stores(site, Some(here), asked)?)
}

fn world_of(site: &Site, stores: Stores) -> anyhow::Result<World> {
    let manifest = &site.manifest;
    let http = http_client().context("can't set HTTP up")?;
    let mut regions = BTreeMap::new();
    for name in manifest.regions.keys() {
        regions.insert(name.clone(), region(site, name, &http)?);
    }
    let like = manifest.regions.values().next().context("a manifest has regions")?.load_balancer.address;
    Ok(World {
        regions,
        records: records(manifest),
        names: Arc::new(names(site, like, site.secret(&manifest.names.tsig_secret_file)?)?),
        front_door: Arc::new(front_door(manifest, like, http)),
        tenures: stores.tenures,
        watch: stores.watch,
        journals: stores.journals,
        places: stores.places,
        clock: Arc::new(SystemClock),
        sight: SharedSight::default(),
        ttl: manifest.automatic.as_ref().map_or(Duration::ZERO, |policy| policy.ttl),
        reports: site.reports.clone(),
    })
}

fn stores(site: &Site, here: Option<IpAddr>, asked: Arc<AtomicU64>) -> anyhow::Result<Stores> {
    let manifest = &site.manifest;
    Ok(match &manifest.store {
        Store::Sqlite { path } => Stores::of(SqliteStore::open(&site.path(path), &manifest.site)?),
        Store::Etcd { endpoints, user, tls } => {
            let mut config = etcd(site, endpoints, user.as_ref(), tls.as_ref())?;
            config.asked = asked;
            if let Some(here) = here {
                nearest_first(&mut config.endpoints, here);
            }
            Stores::of(EtcdStore::connect(config, &manifest.site)?)
        }
    })
}

/// An address that shares more leading bits with this one is taken to be nearer; names keep their order behind.
fn nearest_first(endpoints: &mut [String], here: IpAddr) {
    let shared = |endpoint: &String| {
        let host = endpoint.split("://").nth(1).and_then(|rest| rest.rsplit_once(':')).map(|(host, _)| host);
        match (host.and_then(|host| host.parse::<IpAddr>().ok()), here) {
            (Some(IpAddr::V4(there)), IpAddr::V4(here)) => (there.to_bits() ^ here.to_bits()).leading_zeros(),
            (Some(IpAddr::V6(there)), IpAddr::V6(here)) => (there.to_bits() ^ here.to_bits()).leading_zeros(),
            (Some(_) | None, _) => 0,
        }
    };
    endpoints.sort_by_key(|endpoint| std::cmp::Reverse(shared(endpoint)));
}

/// One store, behind each of its ports.
struct Stores {
    tenures: Arc<dyn TenureStore>,
    watch: Arc<dyn TenureWatch>,
    journals: Arc<dyn JournalStore>,
    places: Arc<dyn ReportStore>,
}

impl Stores {
    fn of<S: TenureStore + TenureWatch + JournalStore + ReportStore + 'static>(store: S) -> Self {
        let store = Arc::new(store);
        Self { tenures: store.clone(), watch: store.clone(), journals: store.clone(), places: store }
    }
}

fn etcd(
    site: &Site,
    endpoints: &[HttpUrl],
    user: Option<&EtcdUser>,
    tls: Option<&manifest::EtcdTls>,
) -> anyhow::Result<EtcdConfig> {
    let read = |path: &Path| {
        let path = site.path(path);
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let mut config = EtcdConfig::new(endpoints.iter().map(ToString::to_string).collect());
    if let Some(user) = user {
        config.login =
            Some(EtcdLogin { name: user.name.clone(), password: site.secret(&user.password_file)? });
    }
    if let Some(tls) = tls {
        let client = tls.client.as_ref().map(|client| {
            anyhow::Ok(EtcdClient { cert_pem: read(&client.cert_file)?, key_pem: read(&client.key_file)? })
        });
        config.tls = Some(EtcdTls { ca_pem: read(&tls.ca_file)?, client: client.transpose()? });
    }
    Ok(config)
}

fn balancer(here: &Region, http: &reqwest::Client) -> HaproxyGate {
    HaproxyGate::new(
        GateConfig {
            admin: here.load_balancer.admin,
            map: here.load_balancer.gate_map.display().to_string(),
            local: here.load_balancer.database_backend.clone(),
            remote: REMOTE_BACKEND.to_owned(),
            members: here.database.members.iter().map(|m| (m.name.clone(), m.patroni)).collect(),
        },
        http.clone(),
    )
}

fn pool(site: &Site, here: &Region) -> anyhow::Result<PgbouncerPool> {
    let pool = &site.manifest.pool;
    Ok(PgbouncerPool::new(PoolConfig {
        admin: here.pool.admin,
        user: pool.user.clone(),
        password: Secret::new(site.secret(&pool.password_file)?),
        database: pool.database.clone(),
    }))
}

/// Everything that is seen of a running site, within three seconds.
pub async fn survey(site: &Site) -> anyhow::Result<Facts> {
    survey_within(site, bascule_survey::WITHIN).await
}

/// The same, within another time. A part that can't be asked, for want of a secret's file for example, is not observed,
/// and takes nothing else with it.
pub async fn survey_within(site: &Site, within: Duration) -> anyhow::Result<Facts> {
    let manifest = &site.manifest;
    let why = |error: anyhow::Error| format!("{error:#}");
    let http = http_client().context("can't set HTTP up")?;
    let mut regions = BTreeMap::new();
    for (name, here) in &manifest.regions {
        let parts = Parts {
            cluster: cluster(site, name).map_err(why),
            balancer: Arc::new(balancer(here, &http)),
            pool: pool(site, here).map(Arc::new).map_err(why),
        };
        regions.insert(name.clone(), parts);
    }
    let like = manifest.regions.values().next().context("a manifest has regions")?.load_balancer.address;
    let key = site.secret(&manifest.names.tsig_secret_file);
    let may_update = key.as_ref().map(|_| ()).map_err(|error| format!("{error:#}"));
    // who only asks signs nothing
    let key = key.unwrap_or_default();
    let stores = stores(site, None, Arc::default());
    let looked_at = bascule_survey::Site {
        manifest: manifest.clone(),
        file: site.file.clone(),
        without_line: site.without_line,
        folder: site.folder.clone(),
        regions,
        names: names(site, like, key).map_err(why),
        may_update,
        http,
        within,
    };
    let active = async {
        let tenures = stores.map_err(why)?.tenures;
        let tenure = tenures.tenure().await.map_err(|error| error.to_string())?;
        // One that has not been founded is active at home.
        Ok(tenure.map_or_else(|| manifest.home.clone(), |tenure| tenure.active))
    };
    let (facts, unknown) = bascule_survey::survey(looked_at, active).await;
    if let Some(why) = unknown {
        eprintln!("warning: which region is active is not known, {} is taken for it: {why}", manifest.home);
    }
    Ok(facts)
}

fn region(site: &Site, name: &RegionName, http: &reqwest::Client) -> anyhow::Result<RegionPorts> {
    let manifest = &site.manifest;
    let here = manifest.region(name).context("the manifest has both regions")?;
    let (cluster, gate, pool) = (cluster(site, name)?, balancer(here, http), pool(site, here)?);
    let gate: Arc<dyn Gate> = if manifest.automatic.is_some() {
        Arc::new(GuardedGate::new(gate, cluster.clone()))
    } else {
        Arc::new(gate)
    };
    Ok(RegionPorts {
        database: Arc::new(cluster.clone()),
        log: Arc::new(cluster),
        gate,
        pool: Arc::new(pool),
        replication: here.database.replication,
    })
}

fn members(region: &Region) -> Vec<MemberEndpoint> {
    let endpoint = |m: &bascule_core::manifest::Member| MemberEndpoint {
        name: m.name.clone(),
        postgres: m.postgres,
        patroni: m.patroni,
    };
    region.database.members.iter().map(endpoint).collect()
}

/// A region's database cluster.
pub fn cluster(site: &Site, name: &RegionName) -> anyhow::Result<PatroniCluster> {
    let manifest = &site.manifest;
    let here = manifest.region(name).context("the manifest has both regions")?;
    let there = manifest.region(manifest.other(name)).context("the manifest has both regions")?;
    let http = http_client().context("can't set HTTP up")?;
    Ok(PatroniCluster::new(patroni(site, here, there)?, http))
}

fn patroni(site: &Site, here: &Region, there: &Region) -> anyhow::Result<PatroniConfig> {
    let database = &site.manifest.database;
    Ok(PatroniConfig {
        members: members(here),
        peers: members(there),
        database: database.name.clone(),
        user: database.user.clone(),
        password: Secret::new(site.secret(&database.password_file)?),
        patroni_user: database.patroni_user.clone(),
        patroni_password: Secret::new(site.secret(&database.patroni_password_file)?),
    })
}

/// How a keeper writes through each region's front door.
pub fn probe(site: &Site, within: Duration) -> anyhow::Result<HttpProbe> {
    let url = &site.manifest.front_door.url;
    let door = |region: &Region| SocketAddr::new(region.load_balancer.address, url.port());
    let doors = site.manifest.regions.iter().map(|(name, region)| (name.clone(), door(region))).collect();
    Ok(HttpProbe::new(url.host.clone(), doors, within, http_client().context("can't set HTTP up")?))
}

/// Whom a keeper of a region confirms commits to.
pub fn permit(
    site: &Site,
    region: &RegionName,
    application: &str,
    loss: MaxDataLoss,
) -> anyhow::Result<PermitConfig> {
    let manifest = &site.manifest;
    let ahead = match loss {
        MaxDataLoss::Unlimited => Ahead::Unlimited,
        MaxDataLoss::Bytes(bytes) => {
            let other = manifest.region(manifest.other(region)).context("the manifest has both regions")?;
            let peers = other.database.members.iter().map(|member| member.name.clone()).collect();
            Ahead::Bytes { bytes, peers }
        }
    };
    Ok(PermitConfig {
        members: members(manifest.region(region).context("the manifest has both regions")?),
        database: manifest.database.name.clone(),
        user: manifest.database.user.clone(),
        password: Secret::new(site.secret(&manifest.database.password_file)?),
        application: application.to_owned(),
        ahead,
    })
}

fn records(manifest: &Manifest) -> BTreeMap<bascule_core::id::DnsName, BTreeMap<RegionName, IpAddr>> {
    let by_region = |record| {
        manifest.regions.keys().map(|region| (region.clone(), manifest.address(record, region))).collect()
    };
    manifest.names.records.iter().map(|record| (record.name.clone(), by_region(record))).collect()
}

fn names(site: &Site, like: IpAddr, tsig_secret: String) -> anyhow::Result<DnsNames> {
    let names = &site.manifest.names;
    Ok(DnsNames::new(&DnsConfig {
        zone: names.zone.clone(),
        update_server: names.update_server,
        servers: names.servers.clone(),
        tsig_name: names.tsig_name.clone(),
        tsig_algorithm: names.tsig_algorithm.as_str().to_owned(),
        tsig_secret: Secret::new(tsig_secret),
        like,
    })?)
}

fn front_door(manifest: &Manifest, like: IpAddr, http: reqwest::Client) -> HttpFrontDoor {
    let config = FrontDoorConfig {
        host: manifest.front_door.url.host.clone(),
        port: manifest.front_door.url.port(),
        user: manifest.front_door.user.clone(),
        dns_servers: manifest.names.servers.clone(),
        instances: manifest
            .regions
            .iter()
            .map(|(name, region)| (name.clone(), region.compute.instances.clone()))
            .collect(),
        like,
    };
    HttpFrontDoor::new(config, http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_asks_its_own_regions_member_first() {
        let mut endpoints = ["http://10.77.1.6:2379", "http://10.77.3.6:2379", "http://10.77.2.6:2379"]
            .map(str::to_owned)
            .to_vec();
        nearest_first(&mut endpoints, "10.77.2.41".parse().expect("an address"));
        assert_eq!(endpoints[0], "http://10.77.2.6:2379");
        let mut names = vec!["https://etcd.b:2379".to_owned(), "https://etcd.a:2379".to_owned()];
        nearest_first(&mut names, "10.77.2.41".parse().expect("an address"));
        assert_eq!(names[0], "https://etcd.b:2379", "the manifest's order");
    }
}
