//! The lab's network: the supervisor's own namespace is the router, each place is another behind it.
//!
//! Rules are always written as a whole from the list of faults, so no order of breaking and healing leaves a rest.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::fault::{Cut, Fault};
use crate::plan::{LabPlan, Place, Region, gateway, network};

/// The shell script that makes the places, their links and addresses.
#[must_use]
pub fn setup_script(plan: &LabPlan) -> String {
    let mut text = String::from("set -e\nip link set lo up\necho 1 >/proc/sys/net/ipv4/ip_forward\n");
    for place in Place::ALL {
        let (name, link, router) = (place.name(), place.link(), gateway(place));
        let _ = write!(
            text,
            "ip netns add {name}
ip link add {link} type veth peer name eth0 netns {name}
ip addr add {router}/24 dev {link}
ip link set {link} up
ip -n {name} -batch - <<END
link set lo up
link set eth0 up
"
        );
        for host in plan.hosts_of(place) {
            let _ = writeln!(text, "addr add {}/24 dev eth0", host.address);
        }
        // Patroni's requests to etcd are two segments each on a connection with Nagle's algorithm, which waits for the
        // receiver's delayed acknowledgement: 43 ms a request, half of a switchover's pause. Acknowledge at once.
        let hosts = plan.hosts_of(place);
        for host in &hosts {
            let _ = writeln!(
                text,
                "route change table local local {} dev eth0 proto kernel scope host src {} quickack 1",
                host.address, hosts[0].address
            );
        }
        // Ports 53 and 80 belong to unprivileged parts.
        let _ = write!(
            text,
            "route add default via {router}
END
nsenter --net=/run/netns/{name} sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
"
        );
    }
    text
}

/// The router's filter for the given faults. Packets are dropped without a word, as by a broken line; the router's
/// own health checks are not forwarded and so not affected.
#[must_use]
pub fn router_rules(plan: &LabPlan, faults: &[Fault]) -> String {
    let mut text = String::from("table ip bascule\nflush table ip bascule\ntable ip bascule {\n");
    text.push_str("  chain forward {\n    type filter hook forward priority 0; policy accept;\n");
    let cuts = faults.iter().filter_map(|fault| match fault {
        Fault::Partition(cut) => Some(cut),
        Fault::RegionLoss { .. }
        | Fault::RegionFreeze { .. }
        | Fault::NodeLoss { .. }
        | Fault::PartLoss { .. }
        | Fault::PartFreeze { .. }
        | Fault::DbCrash { .. }
        | Fault::SlowLink { .. }
        | Fault::DiskFull { .. } => None,
    });
    for cut in cuts {
        let mut one_way = |from: Place, to: Place, what: &str| {
            let (from, to) = (network(from), network(to));
            let _ = writeln!(text, "    ip saddr {from} ip daddr {to} {what}drop");
        };
        match cut {
            Cut::Place(place) => {
                for other in Place::ALL.into_iter().filter(|other| other != place) {
                    one_way(*place, other, "");
                    one_way(other, *place, "");
                }
            }
            Cut::Between(a, b) => {
                one_way(*a, *b, "");
                one_way(*b, *a, "");
            }
            Cut::OneWay { from, to } => one_way(*from, *to, ""),
            Cut::DatabaseLink => {
                let ports = format!("{{ {}, {} }}", plan.ports.db_ingress, plan.ports.replication);
                let [a, b] = Place::REGIONS;
                for (from, to) in [(a, b), (b, a)] {
                    one_way(from, to, &format!("tcp dport {ports} "));
                    one_way(from, to, &format!("tcp sport {ports} "));
                }
            }
        }
    }
    text.push_str("  }\n}\n");
    text
}

/// A region's rules while the link is slow: what the other region sends to the database ports goes to the delaying
/// proxy in this region, and connections that were made before are reset, so that they come back through it.
#[must_use]
pub fn slow_rules(plan: &LabPlan, region: &Region) -> String {
    let ports = &plan.ports;
    let lb = region.lb.address;
    let peer = network(plan.peer_of(region).place);
    format!(
        "table ip bascule_slow
flush table ip bascule_slow
table ip bascule_slow {{
  chain take {{
    type nat hook prerouting priority -100; policy accept;
    ip saddr {peer} ip daddr {lb} tcp dport {repl} dnat to {lb}:{slow_repl}
    ip saddr {peer} ip daddr {lb} tcp dport {db} dnat to {lb}:{slow_db}
  }}
  chain old {{
    type filter hook input priority 0; policy accept;
    ip saddr {peer} ip daddr {lb} tcp dport {{ {repl}, {db} }} reject with tcp reset
  }}
  chain old_answers {{
    type filter hook output priority 0; policy accept;
    ip saddr {lb} ip daddr {peer} tcp sport {{ {repl}, {db} }} reject with tcp reset
  }}
}}
",
        repl = ports.replication,
        db = ports.db_ingress,
        slow_repl = ports.slow_replication,
        slow_db = ports.slow_db_ingress,
    )
}

/// Removes what [`slow_rules`] made; says nothing if it was not there.
pub const FAST_RULES: &str = "table ip bascule_slow\ndelete table ip bascule_slow\n";

/// Loads a rule set, in the router or in a place.
///
/// # Errors
/// When `nft` refuses it.
pub fn load_rules(place: Option<Place>, rules: &str) -> anyhow::Result<()> {
    match place {
        None => feed(&["nft", "-f", "-"], rules),
        Some(place) => {
            feed(&["nsenter", &format!("--net=/run/netns/{}", place.name()), "nft", "-f", "-"], rules)
        }
    }
}

/// Cuts or restores a place's line at the router.
///
/// # Errors
/// When `ip` fails.
pub fn set_link(place: Place, up: bool) -> anyhow::Result<()> {
    feed(&["ip", "link", "set", &place.link(), if up { "up" } else { "down" }], "")
}

/// Runs a short command with `input`.
///
/// # Errors
/// When it fails; the message has what it said.
pub fn feed(argv: &[&str], input: &str) -> anyhow::Result<()> {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {} (`make setup` installs it)", argv[0]))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("write to {}", argv[0]))?;
    }
    let output = child.wait_with_output().with_context(|| format!("wait for {}", argv[0]))?;
    anyhow::ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        argv.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
