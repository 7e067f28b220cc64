//! The lab itself, run for real: started, used, broken in every way, healed, killed, and gone without a trace.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod rig;
mod whole;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use rig::{Lab, eventually};

const EAST_LB: &str = "10.77.1.20";
const WEST_LB: &str = "10.77.2.20";

/// The application registers a user and keeps an event for it, by the public name.
fn uses_the_application(lab: &Lab) {
    let app = "http://app.events.test";
    let json = ["-H", "content-type: application/json", "-d"];
    let name = r#"{"name": "somebody"}"#;
    let (status, body) =
        lab.http("clients", &format!("{app}/auth/register"), &[&json[..], &[name]].concat()).unwrap();
    assert_eq!(status, 201, "{body}");
    let text: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = text["dataset"]["token"].as_str().unwrap_or_else(|| panic!("no token in {body}"));
    assert_eq!(token.len(), 50);
    let bearer = format!("authorization: Bearer {token}");
    let event = [&["-H", &bearer], &json[..], &[r#"{"name": "first"}"#]].concat();
    let (status, body) = lab.http("clients", &format!("{app}/events"), &event).unwrap();
    assert_eq!(status, 201, "{body}");
    let (status, body) = lab.http("clients", &format!("{app}/events"), &["-H", &bearer]).unwrap();
    assert!(status == 200 && body.contains("first"), "{status} {body}");
}

fn refuses_wrong_names(lab: &Lab) {
    for (args, hint) in [
        (&["break", "region-loss", "mars"][..], "us-east-2, us-west-1"),
        (&["break", "node-loss", "db9"], "us-east-2-db1, us-east-2-db2"),
        (&["break", "disk-full", "witness"], "us-west-1-db3"),
        (&["break", "partition", "us-east-2:mars"], "witness, clients"),
        (&["break", "partition"], "--db-link"),
        (&["break", "slow-link", "0"], "1 to 1000 ms"),
        (&["heal", "mars"], "us-east-2, us-west-1"),
        (&["exec", "--at", "mars", "--", "true"], "witness, clients"),
    ] {
        let output = lab.lab(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(hint), "{args:?}: {said}");
    }
    assert_eq!(lab.status()["faults"], serde_json::json!([]));
}

fn survives_the_crash_of_a_database(lab: &Lab) {
    lab.sql("create table crash (n int); insert into crash values (1)").unwrap();
    let leader = lab.with_role("us-east-2", "leader").unwrap();
    lab.does(&["break", "db-crash", "us-east-2"]);
    assert!(eventually(|| lab.sql("insert into crash values (2)").is_ok()));
    assert!(lab.sql("select count(*) from crash").unwrap().parse::<u32>().unwrap() >= 2);
    lab.until_healthy();
    assert_ne!(lab.health()[&leader], "exited", "Patroni lives on");
}

fn loses_a_node_and_gets_it_back(lab: &Lab) {
    lab.does(&["break", "node-loss", "us-west-1-db1"]);
    assert_eq!(lab.health()["us-west-1-db1"], "exited");
    assert!(!lab.connects("us-west-1", "10.77.2.11", 5432), "its database is gone, too");
    lab.does(&["heal", "us-west-1"]);
    // It may have led its region, whose lock then runs out first.
    lab.until_healthy();
}

fn drops_what_a_partition_names(lab: &Lab) {
    assert!(lab.arrives("us-east-2", "us-west-1", WEST_LB));
    lab.does(&["break", "partition", "--one-way", "us-west-1:us-east-2"]);
    assert!(lab.arrives("us-east-2", "us-west-1", WEST_LB), "the other way is open");
    assert!(!lab.arrives("us-west-1", "us-east-2", EAST_LB));
    lab.does(&["heal"]);
    lab.does(&["break", "partition", "us-east-2:us-west-1"]);
    assert!(!lab.arrives("us-east-2", "us-west-1", WEST_LB));
    assert!(lab.connects("clients", EAST_LB, 80) && lab.connects("witness", WEST_LB, 80));
    lab.does(&["break", "partition", "us-east-2"]);
    assert!(!lab.connects("clients", EAST_LB, 80));
    lab.does(&["heal"]);
    lab.does(&["break", "partition", "--db-link"]);
    assert!(!lab.connects("us-west-1", EAST_LB, 5434) && !lab.connects("us-west-1", EAST_LB, 5433));
    assert!(lab.connects("us-west-1", EAST_LB, 80), "only the database's link is cut");
    lab.does(&["heal"]);
    assert!(lab.connects("us-west-1", EAST_LB, 5434));
    lab.until_healthy();
}

/// Time from asking PostgreSQL for TLS by the replication path until it answers, in milliseconds.
fn replication_round_trip_ms(lab: &Lab) -> f64 {
    const ASK: &str = "import socket,sys,time
s=socket.create_connection((sys.argv[1],5434),5); t=time.time()
s.sendall(bytes([0,0,0,8,4,210,22,47])); s.recv(1); print((time.time()-t)*1000)";
    lab.at("us-west-1", &["/usr/bin/python3", "-c", ASK, EAST_LB]).unwrap().parse().unwrap()
}

fn slows_the_link(lab: &Lab) {
    lab.does(&["break", "slow-link", "150"]);
    assert!(replication_round_trip_ms(lab) >= 300.0, "150 ms each way");
    assert_eq!(lab.sql_at("us-west-1", "10.77.2.21", "select 1").unwrap(), "1", "late is not lost");
    lab.until_healthy();
    lab.does(&["heal"]);
    assert!(replication_round_trip_ms(lab) < 300.0);
    lab.until_healthy();
}

fn freezes_and_wakes_a_region(lab: &Lab) {
    lab.does(&["break", "region-freeze", "us-west-1"]);
    let health = lab.health();
    let frozen = |name: &str| health[name] == "frozen";
    assert!(["us-west-1-lb", "us-west-1-db1", "us-west-1-app1", "us-west-1-store"].into_iter().all(frozen));
    assert_eq!(health["us-east-2-lb"], "healthy");
    assert!(lab.http("clients", &format!("http://{WEST_LB}/healthz"), &[]).is_err());
    lab.does(&["heal", "us-west-1"]);
    assert_eq!(lab.http("clients", &format!("http://{WEST_LB}/healthz"), &[]).unwrap().0, 200);
    lab.until_healthy();
}

fn fills_a_disk(lab: &Lab) {
    let leader = lab.with_role("us-east-2", "leader").unwrap();
    lab.does(&["break", "disk-full", &leader]);
    let error =
        lab.sql("create table big as select repeat(md5(i::text), 20) from generate_series(1, 20000) i");
    let error = error.unwrap_err();
    assert!(error.contains("No space left on device") || error.contains("server closed"), "{error}");
    lab.does(&["heal"]);
    assert!(eventually(|| lab.sql("create table if not exists room (n int)").is_ok()));
    lab.until_healthy();
}

fn loses_a_region_and_returns_it_closed(lab: &Lab) {
    lab.does(&["break", "region-loss", "us-east-2"]);
    let health = lab.health();
    let east: Vec<_> = health.iter().filter(|(name, _)| name.starts_with("us-east-2")).collect();
    assert!(east.len() == 11 && east.iter().all(|(_, health)| *health == "exited"), "{east:?}");
    assert!(!lab.connects("clients", EAST_LB, 80));
    assert!(
        lab.at("clients", &["getent", "hosts", "app.events.test"]).unwrap().starts_with(EAST_LB),
        "names outlive it"
    );
    lab.does(&["heal", "us-east-2"]);
    assert!(
        eventually(|| lab.with_role("us-east-2", "leader").is_some()),
        "its database leads its own region"
    );
    assert!(!lab.health().values().any(|health| health == "exited"));
    // Its load balancer answers and its database takes writes, but the gate lets nobody through.
    let map = "exec 3<>/dev/tcp/10.77.1.20/9999; echo 'show map /run/bascule/data/us-east-2-lb/gate.map' >&3; cat <&3";
    assert!(lab.at("clients", &["bash", "-c", map]).unwrap().contains("db closed"));
    assert!(lab.sql("select 1").is_err());
}

#[test]
fn every_fault_has_its_effect_and_is_healed() {
    let lab = Lab::up("faults");
    let status = lab.status();
    let parts = status["parts"].as_array().unwrap().len();
    assert_eq!(parts, 24, "6 databases, 6 applications, 5 etcd, 3 name servers, 2 pools, 2 load balancers");
    let memory = status["memory_bytes"].as_u64().unwrap() + status["disk_bytes"].as_u64().unwrap();
    assert!(memory < 1_200_000_000, "{memory} bytes, memory disks included");
    for secret in std::fs::read_dir(lab.dir.join("secrets")).unwrap() {
        assert_eq!(secret.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    uses_the_application(&lab);
    refuses_wrong_names(&lab);
    drops_what_a_partition_names(&lab);
    slows_the_link(&lab);
    freezes_and_wakes_a_region(&lab);
    loses_a_node_and_gets_it_back(&lab);
    survives_the_crash_of_a_database(&lab);
    fills_a_disk(&lab);
    loses_a_region_and_returns_it_closed(&lab);

    lab.does(&["down"]);
    assert!(!lab.dir.exists(), "no file is left");
    assert_eq!(lab.processes(), 0, "no process is left");
}

#[test]
fn two_labs_do_not_meet_and_the_death_of_one_leaves_nothing_of_it() {
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Lab::up("one"));
        let two = Lab::up("two");
        (one.join().unwrap(), two)
    });
    one.sql("create table here (n int)").unwrap();
    assert!(two.sql("select * from here").is_err(), "the same addresses, another lab");
    let visitor = std::thread::scope(|scope| {
        let visitor = scope.spawn(|| two.at("clients", &["sleep", "600"]));
        assert!(eventually(|| two
            .at("clients", &["sh", "-c", "ps -o args= -e | grep -qx 'sleep 600'"])
            .is_ok()));

        let begun = Instant::now();
        one.kill_outermost();
        assert!(eventually(|| one.processes() == 0), "{} processes outlive their lab", one.processes());
        assert!(begun.elapsed().as_secs() < 10);
        one.does(&["down"]);
        assert!(!one.dir.exists(), "what a dead lab left can be removed");
        assert_eq!(two.sql("select 1").unwrap(), "1", "the other one never noticed");

        two.does(&["down", "--keep"]);
        visitor.join().unwrap()
    });
    assert!(visitor.is_err(), "`down` ends what was run inside");
    assert_eq!(two.processes(), 0);
    assert!(two.dir.join("log/us-east-2-db1.log").exists(), "--keep keeps the logs");
    std::fs::remove_dir_all(&two.dir).unwrap();
}

#[test]
fn an_ordinary_user_can_have_a_lab() {
    let lab = Lab::up_as_nobody("nobody");
    uses_the_application(&lab);
    lab.does(&["break", "disk-full", "us-west-1-db1"]);
    lab.does(&["break", "slow-link", "20"]);
    lab.does(&["break", "partition", "witness"]);
    lab.does(&["heal"]);
    lab.does(&["break", "region-loss", "us-west-1"]);
    lab.does(&["heal"]);
    assert_eq!(lab.sql("select 1").unwrap(), "1");
    whole::keeps_what_it_stores(&lab);
    lab.does(&["down"]);
    assert!(!lab.dir.exists() && lab.processes() == 0);
}
