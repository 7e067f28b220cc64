//! What several facts say together. Checks and the inventory ask the same questions here.

use std::collections::BTreeSet;

use super::region::{Database, Destination};
use super::site::{Facts, Place};

/// The buckets that are copies of a bucket in the other region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies<'a> {
    /// Where something is replicated to.
    pub of: BTreeSet<&'a Destination>,
    /// Whether every bucket said where it is replicated to: if not, there may be more.
    pub all_seen: bool,
}

/// Where something is kept, seen from the two regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Also, or only, in neither region.
    Elsewhere,
    /// In both.
    Both,
    /// In one.
    One,
    /// In no place at all.
    Nowhere,
}

impl Facts {
    /// Whether one side of a database follows the other; none if that was not seen. One side that is seen to
    /// follow is enough.
    #[must_use]
    pub fn replicates(&self, home: &Database, away: &Database) -> Option<bool> {
        let of_home = home.replica_source.value();
        let of_away = away.replica_source.value();
        let follows = of_away.and_then(Option::as_ref) == Some(&self.home.name)
            || of_home.and_then(Option::as_ref) == Some(&self.away.name);
        (follows || (of_home.is_some() && of_away.is_some())).then_some(follows)
    }

    /// The buckets that another region's bucket is replicated to.
    #[must_use]
    pub fn bucket_copies(&self) -> Copies<'_> {
        let mut copies = Copies { of: BTreeSet::new(), all_seen: true };
        for region in self.regions() {
            copies.all_seen &= region.object_storage.value().is_some();
            for bucket in region.object_storage.value().into_iter().flat_map(|l| l.values()) {
                copies.all_seen &= bucket.replication.value().is_some();
                let destination = bucket.replication.value().and_then(Option::as_ref);
                copies.of.extend(destination.filter(|d| d.region != region.name));
            }
        }
        copies
    }

    /// Where these places are, seen from the two regions.
    #[must_use]
    pub fn reach(&self, places: &[Place]) -> Reach {
        let mut here = [false, false];
        let mut elsewhere = false;
        for place in places {
            let ours = [place.is(&self.home.name), place.is(&self.away.name)];
            here = [here[0] | ours[0], here[1] | ours[1]];
            elsewhere |= ours == [false, false];
        }
        match (elsewhere, here) {
            (true, _) => Reach::Elsewhere,
            (false, [true, true]) => Reach::Both,
            (false, [true, false] | [false, true]) => Reach::One,
            (false, [false, false]) => Reach::Nowhere,
        }
    }

    /// Whether something that is in these places is there when either region is lost.
    #[must_use]
    pub fn outlives_either(&self, places: &[Place]) -> bool {
        match self.reach(places) {
            Reach::Elsewhere | Reach::Both => true,
            Reach::One | Reach::Nowhere => false,
        }
    }
}
