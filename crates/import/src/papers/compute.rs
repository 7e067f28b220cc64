//! Instances, clusters, load balancers and networks.

use std::collections::BTreeSet;

use bascule_core::facts::{Cluster, Compute, Fact, Instance, LoadBalancer, Node, Source};
use bascule_core::id::RegionName;

use super::group::Group;
use super::{Reader, source};
use crate::terraform::{Facts, Known, Resource};

/// The most instances or nodes that one block makes and that are told apart: AWS groups have at most 2,000 by default.
const MAX_UNITS: u32 = 2_000;

/// A group of instances.
pub(super) fn instances(reader: &Reader<'_>, group: &Group<'_>) -> Compute {
    let mut instances = Vec::new();
    let mut unknown = None;
    for resource in group.all() {
        match resource.units() {
            Known::Is(number) => {
                (0..number.min(MAX_UNITS)).for_each(|at| instances.push(instance(reader, resource, at)));
            }
            Known::Unknown { why } => unknown = unknown.or(Some((resource, why))),
        }
    }
    let first = group.first();
    let keys: Known<BTreeSet<String>> = group
        .all()
        .try_fold(BTreeSet::new(), |mut keys, resource| {
            match &resource.facts {
                Facts::Instance { key_name, .. } => match key_name {
                    Known::Is(key) => keys.extend(key.clone()),
                    Known::Unknown { why } => return Err(why.clone()),
                },
                _ => return Err("the launch template of the group is not followed".to_owned()),
            }
            Ok(keys)
        })
        .map_or_else(Known::unknown, Known::Is);
    Compute {
        instances: match unknown {
            None => Fact::seen(instances, reader.papers.at, source(&first.place)),
            Some((resource, why)) => Fact::not_observed(why, source(&resource.place)),
        },
        keys: reader.known(&first.place, keys),
    }
}

fn instance(reader: &Reader<'_>, resource: &Resource, at: u32) -> Instance {
    let place = &resource.place;
    let spread = |all: &Known<Vec<String>>| match all {
        // A group is balanced over what it names.
        Known::Is(all) if all.is_empty() => Known::unknown("the code names none"),
        Known::Is(all) => Known::Is(all[at as usize % all.len()].clone()),
        Known::Unknown { why } => Known::unknown(why),
    };
    let hidden = || Fact::not_observed("the launch template of the group is not followed", source(place));
    let (size, image, zone, subnet) = match &resource.facts {
        Facts::Instance { size, image, zone, subnet, .. } => (
            reader.known(place, size.clone()),
            reader.may(place, image.clone()),
            match (zone, reader.links.as_ref().and_then(|links| links.follow(resource, subnet))) {
                // An instance is in its subnet's zone.
                (Known::Is(None), Some(at)) => zone_of(reader, at),
                (_, _) => reader.may(place, zone.clone()),
            },
            reader.may(place, subnet.clone()),
        ),
        Facts::AutoscalingGroup { zones, subnets, .. } => {
            (hidden(), hidden(), reader.known(place, spread(zones)), reader.known(place, spread(subnets)))
        }
        _ => (hidden(), hidden(), reader.running(place), reader.running(place)),
    };
    let name = match resource.units() {
        Known::Is(1) => resource.address.clone(),
        Known::Is(_) | Known::Unknown { .. } => format!("{}[{at}]", resource.address),
    };
    let running = || reader.running(place);
    Instance {
        name,
        size: size.map(Some),
        image: image.map(Some),
        zone: zone.map(Some),
        subnet: subnet.map(Some),
        alive: running(),
        ready: running(),
    }
}

/// The zone of a subnet.
fn zone_of(reader: &Reader<'_>, index: usize) -> Fact<String> {
    let subnet = reader.links.as_ref().map(|links| &links.declared.resources[index]);
    match subnet.map(|subnet| (&subnet.facts, &subnet.place)) {
        Some((Facts::Subnet { zone, .. }, place)) => reader.may(place, zone.clone()),
        Some((_, place)) => reader.running(place),
        None => Fact::unasked(),
    }
}

/// A Kubernetes cluster with its nodes.
pub(super) fn cluster(reader: &Reader<'_>, group: &Group<'_>) -> Cluster {
    let first = group.first();
    let (mut nodes, mut unknown, mut version) = (Vec::new(), None, None);
    for resource in group.all() {
        if let Facts::KubernetesCluster { version: known, .. } = &resource.facts {
            version = Some(reader.may(&resource.place, known.clone()));
        }
        match resource.units() {
            Known::Is(number) => nodes.extend((0..number.min(MAX_UNITS)).map(|at| Node {
                name: format!("{}[{at}]", resource.address),
                ready: reader.running(&resource.place),
            })),
            Known::Unknown { why } => unknown = unknown.or(Some((resource, why))),
        }
    }
    // A cluster without a node group gets its nodes from elsewhere.
    let grouped = group.all().any(|resource| matches!(resource.facts, Facts::NodeGroup { .. }));
    let nodes = match unknown {
        _ if !grouped => {
            Fact::not_observed("the code makes no nodes of its own for it", source(&first.place))
        }
        Some((resource, why)) => Fact::not_observed(why, source(&resource.place)),
        None => Fact::seen(nodes, reader.papers.at, source(&first.place)),
    };
    Cluster { nodes, version: version.unwrap_or_else(|| reader.running(&first.place)) }
}

/// A load balancer.
pub(super) fn balancer(reader: &Reader<'_>, group: &Group<'_>) -> LoadBalancer {
    let first = group.first();
    let from = source(&first.place);
    let parts = reader.links.iter().flat_map(|links| group.indices().flat_map(|at| links.parts_of(at)));
    let ports: BTreeSet<u16> = parts
        .filter_map(|part| match &part.facts {
            Facts::Listener { port, .. } => u16::try_from(port.get().copied()??).ok(),
            _ => None,
        })
        .collect();
    let unlinked = "what stands behind a load balancer is not followed on papers";
    LoadBalancer {
        listeners: match ports.is_empty() {
            true => Fact::not_observed("no listener of it is declared", from.clone()),
            false => Fact::seen(ports.into_iter().collect(), reader.papers.at, from.clone()),
        },
        serves: Fact::not_observed(unlinked, from.clone()),
        targets: reader.running(&first.place),
        health_check: Fact::not_observed(unlinked, from),
    }
}

/// The address ranges of a region's networks.
pub(super) fn ranges(reader: &Reader<'_>, region: &RegionName) -> Fact<Vec<String>> {
    let Some(links) = &reader.links else {
        return Fact::not_observed("no code is among the papers", Source::Nowhere);
    };
    let (mut ranges, mut from) = (Vec::new(), None);
    for resource in &links.declared.resources {
        let Facts::Network { addresses } = &resource.facts else { continue };
        match (&resource.region, addresses) {
            (Known::Is(other), _) if other != region.as_str() => continue,
            (Known::Is(_), Known::Is(Some(range))) => ranges.push(range.clone()),
            (Known::Is(_), Known::Is(None)) => {}
            (Known::Unknown { why }, _) | (Known::Is(_), Known::Unknown { why }) => {
                return Fact::not_observed(format!("{}: {why}", resource.address), source(&resource.place));
            }
        }
        from = from.or_else(|| Some(source(&resource.place)));
    }
    match (from, links.hidden()) {
        (_, Some(why)) => Fact::not_observed(why, Source::Nowhere),
        (Some(from), None) if !ranges.is_empty() => Fact::seen(ranges, reader.papers.at, from),
        (from, None) => {
            Fact::not_observed("no network with a range is declared", from.unwrap_or(Source::Nowhere))
        }
    }
}
