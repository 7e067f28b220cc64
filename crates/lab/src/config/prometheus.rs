//! Prometheus: one a region, which looks at both, so that the one that survives knows.

use std::fmt::Write as _;

use crate::assets::Assets;
use crate::plan::{Host, LabPlan, Region};

/// Seconds between two looks: a lost region is seen in the next, and Patroni answers 12 of them in that time.
const INTERVAL_S: u32 = 5;
/// Seconds a target may take: all of them answer in milliseconds, or are gone.
const TIMEOUT_S: u32 = 2;

/// Configuration of a region's Prometheus.
#[must_use]
pub fn config(plan: &LabPlan, assets: &Assets, region: &Region) -> String {
    let place = region.place.name();
    let mut text = format!(
        "global:
  scrape_interval: {INTERVAL_S}s
  scrape_timeout: {TIMEOUT_S}s
  external_labels:
    site: events
    seen_from: {place}
scrape_configs:
"
    );
    let regions = [region, plan.peer_of(region)];
    let each = |hosts: &dyn Fn(&Region) -> Vec<Host>| -> Vec<(String, Host)> {
        let of = |region: &&Region| {
            let place = region.place.name().to_owned();
            hosts(region).into_iter().map(move |host| (place.clone(), host)).collect::<Vec<_>>()
        };
        regions.iter().flat_map(of).collect()
    };
    let storage = each(&|region| assets.of(region).map(|(own, _)| own.storage.clone()).into_iter().collect());
    let mut keepers = each(&|region| region.keepers.clone());
    keepers.extend(plan.witness.prober.iter().map(|prober| ("witness".to_owned(), prober.clone())));
    let ports = &plan.ports;
    job(&mut text, "patroni", ports.patroni, &each(&|region| region.nodes.clone()));
    job(&mut text, "haproxy", ports.haproxy_metrics, &each(&|region| vec![region.lb.clone()]));
    if plan.with_app {
        job(&mut text, "application", ports.app, &each(&|region| region.apps.clone()));
    }
    job(&mut text, "keeper", ports.keeper, &keepers);
    job(&mut text, "storage", assets.ports.storage_metrics, &storage);
    job(&mut text, "storage-sync", assets.ports.sync_metrics, &storage);
    let monitors =
        each(&|region| assets.of(region).map(|(own, _)| own.monitor.clone()).into_iter().collect());
    job(&mut text, "monitor", assets.ports.monitor, &monitors);
    text
}

/// A job with a target for each host; none without hosts.
fn job(text: &mut String, name: &str, port: u16, hosts: &[(String, Host)]) {
    if hosts.is_empty() {
        return;
    }
    let _ = write!(text, "  - job_name: {name}\n    static_configs:\n");
    for (region, host) in hosts {
        let _ = writeln!(
            text,
            "      - {{ targets: [\"{}:{port}\"], labels: {{ instance: {}, region: {region} }} }}",
            host.address, host.name
        );
    }
}
