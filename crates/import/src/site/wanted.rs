//! How many of an asset each region is to have, by what the document and the code say.

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, Intent};

use super::counted;
use crate::terraform::Declared;

/// A number, and where it is from.
pub(super) struct Wanted {
    pub number: u32,
    /// Where it is from, for people.
    pub source: String,
    /// Nobody said it.
    pub guess: bool,
}

/// How many a region is to have: what the pre-steps ask for, else what the code makes, else what the table says,
/// else `usual`. A pre-step's "3 nodes" is meant for each region, as a region has to carry the load alone.
pub(super) fn wanted(
    document: Option<&Document>,
    declared: Option<&Declared>,
    kind: AssetKind,
    region: &str,
    usual: u32,
) -> Wanted {
    if let Some((quantity, line)) = document.and_then(|document| pre_step(document, kind)) {
        let source = format!("a pre-step asks for it, line {line}");
        return Wanted { number: each(quantity), source, guess: false };
    }
    if let Some(found) = declared.and_then(|declared| from_code(declared, kind, region)) {
        return found;
    }
    let row = document.and_then(|document| {
        let rows = document.assets.iter().filter(|row| row.kind == Some(kind));
        rows.filter_map(|row| Some((row.quantity?, row.line))).next()
    });
    match row {
        Some((Quantity::PerRegion(number), line)) => {
            Wanted { number, source: format!("the table, line {line}"), guess: false }
        }
        Some((Quantity::Total(number), line)) => {
            let source = format!("the table, line {line}, says {number}, but not in which region");
            Wanted { number, source, guess: true }
        }
        None => Wanted { number: usual, source: "no number was found".to_owned(), guess: true },
    }
}

/// The last pre-step that asks for a number of a kind.
pub(super) fn pre_step(document: &Document, kind: AssetKind) -> Option<(Quantity, usize)> {
    let steps = document.plans.iter().flat_map(|plan| &plan.pre_steps);
    let asked = steps.flat_map(|step| step.intents.iter().map(move |intent| (intent, step.line)));
    asked
        .filter_map(|(intent, line)| match intent {
            Intent::Scale { kind: of, to } if *of == kind => Some((*to, line)),
            Intent::Scale { .. }
            | Intent::MoveNames
            | Intent::PromoteDatabase
            | Intent::Fence
            | Intent::HoldWrites
            | Intent::Verify
            | Intent::Failback
            | Intent::Deploy { .. }
            | Intent::Restore
            | Intent::Notify
            | Intent::AutomaticFailover
            | Intent::NameForDatabase => None,
        })
        .next_back()
}

fn each(quantity: Quantity) -> u32 {
    match quantity {
        Quantity::Total(number) | Quantity::PerRegion(number) => number,
    }
}

fn from_code(declared: &Declared, kind: AssetKind, region: &str) -> Option<Wanted> {
    let counted = counted(declared, kind);
    let doubt = counted.unknown.map(|why| format!("; there may be more ({why})"));
    if let Some(number) = counted.regions.get(region) {
        let source = format!("the code makes so many there{}", doubt.as_deref().unwrap_or_default());
        return Some(Wanted { number: *number, source, guess: doubt.is_some() });
    }
    let (other, number) = counted.regions.iter().max_by_key(|(_, number)| **number)?;
    let source = format!("the code makes none there, but {number} in {}", super::region_text(other));
    Some(Wanted { number: *number, source, guess: true })
}
