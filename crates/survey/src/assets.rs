//! What a site has besides what a move needs: buckets, key pairs, monitoring, repositories.
//!
//! Each kind is looked at by its provider, with that one's own limits; one that hangs leaves its own kind unseen.

use std::collections::BTreeMap;
use std::path::Path;

use bascule_core::asset::AssetKind;
use bascule_core::facts::{Bucket, Fact, KeyPair, Listing, Monitoring, Repository};
use bascule_core::id::RegionName;
use bascule_core::manifest::{AccessKey, ObjectStorage};
use bascule_providers::storage::{Storage, buckets};
use bascule_providers::{Secret, file, key_pair, prometheus, repository};

use crate::{Place, Scene};

/// Largest access key that is read, its id or its secret: S3's have 20 and 40 bytes, other storages' some hundreds.
const KEY_MAX: u64 = 4 << 10;

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
                let section = format!("[[regions.{region}.object_storage]]");
                undescribed(scene, AssetKind::ObjectStorage, &format!("which buckets {region} has"), &section)
            }),
            Err(why) => scene.unsaid(why),
        }
    }
}

pub(crate) async fn shared(scene: &Scene) -> Shared {
    let (site, limits) = (&scene.site, &scene.limits);
    let (buckets, monitoring, repository) = tokio::join!(
        limits.by_the_end(async { Ok(buckets(&storages(scene).await, &site.http).await) }),
        limits.by_the_end(async {
            Ok(prometheus::monitoring(&site.manifest.monitoring, &site.file, &site.http).await)
        }),
        limits.by_the_end(async { Ok(repository::repositories(&site.manifest, &site.file).await) }),
    );
    Shared {
        buckets,
        monitoring: if site.manifest.monitoring.is_empty() {
            undescribed(scene, AssetKind::Monitoring, "what watches the site", "[[monitoring]]")
        } else {
            monitoring.unwrap_or_else(|why| scene.unsaid(why))
        },
        repository: if site.manifest.repositories.is_empty() {
            undescribed(scene, AssetKind::Repository, "where the code is kept", "[[repository]]")
        } else {
            repository.unwrap_or_else(|why| scene.unsaid(why))
        },
    }
}

/// A region's key pairs.
pub(crate) async fn key_pairs(place: &Place) -> Listing<KeyPair> {
    let pairs = &place.manifest().key_pairs;
    if pairs.is_empty() {
        let what = format!("which key pairs open the hosts of {}", place.name);
        let section = format!("[[regions.{}.key_pairs]]", place.name);
        return undescribed(&place.scene, AssetKind::KeyPair, &what, &section);
    }
    let looking = async { Ok(key_pair::key_pairs(pairs, &place.scene.site.folder).await) };
    place
        .limits
        .by_the_end(looking)
        .await
        .unwrap_or_else(|why| Fact::not_observed(why, place.scene.manifest()))
}

/// What is not described is not there only where the manifest says so.
fn undescribed<T>(scene: &Scene, kind: AssetKind, what: &str, section: &str) -> Listing<T> {
    let kinds = kind.as_str();
    scene.undescribed(
        kind,
        format!("nothing says {what}: write it into {section}, or without = [\"{kinds}\"] into [site] if there is none"),
    )
}

async fn storages(scene: &Scene) -> Vec<Storage> {
    let mut storages = Vec::new();
    for (region, parts) in &scene.site.manifest.regions {
        for bucket in &parts.object_storage {
            let login = scene.limits.by_the_end(login(scene, bucket)).await;
            storages.push(Storage { region: region.clone(), bucket: bucket.clone(), login });
        }
    }
    storages
}

async fn login(scene: &Scene, bucket: &ObjectStorage) -> Result<(String, Secret), String> {
    let read = async |path: &Path| {
        let bytes = file::read(scene.site.folder.join(path), KEY_MAX).await?.bytes;
        let text = String::from_utf8(bytes).map_err(|_| format!("{} is no text", path.display()))?;
        Ok::<_, String>(text.trim().to_owned())
    };
    let id = match &bucket.access_key {
        AccessKey::Id(id) => id.clone(),
        AccessKey::File(path) => read(path).await?,
    };
    Ok((id, Secret::new(read(&bucket.secret_key_file).await?)))
}
