//! The planner: each finding by one change to a healthy site, and laws that hold for every plan.

mod abandoned;
mod explained;
mod findings;
mod guarded;
mod laws;
mod pages;
mod restored;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bascule_core::id::{Epoch, RegionName};
use bascule_core::manifest::Manifest;
use bascule_core::observation::{
    AddressRecord, ClusterRole, ComputeObservation, DatabaseObservation, GateObservation, GateState,
    LastMove, MemberObservation, NameAnswer, Observation, Observed, PoolObservation, RegionObservation,
};
use bascule_core::plan::Kind;
use bascule_core::planner::{self, Assessment, Request};
use bascule_core::position::{Lsn, Position, Timeline};
use bascule_core::tenure::Tenure;
use bascule_core::time::Timestamp;

const NOW: Timestamp = Timestamp(1_000_000);

/// Read once: the laws ask for it a hundred thousand times.
fn manifest() -> &'static Manifest {
    static MANIFEST: OnceLock<Manifest> = OnceLock::new();
    let text = include_str!("../manifest/right.toml");
    MANIFEST.get_or_init(|| Manifest::parse(text).expect("the right manifest is right"))
}

fn east() -> RegionName {
    "us-east-2".parse().expect("a region")
}

fn west() -> RegionName {
    "us-west-1".parse().expect("a region")
}

fn seen<T>(value: T) -> Observed<T> {
    Observed::Seen { value, at: NOW }
}

fn unseen<T>() -> Observed<T> {
    Observed::NotObserved { why: "no answer within 1000 ms".to_owned() }
}

fn at(timeline: u32, lsn: u64) -> Option<Position> {
    Some(Position { timeline: Timeline(timeline), lsn: Lsn(lsn) })
}

fn database(region: &RegionName, role: ClusterRole) -> DatabaseObservation {
    let standby = role == ClusterRole::Standby;
    let member = |number: u32, leads: bool| MemberObservation {
        name: format!("{region}-db{number}").parse().expect("a member"),
        leads,
        state: if leads { "running" } else { "streaming" }.to_owned(),
        timeline: Some(Timeline(1)),
        lag_bytes: Some(0),
    };
    DatabaseObservation {
        role,
        leader: Some(format!("{region}-db1").parse().expect("a member")),
        system_id: "7400000000000000000".to_owned(),
        position: at(1, 5_000),
        received: if standby { at(1, 5_000) } else { None },
        newest_replayed_age_ms: standby.then_some(40),
        streaming: standby,
        silent_ms: standby.then_some(10),
        followed_after_us: (!standby).then_some(31_000),
        members: vec![member(1, true), member(2, false), member(3, false)],
    }
}

fn region(name: &RegionName, role: ClusterRole, gate: GateState) -> RegionObservation {
    let servers_up = u32::from(role == ClusterRole::Primary);
    RegionObservation {
        database: seen(database(name, role)),
        gate: seen(GateObservation { state: gate, epoch: Epoch(1), servers_up }),
        pool: seen(PoolObservation { held: false, clients: 20, waiting: 0 }),
        compute: seen(ComputeObservation { alive: 2, ready: 2, wanted: 2 }),
        lost_since: None,
    }
}

/// East is active, west follows, nothing is wrong.
fn healthy() -> Observation {
    let manifest = manifest();
    let answer = |record: &bascule_core::manifest::NameRecord| {
        let addresses = vec![manifest.address(record, &east())];
        let record = AddressRecord { addresses, ttl_s: 1 };
        let servers = ["10.77.1.53:53", "10.77.2.53:53"];
        servers.map(|s| NameAnswer { server: s.to_owned(), answer: seen(record.clone()) }).to_vec()
    };
    Observation {
        at: NOW,
        tenure: seen(Tenure {
            epoch: Epoch(1),
            active: east(),
            since: Timestamp(0),
            by: None,
            renewals: 0,
            settled: true,
            released: None,
        }),
        open_operation: seen(None),
        last_move: seen(LastMove::Finished),
        regions: BTreeMap::from([
            (east(), region(&east(), ClusterRole::Primary, GateState::Local)),
            (west(), region(&west(), ClusterRole::Standby, GateState::Remote)),
        ]),
        names: manifest.names.records.iter().map(|r| (r.name.clone(), answer(r))).collect(),
    }
}

/// East's database is gone; its load balancer and its hosts still answer.
fn crippled() -> Observation {
    let mut observation = healthy();
    let lost = observation.regions.get_mut(&east()).expect("it is there");
    lost.database = unseen();
    lost.compute = seen(ComputeObservation { alive: 2, ready: 0, wanted: 2 });
    let left = observation.regions.get_mut(&west()).expect("it is there");
    left.compute = seen(ComputeObservation { alive: 2, ready: 0, wanted: 2 });
    if let Observed::Seen { value, .. } = &mut left.database {
        value.streaming = false;
    }
    observation
}

/// Nothing of east answers.
fn dark() -> Observation {
    let mut observation = crippled();
    let lost = observation.regions.get_mut(&east()).expect("it is there");
    (lost.gate, lost.pool, lost.compute) = (unseen(), unseen(), unseen());
    lost.lost_since = Some(NOW);
    observation
}

/// West is active; east has returned and follows, and its gate is still closed.
fn returned() -> Observation {
    let mut observation = healthy();
    observation.tenure = seen(Tenure {
        epoch: Epoch(2),
        active: west(),
        since: Timestamp(0),
        by: None,
        renewals: 0,
        settled: true,
        released: None,
    });
    observation.regions = BTreeMap::from([
        (east(), region(&east(), ClusterRole::Standby, GateState::Closed)),
        (west(), region(&west(), ClusterRole::Primary, GateState::Local)),
    ]);
    observation
}

/// East is active, and its load balancer was restarted.
fn restarted() -> Observation {
    let mut observation = healthy();
    let region = observation.regions.get_mut(&east()).expect("it is there");
    region.gate = seen(GateObservation { state: GateState::Closed, epoch: Epoch(0), servers_up: 0 });
    observation
}

fn request(kind: Kind, to: RegionName) -> Request {
    Request { kind, to, accept_loss_ms: None, accept_unsaved: false, measured_pauses_ms: Vec::new() }
}

fn assess(observation: &Observation, request: &Request) -> Assessment {
    planner::plan(manifest(), observation, request)
}

/// The healthy starting point of each kind of operation.
fn start(kind: Kind) -> (Observation, Request) {
    match kind {
        Kind::Switchover => (healthy(), request(kind, west())),
        Kind::Failover => (crippled(), request(kind, west())),
        Kind::Reinstate => (returned(), request(kind, east())),
        Kind::Restore => (restarted(), request(kind, east())),
    }
}
