//! What every store obeys. A store joins by implementing [`Backend`] and one line in `stores.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use bascule_core::id::Term;
use bascule_core::ports::{JournalStore, ReportStore, StoreError, TenureStore, TenureWatch};

use crate::site::{founded, header};

mod journal;
mod places;
mod tenure;

pub use journal::*;
pub use places::*;
pub use tenure::*;

pub trait Store: TenureStore + JournalStore + ReportStore + TenureWatch {}
impl<S: TenureStore + JournalStore + ReportStore + TenureWatch> Store for S {}

pub type Handle = Arc<dyn Store>;

/// Something that keeps one site's store for as long as it lives.
#[async_trait]
pub trait Backend: Send + Sync + Sized {
    /// An empty one, of the site [`crate::site::name`].
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
            a_region_that_has_let_go_is_not_renewed_by_anybody
            what_a_person_let_go_no_keeper_takes_back
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
