//! The providers against the real parts, each started alone: one binary, to link once. What is asked of
//! Patroni itself is covered on the lab, by the CLI's tests; here its databases stand without it.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod divergence;
mod gate;
mod haproxy;
mod http;
mod knot;
mod log;
mod names;
mod permit;
mod permit_frozen;
mod pool;
mod postgres;
mod process;
mod rights;
mod sql;
mod storage;
