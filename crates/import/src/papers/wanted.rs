//! What the papers say that the site has.

use std::collections::BTreeSet;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::facts::{Listing, Region, Source, Wanted};

use super::Papers;

/// The rows of the document, and what the code has beside them.
///
/// A row seldom has its resource's name. Where a kind has one row and one asset, the row is about that asset.
pub(super) fn wanted(papers: &Papers<'_>, regions: [&Region; 2]) -> Vec<Wanted> {
    let mut found = Vec::new();
    for kind in AssetKind::ALL {
        let coded = coded(*kind, regions);
        let rows = papers.document.into_iter().flat_map(|(file, imported)| {
            imported.document.assets.iter().filter(|row| row.kind == Some(*kind)).map(move |row| (file, row))
        });
        let rows: Vec<_> = rows.collect();
        let names: BTreeSet<&str> = rows.iter().map(|(_, row)| row.name.as_str()).collect();
        let only = match (&names.len(), &coded[..]) {
            (1, [asset]) => Some(asset.0.clone()),
            _ => None,
        };
        found.extend(rows.iter().map(|(file, row)| Wanted {
            kind: *kind,
            name: only.clone().unwrap_or_else(|| row.name.clone()),
            purpose: row.purpose.clone(),
            size: row.size.clone(),
            quantity: row.quantity,
            from: Source::Line { file: (*file).to_owned(), line: row.line },
        }));
        if only.is_none() {
            let unsaid = coded.into_iter().filter(|(name, ..)| !names.contains(name.as_str()));
            found.extend(unsaid.map(|(name, quantity, from)| Wanted {
                kind: *kind,
                name,
                purpose: String::new(),
                size: None,
                quantity,
                from,
            }));
        }
    }
    found
}

type Coded = (String, Option<Quantity>, Source);

/// The assets of a kind that the code has in either region.
fn coded(kind: AssetKind, regions: [&Region; 2]) -> Vec<Coded> {
    match kind {
        AssetKind::Compute => {
            both(regions, |r| &r.compute, |compute| compute.instances.value().map(Vec::len))
        }
        AssetKind::Kubernetes => {
            both(regions, |r| &r.kubernetes, |cluster| cluster.nodes.value().map(Vec::len))
        }
        AssetKind::LoadBalancer => both(regions, |r| &r.load_balancer, |_| Some(1)),
        AssetKind::Database => both(regions, |r| &r.database, |db| db.members.value().map(Vec::len)),
        AssetKind::ObjectStorage => both(regions, |r| &r.object_storage, |_| Some(1)),
        AssetKind::KeyPair => both(regions, |r| &r.key_pair, |_| Some(1)),
        // What belongs to no region is told by a row, or by being there.
        AssetKind::Monitoring | AssetKind::Repository | AssetKind::Dns => Vec::new(),
    }
}

fn both<T>(
    regions: [&Region; 2],
    pick: fn(&Region) -> &Listing<T>,
    count: fn(&T) -> Option<usize>,
) -> Vec<Coded> {
    let [home, away] = regions.map(|region| pick(region).value());
    let names = home.into_iter().chain(away).flat_map(|listing| listing.keys());
    let names: BTreeSet<&String> = names.collect();
    let number = |side: Option<&T>| side.map_or(Some(0), count).and_then(|n| u32::try_from(n).ok());
    let make = |name: &String| {
        let sides = [home, away].map(|listing| listing.and_then(|listing| listing.get(name)));
        let quantity = match (number(sides[0]), number(sides[1])) {
            (Some(left), Some(right)) if left == right => Some(Quantity::PerRegion(left)),
            (Some(left), Some(right)) => Some(Quantity::Total(left.saturating_add(right))),
            (None, _) | (_, None) => None,
        };
        (name.clone(), quantity, pick(regions[0]).from.clone())
    };
    names.into_iter().map(make).collect()
}
