//! A keeper's hold, shared by whoever lets writes through: the permit and the gate's answer.
//!
//! Invariant: each question is answered by the clock at that instant, whatever the rest of the keeper does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bascule_core::id::Epoch;
use bascule_core::tenure::hold::{Event, Hold};
use bascule_core::tenure::timing::Timing;

use crate::world::Clock;

/// A hold and the clock it is held against.
#[derive(Clone)]
pub struct SharedHold {
    hold: Arc<Mutex<Hold>>,
    clock: Arc<dyn Clock>,
    timing: Timing,
}

impl SharedHold {
    /// Closed.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, timing: Timing) -> Self {
        Self { hold: Arc::new(Mutex::new(Hold::Closed)), clock, timing }
    }

    /// Take an event in.
    pub fn apply(&self, event: Event) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = hold.next(event, &self.timing);
    }

    /// The epoch in which writes may pass at this instant, if they may.
    #[must_use]
    pub fn is_open(&self) -> Option<Epoch> {
        let hold = *self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        // Read after the hold was: a process that sleeps here wakes to the later time.
        hold.is_open(self.clock.mono())
    }

    /// For how long it stays open if nothing more is heard.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let hold = *self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.mono();
        match hold {
            Hold::Open { until, .. } if now < until => Some(until.since(now)),
            Hold::Open { .. } | Hold::Closed => None,
        }
    }
}
