//! How long a tenure lasts, and how long everybody else waits: the second is derived from the first.
//!
//! What is assumed: no clock runs faster or slower than true time by more than `drift_ppm`. Nothing is
//! assumed of what time a clock shows, and nothing of how long a message or a pause takes.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Crystals are within 100 ppm, and time synchronisation slews by at most 500 (`adjtimex(2)`); both, and
/// as much again.
pub const DRIFT_PPM: u32 = 1_000;
/// From the instant a keeper's hold ends to the last write that it lets through: a confirmation that was
/// sent just before is handed from the database to the pool, the instance and the load balancer. Each
/// took under 5 ms; a busy machine schedules within 100 ms.
pub const REACTION: Duration = Duration::from_millis(200);
/// Renewals in a tenure's length: two may be lost, and the third still comes in time.
pub const RENEWALS_IN_TTL: u32 = 3;

/// The timing of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// How long a renewal is good for, by the holder's clock, counted from before it was sent.
    pub ttl: Duration,
    /// Between two renewals of one keeper.
    pub renew: Duration,
    /// By how much a clock may run fast or slow, in millionths.
    pub drift_ppm: u32,
    /// From a hold's end to the last write it lets through.
    pub reaction: Duration,
}

impl Timing {
    /// Everything that follows from a tenure's length.
    #[must_use]
    pub fn of(ttl: Duration) -> Self {
        Self { ttl, renew: ttl / RENEWALS_IN_TTL, drift_ppm: DRIFT_PPM, reaction: REACTION }
    }

    /// How long a tenure must have stood still, by a challenger's clock, before it may be claimed. The
    /// holder's clock may be slow and the challenger's fast: `ttl × (1 + d) / (1 − d) + reaction`.
    #[must_use]
    pub fn claim_after(&self) -> Duration {
        let million = 1_000_000_u128;
        let drift = u128::from(self.drift_ppm.min(500_000));
        let ttl = self.ttl.as_nanos();
        let stretched = (ttl * (million + drift)).div_ceil(million - drift);
        Duration::from_nanos(u64::try_from(stretched).unwrap_or(u64::MAX)).saturating_add(self.reaction)
    }
}

impl fmt::Display for Timing {
    /// The derivation, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a holder stops {:?} after it sent its last renewal that succeeded; nobody claims before the tenure \
             has stood still for {:?} ({:?} × (1 + d) / (1 − d) with d = {} ppm, and {:?} for the gate to take \
             effect)",
            self.ttl,
            self.claim_after(),
            self.ttl,
            self.drift_ppm,
            self.reaction
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenger_waits_out_the_slowest_holder_by_the_fastest_clock() {
        for (ttl_ms, drift_ppm) in [(3_000, 1_000), (500, 0), (60_000, 100_000), (1, 500_000)] {
            let timing = Timing { drift_ppm, ..Timing::of(Duration::from_millis(ttl_ms)) };
            let drift = f64::from(drift_ppm) / 1e6;
            // True time that passes at least while the challenger waits, and at most until the gate is shut.
            let waited = (timing.claim_after() - timing.reaction).as_secs_f64() / (1.0 + drift);
            let held = timing.ttl.as_secs_f64() / (1.0 - drift);
            assert!(waited >= held - 1e-9, "{timing}: waits {waited} s of true time, held for {held} s");
        }
    }

    #[test]
    fn two_renewals_may_be_lost() {
        let timing = Timing::of(Duration::from_secs(3));
        assert!(timing.renew * 2 < timing.ttl);
    }
}
