//! What is to be done before a move, and is not done yet: the written pre-steps that were not seen done, and what
//! the checks found. A check's message is left out: it may hold a number that changes with each look.

use std::collections::BTreeMap;

use super::document::Sheet;
use crate::asset::{AssetKind, Protection, Quantity};
use crate::check::{Answer, Category, Checked, Code, by_code};
use crate::document::{Intent, WrittenStep};
use crate::facts::Paper;
use crate::inventory::Item;

/// What steps are held against.
struct Seen {
    kinds: BTreeMap<AssetKind, Together>,
    answers: BTreeMap<Code, Answer>,
}

/// In the order of the document, then of the codes.
pub(super) fn open(sheet: &Sheet<'_>) -> Vec<String> {
    let seen = Seen { kinds: together(sheet.items), answers: by_code(sheet.checked) };
    let mut open: Vec<String> = Vec::new();
    if let Some(Paper::Written(document)) = sheet.facts.paper.value() {
        let steps = document.plans.iter().flat_map(|plan| &plan.pre_steps);
        let theirs = steps.filter(|step| !ours(&step.text) && !seen_done(step, &seen));
        open.extend(theirs.map(|step| step.text.clone()));
    }
    open.extend(sheet.checked.iter().filter_map(to_do));
    open
}

/// What stands before a check that has no answer.
pub(super) const UNKNOWN: &str = ": find out whether ";
/// What is written where nothing is open.
pub(super) const NOTHING: &str = "Nothing is left to do.";

/// Whether a step came from here: a written document that is read again says nothing of its own by it.
fn ours(text: &str) -> bool {
    let code = text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once('(')).map(|(_, code)| code);
    text.trim() == NOTHING || code.is_some_and(|code| Code::ALL.iter().any(|known| known.as_str() == code))
}

fn to_do(one: &Checked) -> Option<String> {
    // the steps below come from the planner: what the old document lacked is no pre-step
    if one.code.category() == Category::Plan && one.code != Code::ControlSurvives && !promises(one.code) {
        return None;
    }
    let (name, subject) = (one.code.as_str(), &one.subject);
    match one.answer {
        Answer::Holds => None,
        Answer::Unknown => Some(format!("{subject}{UNKNOWN}{} ({name})", one.code.title())),
        Answer::Fails => Some(format!("{subject}: {} ({name})", one.remedy.trim_end_matches('.'))),
    }
}

fn promises(code: Code) -> bool {
    matches!(code, Code::Owner | Code::LossObjective | Code::TimeObjective)
}

/// Whether everything that a step asks for was seen. A tick in the document is what somebody claims, and counts
/// only for what can't be looked at.
fn seen_done(step: &WrittenStep, seen: &Seen) -> bool {
    let ticked = step.done == Some(true);
    let done = |intent: &Intent| match intent {
        Intent::Scale { kind, to } => scaled(&seen.kinds, *kind, *to),
        Intent::Deploy { kind } => deployed(&seen.kinds, *kind),
        Intent::NameForDatabase => seen.answers.get(&Code::ReachedByName) == Some(&Answer::Holds),
        Intent::AutomaticFailover => seen.answers.get(&Code::AutomaticFailover) == Some(&Answer::Holds),
        Intent::MoveNames
        | Intent::PromoteDatabase
        | Intent::Fence
        | Intent::HoldWrites
        | Intent::Verify
        | Intent::Failback
        | Intent::Restore
        | Intent::Notify => ticked,
    };
    if step.intents.is_empty() { ticked } else { step.intents.iter().all(done) }
}

/// What the inventory says of all assets of a kind together: counted once, however many steps ask.
struct Together {
    /// The fewest of one of them in a region that has it; none while one was not counted everywhere.
    fewest: Option<u32>,
    /// Whether each is protected.
    protected: bool,
}

fn together(items: &[Item]) -> BTreeMap<AssetKind, Together> {
    let mut kinds: BTreeMap<AssetKind, Together> = BTreeMap::new();
    for item in items {
        let counts: Option<Vec<u32>> = item.found.iter().map(|f| f.count.total()).collect();
        // "three nodes" is said of a cluster, and so of each region that has one
        let fewest = counts.map(|all| all.into_iter().filter(|count| *count > 0).min().unwrap_or(0));
        let protected = match item.protection {
            Protection::OneRegionOnly | Protection::Unknown => false,
            Protection::Deployed
            | Protection::Replicated
            | Protection::Copied
            | Protection::StoredElsewhere
            | Protection::RebuiltOnDemand
            | Protection::ProviderManaged => true,
        };
        match kinds.get_mut(&item.kind) {
            Some(kind) => {
                kind.fewest = kind.fewest.zip(fewest).map(|(a, b)| a.min(b));
                kind.protected &= protected;
            }
            None => {
                kinds.insert(item.kind, Together { fewest, protected });
            }
        }
    }
    kinds
}

fn scaled(kinds: &BTreeMap<AssetKind, Together>, kind: AssetKind, to: Quantity) -> bool {
    let wanted = match to {
        Quantity::Total(count) | Quantity::PerRegion(count) => count,
    };
    kinds.get(&kind).and_then(|k| k.fewest).is_some_and(|fewest| fewest >= wanted)
}

fn deployed(kinds: &BTreeMap<AssetKind, Together>, kind: Option<AssetKind>) -> bool {
    match kind {
        Some(kind) => kinds.get(&kind).is_some_and(|k| k.protected),
        None => !kinds.is_empty() && kinds.values().all(|k| k.protected),
    }
}
