//! Death at any instant is survived: the controller dies at every journal write of a switchover, under load.

use std::time::Instant;

use crate::site::{Active, Said, Site, other};

/// Writes a second: enough to have some under way at every instant, little enough for two cores.
const RATE: u32 = 50;
/// A switchover has some 18 journal writes; one that never ends would be a loop.
const WRITES_MAX: u32 = 60;

#[derive(Default)]
struct Tally {
    kills: u32,
    aborted: u32,
    moved: u32,
}

/// Dies at one write, and is resumed at once. `None` when there is no such write.
fn die_and_resume(site: &Site, before: &Active, point: &str, tally: &mut Tally) -> Option<Active> {
    let died = site.bascule(&["switchover", "--to", other(&before.region), "--crash", point]);
    if died.code() == Some(0) {
        return None;
    }
    assert!(died.crashed(), "{point}: {died:#?}");
    tally.kills += 1;
    let resumed = if site.history()[0]["outcome"].is_null() {
        site.bascule(&["resume", "--json"])
    } else {
        // The last write itself was made: nothing is open any more.
        site.bascule(&["resume"]).must(2, "no operation is open");
        return Some(judge(site, before, point, true));
    };
    let moved = ended(&resumed, point);
    *(if moved { &mut tally.moved } else { &mut tally.aborted }) += 1;
    Some(judge(site, before, point, moved))
}

/// Dies while writes are held, and again at each write of taking that back, until one controller gets through.
fn die_taking_back(site: &Site, before: &Active, when: &str, tally: &mut Tally) {
    for number in 1.. {
        assert!(number < WRITES_MAX, "taking back does not end");
        let held = format!("after=end-{}.intent", before.region);
        let died = site.bascule(&["switchover", "--to", other(&before.region), "--crash", &held]);
        assert!(died.crashed(), "{died:#?}");
        let point = format!("{when}={number}");
        let again = site.bascule(&["resume", "--json", "--crash", &point]);
        let through = again.code() == Some(4);
        if !through {
            assert!(again.crashed(), "{point}: {again:#?}");
            tally.kills += 1;
            if site.history()[0]["outcome"].is_null() {
                let resumed = site.bascule(&["resume", "--json"]);
                assert!(!ended(&resumed, &point));
            }
            tally.aborted += 1;
        }
        judge(site, before, &point, false);
        if through {
            return;
        }
        eprintln!("         killed {point} while taking back: taken back");
    }
}

/// Whether the operation succeeded; otherwise it was aborted.
fn ended(resumed: &Said, point: &str) -> bool {
    let moved = resumed.code() == Some(0);
    assert!(moved || resumed.code() == Some(4), "{point}: {resumed:#?}");
    let outcome = &resumed.json()["outcome"];
    assert_eq!(moved, outcome == "succeeded", "{point}: {outcome}");
    moved
}

fn judge(site: &Site, before: &Active, point: &str, moved: bool) -> Active {
    let now = site.at_rest();
    let expected = if moved {
        Active { region: other(&before.region).to_owned(), epoch: before.epoch + 1 }
    } else {
        before.clone()
    };
    assert_eq!(now, expected, "{point}");
    now
}

#[test]
fn a_switchover_survives_a_kill_at_every_journal_write() {
    let site = Site::up("kills");
    let load = site.load(RATE);
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut active = site.at_rest();
    for when in ["before", "after"] {
        for number in 1.. {
            assert!(number < WRITES_MAX, "a switchover does not end");
            let point = format!("{when}={number}");
            let Some(now) = die_and_resume(&site, &active, &point, &mut tally) else {
                active = site.at_rest();
                break;
            };
            let course = if now == active { "taken back" } else { "finished" };
            eprintln!("{:>5.1} s  killed {point}: {course}", begun.elapsed().as_secs_f32());
            active = now;
        }
    }
    for when in ["before", "after"] {
        die_taking_back(&site, &active, when, &mut tally);
    }
    let report = load.end_load_unharmed();
    eprintln!(
        "{:.0} s, {} kills, {} taken back, {} finished; {} writes acknowledged, longest pause {} ms",
        begun.elapsed().as_secs_f32(),
        tally.kills,
        tally.aborted,
        tally.moved,
        report["acknowledged"],
        report["write_pause_ms"]
    );
    // Some 18 writes, 4 of them while it can be taken back; each died at twice. Taking back has 8 more.
    assert!(tally.kills >= 40 && tally.aborted >= 16 && tally.moved >= 20);
    assert!(site.history().iter().all(|operation| !operation["outcome"].is_null()));
}
