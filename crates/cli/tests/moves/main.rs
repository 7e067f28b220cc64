//! The operations, run for real on a lab: killed at every journal write, refused, interrupted, and after the loss
//! of a region.
//!
//! Each test has a lab of its own and users' load on it; what users saw is what is judged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod abandoned;
mod alone;
mod closes;
mod database;
mod drain;
mod guarded;
mod interrupts;
mod kills;
mod loss;
mod minority;
mod policies;
mod refusals;
#[path = "../lab/rig.rs"]
#[allow(dead_code, reason = "the lab's own tests use the rest")]
mod rig;
mod site;
