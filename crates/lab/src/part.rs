//! The parts of a lab: each a process with a place, a command and a question that tells if it is healthy.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::assets;
use crate::config::{etcd, haproxy, seaweed};
use crate::enter::{Privilege, Tmp};
use crate::layout::{self, INSIDE_LAB};
use crate::manifest;
use crate::plan::{Host, LabPlan, Place, Region};
use crate::probe::Probe;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// A region's own etcd, for Patroni.
    Dcs,
    /// A member of the etcd cluster over all sites.
    Store,
    /// Knot.
    NameServer,
    /// HAProxy.
    LoadBalancer,
    /// PgBouncer.
    Pool,
    /// Patroni with PostgreSQL.
    Node,
    /// An instance of the application.
    App,
    /// A keeper, or the witness' prober.
    Keeper,
    /// The delaying proxy, only while the link is slow.
    SlowLink,
    /// The object storage.
    Storage,
    /// What copies the other region's objects into this region's storage.
    StorageSync,
    /// What stores the region's database in its bucket.
    Backup,
    /// Prometheus.
    Monitor,
    /// The repository or its mirror.
    Repository,
    /// What keeps the repository's mirror.
    RepositorySync,
}

impl PartKind {
    /// Which /tmp it sees.
    #[must_use]
    pub const fn tmp(self) -> Tmp {
        match self {
            Self::Storage | Self::StorageSync => Tmp::Own,
            Self::Dcs
            | Self::Store
            | Self::NameServer
            | Self::LoadBalancer
            | Self::Pool
            | Self::Node
            | Self::App
            | Self::Keeper
            | Self::SlowLink
            | Self::Backup
            | Self::Monitor
            | Self::Repository
            | Self::RepositorySync => Tmp::Shared,
        }
    }
}

/// A part: one process the supervisor starts, with all that it starts itself.
#[derive(Debug, Clone)]
pub struct Part {
    /// Unique in the lab; also the name of its log.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// What it is.
    pub kind: PartKind,
    /// Its host.
    pub host: Host,
    /// Program and arguments, without the chain that puts it in its place.
    pub command: Vec<String>,
    /// Its environment, besides the few variables every part gets.
    pub env: Vec<(String, String)>,
    /// What tells if it is healthy.
    pub probe: Probe,
}

/// Every part of a healthy lab.
#[must_use]
pub fn parts(plan: &LabPlan) -> Vec<Part> {
    let mut parts: Vec<Part> = plan.regions.iter().flat_map(|region| region_parts(plan, region)).collect();
    parts.push(store(plan, Place::Witness, &plan.witness.store));
    parts.push(name_server(plan, Place::Witness, &plan.witness.dns));
    if let Some(prober) = &plan.witness.prober {
        parts.push(keeper(plan, Place::Witness, prober, &["--witness"]));
    }
    parts.extend(assets::parts::parts(plan));
    parts
}

fn region_parts(plan: &LabPlan, region: &Region) -> Vec<Part> {
    let place = region.place;
    let ports = &plan.ports;
    let conf = |host: &Host, kind: &str| layout::conf(&format!("{}.{kind}", host.name)).display().to_string();
    let mut parts = vec![
        Part {
            command: [vec!["/usr/bin/etcd".to_owned()], etcd::dcs(plan, region)].concat(),
            env: go_limits(),
            probe: Probe::http(&region.dcs, ports.etcd, "/health"),
            ..part(place, PartKind::Dcs, &region.dcs)
        },
        store(plan, place, &region.store),
        name_server(plan, place, &region.dns),
        Part {
            command: ["/usr/sbin/haproxy", "-db", "-f", &conf(&region.lb, "cfg")].map(str::to_owned).into(),
            probe: Probe::Runtime { address: region.lb.address, port: ports.haproxy_runtime },
            ..part(place, PartKind::LoadBalancer, &region.lb)
        },
        Part {
            command: vec!["/usr/sbin/pgbouncer".to_owned(), conf(&region.pool, "ini")],
            probe: Probe::Postgres { address: region.pool.address, port: ports.postgres },
            ..part(place, PartKind::Pool, &region.pool)
        },
    ];
    for node in &region.nodes {
        let python = layout::venv("python").display().to_string();
        parts.push(Part {
            command: vec![python, "-m".to_owned(), "patroni".to_owned(), conf(node, "yml")],
            env: vec![("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())],
            probe: Probe::Patroni { member: node.name.clone(), address: node.address, port: ports.patroni },
            ..part(place, PartKind::Node, node)
        });
    }
    if plan.with_app {
        parts.extend(region.apps.iter().map(|app| instance(plan, region, app)));
    }
    for host in &region.keepers {
        parts.push(keeper(plan, place, host, &["--region", place.name(), "--name", &host.name]));
    }
    parts
}

/// A part without a command.
pub(crate) fn part(place: Place, kind: PartKind, host: &Host) -> Part {
    Part {
        name: host.name.clone(),
        place,
        kind,
        host: host.clone(),
        command: Vec::new(),
        env: Vec::new(),
        probe: Probe::None,
    }
}

fn store(plan: &LabPlan, place: Place, host: &Host) -> Part {
    Part {
        command: [vec!["/usr/bin/etcd".to_owned()], etcd::store(plan, host)].concat(),
        env: go_limits(),
        probe: Probe::http(host, plan.ports.etcd, "/health"),
        ..part(place, PartKind::Store, host)
    }
}

fn name_server(plan: &LabPlan, place: Place, host: &Host) -> Part {
    let conf = layout::conf(&format!("{}.conf", host.name)).display().to_string();
    Part {
        command: ["/usr/sbin/knotd", "--config", &conf].map(str::to_owned).into(),
        probe: Probe::Dns { address: host.address, port: plan.ports.dns, name: plan.names.app.clone() },
        ..part(place, PartKind::NameServer, host)
    }
}

fn instance(plan: &LabPlan, region: &Region, app: &Host) -> Part {
    let ports = &plan.ports;
    let env = [
        ("LISTEN", format!("{}:{}", app.address, ports.app)),
        ("DATABASE_HOST", plan.names.db.clone()),
        ("DATABASE_PORT", ports.postgres.to_string()),
        ("DATABASE_NAME", plan.names.database.clone()),
        ("DATABASE_USER", plan.names.app_role.clone()),
        ("DATABASE_PASSWORD_FILE", layout::app_secret(region.place).display().to_string()),
        ("DATABASE_POOL", "8".to_owned()),
        ("INSTANCE", app.name.trim_start_matches(&format!("{}-", region.place.name())).to_owned()),
        ("REGION", region.place.name().to_owned()),
    ];
    Part {
        command: vec![layout::bin("events-app").display().to_string()],
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        probe: Probe::http(app, ports.app, "/readyz"),
        ..part(region.place, PartKind::App, app)
    }
}

fn keeper(plan: &LabPlan, place: Place, host: &Host, who: &[&str]) -> Part {
    let manifest = layout::lab().join(manifest::FILE).display().to_string();
    let command = [layout::bin("bascule").display().to_string(), "--manifest".to_owned(), manifest];
    let command = command.into_iter().chain(["keeper"].iter().chain(who).map(ToString::to_string));
    Part {
        command: command.collect(),
        // It is in its place already.
        env: vec![(INSIDE_LAB.to_owned(), layout::lab().display().to_string())],
        probe: Probe::http(host, plan.ports.keeper, "/healthz"),
        ..part(place, PartKind::Keeper, host)
    }
}

/// The delaying proxy of a region.
#[must_use]
pub fn slow_link(plan: &LabPlan, region: &Region, delay_ms: u64) -> Part {
    let ports = &plan.ports;
    let lb = region.lb.address;
    let route = |from: u16, to: u16| format!("--route={lb}:{from}={lb}:{to}");
    let name = format!("{}-slow-link", region.place.name());
    Part {
        command: vec![
            layout::bin("bascule").display().to_string(),
            "lab".to_owned(),
            "delay-proxy".to_owned(),
            format!("--delay-ms={delay_ms}"),
            route(ports.slow_replication, ports.replication),
            route(ports.slow_db_ingress, ports.db_ingress),
        ],
        probe: Probe::Tcp { address: lb, port: ports.slow_replication },
        name,
        ..part(region.place, PartKind::SlowLink, &region.lb)
    }
}

/// Five etcd on a small machine: one thread each is enough for what they do, and an eager collector keeps them small.
fn go_limits() -> Vec<(String, String)> {
    [("GOMAXPROCS", "1"), ("GOGC", "50")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Makes what a part needs before it starts: a gate that is closed, a zone that was never served.
///
/// # Errors
/// When a file can't be written.
pub fn prepare(part: &Part, privilege: Privilege) -> anyhow::Result<()> {
    match part.kind {
        PartKind::LoadBalancer => {
            let map = layout::data(&part.host).join("gate.map");
            std::fs::write(&map, haproxy::gate_at_boot()).context("close the gate")?;
            privilege.give(&map)
        }
        PartKind::NameServer => {
            let zone = layout::data(&part.host).join("zone");
            if !zone.exists() {
                std::fs::copy(layout::conf("events.test.zone"), &zone).context("copy the zone")?;
                privilege.give(&zone)?;
            }
            Ok(())
        }
        PartKind::Dcs
        | PartKind::Store
        | PartKind::Pool
        | PartKind::Node
        | PartKind::App
        | PartKind::Keeper
        | PartKind::SlowLink
        | PartKind::StorageSync
        | PartKind::Backup
        | PartKind::Monitor
        | PartKind::Repository
        | PartKind::RepositorySync => Ok(()),
        PartKind::Storage => trust(&part.host, privilege),
    }
}

/// Shows the storage its keys, where it looks for them: in its home.
fn trust(host: &Host, privilege: Privilege) -> anyhow::Result<()> {
    let folder = layout::data(host).join(".seaweedfs");
    if !folder.exists() {
        std::fs::create_dir(&folder).context("make the folder of the storage's keys")?;
        std::os::unix::fs::symlink(layout::conf(seaweed::SECURITY), folder.join("security.toml"))
            .context("link the storage's keys")?;
        privilege.give(&folder)?;
    }
    Ok(())
}
