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
use crate::terraform::{Facts, Known, Resource};

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

/// Why assets can't be told, and the place that hides them.
pub(super) struct Hidden {
    pub why: String,
    pub from: Source,
}

impl Hidden {
    fn new(why: impl Into<String>, from: Source) -> Self {
        Self { why: why.into(), from }
    }
}

/// The assets of one side, by name.
type Assets<'a> = BTreeMap<String, Group<'a>>;

/// The assets of a kind.
pub(super) enum Groups<'a> {
    /// What there is can't be told.
    Hidden(Hidden),
    /// Home and away, each asset under the name that both sides share.
    Seen {
        sides: [Assets<'a>; 2],
        /// The side and the name of each, by its resources' indices.
        places: HashMap<usize, (usize, String)>,
        /// Where none was found.
        from: Source,
    },
}

impl<'a> Groups<'a> {
    pub fn hidden(why: impl Into<String>, from: Source) -> Self {
        Groups::Hidden(Hidden::new(why, from))
    }

    /// All assets of a kind in these two regions.
    pub fn of(links: &Links<'a>, kind: AssetKind, regions: &[RegionName; 2]) -> Self {
        let first = links.declared.resources.first();
        let from = first.map_or(Source::Nowhere, |resource| source(&resource.place));
        let sides = gathered(links, kind, regions).map(|raw| named(raw, kind, regions));
        let sides = sides.and_then(|sides| paired(links, kind, regions, sides));
        let sides = match sides {
            Ok(sides) => sides,
            Err(hidden) => return Groups::Hidden(hidden),
        };
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
            Groups::Hidden(_) => None,
        }
    }

    /// The asset of that name on the other side.
    pub fn of_other(&self, side: usize, name: &str) -> Option<&Group<'a>> {
        match self {
            Groups::Seen { sides, .. } => sides[1 - side].get(name),
            Groups::Hidden(_) => None,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Group<'a>> {
        let sides = match self {
            Groups::Seen { sides, .. } => Some(sides),
            Groups::Hidden(_) => None,
        };
        sides.into_iter().flatten().flat_map(BTreeMap::values)
    }
}

/// The resources of each asset, side by side.
fn gathered<'a>(
    links: &Links<'a>,
    kind: AssetKind,
    regions: &[RegionName; 2],
) -> Result<[BTreeMap<Key<'a>, Group<'a>>; 2], Hidden> {
    let mut raw = [BTreeMap::new(), BTreeMap::new()];
    for (at, resource) in links.declared.resources.iter().enumerate() {
        if resource.kind != Some(kind) || is_part(&resource.facts) {
            continue;
        }
        let region = match &resource.region {
            Known::Is(region) => region,
            Known::Unknown { why } => {
                let why = format!("where {} is, is unknown: {why}", resource.address);
                return Err(Hidden::new(why, source(&resource.place)));
            }
        };
        // A third region is neither side.
        let Some(side) = regions.iter().position(|name| name.as_str() == region) else { continue };
        let of = parent(links, resource).map_or(resource, |at| &links.declared.resources[at]);
        let key = Key { root: &of.root, label: label(of) };
        let group = raw[side].entry(key).or_insert_with(|| Group { resources: Vec::new() });
        match &resource.facts {
            Facts::KubernetesCluster { .. } | Facts::DatabaseCluster { .. } => {
                group.resources.insert(0, (at, resource));
            }
            _ => group.resources.push((at, resource)),
        }
    }
    Ok(raw)
}

/// Both sides' assets, those that are the same under one name; or why that can't be told.
fn paired<'a>(
    links: &Links<'a>,
    kind: AssetKind,
    regions: &[RegionName; 2],
    [home, mut away]: [Assets<'a>; 2],
) -> Result<[Assets<'a>; 2], Hidden> {
    let only = |these: &Assets<'_>, those: &Assets<'_>| {
        these.keys().filter(|name| !those.contains_key(*name)).cloned().collect::<Vec<_>>()
    };
    let (here, there) = (only(&home, &away), only(&away, &home));
    let none = home.is_empty() && away.is_empty();
    match (&here[..], &there[..], links.hidden()) {
        (_, _, Some(why)) if none => return Err(Hidden::new(why, first_module(links))),
        ([], [], _) => {}
        // A region's only asset of a kind is the same as the other's.
        ([here], [there], _) if home.len() == 1 && away.len() == 1 => {
            if let Some(group) = away.remove(there) {
                away.insert(here.clone(), group);
            }
        }
        (_, _, Some(why)) => return Err(Hidden::new(why, first_module(links))),
        ([], _, None) | (_, [], None) => {}
        ([here, ..], [there, ..], None) => {
            let [home_name, away_name] = regions;
            let what = kind.as_str().replace('_', " ");
            let why = format!(
                "which {what} of {away_name} stands for which of {home_name} can't be told from their names ({here} \
                 and {there}, for example)"
            );
            let from = home.get(here).map_or(Source::Nowhere, |group| source(&group.first().place));
            return Err(Hidden::new(why, from));
        }
    }
    Ok([home, away])
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
) -> [Assets<'a>; 2] {
    let roots: BTreeSet<&str> = raw.iter().flat_map(BTreeMap::keys).map(|key| key.root).collect();
    let forms = |key: &Key<'_>| {
        let words = words(key.label);
        let short = without_place(&words, regions);
        let whole = words.join("-");
        let rooted = if roots.len() > 1 { format!("{}:{whole}", key.root) } else { whole.clone() };
        let short = if short.is_empty() { kind.as_str().replace('_', "-") } else { short.join("-") };
        [short, whole, rooted]
    };
    let forms = raw.each_ref().map(|side| side.keys().map(forms).collect::<Vec<_>>());
    let mut twice: BTreeSet<&str> = BTreeSet::new();
    for side in &forms {
        for form in 0..2 {
            let mut seen = BTreeSet::new();
            let names = side.iter().map(|forms| forms[form].as_str());
            twice.extend(names.filter(|name| !seen.insert(*name)));
        }
    }
    let [home, away] = raw;
    [(home, &forms[0]), (away, &forms[1])].map(|(side, forms)| {
        let mut found = BTreeMap::new();
        for (group, forms) in side.into_values().zip(forms) {
            let free = |name: &&String| !twice.contains(name.as_str()) && !found.contains_key(*name);
            let name = forms.iter().find(free).unwrap_or(&forms[2]).clone();
            found.insert(name, group);
        }
        found
    })
}

/// The words of an address that name something: neither `module` nor types, which begin with a provider's name.
fn words(label: &str) -> Vec<String> {
    const PROVIDERS: &[&str] = &["aws_", "helm_", "github_", "google_", "azurerm_", "kubernetes_"];
    let mut words = Vec::new();
    let mut parts = label.split('.').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if last || (part != "module" && !PROVIDERS.iter().any(|provider| part.starts_with(provider))) {
            let own = part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            words.extend(own.map(str::to_ascii_lowercase));
        }
    }
    words
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
