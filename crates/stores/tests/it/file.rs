//! What a store makes of the file it is given.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bascule_core::ports::{Journal, JournalStore as _, StoreError, TenureStore as _};
use bascule_stores::{OpenError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::site::{done, founded, grip, header, intent, name, operation};

/// A store with an open operation of three records.
async fn store() -> (TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = SqliteStore::open(&path, &name()).unwrap();
    store.advance(founded()).await.unwrap();
    let term = store.begin(&header("first")).await.unwrap();
    let entries = [intent(0), intent(1), done(2, "hold")];
    store.append(&operation("first"), grip(term), 0, &entries).await.unwrap();
    (folder, path, store)
}

fn refused(path: &Path) -> String {
    let error: OpenError = SqliteStore::open(path, &name()).unwrap_err();
    error.to_string()
}

fn by_hand(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_store_outlives_its_handles() {
    let (_folder, path, first) = store().await;
    let (tenure, journal) = (first.tenure().await, first.read(&operation("first")).await);
    drop(first);
    let again = SqliteStore::open(&path, &name()).unwrap();
    assert_eq!(again.tenure().await, tenure);
    assert_eq!(again.read(&operation("first")).await, journal);
}

#[tokio::test]
async fn only_its_owner_may_read_a_store() {
    let (_folder, path, _store) = store().await;
    for name in ["store", "store-wal", "store-shm"] {
        let mode = fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_by_its_number() {
    let (_folder, path, first) = store().await;
    drop(first);
    by_hand(&path, "PRAGMA user_version = 99");
    let message = refused(&path);
    assert!(message.contains("format 99") && message.contains(path.to_str().unwrap()), "{message}");
}

#[tokio::test]
async fn another_sites_store_is_refused() {
    let (_folder, path, _store) = store().await;
    let message = SqliteStore::open(&path, &"shop".parse().unwrap()).unwrap_err().to_string();
    assert!(message.contains("that of site events, not of shop"), "{message}");
}

#[test]
fn another_programs_file_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("other.sqlite");
    by_hand(&database, "CREATE TABLE accounts (number)");
    let text = folder.path().join("notes.txt");
    fs::write(&text, "x".repeat(5000)).unwrap();
    for (path, word) in [(database, "not a store of bascule's"), (text, "damaged")] {
        let before = fs::read(&path).unwrap();
        let message = refused(&path);
        assert!(message.contains(word) && message.contains(path.to_str().unwrap()), "{message}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").join("store");
    assert!(refused(&path).contains(path.to_str().unwrap()));
}

async fn read_after(sql: &str) -> Result<Journal, StoreError> {
    let (_folder, path, store) = store().await;
    by_hand(&path, sql);
    store.read(&operation("first")).await
}

#[tokio::test]
async fn a_journal_altered_by_hand_is_damaged_and_says_where() {
    let words = [
        ("DELETE FROM entry WHERE at = 1", "entry 1 of first is missing"),
        ("UPDATE entry SET entry = '{}' WHERE at = 2", "entry 2 of first can't be read"),
        ("UPDATE entry SET entry = replace(entry, 'done', 'undo_done')", "entry 2 of first does not follow"),
        (
            "UPDATE operation SET header = replace(header, '5000', '9999')",
            "plan of first does not have the hash",
        ),
        (
            "UPDATE operation SET header = replace(header, '\"version\":1', '\"version\":2')",
            "format version 2",
        ),
        ("UPDATE operation SET header = 'x'", "the beginning of first can't be read"),
        ("UPDATE operation SET header = replace(header, '\"first\"', '\"other\"')", "first is that of other"),
    ];
    for (sql, word) in words {
        match read_after(sql).await {
            Err(StoreError::Damaged(text)) => assert!(text.contains(word), "{sql}: {text}"),
            answer => panic!("{sql}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_damaged_page_is_damage_and_names_the_file() {
    let (_folder, path, first) = store().await;
    drop(first);
    // Everything in the file itself, then every page past the schema's filled with nonsense.
    by_hand(&path, "PRAGMA wal_checkpoint(TRUNCATE)");
    let length = fs::metadata(&path).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 4096]).unwrap();
    let answer = match SqliteStore::open(&path, &name()) {
        Err(OpenError::Damaged { path, .. }) => path.display().to_string(),
        Err(other) => panic!("{other}"),
        Ok(store) => match store.read(&operation("first")).await {
            Err(StoreError::Damaged(text)) => text,
            answer => panic!("{answer:?}"),
        },
    };
    assert!(answer.contains(path.to_str().unwrap()), "{answer}");
}
