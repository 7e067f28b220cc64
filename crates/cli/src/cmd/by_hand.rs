//! The move by a script, as a runbook has it: only `bench` uses it, as the thing to compare with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bascule_core::id::RegionName;
use bascule_core::manifest::{Manifest, Region, Target};
use bascule_core::observation::ClusterRole;
use bascule_engine::world::World;
use tokio::time::{Instant, sleep};

use crate::exit;
use crate::site::Site;

/// A rewind and restart took up to 24 s; twice that and a margin.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Run the script, and wait until the region that was left follows.
pub async fn run(
    site: &Site,
    world: &World,
    from: &RegionName,
    to: &RegionName,
    script: &Path,
) -> anyhow::Result<()> {
    if site.manifest.lab.is_none() {
        return Err(exit::Usage("moves by hand are for a lab: this site is none".to_owned()).into());
    }
    let environment = environment(site, world, from, to).await?;
    let status = tokio::process::Command::new(script)
        .envs(environment)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("run {}", script.display()))?;
    ensure!(status.success(), "{} ended with {status}", script.display());
    let deadline = Instant::now() + SETTLED_WITHIN;
    let old = world.regions.get(from).context("the manifest has both regions")?;
    while Instant::now() < deadline {
        let seen = old.database.observe().await;
        let follows = seen.seen().is_some_and(|d| {
            let (well, all) = d.well();
            d.role == ClusterRole::Standby && d.streaming && well == all
        });
        if follows {
            return Ok(());
        }
        sleep(Duration::from_millis(250)).await;
    }
    bail!("{from} does not follow {to} after the move by hand")
}

async fn environment(
    site: &Site,
    world: &World,
    from: &RegionName,
    to: &RegionName,
) -> anyhow::Result<Vec<(String, String)>> {
    let manifest = &site.manifest;
    let mut all = common(site);
    for (prefix, name) in [("FROM", from), ("TO", to)] {
        let region = manifest.region(name).with_context(|| format!("{name} is not a region"))?;
        let leader = leader(world, name, region).await?;
        all.extend(region_environment(prefix, region, leader));
    }
    Ok(all)
}

async fn leader(world: &World, name: &RegionName, region: &Region) -> anyhow::Result<std::net::SocketAddr> {
    let ports = world.regions.get(name).context("the manifest has both regions")?;
    let seen = ports.database.observe().await;
    let leader = seen.seen().and_then(|d| d.leader.clone());
    let member = region.database.members.iter().find(|m| Some(&m.name) == leader.as_ref());
    Ok(member.with_context(|| format!("{name} has no leader"))?.patroni)
}

fn common(site: &Site) -> Vec<(String, String)> {
    let Manifest { names, database, .. } = &site.manifest;
    let record = |target| names.records.iter().find(|r| r.target == target);
    let name = |target| record(target).map_or(String::new(), |r| r.name.to_string());
    let ttl = record(Target::LoadBalancer).map_or(1, |r| r.ttl.as_secs());
    let tsig = format!("{}:{}", names.tsig_algorithm.as_str(), names.tsig_name);
    [
        ("DNS_HOST", names.update_server.ip().to_string()),
        ("DNS_PORT", names.update_server.port().to_string()),
        ("ZONE", names.zone.to_string()),
        ("TTL", ttl.to_string()),
        ("TSIG_NAME", tsig),
        ("TSIG_SECRET_FILE", site.path(&names.tsig_secret_file).display().to_string()),
        ("APP_NAME", name(Target::LoadBalancer)),
        ("DB_NAME", name(Target::Pool)),
        ("PATRONI_USER", database.patroni_user.clone()),
        ("PATRONI_PASSWORD_FILE", site.path(&database.patroni_password_file).display().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

fn region_environment(prefix: &str, region: &Region, leader: std::net::SocketAddr) -> Vec<(String, String)> {
    [
        ("PATRONI", leader.to_string()),
        ("REPLICATION_HOST", region.database.replication.ip().to_string()),
        ("REPLICATION_PORT", region.database.replication.port().to_string()),
        ("LB", region.load_balancer.address.to_string()),
        ("POOL", region.pool.address.to_string()),
        ("ADMIN_HOST", region.load_balancer.admin.ip().to_string()),
        ("ADMIN_PORT", region.load_balancer.admin.port().to_string()),
        ("GATE", region.load_balancer.gate_map.display().to_string()),
    ]
    .map(|(key, value)| (format!("{prefix}_{key}"), value))
    .to_vec()
}
