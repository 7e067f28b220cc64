//! Knot: a hidden primary at the witness that takes updates signed with TSIG (RFC 2136, RFC 8945), and a secondary in
//! each region that learns of a change by NOTIFY (RFC 1996) and fetches it by IXFR (RFC 1995).
//!
//! Names so outlive any one place: a region that is lost takes one secondary with it, the witness only the ability
//! to change names.

use std::fmt::Write as _;

use crate::layout;
use crate::plan::{Host, LabPlan, Secret};
use crate::secrets::Secrets;

/// Configuration of one name server.
#[must_use]
pub fn config(plan: &LabPlan, server: &Host, secrets: &Secrets) -> String {
    let names = &plan.names;
    let primary = &plan.witness.dns;
    let port = plan.ports.dns;
    let data = layout::data(server);
    let mut text = format!(
        "server:
    listen: {address}@{port}
    rundir: {data}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1

log:
  - target: stdout
    any: warning

database:
    storage: {data}
    journal-db-max-size: 32M
    timer-db-max-size: 4M

key:
  - id: {key}
    algorithm: {algorithm}
    secret: {secret}

",
        address = server.address,
        data = data.display(),
        key = names.tsig_key,
        algorithm = names.tsig_algorithm,
        secret = secrets.get(Secret::Tsig),
    );
    let is_primary = server == primary;
    text.push_str("remote:\n");
    let peers: Vec<&Host> = if is_primary {
        plan.name_servers().filter(|peer| *peer != primary).collect()
    } else {
        vec![primary]
    };
    for peer in &peers {
        let _ = writeln!(
            text,
            "  - id: {}\n    address: {}@{port}\n    via: {}\n    key: {}",
            peer.name, peer.address, server.address, names.tsig_key
        );
    }
    let (acl, action) =
        if is_primary { ("changes", "[update, transfer]") } else { ("notified", "[notify, transfer]") };
    let _ =
        write!(text, "\nacl:\n  - id: {acl}\n    key: {}\n    action: {action}\n\nzone:\n", names.tsig_key);
    let _ = write!(
        text,
        "  - domain: {}\n    file: {}\n    acl: {acl}\n    semantic-checks: on\n    zonefile-sync: -1\n    journal-content: all\n",
        names.zone,
        data.join("zone").display(),
    );
    if is_primary {
        let notify: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        // The journal is the truth after the first start; the file only seeds it.
        let _ =
            write!(text, "    zonefile-load: difference-no-serial\n    notify: [{}]\n", notify.join(", "));
    } else {
        let _ = write!(text, "    master: {}\n    zonefile-load: none\n", primary.name);
    }
    text
}

/// The zone when a lab is new: both names point at the first region.
///
/// SOA: a secondary that missed a NOTIFY asks again within 10 s and retries each second (with less, a
/// NOTIFY often meets a refresh that is planned for the running second, and is not done sooner); it goes on answering for
/// two weeks without a primary, since names must outlive the witness.
#[must_use]
pub fn zone(plan: &LabPlan) -> String {
    let names = &plan.names;
    let active = &plan.regions[0];
    let mut text = format!(
        "$ORIGIN {zone}.\n$TTL {ttl}\n@ 3600 SOA ns1 hostmaster 1 10 1 1209600 {ttl}\n",
        zone = names.zone,
        ttl = names.ttl_s
    );
    for (n, region) in plan.regions.iter().enumerate() {
        let _ = writeln!(
            text,
            "@ 3600 NS ns{n}\nns{n} 3600 A {address}",
            n = n + 1,
            address = region.dns.address
        );
    }
    let _ = writeln!(text, "app A {}\ndb A {}", active.lb.address, active.pool.address);
    text
}
