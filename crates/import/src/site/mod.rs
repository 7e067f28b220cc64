//! What a document and code say together: their differences, and a manifest made from both.
//!
//! Invariant: an unknown never counts as agreement or as a difference; it is an entry or a comment of its own.

mod compare;
mod manifest;
mod names;
mod wanted;

pub use compare::{AskedBy, Difference, Entry, compare, render};
pub use manifest::{Written, write};

use std::collections::BTreeMap;

use bascule_core::asset::AssetKind;
use bascule_core::document::Document;
use bascule_core::id::RegionName;

use crate::terraform::{Declared, GLOBAL, Known, Resource, zone_region};

/// The longest name of a region that leaves room for members' names such as `REGION-db12`.
const MAX_REGION: usize = 48;

/// A zone's name as a region, if it can be one: `us-east-2a` is in `us-east-2`.
pub(crate) fn as_region(zone: &str) -> Option<RegionName> {
    let zone = zone.trim().to_ascii_lowercase();
    let region = zone_region(&zone).unwrap_or(&zone);
    region.parse().ok().filter(|region: &RegionName| region.as_str().len() <= MAX_REGION)
}

/// The regions of a document's zones, each once, with the line of the first.
fn written_regions(document: &Document) -> Vec<(RegionName, usize)> {
    let mut found: Vec<(RegionName, usize)> = Vec::new();
    for zone in &document.zones {
        if let Some(region) = as_region(&zone.name)
            && !found.iter().any(|(known, _)| *known == region)
        {
            found.push((region, zone.line));
        }
    }
    found
}

/// How many units of a kind the code makes in each region, and why there may be more.
struct Counted {
    regions: BTreeMap<String, u32>,
    /// The first reason for which a number or a place is unknown.
    unknown: Option<String>,
}

fn counted(declared: &Declared, kind: AssetKind) -> Counted {
    let mut found = Counted { regions: BTreeMap::new(), unknown: None };
    for resource in of_kind(declared, kind) {
        let number = match resource.units() {
            Known::Is(0) => continue,
            Known::Is(number) => number,
            Known::Unknown { why } => {
                found.unknown.get_or_insert_with(|| format!("{}: {why}", resource.address));
                continue;
            }
        };
        let region = match &resource.region {
            Known::Is(region) => region.clone(),
            Known::Unknown { why } => {
                found.unknown.get_or_insert_with(|| format!("{}: {why}", resource.address));
                String::new()
            }
        };
        let sum = found.regions.entry(region).or_default();
        *sum = sum.saturating_add(number);
    }
    found
}

fn of_kind(declared: &Declared, kind: AssetKind) -> impl Iterator<Item = &Resource> {
    declared.resources.iter().filter(move |resource| resource.kind == Some(kind))
}

/// A region for people: what is unknown is called so.
fn region_text(region: &str) -> &str {
    match region {
        "" => "unknown region",
        GLOBAL => "no region of its own",
        region => region,
    }
}
