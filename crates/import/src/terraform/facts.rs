//! What is kept of a resource, by what it is: the attributes that checks and the manifest want.
//!
//! `Known<Option<T>>` is for what may be left out: `Is(None)` then means that the code leaves it to the provider.
//! A link is the other resource's identifier, or in code the reference to it, as it is written.

use serde::Serialize;

use super::model::{Known, SecretDigest};

/// A value that may be left out.
pub type May<T> = Known<Option<T>>;

/// What is known of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the fields are Terraform's own attributes, or are explained at their variant"
)]
pub enum Facts {
    /// A virtual machine.
    Instance {
        size: Known<String>,
        image: May<String>,
        key_name: May<String>,
        subnet: May<String>,
        zone: May<String>,
        security_groups: Known<Vec<String>>,
    },
    /// How virtual machines of a group are made.
    LaunchTemplate { size: Known<String>, image: May<String>, key_name: May<String> },
    /// A group of virtual machines.
    AutoscalingGroup {
        min: Known<u32>,
        max: Known<u32>,
        desired: May<u32>,
        zones: Known<Vec<String>>,
        subnets: Known<Vec<String>>,
    },
    /// A Kubernetes cluster, without its nodes.
    KubernetesCluster { name: Known<String>, version: May<String>, subnets: Known<Vec<String>> },
    /// Nodes of a Kubernetes cluster.
    NodeGroup {
        cluster: May<String>,
        min: Known<u32>,
        max: Known<u32>,
        desired: May<u32>,
        sizes: Known<Vec<String>>,
        subnets: Known<Vec<String>>,
    },
    /// A load balancer.
    LoadBalancer {
        name: May<String>,
        internal: Known<bool>,
        subnets: Known<Vec<String>>,
        zones: Known<Vec<String>>,
    },
    /// Where a load balancer sends to; the health check's port is a number or `traffic-port`.
    TargetGroup {
        port: May<u32>,
        protocol: May<String>,
        health_path: May<String>,
        health_port: May<String>,
        health_matcher: May<String>,
    },
    /// One target of a group.
    TargetAttachment { group: May<String>, target: May<String>, port: May<u32> },
    /// Where a load balancer listens.
    Listener { load_balancer: May<String>, port: May<u32>, protocol: May<String> },
    /// A database on its own.
    Database {
        identifier: May<String>,
        database: May<String>,
        engine: May<String>,
        engine_version: May<String>,
        size: Known<String>,
        multi_zone: Known<bool>,
        backup_retention_days: Known<u32>,
        replica_of: May<String>,
        parameter_group: May<String>,
        subnet_group: May<String>,
        zone: May<String>,
        encrypted: Known<bool>,
        public: Known<bool>,
    },
    /// A database cluster; `members` are those it makes itself, without resources of their own.
    DatabaseCluster {
        identifier: May<String>,
        database: May<String>,
        engine: May<String>,
        engine_version: May<String>,
        global_cluster: May<String>,
        replica_of: May<String>,
        backup_retention_days: Known<u32>,
        parameter_group: May<String>,
        subnet_group: May<String>,
        zones: Known<Vec<String>>,
        encrypted: Known<bool>,
        size: May<String>,
        members: Known<u32>,
    },
    /// A member of a database cluster.
    DatabaseMember {
        cluster: May<String>,
        size: Known<String>,
        engine: May<String>,
        parameter_group: May<String>,
        zone: May<String>,
        public: Known<bool>,
    },
    /// A database cluster over regions.
    GlobalDatabase {
        identifier: Known<String>,
        engine: May<String>,
        source: May<String>,
        encrypted: Known<bool>,
    },
    /// The subnets of a database.
    SubnetGroup { name: May<String>, subnets: Known<Vec<String>> },
    /// A bucket; `versioning` and `replicated_to` of the provider before version 4.
    Bucket { name: May<String>, versioning: May<bool>, replicated_to: Known<Vec<String>> },
    /// Whether a bucket keeps versions.
    BucketVersioning { bucket: May<String>, enabled: Known<bool> },
    /// Where a bucket's content goes too.
    BucketReplication { bucket: May<String>, destinations: Known<Vec<String>> },
    /// How a bucket is encrypted.
    BucketEncryption { bucket: May<String>, algorithm: May<String> },
    /// Whether a bucket is closed to the public: all four locks.
    BucketPublicAccess { bucket: May<String>, blocked: Known<bool> },
    /// A key pair. The public key is without its comment.
    KeyPair { name: May<String>, fingerprint: May<String>, public_key: May<String> },
    /// A zone of names.
    Zone { name: Known<String>, private: Known<bool> },
    /// A name.
    Record(Box<Record>),
    /// What decides whether a name's record is answered.
    HealthCheck {
        name: May<String>,
        address: May<String>,
        port: May<u32>,
        path: May<String>,
        protocol: May<String>,
        interval_s: Known<u32>,
        failures: Known<u32>,
    },
    /// A security group with the rules in it.
    SecurityGroup { name: May<String>, network: May<String>, rules: Known<Vec<Rule>> },
    /// A security group's rule that stands for itself.
    SecurityRule { group: May<String>, rule: Rule },
    /// A network.
    Network { addresses: May<String> },
    /// A part of a network.
    Subnet { network: May<String>, addresses: May<String>, zone: May<String> },
    /// A secret, and the regions it is copied to.
    Secret { name: May<String>, replicas: Known<Vec<String>> },
    /// What is in a secret: its digest only.
    SecretVersion { secret: May<String>, digest: May<SecretDigest> },
    /// A parameter: its digest only, whatever its type.
    Parameter { name: Known<String>, digest: May<SecretDigest> },
    /// A place for metrics.
    MetricsWorkspace { name: May<String> },
    /// A place for dashboards.
    DashboardWorkspace { name: May<String> },
    /// A chart that is installed.
    HelmRelease { name: Known<String>, chart: Known<String>, version: May<String>, namespace: May<String> },
    /// A repository.
    Repository { name: Known<String>, archived: Known<bool> },
    /// Nothing is kept of this type.
    Other,
}

/// A name that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The name, as it is written.
    pub name: Known<String>,
    /// A, CNAME, …
    pub record_type: Known<String>,
    /// The zone it is in: a link.
    pub zone: May<String>,
    /// How long an answer lives, in seconds; aliases have none of their own.
    pub ttl_s: May<u32>,
    /// What it answers: values and links.
    pub values: Known<Vec<String>>,
    /// What it is an alias of: a link.
    pub alias: May<String>,
    /// What tells records of one name apart.
    pub set_identifier: May<String>,
    /// `PRIMARY` or `SECONDARY`.
    pub failover: May<String>,
    /// Its share.
    pub weight: May<u32>,
    /// The region whose users it is for.
    pub latency_region: May<String>,
    /// A link.
    pub health_check: May<String>,
}

/// What a security group lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Whether it is about what comes in.
    pub incoming: Known<bool>,
    /// `tcp`, `udp`, or `-1` for all.
    pub protocol: May<String>,
    /// The first port.
    pub from_port: May<u32>,
    /// The last port.
    pub to_port: May<u32>,
    /// The ranges of addresses of the other side.
    pub addresses: Known<Vec<String>>,
}

impl Facts {
    /// How many units of an asset one such resource makes.
    pub(super) fn units(&self) -> Known<u32> {
        match self {
            Facts::Instance { .. }
            | Facts::LoadBalancer { .. }
            | Facts::Database { .. }
            | Facts::DatabaseMember { .. }
            | Facts::Bucket { .. }
            | Facts::KeyPair { .. }
            | Facts::MetricsWorkspace { .. }
            | Facts::DashboardWorkspace { .. }
            | Facts::HelmRelease { .. }
            | Facts::Repository { .. }
            | Facts::Zone { .. } => Known::Is(1),
            Facts::AutoscalingGroup { desired, min, .. } | Facts::NodeGroup { desired, min, .. } => {
                match desired {
                    Known::Is(Some(number)) => Known::Is(*number),
                    Known::Is(None) => min.clone(),
                    Known::Unknown { why } => Known::Unknown { why: why.clone() },
                }
            }
            Facts::DatabaseCluster { members, .. } => members.clone(),
            Facts::LaunchTemplate { .. }
            | Facts::KubernetesCluster { .. }
            | Facts::TargetGroup { .. }
            | Facts::TargetAttachment { .. }
            | Facts::Listener { .. }
            | Facts::GlobalDatabase { .. }
            | Facts::SubnetGroup { .. }
            | Facts::BucketVersioning { .. }
            | Facts::BucketReplication { .. }
            | Facts::BucketEncryption { .. }
            | Facts::BucketPublicAccess { .. }
            | Facts::Record(_)
            | Facts::HealthCheck { .. }
            | Facts::SecurityGroup { .. }
            | Facts::SecurityRule { .. }
            | Facts::Network { .. }
            | Facts::Subnet { .. }
            | Facts::Secret { .. }
            | Facts::SecretVersion { .. }
            | Facts::Parameter { .. }
            | Facts::Other => Known::Is(0),
        }
    }

    /// The sizes of what it makes; empty if it makes nothing that has a size.
    #[must_use]
    pub fn sizes(&self) -> Known<Vec<String>> {
        match self {
            Facts::Instance { size, .. }
            | Facts::LaunchTemplate { size, .. }
            | Facts::Database { size, .. }
            | Facts::DatabaseMember { size, .. } => size.clone().map(|size| vec![size]),
            Facts::NodeGroup { sizes, .. } => sizes.clone(),
            Facts::DatabaseCluster { size, .. } => size.clone().map(|size| size.into_iter().collect()),
            Facts::AutoscalingGroup { .. }
            | Facts::KubernetesCluster { .. }
            | Facts::LoadBalancer { .. }
            | Facts::TargetGroup { .. }
            | Facts::TargetAttachment { .. }
            | Facts::Listener { .. }
            | Facts::GlobalDatabase { .. }
            | Facts::SubnetGroup { .. }
            | Facts::Bucket { .. }
            | Facts::BucketVersioning { .. }
            | Facts::BucketReplication { .. }
            | Facts::BucketEncryption { .. }
            | Facts::BucketPublicAccess { .. }
            | Facts::KeyPair { .. }
            | Facts::Zone { .. }
            | Facts::Record(_)
            | Facts::HealthCheck { .. }
            | Facts::SecurityGroup { .. }
            | Facts::SecurityRule { .. }
            | Facts::Network { .. }
            | Facts::Subnet { .. }
            | Facts::Secret { .. }
            | Facts::SecretVersion { .. }
            | Facts::Parameter { .. }
            | Facts::MetricsWorkspace { .. }
            | Facts::DashboardWorkspace { .. }
            | Facts::HelmRelease { .. }
            | Facts::Repository { .. }
            | Facts::Other => Known::Is(Vec::new()),
        }
    }
}
