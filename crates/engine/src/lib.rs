//! The shell around the core: it looks at the world, performs steps, and writes the journal.
//!
//! Every decision is the core's; this crate owns the loops, the time-outs and the clock.

pub mod crash;
pub mod executor;
pub mod keeper;
pub mod lost;
pub mod observer;
mod perform;
pub mod report;
pub mod world;
