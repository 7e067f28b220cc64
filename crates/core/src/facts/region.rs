//! What is in one region.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fact::{Fact, Listing};
use crate::id::RegionName;
use crate::observation::ClusterRole;

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name.
    pub name: RegionName,
    /// Its groups of instances.
    pub compute: Listing<Compute>,
    /// Its Kubernetes clusters.
    pub kubernetes: Listing<Cluster>,
    /// Its load balancers.
    pub load_balancer: Listing<LoadBalancer>,
    /// Its database clusters.
    pub database: Listing<Database>,
    /// Its buckets.
    pub object_storage: Listing<Bucket>,
    /// Its key pairs.
    pub key_pair: Listing<KeyPair>,
    /// Its network.
    pub network: Network,
    /// The secrets that the application reads there: of each the SHA-256 of its content, never the content.
    pub secrets: Listing<Fact<String>>,
    /// What the executor may do there.
    pub permissions: Fact<Permissions>,
    /// By how much its clocks differ from the observer's.
    pub clock_skew: Fact<Skew>,
}

/// How far the clocks of a region are ahead of the observer's, in milliseconds; negative if they are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// The one that is behind the others.
    pub least_ms: i64,
    /// The one that is ahead of the others.
    pub most_ms: i64,
}

/// A group of instances that do the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Its instances.
    pub instances: Fact<Vec<Instance>>,
    /// The key pairs that open them.
    pub keys: Fact<BTreeSet<String>>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its size, e.g. `t3.medium`; none where hosts have no sizes.
    pub size: Fact<Option<String>>,
    /// What it was started from: an image's id or digest, or the program's version; none where there is no such thing.
    pub image: Fact<Option<String>>,
    /// The zone it is in; none where there are no zones.
    pub zone: Fact<Option<String>>,
    /// The subnet it is in; none where there are no subnets.
    pub subnet: Fact<Option<String>>,
    /// Whether it runs.
    pub alive: Fact<bool>,
    /// Whether it can do its work, writes to the database included.
    pub ready: Fact<bool>,
}

/// A Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Its nodes.
    pub nodes: Fact<Vec<Node>>,
    /// Its version.
    pub version: Fact<String>,
}

/// A node of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it takes pods.
    pub ready: Fact<bool>,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The ports it listens on.
    pub listeners: Fact<Vec<u16>>,
    /// The compute asset that stands behind it.
    pub serves: Fact<String>,
    /// What is attached to it.
    pub targets: Fact<Targets>,
    /// What it asks its targets; none if it asks nothing.
    pub health_check: Fact<Option<HealthCheck>>,
}

/// What is attached to a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// How many.
    pub attached: u32,
    /// How many of them it calls healthy.
    pub healthy: u32,
}

/// A question that decides whether something counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The path that is asked for.
    pub path: String,
    /// The lowest HTTP status that passes.
    pub passes_from: u16,
    /// The highest one that passes.
    pub passes_to: u16,
    /// The status that is answered there, asked as the check asks: without a login.
    pub answers: Fact<u16>,
}

/// A database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its members.
    pub members: Fact<Vec<Member>>,
    /// Their size, e.g. `db.t3.small`.
    pub size: Fact<String>,
    /// What it does.
    pub role: Fact<ClusterRole>,
    /// The region whose database it follows; none if it follows nobody.
    pub replica_source: Fact<Option<RegionName>>,
    /// How old the newest write it has is, in milliseconds; asked of a standby only.
    pub lag_ms: Fact<u64>,
    /// How many bytes of log it lacks; for the reader, no check asks for it.
    pub lag_bytes: Fact<u64>,
    /// How far back its backups or kept log reach, in seconds.
    pub retention_s: Fact<u64>,
    /// Whether another member takes over by itself inside the region.
    pub automatic_failover: Fact<bool>,
    /// SHA-256 over the parameters that must be equal on both sides, or those that differ; several where its members do.
    pub parameters: Fact<BTreeSet<String>>,
    /// The server's version; several where its members have several.
    pub version: Fact<BTreeSet<String>>,
    /// Settings under which a commit waits for nobody, whatever others do.
    pub unconfirmed: Fact<BTreeSet<String>>,
    /// The replication slots that are there.
    pub slots: Fact<BTreeSet<String>>,
    /// The replication slots that its followers need; empty where the provider keeps none.
    pub slots_wanted: Fact<BTreeSet<String>>,
    /// Followers that want no slot: nothing but its retention keeps log for them.
    pub slotless: Fact<BTreeSet<String>>,
    /// The host that the application is told to connect to.
    pub reached_by: Fact<String>,
    /// How it comes back after the other region was promoted.
    pub way_back: Fact<WayBack>,
    /// Whose confirmation commits wait for, as its members are set up, each value once: `synchronous_standby_names`, or
    /// `nobody (…)` where they wait for none whatever that says.
    pub commits_wait_for: Fact<BTreeSet<String>>,
}

/// A member of a database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Whether it leads, or streams on its leader's timeline.
    pub well: Fact<bool>,
}

/// How a database comes back as a standby after the other region has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayBack {
    /// It is rewound: rewinding is on, and so are checksums or log hints.
    Rewound,
    /// It is made anew from the other side's data.
    Recreated,
    /// Nothing is set up for it.
    Closed,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Whether it keeps older versions of objects.
    pub versioning: Fact<bool>,
    /// Where its objects are replicated to; none if nowhere.
    pub replication: Fact<Option<Destination>>,
    /// Whether objects are encrypted at rest.
    pub encryption: Fact<bool>,
    /// Whether anybody may read or write it.
    pub public: Fact<bool>,
    /// How old the newest backup in it is, in seconds; none if it holds no backups.
    pub newest_backup_age_s: Fact<Option<u64>>,
}

/// Where a bucket's objects go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The region.
    pub region: RegionName,
    /// The bucket there.
    pub bucket: String,
}

/// A key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// The public key's fingerprint.
    pub fingerprint: Fact<String>,
}

/// A region's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The address ranges it uses, in CIDR notation (RFC 4632, RFC 4291).
    pub ranges: Fact<Vec<String>>,
    /// SHA-256 over its security rules, without what differs by region, beside the rules that differ from the other
    /// region's; several where its parts do not have the same.
    pub rules: Fact<BTreeSet<String>>,
    /// The provider's limits, by name.
    pub quotas: Fact<BTreeMap<String, Quota>>,
}

/// A provider's limit in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many there may be.
    pub limit: u64,
    /// How many there are.
    pub used: u64,
}

/// What the executor may do in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// What was tried and allowed.
    pub granted: BTreeSet<String>,
    /// What a move needs and was refused.
    pub refused: BTreeSet<String>,
}
