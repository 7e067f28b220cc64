//! The inventory: every asset that was found or is wanted, and how each is protected, derived from what was seen.
//!
//! Invariant: protection is never taken over from a document. What was not seen leaves it `unknown`, and an
//! asset whose loss with its region was seen is `one region only`. Linear in the number of assets.

mod look;
mod protection;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::asset::{AssetKind, Protection, Quantity};
use crate::facts::{Evidence, Facts, Listing, Place, Region, Wanted};
use look::Look;
use protection::{Derived, Side};

/// One asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is.
    pub kind: AssetKind,
    /// Its name.
    pub name: String,
    /// What it is for, as somebody says; empty if nobody does.
    pub purpose: String,
    /// The size that was seen.
    pub size: Option<String>,
    /// The size that somebody says it has.
    pub wanted_size: Option<String>,
    /// How many somebody says there are.
    pub wanted: Option<Quantity>,
    /// How many were found, in each place where one was looked for.
    pub found: Vec<Found>,
    /// How it is protected.
    pub protection: Protection,
    /// Why it counts as that, in a few words.
    pub why: String,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// What was found of an asset in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// How many.
    pub count: Count,
}

/// How many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// They were counted.
    Seen {
        /// All that are there: those that answered, or that their manager lists.
        total: u32,
        /// Those that are well; none if that was not seen of each.
        well: Option<u32>,
    },
    /// They were not.
    NotObserved {
        /// Why not.
        why: String,
    },
}

impl Count {
    const NONE: Count = Count::Seen { total: 0, well: Some(0) };

    /// How many, if they were counted.
    #[must_use]
    pub fn total(&self) -> Option<u32> {
        match self {
            Count::Seen { total, .. } => Some(*total),
            Count::NotObserved { .. } => None,
        }
    }

    /// How many are well, if that was seen.
    #[must_use]
    pub fn well(&self) -> Option<u32> {
        match self {
            Count::Seen { well, .. } => *well,
            Count::NotObserved { .. } => None,
        }
    }
}

/// Every asset, by kind and name.
#[must_use]
pub fn inventory(facts: &Facts) -> Vec<Item> {
    let mut list = List { facts, items: Vec::new(), wanted: BTreeMap::new() };
    for wanted in &facts.wanted {
        list.wanted.entry((wanted.kind, wanted.name.as_str())).or_insert(wanted);
    }
    for kind in AssetKind::ALL {
        list.add(*kind);
    }
    list.items
}

struct List<'a> {
    facts: &'a Facts,
    items: Vec<Item>,
    wanted: BTreeMap<(AssetKind, &'a str), &'a Wanted>,
}

impl<'a> List<'a> {
    fn add(&mut self, kind: AssetKind) {
        let facts = self.facts;
        match kind {
            AssetKind::Compute => self.regional(kind, |r| &r.compute, |_, sides| protection::compute(sides)),
            AssetKind::Kubernetes => {
                self.regional(kind, |r| &r.kubernetes, |_, sides| protection::running(sides))
            }
            AssetKind::LoadBalancer => {
                self.regional(kind, |r| &r.load_balancer, |_, sides| protection::running(sides));
            }
            AssetKind::Database => {
                self.regional(kind, |r| &r.database, |_, sides| protection::database(facts, sides));
            }
            AssetKind::ObjectStorage => {
                let copies = facts.bucket_copies();
                self.regional(
                    kind,
                    |r| &r.object_storage,
                    |name, sides| protection::bucket(facts, &copies, name, sides),
                );
            }
            AssetKind::KeyPair => {
                self.regional(kind, |r| &r.key_pair, |_, sides| protection::key_pair(sides))
            }
            AssetKind::Monitoring => {
                self.of_site(kind, &facts.monitoring, |m| &m.places, protection::monitoring)
            }
            AssetKind::Repository => {
                self.of_site(kind, &facts.repository, |r| &r.places, protection::repository)
            }
            AssetKind::Dns => self.of_site(kind, &facts.dns, |_| &facts.name_servers, protection::dns),
        }
    }

    /// The names of a kind that are wanted.
    fn wanted_names(&self, kind: AssetKind) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.wanted.range((kind, "")..).take_while(move |((k, _), _)| *k == kind).map(|((_, name), _)| *name)
    }

    fn regional<T: Look + 'a>(
        &mut self,
        kind: AssetKind,
        pick: fn(&Region) -> &Listing<T>,
        protect: impl Fn(&str, [&Side<'a, T>; 2]) -> Derived,
    ) {
        let listings = self.facts.regions().map(|region| (region, pick(region)));
        let found = listings.iter().filter_map(|(_, l)| l.value()).flat_map(|l| l.keys().map(String::as_str));
        let names: BTreeSet<&'a str> = found.chain(self.wanted_names(kind)).collect();
        for name in names {
            let sides = listings.map(|(_, listing)| Side::of(listing, name));
            let derived = protect(name, [&sides[0], &sides[1]]);
            let mut item = self.item(kind, name, derived);
            let mut sizes: BTreeSet<String> = BTreeSet::new();
            for ((region, listing), side) in listings.iter().zip(&sides) {
                let place = Place::Region(region.name.clone());
                let count = match side {
                    Side::There(asset) => {
                        let seen = asset.look(region.name.as_str());
                        sizes.extend(seen.sizes);
                        item.evidence.extend(seen.evidence);
                        seen.count
                    }
                    Side::Absent => Count::NONE,
                    Side::NotObserved(why) => Count::NotObserved { why: (*why).to_owned() },
                };
                if !matches!(side, Side::There(_)) {
                    item.evidence.push(look::absence(kind, region.name.as_str(), listing));
                }
                item.found.push(Found { place, count });
            }
            item.size = (!sizes.is_empty()).then(|| sizes.into_iter().collect::<Vec<_>>().join(" / "));
            self.items.push(item);
        }
    }

    fn of_site<T: Look + 'a>(
        &mut self,
        kind: AssetKind,
        listing: &'a Listing<T>,
        places: impl Fn(&'a T) -> &'a crate::facts::Fact<Vec<Place>>,
        protect: fn(&Facts, &[Place]) -> Derived,
    ) {
        let found = listing.value().into_iter().flat_map(|l| l.keys().map(String::as_str));
        let names: BTreeSet<&'a str> = found.chain(self.wanted_names(kind)).collect();
        for name in names {
            let Side::There(asset) = Side::of(listing, name) else {
                let derived = protection::unknown("it was not found");
                let mut item = self.item(kind, name, derived);
                item.evidence.push(look::absence(kind, self.facts.site.as_str(), listing));
                self.items.push(item);
                continue;
            };
            let kept = places(asset);
            let derived = match kept.value() {
                Some(places) => protect(self.facts, places),
                None => protection::unknown("where it is was not observed"),
            };
            let mut item = self.item(kind, name, derived);
            let seen = asset.look(name);
            item.evidence.push(Evidence::of("places", kept));
            item.evidence.extend(seen.evidence);
            for place in kept.value().into_iter().flatten() {
                item.found.push(Found { place: place.clone(), count: seen.count.clone() });
            }
            self.items.push(item);
        }
    }

    fn item(&self, kind: AssetKind, name: &str, derived: Derived) -> Item {
        let wanted = self.wanted.get(&(kind, name));
        Item {
            kind,
            name: name.to_owned(),
            purpose: wanted.map(|w| w.purpose.clone()).unwrap_or_default(),
            size: None,
            wanted_size: wanted.and_then(|w| w.size.clone()),
            wanted: wanted.and_then(|w| w.quantity),
            found: Vec::new(),
            protection: derived.protection,
            why: derived.why,
            evidence: Vec::new(),
        }
    }
}

impl Item {
    /// Whether as many are well as are wanted; none if no number is said or that was not seen everywhere.
    #[must_use]
    pub fn as_wanted(&self) -> Option<bool> {
        let counts: Option<Vec<u32>> = self.found.iter().map(|f| f.count.well()).collect();
        let counts = counts.filter(|counts| !counts.is_empty())?;
        match self.wanted? {
            Quantity::Total(total) => Some(counts.iter().sum::<u32>() >= total),
            Quantity::PerRegion(each) => Some(counts.len() >= 2 && counts.iter().all(|count| *count >= each)),
        }
    }
}
