//! The way users come in: the public name, resolved as they resolve it, and the instances behind it.

mod client;
pub(crate) mod map;
mod probe;

pub use client::{FrontDoorConfig, HttpFrontDoor};
pub use probe::HttpProbe;
