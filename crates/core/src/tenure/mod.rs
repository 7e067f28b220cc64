//! Who is active, and in which epoch; and how its keepers prove that they still know it.
//!
//! Invariant: an epoch is held by one region, and the stored pair of epoch and renewals only grows. What
//! follows from a renewal in time is not here: [`hold`] is what a holder may conclude of it, [`challenge`]
//! what everybody else may, and [`timing`] derives the one from the other.

pub mod challenge;
pub mod hold;
pub mod timing;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, OperationId, RegionName, Term};
use crate::time::Timestamp;

/// Which region is active, since when, and by which operation it became so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenure {
    /// Grows by one at each move.
    pub epoch: Epoch,
    /// The region that takes writes.
    pub active: RegionName,
    /// When it was recorded, by the clock of the controller that recorded it.
    pub since: Timestamp,
    /// The operation that committed it; none for the first.
    pub by: Option<OperationId>,
    /// How often its keepers have renewed it. A site without keepers stays at 0.
    #[serde(default)]
    pub renewals: u64,
    /// Whether the other region was seen to follow since this tenure began: before that, another move
    /// would have nowhere to go.
    #[serde(default)]
    pub settled: bool,
    /// Whether the active region has let go: its keepers renew no more, and the other region may take over like
    /// after a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
}

/// Who let a region go, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who: a person, or a keeper by its name.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// Whether keepers may take it back when nobody has taken over; what a person asked for, a person takes back.
    pub for_a_while: bool,
}

/// Something that happens to a site's tenure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first tenure of a site is recorded.
    Founded {
        /// The region that is active at the start.
        active: RegionName,
        /// When.
        at: Timestamp,
    },
    /// A keeper of the active region renews it.
    Renewed {
        /// The epoch the keeper believes in.
        epoch: Epoch,
        /// The keeper's region.
        region: RegionName,
    },
    /// The other region was seen to follow.
    Settled {
        /// In this epoch.
        epoch: Epoch,
    },
    /// The active region lets go of it.
    Released {
        /// In this epoch.
        epoch: Epoch,
        /// Who wants it, and why.
        release: Release,
    },
    /// It does not let go after all.
    Kept {
        /// In this epoch.
        epoch: Epoch,
        /// What is taken back. Another one that took its place meanwhile stays: a person's above all.
        release: Release,
    },
    /// An operation moves the site.
    Committed {
        /// The operation.
        by: OperationId,
        /// The controller's term for it: the store admits nobody whom another controller has relieved.
        term: Term,
        /// The epoch it was planned on.
        base: Epoch,
        /// The region that becomes active.
        active: RegionName,
        /// When.
        at: Timestamp,
        /// A claim over the head of a holder that is not asked: the renewals at which the tenure stood
        /// still for [`timing::Timing::claim_after`]. None where the holder's gate was seen closed.
        unrenewed: Option<u64>,
    },
}

/// Why an event does not follow from a tenure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The site has a tenure already.
    #[error("the site has a tenure already: {} is active in epoch {}", .0.active, .0.epoch)]
    AlreadyFounded(Box<Tenure>),
    /// The site has none yet.
    #[error("the site has no tenure yet")]
    NotFounded,
    /// The operation was planned on an epoch that is over.
    #[error("planned on epoch {base}, but epoch {current} has begun")]
    Stale {
        /// What the operation was planned on.
        base: Epoch,
        /// What is.
        current: Epoch,
    },
    /// The region is active already.
    #[error("{0} is active already")]
    SameRegion(RegionName),
    /// The keeper's tenure is over.
    #[error("the tenure of {region} in epoch {epoch} is over: {} is active in epoch {}", .current.active, .current.epoch)]
    Over {
        /// Who would renew.
        region: RegionName,
        /// What it believes in.
        epoch: Epoch,
        /// What is.
        current: Box<Tenure>,
    },
    /// The region has let go of it, so it is not renewed.
    #[error("{} has let go of its tenure", .0.active)]
    Released(Box<Tenure>),
    /// The holder lives: it has renewed since the challenger looked.
    #[error("{} has renewed its tenure meanwhile ({} times, not {expected})", .current.active, .current.renewals)]
    Renewed {
        /// The count that stood still.
        expected: u64,
        /// What is.
        current: Box<Tenure>,
    },
}

/// The next tenure. Committing the same operation a second time changes nothing (a controller that died
/// between the effect and its record does just that).
///
/// # Errors
/// [`Illegal`] when the event does not follow.
pub fn next(current: Option<Tenure>, event: Event) -> Result<Tenure, Illegal> {
    let Some(tenure) = current else {
        return match event {
            Event::Founded { active, at } => {
                let (epoch, by, released) = (Epoch(1), None, None);
                Ok(Tenure { epoch, active, since: at, by, renewals: 0, settled: false, released })
            }
            Event::Renewed { .. }
            | Event::Settled { .. }
            | Event::Released { .. }
            | Event::Kept { .. }
            | Event::Committed { .. } => Err(Illegal::NotFounded),
        };
    };
    match event {
        Event::Founded { .. } => Err(Illegal::AlreadyFounded(Box::new(tenure))),
        Event::Renewed { epoch, region } => {
            if tenure.epoch == epoch && tenure.active == region && tenure.released.is_some() {
                Err(Illegal::Released(Box::new(tenure)))
            } else if tenure.epoch == epoch && tenure.active == region {
                Ok(Tenure { renewals: tenure.renewals + 1, ..tenure })
            } else {
                Err(Illegal::Over { region, epoch, current: Box::new(tenure) })
            }
        }
        Event::Settled { epoch } if epoch == tenure.epoch => Ok(Tenure { settled: true, ..tenure }),
        // Both count as renewals, for whoever counts: a challenger begins to wait anew, and every watcher is told.
        Event::Released { epoch, release } if epoch == tenure.epoch => match &tenure.released {
            // What a person lets go no keeper takes back.
            Some(before) if !before.for_a_while || release.for_a_while => Ok(tenure),
            Some(_) | None => Ok(Tenure { released: Some(release), renewals: tenure.renewals + 1, ..tenure }),
        },
        Event::Kept { epoch, release } if epoch == tenure.epoch => {
            if tenure.released.as_ref() == Some(&release) {
                Ok(Tenure { released: None, renewals: tenure.renewals + 1, ..tenure })
            } else {
                Ok(tenure)
            }
        }
        Event::Settled { epoch } | Event::Released { epoch, .. } | Event::Kept { epoch, .. } => {
            Err(Illegal::Stale { base: epoch, current: tenure.epoch })
        }
        Event::Committed { by, term: _, base, active, at, unrenewed } => {
            if tenure.by.as_ref() == Some(&by) && tenure.epoch == base.next() && tenure.active == active {
                Ok(tenure)
            } else if tenure.epoch != base {
                Err(Illegal::Stale { base, current: tenure.epoch })
            } else if tenure.active == active {
                Err(Illegal::SameRegion(active))
            } else if let Some(expected) = unrenewed
                && tenure.renewals != expected
            {
                Err(Illegal::Renewed { expected, current: Box::new(tenure) })
            } else {
                Ok(Tenure {
                    epoch: base.next(),
                    active,
                    since: at,
                    by: Some(by),
                    renewals: 0,
                    settled: false,
                    released: None,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> RegionName {
        name.parse().unwrap()
    }
    fn commit(by: &str, base: u64, active: &str) -> Event {
        Event::Committed {
            by: by.parse().unwrap(),
            term: Term(1),
            base: Epoch(base),
            active: region(active),
            at: Timestamp(7),
            unrenewed: None,
        }
    }
    fn claim(unrenewed: u64) -> Event {
        let Event::Committed { by, term, base, active, at, .. } = commit("a", 1, "west") else {
            unreachable!("commit makes nothing else")
        };
        Event::Committed { by, term, base, active, at, unrenewed: Some(unrenewed) }
    }
    fn renewed(epoch: u64, active: &str) -> Event {
        Event::Renewed { epoch: Epoch(epoch), region: region(active) }
    }
    fn founded() -> Tenure {
        next(None, Event::Founded { active: region("east"), at: Timestamp(1) }).unwrap()
    }

    #[test]
    fn a_site_is_founded_once() {
        assert_eq!(founded().epoch, Epoch(1));
        let again = next(Some(founded()), Event::Founded { active: region("west"), at: Timestamp(2) });
        assert_eq!(again, Err(Illegal::AlreadyFounded(Box::new(founded()))));
        assert_eq!(next(None, commit("a", 1, "west")), Err(Illegal::NotFounded));
    }

    #[test]
    fn a_move_grows_the_epoch_by_one() {
        let moved = next(Some(founded()), commit("a", 1, "west")).unwrap();
        assert_eq!((moved.epoch, moved.active.as_str()), (Epoch(2), "west"));
    }

    #[test]
    fn committing_twice_is_committing_once() {
        let moved = next(Some(founded()), commit("a", 1, "west")).unwrap();
        assert_eq!(next(Some(moved.clone()), commit("a", 1, "west")), Ok(moved));
    }

    #[test]
    fn a_stale_operation_never_commits() {
        let moved = next(Some(founded()), commit("a", 1, "west")).unwrap();
        let stale = next(Some(moved.clone()), commit("b", 1, "west"));
        assert_eq!(stale, Err(Illegal::Stale { base: Epoch(1), current: Epoch(2) }));
        assert_eq!(next(Some(moved), commit("b", 2, "west")), Err(Illegal::SameRegion(region("west"))));
    }

    #[test]
    fn only_the_active_region_renews_and_only_its_own_epoch() {
        let once = next(Some(founded()), renewed(1, "east")).unwrap();
        assert_eq!((once.epoch, once.renewals), (Epoch(1), 1));
        for wrong in [renewed(1, "west"), renewed(2, "east")] {
            assert!(matches!(next(Some(once.clone()), wrong), Err(Illegal::Over { .. })));
        }
        assert_eq!(next(None, renewed(1, "east")), Err(Illegal::NotFounded));
    }

    #[test]
    fn a_holder_that_renews_is_never_claimed_from() {
        let once = next(Some(founded()), renewed(1, "east")).unwrap();
        let stale = next(Some(once.clone()), claim(0));
        assert_eq!(stale, Err(Illegal::Renewed { expected: 0, current: Box::new(once.clone()) }));
        let claimed = next(Some(once), claim(1)).unwrap();
        assert_eq!((claimed.epoch, claimed.active.as_str(), claimed.renewals), (Epoch(2), "west", 0));
        assert!(matches!(next(Some(claimed), renewed(1, "east")), Err(Illegal::Over { .. })));
    }

    #[test]
    fn a_region_that_has_let_go_renews_no_more_until_it_is_kept_or_claimed() {
        let release =
            Release { by: "ada".to_owned(), why: "ill".to_owned(), at: Timestamp(5), for_a_while: false };
        let let_go = |epoch| Event::Released { epoch: Epoch(epoch), release: release.clone() };
        let once = next(Some(founded()), renewed(1, "east")).unwrap();
        let released = next(Some(once.clone()), let_go(1)).unwrap();
        assert_eq!(
            (released.renewals, released.released.as_ref()),
            (2, Some(&release)),
            "a challenger waits anew"
        );
        assert_eq!(next(Some(released.clone()), let_go(1)), Ok(released.clone()), "twice is once");
        let keepers = Release { by: "keeper1".to_owned(), for_a_while: true, ..release.clone() };
        let by_keeper = |from: &Tenure| {
            next(Some(from.clone()), Event::Released { epoch: Epoch(1), release: keepers.clone() }).unwrap()
        };
        assert_eq!(by_keeper(&released), released, "a keeper takes no person's word back");
        let lasting = next(Some(by_keeper(&once)), let_go(1)).unwrap();
        assert_eq!(
            (lasting.renewals, lasting.released.as_ref()),
            (3, Some(&release)),
            "a person's word lasts"
        );
        let renewal = next(Some(released.clone()), renewed(1, "east"));
        assert_eq!(renewal, Err(Illegal::Released(Box::new(released.clone()))));
        assert!(next(Some(released.clone()), claim(1)).is_err(), "seen before it let go");
        let claimed = next(Some(released.clone()), claim(2)).unwrap();
        assert_eq!((claimed.active.as_str(), claimed.released.as_ref()), ("west", None));
        assert!(matches!(next(Some(claimed), let_go(1)), Err(Illegal::Stale { .. })));
        let keep = |release: &Release| Event::Kept { epoch: Epoch(1), release: release.clone() };
        let late = next(Some(lasting.clone()), keep(&keepers));
        assert_eq!(late, Ok(lasting), "a keeper that read its own takes no person's back");
        let kept = next(Some(released), keep(&release)).unwrap();
        assert_eq!((kept.renewals, kept.released.as_ref()), (3, None));
        assert_eq!(next(Some(kept.clone()), keep(&release)), Ok(kept.clone()));
        assert_eq!(next(Some(kept), renewed(1, "east")).unwrap().renewals, 4);
        assert_eq!(next(None, let_go(1)), Err(Illegal::NotFounded));
    }

    #[test]
    fn a_move_has_to_be_settled_anew() {
        let settled = next(Some(founded()), Event::Settled { epoch: Epoch(1) }).unwrap();
        assert!(settled.settled);
        let moved = next(Some(settled), commit("a", 1, "west")).unwrap();
        assert!(!moved.settled);
        let stale = Event::Settled { epoch: Epoch(1) };
        assert!(matches!(next(Some(moved), stale), Err(Illegal::Stale { .. })));
    }

    #[test]
    fn a_tenure_stored_before_there_were_keepers_is_still_read() {
        let text = r#"{"epoch":3,"active":"east","since":7,"by":null}"#;
        assert_eq!(serde_json::from_str::<Tenure>(text).unwrap().renewals, 0);
    }
}
