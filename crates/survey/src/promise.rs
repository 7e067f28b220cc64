//! What the manifest promises, and the assets that it says the site has.

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::facts::{Promise, Wanted};
use bascule_core::manifest::Region;

use crate::Scene;

pub(crate) fn promise(scene: &Scene) -> Promise {
    let manifest = &scene.site.manifest;
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Promise {
        owner: scene.said(manifest.owner.clone()),
        rpo_ms: scene.said(Some(ms(manifest.objective.rpo))),
        backup_rpo_ms: scene.said(Some(ms(manifest.objective.backup_rpo.unwrap_or(manifest.objective.rpo)))),
        rto_ms: scene.said(Some(ms(manifest.objective.rto))),
        // the manifest has no promise of its own: what a recovery needs is asked for instead
        retention_s: scene.said(None),
    }
}

/// The application's instances are one group, by the site's name.
pub(crate) fn compute_name(scene: &Scene) -> String {
    scene.site.manifest.site.to_string()
}

/// A load balancer is known by the name that users come in by.
pub(crate) fn balancer_name(scene: &Scene) -> String {
    scene.site.manifest.front_door.url.host.to_string()
}

/// A database cluster is known by the application's database.
pub(crate) fn database_name(scene: &Scene) -> String {
    scene.site.manifest.database.name.clone()
}

/// Every asset that the manifest names.
pub(crate) fn wanted(scene: &Scene) -> Vec<Wanted> {
    let manifest = &scene.site.manifest;
    let mut all = Vec::new();
    let mut want = |kind, name: String, purpose: &str, quantity| {
        let purpose = purpose.to_owned();
        all.push(Wanted { kind, name, purpose, size: None, quantity, from: scene.manifest() });
    };
    want(
        AssetKind::Compute,
        compute_name(scene),
        "runs the application",
        each(scene, |r| r.compute.instances.len()),
    );
    want(AssetKind::LoadBalancer, balancer_name(scene), "lets users in", each(scene, |_| 1));
    let members = each(scene, |r| r.database.members.len());
    want(AssetKind::Database, database_name(scene), "keeps the application's data", members);
    for region in manifest.regions.values() {
        for bucket in &region.object_storage {
            let one = Some(Quantity::Total(1));
            want(AssetKind::ObjectStorage, bucket.name.clone(), "keeps objects and backups", one);
        }
    }
    let pairs = manifest.regions.values().flat_map(|region| region.key_pairs.iter().map(|p| p.name.clone()));
    for pair in pairs.collect::<std::collections::BTreeSet<_>>() {
        want(AssetKind::KeyPair, pair, "lets people into the hosts", Some(Quantity::PerRegion(1)));
    }
    let mut monitors: std::collections::BTreeMap<&String, u32> = std::collections::BTreeMap::new();
    manifest.monitoring.iter().for_each(|monitor| *monitors.entry(&monitor.name).or_default() += 1);
    for (name, number) in monitors {
        want(AssetKind::Monitoring, name.clone(), "watches the site", Some(Quantity::Total(number)));
    }
    let names = manifest.repositories.iter().map(|copy| copy.name.clone());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        want(AssetKind::Repository, name, "keeps the code that creates the site", None);
    }
    for record in &manifest.names.records {
        let purpose = match record.target {
            bascule_core::manifest::Target::LoadBalancer => "the name that users come in by",
            bascule_core::manifest::Target::Pool => "the name of the database",
        };
        want(AssetKind::Dns, record.name.to_string(), purpose, None);
    }
    all
}

/// How many there are to be in each region; in all, where the regions differ.
fn each(scene: &Scene, count: impl Fn(&Region) -> usize) -> Option<Quantity> {
    let counts =
        scene.site.manifest.regions.values().map(|region| u32::try_from(count(region)).unwrap_or(u32::MAX));
    let counts: Vec<u32> = counts.collect();
    match counts.as_slice() {
        [first, rest @ ..] if rest.iter().all(|n| n == first) => Some(Quantity::PerRegion(*first)),
        [] => None,
        counts => Some(Quantity::Total(counts.iter().sum())),
    }
}
