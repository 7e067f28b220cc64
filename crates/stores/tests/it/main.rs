//! The conformance suite against each store, and what only a file can get wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its supporting code too")]

mod child;
mod conformance;
mod crash;
mod etcd;
mod etcd_damage;
mod etcd_faults;
mod etcd_secrets;
mod file;
mod rivals;
mod site;
mod stores;
mod torn;
