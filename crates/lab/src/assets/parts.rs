//! The parts that serve the assets.
//!
//! Each copier runs where its copies land: a lost region takes the copier into it along, and the one out of it waits.

use crate::assets::{Assets, REPOSITORY, RegionAssets};
use crate::config::{backup, repository, seaweed};
use crate::layout;
use crate::part::{Part, PartKind, part};
use crate::plan::{Host, LabPlan, Place, Region};
use crate::probe::Probe;

/// Every part of the assets; none in a lab that is not whole.
#[must_use]
pub fn parts(plan: &LabPlan) -> Vec<Part> {
    let Some(assets) = &plan.assets else { return Vec::new() };
    let mut parts: Vec<Part> = plan.regions.iter().flat_map(|region| region_parts(assets, region)).collect();
    parts.push(repository(assets, Place::Witness, &assets.repository, repository::SERVE));
    parts
}

fn region_parts(assets: &Assets, region: &Region) -> Vec<Part> {
    let Some((own, _)) = assets.of(region) else { return Vec::new() };
    let place = region.place;
    let mut parts =
        vec![storage(assets, place, own), storage_sync(assets, place, own), monitor(assets, place, own)];
    parts.push(Part {
        name: backup::part_name(own),
        command: script(&backup::file(own)),
        probe: Probe::File { path: backup::newest(own), what: "no backup is stored yet" },
        ..part(place, PartKind::Backup, &own.storage)
    });
    if let Some(mirror) = &own.mirror {
        parts.push(repository(assets, place, mirror, repository::SERVE_MIRROR));
        parts.push(Part {
            name: format!("{}-sync", mirror.name),
            command: script(repository::FETCH),
            ..part(place, PartKind::RepositorySync, mirror)
        });
    }
    parts
}

/// Master, volumes, files and the S3 gateway in one process.
fn storage(assets: &Assets, place: Place, own: &RegionAssets) -> Part {
    let ports = &assets.ports;
    let host = &own.storage;
    let data = layout::data(host);
    let file = |name: &str| data.join(name).display().to_string();
    let options = [
        ("-dir", data.display().to_string()),
        ("-ip", host.address.to_string()),
        ("-ip.bind", host.address.to_string()),
        ("-metricsPort", ports.storage_metrics.to_string()),
        ("-master.port", ports.master.to_string()),
        ("-master.telemetry", "false".to_owned()),
        // It is alone, so there is nobody to wait for.
        ("-master.electionTimeout", "1s".to_owned()),
        ("-master.volumeSizeLimitMB", "64".to_owned()),
        ("-volume.port", ports.volume.to_string()),
        // Each bucket grows seven, the rest is for a bucket made by hand. None takes room before it is written to.
        ("-volume.max", "32".to_owned()),
        ("-volume.minFreeSpace", "100MiB".to_owned()),
        ("-volume.preStopSeconds", "0".to_owned()),
        ("-filer", "true".to_owned()),
        ("-filer.port", ports.filer.to_string()),
        ("-filer.localSocket", file("filer.sock")),
        ("-s3", "true".to_owned()),
        ("-s3.port", ports.s3.to_string()),
        ("-s3.config", layout::conf(&format!("{}.json", host.name)).display().to_string()),
        ("-s3.localSocket", file("s3.sock")),
        ("-s3.autoCreateBucket", "false".to_owned()),
        ("-s3.port.iceberg", "0".to_owned()),
        ("-s3.port.lance", "0".to_owned()),
    ];
    let options = options.map(|(name, value)| format!("{name}={value}"));
    Part {
        command: [weed("server"), options.into()].concat(),
        env: go_limits(10),
        probe: Probe::http(host, ports.s3, "/healthz"),
        ..part(place, PartKind::Storage, host)
    }
}

/// Copies the other region's objects here; the script says how, and when.
fn storage_sync(assets: &Assets, place: Place, own: &RegionAssets) -> Part {
    Part {
        name: format!("{}-sync", own.storage.name),
        command: script(&seaweed::sync_file(own)),
        env: go_limits(50),
        probe: Probe::http(&own.storage, assets.ports.sync_metrics, "/metrics"),
        ..part(place, PartKind::StorageSync, &own.storage)
    }
}

fn monitor(assets: &Assets, place: Place, own: &RegionAssets) -> Part {
    let (host, port) = (&own.monitor, assets.ports.monitor);
    Part {
        command: vec![
            "/usr/bin/prometheus".to_owned(),
            format!("--config.file={}", layout::conf(&format!("{}.yml", host.name)).display()),
            format!("--storage.tsdb.path={}", layout::data(host).join("tsdb").display()),
            // A lab lives for an afternoon; its 4600 series at 2 bytes a sample are 7 MB an hour.
            "--storage.tsdb.retention.time=6h".to_owned(),
            "--storage.tsdb.retention.size=128MB".to_owned(),
            format!("--web.listen-address={}:{port}", host.address),
            "--log.level=warn".to_owned(),
        ],
        env: go_limits(50),
        probe: Probe::http(host, port, "/-/ready"),
        ..part(place, PartKind::Monitor, host)
    }
}

fn repository(assets: &Assets, place: Place, host: &Host, file: &str) -> Part {
    Part {
        command: script(file),
        probe: Probe::Git { address: host.address, port: assets.ports.git, path: format!("/{REPOSITORY}") },
        ..part(place, PartKind::Repository, host)
    }
}

fn script(file: &str) -> Vec<String> {
    vec!["sh".to_owned(), layout::conf(file).display().to_string()]
}

fn weed(command: &str) -> Vec<String> {
    // To the part's log, and not to files in /tmp.
    vec![layout::venv("weed").display().to_string(), "-logtostderr=true".to_owned(), command.to_owned()]
}

/// One thread is enough for what they do here.
///
/// Of a heap with much that was never touched, `eagerness` is the share that may be added to it before it is collected:
/// SeaweedFS holds 240 MB at once and touches 40 of them, so that a tenth is 24 MB. A limit of all memory
/// would count what was never touched, and have it collect without end.
fn go_limits(eagerness: u8) -> Vec<(String, String)> {
    [("GOMAXPROCS", "1".to_owned()), ("GOGC", eagerness.to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
