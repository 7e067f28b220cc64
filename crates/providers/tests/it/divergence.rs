//! What a returned region wrote alone, read from real servers whose histories have parted.

use std::path::Path;

use bascule_core::ports::{Divergence, Log as _};
use serde_json::{Value, json};

use crate::postgres::{Postgres, cluster};

/// Two regions up to the fork: the first one has gone on, the second one is promoted.
async fn parted() -> (Postgres, Postgres) {
    let first = Postgres::start().await;
    first
        .run_sql(
            "CREATE EXTENSION pg_walinspect;
             CREATE TABLE notes (id int PRIMARY KEY, note text);
             CREATE TABLE keyless (note text);
             INSERT INTO notes SELECT n, 'common' FROM generate_series(1, 5) AS n;
             INSERT INTO keyless VALUES ('common')",
        )
        .await;
    let mut second = first.standby().await;
    second.catches_up_with(&first).await;
    second.promote().await;
    second.run_sql("INSERT INTO notes VALUES (10, 'active')").await;
    (first, second)
}

async fn save(returned: &Postgres, active: &Postgres, into: &Path) -> Divergence {
    let fork = cluster(active, "leader", returned).await.fork().await.unwrap().unwrap();
    cluster(returned, "leader", active).await.save_divergence(fork, into).await.unwrap()
}

/// The file's lines after the header, as (operation, table, key, note).
fn lines(file: &Path) -> Vec<(String, String, Value, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (word(&line["operation"]), word(&line["table"]), line["key"].clone(), word(&line["row"]["note"]))
        })
        .collect();
    lines.sort_by_key(|(operation, _, key, note)| (operation.clone(), key.to_string(), note.clone()));
    lines
}

fn written(id: u32, note: &str) -> (String, String, Value, String) {
    ("insert_or_update".to_owned(), "public.notes".to_owned(), json!({ "id": id }), note.to_owned())
}

const WRITES: &str = "INSERT INTO notes VALUES (6, 'alone');
    UPDATE notes SET note = 'changed' WHERE id = 1;
    DELETE FROM notes WHERE id = 2;
    INSERT INTO notes VALUES (7, 'brief'); DELETE FROM notes WHERE id = 7";

#[tokio::test]
async fn what_only_the_returned_region_has_is_saved_row_by_row() {
    let (first, second) = parted().await;
    first.run_sql(WRITES).await;
    let user = first.session().await;
    user.batch_execute("BEGIN; INSERT INTO notes VALUES (8, 'never'); ROLLBACK").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    let saved = save(&first, &second, &file).await;
    let deleted = ("delete".to_owned(), "public.notes".to_owned(), json!({ "id": 2 }), "common".to_owned());
    assert_eq!(lines(&file), [deleted, written(1, "changed"), written(6, "alone")]);
    assert_eq!(saved.rows, 3);
    assert!(saved.note.contains("1 deletes could not be told by key"), "the brief row: {}", saved.note);
    assert!(!saved.note.contains("unknown"), "{}", saved.note);
    assert_eq!(saved.unsaved, None, "of the brief row nothing is left to save");
}

/// A region whose permit is closed is full of commits that wait, and of numbers that were given and not used.
#[tokio::test]
async fn commits_that_wait_for_a_confirmation_are_saved_and_what_is_not_committed_is_not() {
    let (first, second) = parted().await;
    first.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    first.run_sql("SELECT pg_reload_conf()").await;
    let mut writers = tokio::task::JoinSet::new();
    for id in [6, 7, 8] {
        let session = first.session().await;
        writers.spawn(async move {
            session.batch_execute(&format!("INSERT INTO notes VALUES ({id}, 'waits')")).await
        });
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while first.value(waiting).await != "3" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (open, queued) = (first.session().await, first.session().await);
    open.batch_execute("BEGIN; INSERT INTO notes VALUES (9, 'open')").await.unwrap();
    // It gets the row when the session that wrote it ends.
    writers.spawn(async move { queued.batch_execute("INSERT INTO notes VALUES (6, 'queued')").await });
    while first.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").await != "1" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Takes the open transaction's record to the log on disk, as somebody's commit does where users write.
    first.run_sql("SELECT pg_switch_wal()").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    save(&first, &second, &file).await;
    assert_eq!(lines(&file), [written(6, "waits"), written(7, "waits"), written(8, "waits")]);
    while let Some(answer) = writers.join_next().await {
        assert!(answer.unwrap().is_err(), "nobody is told that it was committed");
    }
}

#[tokio::test]
async fn writes_on_both_sides_of_its_own_promotion_are_saved() {
    let (mut first, second) = parted().await;
    first.run_sql("INSERT INTO notes VALUES (6, 'before')").await;
    first.comes_back_by_itself().await;
    first.run_sql("INSERT INTO notes VALUES (7, 'after')").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    save(&first, &second, &file).await;
    assert_eq!(lines(&file), [written(6, "before"), written(7, "after")]);
}

#[tokio::test]
async fn a_log_that_is_gone_is_said_to_be_unknown() {
    let (first, second) = parted().await;
    first.run_sql("ALTER SYSTEM SET min_wal_size = '32MB'").await;
    first.run_sql("SELECT pg_reload_conf()").await;
    first.run_sql("INSERT INTO notes VALUES (6, 'lost')").await;
    for _ in 0..6 {
        first.run_sql("SELECT pg_switch_wal(); INSERT INTO keyless VALUES ('x')").await;
        first.run_sql("CHECKPOINT").await;
    }
    first.run_sql("INSERT INTO notes VALUES (7, 'late')").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    let saved = save(&first, &second, &file).await;
    let kept = lines(&file);
    assert!(kept.contains(&written(7, "late")), "{kept:?}");
    assert!(saved.note.contains("is unknown and NOT saved"), "{}", saved.note);
    let unsaved = saved.unsaved.expect("whoever would rewind it is told");
    assert!(unsaved.contains("its log from the fork to "), "{unsaved}");
}

/// More than any page, and than the limit of a hundred thousand that there once was.
#[tokio::test]
async fn every_row_is_saved_however_many_there_are() {
    const ROWS: u64 = 100_001;
    let (first, second) = parted().await;
    first.run_sql(&format!("INSERT INTO keyless SELECT 'alone' FROM generate_series(1, {ROWS})")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    let saved = save(&first, &second, &file).await;
    assert_eq!((saved.rows, saved.unsaved), (ROWS, None));
    assert_eq!(lines(&file).len() as u64, ROWS);
}

#[tokio::test]
async fn a_region_that_wrote_nothing_has_nothing_to_save() {
    let (first, second) = parted().await;
    first.run_sql("CHECKPOINT; ANALYZE notes").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divergence.jsonl");
    let saved = save(&first, &second, &file).await;
    assert_eq!((saved.file, saved.rows), (None, 0));
    assert!(!file.exists());
}
