//! Ctrl-C: before the commit point a move is taken back, after it it is finished.

use crate::site::{EAST, Site, WEST};

/// Writes a second.
const RATE: u32 = 50;

#[test]
fn ctrl_c_takes_a_move_back_before_the_commit_point_and_finishes_it_after() {
    let site = Site::up("interrupts");
    let load = site.load(RATE);

    // A late link keeps the drain waiting for long enough to be interrupted in it; the replay may take 3.2 s.
    let patient =
        site.manifest_with("patient.toml", |text| text.replace(r#"max_pause = "5s""#, r#"max_pause = "8s""#));
    site.lab.does(&["break", "slow-link", "700"]);
    site.until_movable(WEST);
    let mut moving = patient.start(&["switchover", "--to", WEST, "--json"]);
    moving.await_line(&format!("end-{EAST}:"));
    moving.interrupt();
    let said = moving.end();
    said.must(4, "interrupted: turning back");
    assert!(
        said.json()["outcome"]["aborted"]["why"].as_str().unwrap().contains("asked it to stop"),
        "{said:#?}"
    );
    site.lab.does(&["heal"]);
    site.until_movable(WEST);
    let active = site.at_rest();
    assert_eq!((active.region.as_str(), active.epoch), (EAST, 1));

    let mut moving = site.start(&["switchover", "--to", WEST, "--json"]);
    moving.await_line("commit:");
    moving.interrupt();
    moving.interrupt();
    let said = moving.end();
    said.must(0, "interrupted");
    assert_eq!(said.json()["outcome"], "succeeded");
    let active = site.at_rest();
    assert_eq!((active.region.as_str(), active.epoch), (WEST, 2));
    load.end_load_unharmed();
}
