//! The inventory for a person at a terminal, and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::escape::plain;
use super::text::seen;
use super::words;
use crate::asset::Protection;
use crate::id::SiteName;
use crate::inventory::{Count, Item};

/// The version of the JSON format. A program may rely on what a version has.
const VERSION: u32 = 1;

/// Each asset with how it is protected, what was found of it, and what that rests on; at last how many are protected
/// how.
#[must_use]
pub fn assets_text(items: &[Item]) -> String {
    let mut out = String::new();
    for item in items {
        let asset = words::asset(item);
        let _ = writeln!(out, "{}: {} ({})", plain(&asset), item.protection.as_str(), plain(&item.why));
        let _ = writeln!(out, "  found: {}", plain(&found(item)));
        let _ = writeln!(out, "  size: {}", plain(&words::size(item)));
        for evidence in &item.evidence {
            let _ = writeln!(out, "    {}", seen(evidence));
        }
    }
    let mut sums: BTreeMap<Protection, usize> = BTreeMap::new();
    for item in items {
        *sums.entry(item.protection).or_default() += 1;
    }
    let sums: Vec<String> =
        sums.into_iter().map(|(how, count)| format!("{count} {}", how.as_str())).collect();
    let of = if sums.is_empty() { String::new() } else { format!(": {}", sums.join(", ")) };
    let _ = writeln!(out, "{} assets{of}", items.len());
    out
}

/// How many in each place, and how many there should be.
fn found(item: &Item) -> String {
    let in_place = |found: &crate::inventory::Found| {
        let why = match &found.count {
            Count::NotObserved { why } => format!(": {why}"),
            Count::Seen { .. } => String::new(),
        };
        format!("{} in {}{why}", words::health(&found.count), found.place)
    };
    let places: Vec<String> = item.found.iter().map(in_place).collect();
    let places = if places.is_empty() { "not observed anywhere".to_owned() } else { places.join("; ") };
    match (item.wanted, item.as_wanted()) {
        (None, _) => places,
        (Some(wanted), Some(true)) => format!("{places}; wanted: {}", words::quantity(wanted)),
        (Some(wanted), Some(false)) => {
            format!("{places}; wanted: {}, and that is not what was found", words::quantity(wanted))
        }
        (Some(wanted), None) => {
            format!("{places}; wanted: {}, and not everything was counted", words::quantity(wanted))
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    site: &'a SiteName,
    assets: &'a [Item],
}

/// Every asset, by kind and name.
#[must_use]
pub fn assets_json(site: &SiteName, items: &[Item]) -> String {
    let report = Report { version: VERSION, site, assets: items };
    serde_json::to_string_pretty(&report).expect("a report has only string keys")
}
