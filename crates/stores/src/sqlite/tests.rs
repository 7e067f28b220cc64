//! What only shows from inside: a store that is locked, and one that is full.

use std::path::PathBuf;

use bascule_core::id::Epoch;
use bascule_core::ports::ReportStore as _;
use bascule_core::tenure::Event;
use bascule_core::vantage::{Place, Report};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// Waits this long for a lock: shorter than the lock is held, which is until the test lets it go.
const SHORT: Duration = Duration::from_millis(20);

fn region(name: &str) -> RegionName {
    name.parse().unwrap()
}

fn founded() -> Event {
    Event::Founded { active: region("east"), at: Timestamp(1) }
}

fn empty() -> (TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = SqliteStore::open_within(&path, &"events".parse().unwrap(), SHORT).unwrap();
    (folder, path, store)
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>, path: &Path, word: &str) {
    let Err(StoreError::Unavailable(text)) = &answer else { panic!("{answer:?}") };
    assert!(text.contains(path.to_str().unwrap()) && text.contains(word), "{text}");
}

#[tokio::test]
async fn a_commit_is_on_the_disk() {
    let (_folder, _path, store) = empty();
    let pragma = |name: &'static str| {
        store.thread.read(move |t| Ok(t.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?))
    };
    // 2 is FULL (SQLite manual, "PRAGMA synchronous").
    assert_eq!(pragma("synchronous").await, Ok(2));
    assert_eq!(pragma("foreign_keys").await, Ok(1));
    let mode = store.thread.read(|t| Ok(t.pragma_query_value(None, "journal_mode", |row| row.get(0))?)).await;
    assert_eq!(mode, Ok("wal".to_owned()));
}

#[tokio::test]
async fn a_locked_store_is_unavailable_to_writers_only() {
    let (_folder, path, store) = empty();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    unavailable(store.advance(founded()).await, &path, "locked");
    assert_eq!(store.tenure().await, Ok(None));
    assert_eq!(store.sight(&region("east"), false, Timestamp(5)).await, Ok(None));
    let visitor = SqliteStore::open_within(&path, &"events".parse().unwrap(), SHORT).unwrap();
    assert_eq!(visitor.list(9).await, Ok(vec![]));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.advance(founded()).await.unwrap().epoch, Epoch(1));
}

#[tokio::test]
async fn a_full_store_is_unavailable_and_keeps_what_it_has() {
    let (_folder, path, store) = empty();
    let pages =
        |count: u32| store.thread.read(move |t| Ok(t.pragma_update(None, "max_page_count", count)?));
    // As small as it may be: what it has now.
    pages(1).await.unwrap();
    let mut written: Vec<RegionName> = Vec::new();
    let refusal = loop {
        let next = region(&format!("{}-{}", "x".repeat(50), written.len()));
        match store.sight(&next, true, Timestamp(7)).await {
            Ok(_) => written.push(next),
            Err(error) => break error,
        }
    };
    unavailable(Err::<(), _>(refusal), &path, "full");
    for region in &written {
        assert_eq!(store.sight(region, true, Timestamp(9)).await, Ok(Some(Timestamp(7))));
    }
    pages(1000).await.unwrap();
    assert_eq!(store.sight(&region("east"), true, Timestamp(8)).await, Ok(Some(Timestamp(8))));
}

#[tokio::test]
async fn a_file_of_the_first_format_is_brought_to_the_newest_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(file::MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "application_id", file::APPLICATION).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute("INSERT INTO site (one, name) VALUES (1, 'events')", []).unwrap();
    // As the first format was written: without renewals.
    let text = r#"{"epoch":3,"active":"east","since":7,"by":null}"#;
    old.execute("INSERT INTO tenure (one, tenure) VALUES (1, ?1)", [text]).unwrap();
    old.execute("INSERT INTO operation (id, header, term, open) VALUES ('first', '{}', 4, 1)", []).unwrap();
    drop(old);

    let store = SqliteStore::open_within(&path, &"events".parse().unwrap(), SHORT).unwrap();
    let tenure = store.tenure().await.unwrap().unwrap();
    assert_eq!((tenure.epoch, tenure.renewals, tenure.settled), (Epoch(3), 0, false));
    assert_eq!(store.beat(&"first".parse().unwrap(), Term(4)).await, Ok(()));
    let beats = store.thread.read(|t| Ok(t.query_row("SELECT beats FROM operation", [], |row| row.get(0))?));
    assert_eq!(beats.await, Ok(1));
    let renewed = store.advance(Event::Renewed { epoch: Epoch(3), region: region("east") }).await;
    assert_eq!(renewed.unwrap().renewals, 1);
}

#[tokio::test]
async fn a_report_that_cannot_be_read_hides_no_other() {
    let (_folder, path, store) = empty();
    let report = Report {
        count: 3,
        at: Timestamp(3),
        version: "1".to_owned(),
        regions: std::collections::BTreeMap::new(),
        decision: None,
    };
    store.report(&Place::Witness, &report).await.unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.execute("INSERT INTO report (place, report) VALUES ('\"moon\"', '{\"count\":1}')", []).unwrap();
    let found = store.reports().await.unwrap();
    assert_eq!(found.heard, [(Place::Witness, report)]);
    assert!(matches!(&found.unreadable[..], [text] if text.contains("moon")), "{found:?}");
}
