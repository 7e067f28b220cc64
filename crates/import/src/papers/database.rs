//! Databases.

use std::collections::BTreeSet;

use bascule_core::facts::{Database, Fact, Member};
use bascule_core::id::RegionName;
use bascule_core::observation::ClusterRole;

use super::group::Group;
use super::{Reader, source};
use crate::terraform::{Facts, Known, Resource};

const DAY_S: u64 = 86_400;

/// One database of one region.
pub(super) fn database(
    reader: &Reader<'_>,
    group: &Group<'_>,
    side: usize,
    twin: Option<&Group<'_>>,
) -> Database {
    let first = group.first();
    let place = &first.place;
    let source_of = follows(reader, group, side, twin);
    let role = match source_of.value() {
        Some(Some(_)) => Fact::seen(ClusterRole::Standby, reader.papers.at, source_of.from.clone()),
        Some(None) => Fact::seen(ClusterRole::Primary, reader.papers.at, source_of.from.clone()),
        None => reader.running(place),
    };
    let (retention, version) = match &first.facts {
        Facts::Database { backup_retention_days: days, engine_version: version, .. }
        | Facts::DatabaseCluster { backup_retention_days: days, engine_version: version, .. } => {
            (days.clone().map(|days| u64::from(days) * DAY_S), version.clone())
        }
        _ => (Known::unknown("its cluster is not declared"), Known::unknown("its cluster is not declared")),
    };
    let members = members(reader, group);
    let several = members.value().map(|members| members.len() >= 2);
    let sizes: BTreeSet<String> =
        group.all().filter_map(|r| r.facts.sizes().get().cloned()).flatten().collect();
    let size = match sizes.len() {
        1 => Known::Is(sizes.into_iter().next().unwrap_or_default()),
        0 => Known::unknown("no size is told"),
        _ => Known::unknown("its members have several sizes"),
    };
    // The provider keeps the slots of a managed database, and shows none.
    let no_slots = Fact::seen(BTreeSet::new(), reader.papers.at, source(place));
    Database {
        automatic_failover: match &first.facts {
            Facts::Database { multi_zone, .. } => reader.known(place, multi_zone.clone()),
            _ => match several {
                Some(several) => Fact::seen(several, reader.papers.at, source(place)),
                None => Fact::not_observed("how many members it has is unknown", source(place)),
            },
        },
        members,
        size: reader.known(place, size),
        role,
        replica_source: source_of,
        lag_ms: reader.running(place),
        lag_bytes: reader.running(place),
        retention_s: reader.known(place, retention),
        parameters: Fact::not_observed("what is in a parameter group is not in the papers", source(place)),
        version: reader.may(place, version).map(|version| BTreeSet::from([version])),
        unconfirmed: Fact::not_observed("papers do not show whom commits wait for", source(place)),
        slots: no_slots.clone(),
        slots_wanted: no_slots.clone(),
        slotless: no_slots,
        reached_by: Fact::not_observed("how the application connects is not in the papers", source(place)),
        way_back: Fact::not_observed("papers do not show how it comes back", source(place)),
        commits_wait_for: reader.running(place),
    }
}

/// The members. An instance over two zones has one in each.
fn members(reader: &Reader<'_>, group: &Group<'_>) -> Fact<Vec<Member>> {
    let mut members = Vec::new();
    for resource in group.all() {
        let number = match (&resource.facts, resource.units()) {
            (Facts::Database { multi_zone, .. }, Known::Is(number)) => {
                multi_zone.clone().map(|two| if two { number.saturating_mul(2) } else { number })
            }
            (_, number) => number,
        };
        match number {
            Known::Is(number) => members.extend((0..number.min(MAX_MEMBERS)).map(|at| Member {
                name: format!("{}:{}[{at}]", resource.root, resource.address),
                well: reader.running(&resource.place),
            })),
            Known::Unknown { why } => return Fact::not_observed(why, source(&resource.place)),
        }
    }
    Fact::seen(members, reader.papers.at, source(&group.first().place))
}

/// The most members that one block makes: Aurora has 16, with room for others.
const MAX_MEMBERS: u32 = 64;

/// Whom it follows.
fn follows(
    reader: &Reader<'_>,
    group: &Group<'_>,
    side: usize,
    twin: Option<&Group<'_>>,
) -> Fact<Option<RegionName>> {
    let first = group.first();
    let Some(links) = &reader.links else { return reader.running(&first.place) };
    let (replica_of, global) = match &first.facts {
        Facts::Database { replica_of, .. } => (replica_of, None),
        Facts::DatabaseCluster { replica_of, global_cluster, .. } => (replica_of, Some(global_cluster)),
        _ => return Fact::not_observed("its cluster is not declared", source(&first.place)),
    };
    let said = match (replica_of, global) {
        (Known::Unknown { why }, _) => Known::unknown(why),
        (Known::Is(Some(link)), _) => match region_of(reader, links.find(first, link), link) {
            Some(region) => Known::Is(Some(region)),
            None => Known::unknown(format!("it follows {link}, which is in a region that is not told")),
        },
        (Known::Is(None), Some(Known::Is(Some(global)))) => in_global(reader, first, global, side, twin),
        (Known::Is(None), Some(Known::Unknown { why })) => Known::unknown(why),
        (Known::Is(None), Some(Known::Is(None)) | None) => Known::Is(None),
    };
    reader.known(&first.place, said)
}

/// A resource's region, or the one in an ARN: `arn:partition:service:region:account:resource`.
fn region_of(reader: &Reader<'_>, index: Option<usize>, link: &str) -> Option<RegionName> {
    let links = reader.links.as_ref()?;
    let declared = index.and_then(|at| links.declared.resources[at].region.get().map(String::as_str));
    let arn = || link.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
    declared.or_else(arn)?.parse().ok()
}

/// Of the clusters of one global database the one in the home region is taken for the one that the other follows:
/// the code does not say which of them writes.
fn in_global(
    reader: &Reader<'_>,
    resource: &Resource,
    global: &str,
    side: usize,
    twin: Option<&Group<'_>>,
) -> Known<Option<RegionName>> {
    let Some(links) = &reader.links else { return Known::Is(None) };
    let same = links.find(resource, global);
    let other = twin.map(Group::first).is_some_and(|other| match &other.facts {
        Facts::DatabaseCluster { global_cluster: Known::Is(Some(link)), .. } => {
            link == global || (same.is_some() && links.find(other, link) == same)
        }
        _ => false,
    });
    match (other, side) {
        (true, 1) => Known::Is(Some(reader.names[0].clone())),
        (true, _) | (false, 0) => Known::Is(None),
        (false, _) => Known::unknown("it is in a global database whose other clusters are not declared"),
    }
}
