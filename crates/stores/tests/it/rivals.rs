//! Two processes at one store.

use std::io::BufRead as _;
use std::path::Path;

use bascule_core::ports::{JournalStore as _, TenureStore as _};
use bascule_stores::SqliteStore;
use rusqlite::Connection;

use crate::child::{self, Child};
use crate::site::{founded, grip, header, intent, marks, name, operation};

/// Each round is a race: fewer would seldom be close, more would take longer than they show.
const ROUNDS: u64 = 25;

/// A child's whole life: one order a line, one answer a line.
async fn obey(me: &str) {
    let mut store = None;
    for order in std::io::stdin().lock().lines() {
        let order = order.unwrap();
        let (verb, rest) = order.split_once(' ').unwrap();
        let answer = match verb {
            "begin" => {
                let opened = SqliteStore::open(Path::new(rest), &name()).unwrap();
                // The other may have founded it.
                let _ = opened.advance(founded()).await;
                let begun = opened.begin(&header(&format!("rival-{me}"))).await;
                store = Some(opened);
                begun.map(|_| me.to_owned())
            }
            "append" => {
                let at: u64 = rest.parse().unwrap();
                let (id, store) = (operation("first"), store.as_ref().unwrap());
                let term = store.claim(&id).await.unwrap();
                let mark = at * 10 + me.parse::<u64>().unwrap();
                store.append(&id, grip(term), at, &[intent(mark)]).await.map(|()| mark.to_string())
            }
            "open" => {
                store = Some(SqliteStore::open(Path::new(rest), &name()).unwrap());
                Ok("open".to_owned())
            }
            "visit" => Ok(visit(Path::new(rest)).to_string()),
            other => panic!("unknown order {other}"),
        };
        child::say(&answer.map_or_else(|e| format!("lost: {e}"), |won| format!("won {won}")));
    }
}

/// Comes, counts the records, and closes behind itself: who believes to be the last one removes the log.
fn visit(path: &Path) -> u64 {
    let connection = Connection::open(path).unwrap();
    let count: i64 = connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    connection.close().unwrap();
    count.unsigned_abs()
}

/// Give both the same order; returns what the one that won said.
fn contest(rivals: &mut [Child; 2], order: &str) -> String {
    for rival in rivals.iter_mut() {
        rival.order(order);
    }
    let answers = rivals.each_mut().map(|rival| rival.answer().unwrap());
    let orderly = |answer: &String| answer.starts_with("won ") || answer.starts_with("lost: ");
    if !answers.iter().all(orderly) {
        let last_words: Vec<_> = rivals.iter_mut().flat_map(|rival| rival.last_words()).collect();
        panic!("{order}: {answers:?}, then {last_words:?}");
    }
    let won: Vec<_> = answers.iter().filter_map(|answer| answer.strip_prefix("won ")).collect();
    assert_eq!(won.len(), 1, "{order}: {answers:?}");
    won[0].to_owned()
}

#[tokio::test]
async fn of_two_processes_that_make_a_store_one_begins() {
    if let Some(me) = child::role() {
        return obey(&me).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "rivals::of_two_processes_that_make_a_store_one_begins";
    let mut rivals = ["1", "2"].map(|me| Child::start(test, me));
    for round in 0..ROUNDS {
        let path = folder.path().join(format!("store-{round}"));
        let winner = contest(&mut rivals, &format!("begin {}", path.display()));
        let open = SqliteStore::open(&path, &name()).unwrap().list(9).await.unwrap();
        assert_eq!(open, [(header(&format!("rival-{winner}")), true)]);
    }
}

#[tokio::test]
async fn of_two_processes_that_claim_and_append_one_writes() {
    if let Some(me) = child::role() {
        return obey(&me).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = SqliteStore::open(&path, &name()).unwrap();
    store.advance(founded()).await.unwrap();
    store.begin(&header("first")).await.unwrap();
    let test = "rivals::of_two_processes_that_claim_and_append_one_writes";
    let mut rivals = ["1", "2"].map(|me| Child::start(test, me));
    for rival in &mut rivals {
        rival.order(&format!("open {}", path.display()));
        assert_eq!(rival.answer().as_deref(), Some("won open"));
    }
    let won: Vec<u64> =
        (0..ROUNDS).map(|at| contest(&mut rivals, &format!("append {at}")).parse().unwrap()).collect();
    let journal = store.read(&operation("first")).await.unwrap();
    assert_eq!(marks(&journal.entries), won);
    assert_eq!(journal.term.0, 1 + 2 * ROUNDS);
}

#[tokio::test]
async fn a_second_handle_does_not_drop_the_first_ones_locks() {
    if let Some(me) = child::role() {
        return obey(&me).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = SqliteStore::open(&path, &name()).unwrap();
    store.advance(founded()).await.unwrap();
    let term = store.begin(&header("first")).await.unwrap();
    let _second = SqliteStore::open(&path, &name()).unwrap();

    let mut visitor = Child::start("rivals::a_second_handle_does_not_drop_the_first_ones_locks", "1");
    let visit = format!("visit {}", path.display());
    for at in 0..3 {
        visitor.order(&visit);
        assert_eq!(visitor.answer().unwrap(), format!("won {at}"));
        store.append(&operation("first"), grip(term), at, &[intent(at)]).await.unwrap();
    }
}
