//! What places tell each other, and how they learn of a change.

use std::time::Duration;

use bascule_core::id::Epoch;
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place};

use super::{Backend, Handle, begun, site};
use crate::site::{committed, founded, keeper, renewed, report};

/// By when a watcher must have been told: far beyond what any store takes, so that only silence fails.
const WATCH: Duration = Duration::from_secs(5);

pub async fn a_report_is_replaced<B: Backend>() {
    let (backend, store) = site::<B>().await;
    assert_eq!(store.reports().await.unwrap().heard, vec![]);
    let (a, b, other) = (keeper("keeper1"), keeper("keeper2"), backend.open().await);
    for (place, count) in [(&Place::Witness, 1), (&b, 1), (&a, 1), (&b, 2)] {
        other.report(place, &report(count)).await.unwrap();
    }
    let expected = vec![(a, report(1)), (b, report(2)), (Place::Witness, report(1))];
    assert_eq!(store.reports().await.unwrap().heard, expected);
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
