//! The gate: a map in HAProxy's memory, read by the rules in front of the database.
//!
//! HAProxy has no compare-and-set. The epoch is compared before it is set, so a stale effect is refused;
//! a controller that is overtaken between the two is caught at its next journal write.

mod client;
mod guarded;
mod look;
mod map;

pub use client::{GateConfig, HaproxyGate};
pub use guarded::GuardedGate;
pub use look::{Connections, LookedAt};
