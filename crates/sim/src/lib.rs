//! A fake world in which the engine runs real plans: deterministic, in virtual time, with faults from a
//! seed, and with invariants checked after every event.
//!
//! Everything is one [`state::State`]: two regions with a database, a gate and a pool each, the names, the
//! users and what they were promised. [`ports`] shows it to the engine as the core's ports, [`fault`]
//! decides what goes wrong, [`drive`] starts, kills and resumes controllers, and [`scenario`]
//! plays scripts.
//! What it leaves out: the real parts' own failures inside a region (a cluster manager's elections, a
//! single member), which the lab has.

pub mod drive;
pub mod fault;
pub mod guard;
pub mod log;
pub mod model;
pub mod ports;
pub mod rng;
pub mod scenario;

pub mod site;
pub mod state;
pub mod store;
