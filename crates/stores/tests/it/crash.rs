//! A controller that is killed at any instant has written exactly what it was told it had, or one batch more.

use std::path::Path;
use std::time::Duration;

use bascule_core::id::Term;
use bascule_core::ports::{JournalStore as _, TenureStore as _};
use bascule_stores::SqliteStore;

use crate::child::{self, Child};
use crate::site::{founded, grip, header, intent, marks, name, operation};

const KILLS: u64 = 20;
const BATCH: u64 = 3;

/// The child: takes the operation over and appends for ever, saying how long the journal is by each answer.
async fn append_for_ever(path: &Path) {
    let store = SqliteStore::open(path, &name()).unwrap();
    let id = operation("first");
    let term = store.claim(&id).await.unwrap();
    let mut at = store.read(&id).await.unwrap().entries.len() as u64;
    loop {
        let batch: Vec<_> = (at..at + BATCH).map(intent).collect();
        store.append(&id, grip(term), at, &batch).await.unwrap();
        at += BATCH;
        child::say(&at.to_string());
    }
}

/// Marsaglia, "Xorshift RNGs" (2003): enough to choose instants by.
fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_and_nothing_is_half_there() {
    if let Some(path) = child::role() {
        return append_for_ever(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let id = operation("first");
    {
        let store = SqliteStore::open(&path, &name()).unwrap();
        store.advance(founded()).await.unwrap();
        store.begin(&header("first")).await.unwrap();
    }
    let mut random = 0x2545_F491_4F6C_DD1D;
    for kill in 1..=KILLS {
        let test = "crash::what_was_acknowledged_survives_kill_9_and_nothing_is_half_there";
        let mut child = Child::start(test, path.to_str().unwrap());
        let mut acknowledged = 0;
        for _ in 0..=xorshift(&mut random) % 20 {
            acknowledged = child.answer().unwrap().parse().unwrap();
        }
        // The instant of death itself: anywhere in an append, which takes about a millisecond.
        std::thread::sleep(Duration::from_micros(xorshift(&mut random) % 2000));
        child.kill();
        while let Some(answer) = child.answer() {
            acknowledged = answer.parse().unwrap();
        }
        let journal = SqliteStore::open(&path, &name()).unwrap().read(&id).await.unwrap();
        let length = journal.entries.len() as u64;
        assert_eq!(marks(&journal.entries), (0..length).collect::<Vec<_>>());
        assert!(
            length == acknowledged || length == acknowledged + BATCH,
            "kill {kill}: {acknowledged} acknowledged, {length} there"
        );
        assert_eq!(journal.term, Term(1 + kill));
    }
}
