//! `/etc/hosts` and `/etc/resolv.conf` as the lab's processes see them.
//!
//! Every address of the lab is in the hosts file, both ways: without it, Patroni's look-up of each peer's name
//! waits for a name server that does not know it, 5 to 10 s a start. The zone's own names are *not* in it: those
//! are asked of the lab's name servers.

use std::fmt::Write as _;

use crate::plan::{LabPlan, Place};

/// The hosts file, the same everywhere.
#[must_use]
pub fn hosts(plan: &LabPlan) -> String {
    let mut text = String::from("127.0.0.1 localhost\n");
    for place in Place::ALL {
        for host in plan.hosts_of(place) {
            let _ = writeln!(text, "{} {} {}", host.address, host.dns, host.name);
        }
    }
    text
}

/// The resolver's file of a place: a region asks its own server first, everybody else the witness's, which
/// outlives both regions.
#[must_use]
pub fn resolv_conf(plan: &LabPlan, place: Place) -> String {
    let mut servers: Vec<_> = plan.name_servers().collect();
    servers.reverse();
    servers.sort_by_key(|server| !server.name.starts_with(place.name()));
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {}", server.address);
    }
    // One second is the resolver's smallest time-out; with three servers a name is found in at most 2 s when
    // two of the three sites are gone.
    text.push_str("options timeout:1 attempts:2\n");
    text
}
