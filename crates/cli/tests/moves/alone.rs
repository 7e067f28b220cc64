//! A site that moves by itself: nobody types anything but the faults.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::eventually;
use crate::site::{EAST, Site, WEST, other};

/// Writes a second.
const RATE: u32 = 50;
/// What may be lost with a region: the lab's objective (5 s), in writes.
const RPO_WRITES: u64 = 5 * RATE as u64;
/// Longer than a tenure can be waited out (3.2 s), and a move begun.
const WOULD_MOVE: Duration = Duration::from_secs(8);

/// Nobody wrote in two regions, and no more was lost than the objective allows.
#[track_caller]
fn bounded(report: &Value) {
    assert_eq!(report["double_writer_ms"], 0, "{report:#}");
    assert_eq!(report["double_writer_possible_ms"], 0, "{report:#}");
    assert!(report["lost_writes"].as_u64().is_some_and(|lost| lost <= RPO_WRITES), "{report:#}");
}

#[track_caller]
fn epoch(site: &Site) -> u64 {
    site.status()["tenure"]["seen"]["value"]["epoch"].as_u64().unwrap()
}

/// Either keeper renews and confirms by itself, whatever becomes of the other one.
fn the_death_of_one_keeper_is_nobodys_business(site: &Site) {
    let load = site.load(RATE);
    for keeper in ["us-east-2-keeper1", "us-east-2-keeper2"] {
        for fault in ["part-loss", "part-freeze"] {
            site.lab.does(&["break", fault, keeper]);
            std::thread::sleep(WOULD_MOVE / 2);
            site.lab.does(&["heal"]);
            std::thread::sleep(Duration::from_secs(2));
        }
    }
    let report = load.end_load_unharmed();
    assert!(report["write_pause_ms"].as_u64().is_some_and(|ms| ms < 2_000), "{report:#}");
    assert_eq!(epoch(site), 1, "nothing moved");
}

/// A load balancer's gate is closed when it starts; the keepers tell it what the tenure says, and nothing moves.
fn a_restarted_load_balancer_learns_where_it_is(site: &Site) {
    let load = site.load(RATE);
    for lb in ["us-east-2-lb", "us-west-1-lb"] {
        site.lab.does(&["break", "part-loss", lb]);
        site.lab.does(&["heal"]);
    }
    let status = || site.status();
    let gate = |status: &Value, region: &str| {
        let state = status.pointer(&format!("/regions/{region}/gate/seen/value/state"));
        state.and_then(Value::as_str).map(str::to_owned)
    };
    let told = || {
        let status = status();
        gate(&status, EAST).as_deref() == Some("local") && gate(&status, WEST).as_deref() == Some("remote")
    };
    assert!(eventually(told), "{:#}", status());
    bounded(&load.end_load());
    assert_eq!(epoch(site), 1, "nothing moved");
    site.ready();
}

/// Users' region is gone; the other one takes over, and the lost one becomes its standby when it is back.
fn a_lost_region_is_left_and_returns_as_the_standby(site: &Site) {
    let load = site.load(RATE);
    site.lab.does(&["break", "region-loss", EAST]);
    let lost = Instant::now();
    site.moves_away_from(EAST);
    eprintln!("another region was active {:?} after the loss", lost.elapsed());
    std::thread::sleep(Duration::from_secs(3));
    let report = load.end_load();
    bounded(&report);
    eprintln!("users could not write for {} ms", report["write_pause_ms"]);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, WEST);
}

/// A region that is stopped and wakes finds that it is over: it acknowledges nothing, and follows.
fn a_zombie_acknowledges_nothing_and_becomes_the_standby(site: &Site) {
    let load = site.load(RATE);
    site.lab.does(&["break", "region-freeze", WEST]);
    site.moves_away_from(WEST);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, EAST);
    bounded(&load.end_load());
}

/// What is cut off can't renew: it closes by itself, before the other one opens.
fn a_region_that_is_cut_off_closes_by_itself(site: &Site) {
    let load = site.load(RATE);
    site.lab.does(&["break", "partition", EAST]);
    site.moves_away_from(EAST);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, WEST);
    bounded(&load.end_load());
}

fn a_paused_site_stays_where_it_is_until_it_may_move(site: &Site) {
    site.bascule(&["pause", "a rehearsal", "--by", "ada"]).must(0, "until `bascule pause --off`");
    site.bascule(&["explain"]).must(3, "BSC-D001 ada has paused it");
    site.lab.does(&["break", "region-loss", WEST]);
    let before = epoch(site);
    std::thread::sleep(WOULD_MOVE);
    assert_eq!(epoch(site), before, "it is paused");
    site.bascule(&["pause", "--off"]).must(0, "ada had paused it: a rehearsal");
    site.moves_away_from(WEST);
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, EAST);
}

/// A controller that dies while it holds users' writes is relieved within seconds.
fn a_dead_controller_is_relieved(site: &Site) {
    let load = site.load(RATE);
    let died = site.bascule(&["switchover", "--to", WEST, "--crash", "after=commit.intent"]);
    assert!(died.crashed(), "{died:#?}");
    let ended = || site.status()["open_operation"]["seen"]["value"].is_null();
    assert!(eventually(ended), "{:#}", site.status());
    site.ready();
    let report = load.end_load();
    bounded(&report);
    assert_eq!(report["lost_writes"], 0, "it was a planned move: {report:#}");
}

/// The region that a move has just made active is lost, and does not come back: the keepers of the other one end that
/// move and take over again.
fn a_move_whose_new_region_is_lost_is_abandoned(site: &Site) {
    let from = site.ready().region;
    let to = other(&from);
    let load = site.load(RATE);
    let before = epoch(site);
    let died = site.bascule(&["switchover", "--to", to, "--crash", "after=commit.done"]);
    assert!(died.crashed(), "{died:#?}");
    site.lab.does(&["break", "region-loss", to]);
    assert!(eventually(|| epoch(site) == before + 2), "{:#}", site.status());
    site.lab.does(&["heal"]);
    assert_eq!(site.ready().region, from);
    let report = load.end_load();
    bounded(&report);
    assert_eq!(report["lost_writes"], 0, "the new region was never opened: {report:#}");
    let outcomes: Vec<Value> = site.history().iter().map(|op| op["outcome"].clone()).collect();
    assert!(outcomes.iter().any(|outcome| outcome.get("abandoned").is_some()), "{outcomes:?}");
}

#[test]
fn a_site_moves_by_itself_and_only_when_it_must() {
    let site = Site::up_by_itself("alone");
    the_death_of_one_keeper_is_nobodys_business(&site);
    a_restarted_load_balancer_learns_where_it_is(&site);
    a_lost_region_is_left_and_returns_as_the_standby(&site);
    a_zombie_acknowledges_nothing_and_becomes_the_standby(&site);
    a_region_that_is_cut_off_closes_by_itself(&site);
    a_paused_site_stays_where_it_is_until_it_may_move(&site);
    a_dead_controller_is_relieved(&site);
    a_move_whose_new_region_is_lost_is_abandoned(&site);
}
