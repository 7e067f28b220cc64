//! What was altered by hand, or by a newer bascule.

use bascule_core::ports::{JournalStore as _, ReportStore as _, StoreError, TenureStore as _};
use bascule_stores::EtcdStore;
use etcd_client::Client;

use crate::etcd::Cluster;
use crate::site::{done, founded, grip, header, intent, operation};

/// An open operation of three records, in two appends.
async fn store(cluster: &Cluster) -> EtcdStore {
    let store = cluster.store([0, 1, 2]);
    store.advance(founded()).await.unwrap();
    let (term, id) = (store.begin(&header("first")).await.unwrap(), operation("first"));
    store.append(&id, grip(term), 0, &[intent(0), intent(1)]).await.unwrap();
    store.append(&id, grip(term), 2, &[done(2, "hold")]).await.unwrap();
    store
}

fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>, word: &str) {
    assert!(
        matches!(&answer, Err(StoreError::Damaged(text)) if text.contains(word)),
        "{answer:?}, not {word}"
    );
}

#[tokio::test]
async fn what_was_altered_by_hand_is_damaged_and_says_where() {
    let cluster = Cluster::start().await;
    let (store, id) = (store(&cluster).await, operation("first"));
    let mut etcd = Client::connect(cluster.endpoints(), None).await.unwrap();
    let batch = |at: u64| format!("/bascule/events/entries/first/{at:020}");

    let kept = etcd.get(batch(0), None).await.unwrap().kvs()[0].value().to_vec();
    etcd.delete(batch(0), None).await.unwrap();
    damaged(store.read(&id).await, "entry 0 of first is missing");
    etcd.put(batch(0), kept, None).await.unwrap();
    assert_eq!(store.read(&id).await.unwrap().entries.len(), 3);

    etcd.delete(batch(2), None).await.unwrap();
    damaged(store.read(&id).await, "first has 2 entries, not 3");
    etcd.put(batch(2), "nonsense", None).await.unwrap();
    damaged(store.read(&id).await, "can't be read");

    // Also what a handle remembers otherwise.
    etcd.put("/bascule/events/tenure", r#"{"version":2,"value":{}}"#, None).await.unwrap();
    damaged(store.tenure().await, "format 2; this bascule reads 1: use a newer one");
    damaged(store.advance(crate::site::renewed(1, "east")).await, "format 2");
}

#[tokio::test]
async fn a_report_that_cannot_be_read_hides_no_other() {
    let cluster = Cluster::start().await;
    let store = cluster.store([0, 1, 2]);
    let place = crate::site::keeper("keeper1");
    store.report(&place, &crate::site::report(3)).await.unwrap();
    let mut etcd = Client::connect(cluster.endpoints(), None).await.unwrap();
    let newer = r#"{"version":1,"value":{"place":"witness","report":{"count":1,"mood":"good"}}}"#;
    etcd.put("/bascule/events/reports/witness", newer, None).await.unwrap();
    let found = store.reports().await.unwrap();
    assert_eq!(found.heard, [(place, crate::site::report(3))]);
    let [unreadable] = &found.unreadable[..] else { panic!("{found:?}") };
    assert!(unreadable.contains("/bascule/events/reports/witness can't be read"), "{unreadable}");
}

#[tokio::test]
async fn what_etcd_would_not_take_is_refused_by_its_size() {
    let cluster = Cluster::start().await;
    let (store, id) = (store(&cluster).await, operation("first"));
    let batch: Vec<_> = (3..20_000).map(intent).collect();
    damaged(store.append(&id, grip(bascule_core::id::Term(1)), 3, &batch).await, "and etcd takes 1048576");
    assert_eq!(store.read(&id).await.unwrap().entries.len(), 3);
}
