//! The drill against real servers and against what was planted for it: one binary, to link once.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod knot;
mod load;
mod oracle;
mod postgres;
mod probes;
mod recorder;
mod resolver;
mod site;
