//! The providers against the real parts, each started alone: one binary, to link once. Patroni is covered on
//! the lab, by the CLI's tests.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod gate;
mod haproxy;
mod knot;
mod names;
mod pool;
mod process;
mod sql;
