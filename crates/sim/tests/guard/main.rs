//! Sites with keepers, by seeds. A failing seed prints its trace; play it alone with
//! `cargo run --release -p bascule-sim --example soak -- 60 SEED 1`, and give it a name here once it is
//! understood.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bascule_sim::guard::scenes;
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
    for seed in [39, 82, 2_557, 7_483] {
        let (once, again): (Played, Played) = (play(seed), play(seed));
        assert_eq!(once, again, "seed {seed}");
        assert!(once.trace.len() > 10, "seed {seed}: a trace of nothing");
    }
}

/// Found here: a keeper that was cut off from the active region took it for dark, although its tenure was
/// renewed. When that region died in truth, the time of the cut counted as time in which nothing was written,
/// and three times the objective was lost.
#[test]
fn a_region_that_renews_is_not_dark_however_it_looks_from_the_other_side() {
    let played = play(39);
    assert!(played.wrong.is_none(), "{}", played.told(39));
    assert!(played.trace.iter().any(|line| line.contains("BEGINS OneWay")), "{}", played.told(39));
}

/// Found here: a witness that was itself cut off had recorded the active region as dark. Nobody took that
/// back, and minutes later it made a loss look small.
#[test]
fn a_region_was_not_dark_while_its_hold_lasted_whatever_was_recorded() {
    let played = play(13_760);
    assert!(played.wrong.is_none(), "{}", played.told(13_760));
}

/// Sites whose regions are let go, by their keepers or by a person, are among the seeds, and some move for it.
#[test]
fn regions_are_let_go_in_some_seeds() {
    let (mut by_keepers, mut by_people) = (0, 0);
    let ends = |played: &Played, end: &str| usize::from(played.trace.iter().any(|line| line.contains(end)));
    for seed in (1..400).step_by(4) {
        let played = play(seed);
        assert!(played.wrong.is_none(), "{}", played.told(seed));
        by_keepers += ends(&played, "let go by keeper");
        by_people += ends(&played, "let go by a person");
    }
    assert!(by_keepers > 5 && by_people > 5, "{by_keepers} by keepers, {by_people} by people");
}

/// A person's switchover waits out answers that live for half a minute, or for a day; the region that it leaves is lost
/// meanwhile, and its controller lives on elsewhere.
#[test]
fn a_live_controller_before_its_commit_delays_no_failover() {
    for ttl_s in [30, 86_400] {
        let (ttl, move_ttl) = (Duration::from_secs(ttl_s), Duration::from_secs(1));
        let found = scenes::region_lost_during_a_switchover(ttl, move_ttl, Duration::from_secs(100_000));
        assert!(found.fenced, "ttl {ttl_s} s: {found:?}");
        assert!(found.served_after_ms.is_some_and(|ms| ms < 8_000), "ttl {ttl_s} s: {found:?}");
    }
}

/// The new region could never write. How long it failed does not begin with the old one's failing.
#[test]
fn how_long_a_region_fails_is_counted_from_the_move_to_it() {
    let told_ms = scenes::failing_told_after_a_move();
    assert!(told_ms <= 2_000, "{told_ms} ms, within 2 s of the move");
}

/// `bascule keeper --observe-only`: it says what it would do, and does nothing.
#[test]
fn a_keeper_that_only_observes_says_what_it_would_do() {
    let (said, epoch) = scenes::lost_while_only_observed();
    assert_eq!(epoch.0, 1, "nobody moved the site");
    assert_eq!(said.len(), 2, "both keepers of the other region");
    assert!(said.iter().any(|word| word.starts_with("fail over")), "{said:?}");
}

/// Found here, once no person opened what the keepers left closed: the new region's load balancer was restarted after a
/// failover had opened it, and the operation waited for its own proof of a write for ever.
#[test]
fn an_operation_opens_again_what_was_restarted_before_its_end() {
    for seed in [4_385, 7_893, 8_037] {
        let played = play(seed);
        assert!(played.wrong.is_none(), "{}", played.told(seed));
    }
}
