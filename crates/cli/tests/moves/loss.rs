//! A region is lost, the other one takes over, and the lost one comes back: with writes that only it has, with
//! none, and on a timeline that has the number of the active one's.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::database::{address, equal_tables, history, leader, observed, sql, timeline, until_primary, well};
use crate::rig::eventually;
use crate::site::{EAST, Said, Site, WEST};

/// Writes a second.
const RATE: u32 = 50;
/// The lab's objective allows that writes of 5 s are lost.
const RPO_MS: u64 = 5_000;

/// What a reinstate saved, a line a row; none if there was nothing to save.
fn saved(site: &Site, reinstated: &Said) -> Vec<Value> {
    let operation = reinstated.json()["operation"].as_str().unwrap().to_owned();
    let path = site.lab.dir.join(format!("reports/{operation}/divergence-{EAST}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&path) else { return Vec::new() };
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "users' rows are the owner's to read");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["version"], 1, "{}", lines[0]);
    for line in &lines[1..] {
        assert!(line["table"].is_string() && line["row"].is_object(), "{line}");
    }
    lines[1..].to_vec()
}

/// The names of the events that were saved.
fn events(rows: &[Value]) -> BTreeSet<String> {
    let events = rows.iter().filter(|line| line["table"] == "public.events");
    events
        .map(|line| {
            assert!(line["key"]["id"].is_u64() && line["key"]["id"] == line["row"]["id"], "{line}");
            line["row"]["name"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Makes the returned region the standby, and asserts that it is one: on the same history, with the same rows.
fn reinstate(site: &Site) -> Said {
    let parted = (history(site, EAST), history(site, WEST));
    assert_ne!(parted.0, parted.1, "both regions promoted, so their histories parted");
    let reinstated = site.bascule(&["reinstate", EAST, "--json"]);
    reinstated.must(0, "");
    assert_eq!(site.at_rest().region, WEST);
    assert_eq!(well(site, EAST), 3, "{:#?}", observed(site, EAST));
    assert_eq!(timeline(site, EAST), timeline(site, WEST));
    assert_eq!(history(site, EAST), history(site, WEST));
    equal_tables(site);
    reinstated
}

fn is_not_left_while_it_is_there(site: &Site) {
    site.bascule(&["failover", "--to", WEST]).must(3, "BSC-P015");
    site.bascule(&["failover", "--to", WEST, "--accept-data-loss", "1h"]).must(3, "BSC-P015");
    site.bascule(&["reinstate", WEST]).must(3, "BSC-P016");
}

/// The standby is cut off, users go on, then their region dies: more may be lost than the objective allows.
fn loss_over_the_objective_is_accepted_by_number_and_set_aside(site: &Site) {
    let load = site.load(RATE);
    site.lab.does(&["break", "partition", "--db-link"]);
    let age = || observed(site, WEST).and_then(|d| d["newest_replayed_age_ms"].as_u64());
    assert!(eventually(|| age().is_some_and(|age| age > RPO_MS + 1_000)));
    site.lab.does(&["break", "region-loss", EAST]);

    let before = site.history().len();
    site.bascule(&["failover", "--to", WEST]).must(3, "BSC-P014");
    site.bascule(&["failover", "--to", WEST, "--accept-data-loss", "1s"]).must(3, "BSC-P014");
    assert_eq!(site.history().len(), before, "a refusal begins nothing");
    let moved = site.bascule(&["failover", "--to", WEST, "--accept-data-loss", "1m", "--json"]);
    let told = moved.must(0, "").json()["loss_ms"].as_u64().unwrap();
    assert!((RPO_MS..60_000).contains(&told), "{told} ms");
    let count =
        || sql(site, &leader(site, WEST), "select count(*) from events").unwrap().parse::<u32>().unwrap();
    let first = count();
    assert!(eventually(|| count() > first + RATE), "users write in the region that took over");
    let users = load.end_load();
    let lost = users["lost_writes"].as_u64().unwrap();
    assert!(lost >= u64::from(RATE) * 4, "{users:#}");
    assert_eq!(users["double_writer_ms"], 0, "{users:#}");

    site.lab.does(&["heal"]);
    until_primary(site, EAST);
    let rows = saved(site, &reinstate(site));
    let kept = events(&rows);
    let run = users["run"].as_str().unwrap();
    for number in users["lost"].as_array().unwrap() {
        let name = format!("w-{run}-{number}");
        assert!(kept.contains(&name), "{name} was acknowledged, is lost, and is not in the file");
    }
    assert!(kept.len() as u64 >= lost, "{} of {lost} lost writes are in the file", kept.len());
    eprintln!(
        "cut off, then lost: {lost} acknowledged writes lost (told: {told} ms), {} rows saved",
        rows.len()
    );
}

fn a_drill_gives_its_verdict(site: &Site) {
    let drill = site.bascule(&["drill", "region-loss", EAST, "--json", "--rate", "50"]);
    let report = drill.must(0, "").json();
    for (field, value) in [("drill", "region-loss"), ("from", EAST), ("to", WEST), ("verdict", "met")] {
        assert_eq!(report[field].as_str().unwrap().replace('_', "-"), value, "{report:#}");
    }
    let ms = |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("{field}: {report:#}"));
    assert!(ms("acknowledged") > 100 && ms("rto_ms") <= 60_000 && ms("rpo_ms") <= RPO_MS);
    assert!(ms("write_pause_ms") <= ms("rto_ms") + 1_000 && ms("double_writer_ms") == 0);
    assert!(report["phases"].as_array().unwrap().iter().any(|phase| phase["name"] == "commit"));
    assert!(site.status()["regions"][EAST]["lost_since"].is_u64());
    let (rto, lost) = (ms("rto_ms"), ms("lost_writes"));
    eprintln!(
        "drill: RTO {rto} ms, {} ms after the command, {lost} writes lost",
        ms("detection_to_first_write_ms")
    );
    site.lab.does(&["heal"]);
    until_primary(site, EAST);
}

/// Both regions call their timeline by one number, and have other rows on it under one key: neither Patroni nor
/// `pg_rewind` would see that they parted.
fn equal_numbers_are_told_apart(site: &Site) {
    let wanted = timeline(site, WEST);
    let old = leader(site, EAST);
    let next = if old.ends_with('1') { format!("{EAST}-db2") } else { format!("{EAST}-db1") };
    // PostgreSQL promotes to the number after the last history file that it finds.
    let folder = sql(site, &next, "select current_setting('data_directory')").unwrap();
    for skipped in timeline(site, EAST) + 1..wanted {
        let file = format!("{folder}/pg_wal/{skipped:08X}.history");
        sql(site, &next, &format!("copy (select where false) to '{file}'")).unwrap();
    }
    let password = std::fs::read_to_string(site.lab.dir.join("secrets/patroni_rest")).unwrap();
    let (login, url) = (format!("bascule:{password}"), format!("http://{}:8008/switchover", address(&old)));
    let body = format!(r#"{{"leader": "{old}", "candidate": "{next}"}}"#);
    site.lab.at("clients", &["curl", "-sSf", "-u", &login, "-d", &body, &url]).unwrap();
    assert!(eventually(|| leader(site, EAST) == next && timeline(site, EAST) == wanted));
    until_primary(site, EAST);

    let insert = |region: &str, name: &str| {
        let row = format!("select 1000000, min(id), '{name}' from users");
        let insert = format!("insert into events (id, owner, name) overriding system value {row}");
        sql(site, &leader(site, region), &insert).unwrap();
    };
    insert(EAST, "only there");
    insert(WEST, "here");
    assert_eq!(timeline(site, EAST), timeline(site, WEST), "the trap is set");
    let rows = saved(site, &reinstate(site));
    assert!(events(&rows).contains("only there") && !events(&rows).contains("here"));
    let row = "select name from events where id = 1000000";
    for region in [EAST, WEST] {
        assert_eq!(sql(site, &leader(site, region), row).unwrap(), "here", "{region}");
    }
}

fn nothing_is_set_aside_when_nothing_was_written(site: &Site) {
    site.lab.does(&["break", "region-loss", EAST]);
    site.bascule(&["failover", "--to", WEST]).must(0, "succeeded");
    site.lab.does(&["heal"]);
    until_primary(site, EAST);
    let rows = saved(site, &reinstate(site));
    // What an instance's readiness probe wrote in its last instant is all there may be.
    assert!(rows.iter().all(|line| line["table"] == "public.readiness"), "{rows:?}");
}

#[test]
fn a_lost_region_fails_over_and_comes_back() {
    let site = Site::up("loss");
    is_not_left_while_it_is_there(&site);
    loss_over_the_objective_is_accepted_by_number_and_set_aside(&site);
    site.moves_to(EAST);
    a_drill_gives_its_verdict(&site);
    equal_numbers_are_told_apart(&site);
    site.moves_to(EAST);
    nothing_is_set_aside_when_nothing_was_written(&site);
    let load = site.load(RATE);
    site.moves_to(EAST);
    load.end_load_unharmed();
    equal_tables(&site);
}
