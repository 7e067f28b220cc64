//! Who is active, and who may change it.

use bascule_core::id::{Epoch, Term};
use bascule_core::ports::{Grip, StoreError};
use bascule_core::tenure;
use bascule_core::time::Timestamp;

use super::{Backend, Handle, RIVALS, begun, fenced, race, site};
use crate::site::{committed, committed_in, ending, founded, grip, operation, region, renewed};

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
    // It has just seen that the operation is its own, and may remember that.
    store.beat(&operation("first"), old).await.unwrap();
    let new = backend.open().await.claim(&operation("first")).await.unwrap();
    let answer = store.advance(committed_in("first", old, None)).await;
    fenced(answer.map(drop), &["its term is 2", "yours 1"]);
    let future = store.advance(committed_in("first", Term(new.0 + 1), None)).await;
    fenced(future.map(drop), &["its term is 2", "yours 3"]);
    assert_eq!(store.tenure().await.unwrap().unwrap().epoch, Epoch(1));
    assert_eq!(store.advance(committed_in("first", new, None)).await.unwrap().epoch, Epoch(2));
}

pub async fn a_commit_after_the_end_is_fenced<B: Backend>() {
    let (backend, store, term) = begun::<B>().await;
    store.beat(&operation("first"), term).await.unwrap();
    backend.open().await.append(&operation("first"), grip(term), 0, &ending(0)).await.unwrap();
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
    store.tenure().await.unwrap();
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

pub async fn a_region_that_has_let_go_is_not_renewed_by_anybody<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let other = backend.open().await;
    let release = tenure::Release {
        by: "ada".to_owned(),
        why: "its database is dead".to_owned(),
        at: Timestamp(7),
        for_a_while: false,
    };
    store.advance(tenure::Event::Released { epoch: Epoch(1), release: release.clone() }).await.unwrap();
    assert_eq!(other.tenure().await.unwrap().unwrap().released, Some(release.clone()));
    let answer = other.advance(renewed(1, "east")).await;
    assert!(matches!(answer, Err(StoreError::Tenure(tenure::Illegal::Released(_)))), "{answer:?}");
    let keep = |release| tenure::Event::Kept { epoch: Epoch(1), release };
    let kept = other.advance(keep(release.clone())).await.unwrap();
    assert_eq!((kept.released, kept.renewals), (None, 2), "a challenger waits anew");
    assert_eq!(store.advance(renewed(1, "east")).await.unwrap().renewals, 3);
}

/// A keeper decides to keep what keepers let go, and a person lets it go before the keeper's word is there.
pub async fn what_a_person_let_go_no_keeper_takes_back<B: Backend>() {
    let (backend, store) = site::<B>().await;
    let keepers = tenure::Release {
        by: "keeper1".to_owned(),
        why: "users can't write".to_owned(),
        at: Timestamp(9),
        for_a_while: true,
    };
    let persons = tenure::Release { by: "ann".to_owned(), for_a_while: false, ..keepers.clone() };
    let epoch = Epoch(1);
    for release in [keepers.clone(), persons.clone()] {
        store.advance(tenure::Event::Released { epoch, release }).await.unwrap();
    }
    let other = backend.open().await;
    let kept = other.advance(tenure::Event::Kept { epoch, release: keepers }).await.unwrap();
    assert_eq!((kept.released, kept.renewals), (Some(persons.clone()), 2));
    assert_eq!(store.tenure().await.unwrap().unwrap().released, Some(persons));
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
    // Whoever was cut off from it saw it dark; it renews, so it lives.
    store.advance(renewed(1, "east")).await.unwrap();
    assert_eq!(store.sight(&east, true, Timestamp(50)).await, Ok(Some(Timestamp(50))));
    assert_eq!(store.sight(&west, true, Timestamp(51)).await, Ok(Some(Timestamp(21))));
}
