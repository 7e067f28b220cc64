//! The application as its users and its operators meet it: the real program, a real PostgreSQL, and a real
//! PgBouncer in transaction pooling, all started by the tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its supporting code too")]

mod contract;
mod instance;
mod moves;
mod names;
mod refusals;
mod servers;
mod use_of_it;
