//! The manifest of the site that a lab is: everything in it is read from the lab's plan.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bascule_core::asset::AssetKind;
use bascule_core::facts::Place as Where;
use bascule_core::id::{DnsName, RegionName};
use bascule_core::manifest::{
    AccessKey, Automatic, Compute, Database, FrontDoor, HttpUrl, Impaired, Keeper, KeyPair, Lab,
    LoadBalancer, Manifest, MaxDataLoss, Member, Mode, Monitoring, NameRecord, Names, ObjectStorage,
    Objective, Pool, PublicHalf, Region, RegionDatabase, RegionPool, Repository, Scheme, SecretFile, Store,
    Target, TsigAlgorithm, Witness, Zone,
};

use crate::assets::{AUTHORIZED_KEYS, Assets, REPOSITORY};
use crate::config::backup;
use crate::layout;
use crate::plan::{Host, LabMode, LabPlan, Place, Region as Hosts, Secret, network};

/// Name of the manifest in the lab's folder.
pub const FILE: &str = "bascule.toml";

/// What the lab's owner asks of moves: writes of 5 s may be lost with a region, users may be without the
/// site for a minute, and a planned move lets go after 5 s (the application's own limit is 10 s). Of backups, that one
/// may fail.
const OBJECTIVE: Objective = Objective {
    rpo: Duration::from_secs(5),
    backup_rpo: Some(backup::EVERY.saturating_mul(2)),
    rto: Duration::from_secs(60),
    max_pause: Duration::from_secs(5),
};

/// Who answers for moves of a lab.
const OWNER: &str = "whoever started the lab";

/// The site that the lab is.
///
/// # Errors
/// When a name in the plan is not one: a mistake in the lab.
pub fn manifest(plan: &LabPlan) -> anyhow::Result<Manifest> {
    let mut regions = BTreeMap::new();
    for hosts in &plan.regions {
        regions.insert(region_name(hosts)?, region(plan, hosts)?);
    }
    let home = region_name(plan.regions.first().context("a lab has regions")?)?;
    Ok(Manifest {
        site: "events".parse()?,
        home,
        owner: Some(OWNER.to_owned()),
        without: without(plan),
        objective: OBJECTIVE,
        store: store(plan)?,
        front_door: FrontDoor {
            url: HttpUrl { scheme: Scheme::Http, host: plan.names.app.parse()?, port: None },
            user: "bascule-verify".to_owned(),
        },
        database: Database {
            name: plan.names.database.clone(),
            user: plan.names.management_role.clone(),
            password_file: secret(Secret::Management),
            patroni_user: plan.names.management_role.clone(),
            patroni_password_file: secret(Secret::PatroniRest),
        },
        pool: Pool {
            database: plan.names.database.clone(),
            user: plan.names.management_role.clone(),
            password_file: secret(Secret::Management),
        },
        names: names(plan)?,
        regions,
        automatic: automatic(plan),
        witness: plan.witness.prober.as_ref().map(|host| Witness { address: at(host, plan.ports.keeper) }),
        monitoring: monitoring(plan)?,
        repositories: repositories(plan)?,
        lab: Some(Lab { name: plan.name.clone() }),
    })
}

/// A guarded lab asks the quorum over all three sites, any other one a file.
fn store(plan: &LabPlan) -> anyhow::Result<Store> {
    if plan.mode == LabMode::Manual {
        return Ok(Store::Sqlite { path: PathBuf::from("bascule.db") });
    }
    let endpoints = plan.stores().map(|host| http(host, plan.ports.etcd)).collect::<anyhow::Result<_>>()?;
    Ok(Store::Etcd { endpoints, user: None, tls: None })
}

fn automatic(plan: &LabPlan) -> Option<Automatic> {
    let mode = match plan.mode {
        LabMode::Manual => return None,
        LabMode::Observe => Mode::Observe,
        LabMode::Automatic => Mode::Automatic,
    };
    Some(Automatic {
        mode,
        ttl: Duration::from_secs(3),
        // Labs are broken again and again; a site would wait for longer.
        cool_down: Duration::from_secs(10),
        impaired_after: Duration::from_secs(10),
        impaired: Impaired::Report,
        max_data_loss: MaxDataLoss::Unlimited,
    })
}

fn keepers(plan: &LabPlan, hosts: &Hosts) -> anyhow::Result<Vec<Keeper>> {
    let keeper = |host: &Host| Ok(Keeper { name: host.name.parse()?, address: at(host, plan.ports.keeper) });
    hosts.keepers.iter().map(keeper).collect()
}

fn names(plan: &LabPlan) -> anyhow::Result<Names> {
    let ttl = Duration::from_secs(u64::from(plan.names.ttl_s));
    let record = |name: &str, target| -> anyhow::Result<NameRecord> {
        Ok(NameRecord { name: name.parse::<DnsName>()?, target, ttl, move_ttl: ttl })
    };
    Ok(Names {
        zone: plan.names.zone.parse()?,
        update_server: at(&plan.witness.dns, plan.ports.dns),
        tsig_name: plan.names.tsig_key.parse()?,
        tsig_algorithm: TsigAlgorithm::ALL
            .into_iter()
            .find(|a| a.as_str() == plan.names.tsig_algorithm)
            .context("the lab's TSIG algorithm is one that manifests know")?,
        tsig_secret_file: secret(Secret::Tsig),
        servers: plan.name_servers().map(|host| at(host, plan.ports.dns)).collect(),
        records: vec![record(&plan.names.app, Target::LoadBalancer)?, record(&plan.names.db, Target::Pool)?],
    })
}

fn region(plan: &LabPlan, hosts: &Hosts) -> anyhow::Result<Region> {
    let ports = &plan.ports;
    let mut members = Vec::new();
    for node in &hosts.nodes {
        members.push(Member {
            name: node.name.parse()?,
            postgres: at(node, ports.postgres),
            patroni: at(node, ports.patroni),
        });
    }
    Ok(Region {
        database: RegionDatabase {
            replication: at(&hosts.lb, ports.replication),
            ingress: at(&hosts.lb, ports.db_ingress),
            members,
        },
        load_balancer: LoadBalancer {
            address: IpAddr::V4(hosts.lb.address),
            admin: at(&hosts.lb, ports.haproxy_runtime),
            gate_map: layout::data(&hosts.lb).join("gate.map"),
            database_backend: "db_local".to_owned(),
        },
        pool: RegionPool { address: IpAddr::V4(hosts.pool.address), admin: at(&hosts.pool, ports.postgres) },
        compute: compute(hosts, ports.app),
        keepers: keepers(plan, hosts)?,
        object_storage: plan
            .assets
            .as_ref()
            .map(|assets| buckets(assets, hosts))
            .transpose()?
            .unwrap_or_default(),
        key_pairs: plan.assets.as_ref().map(|assets| key_pairs(assets, hosts)).unwrap_or_default(),
        ranges: vec![network(hosts.place).parse()?],
        secrets: vec![SecretFile { name: "database".to_owned(), file: app_secret(hosts.place) }],
    })
}

/// A host of a lab is lost alone or with its region, and never with another host: it is a zone of its own.
fn compute(hosts: &Hosts, port: u16) -> Compute {
    let zone = |app: &Host| Zone { name: app.name.clone(), subnet: None, instances: vec![at(app, port)] };
    Compute {
        instances: hosts.apps.iter().map(|app| at(app, port)).collect(),
        zones: hosts.apps.iter().map(zone).collect(),
    }
}

/// What the lab has none of.
fn without(plan: &LabPlan) -> BTreeSet<AssetKind> {
    let mut kinds = BTreeSet::from([AssetKind::Kubernetes]);
    if plan.assets.is_none() {
        kinds.extend([
            AssetKind::ObjectStorage,
            AssetKind::KeyPair,
            AssetKind::Monitoring,
            AssetKind::Repository,
        ]);
    }
    kinds
}

fn monitoring(plan: &LabPlan) -> anyhow::Result<Vec<Monitoring>> {
    let Some(assets) = &plan.assets else { return Ok(Vec::new()) };
    let monitor = |(place, region): (&Place, &crate::assets::RegionAssets)| {
        Ok(Monitoring {
            name: "prometheus".to_owned(),
            url: http(&region.monitor, assets.ports.monitor)?,
            place: Some(Where::Region(place.name().parse()?)),
        })
    };
    assets.regions.iter().map(monitor).collect()
}

/// The source, and each mirror. Every copy has the manifest, by the name that it has in the lab's folder.
fn repositories(plan: &LabPlan) -> anyhow::Result<Vec<Repository>> {
    let Some(assets) = &plan.assets else { return Ok(Vec::new()) };
    let copy = |host: &Host, place| Repository {
        name: REPOSITORY.to_owned(),
        url: assets.repository_url(host),
        place,
        manifest: Some(FILE.to_owned()),
    };
    let mut copies = vec![copy(&assets.repository, Where::Elsewhere("a third site".to_owned()))];
    for (place, region) in &assets.regions {
        if let Some(mirror) = &region.mirror {
            copies.push(copy(mirror, Where::Region(place.name().parse()?)));
        }
    }
    Ok(copies)
}

fn buckets(assets: &Assets, hosts: &Hosts) -> anyhow::Result<Vec<ObjectStorage>> {
    let Some((own, peer)) = assets.of(hosts) else { return Ok(Vec::new()) };
    Ok(vec![ObjectStorage {
        name: own.bucket.clone(),
        endpoint: http(&own.storage, assets.ports.s3)?,
        access_key: AccessKey::Id(assets.access_key.clone()),
        secret_key_file: secret(Secret::Storage),
        replicated_to: Some(peer.bucket.clone()),
    }])
}

/// Public halves are on the application's hosts, whose folders are in the lab's `data`.
fn key_pairs(assets: &Assets, hosts: &Hosts) -> Vec<KeyPair> {
    let list = |app: &Host| PathBuf::from("data").join(&app.name).join(AUTHORIZED_KEYS);
    let pair = |pair: &crate::assets::KeyPair| KeyPair {
        name: pair.name.clone(),
        public: PublicHalf::AuthorizedKeys(hosts.apps.iter().map(list).collect()),
    };
    assets.key_pairs.iter().map(pair).collect()
}

fn http(host: &Host, port: u16) -> anyhow::Result<HttpUrl> {
    Ok(HttpUrl { scheme: Scheme::Http, host: host.address.to_string().parse()?, port: Some(port) })
}

fn region_name(hosts: &Hosts) -> anyhow::Result<RegionName> {
    Ok(hosts.place.name().parse()?)
}

fn at(host: &Host, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(host.address), port)
}

/// A secret's file, relative to the lab's folder, where the manifest stands.
fn secret(secret: Secret) -> PathBuf {
    PathBuf::from("secrets").join(secret.file_name())
}

/// The copy of the application's password that a region's instances read.
fn app_secret(place: Place) -> PathBuf {
    PathBuf::from("secrets").join(layout::app_secret_file(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labs_manifest_reads_back_as_itself() {
        let plan = LabPlan::new("lab", std::path::Path::new("/somewhere"));
        let written = manifest(&plan).unwrap();
        assert_eq!(Manifest::parse(&written.to_toml()).unwrap(), written);
        assert_eq!((written.monitoring.len(), written.without.len()), (0, 5));
    }

    #[test]
    fn a_whole_labs_manifest_names_its_assets_and_reads_back_as_itself() {
        let dir = std::path::Path::new("/somewhere");
        let plan = LabPlan { assets: Some(Assets::new(dir)), ..LabPlan::new("lab", dir) };
        let written = manifest(&plan).unwrap();
        assert_eq!(Manifest::parse(&written.to_toml()).unwrap(), written);
        assert_eq!((written.monitoring.len(), written.repositories.len()), (2, 2));
        assert_eq!(written.without, BTreeSet::from([AssetKind::Kubernetes]));
        for region in written.regions.values() {
            assert_eq!((region.object_storage.len(), region.key_pairs.len()), (1, 2));
        }
    }
}
