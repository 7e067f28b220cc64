//! The region that a move made active is lost before the move is over: the way back, and, if it returns, the way on.

use crate::database::equal_tables;
use crate::site::{EAST, Site, WEST};

/// Writes a second.
const RATE: u32 = 50;

/// A switchover to the west whose controller dies just past the commit, and then the west is lost.
fn lose_the_new_region(site: &Site) {
    assert_eq!(site.at_rest().region, EAST);
    let died = site.bascule(&["switchover", "--to", WEST, "--crash", "after=commit.done"]);
    assert!(died.crashed(), "{died:#?}");
    site.bascule(&["abandon"]).must(3, "bascule resume");
    site.lab.does(&["break", "region-loss", WEST]);
    site.bascule(&["failover", "--to", EAST]).must(3, "BSC-P002");
    site.bascule(&["abort"]).must(3, "bascule abandon");
    site.bascule(&["abandon"]).must(7, "abandoned");
    site.bascule(&["abandon"]).must(2, "no operation is open");
}

fn the_old_region_takes_over_again_and_nothing_is_lost(site: &Site) {
    let load = site.load(RATE);
    lose_the_new_region(site);
    let moved = site.bascule(&["failover", "--to", EAST, "--json"]);
    assert_eq!(moved.must(0, "").json()["loss_ms"], 0, "the west was never opened");
    site.lab.does(&["heal"]);
    site.bascule(&["reinstate", WEST]).must(0, "");
    let report = load.end_load();
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
    assert_eq!(site.at_rest().region, EAST);
    equal_tables(site);
}

fn a_new_region_that_returns_is_made_what_the_tenure_says(site: &Site) {
    let load = site.load(RATE);
    lose_the_new_region(site);
    site.lab.does(&["heal"]);
    site.bascule(&["open"]).must(0, "succeeded");
    site.bascule(&["reinstate", EAST]).must(0, "");
    let report = load.end_load();
    assert_eq!((&report["lost_writes"], &report["double_writer_ms"]), (&0.into(), &0.into()), "{report:#}");
    assert_eq!(site.at_rest().region, WEST);
    equal_tables(site);
}

#[test]
fn a_move_whose_new_region_is_lost_bars_nothing() {
    let site = Site::up("abandoned");
    the_old_region_takes_over_again_and_nothing_is_lost(&site);
    a_new_region_that_returns_is_made_what_the_tenure_says(&site);
}
