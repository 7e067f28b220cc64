//! Names that the code declares.

use std::collections::BTreeMap;

use bascule_core::facts::{Fact, HealthCheck, Listing, Record, Source};
use bascule_core::id::RegionName;

use super::link::Links;
use super::{Reader, source};
use crate::terraform::{Facts, Known, Place, Record as Declared, Resource};

/// The statuses that pass a health check of Route 53 (Amazon Route 53 Developer Guide, "How Route 53 determines
/// whether a health check is healthy").
const PASSES: (u16, u16) = (200, 399);

/// The names, each with all its records.
pub(super) fn dns(reader: &Reader<'_>) -> Listing<Record> {
    let Some(links) = &reader.links else {
        return Fact::not_observed("no code is among the papers", Source::Nowhere);
    };
    let mut names: BTreeMap<String, Vec<(&Resource, &Declared)>> = BTreeMap::new();
    for resource in &links.declared.resources {
        let Facts::Record(record) = &resource.facts else { continue };
        // Only what users or the application ask for: not mail, nor proofs of ownership.
        if record.record_type.get().is_some_and(|kind| !["A", "AAAA", "CNAME"].contains(&kind.as_str())) {
            continue;
        }
        let name = match &record.name {
            Known::Is(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            Known::Unknown { .. } => resource.address.clone(),
        };
        names.entry(name).or_default().push((resource, record));
    }
    let Some(first) = names.values().flatten().next().map(|(resource, _)| source(&resource.place)) else {
        // A team may keep its names elsewhere: that the code has none does not say that there are none.
        return Fact::not_observed("the code declares no name", Source::Nowhere);
    };
    let records = names.into_iter().map(|(name, records)| (name, record(reader, links, &records)));
    Fact::seen(records.collect(), reader.papers.at, first)
}

fn record(reader: &Reader<'_>, links: &Links<'_>, records: &[(&Resource, &Declared)]) -> Record {
    let (resource, first) = records[0];
    let place = &resource.place;
    let longest = records.iter().filter_map(|(_, record)| record.ttl_s.get().copied().flatten()).max();
    let ttl_s = match (longest, &first.ttl_s) {
        (Some(ttl), _) => Fact::seen(ttl, reader.papers.at, source(place)),
        (None, Known::Is(_)) => {
            Fact::not_observed("an alias has the time to live of what it points at", source(place))
        }
        (None, Known::Unknown { why }) => Fact::not_observed(why, source(place)),
    };
    Record {
        managed: Fact::seen(true, reader.papers.at, source(place)),
        ttl_s,
        targets: reader.known(place, targets(reader, links, records)),
        health_check: health_check(reader, links, records),
    }
}

/// The regions that a name has an address for: those of what its records mean.
fn targets(
    reader: &Reader<'_>,
    links: &Links<'_>,
    records: &[(&Resource, &Declared)],
) -> Known<Vec<RegionName>> {
    let mut regions = Vec::new();
    let mut unknown = None;
    for (resource, record) in records {
        let alias = record.alias.get().and_then(Option::as_deref);
        let values = record.values.get().map_or(&[][..], Vec::as_slice);
        if alias.is_none() && values.is_empty() {
            unknown = Some(format!("what {} answers is unknown", resource.address));
        }
        for link in alias.into_iter().chain(values.iter().map(String::as_str)) {
            let region = links.find(resource, link).map(|at| &links.declared.resources[at].region);
            let region = region.and_then(Known::get).map(String::as_str).or_else(|| in_name(reader, link));
            match region.and_then(|region| region.parse().ok()) {
                Some(region) => regions.push(region),
                None => unknown = Some(format!("in which region {link} is, is unknown")),
            }
        }
    }
    match unknown {
        // Both are there whatever the others are.
        Some(why) if !reader.names.iter().all(|name| regions.contains(name)) => Known::unknown(why),
        _ => Known::Is(regions),
    }
}

/// The region in a provider's host name: `web-1.us-east-2.elb.amazonaws.com`.
fn in_name<'r>(reader: &'r Reader<'_>, host: &str) -> Option<&'r str> {
    let mut labels = host.split('.');
    labels.find_map(|label| reader.names.iter().find(|name| name.as_str() == label)).map(RegionName::as_str)
}

fn health_check(
    reader: &Reader<'_>,
    links: &Links<'_>,
    records: &[(&Resource, &Declared)],
) -> Fact<Option<HealthCheck>> {
    let place: &Place = &records[0].0.place;
    for (resource, record) in records {
        let at = match &record.health_check {
            Known::Is(None) => continue,
            Known::Is(Some(link)) => links.find(resource, link),
            Known::Unknown { why } => return Fact::not_observed(why, source(&resource.place)),
        };
        let Some(check) = at.map(|at| &links.declared.resources[at]) else {
            return Fact::not_observed("its health check is not among the papers", source(&resource.place));
        };
        let Facts::HealthCheck { path: Known::Is(path), .. } = &check.facts else {
            return Fact::not_observed("what its health check asks for is unknown", source(&check.place));
        };
        let check = HealthCheck {
            path: path.clone().unwrap_or_else(|| "/".to_owned()),
            passes_from: PASSES.0,
            passes_to: PASSES.1,
            answers: reader.running(&check.place),
        };
        return Fact::seen(Some(check), reader.papers.at, source(place));
    }
    Fact::seen(None, reader.papers.at, source(place))
}
