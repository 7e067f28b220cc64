//! The site's names: RFC 2136 updates signed with TSIG (RFC 8945), and what each server answers.

pub(crate) mod client;
mod look;
mod map;

pub use client::{ConfigError, DnsConfig, DnsNames};
