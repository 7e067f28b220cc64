//! What a site has besides what a move needs: buckets, key pairs, monitoring, repositories.
//!
//! Each kind is looked at by its provider, with that one's own limits; one that hangs leaves its own kind unseen.

use std::collections::BTreeMap;
use std::path::Path;

use bascule_core::facts::{Bucket, Fact, KeyPair, Listing, Monitoring, Repository};
use bascule_core::id::RegionName;
use bascule_core::manifest::AccessKey;
use bascule_providers::storage::{Storage, buckets};
use bascule_providers::{Secret, key_pair, prometheus, repository};

use crate::{Place, Scene};

/// What is looked at once for the whole site.
pub(crate) struct Shared {
    buckets: Result<BTreeMap<RegionName, Listing<Bucket>>, String>,
    pub monitoring: Listing<Monitoring>,
    pub repository: Listing<Repository>,
}

impl Shared {
    /// A region's buckets.
    pub fn buckets(&self, scene: &Scene, region: &RegionName) -> Listing<Bucket> {
        match &self.buckets {
            Ok(seen) => seen.get(region).cloned().unwrap_or_else(|| {
                scene.unsaid(format!(
                    "nothing says which buckets {region} has: write them into [[regions.{region}.object_storage]]"
                ))
            }),
            Err(why) => scene.unsaid(why),
        }
    }
}

pub(crate) async fn shared(scene: &Scene) -> Shared {
    let (site, limits) = (&scene.site, &scene.limits);
    let storages = storages(scene);
    let (buckets, monitoring, repository) = tokio::join!(
        limits.by_the_end(async { Ok(buckets(&storages, &site.http).await) }),
        limits.by_the_end(async {
            if site.manifest.monitoring.is_empty() {
                return Err("nothing says what watches the site: write it into [[monitoring]]".to_owned());
            }
            Ok(prometheus::monitoring(&site.manifest.monitoring, &site.file, &site.http).await)
        }),
        limits.by_the_end(async {
            if site.manifest.repositories.is_empty() {
                return Err("nothing says where the code is kept: write it into [[repository]]".to_owned());
            }
            Ok(repository::repositories(&site.manifest, &site.file).await)
        }),
    );
    Shared {
        buckets,
        monitoring: monitoring.unwrap_or_else(|why| scene.unsaid(why)),
        repository: repository.unwrap_or_else(|why| scene.unsaid(why)),
    }
}

/// A region's key pairs.
pub(crate) async fn key_pairs(place: &Place) -> Listing<KeyPair> {
    let pairs = &place.manifest().key_pairs;
    if pairs.is_empty() {
        let name = &place.name;
        return place.scene.unsaid(format!(
            "nothing says which key pairs open the hosts of {name}: write them into [[regions.{name}.key_pairs]]"
        ));
    }
    let looking = async { Ok(key_pair::key_pairs(pairs, &place.scene.site.folder).await) };
    place
        .limits
        .by_the_end(looking)
        .await
        .unwrap_or_else(|why| Fact::not_observed(why, place.scene.manifest()))
}

fn storages(scene: &Scene) -> Vec<Storage> {
    let folder = &scene.site.folder;
    let read = |file: &Path| {
        let path = folder.join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("can't read {}: {e}", path.display()))?;
        Ok::<_, String>(text.trim().to_owned())
    };
    let mut storages = Vec::new();
    for (region, parts) in &scene.site.manifest.regions {
        for bucket in &parts.object_storage {
            let id = match &bucket.access_key {
                AccessKey::Id(id) => Ok(id.clone()),
                AccessKey::File(file) => read(file),
            };
            let login = id.and_then(|id| Ok((id, Secret::new(read(&bucket.secret_key_file)?))));
            storages.push(Storage { region: region.clone(), bucket: bucket.clone(), login });
        }
    }
    storages
}
