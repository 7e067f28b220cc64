//! How each kind of asset is protected, as far as what was seen says.

use crate::asset::Protection;
use crate::facts::{
    Bucket, Cluster, Compute, Copies, Database, Destination, Fact, Facts, KeyPair, Listing, LoadBalancer,
    Place, Reach,
};

/// A protection and why.
pub(super) struct Derived {
    pub(super) protection: Protection,
    pub(super) why: String,
}

fn derived(protection: Protection, why: &str) -> Derived {
    Derived { protection, why: why.to_owned() }
}

/// It was not seen how it is protected.
pub(super) fn unknown(why: &str) -> Derived {
    derived(Protection::Unknown, why)
}

/// What a region has of an asset.
pub(super) enum Side<'a, T> {
    /// It is there.
    There(&'a T),
    /// The region was looked through and has none.
    Absent,
    /// The region was not looked through.
    NotObserved(&'a str),
}

impl<'a, T> Side<'a, T> {
    pub(super) fn of(listing: &'a Listing<T>, name: &str) -> Self {
        match (listing.value(), listing.answer.why_not()) {
            (Some(assets), _) => assets.get(name).map_or(Side::Absent, Side::There),
            (None, why) => Side::NotObserved(why.unwrap_or_default()),
        }
    }
}

/// What the two sides say before anything is asked of them: both there, or what follows from less.
fn both<'s, 'a, T>(sides: [&'s Side<'a, T>; 2]) -> Result<[&'s &'a T; 2], Derived> {
    match sides {
        [Side::There(home), Side::There(away)] => Ok([home, away]),
        [Side::NotObserved(_), _] | [_, Side::NotObserved(_)] => {
            Err(unknown("one region's assets of this kind were not observed"))
        }
        [Side::There(_), Side::Absent] | [Side::Absent, Side::There(_)] => {
            Err(derived(Protection::OneRegionOnly, "the other region has none"))
        }
        [Side::Absent, Side::Absent] => Err(unknown("it was found in neither region")),
    }
}

/// Something that has parts which run.
pub(super) trait Running {
    /// How many parts were seen to run; none if none was, and not all were looked at. That somebody names a part is no
    /// evidence that it runs.
    fn parts(&self) -> Option<usize>;
}

fn seen_running<'a>(parts: impl Iterator<Item = &'a Fact<bool>>) -> Option<usize> {
    let (mut run, mut unseen) = (0, false);
    for runs in parts {
        match runs.value() {
            Some(true) => run += 1,
            Some(false) => {}
            None => unseen = true,
        }
    }
    (run > 0 || !unseen).then_some(run)
}

impl Running for Cluster {
    fn parts(&self) -> Option<usize> {
        seen_running(self.nodes.value()?.iter().map(|node| &node.ready))
    }
}

impl Running for LoadBalancer {
    fn parts(&self) -> Option<usize> {
        self.listeners.value().map(|listeners| usize::from(!listeners.is_empty()))
    }
}

impl Running for Compute {
    fn parts(&self) -> Option<usize> {
        seen_running(self.instances.value()?.iter().map(|instance| &instance.alive))
    }
}

/// Something that protects by running in both regions.
pub(super) fn running<T: Running>(sides: [&Side<'_, T>; 2]) -> Derived {
    let [home, away] = match both(sides) {
        Ok(pair) => pair,
        Err(derived) => return derived,
    };
    match (home.parts(), away.parts()) {
        (None, _) | (_, None) => unknown("what runs of it was not observed"),
        (Some(0), Some(0)) => unknown("nothing of it runs in either region"),
        (Some(0), Some(_)) | (Some(_), Some(0)) => {
            derived(Protection::OneRegionOnly, "nothing of it runs in the other region")
        }
        (Some(_), Some(_)) => derived(Protection::Deployed, "it runs in both regions"),
    }
}

/// A group that is there without instances is made when it is needed.
pub(super) fn compute(sides: [&Side<'_, Compute>; 2]) -> Derived {
    let named = |group: &Compute| group.instances.value().map(Vec::len);
    if let [Side::There(home), Side::There(away)] = sides
        && let (Some(0), Some(1..)) | (Some(1..), Some(0)) = (named(home), named(away))
    {
        return derived(Protection::RebuiltOnDemand, "the other region has its group, without instances");
    }
    running(sides)
}

/// A database protects by following; two that do not follow each other are two databases.
pub(super) fn database(facts: &Facts, sides: [&Side<'_, Database>; 2]) -> Derived {
    let [home, away] = match both(sides) {
        Ok(pair) => pair,
        Err(derived) => return derived,
    };
    match facts.replicates(home, away) {
        Some(true) => derived(Protection::Replicated, "one side follows the other"),
        Some(false) => {
            derived(Protection::OneRegionOnly, "it is in both regions, and neither side follows the other")
        }
        None => unknown("whether one side follows the other was not observed"),
    }
}

/// A bucket protects by being replicated; equal names alone copy nothing.
pub(super) fn bucket(
    facts: &Facts,
    copies: &Copies<'_>,
    name: &str,
    sides: [&Side<'_, Bucket>; 2],
) -> Derived {
    let mut unseen = false;
    for (side, region) in sides.into_iter().zip(facts.regions()) {
        match side {
            Side::There(bucket) => match bucket.replication.value() {
                Some(Some(to))
                    if to.region != region.name && facts.regions().iter().any(|r| r.name == to.region) =>
                {
                    return derived(Protection::Replicated, "its objects are replicated to the other region");
                }
                Some(_) => {
                    let own = Destination { region: region.name.clone(), bucket: name.to_owned() };
                    if copies.of.contains(&own) {
                        return derived(
                            Protection::Replicated,
                            "it is the copy of a bucket in the other region",
                        );
                    }
                }
                None => unseen = true,
            },
            Side::NotObserved(_) => unseen = true,
            Side::Absent => {}
        }
    }
    match both(sides) {
        _ if unseen || !copies.all_seen => unknown("where it is replicated to was not observed"),
        Ok(_) => derived(
            Protection::OneRegionOnly,
            "it is in both regions, and neither is replicated to the other",
        ),
        Err(derived) => derived,
    }
}

/// A key pair is of use in both regions if it is the same one.
pub(super) fn key_pair(sides: [&Side<'_, KeyPair>; 2]) -> Derived {
    let [home, away] = match both(sides) {
        Ok(pair) => pair,
        Err(derived) => return derived,
    };
    match (home.fingerprint.value(), away.fingerprint.value()) {
        (Some(left), Some(right)) if left == right => {
            derived(Protection::Copied, "both regions have it, with one fingerprint")
        }
        (Some(_), Some(_)) => {
            derived(Protection::OneRegionOnly, "the other region has another key by that name")
        }
        (None, _) | (_, None) => unknown("its fingerprints were not observed"),
    }
}

fn kept(facts: &Facts, places: &[Place], elsewhere: Protection, both: Protection) -> Derived {
    match facts.reach(places) {
        Reach::Elsewhere => derived(elsewhere, "it is in a place that is neither region"),
        Reach::Both => derived(both, "it is in both regions"),
        Reach::One => derived(Protection::OneRegionOnly, "it is in one region"),
        Reach::Nowhere => unknown("no place of it was found"),
    }
}

pub(super) fn monitoring(facts: &Facts, places: &[Place]) -> Derived {
    kept(facts, places, Protection::StoredElsewhere, Protection::Deployed)
}

pub(super) fn repository(facts: &Facts, places: &[Place]) -> Derived {
    kept(facts, places, Protection::StoredElsewhere, Protection::Copied)
}

pub(super) fn dns(facts: &Facts, places: &[Place]) -> Derived {
    kept(facts, places, Protection::ProviderManaged, Protection::Deployed)
}
