//! The manifest: one file that names a site's parts, its two regions, and what may be lost.
//!
//! Invariant: a [`Manifest`] that came out of [`Manifest::parse`] has exactly two regions, of which
//! `home` is one, and obeys every rule in `docs/manifest.md`. Parsing collects every mistake it can see
//! in one pass. It opens no file: paths stay as they are written, relative to the manifest's folder,
//! and what they hold is checked by whoever opens them.

mod assets;
mod automatic;
mod error;
mod parity;
mod reader;
mod rules;
mod sections;
mod store;
mod url;
mod value;
mod write;

pub use assets::{AccessKey, KeyPair, Monitoring, ObjectStorage, PublicHalf, Repository};
pub use error::{Also, ErrorCode, ManifestError, ManifestErrors};
pub use parity::{AddressRange, InvalidRange, SecretFile};
pub use url::{HttpUrl, Scheme};

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::asset::AssetKind;
use crate::id::{DnsName, MemberName, RegionName, SiteName};
use crate::tenure::timing::Timing;

/// The version of the format that this code reads and writes.
pub const VERSION: i64 = 1;

/// A site, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The site's name.
    pub site: SiteName,
    /// The region that is active when the site is founded.
    pub home: RegionName,
    /// Who answers for a move, if it is said.
    pub owner: Option<String>,
    /// The kinds of asset that the site is said not to have. What is neither here nor described is not known.
    pub without: BTreeSet<AssetKind>,
    /// What may be lost, and for how long.
    pub objective: Objective,
    /// Where tenure and journals are kept.
    pub store: Store,
    /// Where users come in.
    pub front_door: FrontDoor,
    /// How the databases of both regions are managed.
    pub database: Database,
    /// How the pools of both regions are managed.
    pub pool: Pool,
    /// The names that move, and who serves them.
    pub names: Names,
    /// Both regions.
    pub regions: BTreeMap<RegionName, Region>,
    /// Whether and when it moves by itself; none: only a person moves it, and no keeper runs.
    pub automatic: Option<Automatic>,
    /// The third place, which looks at both regions; always there if there is `automatic`.
    pub witness: Option<Witness>,
    /// What watches the site.
    pub monitoring: Vec<Monitoring>,
    /// The copies of the repository of the code that creates it.
    pub repositories: Vec<Repository>,
    /// The lab the site runs in; none outside a lab.
    pub lab: Option<Lab>,
}

impl Manifest {
    /// Read a manifest.
    ///
    /// # Errors
    /// Every mistake found, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, ManifestErrors> {
        sections::read(text)
    }

    /// The line of a manifest on which `[site]` says what the site is without, from 1; 0 if it does not say it.
    #[must_use]
    pub fn line_of_without(text: &str) -> usize {
        sections::line_of(text, "site", "without").unwrap_or(0)
    }

    /// The manifest as a file, which [`Manifest::parse`] reads back as the same value. Of a manifest
    /// that was put together by hand it checks nothing, and durations are cut to whole milliseconds.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::to_toml(self)
    }

    /// The region that is not this one.
    ///
    /// # Panics
    /// If the manifest was put together by hand and has no other region.
    #[must_use]
    pub fn other(&self, region: &RegionName) -> &RegionName {
        self.regions.keys().find(|name| *name != region).expect("a parsed manifest has two regions")
    }

    /// A region's parts; none if the manifest has no such region.
    #[must_use]
    pub fn region(&self, region: &RegionName) -> Option<&Region> {
        self.regions.get(region)
    }

    /// The address that a name has while a region is active.
    ///
    /// # Panics
    /// If the manifest has no such region: ask [`Manifest::region`] first.
    #[must_use]
    pub fn address(&self, record: &NameRecord, region: &RegionName) -> IpAddr {
        let region = self.region(region).expect("the caller asks for one of the manifest's regions");
        match record.target {
            Target::LoadBalancer => region.load_balancer.address,
            Target::Pool => region.pool.address,
        }
    }
}

/// What a move may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Objective {
    /// Recovery point objective: how much history may be lost. 0 to 30 days.
    #[serde(serialize_with = "value::as_text")]
    pub rpo: Duration,
    /// The same for backups, which replication does not replace: how old the newest may be. The RPO where it is left
    /// out. 1 s to 30 days.
    #[serde(serialize_with = "value::as_text_if_any", skip_serializing_if = "Option::is_none")]
    pub backup_rpo: Option<Duration>,
    /// Recovery time objective: how long users may be without the site. `max_pause` to 30 days.
    #[serde(serialize_with = "value::as_text")]
    pub rto: Duration,
    /// The longest a switchover holds writes before it lets go. 100 ms to 60 s.
    #[serde(serialize_with = "value::as_text")]
    pub max_pause: Duration,
}

/// Where tenure and journals are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Store {
    /// A file: one controller, operations by hand.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A quorum: keepers in both regions, and operations by any of them.
    Etcd {
        /// Its members' client addresses, one in each place: `http://` or `https://`.
        endpoints: Vec<HttpUrl>,
        /// The user and the file with its password, if it asks for them.
        user: Option<EtcdUser>,
        /// How its members prove who they are, and how clients do; none over `http://`.
        tls: Option<EtcdTls>,
    },
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdUser {
    /// Its name.
    pub name: String,
    /// The file with its password.
    pub password_file: PathBuf,
}

/// TLS to etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdTls {
    /// The authority that signed the members' certificates.
    pub ca_file: PathBuf,
    /// The client's certificate and key, if they are asked for.
    pub client: Option<EtcdClientCertificate>,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdClientCertificate {
    /// The certificate, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
}

/// Who decides on a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A person. Keepers hold the gate and decide nothing.
    Manual,
    /// A person; keepers record what they would have done, and when.
    Observe,
    /// The keepers.
    Automatic,
}

/// What to do with an active region that renews its tenure but can't write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Impaired {
    /// Say so, and leave it to a person.
    Report,
    /// Its keepers stop renewing, so that the other region may take over.
    Release,
}

/// How much may be lost, enforced while writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxDataLoss {
    /// No limit beside the objective: a failover over it is refused.
    Unlimited,
    /// Writes wait while the standby is so many bytes behind; 0: each waits for the standby.
    Bytes(u64),
}

/// How a site moves by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Automatic {
    /// Who decides.
    pub mode: Mode,
    /// How long a tenure lasts after its last renewal. 1 s to 60 s; every other wait is derived from it.
    #[serde(serialize_with = "value::as_text")]
    pub ttl: Duration,
    /// No second move by itself within this time.
    #[serde(serialize_with = "value::as_text")]
    pub cool_down: Duration,
    /// How long a region that renews may be unable to write before it counts as impaired.
    #[serde(serialize_with = "value::as_text")]
    pub impaired_after: Duration,
    /// And then?
    pub impaired: Impaired,
    /// How much may be lost, enforced while writing.
    pub max_data_loss: MaxDataLoss,
}

impl Automatic {
    /// The timing that follows from the tenure's length.
    #[must_use]
    pub fn timing(&self) -> Timing {
        Timing::of(self.ttl)
    }
}

/// The place that is in neither region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// Where its prober serves its state and metrics.
    pub address: SocketAddr,
}

/// A keeper of a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keeper {
    /// Its name, unique across both regions.
    pub name: MemberName,
    /// Where it serves the gate, its state and metrics.
    pub address: SocketAddr,
}

/// Where users come in: a write through it proves a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrontDoor {
    /// Its address; the host is one of the records that point at the load balancer.
    pub url: HttpUrl,
    /// The application's user whom the proving write belongs to.
    pub user: String,
}

/// How the databases of both regions are managed: directly at the members, never through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The application's database.
    pub name: String,
    /// The management user.
    pub user: String,
    /// The file with the management user's password.
    pub password_file: PathBuf,
    /// The user of Patroni's REST API.
    pub patroni_user: String,
    /// The file with that user's password.
    pub patroni_password_file: PathBuf,
}

/// How the pools of both regions are managed, through their admin consoles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// The database whose clients are held.
    pub database: String,
    /// The console's user.
    pub user: String,
    /// The file with that user's password.
    pub password_file: PathBuf,
}

/// The names that move, and who serves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Names {
    /// The zone they are in.
    pub zone: DnsName,
    /// The server that takes updates (RFC 2136).
    pub update_server: SocketAddr,
    /// The name of the key that signs updates (RFC 8945).
    pub tsig_name: DnsName,
    /// The key's algorithm.
    pub tsig_algorithm: TsigAlgorithm,
    /// The file with the key, in base64.
    pub tsig_secret_file: PathBuf,
    /// The servers that users ask. All of them are observed.
    pub servers: Vec<SocketAddr>,
    /// The names, at least one for each [`Target`].
    pub records: Vec<NameRecord>,
}

/// One name that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameRecord {
    /// The name.
    pub name: DnsName,
    /// Which part of the active region it points at.
    pub target: Target,
    /// How long an answer lives, in whole seconds, 1 s to 1 day.
    #[serde(serialize_with = "value::as_text")]
    pub ttl: Duration,
    /// What that is lowered to before a planned move, in whole seconds, at most `ttl`.
    #[serde(serialize_with = "value::as_text")]
    pub move_ttl: Duration,
}

/// What a name can point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The region's load balancer.
    LoadBalancer,
    /// The region's database pool.
    Pool,
}

impl Target {
    /// Every target.
    pub const ALL: [Target; 2] = [Target::LoadBalancer, Target::Pool];

    /// As the manifest writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Target::LoadBalancer => "load_balancer",
            Target::Pool => "pool",
        }
    }
}

/// The algorithms a TSIG key may have (RFC 8945, section 6: those that are not SHA-1 or MD5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

impl TsigAlgorithm {
    /// Every algorithm.
    pub const ALL: [TsigAlgorithm; 3] =
        [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512];

    /// As the manifest and DNS write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TsigAlgorithm::HmacSha256 => "hmac-sha256",
            TsigAlgorithm::HmacSha384 => "hmac-sha384",
            TsigAlgorithm::HmacSha512 => "hmac-sha512",
        }
    }
}

/// One of the two places the site can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its database cluster.
    pub database: RegionDatabase,
    /// Its load balancer.
    pub load_balancer: LoadBalancer,
    /// Its database pool.
    pub pool: RegionPool,
    /// Where the application runs.
    pub compute: Compute,
    /// Its keepers: two where the site moves by itself, so that the death of one is no outage.
    pub keepers: Vec<Keeper>,
    /// Its buckets.
    pub object_storage: Vec<ObjectStorage>,
    /// Its key pairs.
    pub key_pairs: Vec<KeyPair>,
    /// The address ranges of its network; empty if nobody says.
    pub ranges: Vec<AddressRange>,
    /// The secrets that the application reads there; empty if nobody says.
    pub secrets: Vec<SecretFile>,
}

/// A region's database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionDatabase {
    /// Where the other region's standby follows this one: always its primary, past the gate.
    pub replication: SocketAddr,
    /// Where writes come in from the other region, through the gate.
    pub ingress: SocketAddr,
    /// Its members, at least one.
    pub members: Vec<Member>,
}

/// A member of a database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name, unique across both regions; the load balancer's server has the same.
    pub name: MemberName,
    /// PostgreSQL.
    pub postgres: SocketAddr,
    /// Patroni's REST API.
    pub patroni: SocketAddr,
}

/// A region's load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadBalancer {
    /// What names point at.
    pub address: IpAddr,
    /// HAProxy's runtime API.
    pub admin: SocketAddr,
    /// The gate's map file, as the load balancer's own configuration names it.
    pub gate_map: PathBuf,
    /// The backend with the region's own database members.
    pub database_backend: String,
}

/// A region's database pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionPool {
    /// What names point at.
    pub address: IpAddr,
    /// Its admin console.
    pub admin: SocketAddr,
}

/// Where the application runs in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compute {
    /// Its instances, at least one.
    pub instances: Vec<SocketAddr>,
    /// Which of them are in which zone; one that is in none of these is in a zone that nobody says.
    pub zones: Vec<Zone>,
}

/// Instances that can be lost as one: with a zone's power, or with a subnet of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// The zone's name.
    pub name: String,
    /// The subnet, if it is said.
    pub subnet: Option<String>,
    /// The instances, at least one, each of them one of the region's and in no other zone.
    pub instances: Vec<SocketAddr>,
}

/// The lab that the site runs in: its network namespaces are entered before anything is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lab {
    /// The lab's name.
    pub name: String,
}
