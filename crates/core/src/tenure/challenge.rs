//! What everybody but the holder may conclude from a tenure: whether its holder can still let writes pass.
//!
//! Invariant: a sight is claimable only if the tenure was seen unchanged for [`Timing::claim_after`], from
//! an instant *after* the answer that first showed it so, by one process' own clock. A process that has
//! just started has seen nothing, and waits the whole time.

use crate::id::Epoch;
use crate::tenure::Tenure;
use crate::tenure::timing::Timing;
use crate::time::Mono;

/// A tenure as somebody saw it, and since when it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its renewals.
    pub renewals: u64,
    /// When an answer first showed both.
    pub since: Mono,
}

impl Sight {
    /// The first sight; `now` is read after the answer is there.
    #[must_use]
    pub fn first(tenure: &Tenure, now: Mono) -> Self {
        Self { epoch: tenure.epoch, renewals: tenure.renewals, since: now }
    }

    /// The sight after a further answer; `now` is read after it is there. An answer that is older than
    /// what was seen before it (they may arrive in any order) changes nothing.
    #[must_use]
    pub fn saw(self, tenure: &Tenure, now: Mono) -> Self {
        if (tenure.epoch, tenure.renewals) > (self.epoch, self.renewals) {
            Self::first(tenure, now)
        } else {
            self
        }
    }

    /// How long the tenure has stood still.
    #[must_use]
    pub fn still_for(&self, now: Mono) -> std::time::Duration {
        now.since(self.since)
    }

    /// The renewals to claim at, once no holder can let a write pass any more.
    #[must_use]
    pub fn claimable(&self, now: Mono, timing: &Timing) -> Option<u64> {
        (self.still_for(now) >= timing.claim_after()).then_some(self.renewals)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Timestamp;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }
    fn tenure(epoch: u64, renewals: u64) -> Tenure {
        let active = "east".parse().unwrap();
        Tenure {
            epoch: Epoch(epoch),
            active,
            since: Timestamp(0),
            by: None,
            renewals,
            settled: true,
            released: None,
        }
    }
    fn timing() -> Timing {
        Timing::of(Duration::from_secs(3))
    }

    #[test]
    fn only_a_tenure_that_stood_still_is_claimable() {
        let wait = timing().claim_after();
        let sight = Sight::first(&tenure(1, 4), at(100)).saw(&tenure(1, 4), at(900));
        assert_eq!(sight.since, at(100), "seeing the same again changes nothing");
        assert_eq!(sight.claimable(at(100).plus(wait).plus(Duration::ZERO), &timing()), Some(4));
        assert_eq!(sight.claimable(at(99).plus(wait), &timing()), None);
        let renewed = sight.saw(&tenure(1, 5), at(2_000));
        assert_eq!(renewed.claimable(at(100).plus(wait), &timing()), None);
    }

    #[test]
    fn an_answer_out_of_order_does_not_restart_the_clock() {
        let sight = Sight::first(&tenure(1, 4), at(100));
        assert_eq!(sight.saw(&tenure(1, 3), at(900)), sight);
        assert_eq!(sight.saw(&tenure(2, 0), at(900)), Sight::first(&tenure(2, 0), at(900)));
    }
}
