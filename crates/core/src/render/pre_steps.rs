//! What is to be done before a move, and is not done yet: the written pre-steps that were not seen done, and what
//! the checks found. A check's message is left out: it may hold a number that changes with each look.

use std::collections::BTreeMap;

use super::document::Sheet;
use crate::asset::{AssetKind, Protection, Quantity};
use crate::check::{Answer, Category, Checked, Code, by_code};
use crate::document::{Intent, WrittenStep};
use crate::facts::Paper;
use crate::inventory::{Count, Item};

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
        open.extend(theirs.map(with_owner));
    }
    open.extend(sheet.checked.iter().filter_map(to_do));
    open
}

/// A written step's words, which may be those of a heading's: whoever does it is named there only.
fn with_owner(step: &WrittenStep) -> String {
    match step.owner.as_deref().filter(|owner| !step.text.contains(*owner)) {
        Some(owner) => format!("{}. Owner: {owner}", step.text.trim_end_matches('.')),
        None => step.text.clone(),
    }
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
        Intent::Scale { kind, to } => scaled(&seen.kinds, *kind, *to, &step.zones),
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
#[derive(Default)]
struct Together {
    /// The fewest well ones in each place, of what is there; none while one was not looked at.
    fewest: BTreeMap<String, Option<u32>>,
    /// Whether one of them is not protected by what runs or is kept now.
    exposed: bool,
}

fn together(items: &[Item]) -> BTreeMap<AssetKind, Together> {
    let mut kinds: BTreeMap<AssetKind, Together> = BTreeMap::new();
    for item in items {
        let kind = kinds.entry(item.kind).or_default();
        for found in &item.found {
            let count = match &found.count {
                Count::Seen { total: 0, .. } => Some(0),
                Count::Seen { well, .. } => *well,
                Count::NotObserved { .. } => None,
            };
            // a bucket that is kept in the other place only is none too few here
            if count == Some(0) && !runs(item.kind) {
                continue;
            }
            let fewest = kind.fewest.entry(found.place.to_string()).or_insert(count);
            *fewest = fewest.zip(count).map(|(a, b)| a.min(b));
        }
        kind.exposed |= match item.protection {
            // made when it is needed: what asks for it is not done
            Protection::OneRegionOnly | Protection::Unknown | Protection::RebuiltOnDemand => true,
            Protection::Deployed
            | Protection::Replicated
            | Protection::Copied
            | Protection::StoredElsewhere
            | Protection::ProviderManaged => false,
        };
    }
    kinds
}

/// Whether assets of a kind run, so that each region needs its own.
fn runs(kind: AssetKind) -> bool {
    match kind {
        AssetKind::Compute | AssetKind::Kubernetes | AssetKind::LoadBalancer | AssetKind::Database => true,
        AssetKind::ObjectStorage
        | AssetKind::KeyPair
        | AssetKind::Monitoring
        | AssetKind::Repository
        | AssetKind::Dns => false,
    }
}

/// "Three nodes" is said of a cluster, and so of each region, unless the step names one.
fn scaled(kinds: &BTreeMap<AssetKind, Together>, kind: AssetKind, to: Quantity, zones: &[String]) -> bool {
    let wanted = match to {
        Quantity::Total(count) | Quantity::PerRegion(count) => count,
    };
    let Some(together) = kinds.get(&kind) else { return false };
    let named = |place: &str| zones.is_empty() || zones.iter().any(|zone| zone == place);
    let mut places = together.fewest.iter().filter(|(place, _)| named(place)).peekable();
    places.peek().is_some() && places.all(|(_, fewest)| fewest.is_some_and(|fewest| fewest >= wanted))
}

fn deployed(kinds: &BTreeMap<AssetKind, Together>, kind: Option<AssetKind>) -> bool {
    match kind {
        Some(kind) => kinds.get(&kind).is_some_and(|k| !k.exposed),
        None => !kinds.is_empty() && kinds.values().all(|k| !k.exposed),
    }
}
