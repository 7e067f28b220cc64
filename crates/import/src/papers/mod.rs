//! Papers as facts: what a document and Terraform's papers say, in the model that checks and the inventory ask.
//!
//! Invariant: each fact names the file and line it is from. What papers can't show (whether something runs, lags, or
//! answers) and what they hide (a module, a variable without a value) is not observed, with the reason: no check fails
//! because of it. A document's table is what somebody claims: it says what is wanted, and nothing of what there is.
//! Left out: addresses, secrets' contents, quotas, and security rules.

mod compute;
mod control;
mod database;
mod group;
mod link;
mod names;
mod promise;
mod regions;
mod storage;
mod wanted;

use std::collections::BTreeMap;

use bascule_core::asset::AssetKind;
use bascule_core::facts::{Fact, Facts, Listing, Network, Paper, Region, Source};
use bascule_core::id::RegionName;
use bascule_core::time::Timestamp;

use crate::markdown::Imported;
use crate::terraform::{Declared, Known, Place, Resource};
use group::{Group, Groups};
use link::Links;

/// The papers of one site.
#[derive(Debug, Clone, Copy)]
pub struct Papers<'a> {
    /// The document, after the name of its file.
    pub document: Option<(&'a str, &'a Imported)>,
    /// What code, states and plans declare.
    pub declared: Option<&'a Declared>,
    /// When they were read.
    pub at: Timestamp,
}

/// What the papers say, as facts. Total: what they do not say is not observed.
///
/// The first zone of the document is the region that is lost, and of several others the one that its steps move to is
/// the other region. Where papers name fewer than two, the missing ones are called `region-a` and `region-b`.
#[must_use]
pub fn facts(papers: &Papers<'_>) -> Facts {
    let names = regions::regions(papers);
    let coded = papers.declared.map(Declared::regions).unwrap_or_default();
    let coded = [0, 1].map(|side: usize| coded.contains(&names[side].as_str()));
    let reader = Reader { papers: *papers, links: papers.declared.map(Links::new), names, coded };
    let [home, away] = reader.regions();
    Facts {
        site: "site".parse().expect("a label"),
        promise: promise::promise(papers),
        wanted: wanted::wanted(papers, [&home, &away]),
        paper: reader.paper(),
        dns: names::dns(&reader),
        name_servers: Fact::not_observed("papers do not show where names are answered", Source::Nowhere),
        monitoring: control::monitoring(&reader),
        repository: control::repository(&reader),
        control: control::control(&reader),
        home,
        away,
    }
}

/// What everything is read with.
struct Reader<'a> {
    papers: Papers<'a>,
    /// None without code.
    links: Option<Links<'a>>,
    names: [RegionName; 2],
    /// Whether the code makes anything in the region at all.
    coded: [bool; 2],
}

impl<'a> Reader<'a> {
    fn paper(&self) -> Fact<Paper> {
        match self.papers.document {
            Some((file, imported)) => {
                let document = regions::renamed(&imported.document);
                let from = Source::Line { file: file.to_owned(), line: 0 };
                Fact::seen(Paper::Written(document), self.papers.at, from)
            }
            None => Fact::not_observed("no document is among the papers", Source::Nowhere),
        }
    }

    fn regions(&self) -> [Region; 2] {
        let groups = |kind| match &self.links {
            Some(links) => Groups::of(links, kind, &self.names),
            None => Groups::hidden("no code is among the papers", Source::Nowhere),
        };
        let [compute, kubernetes, balancers, databases, buckets, keys] = [
            AssetKind::Compute,
            AssetKind::Kubernetes,
            AssetKind::LoadBalancer,
            AssetKind::Database,
            AssetKind::ObjectStorage,
            AssetKind::KeyPair,
        ]
        .map(groups);
        let fingerprints = storage::Fingerprints::of(&keys);
        [0, 1].map(|side| {
            let name = &self.names[side];
            let nobody = "papers do not show it";
            Region {
                name: name.clone(),
                compute: self.listing(&compute, side, |_, group| compute::instances(self, group)),
                kubernetes: self.listing(&kubernetes, side, |_, group| compute::cluster(self, group)),
                load_balancer: self.listing(&balancers, side, |_, group| compute::balancer(self, group)),
                database: self.listing(&databases, side, |name, group| {
                    database::database(self, group, side, databases.of_other(side, name))
                }),
                object_storage: self
                    .listing(&buckets, side, |_, group| storage::bucket(self, group, side, &buckets)),
                key_pair: self.listing(&keys, side, |_, group| storage::key_pair(self, group, fingerprints)),
                network: Network {
                    ranges: compute::ranges(self, name),
                    rules: Fact::not_observed("security rules are not compared on papers", Source::Nowhere),
                    quotas: Fact::not_observed(nobody, Source::Nowhere),
                },
                secrets: Fact::not_observed("papers do not hold secrets' contents", Source::Nowhere),
                permissions: Fact::not_observed(nobody, Source::Nowhere),
                clock_skew: Fact::not_observed(nobody, Source::Nowhere),
            }
        })
    }

    /// What one region has of a kind.
    fn listing<T>(
        &self,
        groups: &Groups<'a>,
        side: usize,
        make: impl Fn(&str, &Group<'a>) -> T,
    ) -> Listing<T> {
        match groups {
            Groups::Hidden(hidden) => Fact::not_observed(&hidden.why, hidden.from.clone()),
            // A region's code may be in a root that was not handed over.
            Groups::Seen { from, .. } if !self.coded[side] => {
                let why = format!("no code among the papers makes anything in {}", self.names[side]);
                Fact::not_observed(why, from.clone())
            }
            Groups::Seen { sides, from, .. } => {
                let assets: BTreeMap<String, T> =
                    sides[side].iter().map(|(name, group)| (name.clone(), make(name, group))).collect();
                let first = sides[side].values().next().map(|group| source(&group.first().place));
                Fact::seen(assets, self.papers.at, first.unwrap_or_else(|| from.clone()))
            }
        }
    }

    /// A value of the code.
    fn known<T>(&self, place: &Place, value: Known<T>) -> Fact<T> {
        match value {
            Known::Is(value) => Fact::seen(value, self.papers.at, source(place)),
            Known::Unknown { why } => Fact::not_observed(why, source(place)),
        }
    }

    /// A value of the code that may be left to the provider.
    fn may<T>(&self, place: &Place, value: Known<Option<T>>) -> Fact<T> {
        match value {
            Known::Is(Some(value)) => Fact::seen(value, self.papers.at, source(place)),
            Known::Is(None) => Fact::not_observed("the code leaves it to the provider", source(place)),
            Known::Unknown { why } => Fact::not_observed(why, source(place)),
        }
    }

    /// What only a look at the running thing shows.
    fn running<T>(&self, place: &Place) -> Fact<T> {
        Fact::not_observed("papers do not show what runs", source(place))
    }
}

/// A place of the code as a source.
fn source(place: &Place) -> Source {
    Source::Line { file: place.file.clone(), line: place.line }
}

/// A resource's address without the index of its instance, and without the words that say only that it is in a module.
fn label(resource: &Resource) -> &str {
    let address = resource.address.as_str();
    // An index may hold anything, dots too; only the last one is the instance's.
    match address.strip_suffix(']').and_then(|_| address.rfind('[')) {
        Some(at) => &address[..at],
        None => address,
    }
}
