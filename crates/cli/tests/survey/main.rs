//! `bascule check` and `bascule inventory` of a running site: every check holds on a lab as it comes up, and what is
//! broken is what is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod looking;
#[path = "../lab/rig.rs"]
#[allow(dead_code, reason = "the lab's own tests use the rest")]
mod rig;

use std::time::{Duration, Instant};

use looking::Looking;

const EAST: &str = "us-east-2";
const WEST: &str = "us-west-1";
/// The survey's own limit is 2.5 s; entering the lab and printing take the rest, on cores that a lab keeps busy.
const SOON: Duration = Duration::from_millis(3_500);

/// One lab, in sequence: labs take longer to start than all of this.
#[test]
fn each_thing_that_is_broken_fails_its_own_check_and_no_other() {
    let site = Looking::at("survey");
    site.finds(&[], &[]);
    the_inventory_says_how_each_asset_is_protected(&site);
    broken_parts(&site);
    broken_settings(&site);
    broken_names(&site);
    a_secret_that_differs(&site);
    a_right_that_was_taken(&site);
    a_region_that_is_gone(&site);
}

fn the_inventory_says_how_each_asset_is_protected(site: &Looking) {
    let said = site.bascule(&["inventory", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let assets = said.json()["assets"].as_array().unwrap().clone();
    let protection = |kind: &str| {
        let of_kind = assets.iter().filter(|asset| asset["kind"] == kind);
        of_kind.map(|asset| asset["protection"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(protection("database"), ["replicated"]);
    assert_eq!(protection("compute"), ["deployed"]);
    assert_eq!(protection("load_balancer"), ["deployed"]);
    assert_eq!(protection("dns"), ["provider managed"; 2]);
    assert!(assets.iter().all(|asset| !asset["evidence"].as_array().unwrap().is_empty()));
    let text = site.bascule(&["inventory"]).out;
    assert!(text.contains("Database cluster events: replicated"), "{text}");
    assert!(
        text.contains("3 of 3 well in us-east-2; 3 of 3 well in us-west-1; wanted: 3 per region"),
        "{text}"
    );
}

fn broken_parts(site: &Looking) {
    let replica = site.lab.with_role(WEST, "replica").unwrap();
    site.lab.does(&["break", "node-loss", &replica]);
    site.finds(&["BSC-C012"], &[]);
    let app = site.part(WEST, "app");
    site.lab.does(&["break", "part-loss", &app]);
    // what a dead instance runs nobody can say
    site.finds(&["BSC-C012", "BSC-C014", "BSC-C017"], &["BSC-C033"]);
    let keeper = site.part(EAST, "keeper");
    site.lab.does(&["break", "part-loss", &keeper]);
    site.finds(&["BSC-C012", "BSC-C014", "BSC-C017"], &["BSC-C033", "BSC-C049"]);
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
}

fn broken_settings(site: &Looking) {
    site.patroni(EAST, r#"{"pause": true}"#);
    site.finds(&["BSC-C019"], &[]);
    site.patroni(EAST, r#"{"pause": null}"#);
    site.finds(&[], &[]);

    site.patroni(EAST, r#"{"slots": {"for_somebody": {"type": "physical"}}}"#);
    site.finds(&[], &[]);
    site.patroni(EAST, r#"{"pause": true, "slots": {"for_nobody": {"type": "nonsense"}}}"#);
    // a slot that is asked for and that nobody makes
    site.finds(&["BSC-C019", "BSC-C023"], &[]);
    site.patroni(EAST, r#"{"pause": null, "slots": null}"#);
    site.finds(&[], &[]);

    let leader = site.lab.with_role(WEST, "standby_leader").unwrap();
    site.superuser(WEST, &leader, "ALTER SYSTEM SET wal_keep_size = '32MB'");
    site.superuser(WEST, &leader, "SELECT pg_reload_conf()");
    let said = site.finds(&["BSC-C024"], &[]);
    assert!(said.out.contains("us-west-1: wal_keep_size = "), "it names what differs: {}", said.out);
    site.superuser(WEST, &leader, "ALTER SYSTEM RESET wal_keep_size");
    site.superuser(WEST, &leader, "SELECT pg_reload_conf()");
    site.finds(&[], &[]);
}

fn broken_names(site: &Looking) {
    let name = "app.events.test.";
    let address = site.lab.at("clients", &["kdig", "+short", "@10.77.3.53", name]).unwrap();
    site.zone(&format!("update delete {name} A\nupdate add {name} 300 A {address}"));
    site.finds(&["BSC-C029"], &[]);
    site.zone(&format!("update delete {name} A"));
    site.finds(&["BSC-C031"], &["BSC-C028", "BSC-C029"]);
    site.zone(&format!("update add {name} 1 A {address}"));
    site.finds(&[], &[]);
}

/// In the manifest, since every instance of a lab reads the same file.
fn a_secret_that_differs(site: &Looking) {
    std::fs::write(site.lab.dir.join("secrets/other"), "not the same").unwrap();
    let text = std::fs::read_to_string(site.lab.dir.join("bascule.toml")).unwrap();
    let (before, west) = text.split_once(&format!("[[regions.{WEST}.secrets]]")).unwrap();
    let changed = west.replacen("secrets/app", "secrets/other", 1);
    assert_ne!(west, changed);
    let text = format!("{before}[[regions.{WEST}.secrets]]{changed}");
    std::fs::write(site.lab.dir.join("other.toml"), text).unwrap();
    let said = site.bascule_on("other.toml", &["check"]);
    assert_eq!(said.code, Some(3), "{}", said.out);
    assert!(said.out.starts_with("fails    BSC-C035"), "{}", said.out);
    assert!(!said.out.contains("not the same"), "its text stays where it is");
}

fn a_right_that_was_taken(site: &Looking) {
    let primary = site.lab.with_role(EAST, "leader").unwrap();
    site.superuser(EAST, &primary, "ALTER ROLE bascule NOSUPERUSER REPLICATION");
    let said = site.until("the right is missed", |seen| seen.fails.contains("BSC-C047"));
    let others: Vec<_> = said.fails.iter().filter(|code| *code != "BSC-C047").collect();
    assert!(others.is_empty(), "what it may no longer see is unknown, and not wrong: {others:?}");
    site.superuser(EAST, &primary, "ALTER ROLE bascule SUPERUSER NOREPLICATION");
    site.finds(&[], &[]);
}

fn a_region_that_is_gone(site: &Looking) {
    site.lab.does(&["break", "region-loss", WEST]);
    let begun = Instant::now();
    let said = site.bascule(&["check"]);
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    assert!(said.out.contains("not observed"), "{}", said.out);
    assert!(said.err.contains("warning: nothing of us-west-1 answers"), "{}", said.err);
    let one = site.bascule(&["check", "--only", "BSC-C019", "--json"]);
    assert_eq!(one.code, Some(8), "it is not known of the region that is gone: {}", one.out);
    let answers: Vec<String> = one.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["answer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(answers, ["holds", "unknown"], "the other region's is");
}
