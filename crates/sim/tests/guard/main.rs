//! Sites with keepers, by seeds. A failing seed prints its trace; play it alone with
//! `cargo run --release -p bascule-sim --example soak -- 60 SEED 1`, and give it a name here once it is
//! understood.

use std::sync::atomic::{AtomicU64, Ordering};

use bascule_sim::guard::trial::{Played, play};

/// Seeds of a test run: `make test` builds this crate with optimisation, in which these take two minutes;
/// without it each takes ten times as long. `make soak` plays others for an hour.
const SEEDS: u64 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
/// Seeds are shared out in handfuls.
const THREADS: usize = 2;

#[test]
fn no_seed_breaks_a_promise_and_every_site_heals() {
    let (next, moves) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let share = || {
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= SEEDS {
                    return;
                }
                let played = play(seed);
                assert!(played.wrong.is_none(), "{}", played.told(seed));
                moves.fetch_add(played.moves, Ordering::SeqCst);
            }
        };
        for _ in 0..THREADS {
            scope.spawn(share);
        }
    });
    let moves = moves.into_inner();
    assert!(moves > SEEDS / 10, "it proves nothing: {moves} moves in {SEEDS} seeds");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [82, 98, 2_557, 7_483] {
        let (once, again): (Played, Played) = (play(seed), play(seed));
        assert_eq!(once, again, "seed {seed}");
        assert!(once.trace.len() > 10, "seed {seed}: a trace of nothing");
    }
}

/// Found here: the active region had been on two timelines since the histories parted, and what the
/// returned region had alone was looked for behind the second fork only.
#[test]
fn what_a_returned_region_had_alone_is_saved_although_the_active_one_restarted_since() {
    let played = play(82);
    assert!(played.wrong.is_none(), "{}", played.told(82));
}

/// Found here: a call to hold a pool reached a frozen region, and was carried out when it woke, after the
/// operation had been taken back.
#[test]
fn a_hold_that_comes_after_its_own_undo_is_found_and_let_go() {
    let played = play(2_557);
    assert!(played.wrong.is_none(), "{}", played.told(2_557));
}

/// Found here: the new active region died between the commit and the end of a switchover.
#[test]
fn a_switchover_whose_new_region_dies_before_its_end_is_finished_when_it_returns() {
    let played = play(7_483);
    assert!(played.wrong.is_none(), "{}", played.told(7_483));
}
