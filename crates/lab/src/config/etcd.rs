//! Arguments of the etcd members: a region's own for Patroni, and one cluster over all three sites.

use crate::layout;
use crate::plan::{Host, LabPlan, Region};

/// The region-local member that Patroni uses.
#[must_use]
pub fn dcs(plan: &LabPlan, region: &Region) -> Vec<String> {
    let host = &region.dcs;
    let cluster = format!("{}=http://{}:{}", host.name, host.address, plan.ports.etcd_peer);
    member(plan, host, &cluster, &region.scope)
}

/// A member of the cluster that spans the sites. Its timers are etcd's defaults, 100 ms and 1000 ms: a site cut off
/// stalls writes for one election, 1.3 s.
#[must_use]
pub fn store(plan: &LabPlan, host: &Host) -> Vec<String> {
    let cluster: Vec<_> = plan
        .stores()
        .map(|member| format!("{}=http://{}:{}", member.name, member.address, plan.ports.etcd_peer))
        .collect();
    member(plan, host, &cluster.join(","), "bascule-store")
}

fn member(plan: &LabPlan, host: &Host, cluster: &str, token: &str) -> Vec<String> {
    let client = format!("http://{}:{}", host.address, plan.ports.etcd);
    let peer = format!("http://{}:{}", host.address, plan.ports.etcd_peer);
    let data = layout::data(host).join("etcd");
    let options = [
        ("name", host.name.as_str()),
        ("data-dir", &data.to_string_lossy()),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", cluster),
        ("initial-cluster-token", token),
        ("initial-cluster-state", "new"),
        ("log-level", "warn"),
        ("logger", "zap"),
        // History is of no use here; five minutes of it bounds the file.
        ("auto-compaction-mode", "periodic"),
        ("auto-compaction-retention", "5m"),
        // 64 MiB: a thousand times what Patroni and the journal keep, and less than the host's memory disk.
        ("quota-backend-bytes", "67108864"),
        // Snapshots each thousand entries keep the log, and the memory that mirrors it, small.
        ("snapshot-count", "1000"),
    ];
    options.into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
