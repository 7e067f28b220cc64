//! Operations and their journals.

use bascule_core::id::{Epoch, Term};
use bascule_core::operation::Event;
use bascule_core::ports::{Grip, Header, OpenOperation, StoreError};
use bascule_core::tenure;

use super::{Backend, Handle, RIVALS, begun, fenced, race, site};
use crate::site::{
    committed, done, ending, entry, grip, header, header_of, intent, marks, name, operation, plan, step,
};

async fn read_marks(store: &Handle, id: &str) -> Vec<u64> {
    marks(&store.read(&operation(id)).await.unwrap().entries)
}

fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>, words: &[&str]) {
    let Err(StoreError::Damaged(text)) = &answer else { panic!("not damaged: {answer:?}") };
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

pub async fn an_operation_needs_a_tenure<B: Backend>() {
    let backend = B::empty().await;
    let answer = backend.open().await.begin(&header("first")).await;
    assert_eq!(answer, Err(StoreError::Tenure(tenure::Illegal::NotFounded)));
}

pub async fn one_operation_is_open_at_a_time<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let other = backend.open().await;
    assert_eq!(other.begin(&header("second")).await, Err(StoreError::Busy(operation("first"))));
    store.append(&operation("first"), grip(term), 0, &ending(0)).await.unwrap();
    assert!(other.begin(&header("second")).await.is_ok());
}

pub async fn one_of_many_begins<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let act = |number, handle: Handle| async move { handle.begin(&header(&format!("rival-{number}"))).await };
    let answers = race(&backend, act).await;
    assert_eq!(answers.iter().flatten().count(), 1, "{answers:?}");
    let open = store.list(9).await.unwrap();
    assert_eq!(open.len(), 1);
    for lost in answers.into_iter().filter_map(Result::err) {
        assert_eq!(lost, StoreError::Busy(open[0].0.id.clone()));
    }
}

pub async fn an_operation_is_planned_on_the_current_epoch<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    fenced(store.begin(&header_of("early", plan(7))).await.map(drop), &["epoch 7", "epoch 1"]);
    assert_eq!(store.list(9).await, Ok(vec![]));
    let term = store.begin(&header("first")).await.unwrap();
    store.advance(committed("first")).await.unwrap();
    let grip = Grip { term, epoch: Epoch(2) };
    store.append(&operation("first"), grip, 0, &ending(0)).await.unwrap();
    fenced(store.begin(&header("late")).await.map(drop), &["epoch 1", "epoch 2"]);
    assert_eq!(store.list(9).await, Ok(vec![(header("first"), false)]));
}

pub async fn a_plan_has_the_hash_it_was_pinned_by<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    let header = Header { plan_hash: plan(2).hash(), ..header("first") };
    damaged(store.begin(&header).await, &["first", "hash"]);
    assert_eq!(store.list(9).await, Ok(vec![]));
}

pub async fn a_plan_is_of_this_site<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    let mut plan = plan(1);
    plan.site = "another".parse().unwrap();
    damaged(store.begin(&header_of("first", plan)).await, &["first", "another", name().as_str()]);
    assert_eq!(store.list(9).await, Ok(vec![]));
}

pub async fn a_plan_is_sound<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    let mut plan = plan(1);
    plan.steps.swap(0, 1);
    damaged(store.begin(&header_of("first", plan)).await, &["first", "needs hold"]);
    assert_eq!(store.list(9).await, Ok(vec![]));
}

pub async fn a_name_is_used_once<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    store.append(&operation("first"), grip(term), 0, &ending(0)).await.unwrap();
    let again = store.begin(&header("first")).await;
    assert_eq!(again, Err(StoreError::Conflict { operation: operation("first"), expected: 0, found: 2 }));
}

pub async fn what_was_appended_is_read<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let id = operation("first");
    let entries = [intent(0), done(1, "hold"), entry(2, Event::Intended { step: step("commit") })];
    store.append(&id, grip(term), 0, &entries[..1]).await.unwrap();
    store.append(&id, grip(term), 1, &entries[1..]).await.unwrap();
    let journal = backend.open().await.read(&id).await.unwrap();
    assert_eq!((journal.header, journal.term), (header("first"), term));
    assert_eq!(journal.entries, entries);
}

pub async fn a_batch_is_whole_or_absent<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    // Someone reads all the while: only whole batches of three are ever seen.
    let reader = backend.open().await;
    let reading = tokio::spawn(async move {
        let mut lengths = vec![0];
        while *lengths.last().unwrap() < 30 {
            lengths.push(reader.read(&operation("first")).await.unwrap().entries.len());
        }
        lengths
    });
    for at in (0..30).step_by(3) {
        let batch = [intent(at), intent(at + 1), intent(at + 2)];
        store.append(&operation("first"), grip(term), at, &batch).await.unwrap();
    }
    let lengths = reading.await.unwrap();
    assert!(lengths.iter().all(|length| length % 3 == 0), "{lengths:?}");
    assert_eq!(read_marks(&store, "first").await, (0..30).collect::<Vec<_>>());
}

pub async fn stale_term_never_appends<B: Backend>() {
    let (backend, store, old) = begun::<B>().await;
    let id = operation("first");
    store.append(&id, grip(old), 0, &[intent(0)]).await.unwrap();
    let other = backend.open().await;
    let new = other.claim(&id).await.unwrap();
    assert!(new > old);
    fenced(store.append(&id, grip(old), 1, &[intent(1)]).await, &["its term is 2", "yours 1"]);
    assert_eq!(read_marks(&store, "first").await, [0]);
    other.append(&id, grip(new), 1, &[intent(2)]).await.unwrap();
    assert_eq!(read_marks(&store, "first").await, [0, 2]);
}

pub async fn a_term_of_the_future_never_appends<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let future = Term(term.0 + 1);
    fenced(store.append(&operation("first"), grip(future), 0, &[intent(0)]).await, &["term is 1", "yours 2"]);
    assert!(read_marks(&store, "first").await.is_empty());
}

pub async fn stale_epoch_never_appends<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let id = operation("first");
    store.append(&id, grip(term), 0, &[intent(0)]).await.unwrap();
    backend.open().await.advance(committed("first")).await.unwrap();
    fenced(store.append(&id, grip(term), 1, &[intent(1)]).await, &["epoch is 2", "yours 1"]);
    assert_eq!(read_marks(&store, "first").await, [0]);
    store.append(&id, Grip { term, epoch: Epoch(2) }, 1, &[intent(2)]).await.unwrap();
    assert_eq!(read_marks(&store, "first").await, [0, 2]);
}

pub async fn an_epoch_of_the_future_never_appends<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let future = Grip { term, epoch: Epoch(2) };
    fenced(store.append(&operation("first"), future, 0, &[intent(0)]).await, &["epoch is 1", "yours 2"]);
    assert!(read_marks(&store, "first").await.is_empty());
}

pub async fn an_append_knows_where_the_journal_ends<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let id = operation("first");
    store.append(&id, grip(term), 0, &[intent(0), intent(1)]).await.unwrap();
    for at in [0, 1, 3, u64::MAX] {
        let answer = store.append(&id, grip(term), at, &[intent(9)]).await;
        assert_eq!(answer, Err(StoreError::Conflict { operation: id.clone(), expected: at, found: 2 }));
    }
    assert_eq!(read_marks(&store, "first").await, [0, 1]);
}

pub async fn one_of_many_appends<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let act = |number, handle: Handle| async move {
        handle.append(&operation("first"), grip(term), 0, &[intent(number)]).await.map(|()| number)
    };
    let answers = race(&backend, act).await;
    let won: Vec<u64> = answers.iter().flatten().copied().collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(read_marks(&store, "first").await, won);
}

pub async fn one_of_many_claims_writes<B: Backend>() {
    let (backend, store, _) = begun::<B>().await;
    let act = |_, handle: Handle| async move { handle.claim(&operation("first")).await };
    let mut terms: Vec<Term> = race(&backend, act).await.into_iter().map(Result::unwrap).collect();
    terms.sort();
    terms.dedup();
    assert_eq!(terms.len() as u64, RIVALS, "a term was given twice");
    let newest = terms.pop().unwrap();
    for term in terms {
        fenced(
            store.append(&operation("first"), grip(term), 0, &[intent(term.0)]).await,
            &["another controller"],
        );
    }
    store.append(&operation("first"), grip(newest), 0, &[intent(newest.0)]).await.unwrap();
}

pub async fn an_empty_append_asks_whether_the_grip_is_current<B: Backend>() {
    let (_backend, store, old) = begun::<B>().await;
    let id = operation("first");
    assert_eq!(store.append(&id, grip(old), 0, &[]).await, Ok(()));
    store.claim(&id).await.unwrap();
    fenced(store.append(&id, grip(old), 0, &[]).await, &["another controller"]);
}

pub async fn closed_operation_takes_nothing<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let id = operation("first");
    store.append(&id, grip(term), 0, &ending(0)).await.unwrap();
    for entries in [vec![intent(9)], ending(9), vec![]] {
        fenced(store.append(&id, grip(term), 2, &entries).await, &["first has ended"]);
    }
    fenced(store.claim(&id).await.map(drop), &["first has ended"]);
    assert_eq!(read_marks(&store, "first").await, [0, 1]);
}

pub async fn nothing_follows_the_end<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let batch = [ending(0), vec![intent(9)]].concat();
    fenced(store.append(&operation("first"), grip(term), 0, &batch).await, &["first has ended"]);
    // All of it was refused, so the operation is still open.
    assert!(read_marks(&store, "first").await.is_empty());
    assert_eq!(store.append(&operation("first"), grip(term), 0, &ending(0)).await, Ok(()));
}

pub async fn an_unknown_operation_is_named<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let id = operation("other");
    let unknown = StoreError::NoSuchOperation(id.clone());
    assert_eq!(store.read(&id).await, Err(unknown.clone()));
    assert_eq!(store.claim(&id).await, Err(unknown.clone()));
    assert_eq!(store.append(&id, grip(term), 0, &[intent(0)]).await, Err(unknown.clone()));
    assert_eq!(store.beat(&id, term).await, Err(unknown));
}

pub async fn beats_are_counted<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let other = backend.open().await;
    for beats in 0..3 {
        assert_eq!(other.open().await.unwrap().unwrap().beats, beats);
        store.beat(&operation("first"), term).await.unwrap();
    }
    // A beat is not an append: it takes no place in the journal.
    store.append(&operation("first"), grip(term), 0, &[intent(0)]).await.unwrap();
    assert_eq!(other.open().await.unwrap().unwrap().beats, 3);
}

pub async fn a_beat_of_a_stale_term_is_fenced<B: Backend>() {
    let (backend, store, old) = begun::<B>().await;
    let id = operation("first");
    let new = backend.open().await.claim(&id).await.unwrap();
    fenced(store.beat(&id, old).await, &["its term is 2", "yours 1"]);
    assert_eq!(store.beat(&id, new).await, Ok(()));
    store.append(&id, grip(new), 0, &ending(0)).await.unwrap();
    fenced(store.beat(&id, new).await, &["first has ended"]);
}

pub async fn the_open_operation_is_found<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let other = backend.open().await;
    assert_eq!(other.open().await, Ok(None));
    store.begin(&header("first")).await.unwrap();
    let term = store.claim(&operation("first")).await.unwrap();
    let open = OpenOperation { header: header("first"), term, beats: 0 };
    assert_eq!(other.open().await, Ok(Some(open)));
    store.append(&operation("first"), grip(term), 0, &ending(0)).await.unwrap();
    assert_eq!(other.open().await, Ok(None));
}

/// More than etcd takes in one transaction by default, so a store that sends several must still be all or none.
pub async fn a_long_batch_is_whole<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    let batch: Vec<_> = (0..300).map(intent).collect();
    store.append(&operation("first"), grip(term), 0, &batch).await.unwrap();
    store.append(&operation("first"), grip(term), 300, &[intent(300)]).await.unwrap();
    let read = read_marks(&backend.open().await, "first").await;
    assert_eq!(read, (0..301).collect::<Vec<_>>());
}

pub async fn a_journal_that_does_not_follow_is_damaged<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let id = operation("first");
    store.append(&id, grip(term), 0, &[intent(0), done(1, "verify")]).await.unwrap();
    damaged(store.read(&id).await, &["entry 1 of first", "verify"]);
}

pub async fn history_is_newest_first<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    for id in ["one", "two", "three"] {
        let term = store.begin(&header(id)).await.unwrap();
        if id != "three" {
            store.append(&operation(id), grip(term), 0, &ending(0)).await.unwrap();
        }
    }
    let expected = [(header("three"), true), (header("two"), false), (header("one"), false)];
    assert_eq!(store.list(9).await.unwrap(), expected);
    assert_eq!(store.list(2).await.unwrap(), expected[..2]);
    assert_eq!(store.list(0).await.unwrap(), []);
}
