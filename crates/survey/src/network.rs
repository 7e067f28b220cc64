//! A region's network: its ranges, what its parts let in, and how full they are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bascule_core::facts::{Fact, Network, Quota};
use bascule_core::manifest::Region;
use bascule_providers::Trial;
use sha2::{Digest as _, Sha256};

use crate::limit::Provider;
use crate::member::{self, Answered};
use crate::{Place, at, balancer, now};

/// A pool as it was seen.
pub(crate) struct Pool {
    /// Clients that it has, and may have.
    clients: Result<(u64, u64), String>,
    pub may_change: Result<Trial, String>,
}

pub(crate) async fn pool(place: &Place) -> Pool {
    let (limits, pool) = (
        &place.limits,
        match &place.parts.pool {
            Ok(pool) => pool,
            Err(why) => return Pool { clients: Err(why.clone()), may_change: Err(why.clone()) },
        },
    );
    // one after the other: both want the one session
    let clients = limits.look(Provider::Pool, pool.clients()).await;
    let may_change = limits.look(Provider::Pool, pool.may_change()).await;
    Pool { clients, may_change }
}

pub(crate) fn network(
    place: &Place,
    members: &[Answered],
    balancer: &balancer::Looked,
    pool: &Pool,
) -> Network {
    Network {
        ranges: ranges(place), // told by both regions together
        rules: Fact::unasked(),
        quotas: quotas(place, members, balancer, pool),
    }
}

/// As the manifest has them, if all that it says is in the region really is in them.
fn ranges(place: &Place) -> Fact<Vec<String>> {
    let (region, name) = (place.manifest(), &place.name);
    if region.ranges.is_empty() {
        return place.scene.unsaid(format!(
            "nothing says which addresses {name} has: write them into [regions.{name}.network]"
        ));
    }
    let outside = parts(region).find(|ip| !region.ranges.iter().any(|range| range.contains(*ip)));
    match outside {
        Some(ip) => place.scene.unsaid(format!("{ip} is a part of {name} and in none of its ranges")),
        None => place.scene.said(region.ranges.iter().map(ToString::to_string).collect()),
    }
}

/// The addresses of a region's parts.
fn parts(region: &Region) -> impl Iterator<Item = IpAddr> {
    let members = region.database.members.iter().flat_map(|m| [m.postgres.ip(), m.patroni.ip()]);
    let doors =
        [region.database.ingress.ip(), region.database.replication.ip(), region.load_balancer.address];
    let pool = [region.pool.address, region.pool.admin.ip(), region.load_balancer.admin.ip()];
    let keepers = region.keepers.iter().map(|keeper| keeper.address.ip());
    members.chain(doors).chain(pool).chain(region.compute.instances.iter().map(|at| at.ip())).chain(keepers)
}

/// Limits of the parts that both regions' users would come to. Only all of them together tell whether they suffice.
fn quotas(
    place: &Place,
    members: &[Answered],
    balancer: &balancer::Looked,
    pool: &Pool,
) -> Fact<BTreeMap<String, Quota>> {
    let region = place.manifest();
    let told: Vec<_> = members.iter().filter_map(|m| m.told.as_ref().ok()).collect();
    let limit = told.iter().map(|m| m.sessions_max).min();
    let used = told.iter().map(|m| m.sessions).max();
    let sessions = limit.zip(used).map(|(limit, used)| Quota { limit, used });
    let sessions = match member::silent_one(members, |m| m.told.as_ref().err()) {
        None => sessions.ok_or_else(|| "it has no members".to_owned()),
        Some(silent) => Err(silent),
    };
    let clients = pool.clients.clone().map(|(used, limit)| Quota { limit, used });
    let connections = balancer.connections.clone().map(|c| Quota { limit: c.limit, used: c.used });
    let all = [
        ("database sessions", sessions),
        ("pool clients", clients),
        ("load balancer connections", connections),
    ];
    let from = at(format!(
        "max_connections at {}, SHOW CONFIG at {}, show info at {}",
        members.iter().map(|m| m.at.to_string()).collect::<Vec<_>>().join(", "),
        region.pool.admin,
        region.load_balancer.admin
    ));
    let mut quotas = BTreeMap::new();
    for (name, quota) in all {
        match quota {
            Ok(quota) => drop(quotas.insert(name.to_owned(), quota)),
            Err(why) => return Fact::not_observed(format!("{name}: {why}"), from),
        }
    }
    Fact::seen(quotas, now(), from)
}

/// SHA-256, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
