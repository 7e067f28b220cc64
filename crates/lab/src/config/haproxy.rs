//! HAProxy: the front door for users, and the only path by which clients reach a primary.
//!
//! The gate is a map file that says `closed`, `local` or `remote`, changed at run time with `set map`. It is written
//! `closed` whenever HAProxy is started, so a region that returns is harmless until someone opens it.
//! Leaves out: the keeper's question in the check, for which `db_local` is written rule by rule.

use std::fmt::Write as _;

use crate::layout;
use crate::plan::{LabPlan, Region};

/// The map at every start.
#[must_use]
pub fn gate_at_boot() -> String {
    "db closed\nepoch 0\n".to_owned()
}

/// Configuration of a region's load balancer.
#[must_use]
pub fn config(plan: &LabPlan, region: &Region) -> String {
    let web = web(plan, region);
    let servers = servers(plan, region);
    let databases = database(plan, region, &servers) + &gate(plan, region);
    let replication = replication(plan, region, &servers);
    let metrics = metrics(plan, region);
    [globals(plan, region), web, databases, replication, metrics].join("\n")
}

fn globals(plan: &LabPlan, region: &Region) -> String {
    format!(
        "global
    log stdout format raw local0 warning
    stats socket ipv4@{lb}:{runtime} level admin
    stats timeout 1h
    nbthread 1
    maxconn 4000

defaults
    log global
    timeout connect 1s
    # An idle database session is ended by the pool or the database, not here; TCP keep-alive finds dead peers.
    timeout client 24h
    timeout server 24h
    option clitcpka
    option srvtcpka
    clitcpka-idle 5s
    clitcpka-intvl 1s
    clitcpka-cnt 3
    srvtcpka-idle 5s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
",
        lb = region.lb.address,
        runtime = plan.ports.haproxy_runtime,
    )
}

fn web(plan: &LabPlan, region: &Region) -> String {
    let mut text = format!(
        "frontend web
    mode http
    bind {lb}:{web}
    timeout client 30s
    timeout http-request 10s
    default_backend web

# The application answers /readyz only when it can write. A move holds writes for 5 s at most, and an instance that
# waits with them is not ill: a check may take 6 s (the hold and 1 s). An instance that is gone refuses the
# connection, and is out after 2 checks of 500 ms.
backend web
    mode http
    balance roundrobin
    timeout server 30s
    timeout check 6s
    option httpchk GET /readyz
    option redispatch 1
    retries 2
    # A request that reached an instance may have been carried out: only one that did not is tried again.
    retry-on conn-failure
    # A kept connection may be closed by its instance just as a request is sent on it: a user would see that.
    option http-server-close
    default-server inter 500ms fall 2 rise 1
",
        lb = region.lb.address,
        web = plan.ports.web,
    );
    for app in &region.apps {
        let _ = writeln!(text, "    server {} {}:{} check", app.name, app.address, plan.ports.app);
    }
    text
}

fn database(plan: &LabPlan, region: &Region, servers: &str) -> String {
    let peer = plan.peer_of(region);
    let gate = layout::data(&region.lb).join("gate.map");
    format!(
        "frontend db
    mode tcp
    bind {lb}:{postgres} tcp-ut 3s
    tcp-request connection reject if {{ str(db),map_str({gate},closed) -m str closed }}
    use_backend db_local if {{ str(db),map_str({gate},closed) -m str local }}
    use_backend db_remote if {{ str(db),map_str({gate},closed) -m str remote }}

# The other region's clients; never passed on again, so that two gates set `remote` can't make a loop.
frontend db_ingress
    mode tcp
    bind {lb}:{ingress} tcp-ut 3s
    tcp-request connection reject unless {{ str(db),map_str({gate},closed) -m str local }}
    default_backend db_local

# Each rule of the check is a question of its own; a second (the keeper's: is the gate open for this epoch?) is added
# by a further `http-check connect addr … port …` with its send and expect. 2 checks of 500 ms: a node that
# says it is no primary is out, and its sessions are cut, after 1 s; one that says nothing after 3 s, since Patroni
# on a busy machine may take a second to answer and a false alarm would cost users their transactions. More checks
# cost Patroni the time in which it should act: each is a thread and a query of its own.
backend db_local
    mode tcp
    source {lb}
    timeout check 1s
    option httpchk
    http-check connect port {patroni}
    http-check send meth GET uri /primary
    http-check expect status 200
{keepers}    default-server inter 500ms fall 2 rise 1 tcp-ut 3s on-marked-down shutdown-sessions
{servers}
backend db_remote
    mode tcp
    source {lb}
    server {peer_name} {peer_lb}:{ingress} tcp-ut 3s
",
        lb = region.lb.address,
        gate = gate.display(),
        postgres = plan.ports.postgres,
        ingress = plan.ports.db_ingress,
        patroni = plan.ports.patroni,
        peer_name = peer.place.name(),
        peer_lb = peer.lb.address,
        keepers = keepers_question(plan, region),
    )
}

/// The check's second question, after the node's own: do the keepers let writes pass?
fn keepers_question(plan: &LabPlan, region: &Region) -> String {
    if region.keepers.is_empty() {
        return String::new();
    }
    format!(
        "    http-check connect addr {} port {}
    http-check send meth GET uri /gate/db
    http-check expect status 200
",
        region.lb.address, plan.ports.gate
    )
}

/// Where the check asks: a check goes to one address, and either keeper's word will do. One that is dead, frozen, or
/// says "closed" while the other is open is asked past.
fn gate(plan: &LabPlan, region: &Region) -> String {
    if region.keepers.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "
frontend gate
    mode http
    bind {lb}:{port}
    timeout client 1s
    default_backend keepers

backend keepers
    mode http
    balance roundrobin
    timeout connect 100ms
    timeout server 200ms
    option redispatch 1
    retries 1
    retry-on conn-failure empty-response response-timeout 503
",
        lb = region.lb.address,
        port = plan.ports.gate,
    );
    for keeper in &region.keepers {
        let _ = writeln!(text, "    server {} {}:{}", keeper.name, keeper.address, plan.ports.keeper);
    }
    text
}

fn replication(plan: &LabPlan, region: &Region, servers: &str) -> String {
    format!(
        "frontend repl
    mode tcp
    bind {lb}:{replication}
    default_backend repl

# Replication has a path of its own: the gate does not close it, and sessions live on when the leader's role changes,
# since an old primary sends its final position through one of them. `/leader` is also the leader of a standby
# cluster, so the region that is about to follow finds its source before that one is promoted. Its address differs
# from the gated path's, so that pg_hba.conf lets only replication through here.
backend repl
    mode tcp
    source {replication_source}
    timeout check 1s
    option httpchk
    http-check connect port {patroni}
    http-check send meth GET uri /leader
    http-check expect status 200
    default-server inter 1s fall 3 rise 1
{servers}",
        lb = region.lb.address,
        replication = plan.ports.replication,
        replication_source = region.replication_source,
        patroni = plan.ports.patroni,
    )
}

fn metrics(plan: &LabPlan, region: &Region) -> String {
    format!(
        "frontend metrics
    mode http
    bind {lb}:{metrics}
    timeout client 10s
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request return status 404
",
        lb = region.lb.address,
        metrics = plan.ports.haproxy_metrics,
    )
}

/// The region's database nodes, as servers of a backend.
fn servers(plan: &LabPlan, region: &Region) -> String {
    region.nodes.iter().fold(String::new(), |mut text, node| {
        let _ = writeln!(text, "    server {} {}:{} check", node.name, node.address, plan.ports.postgres);
        text
    })
}
