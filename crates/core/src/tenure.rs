//! Who is active, and in which epoch.
//!
//! Invariant: an epoch is held by one region, and the stored epoch only grows. The next issue adds the
//! keeper's renewals; what is here is what a person's own operations need.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, OperationId, RegionName};
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
    /// An operation moves the site.
    Committed {
        /// The operation.
        by: OperationId,
        /// The epoch it was planned on.
        base: Epoch,
        /// The region that becomes active.
        active: RegionName,
        /// When.
        at: Timestamp,
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
}

/// The next tenure. Committing the same operation a second time changes nothing (a controller that died
/// between the effect and its record does just that).
///
/// # Errors
/// [`Illegal`] when the event does not follow.
pub fn next(current: Option<Tenure>, event: Event) -> Result<Tenure, Illegal> {
    match (current, event) {
        (None, Event::Founded { active, at }) => Ok(Tenure { epoch: Epoch(1), active, since: at, by: None }),
        (Some(tenure), Event::Founded { .. }) => Err(Illegal::AlreadyFounded(Box::new(tenure))),
        (None, Event::Committed { .. }) => Err(Illegal::NotFounded),
        (Some(tenure), Event::Committed { by, base, active, at }) => {
            if tenure.by.as_ref() == Some(&by) && tenure.epoch == base.next() && tenure.active == active {
                Ok(tenure)
            } else if tenure.epoch != base {
                Err(Illegal::Stale { base, current: tenure.epoch })
            } else if tenure.active == active {
                Err(Illegal::SameRegion(active))
            } else {
                Ok(Tenure { epoch: base.next(), active, since: at, by: Some(by) })
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
            base: Epoch(base),
            active: region(active),
            at: Timestamp(7),
        }
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
}
