//! What an append to the SQLite store costs, and where it goes: medians in microseconds, in the folder given.
//!
//! `cargo run --release -p bascule-stores --example append_cost -- FOLDER`

#![allow(clippy::unwrap_used, dead_code, reason = "a measurement stops at the first surprise")]

#[path = "../tests/it/site.rs"]
mod site;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bascule_core::ports::{JournalStore as _, TenureStore as _};
use bascule_stores::SqliteStore;

/// Each; an operation has some tens.
const ROUNDS: u64 = 300;
/// One page with its header, as SQLite's log has it ("Database File Format", 4.1).
const FRAME: usize = 4096 + 24;

fn print(what: &str, mut spans_us: Vec<u128>) {
    spans_us.sort_unstable();
    let at = |percent: usize| spans_us[(spans_us.len() - 1) * percent / 100];
    println!("{what:<44} median {:>6} µs   p95 {:>6} µs   max {:>6} µs", at(50), at(95), at(100));
}

/// Write a frame and fsync it, each time behind the last one or in the place of an old one.
fn disk(path: &Path) {
    let file = File::create_new(path).unwrap();
    for what in ["fsync of one page, the file grows", "fsync of one page, written over"] {
        let round = |number: u64| {
            let begun = Instant::now();
            file.write_all_at(&[u8::try_from(number % 251).unwrap(); FRAME], number * FRAME as u64).unwrap();
            file.sync_all().unwrap();
            begun.elapsed().as_micros()
        };
        print(what, (0..ROUNDS).map(round).collect());
    }
}

#[tokio::main]
async fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    disk(&folder.path().join("plain"));

    let store = SqliteStore::open(&folder.path().join("store"), &site::name()).unwrap();
    store.advance(site::founded()).await.unwrap();
    let id = site::operation("first");
    let begun = Instant::now();
    let term = store.begin(&site::header("first")).await.unwrap();
    println!("begin, with its checkpoint: {} µs", begun.elapsed().as_micros());
    let mut at = 0;
    for (what, batch) in [
        ("look: the tenure is read", None),
        ("empty append: thread, lock and rules", Some(0)),
        ("append of one record", Some(1)),
        ("append of an outcome and two intents", Some(3)),
    ] {
        let mut spans_us = Vec::new();
        for _ in 0..ROUNDS {
            let entries: Vec<_> = (at..at + batch.unwrap_or(0)).map(site::intent).collect();
            let begun = Instant::now();
            match batch {
                None => drop(store.tenure().await.unwrap()),
                Some(_) => store.append(&id, site::grip(term), at, &entries).await.unwrap(),
            }
            spans_us.push(begun.elapsed().as_micros());
            at += entries.len() as u64;
        }
        print(what, spans_us);
    }
}
