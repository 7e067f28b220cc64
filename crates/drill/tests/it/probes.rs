//! The probes and the look-up by SQL against a real PostgreSQL.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bascule_drill::overlap::double_writer;
use bascule_drill::recording::{Probe, ProbeOutcome};
use bascule_drill::{FrontDoor, Load, LoadPlan, Lookup, ProbeTarget, Recording, lookup_sql};
use tokio::net::TcpListener;

use crate::knot::Knot;
use crate::postgres::Postgres;
use crate::site::Site;

const LIMIT: Duration = Duration::from_secs(20);

/// Loads a small site for `writes` writes while the regions are probed; calls `halfway` in the middle.
async fn probed(
    postgres: &Postgres,
    east: SocketAddr,
    west: SocketAddr,
    writes: u64,
    halfway: impl AsyncFnOnce(),
) -> (Recording, FrontDoor) {
    let site = Site::new();
    let instance = site.listen("app1.here", (Ipv4Addr::LOCALHOST, 0)).await;
    let knot = Knot::start("app 1 A 127.0.0.1");
    let dir = tempfile::tempdir().unwrap();
    let host = "app.events.test".parse().unwrap();
    let mut plan = LoadPlan::new(dir.path().join("run"), "r1", host, vec![knot.address]);
    plan.port = instance.address.port();
    let target = |region: &str, ingress| ProbeTarget { region: region.parse().unwrap(), ingress };
    plan.probes = vec![target("us-east-2", east), target("us-west-1", west)];
    plan.probe_login = Some(postgres.login());
    let load = Load::start(plan).await.unwrap();
    load.wait_for_acks(writes / 2, LIMIT).await.unwrap();
    halfway().await;
    load.wait_for_acks(load.acked_count() + writes / 2, LIMIT).await.unwrap();
    let front = load.front_door();
    (load.stop().await.unwrap(), front)
}

/// An address that refuses connections while it is held.
fn nobody() -> (std::net::UdpSocket, SocketAddr) {
    // A UDP socket keeps the number from the tests' other UDP servers; nobody listens on it over TCP.
    let socket = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn of<'a>(recording: &'a Recording, region: &str) -> Vec<&'a Probe> {
    recording.probes.iter().filter(|probe| probe.region.as_str() == region).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_writes_accepts_and_one_where_nobody_listens_refuses() {
    let postgres = Postgres::start().await;
    let (_held, closed) = nobody();
    let (recording, _) = probed(&postgres, postgres.address, closed, 100, async || {}).await;
    let east = of(&recording, "us-east-2");
    let accepted = east.iter().filter(|probe| probe.outcome == ProbeOutcome::Accepted).count();
    assert!(accepted >= 20, "{accepted} in a second");
    let west = of(&recording, "us-west-1");
    assert!(!west.is_empty() && west.iter().all(|probe| probe.outcome == ProbeOutcome::Refused));
    assert!(double_writer(&recording.probes).possible.is_zero());

    let session = postgres.session("events").await.unwrap();
    let row = session.query_one("select count(*) from bascule_probe", &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) <= 64, "rows are used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ways_to_a_database_that_writes_are_two_writers() {
    let postgres = Postgres::start().await;
    let (recording, _) = probed(&postgres, postgres.address, postgres.address, 100, async || {}).await;
    let found = double_writer(&recording.probes);
    assert!(found.proven > Duration::from_millis(300), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_read_only_refuses_from_then_on() {
    let postgres = Postgres::start().await;
    let (_held, closed) = nobody();
    let session = postgres.session("postgres").await.unwrap();
    let read_only = async || {
        let change = "alter database events set default_transaction_read_only = on";
        session.batch_execute(change).await.unwrap();
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'events'";
        session.batch_execute(cut).await.unwrap();
    };
    let (recording, _) = probed(&postgres, postgres.address, closed, 100, read_only).await;
    let east = of(&recording, "us-east-2");
    let last = east.iter().rposition(|probe| probe.outcome == ProbeOutcome::Accepted).unwrap();
    let after = &east[last + 1..];
    assert!(after.iter().any(|probe| probe.outcome == ProbeOutcome::Refused));
    let why = after.last().and_then(|probe| probe.detail.clone()).unwrap_or_default();
    assert!(why.contains("read-only transaction"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_says_nothing_is_unseen_and_one_that_hangs_up_refuses() {
    let postgres = Postgres::start().await;
    // Connections to it wait in the kernel's queue: nobody takes them, as with a frozen region.
    let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (recording, _) =
        probed(&postgres, postgres.address, frozen.local_addr().unwrap(), 300, async || {}).await;
    let west = of(&recording, "us-west-1");
    assert!(!west.is_empty() && west.iter().all(|probe| probe.outcome == ProbeOutcome::Unseen));

    // A load balancer without a server takes a connection and closes it.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    let hang_up = tokio::spawn(async move { while closed.accept().await.is_ok() {} });
    let (recording, _) = probed(&postgres, postgres.address, address, 50, async || {}).await;
    hang_up.abort();
    let west = of(&recording, "us-west-1");
    assert!(!west.is_empty() && west.iter().all(|probe| probe.outcome == ProbeOutcome::Refused));
}

#[tokio::test]
async fn sql_finds_the_writes_of_the_run_and_those_stored_twice() {
    let postgres = Postgres::start().await;
    let session = postgres.session("events").await.unwrap();
    let fill = "create table events (id bigint generated always as identity primary key, name text not null);
        insert into events (name) select 'w-r1-' || n from generate_series(1, 12000) n;
        insert into events (name) values ('w-r1-7'), ('w-r2-20000'), ('w-r1-20000-1'), ('w-r1-x')";
    session.batch_execute(fill).await.unwrap();
    let config = postgres.config("events");
    let Lookup::Read(found) = lookup_sql(&config, "r1").await else { panic!("it was not read") };
    assert!(found.numbers.iter().copied().eq(1..=12_000), "over more than one page");
    assert_eq!(found.duplicates.into_iter().collect::<Vec<_>>(), [7]);

    session.batch_execute("drop table events").await.unwrap();
    let Lookup::NotRead(why) = lookup_sql(&config, "r1").await else { panic!("there is nothing to read") };
    assert!(why.contains("db error"), "{why}");
}
