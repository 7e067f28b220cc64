//! What every store obeys. A store joins by implementing [`Backend`] and one line in `stores.rs`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{Epoch, Term};
use bascule_core::operation::Event;
use bascule_core::ports::{
    Grip, Header, JournalStore, OpenOperation, ReportStore, StoreError, TenureStore, TenureWatch,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place};

use crate::site::{
    committed, committed_in, done, ending, entry, founded, grip, header, header_of, intent, keeper, marks,
    name, operation, plan, region, renewed, report, step,
};

pub trait Store: TenureStore + JournalStore + ReportStore + TenureWatch {}
impl<S: TenureStore + JournalStore + ReportStore + TenureWatch> Store for S {}

pub type Handle = Arc<dyn Store>;

/// Something that keeps one site's store for as long as it lives.
#[async_trait]
pub trait Backend: Send + Sync + Sized {
    /// An empty one, of the site [`name`].
    async fn empty() -> Self;
    /// A handle on it, as another controller would open.
    async fn open(&self) -> Handle;
}

/// Every law: `laws!(then …)` hands their names to the macro `then`.
macro_rules! laws {
    ($then:ident $($more:tt)*) => {
        $crate::conformance::$then! { $($more)*
            a_site_is_founded_once
            a_tenure_is_seen_by_every_handle
            a_commit_is_one_whoever_asks
            committing_twice_is_committing_once
            a_stale_term_never_commits
            a_commit_after_the_end_is_fenced
            a_commit_of_an_unknown_operation_is_fenced
            renewals_only_grow
            every_renewal_of_many_counts
            a_claim_at_old_renewals_is_refused
            a_renewal_after_the_move_is_over
            a_tenure_is_settled_in_its_own_epoch
            a_region_is_dark_since_it_was_first_not_seen
            an_operation_needs_a_tenure
            one_operation_is_open_at_a_time
            one_of_many_begins
            an_operation_is_planned_on_the_current_epoch
            a_plan_has_the_hash_it_was_pinned_by
            a_plan_is_of_this_site
            a_plan_is_sound
            a_name_is_used_once
            what_was_appended_is_read
            a_batch_is_whole_or_absent
            stale_term_never_appends
            a_term_of_the_future_never_appends
            stale_epoch_never_appends
            an_epoch_of_the_future_never_appends
            an_append_knows_where_the_journal_ends
            one_of_many_appends
            one_of_many_claims_writes
            an_empty_append_asks_whether_the_grip_is_current
            closed_operation_takes_nothing
            nothing_follows_the_end
            an_unknown_operation_is_named
            beats_are_counted
            a_beat_of_a_stale_term_is_fenced
            the_open_operation_is_found
            a_long_batch_is_whole
            a_report_is_replaced
            a_pause_is_everyones
            a_watch_returns_on_a_renewal
            a_watch_returns_on_a_move
            a_watch_sees_the_founding
            a_watch_that_is_behind_returns_at_once
            a_journal_that_does_not_follow_is_damaged
            history_is_newest_first
        }
    };
}
pub(crate) use laws;

/// One test for each law, against one backend.
macro_rules! conformance {
    ($module:ident, $backend:ty) => {
        mod $module {
            $crate::conformance::laws!(test_each $backend:);
        }
    };
}
pub(crate) use conformance;

macro_rules! test_each {
    ($backend:ty: $($law:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $law() {
                $crate::conformance::$law::<$backend>().await;
            }
        )*
    };
}
pub(crate) use test_each;

/// All laws in one test, for a backend that is dear to start; says which ones were broken.
macro_rules! run_all {
    ($backend:ty: $($law:ident)*) => {{
        let mut broken = Vec::new();
        $(
            if tokio::spawn($crate::conformance::$law::<$backend>()).await.is_err() {
                broken.push(stringify!($law));
            }
        )*
        assert!(broken.is_empty(), "broken: {broken:?}");
    }};
}
pub(crate) use run_all;

/// Handles that race for the same thing.
const RIVALS: u64 = 8;

/// By when a watcher must have been told: far beyond what any store takes, so that only silence fails.
const WATCH: Duration = Duration::from_secs(5);

async fn site<B: Backend>() -> (B, Handle) {
    let backend = B::empty().await;
    let store = backend.open().await;
    store.advance(founded()).await.unwrap();
    (backend, store)
}

async fn begun<B: Backend>() -> (B, Handle, Term) {
    let (backend, store) = site::<B>().await;
    let term = store.begin(&header("first")).await.unwrap();
    (backend, store, term)
}

async fn read_marks(store: &Handle, id: &str) -> Vec<u64> {
    marks(&store.read(&operation(id)).await.unwrap().entries)
}

/// The answers of rivals that do something at the same moment, each through a handle of its own.
async fn race<B, T, F>(backend: &B, act: impl Fn(u64, Handle) -> F) -> Vec<Result<T, StoreError>>
where
    B: Backend,
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let mut rivals = Vec::new();
    for number in 0..RIVALS {
        rivals.push(act(number, backend.open().await));
    }
    let rivals: Vec<_> = rivals.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for rival in rivals {
        answers.push(rival.await.unwrap());
    }
    answers
}

fn fenced(answer: Result<(), StoreError>, words: &[&str]) {
    let Err(StoreError::Fenced(text)) = &answer else { panic!("not fenced: {answer:?}") };
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>, words: &[&str]) {
    let Err(StoreError::Damaged(text)) = &answer else { panic!("not damaged: {answer:?}") };
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

pub async fn a_site_is_founded_once<B: Backend>() {
    let backend = B::empty().await;
    let store = backend.open().await;
    assert_eq!(store.tenure().await, Ok(None));
    let tenure = store.advance(founded()).await.unwrap();
    assert_eq!((tenure.epoch, tenure.active.as_str()), (Epoch(1), "east"));
    let again = store.advance(founded()).await;
    assert_eq!(again, Err(StoreError::Tenure(tenure::Illegal::AlreadyFounded(Box::new(tenure)))));
}

pub async fn a_tenure_is_seen_by_every_handle<B: Backend>() {
    let (backend, store, _) = begun::<B>().await;
    let other = backend.open().await;
    assert_eq!(other.tenure().await, store.tenure().await);
    let moved = other.advance(committed("first")).await.unwrap();
    assert_eq!(store.tenure().await, Ok(Some(moved)));
}

pub async fn a_commit_is_one_whoever_asks<B: Backend>() {
    let (backend, store, _) = begun::<B>().await;
    let act = |_, handle: Handle| async move {
        let term = handle.claim(&operation("first")).await?;
        handle.advance(committed_in("first", term, None)).await
    };
    let answers = race(&backend, act).await;
    let moved = store.tenure().await.unwrap().unwrap();
    assert_eq!((moved.epoch, moved.active.as_str()), (Epoch(2), "west"));
    assert!(answers.iter().any(Result::is_ok), "the newest controller was refused: {answers:?}");
    for answer in answers {
        match answer {
            Ok(tenure) => assert_eq!(tenure, moved),
            Err(error) => fenced(Err(error), &["another controller"]),
        }
    }
}

pub async fn committing_twice_is_committing_once<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    let moved = store.advance(committed("first")).await.unwrap();
    assert_eq!(store.advance(committed("first")).await, Ok(moved.clone()));
    // Also by a controller that was relieved in between, and after the operation's end.
    let next = store.claim(&operation("first")).await.unwrap();
    assert_eq!(store.advance(committed("first")).await, Ok(moved.clone()));
    assert_eq!(store.advance(committed_in("first", next, None)).await, Ok(moved.clone()));
    let grip = Grip { term: next, epoch: moved.epoch };
    store.append(&operation("first"), grip, 0, &ending(0)).await.unwrap();
    assert_eq!(store.advance(committed_in("first", term, None)).await, Ok(moved));
}

pub async fn a_stale_term_never_commits<B: Backend>() {
    let (backend, store, old) = begun::<B>().await;
    let new = backend.open().await.claim(&operation("first")).await.unwrap();
    let answer = store.advance(committed_in("first", old, None)).await;
    fenced(answer.map(drop), &["its term is 2", "yours 1"]);
    let future = store.advance(committed_in("first", Term(new.0 + 1), None)).await;
    fenced(future.map(drop), &["its term is 2", "yours 3"]);
    assert_eq!(store.tenure().await.unwrap().unwrap().epoch, Epoch(1));
    assert_eq!(store.advance(committed_in("first", new, None)).await.unwrap().epoch, Epoch(2));
}

pub async fn a_commit_after_the_end_is_fenced<B: Backend>() {
    let (_backend, store, term) = begun::<B>().await;
    store.append(&operation("first"), grip(term), 0, &ending(0)).await.unwrap();
    fenced(store.advance(committed("first")).await.map(drop), &["first has ended"]);
    assert_eq!(store.tenure().await.unwrap().unwrap().epoch, Epoch(1));
}

pub async fn a_commit_of_an_unknown_operation_is_fenced<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    fenced(store.advance(committed("first")).await.map(drop), &["first has not begun"]);
    assert_eq!(store.tenure().await.unwrap().unwrap().epoch, Epoch(1));
}

pub async fn renewals_only_grow<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let other = backend.open().await;
    for expected in 1..=5 {
        let handle = if expected % 2 == 0 { &store } else { &other };
        assert_eq!(handle.advance(renewed(1, "east")).await.unwrap().renewals, expected);
        assert_eq!(store.tenure().await.unwrap().unwrap().renewals, expected);
    }
    for wrong in [renewed(1, "west"), renewed(2, "east")] {
        let answer = store.advance(wrong).await;
        assert!(matches!(answer, Err(StoreError::Tenure(tenure::Illegal::Over { .. }))), "{answer:?}");
    }
    assert_eq!(store.tenure().await.unwrap().unwrap().renewals, 5);
}

pub async fn every_renewal_of_many_counts<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let act = |_, handle: Handle| async move { handle.advance(renewed(1, "east")).await };
    let answers = race(&backend, act).await;
    let mut counts: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().renewals).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=RIVALS).collect::<Vec<_>>());
    assert_eq!(store.tenure().await.unwrap().unwrap().renewals, RIVALS);
}

pub async fn a_claim_at_old_renewals_is_refused<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    backend.open().await.advance(renewed(1, "east")).await.unwrap();
    let answer = store.advance(committed_in("first", term, Some(0))).await;
    let refused = Err(StoreError::Tenure(tenure::Illegal::Renewed {
        expected: 0,
        current: Box::new(store.tenure().await.unwrap().unwrap()),
    }));
    assert_eq!(answer, refused);
    let claimed = store.advance(committed_in("first", term, Some(1))).await.unwrap();
    assert_eq!((claimed.epoch, claimed.renewals), (Epoch(2), 0));
}

pub async fn a_renewal_after_the_move_is_over<B: Backend>() {
    let (backend, store, _) = begun::<B>().await;
    let moved = store.advance(committed("first")).await.unwrap();
    let answer = backend.open().await.advance(renewed(1, "east")).await;
    assert!(matches!(answer, Err(StoreError::Tenure(tenure::Illegal::Over { .. }))), "{answer:?}");
    assert_eq!(store.tenure().await, Ok(Some(moved)));
    assert_eq!(store.advance(renewed(2, "west")).await.unwrap().renewals, 1);
}

pub async fn a_tenure_is_settled_in_its_own_epoch<B: Backend>() {
    let (_backend, store) = site::<B>().await;
    let settled = |epoch| tenure::Event::Settled { epoch: Epoch(epoch) };
    assert!(store.advance(settled(1)).await.unwrap().settled);
    assert!(store.tenure().await.unwrap().unwrap().settled);
    let answer = store.advance(settled(2)).await;
    assert!(matches!(answer, Err(StoreError::Tenure(tenure::Illegal::Stale { .. }))), "{answer:?}");
}

pub async fn a_region_is_dark_since_it_was_first_not_seen<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let (east, west) = (region("east"), region("west"));
    assert_eq!(store.sight(&east, false, Timestamp(5)).await, Ok(None));
    assert_eq!(store.sight(&east, true, Timestamp(10)).await, Ok(Some(Timestamp(10))));
    let other = backend.open().await;
    assert_eq!(other.sight(&east, true, Timestamp(20)).await, Ok(Some(Timestamp(10))));
    assert_eq!(other.sight(&west, true, Timestamp(21)).await, Ok(Some(Timestamp(21))));
    assert_eq!(other.sight(&east, false, Timestamp(30)).await, Ok(None));
    assert_eq!(store.sight(&east, true, Timestamp(40)).await, Ok(Some(Timestamp(40))));
    assert_eq!(store.sight(&west, true, Timestamp(41)).await, Ok(Some(Timestamp(21))));
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

pub async fn a_report_is_replaced<B: Backend>() {
    let (backend, store) = site::<B>().await;
    assert_eq!(store.reports().await, Ok(vec![]));
    let (a, b, other) = (keeper("keeper1"), keeper("keeper2"), backend.open().await);
    for (place, count) in [(&Place::Witness, 1), (&b, 1), (&a, 1), (&b, 2)] {
        other.report(place, &report(count)).await.unwrap();
    }
    let expected = vec![(a, report(1)), (b, report(2)), (Place::Witness, report(1))];
    assert_eq!(store.reports().await, Ok(expected));
}

pub async fn a_pause_is_everyones<B: Backend>() {
    let (backend, store) = site::<B>().await;
    assert_eq!(store.pause().await, Ok(None));
    let by = |by: &str| Pause { by: by.to_owned(), why: "maintenance".to_owned(), since: Timestamp(9) };
    let other = backend.open().await;
    for pause in [by("ann"), by("bob")] {
        other.set_pause(Some(&pause)).await.unwrap();
        assert_eq!(store.pause().await, Ok(Some(pause)));
    }
    other.set_pause(None).await.unwrap();
    assert_eq!(store.pause().await, Ok(None));
    assert_eq!(other.set_pause(None).await, Ok(()));
}

/// Wait as a keeper does: again, for as long as the same comes back.
async fn watched(store: Handle, than: Option<Tenure>) -> Option<Tenure> {
    let seen = |tenure: &Option<Tenure>| tenure.as_ref().map(|t| (t.epoch, t.renewals));
    loop {
        let tenure = store.changed(than.as_ref()).await.unwrap();
        if seen(&tenure) != seen(&than) {
            return tenure;
        }
    }
}

/// What a watcher that was waiting already is told of what `act` does.
async fn told<B: Backend>(backend: &B, than: Option<Tenure>, event: tenure::Event) -> (Tenure, Tenure) {
    let (watcher, actor) = (backend.open().await, backend.open().await);
    let watching = tokio::spawn(watched(watcher, than));
    let made = actor.advance(event).await.unwrap();
    let told = tokio::time::timeout(WATCH, watching).await.expect("a watcher was not told").unwrap();
    (told.unwrap(), made)
}

pub async fn a_watch_returns_on_a_renewal<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let (told, made) = told(&backend, store.tenure().await.unwrap(), renewed(1, "east")).await;
    assert_eq!((told.renewals, &told), (1, &made));
}

pub async fn a_watch_returns_on_a_move<B: Backend>() {
    let (backend, store, _) = begun::<B>().await;
    let (told, made) = told(&backend, store.tenure().await.unwrap(), committed("first")).await;
    assert_eq!((told.epoch, &told), (Epoch(2), &made));
}

pub async fn a_watch_sees_the_founding<B: Backend>() {
    let backend = B::empty().await;
    let (told, made) = told(&backend, None, founded()).await;
    assert_eq!(told, made);
}

pub async fn a_watch_that_is_behind_returns_at_once<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let old = store.tenure().await.unwrap();
    let new = store.advance(renewed(1, "east")).await.unwrap();
    assert_eq!(backend.open().await.changed(old.as_ref()).await, Ok(Some(new.clone())));
    assert_eq!(backend.open().await.changed(None).await, Ok(Some(new)));
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
