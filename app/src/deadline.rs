//! How long one request may take, and how that time is divided.
//!
//! Invariant: every wait inside a request ends at its [`Deadline`]; no handler needs a time-out of its own.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::time::Instant;

/// The longest hold of writes that a switchover may make (its `max_pause`). A request that meets one waits.
pub const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// How long the body may take to arrive: 128 KiB at 43 KiB/s.
pub const BODY: Duration = Duration::from_secs(3);

/// A whole request. The body first (3 s), then the database: one hold (5 s), and a new connection (2 s, see
/// `db::CONNECT_TIMEOUT`) for a request that starts when the held connection turns out to be gone. 10 s.
pub const REQUEST: Duration = Duration::from_secs(10);

/// A readiness probe: the longest hold and 1 s for the write itself, so that a hold shows as a slow probe and
/// not as a failed one.
pub const READINESS: Duration = Duration::from_secs(6);

/// When a request ends, and until when an attempt that did nothing may be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    at: Instant,
}

impl Deadline {
    /// A deadline `limit` from now.
    pub fn after(limit: Duration) -> Self {
        let started = Instant::now();
        Self { started, at: started + limit }
    }

    /// When the request must be answered.
    pub fn at(self) -> Instant {
        self.at
    }

    /// Until when to repeat an attempt that did nothing: as long as a hold may last. Beyond that the database
    /// is away rather than moving, and the user is better told so.
    pub fn repeat_until(self) -> Instant {
        self.at.min(self.started + LONGEST_HOLD)
    }

    /// When the body must have arrived.
    pub fn body(self) -> Instant {
        self.at.min(self.started + BODY)
    }
}

/// The deadline that the outermost layer set; [`REQUEST`] from now where there is none (a handler called by
/// itself in a test).
impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_else(|| Self::after(REQUEST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_outlives_its_body_a_hold_and_a_connection() {
        assert!(REQUEST >= BODY + LONGEST_HOLD + crate::db::CONNECT_TIMEOUT);
        assert!(READINESS > LONGEST_HOLD);
    }
}
