//! Keepers that are restarted in turn, as an upgrade does, and a region that nobody guards.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::rig::eventually;
use crate::site::{EAST, Site, WEST};

/// Writes a second.
const RATE: u32 = 100;
/// Longer than a tenure can be waited out (3.2 s), and a move begun.
const WOULD_MOVE: Duration = Duration::from_secs(8);
const KEEPERS: [(&str, &str); 2] = [("us-east-2-keeper1", "10.77.1.41"), ("us-east-2-keeper2", "10.77.1.42")];

fn page(site: &Site, address: &str, path: &str) -> Result<(u16, String), String> {
    site.lab.http("clients", &format!("http://{address}:7300{path}"), &[])
}

fn pid(site: &Site, keeper: &str) -> Option<i32> {
    let is_it = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["keeper", keeper].iter().all(|word| line.split('\0').any(|found| found == *word))
    };
    site.lab.pids().find(is_it)
}

/// What systemd and a StatefulSet do: stop one, start it, wait until it is ready, and then the other.
fn keepers_restarted_in_turn_are_no_gap(site: &Site) {
    let load = site.load(RATE);
    for (keeper, address) in KEEPERS {
        let before = pid(site, keeper).unwrap();
        assert!(Command::new("kill").args(["-TERM", &before.to_string()]).status().unwrap().success());
        assert!(eventually(|| pid(site, keeper).is_none()), "{keeper} does not end");
        // The lab starts again what it has ended, and this one has ended by itself.
        site.lab.does(&["break", "part-loss", keeper]);
        site.lab.does(&["heal"]);
        let ready = || page(site, address, "/readyz").is_ok_and(|(status, _)| status == 200);
        assert!(eventually(ready), "{keeper}: {:?}", page(site, address, "/readyz"));
        assert_eq!(page(site, address, "/readyz").unwrap().1, "ready, open and confirming\n");
        let status: Value = serde_json::from_str(&page(site, address, "/status").unwrap().1).unwrap();
        assert_eq!((&status["confirming"], &status["permit"]), (&true.into(), &"in_force".into()));
    }
    let report = load.end_load_unharmed();
    eprintln!("both keepers restarted in turn: the longest pause was {} ms", report["write_pause_ms"]);
    assert!(report["write_pause_ms"].as_u64().is_some_and(|ms| ms < 1_000), "{report:#}");
}

/// Nobody moves away from it by itself: when it wakes it would acknowledge writes.
fn a_region_that_is_not_guarded_is_not_left(site: &Site) {
    site.bascule(&["guard", "--off"]).must(0, "us-east-2: commits need not a keeper's permit");
    let explained = || site.bascule(&["explain"]);
    assert!(eventually(|| explained().out.contains("BSC-D007")), "{:?}", explained());
    explained().must(3, "BSC-D007 its commits may need no keeper's permit");
    let (_, metrics) = page(site, KEEPERS[0].1, "/metrics").unwrap();
    assert!(
        metrics.contains("\nbascule_permit_in_force 0\n")
            && metrics.contains("\nbascule_permit_streaming 1\n")
    );
    site.lab.does(&["break", "region-freeze", EAST]);
    std::thread::sleep(WOULD_MOVE);
    let (_, status) = page(site, "10.77.2.41", "/status").unwrap();
    assert!(status.contains("nothing is done: BSC-D007"), "{status}");
    site.lab.does(&["heal"]);
    assert_eq!(site.at_rest().region, EAST);
    site.bascule(&["guard"]).must(0, "us-west-1: commits need a keeper's permit");
    assert_eq!(site.ready().region, EAST);
    site.lab.does(&["break", "region-freeze", EAST]);
    site.moves_away_from(EAST);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, WEST);
}

#[test]
fn what_is_guarded_stays_so_through_restarts_and_what_is_not_is_not_left() {
    let site = Site::up_by_itself("guarded");
    keepers_restarted_in_turn_are_no_gap(&site);
    a_region_that_is_not_guarded_is_not_left(&site);
}
