//! Rehearsals that are measured by counting: the load, the durable record of what users were told, and
//! the oracle that judges a move by it.
//!
//! A drill puts a [`Load`] on the site, lets something break or move it, stops the load, [looks](lookup())
//! for every write that a user had been told is safe, and lets [`judge`] say what it cost. The oracle
//! believes only what it was shown: what was not seen makes its verdict void, never green.
//!
//! Left out: breaking and moving. Whoever runs the drill does both, and marks when.

pub mod client;
pub mod load;
pub mod lookup;
pub mod oracle;
pub mod overlap;
pub mod plan;
pub mod prober;
pub mod recorder;
pub mod recording;
pub mod report;
pub mod resolver;
pub mod time;

mod app;

pub use load::Load;
pub use lookup::{Found, FrontDoor, Lookup, lookup, lookup_sql};
pub use oracle::{Drill, Marks, Move, Objective, Phase, judge};
pub use plan::LoadPlan;
pub use prober::{ProbeLogin, ProbeTarget};
pub use recording::Recording;
pub use report::{DrillReport, Verdict};
pub use time::At;
