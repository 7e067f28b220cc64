//! Patroni: one cluster a region, the second region's a standby cluster of the first.
//!
//! Timers: Patroni 4.1 asks for `loop_wait + 2 × retry_timeout ≤ ttl` and takes no ttl under 20 s, so 1 + 2 × 3 ≤ 20.
//! Leaves out: slots between the regions. A permanent slot pins WAL in whichever region follows; `wal_keep_size` is
//! what a region may fall behind.

use std::fmt::Write as _;

use crate::layout;
use crate::plan::{Host, LabPlan, Place, Region, Secret, network};
use crate::secrets::Secrets;

/// Configuration of one node.
#[must_use]
pub fn config(plan: &LabPlan, region: &Region, node: &Host, secrets: &Secrets) -> String {
    [cluster(plan, region, node, secrets), postgresql(plan, node, secrets)].join("\n")
}

/// The member, its REST API, and what its cluster is made with.
fn cluster(plan: &LabPlan, region: &Region, node: &Host, secrets: &Secrets) -> String {
    let ports = &plan.ports;
    format!(
        "scope: {scope}
name: {name}

log:
  level: INFO

restapi:
  listen: {address}:{rest}
  connect_address: {address}:{rest}
  authentication:
    username: {management}
    password: {rest_password}

etcd3:
  hosts: {dcs}:{etcd}

bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
{standby}  initdb:
    - encoding: UTF8
    - locale: C.UTF-8
    - data-checksums
    - wal-segsize: '4'
  post_bootstrap: {bootstrap}
",
        scope = region.scope,
        name = node.name,
        address = node.address,
        rest = ports.patroni,
        management = plan.names.management_role,
        rest_password = secrets.get(Secret::PatroniRest),
        dcs = region.dcs.address,
        etcd = ports.etcd,
        standby = standby_cluster(plan, region),
        bootstrap = layout::conf("bootstrap.sh").display(),
    )
}

/// The database itself.
fn postgresql(plan: &LabPlan, node: &Host, secrets: &Secrets) -> String {
    format!(
        "postgresql:
  listen: {address}:{postgres}
  connect_address: {address}:{postgres}
  data_dir: {data}
  bin_dir: /usr/lib/postgresql/15/bin
  pgpass: {pgpass}
  use_pg_rewind: true
  # Without these two, replicas wait for ever after a rewind that failed.
  remove_data_directory_on_rewind_failure: true
  remove_data_directory_on_diverged_timelines: true
  basebackup:
    - checkpoint: fast
    - no-manifest
  authentication:
    superuser:
      username: postgres
      password: {superuser}
    replication:
      username: replicator
      password: {replication}
    rewind:
      username: rewind
      password: {rewind}
  parameters:
{parameters}  pg_hba:
{hba}",
        address = node.address,
        postgres = plan.ports.postgres,
        data = layout::pgdata(node).display(),
        pgpass = layout::data(node).join("pgpass").display(),
        superuser = secrets.get(Secret::Superuser),
        replication = secrets.get(Secret::Replication),
        rewind = secrets.get(Secret::Rewind),
        parameters = parameters(),
        hba = pg_hba(plan),
    )
}

/// The one difference between the regions of a new lab.
fn standby_cluster(plan: &LabPlan, region: &Region) -> String {
    if *region == plan.regions[0] {
        return String::new();
    }
    let peer = plan.peer_of(region);
    format!(
        "    standby_cluster:
      host: {}
      port: {}
      create_replica_methods:
        - basebackup
",
        peer.lb.address, plan.ports.replication
    )
}

fn parameters() -> String {
    let settings = [
        // Six nodes on one machine: enough for the application's tables to stay in memory.
        ("shared_buffers", "32MB"),
        // Two pools of 20, replication, Patroni and people.
        ("max_connections", "100"),
        ("max_wal_senders", "10"),
        ("max_replication_slots", "10"),
        ("wal_level", "replica"),
        ("wal_log_hints", "on"),
        ("hot_standby_feedback", "off"),
        // What the other region may fall behind, and what a slot of a lost replica may hold: together with
        // max_wal_size well within the node's disk of 768 MiB.
        ("wal_keep_size", "96MB"),
        ("max_slot_wal_keep_size", "192MB"),
        ("min_wal_size", "32MB"),
        ("max_wal_size", "192MB"),
        ("wal_retrieve_retry_interval", "50ms"),
        // A silent partition ends replication's connections within 5 s.
        ("wal_sender_timeout", "5s"),
        ("wal_receiver_timeout", "5s"),
        ("wal_receiver_status_interval", "1s"),
        ("tcp_user_timeout", "5000"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "1"),
        ("tcp_keepalives_count", "3"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
        ("log_min_messages", "warning"),
        ("log_line_prefix", "%m [%p] %q%u@%d "),
        // Otherwise each node starts workers that this lab has no work for.
        ("max_logical_replication_workers", "0"),
        ("max_parallel_workers_per_gather", "0"),
        ("autovacuum_max_workers", "1"),
    ];
    settings.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "    {name}: '{value}'");
        text
    })
}

/// Who may connect from where, the same on all nodes of both regions.
///
/// The application's role comes from a load balancer's gated address and from nowhere else. The load balancer's
/// other address carries replication and nothing else. Management goes to the nodes directly, never through either.
#[must_use]
pub fn pg_hba(plan: &LabPlan) -> String {
    let names = &plan.names;
    let mut lines = Vec::new();
    for region in &plan.regions {
        let (gated, replication) = (region.lb.address, region.replication_source);
        lines.push(format!("host {} {} {gated}/32 scram-sha-256", names.database, names.app_role));
        lines.push(format!("host all,replication all {gated}/32 reject"));
        lines.push(format!("host replication replicator {replication}/32 scram-sha-256"));
        lines.push(format!("host postgres rewind {replication}/32 scram-sha-256"));
        lines.push(format!("host all,replication all {replication}/32 reject"));
    }
    let regions = plan.regions.iter().map(|region| network(region.place));
    for net in regions {
        lines.push(format!("host replication replicator {net} scram-sha-256"));
        lines.push(format!("host postgres rewind {net} scram-sha-256"));
        lines.push(format!("host all postgres {net} scram-sha-256"));
        lines.push(format!("host all {} {net} scram-sha-256", names.management_role));
    }
    lines.push(format!("host all {} {} scram-sha-256", names.management_role, network(Place::Clients)));
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    - {line}");
        text
    })
}

/// What Patroni runs once, in the first region's new cluster, before anyone may use it.
#[must_use]
pub fn bootstrap_script() -> String {
    format!(
        "#!/bin/sh\nexec /usr/bin/psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname \"$1\" --file {}\n",
        layout::conf("bootstrap.sql").display()
    )
}

/// Roles, the application's database, and the extension that reads divergent WAL.
#[must_use]
pub fn bootstrap_sql(plan: &LabPlan, secrets: &Secrets) -> String {
    let names = &plan.names;
    format!(
        "CREATE ROLE {management} SUPERUSER LOGIN PASSWORD '{management_password}';
CREATE ROLE {app} LOGIN PASSWORD '{app_password}';
CREATE DATABASE {database} OWNER {app};
CREATE EXTENSION pg_walinspect;
\\connect {database}
CREATE EXTENSION pg_walinspect;
",
        management = names.management_role,
        management_password = secrets.get(Secret::Management),
        app = names.app_role,
        app_password = secrets.get(Secret::App),
        database = names.database,
    )
}
