//! Resources as assets: which of them are one asset, and which asset of one region is the same as one of the other.
//!
//! Code has no word for "the same asset in the other region", so names are compared without what only says where they
//! are: `web_east` and `web-dr` are both `web`. Where names do not tell, the listing is not observed: to call an asset
//! "in one region only" because its twin has another name would be a guess.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bascule_core::asset::AssetKind;
use bascule_core::facts::Source;
use bascule_core::id::RegionName;

use super::link::Links;
use super::{label, source};
use crate::terraform::{Facts, GLOBAL, Known, Resource};

/// Resources that are one asset in one region, the one that stands for it first.
pub(super) struct Group<'a> {
    /// Never empty; by their index in what is declared.
    resources: Vec<(usize, &'a Resource)>,
}

impl<'a> Group<'a> {
    /// The one that stands for the asset.
    pub fn first(&self) -> &'a Resource {
        self.resources[0].1
    }

    pub fn all(&self) -> impl Iterator<Item = &'a Resource> + '_ {
        self.resources.iter().map(|(_, resource)| *resource)
    }

    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.resources.iter().map(|(at, _)| *at)
    }
}

/// The assets of a kind.
pub(super) enum Groups<'a> {
    /// What there is can't be told.
    Hidden { why: String, from: Source },
    /// Home and away, each asset under the name that both sides share.
    Seen {
        sides: [BTreeMap<String, Group<'a>>; 2],
        /// The side and the name of each, by its resources' indices.
        places: HashMap<usize, (usize, String)>,
        /// Where none was found.
        from: Source,
    },
}

impl<'a> Groups<'a> {
    pub fn hidden(why: impl Into<String>, from: Source) -> Self {
        Groups::Hidden { why: why.into(), from }
    }

    /// All assets of a kind in these two regions.
    pub fn of(links: &Links<'a>, kind: AssetKind, regions: &[RegionName; 2]) -> Self {
        let mut raw: [BTreeMap<Key<'a>, Group<'a>>; 2] = [BTreeMap::new(), BTreeMap::new()];
        for (at, resource) in links.declared.resources.iter().enumerate() {
            if resource.kind != Some(kind) || is_part(&resource.facts) {
                continue;
            }
            let region = match &resource.region {
                Known::Is(region) => region,
                Known::Unknown { why } => {
                    let why = format!("where {} is, is unknown: {why}", resource.address);
                    return Groups::hidden(why, source(&resource.place));
                }
            };
            // A zone or a third region is neither side.
            let Some(side) = regions.iter().position(|name| name.as_str() == region || region == GLOBAL)
            else {
                continue;
            };
            let parent = parent(links, resource);
            let (key_at, of) = parent.map_or((at, resource), |at| (at, &links.declared.resources[at]));
            let key = Key { root: &of.root, label: label(of) };
            let group = raw[side].entry(key).or_insert_with(|| Group { resources: Vec::new() });
            match key_at == at {
                true => group.resources.insert(0, (at, resource)),
                false => group.resources.push((at, resource)),
            }
        }
        let from =
            links.declared.resources.first().map_or(Source::Nowhere, |resource| source(&resource.place));
        let [home, away] = named(raw, kind, regions);
        let only = |these: &BTreeMap<String, Group<'a>>, those: &BTreeMap<String, Group<'a>>| {
            these.keys().filter(|name| !those.contains_key(*name)).cloned().collect::<Vec<_>>()
        };
        let (here, there) = (only(&home, &away), only(&away, &home));
        let mut away = away;
        match (&here[..], &there[..], links.hidden()) {
            ([], [], _) => {}
            // What is left on each side is the same asset if it is one on each.
            ([here], [there], _) => {
                if let Some(group) = away.remove(there) {
                    away.insert(here.clone(), group);
                }
            }
            (_, _, Some(why)) => return Groups::hidden(why, first_module(links)),
            ([], _, None) | (_, [], None) => {}
            ([here, ..], [there, ..], None) => {
                let [home_name, away_name] = regions;
                let what = kind.as_str().replace('_', " ");
                let why = format!(
                    "which {what} of {away_name} stands for which of {home_name} can't be told from their names \
                     ({here} and {there}, for example)"
                );
                let from = home.get(here).map_or(from.clone(), |group| source(&group.first().place));
                return Groups::hidden(why, from);
            }
        }
        if let (true, true, Some(why)) = (home.is_empty(), away.is_empty(), links.hidden()) {
            return Groups::hidden(why, first_module(links));
        }
        let sides = [home, away];
        let mut places = HashMap::new();
        for (side, groups) in sides.iter().enumerate() {
            for (name, group) in groups {
                places.extend(group.indices().map(|at| (at, (side, name.clone()))));
            }
        }
        Groups::Seen { sides, places, from }
    }

    /// The side and the name of the asset that a resource is, or is part of.
    pub fn place(&self, index: usize) -> Option<(usize, &str)> {
        match self {
            Groups::Seen { places, .. } => places.get(&index).map(|(side, name)| (*side, name.as_str())),
            Groups::Hidden { .. } => None,
        }
    }

    /// The asset of that name on the other side.
    pub fn of_other(&self, side: usize, name: &str) -> Option<&Group<'a>> {
        match self {
            Groups::Seen { sides, .. } => sides[1 - side].get(name),
            Groups::Hidden { .. } => None,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Group<'a>> {
        let sides = match self {
            Groups::Seen { sides, .. } => Some(sides),
            Groups::Hidden { .. } => None,
        };
        sides.into_iter().flatten().flat_map(BTreeMap::values)
    }
}

fn first_module(links: &Links<'_>) -> Source {
    links.declared.modules.first().map_or(Source::Nowhere, |module| source(&module.place))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    root: &'a str,
    label: &'a str,
}

/// What belongs to an asset and is none by itself.
fn is_part(facts: &Facts) -> bool {
    matches!(
        facts,
        Facts::LaunchTemplate { .. }
            | Facts::TargetGroup { .. }
            | Facts::TargetAttachment { .. }
            | Facts::Listener { .. }
            | Facts::GlobalDatabase { .. }
            | Facts::SubnetGroup { .. }
            | Facts::BucketVersioning { .. }
            | Facts::BucketReplication { .. }
            | Facts::BucketEncryption { .. }
            | Facts::BucketPublicAccess { .. }
    )
}

/// The asset that a node group or a member belongs to.
fn parent(links: &Links<'_>, resource: &Resource) -> Option<usize> {
    match &resource.facts {
        Facts::NodeGroup { cluster, .. } | Facts::DatabaseMember { cluster, .. } => {
            links.follow(resource, cluster)
        }
        _ => None,
    }
}

/// Each group under its name without what says where it is; with its whole name where that is no longer unique.
fn named<'a>(
    raw: [BTreeMap<Key<'a>, Group<'a>>; 2],
    kind: AssetKind,
    regions: &[RegionName; 2],
) -> [BTreeMap<String, Group<'a>>; 2] {
    let roots: BTreeSet<&str> = raw.iter().flat_map(BTreeMap::keys).map(|key| key.root).collect();
    let forms = |key: &Key<'_>| {
        let words = words(key.label);
        let short = without_place(&words, regions);
        let whole = words.join("-");
        let rooted = if roots.len() > 1 { format!("{}:{whole}", key.root) } else { whole.clone() };
        let short = if short.is_empty() { kind.as_str().replace('_', "-") } else { short.join("-") };
        [short, whole, rooted]
    };
    let mut twice: BTreeSet<String> = BTreeSet::new();
    for form in 0..2 {
        for side in &raw {
            let mut seen = BTreeSet::new();
            for key in side.keys() {
                let name = forms(key)[form].clone();
                if !seen.insert(name.clone()) {
                    twice.insert(name);
                }
            }
        }
    }
    raw.map(|side| {
        let mut found = BTreeMap::new();
        for (key, group) in side {
            let forms = forms(&key);
            let free = |name: &&String| !twice.contains(*name) && !found.contains_key(*name);
            let name = forms.iter().find(free).unwrap_or(&forms[2]).clone();
            found.insert(name, group);
        }
        found
    })
}

/// The words of an address that name something: neither types nor `module`.
fn words(label: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut parts = label.split('.').peekable();
    while let Some(part) = parts.next() {
        let is_type = parts.peek().is_some()
            && (part == "module" || part.contains('_') && !words_of_module(&words, part));
        if !is_type {
            words.extend(
                part.split(|c: char| !c.is_ascii_alphanumeric())
                    .filter(|w| !w.is_empty())
                    .map(str::to_ascii_lowercase),
            );
        }
    }
    words
}

/// A module's name may have an underscore too: a type begins with its provider's name, which is known.
fn words_of_module(_: &[String], part: &str) -> bool {
    !["aws_", "helm_", "github_", "google_", "azurerm_", "kubernetes_"].iter().any(|p| part.starts_with(p))
}

fn without_place(words: &[String], regions: &[RegionName; 2]) -> Vec<String> {
    const ROLES: &[&str] = &[
        "primary",
        "secondary",
        "main",
        "standby",
        "active",
        "passive",
        "home",
        "away",
        "dr",
        "replica",
        "failover",
        "region",
        "this",
        "source",
        "destination",
        "a",
        "b",
    ];
    let mut places: BTreeSet<String> = ROLES.iter().map(|word| (*word).to_owned()).collect();
    for region in regions {
        let parts: Vec<&str> = region.as_str().split('-').collect();
        places.insert(parts.concat());
        // `use2` for us-east-2.
        let letters: String =
            parts.iter().map(|part| if part.len() > 2 { &part[..1] } else { part }).collect();
        places.insert(letters);
        places.extend(parts.iter().map(|part| (*part).to_owned()));
        for pair in parts.windows(2) {
            places.insert(pair.concat());
        }
    }
    words.iter().filter(|word| !places.contains(*word)).cloned().collect()
}
