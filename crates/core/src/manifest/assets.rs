//! What a site may have besides what a move needs: monitoring, the repository, object storage, key pairs.
//!
//! Invariant: a section that is left out says nothing. That a site has no such asset is said in `[site]`, by kind, and
//! never of a kind that is described. Nothing here is needed to move a site. Secrets stand in files, as everywhere; an access key's id is no secret, and may stand in the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use toml::Spanned;

use super::error::ErrorCode;
use super::reader::{Keys, Reader, Section};
use super::url::{self, HttpUrl};
use super::value::{self, quoted};
use crate::asset::AssetKind;
use crate::facts::Place;
use crate::id::RegionName;

pub(super) const MONITORING: Keys =
    &[("name", "\"prometheus\""), ("url", "\"http://10.77.1.60:9090\""), ("place", "\"us-east-2\"")];
pub(super) const REPOSITORY: Keys = &[
    ("name", "\"infrastructure\""),
    ("url", "\"git://10.77.3.80/site.git\""),
    ("place", "\"a third site\""),
    ("manifest", "\"bascule.toml\""),
];
pub(super) const OBJECT_STORAGE: Keys = &[
    ("name", "\"events-backups-us-east-2\""),
    ("endpoint", "\"http://10.77.1.70:8333\""),
    ("access_key", "\"bascule\""),
    ("access_key_file", "\"secrets/access-key\""),
    ("secret_key_file", "\"secrets/storage\""),
    ("replicated_to", "\"events-backups-us-west-1\""),
];
pub(super) const KEY_PAIR: Keys = &[
    ("name", "\"deploy\""),
    ("public_key_file", "\"keys/deploy.pub\""),
    ("authorized_keys", "[\"/home/deploy/.ssh/authorized_keys\"]"),
];

/// Something that watches the site, and can be asked as Prometheus is: one of those that do it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Monitoring {
    /// The name that all of them have.
    pub name: String,
    /// Where Prometheus's HTTP API answers.
    pub url: HttpUrl,
    /// Where it runs; none if nobody says.
    pub place: Option<Place>,
}

/// One copy of a repository of the code that creates the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// The repository's name: its copies have the same.
    pub name: String,
    /// How git asks for this copy.
    pub url: String,
    /// Where this copy is kept.
    pub place: Place,
    /// The path of this very manifest in it, if it is there.
    pub manifest: Option<String>,
}

/// A bucket, by the S3 protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectStorage {
    /// The bucket's name.
    pub name: String,
    /// Where the storage answers.
    pub endpoint: HttpUrl,
    /// Whose requests are signed.
    pub access_key: AccessKey,
    /// The file with the secret that signs them.
    pub secret_key_file: PathBuf,
    /// The bucket of the other region that its objects are replicated to.
    pub replicated_to: Option<String>,
}

/// An access key's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKey {
    /// The id itself.
    Id(String),
    /// The file that holds it.
    File(PathBuf),
}

/// An SSH key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPair {
    /// Its name.
    pub name: String,
    /// Where its public half is read.
    pub public: PublicHalf,
}

/// Where a key pair's public half is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicHalf {
    /// A file with that one key.
    File(PathBuf),
    /// The hosts' lists of who may log in: in each of them the key whose comment is the pair's name.
    AuthorizedKeys(Vec<PathBuf>),
}

/// The kinds that a site can be without: what else there is, a move needs.
const OPTIONAL: [AssetKind; 5] = [
    AssetKind::Kubernetes,
    AssetKind::ObjectStorage,
    AssetKind::KeyPair,
    AssetKind::Monitoring,
    AssetKind::Repository,
];

/// What the rules ask of the assets.
#[derive(Default)]
pub(super) struct AssetFacts {
    /// The buckets of each region, by the region's name as it is written.
    pub buckets: BTreeMap<String, Vec<Spanned<String>>>,
    /// Where each region's buckets are said to be replicated to.
    pub replicated_to: Vec<(String, Spanned<String>)>,
    /// The key pairs of each region.
    pub key_pairs: BTreeMap<String, Vec<Spanned<String>>>,
    /// The secrets of each region.
    pub secrets: BTreeMap<String, Vec<Spanned<String>>>,
    /// The URLs of what watches.
    pub monitoring: Vec<Spanned<String>>,
    /// The URLs of the repositories' copies.
    pub repositories: Vec<Spanned<String>>,
    /// The kinds that the site is said to be without.
    pub without: Vec<Spanned<AssetKind>>,
}

/// The kinds that the site is said to be without; empty if nothing is said.
pub(super) fn without<'t>(r: &mut Reader, site: &Section<'t>) -> Option<BTreeSet<AssetKind>> {
    if !site.has("without") {
        return Some(BTreeSet::new());
    }
    let kind = |r: &mut Reader, f: &_| value::choice(r, f, &OPTIONAL, AssetKind::as_str);
    r.facts.assets.without = r.read_list(site, "without", kind)?;
    Some(r.facts.assets.without.iter().map(|kind| *kind.get_ref()).collect())
}

/// What watches the site. The outer `None` is a mistake.
pub(super) fn monitoring<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Vec<Monitoring>> {
    optional_list(r, root, "monitoring", MONITORING, |r, s| {
        let name = r.read(s, "name", value::identifier);
        let url = r.read(s, "url", url::service);
        let place = r.read_optional(s, "place", value::line);
        let place_of_url = url.as_ref().map(|url| Spanned::new(url.span(), url.get_ref().to_string()));
        r.facts.assets.monitoring.extend(place_of_url);
        Some(Monitoring {
            name: name?.into_inner(),
            url: url?.into_inner(),
            place: place?.map(|place| self::place(place.into_inner())),
        })
    })
}

/// The copies of the repositories. The outer `None` is a mistake.
pub(super) fn repositories<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Vec<Repository>> {
    optional_list(r, root, "repository", REPOSITORY, |r, s| {
        let name = r.read(s, "name", value::identifier);
        let url = r.read(s, "url", url::git_url);
        let place = r.read(s, "place", value::line);
        let manifest = r.read_optional(s, "manifest", value::inner_path);
        r.facts.assets.repositories.extend(url.clone());
        Some(Repository {
            name: name?.into_inner(),
            url: url?.into_inner(),
            place: self::place(place?.into_inner()),
            manifest: manifest?.map(Spanned::into_inner),
        })
    })
}

/// A region's buckets. The outer `None` is a mistake.
pub(super) fn object_storage<'t>(
    r: &mut Reader,
    region: &Section<'t>,
    name: &str,
) -> Option<Vec<ObjectStorage>> {
    optional_list(r, region, "object_storage", OBJECT_STORAGE, |r, s| {
        let bucket = r.read(s, "name", value::bucket);
        let endpoint = r.read(s, "endpoint", url::service);
        let key = access_key(r, s);
        let secret_key_file = r.read(s, "secret_key_file", value::path);
        let replicated_to = r.read_optional(s, "replicated_to", value::bucket);
        let facts = &mut r.facts.assets;
        facts.buckets.entry(name.to_owned()).or_default().extend(bucket.clone());
        facts.replicated_to.extend(replicated_to.clone().flatten().map(|to| (name.to_owned(), to)));
        Some(ObjectStorage {
            name: bucket?.into_inner(),
            endpoint: endpoint?.into_inner(),
            access_key: key?,
            secret_key_file: secret_key_file?.into_inner(),
            replicated_to: replicated_to?.map(Spanned::into_inner),
        })
    })
}

/// A region's key pairs. The outer `None` is a mistake.
pub(super) fn key_pairs<'t>(r: &mut Reader, region: &Section<'t>, name: &str) -> Option<Vec<KeyPair>> {
    optional_list(r, region, "key_pairs", KEY_PAIR, |r, s| {
        let pair = r.read(s, "name", value::identifier);
        let public = public_half(r, s);
        r.facts.assets.key_pairs.entry(name.to_owned()).or_default().extend(pair.clone());
        Some(KeyPair { name: pair?.into_inner(), public: public? })
    })
}

fn access_key<'t>(r: &mut Reader, s: &Section<'t>) -> Option<AccessKey> {
    match one_of(r, s, "access_key", "access_key_file")? {
        Which::First => Some(AccessKey::Id(r.read(s, "access_key", value::identifier)?.into_inner())),
        Which::Second => Some(AccessKey::File(r.read(s, "access_key_file", value::path)?.into_inner())),
    }
}

fn public_half<'t>(r: &mut Reader, s: &Section<'t>) -> Option<PublicHalf> {
    match one_of(r, s, "public_key_file", "authorized_keys")? {
        Which::First => Some(PublicHalf::File(r.read(s, "public_key_file", value::path)?.into_inner())),
        Which::Second => {
            let files = r.read_list(s, "authorized_keys", value::path)?;
            Some(PublicHalf::AuthorizedKeys(files.into_iter().map(Spanned::into_inner).collect()))
        }
    }
}

enum Which {
    First,
    Second,
}

/// Which of two keys is there; neither and both are mistakes. Neither is said of the first.
fn one_of(r: &mut Reader, s: &Section<'_>, first: &'static str, second: &'static str) -> Option<Which> {
    match (s.has(first), s.has(second)) {
        (true, false) => Some(Which::First),
        (false, true) => Some(Which::Second),
        (false, false) => {
            r.field(s, first);
            None
        }
        (true, true) => {
            let field = r.field(s, second)?;
            let message = format!("`{}` stands beside `{first}`, which says the same", field.path);
            let help = format!("keep one of {first} and {second}");
            r.error(ErrorCode::TwoForOne, &field.span, message, "one too many", help);
            None
        }
    }
}

/// A list of sections that may be left out: then it is empty. The outer `None` is a mistake.
pub(super) fn optional_list<'t, T>(
    r: &mut Reader,
    parent: &Section<'t>,
    key: &'static str,
    keys: Keys,
    read: impl Fn(&mut Reader, &Section<'t>) -> Option<T>,
) -> Option<Vec<T>> {
    if !parent.has(key) {
        return Some(Vec::new());
    }
    let sections = r.sections(parent, key, keys);
    let empty = sections.is_empty();
    let found: Vec<_> = sections.iter().map(|s| read(r, s)).collect();
    found.into_iter().collect::<Option<Vec<_>>>().filter(|_| !empty)
}

/// What can be a region's name is one, of this site or another; all else is a place of another kind.
fn place(text: String) -> Place {
    text.parse::<RegionName>().map_or_else(|_| Place::Elsewhere(text), Place::Region)
}

/// What a site is said to be without is not described.
fn contradictions(r: &mut Reader, facts: &AssetFacts) {
    let of_regions = |named: &BTreeMap<String, Vec<Spanned<String>>>| {
        named.values().flatten().map(Spanned::span).min_by_key(|span| span.start)
    };
    for kind in &facts.without {
        let described = match kind.get_ref() {
            AssetKind::ObjectStorage => of_regions(&facts.buckets),
            AssetKind::KeyPair => of_regions(&facts.key_pairs),
            AssetKind::Monitoring => facts.monitoring.first().map(Spanned::span),
            AssetKind::Repository => facts.repositories.first().map(Spanned::span),
            AssetKind::Kubernetes
            | AssetKind::Compute
            | AssetKind::LoadBalancer
            | AssetKind::Database
            | AssetKind::Dns => None,
        };
        let Some(place) = described else { continue };
        let name = quoted(kind.get_ref().as_str());
        let message = format!("the site is said to be without {name}, and one is described");
        let help = format!("take {name} out of `without`, or delete the section");
        r.error(ErrorCode::Contradiction, &kind.span(), message, "said not to be there", help);
        r.note(place, "described here");
    }
}

/// Replication goes into a bucket of the other region that the manifest has.
pub(super) fn check(r: &mut Reader, facts: &AssetFacts) {
    contradictions(r, facts);
    for (region, to) in &facts.replicated_to {
        let others = facts.buckets.iter().filter(|(name, _)| *name != region);
        let known: Vec<_> = others.flat_map(|(_, buckets)| buckets).map(|b| b.get_ref().as_str()).collect();
        if known.contains(&to.get_ref().as_str()) {
            continue;
        }
        let help = match known.first() {
            Some(bucket) => format!("write, for example: replicated_to = {}", quoted(bucket)),
            None => "describe that bucket too, in [[regions.NAME.object_storage]]".to_owned(),
        };
        let message = format!("{} is no bucket of the other region in this manifest", quoted(to.get_ref()));
        r.error(ErrorCode::UnknownBucket, &to.span(), message, "no such bucket there", help);
    }
}
