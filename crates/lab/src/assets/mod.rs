//! What a whole site has besides what a move needs: object storage, monitoring, the repository, key pairs.
//!
//! Invariant: as in [`crate::plan`], every host, address, port and path of theirs is declared here before anything starts.
//! A lab has them only when it is asked for whole; all others start as fast and as small as without this module.
//! Leaves out: what runs (see [`parts`]) and what the configuration files say (see `config`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plan::{Host, Place, Region, host};

pub mod buckets;
pub mod keys;
pub mod parts;

/// Ports of the assets, the same everywhere (each host has an address of its own).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetPorts {
    /// The object storage's S3 gateway.
    pub s3: u16,
    /// Its file store's HTTP; its gRPC is 10000 higher, as for every server of `SeaweedFS`.
    pub filer: u16,
    /// Its volumes.
    pub volume: u16,
    /// Its master.
    pub master: u16,
    /// Its metrics.
    pub storage_metrics: u16,
    /// The metrics of what copies the other region's objects here.
    pub sync_metrics: u16,
    /// Prometheus.
    pub monitor: u16,
    /// The repository, by git's own protocol.
    pub git: u16,
}

/// A region's assets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionAssets {
    /// The object storage.
    pub storage: Host,
    /// Its bucket, named after the region, since a bucket's name is unique in all regions of a cloud.
    pub bucket: String,
    /// Prometheus.
    pub monitor: Host,
    /// The repository's mirror; only in the region that is standby when a lab is new.
    pub mirror: Option<Host>,
}

/// An SSH key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// Its name.
    pub name: String,
    /// File of the private half, readable from outside the lab.
    pub private: PathBuf,
}

/// The assets of a whole lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assets {
    /// Ports.
    pub ports: AssetPorts,
    /// The access key's id at both regions' object storage; its secret is [`crate::Secret::Storage`].
    pub access_key: String,
    /// Each region's.
    pub regions: BTreeMap<Place, RegionAssets>,
    /// The repository, at the third site.
    pub repository: Host,
    /// Who may log in to the application's hosts, in both regions.
    pub key_pairs: Vec<KeyPair>,
}

/// Name of the repository's folder, and so the last part of its URL.
pub const REPOSITORY: &str = "site.git";
/// The repository's one branch.
pub const BRANCH: &str = "main";
/// The public halves of all key pairs, as sshd reads them (sshd(8), "`AUTHORIZED_KEYS` FILE FORMAT"), in an application
/// host's home.
pub const AUTHORIZED_KEYS: &str = ".ssh/authorized_keys";

impl Assets {
    /// The assets of a new lab in the absolute folder `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let [_, standby] = Place::REGIONS;
        let region = |place: Place| RegionAssets {
            storage: host(place, "storage", 70),
            bucket: format!("events-backups-{}", place.name()),
            monitor: host(place, "monitor", 60),
            mirror: (place == standby).then(|| host(place, "repository", 80)),
        };
        let pair = |name: &str| KeyPair {
            name: name.to_owned(),
            private: dir.join("secrets").join(format!("ssh_{name}")),
        };
        Self {
            ports: AssetPorts {
                s3: 8333,
                filer: 8888,
                volume: 8080,
                master: 9333,
                storage_metrics: 9327,
                sync_metrics: 9328,
                monitor: 9090,
                git: 9418,
            },
            access_key: "bascule".to_owned(),
            regions: Place::REGIONS.into_iter().map(|place| (place, region(place))).collect(),
            repository: host(Place::Witness, "repository", 80),
            key_pairs: ["deploy", "admin"].map(pair).into(),
        }
    }

    /// Their hosts at a place.
    pub fn hosts_of(&self, place: Place) -> impl Iterator<Item = &Host> {
        let region = self.regions.get(&place);
        let own = region
            .into_iter()
            .flat_map(|assets| [&assets.storage, &assets.monitor].into_iter().chain(&assets.mirror));
        own.chain((place == Place::Witness).then_some(&self.repository))
    }

    /// A copy of the repository, as git asks for it: the port is the protocol's own (git-daemon(1)).
    #[must_use]
    pub fn repository_url(&self, at: &Host) -> String {
        format!("git://{}/{REPOSITORY}", at.address)
    }

    /// A region's assets and the other region's.
    #[must_use]
    pub fn of(&self, region: &Region) -> Option<(&RegionAssets, &RegionAssets)> {
        let peer = region.place.other_region()?;
        self.regions.get(&region.place).zip(self.regions.get(&peer))
    }
}
