//! What is seen of a manifest's buckets, monitors, repositories and key pairs, as JSON, and how long the look took:
//! `assets MANIFEST`, in the lab's network if the manifest is a lab's (`bascule lab enter clients`).

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use bascule_core::manifest::{AccessKey, Manifest};
use bascule_providers::Secret;
use bascule_providers::patroni::http_client;
use bascule_providers::storage::{Storage, buckets};
use bascule_providers::{key_pair, prometheus, repository};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = PathBuf::from(std::env::args().nth(1).context("name a manifest")?);
    let manifest = Manifest::parse(&std::fs::read_to_string(&path)?)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let read = |file: &Path| std::fs::read_to_string(folder.join(file)).map_err(|e| e.to_string());
    let mut storages = Vec::new();
    for (region, parts) in &manifest.regions {
        for bucket in &parts.object_storage {
            let id = match &bucket.access_key {
                AccessKey::Id(id) => Ok(id.clone()),
                AccessKey::File(file) => read(file),
            };
            let secret = read(&bucket.secret_key_file).map(|text| Secret::new(text.trim()));
            let login = id.and_then(|id| secret.map(|secret| (id, secret)));
            storages.push(Storage { region: region.clone(), bucket: bucket.clone(), login });
        }
    }
    let http = http_client()?;
    let file = path.display().to_string();
    let began = Instant::now();
    let (buckets, monitoring, repositories) = tokio::join!(
        buckets(&storages, &http),
        prometheus::monitoring(&manifest.monitoring, &file, &http),
        repository::repositories(&manifest, &file),
    );
    for (region, listing) in &buckets {
        println!("{region} {}", serde_json::to_string_pretty(listing)?);
    }
    println!(
        "{}\n{}",
        serde_json::to_string_pretty(&monitoring)?,
        serde_json::to_string_pretty(&repositories)?
    );
    for (region, parts) in &manifest.regions {
        let pairs = key_pair::key_pairs(&parts.key_pairs, folder).await;
        println!("{region} {}", serde_json::to_string_pretty(&pairs)?);
    }
    eprintln!("looked for {} ms", began.elapsed().as_millis());
    Ok(())
}
