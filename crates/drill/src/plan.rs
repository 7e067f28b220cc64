//! What load to put on the site: whom to ask, how fast, for how long at most.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use bascule_core::id::DnsName;

use crate::prober::{ProbeLogin, ProbeTarget, check_targets};

/// Longest run name: with a number of 20 digits a write's name stays under 64 characters.
const RUN_MAX: usize = 40;
/// Most writers or readers: each is a task with one connection, and the application takes 900.
const USERS_MAX: u32 = 800;

/// A load of numbered writes, reads and probes.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The recording's folder; it must not hold one yet.
    pub dir: PathBuf,
    /// The run's name, in the writes' names: lower-case letters, digits and hyphens, at most 40.
    pub run: String,
    /// The public name.
    pub host: DnsName,
    /// The port behind it.
    pub port: u16,
    /// Whom users ask for it, the first one first.
    pub dns_servers: Vec<SocketAddr>,
    /// Writers that may be waiting for an answer at once; while so many are, nobody new arrives.
    pub writers: u32,
    /// Writes a second, begun at a fixed pace whether or not earlier ones are answered. The pause that can
    /// be seen is no shorter than the time between two.
    pub writes_per_second: u32,
    /// Readers, each reading the write acknowledged last.
    pub readers: u32,
    /// Reads a second of all readers together.
    pub reads_per_second: u32,
    /// No more writes than this, so that the recording and what is read back stay bounded.
    pub writes_max: u64,
    /// For one TCP connection.
    pub connect_timeout: Duration,
    /// For a whole request: longer than a move may hold writes.
    pub request_timeout: Duration,
    /// The regions to probe; none leaves double writers unknown.
    pub probes: Vec<ProbeTarget>,
    /// As whom to probe; needed when there are regions to probe.
    pub probe_login: Option<ProbeLogin>,
}

impl LoadPlan {
    /// 100 writes and 20 reads a second, for an hour at most, without probes. Up to 600 writers may wait:
    /// the longest hold (5 s) at that pace, and room.
    #[must_use]
    pub fn new(dir: PathBuf, run: &str, host: DnsName, dns_servers: Vec<SocketAddr>) -> Self {
        Self {
            dir,
            run: run.to_owned(),
            host,
            port: 80,
            dns_servers,
            writers: 600,
            writes_per_second: 100,
            readers: 2,
            reads_per_second: 20,
            writes_max: 360_000,
            // A retransmitted SYN (1 s, RFC 6298) would come too late: the next address or try is faster.
            connect_timeout: Duration::from_millis(500),
            // Twice the default longest hold of 5 s.
            request_timeout: Duration::from_secs(10),
            probes: Vec::new(),
            probe_login: None,
        }
    }

    /// Whether the plan can be run.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let run_is_named = (1..=RUN_MAX).contains(&self.run.len()) && self.run.chars().all(named);
        ensure!(run_is_named, "{:?} is no run name: a-z, 0-9 and -, at most {RUN_MAX}", self.run);
        ensure!((1..=USERS_MAX).contains(&self.writers), "writers must be 1 to {USERS_MAX}");
        ensure!(self.readers <= USERS_MAX, "readers must be at most {USERS_MAX}");
        ensure!((1..=1000).contains(&self.writes_per_second), "writes a second must be 1 to 1000");
        ensure!(self.readers == 0 || self.reads_per_second > 0, "readers need a pace");
        ensure!(self.writes_max > 0, "a load of no writes shows nothing");
        ensure!(self.probes.is_empty() || self.probe_login.is_some(), "probes need a login");
        check_targets(&self.probes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> LoadPlan {
        let servers = vec!["127.0.0.1:53".parse().unwrap()];
        LoadPlan::new("/nowhere".into(), "r1", "app.events.test".parse().unwrap(), servers)
    }

    #[test]
    fn the_defaults_can_be_run() {
        plan().check().unwrap();
    }

    #[test]
    fn a_run_name_that_breaks_the_writes_names_is_refused() {
        for run in ["", "R1", "r_1", "r 1", &"x".repeat(41)] {
            assert!(LoadPlan { run: run.to_owned(), ..plan() }.check().is_err(), "{run:?}");
        }
    }

    #[test]
    fn probes_need_a_login_and_different_regions() {
        let probe = ProbeTarget { region: "a".parse().unwrap(), ingress: "127.0.0.1:1".parse().unwrap() };
        let login =
            ProbeLogin { database: "d".into(), user: "u".into(), password: "p".into(), guarded: false };
        let one = LoadPlan { probes: vec![probe.clone()], ..plan() };
        assert!(one.check().is_err());
        let one = LoadPlan { probe_login: Some(login), ..one };
        one.check().unwrap();
        assert!(LoadPlan { probes: vec![probe.clone(), probe], ..one }.check().is_err());
    }
}
