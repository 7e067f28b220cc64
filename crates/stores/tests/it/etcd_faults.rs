//! What a cluster of three does to its callers when members die, fall silent, or are cut off. Never a wrong answer;
//! at worst none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bascule_core::id::Epoch;
use bascule_core::ports::{
    JournalStore as _, ReportStore as _, StoreError, TenureStore as _, TenureWatch as _,
};
use bascule_core::tenure::Tenure;
use bascule_stores::{EtcdConfig, EtcdStore};

use crate::etcd::{Cluster, loopback, until};
use crate::site::{committed, founded, grip, header, intent, marks, name, operation, renewed, report};

/// A request's time is a second, and a call makes at most two or three; the rest is for a busy machine.
const CALL: Duration = Duration::from_secs(10);

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

async fn renewals(store: &EtcdStore) -> u64 {
    store.tenure().await.unwrap().unwrap().renewals
}

/// Which members do not lead, and which does.
async fn followers_and_leader(cluster: &Cluster) -> ([usize; 2], usize) {
    let leader = cluster.leader().await;
    ([(leader + 1) % 3, (leader + 2) % 3], leader)
}

/// Appends one record after another until it has been told so many times that one was made; what it was told is
/// what must be there.
async fn append_until(store: &EtcdStore, from: u64, to: u64) -> u64 {
    let id = operation("first");
    let term = store.claim(&id).await.unwrap();
    let mut at = from;
    let begun = Instant::now();
    while at < to {
        assert!(begun.elapsed() < 6 * CALL, "no append is made any more");
        match store.append(&id, grip(term), at, &[intent(at)]).await {
            Ok(()) => at += 1,
            Err(StoreError::Unavailable(_)) => {
                // It may have been made, and nobody else writes: what is there tells.
                let read = loop {
                    match store.read(&id).await {
                        Ok(journal) => break journal.entries.len() as u64,
                        Err(StoreError::Unavailable(_)) => assert!(begun.elapsed() < 6 * CALL),
                        Err(error) => panic!("{error}"),
                    }
                };
                assert!(read == at || read == at + 1, "{read} entries after {at}");
                at = read;
            }
            Err(error) => panic!("at {at}: {error}"),
        }
    }
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_and_its_return_lose_nothing_and_repeat_nothing() {
    let mut cluster = Cluster::start().await;
    let store = cluster.store([0, 1, 2]);
    store.advance(founded()).await.unwrap();
    store.begin(&header("first")).await.unwrap();
    let mut at = 0;
    for _ in 0..3 {
        // In the midst of appends: some are under way when it dies.
        let leader = cluster.leader().await;
        let (writer, to) = (store.clone(), at + 60);
        let writing = tokio::spawn(async move { append_until(&writer, at, to).await });
        let reader = cluster.store([(leader + 1) % 3, (leader + 2) % 3, leader]);
        let id = operation("first");
        until("a third is written", async || {
            reader.read(&id).await.is_ok_and(|journal| journal.entries.len() as u64 >= at + 20)
        })
        .await;
        cluster.kill(leader);
        at = writing.await.unwrap();
        cluster.restart(leader);
    }
    let journal = store.read(&operation("first")).await.unwrap();
    assert_eq!(marks(&journal.entries), (0..at).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_restarted_member_takes_the_place_of_the_next_that_dies() {
    let mut cluster = Cluster::start().await;
    let store = cluster.store([0, 1, 2]);
    store.advance(founded()).await.unwrap();
    cluster.kill(0);
    until("two members elect and renew", async || store.advance(renewed(1, "east")).await.is_ok()).await;
    cluster.restart(0);
    // Until it has caught up: asked alone.
    let alone = EtcdStore::connect(EtcdConfig::new(vec![cluster.endpoints()[0].clone()]), &name()).unwrap();
    until("the restarted member answers", async || alone.tenure().await.is_ok()).await;
    cluster.kill(1);
    until("it votes", async || store.advance(renewed(1, "east")).await.is_ok()).await;
    assert!(renewals(&store).await >= 2);
}

#[tokio::test]
async fn a_silent_member_costs_its_callers_one_share_once() {
    let cluster = Cluster::start().await;
    let (followers, leader) = followers_and_leader(&cluster).await;
    let store = cluster.store([followers[0], followers[1], leader]);
    store.advance(founded()).await.unwrap();
    // Its connection stays up, and nothing comes back.
    cluster.freeze(followers[0]);
    let begun = Instant::now();
    store.advance(renewed(1, "east")).await.unwrap();
    assert!(begun.elapsed() > Duration::from_millis(300), "it was not asked at all");
    let begun = Instant::now();
    for _ in 0..10 {
        store.advance(renewed(1, "east")).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "it was asked again: {:?}", begun.elapsed());
    // Thawed, it sends on what it was sent: that does not count twice.
    cluster.thaw(followers[0]);
    let alone = EtcdStore::connect(EtcdConfig::new(vec![cluster.endpoints()[followers[0]].clone()]), &name());
    let alone = alone.unwrap();
    until("the thawed member answers", async || alone.tenure().await.is_ok()).await;
    assert_eq!(renewals(&store).await, 11);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_is_replaced_and_what_it_was_sent_counts_once() {
    let cluster = Cluster::start().await;
    let (followers, leader) = followers_and_leader(&cluster).await;
    let store = cluster.store([leader, followers[0], followers[1]]);
    store.advance(founded()).await.unwrap();
    cluster.freeze(leader);
    let (mut asked, mut answered) = (0, 0);
    until("the others elect and renew", async || {
        asked += 1;
        let renewed = store.advance(renewed(1, "east")).await;
        answered += u64::from(renewed.is_ok());
        answered == 10
    })
    .await;
    cluster.thaw(leader);
    let alone =
        EtcdStore::connect(EtcdConfig::new(vec![cluster.endpoints()[leader].clone()]), &name()).unwrap();
    until("the old leader follows", async || alone.tenure().await.is_ok()).await;
    let counted = renewals(&alone).await;
    assert!((answered..=asked).contains(&counted), "{answered} answered, {asked} asked, {counted} counted");
}

#[tokio::test]
async fn a_dead_address_is_passed_over() {
    let cluster = Cluster::start().await;
    // Port 1 of loopback: nobody listens there.
    let endpoints = [vec!["http://127.0.0.1:1".to_owned()], cluster.endpoints()].concat();
    let store = EtcdStore::connect(EtcdConfig::new(endpoints), &name()).unwrap();
    store.advance(founded()).await.unwrap();
    assert_eq!(store.advance(renewed(1, "east")).await.unwrap().renewals, 1);
}

#[tokio::test]
async fn without_a_majority_nothing_is_answered_and_nothing_hangs() {
    let cluster = Cluster::start().await;
    let store = cluster.store([0, 1, 2]);
    store.advance(founded()).await.unwrap();
    let term = store.begin(&header("first")).await.unwrap();
    let before = store.tenure().await.unwrap();
    cluster.freeze(1);
    cluster.freeze(2);
    let begun = Instant::now();
    unavailable(store.tenure().await);
    unavailable(store.advance(renewed(1, "east")).await);
    unavailable(store.advance(committed("first")).await);
    unavailable(store.append(&operation("first"), grip(term), 0, &[intent(0)]).await);
    unavailable(store.open().await);
    unavailable(store.reports().await);
    unavailable(store.changed(before.as_ref()).await);
    let each = begun.elapsed() / 7;
    assert!(each < CALL / 2, "a call took {each:?}");

    cluster.thaw(1);
    cluster.thaw(2);
    until("the majority answers again", async || store.tenure().await.is_ok()).await;
    // What was not answered may have been made, but only as it was asked, and once.
    let tenure = store.tenure().await.unwrap().unwrap();
    assert!(tenure.epoch == Epoch(1) && tenure.renewals <= 1 || tenure.epoch == Epoch(2), "{tenure:?}");
    assert!(store.read(&operation("first")).await.unwrap().entries.len() <= 1);
    let moved = store.advance(committed("first")).await.unwrap();
    assert_eq!((moved.epoch, moved.active.as_str()), (Epoch(2), "west"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_at_once_and_outlives_its_member() {
    let mut cluster = Cluster::start().await;
    let (followers, leader) = followers_and_leader(&cluster).await;
    let watcher = Arc::new(cluster.store([followers[0], followers[1], leader]));
    let actor = cluster.store([leader, followers[1], followers[0]]);
    let mut seen = actor.advance(founded()).await.unwrap();
    assert_eq!(watcher.changed(None).await.unwrap().as_ref(), Some(&seen));

    // What is told is told by the watch: a look of its own comes only after a second.
    let mut quick = 0;
    for _ in 0..10 {
        let (told, after) = tell(&watcher, &actor, &seen).await;
        quick += u32::from(after < Duration::from_millis(500));
        seen = told;
    }
    assert!(quick >= 8, "{quick} of 10 changes were told at once");

    cluster.kill(followers[0]);
    for _ in 0..3 {
        seen = tell(&watcher, &actor, &seen).await.0;
    }
    // And once more from the one it went over to, falling silent instead.
    cluster.restart(followers[0]);
    let alone = EtcdStore::connect(EtcdConfig::new(vec![cluster.endpoints()[followers[0]].clone()]), &name());
    let alone = alone.unwrap();
    until("the restarted member answers", async || alone.tenure().await.is_ok()).await;
    cluster.freeze(followers[1]);
    for _ in 0..3 {
        seen = tell(&watcher, &actor, &seen).await.0;
    }
    assert_eq!(seen.renewals, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_leaves_a_silent_member_before_there_is_anything_to_tell() {
    let cluster = Cluster::start().await;
    let (followers, leader) = followers_and_leader(&cluster).await;
    let watcher = Arc::new(cluster.store([followers[0], followers[1], leader]));
    let actor = cluster.store([leader, followers[1], followers[0]]);
    let mut seen = actor.advance(founded()).await.unwrap();
    // The first may be told by the look that a watch begins with: only the second shows that there is a watch.
    for _ in 0..2 {
        seen = tell(&watcher, &actor, &seen).await.0;
    }
    // As when a region is lost: its member says nothing more, and nobody renews.
    cluster.freeze(followers[0]);
    assert_eq!(watcher.changed(Some(&seen)).await.unwrap().as_ref(), Some(&seen));
    let (_, after) = tell(&watcher, &actor, &seen).await;
    assert!(after < Duration::from_millis(700), "told after {after:?}, by a look of its own");
}

/// What a waiting watcher is told of a renewal, and how long after it was made.
async fn tell(watcher: &Arc<EtcdStore>, actor: &EtcdStore, seen: &Tenure) -> (Tenure, Duration) {
    let (watching, than) = (Arc::clone(watcher), seen.clone());
    let watching = tokio::spawn(async move {
        let begun = Instant::now();
        loop {
            // A look of its own may fail while a member dies.
            match watching.changed(Some(&than)).await {
                Ok(Some(tenure)) if tenure.renewals != than.renewals => return (tenure, Instant::now()),
                Ok(_) | Err(StoreError::Unavailable(_)) => assert!(begun.elapsed() < CALL, "not told"),
                Err(error) => panic!("{error}"),
            }
        }
    });
    let made = actor.advance(renewed(1, "east")).await.unwrap();
    let at = Instant::now();
    let (told, when) = watching.await.unwrap();
    assert_eq!(told, made);
    (told, when.saturating_duration_since(at))
}

#[tokio::test]
async fn a_report_that_is_late_does_not_undo_a_newer_one() {
    let cluster = Cluster::start().await;
    let (followers, leader) = followers_and_leader(&cluster).await;
    let place = bascule_core::vantage::Place::Witness;
    // The same place, before and after it was restarted: the first one's request hangs at a frozen member.
    let before =
        EtcdStore::connect(EtcdConfig::new(vec![cluster.endpoints()[followers[0]].clone()]), &name());
    let (before, after) = (before.unwrap(), cluster.store([leader, followers[1], followers[0]]));
    before.report(&place, &report(1)).await.unwrap();
    cluster.freeze(followers[0]);
    unavailable(before.report(&place, &report(2)).await);
    after.report(&place, &report(3)).await.unwrap();
    cluster.thaw(followers[0]);
    until("the thawed member answers", async || before.tenure().await.is_ok()).await;
    assert_eq!(before.reports().await.unwrap().heard, [(place, report(3))]);
}

#[tokio::test]
async fn a_store_can_be_made_before_etcd_can_be_reached() {
    let cluster = Cluster::start_unready(loopback(), None);
    let store = cluster.store([0, 1, 2]);
    until("the members have found each other", async || store.tenure().await.is_ok()).await;
    assert_eq!(store.advance(founded()).await.unwrap().epoch, Epoch(1));
}
