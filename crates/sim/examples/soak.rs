//! `make soak`: seeds for as long as asked (seconds, an hour without it) from a first one, on all cores.
//! With a third argument it plays that many seeds instead. A failing seed prints its trace and ends it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bascule_sim::guard::trial;

fn main() -> ExitCode {
    let number =
        |n: usize, default: u64| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (seconds, first, count) = (number(1, 3_600), number(2, 1_000_000), number(3, u64::MAX));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (moves, writes) = (AtomicU64::new(0), AtomicU64::new(0));
    let (began, limit) = (Instant::now(), Duration::from_secs(seconds));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < limit && !failed.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    let played = trial::play(seed);
                    moves.fetch_add(played.moves, Ordering::SeqCst);
                    writes.fetch_add(played.acknowledged as u64, Ordering::SeqCst);
                    if played.wrong.is_some() && !failed.swap(true, Ordering::SeqCst) {
                        println!("{}", played.told(seed));
                    }
                }
            });
        }
    });
    let played = next.load(Ordering::SeqCst).min(count);
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!(
        "{played} seeds, {:.0} a minute, {} moves, {} writes acknowledged",
        played as f64 / minutes,
        moves.load(Ordering::SeqCst),
        writes.load(Ordering::SeqCst)
    );
    if failed.load(Ordering::SeqCst) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
