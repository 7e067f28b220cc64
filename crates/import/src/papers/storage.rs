//! Buckets and key pairs.

use bascule_core::facts::{Bucket, Destination, Fact, KeyPair};
use sha2::{Digest, Sha256};

use super::group::{Group, Groups};
use super::{Reader, source};
use crate::terraform::{Facts, Known, Place, Resource};

/// One bucket of one region.
pub(super) fn bucket(reader: &Reader<'_>, group: &Group<'_>, side: usize, all: &Groups<'_>) -> Bucket {
    let first = group.first();
    let place = &first.place;
    let parts = Parts::of(reader, group);
    let versioning = match (parts.versioning, &first.facts) {
        (Some((place, on)), _) => reader.known(place, on.clone()),
        (None, Facts::Bucket { versioning: Known::Is(Some(on)), .. }) => {
            Fact::seen(*on, reader.papers.at, source(place))
        }
        (None, _) => parts.absent(reader, place, false),
    };
    Bucket {
        versioning,
        replication: replication(reader, first, &parts, side, all),
        // Amazon S3 encrypts each new object by itself since January 2023.
        encryption: Fact::seen(true, reader.papers.at, source(place)),
        public: match parts.closed {
            Some((place, Known::Is(true))) => Fact::seen(false, reader.papers.at, source(place)),
            Some((place, Known::Unknown { why })) => Fact::not_observed(why, source(place)),
            Some((_, Known::Is(false))) | None => {
                Fact::not_observed("no block that closes it to the public is declared whole", source(place))
            }
        },
        newest_backup_age_s: reader.running(place),
    }
}

/// What other resources say of a bucket.
struct Parts<'a> {
    versioning: Option<(&'a Place, &'a Known<bool>)>,
    closed: Option<(&'a Place, &'a Known<bool>)>,
    destinations: Vec<(&'a Resource, &'a Known<Vec<String>>)>,
    /// Why there may be more.
    hidden: Option<String>,
}

impl<'a> Parts<'a> {
    fn of(reader: &'a Reader<'_>, group: &Group<'_>) -> Self {
        let mut parts = Parts { versioning: None, closed: None, destinations: Vec::new(), hidden: None };
        let Some(links) = &reader.links else { return parts };
        parts.hidden = links.hidden();
        for resource in group.indices().flat_map(|at| links.parts_of(at)) {
            match &resource.facts {
                Facts::BucketVersioning { enabled, .. } => {
                    parts.versioning = Some((&resource.place, enabled))
                }
                Facts::BucketPublicAccess { blocked, .. } => parts.closed = Some((&resource.place, blocked)),
                Facts::BucketReplication { destinations, .. } => {
                    parts.destinations.push((resource, destinations))
                }
                _ => {}
            }
        }
        for bucket in group.indices().map(|at| &links.declared.resources[at]) {
            if let Facts::Bucket { replicated_to, .. } = &bucket.facts
                && replicated_to.get().is_none_or(|to| !to.is_empty())
            {
                parts.destinations.push((bucket, replicated_to));
            }
        }
        parts.hidden = parts.hidden.or_else(|| links.loose());
        parts
    }

    /// What is so if nothing is declared, unless something may be hidden.
    fn absent<T>(&self, reader: &Reader<'_>, place: &Place, value: T) -> Fact<T> {
        match &self.hidden {
            Some(why) => Fact::not_observed(why, source(place)),
            None => Fact::seen(value, reader.papers.at, source(place)),
        }
    }
}

/// Where its objects go: the bucket in the other region, if one of its destinations is there.
fn replication(
    reader: &Reader<'_>,
    first: &Resource,
    parts: &Parts<'_>,
    side: usize,
    all: &Groups<'_>,
) -> Fact<Option<Destination>> {
    let Some(links) = &reader.links else { return reader.running(&first.place) };
    let mut unknown: Option<Fact<Option<Destination>>> = None;
    for (resource, destinations) in &parts.destinations {
        let from = source(&resource.place);
        let list = match destinations {
            Known::Is(list) => list,
            Known::Unknown { why } => {
                unknown = Some(Fact::not_observed(why, from));
                continue;
            }
        };
        for link in list {
            match links.find(resource, link).and_then(|at| all.place(at)) {
                Some((to, bucket)) if to != side => {
                    let to = Destination { region: reader.names[to].clone(), bucket: bucket.to_owned() };
                    return Fact::seen(Some(to), reader.papers.at, from);
                }
                Some(_) => {}
                None => {
                    let why = format!("it is replicated to {link}, which is not among the papers' buckets");
                    unknown = Some(Fact::not_observed(why, from.clone()));
                }
            }
        }
    }
    unknown.unwrap_or_else(|| parts.absent(reader, &first.place, None))
}

/// What key pairs are compared by. Fingerprints of a state and keys of code can't be compared with each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fingerprints {
    Told,
    Computed,
}

impl Fingerprints {
    pub fn of(keys: &Groups<'_>) -> Self {
        let told = |group: &Group<'_>| match &group.first().facts {
            Facts::KeyPair { fingerprint, .. } => fingerprint.get().is_some_and(Option::is_some),
            _ => false,
        };
        if keys.all().all(told) { Fingerprints::Told } else { Fingerprints::Computed }
    }
}

/// One key pair of one region.
pub(super) fn key_pair(reader: &Reader<'_>, group: &Group<'_>, by: Fingerprints) -> KeyPair {
    let first = group.first();
    let Facts::KeyPair { fingerprint, public_key, .. } = &first.facts else {
        return KeyPair { fingerprint: reader.running(&first.place) };
    };
    let fingerprint = match by {
        Fingerprints::Told => reader.may(&first.place, fingerprint.clone()),
        Fingerprints::Computed => {
            let digest = |key: String| {
                let digest = Sha256::digest(key.trim().as_bytes());
                format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            };
            reader.may(&first.place, public_key.clone().map(|key| key.map(digest)))
        }
    };
    KeyPair { fingerprint }
}
