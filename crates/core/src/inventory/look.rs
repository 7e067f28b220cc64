//! What there is to see of one asset: how many, how many well, of what size.

use std::collections::BTreeSet;

use super::Count;
use crate::asset::AssetKind;
use crate::facts::{
    Bucket, Cluster, Compute, Database, Evidence, Fact, KeyPair, Listing, LoadBalancer, Monitoring, Record,
    Repository, Source,
};

/// What was seen of an asset.
pub(super) struct Seen {
    pub(super) count: Count,
    pub(super) sizes: BTreeSet<String>,
    pub(super) evidence: Vec<Evidence>,
}

/// An asset that can be looked at.
pub(super) trait Look {
    /// What was seen of it in a place.
    fn look(&self, place: &str) -> Seen;
}

/// That something is not in a listing, or that the listing was not seen.
pub(super) fn absence<T>(kind: AssetKind, place: &str, listing: &Listing<T>) -> Evidence {
    let kind = kind.as_str();
    let what = match listing.answer.why_not() {
        None => format!("{place}: it is not among its {kind} assets"),
        Some(why) => format!("{place}: its {kind} assets were not observed: {why}"),
    };
    Evidence { what, from: listing.from.clone(), at: listing.at() }
}

/// Parts that somebody lists, with what says that one is well.
fn parts<T>(place: &str, what: &str, parts: &Fact<Vec<T>>, well: fn(&T) -> &Fact<bool>) -> Seen
where
    Vec<T>: crate::facts::told::Told,
{
    let evidence = vec![Evidence::of(&format!("{place} {what}"), parts)];
    let count = match (parts.value(), parts.answer.why_not()) {
        (Some(parts), _) => {
            let seen: Option<Vec<bool>> = parts.iter().map(|p| well(p).value().copied()).collect();
            Count::Seen {
                total: number(parts.len()),
                well: seen.map(|all| number(all.into_iter().filter(|well| *well).count())),
            }
        }
        (None, why) => Count::NotObserved { why: why.unwrap_or_default().to_owned() },
    };
    Seen { count, sizes: BTreeSet::new(), evidence }
}

/// Why something that was asked did not answer; none if nobody asked it, as where papers list it.
fn asked_in_vain<T>(fact: &Fact<T>) -> Option<&str> {
    matches!(fact.from, Source::Address(_)).then(|| fact.answer.why_not()).flatten()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// One thing, with what says that it is well.
fn one(well: Option<bool>, evidence: Vec<Evidence>) -> Seen {
    Seen { count: Count::Seen { total: 1, well: well.map(u32::from) }, sizes: BTreeSet::new(), evidence }
}

impl Look for Compute {
    fn look(&self, place: &str) -> Seen {
        let mut seen = parts(place, "instances", &self.instances, |i| &i.alive);
        // the list is of those that there should be: those are there that live
        let all = || self.instances.value().into_iter().flatten().map(|instance| &instance.alive);
        if let Some(why) = all().find_map(asked_in_vain) {
            seen.count = Count::NotObserved { why: why.to_owned() };
        } else if let Count::Seen { total, well: Some(well) } = &mut seen.count {
            *total = *well;
        }
        let sizes = self.instances.value().into_iter().flatten().filter_map(|i| i.size.value()?.as_ref());
        seen.sizes.extend(sizes.cloned());
        seen
    }
}

impl Look for Cluster {
    fn look(&self, place: &str) -> Seen {
        parts(place, "nodes", &self.nodes, |n| &n.ready)
    }
}

impl Look for Database {
    fn look(&self, place: &str) -> Seen {
        let mut seen = parts(place, "members", &self.members, |m| &m.well);
        seen.sizes.extend(self.size.value().cloned());
        seen.evidence.push(Evidence::of(&format!("{place} role"), &self.role));
        seen.evidence.push(Evidence::of(&format!("{place} follows"), &self.replica_source));
        seen
    }
}

impl Look for LoadBalancer {
    fn look(&self, place: &str) -> Seen {
        let well = self.targets.value().map(|t| t.healthy > 0);
        let listeners = Evidence::of(&format!("{place} listens on"), &self.listeners);
        let mut seen = one(well, vec![listeners, Evidence::of(&format!("{place} targets"), &self.targets)]);
        if let Some(why) = asked_in_vain(&self.listeners) {
            seen.count = Count::NotObserved { why: why.to_owned() };
        } else if self.listeners.value().is_some_and(Vec::is_empty) {
            seen.count = Count::NONE;
        }
        seen
    }
}

impl Look for Bucket {
    fn look(&self, place: &str) -> Seen {
        // it is well if it answers
        let answers = self.versioning.value().map(|_| true);
        one(answers, vec![Evidence::of(&format!("{place} replicated to"), &self.replication)])
    }
}

impl Look for KeyPair {
    fn look(&self, place: &str) -> Seen {
        let seen = self.fingerprint.value().map(|_| true);
        one(seen, vec![Evidence::of(&format!("{place} fingerprint"), &self.fingerprint)])
    }
}

impl Look for Monitoring {
    fn look(&self, _: &str) -> Seen {
        // one that watches nothing is not well
        let well = self.targets.value().zip(self.targets_up.value()).map(|(all, up)| *all > 0 && up >= all);
        one(well, vec![Evidence::of("targets", &self.targets), Evidence::of("targets up", &self.targets_up)])
    }
}

impl Look for Repository {
    fn look(&self, _: &str) -> Seen {
        one(self.reachable.value().copied(), vec![Evidence::of("reachable", &self.reachable)])
    }
}

impl Look for Record {
    fn look(&self, _: &str) -> Seen {
        let managed = Evidence::of("managed", &self.managed);
        one(self.managed.value().copied(), vec![managed, Evidence::of("targets in", &self.targets)])
    }
}
