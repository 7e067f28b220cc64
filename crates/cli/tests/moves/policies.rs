//! What the manifest may ask for beside the defaults: that nothing is lost, and that a region which can't write lets go.

use std::time::Duration;

use crate::rig::eventually;
use crate::site::{EAST, Site, WEST};

/// Writes a second.
const RATE: u32 = 50;
const KEEPERS: [&str; 4] =
    ["us-east-2-keeper1", "us-east-2-keeper2", "us-west-1-keeper1", "us-west-1-keeper2"];

/// Write the policy anew, and restart the keepers one by one, as an upgrade does. Users notice nothing.
fn change_policy(site: &Site, from: &str, to: &str) {
    let path = site.lab.dir.join("bascule.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let load = site.load(RATE);
    for keeper in KEEPERS {
        site.lab.does(&["break", "part-loss", keeper]);
        site.lab.does(&["heal"]);
        // The next one goes when this one confirms and renews again.
        std::thread::sleep(Duration::from_secs(2));
    }
    let report = load.end_load_unharmed();
    assert!(report["write_pause_ms"].as_u64().is_some_and(|ms| ms < 1_000), "{report:#}");
    site.ready();
}

/// Each write is in both regions before its user is told; so a lost region takes none with it.
fn nothing_is_lost_where_nothing_may_be(site: &Site) {
    let plan = site.bascule(&["plan", "switchover", "--to", WEST]);
    assert!(format!("{}{}", plan.out, plan.err).contains("BSC-P021"), "the cost is shown: {plan:#?}");

    let load = site.load(RATE);
    site.lab.does(&["break", "partition", "--db-link"]);
    std::thread::sleep(Duration::from_secs(2));
    site.lab.does(&["heal"]);
    std::thread::sleep(Duration::from_secs(3));
    let report = load.end_load();
    assert!(report["write_pause_ms"].as_u64().is_some_and(|ms| ms > 1_500), "writes wait: {report:#}");
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
    site.until_movable(WEST);

    let load = site.load(RATE);
    std::thread::sleep(Duration::from_secs(1));
    site.lab.does(&["break", "region-loss", EAST]);
    site.moves_away_from(EAST);
    std::thread::sleep(Duration::from_secs(3));
    let explained = site.bascule(&["explain", "--json"]).json();
    assert!(explained["reasons"].to_string().contains("BSC-D004"), "nobody follows yet: {explained:#}");
    let report = load.end_load();
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
    eprintln!("with a limit of 0 users could not write for {} ms", report["write_pause_ms"]);
    assert!(
        report["write_pause_ms"].as_u64().is_some_and(|ms| ms < 8_000),
        "the new region waits for nobody"
    );
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, WEST);
}

/// Its database is dead and its keepers renew, so it is not lost, and nobody may take over: a person has it let go, and
/// accepts a loss that is none here.
fn a_region_that_is_ill_is_let_go_by_a_person(site: &Site) {
    let load = site.load(RATE);
    for node in ["us-west-1-db1", "us-west-1-db2", "us-west-1-db3"] {
        site.lab.does(&["break", "node-loss", node]);
    }
    let explained = || site.bascule(&["explain"]);
    assert!(eventually(|| explained().out.contains("Users can't write there")), "{:#?}", explained());
    explained().must(3, "bascule release");
    assert!(explained().out.contains("database"), "what ails it: {:#?}", explained());
    let failover = ["failover", "--to", EAST, "--accept-data-loss", "5m"];
    site.bascule(&failover).must(4, "renews its tenure, so it is not lost");
    site.bascule(&["release", "its database is dead", "--by", "ada"]).must(0, "us-west-1 lets go");
    explained().must(3, "ada let it go");
    site.bascule(&failover).must(0, "succeeded");
    std::thread::sleep(Duration::from_secs(3));
    let report = load.end_load();
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, EAST);

    // Somebody thinks better of it.
    site.bascule(&["pause", "a rehearsal"]).must(0, "");
    site.bascule(&["release", "a rehearsal", "--by", "ada"]).must(0, "us-east-2 lets go");
    std::thread::sleep(Duration::from_secs(4));
    assert!(
        site.lab.sql("create temp table written()").is_err(),
        "nobody writes where the region was let go"
    );
    site.bascule(&["release", "--off"]).must(0, "renews again (ada had let it go");
    assert!(eventually(|| site.lab.sql("create temp table written()").is_ok()), "users write again");
    site.bascule(&["pause", "--off"]).must(0, "");
    site.ready();
    site.moves_to(WEST);
    site.ready();
}

/// Its database is well and followed, and its keepers renew, but no instance serves users: it lets go, and the other one
/// takes over.
fn a_region_that_cannot_write_lets_go(site: &Site) {
    let load = site.load(RATE);
    for app in ["us-west-1-app1", "us-west-1-app2", "us-west-1-app3"] {
        site.lab.does(&["break", "part-loss", app]);
    }
    site.moves_away_from(WEST);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, EAST);
    let report = load.end_load();
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
}

/// Nobody can take over, so nothing is gained by letting go.
fn a_region_without_a_standby_keeps_what_it_has(site: &Site) {
    site.lab.does(&["break", "region-loss", WEST]);
    site.lab.does(&["break", "part-loss", "us-east-2-lb"]);
    // Longer than the policy lets a region be impaired, and a move begins.
    std::thread::sleep(Duration::from_secs(15));
    let explained = site.bascule(&["explain", "--json"]).json();
    assert_eq!(
        (&explained["active"], &explained["readiness"]),
        (&EAST.into(), &"impaired".into()),
        "{explained:#}"
    );
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, EAST);
}

#[test]
fn a_site_keeps_to_the_policy_that_it_was_given() {
    let site = Site::up_by_itself("policies");
    change_policy(&site, "max_data_loss = \"unlimited\"", "max_data_loss = \"0\"");
    nothing_is_lost_where_nothing_may_be(&site);
    a_region_that_is_ill_is_let_go_by_a_person(&site);
    change_policy(&site, "impaired = \"report\"", "impaired = \"release\"");
    a_region_that_cannot_write_lets_go(&site);
    a_region_without_a_standby_keeps_what_it_has(&site);
}
