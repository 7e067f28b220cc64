//! Real parts behind the core's ports, each split into `client` (I/O) and `map` (pure).
//!
//! These calls stand inside users' write pause, so connections are kept warm, and a part that is gone
//! answers "not observed" within [`CONNECT`] rather than after the system's own patience.

pub mod application;
pub mod dns;
pub mod file;
pub mod front_door;
pub mod haproxy;
pub mod keeper;
pub mod key_pair;
pub mod patroni;
pub mod permit;
pub mod pgbouncer;
pub mod prometheus;
pub mod repository;
mod secret;
mod sql;
pub mod storage;
mod trial;
mod web;

pub use secret::Secret;
pub use trial::Trial;

use std::time::Duration;

use bascule_core::observation::Observed;
use bascule_core::time::Timestamp;

/// For a TCP connection, or a DNS answer: one round trip across an ocean takes 100 ms at most; two of
/// them. A lost packet is sent again only after 1 s (RFC 6298), so waiting longer helps little: whoever
/// asks looks twice.
pub const CONNECT: Duration = Duration::from_millis(200);
/// For one question and its answer on a connection that stands, or with its connecting.
pub const ANSWER: Duration = Duration::from_millis(1000);

/// Now, by this machine's wall clock: observations are stamped where they are made.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An answer or the reason for none, as an observation.
fn observed<T>(answer: Result<T, impl std::fmt::Display>) -> Observed<T> {
    match answer {
        Ok(value) => Observed::Seen { value, at: now() },
        Err(error) => Observed::NotObserved { why: error.to_string() },
    }
}
