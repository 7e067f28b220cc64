//! Instants of one run: microseconds on the monotonic clock since the load began.
//!
//! Every duration that a report gives is a difference of two [`At`]s of the same [`Clock`], so a step of
//! the wall clock cannot change it. The wall clock is read twice, at the start and at the end, to place
//! instants that others give as [`Timestamp`]s, and to notice that it stepped between.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bascule_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Microseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// The start of the run.
    pub const START: At = At(0);

    /// The instant `ms` milliseconds into the run.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// Whole milliseconds since the run began, rounded down.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: At) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// The clock of one run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    started: Timestamp,
}

impl Clock {
    /// Starts the run's clock now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now(), started: wall_now() }
    }

    /// The present instant of the run.
    #[must_use]
    pub fn now(&self) -> At {
        let micros = self.origin.elapsed().as_micros();
        At(u64::try_from(micros).expect("a run is shorter than half a million years"))
    }

    /// What the wall clock said when the run began.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }
}

/// What the wall clock says now.
pub(crate) fn wall_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_prints_in_seconds_with_milliseconds() {
        assert_eq!(At(12_345_678).to_string(), "12.345 s");
        assert_eq!(At::from_ms(7).to_string(), "0.007 s");
    }

    #[test]
    fn an_earlier_instant_is_no_time_after_a_later_one() {
        assert_eq!(At(5).since(At(9)), Duration::ZERO);
        assert_eq!(At(9_000).since(At(5_000)), Duration::from_millis(4));
    }
}
