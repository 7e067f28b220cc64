//! A machine that loses its power in the middle of an append: any part of the log's last bytes is missing.

use std::fs;
use std::path::{Path, PathBuf};

use bascule_core::id::Term;
use bascule_core::ports::{JournalStore as _, TenureStore as _};
use bascule_stores::SqliteStore;

use crate::site::{founded, grip, header, intent, marks, name, operation};

/// Disks write whole sectors of at least this size.
const SECTOR: usize = 512;

/// What a disk holds of a store.
struct Image {
    store: Vec<u8>,
    log: Vec<u8>,
}

fn log_of(path: &Path) -> PathBuf {
    path.with_file_name("store-wal")
}

fn image(path: &Path) -> Image {
    Image { store: fs::read(path).unwrap(), log: fs::read(log_of(path)).unwrap() }
}

/// What a controller finds that starts from such a disk.
async fn found(image: &Image) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, &image.store).unwrap();
    fs::write(log_of(&path), &image.log).unwrap();
    let store = SqliteStore::open(&path, &name()).unwrap();
    marks(&store.read(&operation("first")).await.unwrap().entries)
}

/// Tear the append that leads from one image to the other, at every sector, from either side.
async fn tear(before: &Image, after: &Image, old: &[u64], new: &[u64]) {
    assert_eq!(before.store, after.store, "an append wrote past the log");
    // The log is written over from its beginning, so what follows the append may be older than it.
    let differs = |at: &usize| before.log.get(*at) != after.log.get(*at);
    let (first, last) =
        ((0..after.log.len()).find(differs).unwrap(), (0..after.log.len()).rfind(differs).unwrap());
    let changed = (first / SECTOR * SECTOR..=last).step_by(SECTOR);
    assert!(changed.clone().count() > 4, "an append that can hardly be torn: {changed:?}");
    for cut in changed {
        let rest = before.log.get(cut..).unwrap_or_default();
        let end_missing = [&after.log[..cut], rest].concat();
        assert_eq!(found(&Image { store: after.store.clone(), log: end_missing }).await, old, "cut at {cut}");
        // A whole sector in the middle still holds what it held before.
        let mut hole = after.log.clone();
        let until = (cut + SECTOR).min(hole.len());
        for (at, byte) in hole.iter_mut().enumerate().take(until).skip(cut) {
            *byte = before.log.get(at).copied().unwrap_or(0);
        }
        if hole != after.log {
            assert_eq!(found(&Image { store: after.store.clone(), log: hole }).await, old, "hole at {cut}");
        }
    }
    assert_eq!(found(after).await, new);
}

async fn append(store: &SqliteStore, term: Term, batch: std::ops::Range<u64>) {
    let entries: Vec<_> = batch.clone().map(intent).collect();
    store.append(&operation("first"), grip(term), batch.start, &entries).await.unwrap();
}

#[tokio::test]
async fn a_torn_batch_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = SqliteStore::open(&path, &name()).unwrap();
    store.advance(founded()).await.unwrap();
    let term = store.begin(&header("first")).await.unwrap();
    // The first append after a beginning starts the log anew, over what is in it.
    let begun = image(&path);
    append(&store, term, 0..5).await;
    let once = image(&path);
    append(&store, term, 5..60).await;
    let twice = image(&path);
    let all: Vec<u64> = (0..60).collect();
    tear(&begun, &once, &[], &all[..5]).await;
    tear(&once, &twice, &all[..5], &all).await;
}
