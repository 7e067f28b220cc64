//! A drain that takes longer than users may wait is taken back, and nobody has noticed.

use crate::rig::eventually;
use crate::site::{EAST, Said, Site, WEST};

/// Writes a second.
const RATE: u32 = 50;

/// The move began, gave up because the standby had not replayed everything, and took everything back.
fn gave_up(site: &Site, said: &Said) {
    let report = said.must(4, &format!("replay-{WEST}")).json();
    let state = |step: &str| {
        let steps = report["steps"].as_array().unwrap();
        steps.iter().find(|s| s["step"] == step).unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&format!("hold-{EAST}")), "taken back", "{report:#}");
    assert_eq!(state("commit"), "pending", "{report:#}");
    let held_ms = report["hold_us"].as_u64().unwrap() / 1000;
    eprintln!("writes were held for {held_ms} ms, then let go");
    assert!(site.status()["tenure"]["seen"]["value"]["epoch"] == 1);
}

#[test]
fn a_drain_that_takes_too_long_lets_go() {
    let site = Site::up("drain");
    let short =
        site.manifest_with("short.toml", |text| text.replace(r#"max_pause = "5s""#, r#"max_pause = "1s""#));
    let load = site.load(RATE);

    // 0.6 s late, where the whole hold may last 1 s, and the replay 0.4 s of it.
    site.lab.does(&["break", "slow-link", "600"]);
    site.until_movable(WEST);
    let mut said = None;
    let planned = eventually(|| {
        let again = said.insert(short.bascule(&["switchover", "--to", WEST, "--json"]));
        // Refused at the instants in which the newest write is over 1 s old.
        again.code() != Some(3)
    });
    assert!(planned, "{said:#?}");
    gave_up(&site, &said.unwrap());
    site.lab.does(&["heal"]);
    site.until_movable(WEST);
    assert_eq!(site.at_rest().epoch, 1);

    // Cut while it is being planned: the standby's newest write is young enough for the planner still.
    site.lab.does(&["break", "partition", "--db-link"]);
    gave_up(&site, &site.bascule(&["switchover", "--to", WEST, "--json"]));
    site.lab.does(&["heal"]);
    site.until_movable(WEST);
    let active = site.at_rest();
    assert_eq!((active.region.as_str(), active.epoch), (EAST, 1));

    site.moves_to(WEST);
    load.end_load_unharmed();
}
