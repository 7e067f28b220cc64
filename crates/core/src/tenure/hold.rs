//! What a keeper may conclude from its own renewals: until when writes may pass in its region.
//!
//! Invariant: a hold ends `ttl` after a renewal that *succeeded* was sent, by the keeper's own clock that
//! never steps, whatever else happens. The race it handles: the answer to a renewal comes late, or the
//! process sleeps between the answer and its use. Both change nothing, since the count begins before
//! the sending, and whoever uses a hold asks for the time at that instant.

use crate::id::Epoch;
use crate::tenure::timing::Timing;
use crate::time::Mono;

/// A keeper's hold of its region's tenure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// It has none.
    Closed,
    /// Writes may pass in this epoch before `until`.
    Open {
        /// The epoch.
        epoch: Epoch,
        /// The first instant at which they may not.
        until: Mono,
    },
}

/// What happens to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A renewal succeeded.
    Renewed {
        /// In this epoch.
        epoch: Epoch,
        /// When it was sent: read *before* the sending.
        sent: Mono,
    },
    /// The store says that another epoch has begun.
    Over {
        /// The newest epoch seen.
        epoch: Epoch,
    },
    /// The keeper lets go by itself: it is being stopped, or its region is ill.
    Released,
}

impl Hold {
    /// The hold after an event. Total: there is no event that a hold can't take.
    #[must_use]
    pub fn next(self, event: Event, timing: &Timing) -> Self {
        match (self, event) {
            (Hold::Closed, Event::Renewed { epoch, sent }) => {
                Hold::Open { epoch, until: sent.plus(timing.ttl) }
            }
            (Hold::Open { epoch: held, until }, Event::Renewed { epoch, sent }) => {
                let renewed = sent.plus(timing.ttl);
                if epoch > held {
                    Hold::Open { epoch, until: renewed }
                } else if epoch == held {
                    // Answers may arrive in another order than they were asked.
                    Hold::Open { epoch, until: until.max(renewed) }
                } else {
                    self
                }
            }
            (Hold::Open { epoch: held, .. }, Event::Over { epoch }) if epoch > held => Hold::Closed,
            (Hold::Closed | Hold::Open { .. }, Event::Over { .. }) => self,
            (Hold::Closed | Hold::Open { .. }, Event::Released) => Hold::Closed,
        }
    }

    /// The epoch in which writes may pass at this instant, if they may.
    #[must_use]
    pub fn is_open(&self, now: Mono) -> Option<Epoch> {
        match self {
            Hold::Open { epoch, until } if now < *until => Some(*epoch),
            Hold::Open { .. } | Hold::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }
    fn timing() -> Timing {
        Timing::of(Duration::from_secs(3))
    }
    fn renewed(epoch: u64, sent: u64) -> Event {
        Event::Renewed { epoch: Epoch(epoch), sent: at(sent) }
    }

    #[test]
    fn a_hold_lasts_from_before_the_sending() {
        let hold = Hold::Closed.next(renewed(1, 100), &timing());
        assert_eq!(hold.is_open(at(3_099)), Some(Epoch(1)));
        assert_eq!(hold.is_open(at(3_100)), None, "the end itself is outside");
    }

    #[test]
    fn an_older_answer_never_shortens_a_hold() {
        let hold = Hold::Closed.next(renewed(1, 500), &timing());
        assert_eq!(hold.next(renewed(1, 100), &timing()), hold);
    }

    #[test]
    fn a_stale_epoch_never_opens_a_gate() {
        let hold = Hold::Closed.next(renewed(2, 0), &timing());
        assert_eq!(hold.next(renewed(1, 900), &timing()), hold);
        assert_eq!(hold.next(Event::Over { epoch: Epoch(3) }, &timing()), Hold::Closed);
        assert_eq!(hold.next(Event::Over { epoch: Epoch(2) }, &timing()), hold, "its own epoch is not over");
    }

    #[test]
    fn a_keeper_that_lets_go_is_closed_at_once() {
        let hold = Hold::Closed.next(renewed(1, 0), &timing());
        assert_eq!(hold.next(Event::Released, &timing()).is_open(at(0)), None);
    }
}
