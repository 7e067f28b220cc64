//! The declared plan of a lab: every place, host, address, port and file, decided before anything starts.
//!
//! Invariant: nothing else in the lab invents an address or a path; all of them are read from a [`LabPlan`].
//! A lab lives in network namespaces of its own, so two labs may use the same plan side by side.
//! Leaves out: what runs (see `part`) and what the configuration files say (see `config`).

mod place;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::assets::Assets;
pub use place::{LabMode, Place};

/// Version of `lab.json`.
const FORMAT: u32 = 1;
/// Second octet of every address of a lab.
const OCTET: u8 = 77;
/// Database nodes a region: the fewest that keep a quorum of replicas when one is lost.
const NODES: u8 = 3;
/// Application instances a region.
const APPS: u8 = 3;

/// Keepers a region: the death of one is no outage.
const KEEPERS: u8 = 2;

/// Ports, the same in every region (each host has an address of its own).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// PostgreSQL on a node, the routed database on a load balancer, PgBouncer on a pool.
    pub postgres: u16,
    /// Patroni's REST API on a node.
    pub patroni: u16,
    /// etcd's clients.
    pub etcd: u16,
    /// etcd's members among themselves.
    pub etcd_peer: u16,
    /// The web application at the load balancer.
    pub web: u16,
    /// The database, for the other region's load balancer.
    pub db_ingress: u16,
    /// Replication to the region's leader.
    pub replication: u16,
    /// Where the delaying proxy takes replication while the link is slow.
    pub slow_replication: u16,
    /// Where the delaying proxy takes the other region's database traffic while the link is slow.
    pub slow_db_ingress: u16,
    /// HAProxy's runtime API over TCP.
    pub haproxy_runtime: u16,
    /// HAProxy's metrics.
    pub haproxy_metrics: u16,
    /// An application instance.
    pub app: u16,
    /// DNS.
    pub dns: u16,
    /// A keeper's answers.
    #[serde(default)]
    pub keeper: u16,
    /// Where a load balancer asks its region's keepers, whichever of them answers.
    #[serde(default)]
    pub gate: u16,
}

/// A named host and its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique in the lab: the Patroni member's, HAProxy server's and part's name, for example `us-east-2-db1`.
    pub name: String,
    /// Its name in DNS without the zone, for example `db1.us-east-2`.
    pub dns: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A region's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Which region.
    pub place: Place,
    /// Patroni's scope.
    pub scope: String,
    /// The database nodes.
    pub nodes: Vec<Host>,
    /// The application's instances.
    pub apps: Vec<Host>,
    /// The load balancer.
    pub lb: Host,
    /// Where the load balancer's replication listener connects from: not the address clients come from,
    /// so that `pg_hba.conf` can tell the gated path from the one that has no gate.
    pub replication_source: Ipv4Addr,
    /// PgBouncer.
    pub pool: Host,
    /// The region's own etcd, for Patroni only.
    pub dcs: Host,
    /// The region's member of the etcd cluster that spans all three sites.
    pub store: Host,
    /// The region's name server.
    pub dns: Host,
    /// Its keepers; none in a lab that only a person moves.
    #[serde(default)]
    pub keepers: Vec<Host>,
}

/// The third site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSite {
    /// The witness's member of the spanning etcd cluster.
    pub store: Host,
    /// The hidden primary of the zone, which takes updates.
    pub dns: Host,
    /// Looks at both regions from here; none in a lab that only a person moves.
    #[serde(default)]
    pub prober: Option<Host>,
}

/// Names of what the lab's database serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The zone, without a trailing dot.
    pub zone: String,
    /// What users call.
    pub app: String,
    /// What the application calls.
    pub db: String,
    /// Time to live of both, in seconds.
    pub ttl_s: u32,
    /// The TSIG key's name.
    pub tsig_key: String,
    /// The TSIG key's algorithm.
    pub tsig_algorithm: String,
    /// The application's database.
    pub database: String,
    /// The role the application uses.
    pub app_role: String,
    /// The role bascule uses: superuser of both clusters, PgBouncer's administrator, Patroni's REST user.
    pub management_role: String,
}

/// A secret of the lab; each is a file of its own, mode 0600, holding the secret and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// PostgreSQL's superuser `postgres`, which Patroni uses.
    Superuser,
    /// The role `replicator`.
    Replication,
    /// The role `rewind`.
    Rewind,
    /// The role `bascule`, in PostgreSQL and PgBouncer.
    Management,
    /// The application's role, in PostgreSQL and PgBouncer.
    App,
    /// Patroni's REST API (user `bascule`), asked for by every request that changes something.
    PatroniRest,
    /// The TSIG key, in base64.
    Tsig,
    /// The object storage's secret access key.
    Storage,
    /// What the object storage's servers sign their requests to each other with.
    StorageToken,
    /// The object storage's encryption key, which wraps the key of each object.
    StorageEncryption,
}

impl Secret {
    /// Every secret.
    pub const ALL: [Self; 10] = [
        Self::Superuser,
        Self::Replication,
        Self::Rewind,
        Self::Management,
        Self::App,
        Self::PatroniRest,
        Self::Tsig,
        Self::Storage,
        Self::StorageToken,
        Self::StorageEncryption,
    ];

    /// Name of its file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Superuser => "superuser",
            Self::Replication => "replication",
            Self::Rewind => "rewind",
            Self::Management => "management",
            Self::App => "app",
            Self::PatroniRest => "patroni_rest",
            Self::Tsig => "tsig",
            Self::Storage => "storage",
            Self::StorageToken => "storage_token",
            Self::StorageEncryption => "storage_encryption",
        }
    }
}

/// All of a lab that is decided before it starts; stored as `lab.json` in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabPlan {
    /// Version of this format.
    pub format: u32,
    /// The lab's name.
    pub name: String,
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// Ports.
    pub ports: Ports,
    /// Both regions: the first is active when the lab is new.
    pub regions: Vec<Region>,
    /// The third site.
    pub witness: WitnessSite,
    /// Where load and the operator run.
    pub operator: Host,
    /// Names.
    pub names: Names,
    /// Files of the secrets, readable from outside the lab.
    pub secrets: BTreeMap<Secret, PathBuf>,
    /// Whether the application runs; off only while its binary is being developed.
    pub with_app: bool,
    /// Who decides.
    #[serde(default)]
    pub mode: LabMode,
    /// What a whole site has besides; none in a lab that is for moves only.
    #[serde(default)]
    pub assets: Option<Assets>,
}

impl LabPlan {
    /// The plan of a new lab in the absolute folder `dir`.
    #[must_use]
    pub fn new(name: &str, dir: &Path) -> Self {
        let zone = "events.test".to_owned();
        Self {
            format: FORMAT,
            name: name.to_owned(),
            dir: dir.to_owned(),
            ports: Ports {
                postgres: 5432,
                patroni: 8008,
                etcd: 2379,
                etcd_peer: 2380,
                web: 80,
                db_ingress: 5433,
                replication: 5434,
                slow_replication: 15_434,
                slow_db_ingress: 15_433,
                haproxy_runtime: 9999,
                haproxy_metrics: 8404,
                app: 8080,
                dns: 53,
                keeper: 7300,
                gate: 7301,
            },
            regions: Place::REGIONS.into_iter().map(region).collect(),
            witness: WitnessSite {
                store: host(Place::Witness, "store", 6),
                dns: host(Place::Witness, "dns", 53),
                prober: None,
            },
            operator: Host {
                name: "operator".to_owned(),
                dns: "operator.clients".to_owned(),
                address: address(Place::Clients, 10),
            },
            names: Names {
                app: format!("app.{zone}"),
                db: format!("db.{zone}"),
                zone,
                ttl_s: 1,
                tsig_key: "bascule".to_owned(),
                tsig_algorithm: "hmac-sha256".to_owned(),
                database: "events".to_owned(),
                app_role: "events".to_owned(),
                management_role: "bascule".to_owned(),
            },
            secrets: Secret::ALL
                .into_iter()
                .map(|secret| (secret, dir.join("secrets").join(secret.file_name())))
                .collect(),
            with_app: true,
            mode: LabMode::Manual,
            assets: None,
        }
    }

    /// The same lab as a whole site.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { assets: Some(Assets::new(&self.dir)), ..self }
    }

    /// The same lab with somebody else to decide.
    #[must_use]
    pub fn decided_by(mut self, mode: LabMode) -> Self {
        let guarded = mode != LabMode::Manual;
        self.mode = mode;
        for region in &mut self.regions {
            let keepers = (1..=KEEPERS).filter(|_| guarded);
            region.keepers = keepers.map(|n| host(region.place, &format!("keeper{n}"), 40 + n)).collect();
        }
        self.witness.prober = guarded.then(|| host(Place::Witness, "prober", 41));
        self
    }

    /// Reads the plan of the lab in `dir`.
    ///
    /// # Errors
    /// When there is no lab, or its file is of another version.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("lab.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("no lab in {} (start one with `bascule lab up`)", dir.display()))?;
        let plan: Self = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        anyhow::ensure!(
            plan.format == FORMAT,
            "{} has format {}, this bascule reads {FORMAT}",
            path.display(),
            plan.format
        );
        Ok(plan)
    }

    /// The hosts of a region.
    ///
    /// # Errors
    /// When `place` is not a region.
    pub fn region(&self, place: Place) -> anyhow::Result<&Region> {
        self.regions
            .iter()
            .find(|region| region.place == place)
            .with_context(|| format!("{} is not a region", place.name()))
    }

    /// The other region's hosts.
    #[must_use]
    pub fn peer_of(&self, region: &Region) -> &Region {
        self.regions.iter().find(|other| other.place != region.place).unwrap_or(&self.regions[0])
    }

    /// The database node called `us-east-2-db1` or `db1.us-east-2`, with its region.
    ///
    /// # Errors
    /// When there is none: the message lists those that exist.
    pub fn node(&self, name: &str) -> anyhow::Result<(&Region, &Host)> {
        let all =
            || self.regions.iter().flat_map(|region| region.nodes.iter().map(move |node| (region, node)));
        all().find(|(_, node)| node.name == name || node.dns == name).with_context(|| {
            let names: Vec<_> = all().map(|(_, node)| node.name.as_str()).collect();
            format!("{name:?} is no database node of the lab; nodes are {}", names.join(", "))
        })
    }

    /// The three members of the spanning etcd cluster.
    pub fn stores(&self) -> impl Iterator<Item = &Host> {
        self.regions.iter().map(|region| &region.store).chain([&self.witness.store])
    }

    /// The three name servers, the hidden primary last.
    pub fn name_servers(&self) -> impl Iterator<Item = &Host> {
        self.regions.iter().map(|region| &region.dns).chain([&self.witness.dns])
    }

    /// File of a secret, readable from outside the lab.
    #[must_use]
    pub fn secret_path(&self, secret: Secret) -> PathBuf {
        self.dir.join("secrets").join(secret.file_name())
    }

    /// Every host of a place, in the order of its addresses, the first being the interface's own.
    #[must_use]
    pub fn hosts_of(&self, place: Place) -> Vec<Host> {
        let mut hosts = self.moving_hosts_of(place);
        hosts.extend(self.assets.iter().flat_map(|assets| assets.hosts_of(place)).cloned());
        hosts
    }

    fn moving_hosts_of(&self, place: Place) -> Vec<Host> {
        match place {
            Place::UsEast2 | Place::UsWest1 => self
                .regions
                .iter()
                .filter(|region| region.place == place)
                .flat_map(|region| {
                    let single = [&region.dcs, &region.store, &region.lb, &region.pool, &region.dns];
                    let source = Host {
                        name: format!("{}-repl", place.name()),
                        dns: format!("repl.{}", place.name()),
                        address: region.replication_source,
                    };
                    region
                        .nodes
                        .iter()
                        .chain(&region.apps)
                        .chain(&region.keepers)
                        .chain(single)
                        .cloned()
                        .chain([source])
                })
                .collect(),
            Place::Witness => {
                let always = [&self.witness.store, &self.witness.dns];
                always.into_iter().chain(&self.witness.prober).cloned().collect()
            }
            Place::Clients => vec![self.operator.clone()],
        }
    }
}

/// The router's address in a place's network.
#[must_use]
pub fn gateway(place: Place) -> Ipv4Addr {
    address(place, 1)
}

/// A place's network, in CIDR notation.
#[must_use]
pub fn network(place: Place) -> String {
    format!("{}/24", address(place, 0))
}

fn address(place: Place, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, OCTET, place.index(), last)
}

/// A host of a place.
pub(crate) fn host(place: Place, what: &str, last: u8) -> Host {
    Host {
        name: format!("{}-{what}", place.name()),
        dns: format!("{what}.{}", place.name()),
        address: address(place, last),
    }
}

fn region(place: Place) -> Region {
    Region {
        place,
        scope: format!("events-{}", place.name()),
        nodes: (1..=NODES).map(|n| host(place, &format!("db{n}"), 10 + n)).collect(),
        apps: (1..=APPS).map(|n| host(place, &format!("app{n}"), 30 + n)).collect(),
        lb: host(place, "lb", 20),
        replication_source: address(place, 22),
        pool: host(place, "pool", 21),
        dcs: host(place, "dcs", 5),
        store: host(place, "store", 6),
        dns: host(place, "dns", 53),
        keepers: Vec::new(),
    }
}
