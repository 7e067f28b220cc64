//! What the document says, before it is written as Markdown or HTML.

use std::collections::BTreeMap;

use super::{Kept, pre_steps, words};
use crate::asset::Protection;
use crate::check::Checked;
use crate::facts::{Evidence, Fact, Facts};
use crate::id::StepId;
use crate::inventory::Item;
use crate::plan::{Kind, Plan};
use crate::planner::Finding;
use crate::time::Timestamp;

/// Everything a document is written from.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// What was seen.
    pub facts: &'a Facts,
    /// The inventory of those facts.
    pub items: &'a [Item],
    /// The checks of those facts.
    pub checked: &'a [Checked],
    /// What people wrote that nobody can look at.
    pub kept: &'a Kept,
    /// How it would be moved when its region is lost; or why no plan can be made now.
    pub failover: Result<Move<'a>, &'a str>,
    /// How it would be moved while both regions are there; or why no plan can be made now.
    pub switchover: Result<Move<'a>, &'a str>,
    /// How long the way back took the last time.
    pub failback: Failback,
    /// When it was last moved, in earnest or for practice; none if that was not found.
    pub rehearsal: Option<Rehearsal>,
    /// How far back all that was looked for.
    pub looked_back: LookedBack,
    /// When the last fact was seen.
    pub at: Timestamp,
}

/// A plan, and how long its steps take.
#[derive(Debug, Clone)]
pub struct Move<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is known of its steps' durations.
    pub timings: &'a BTreeMap<StepId, Timing>,
    /// What the planner says should be known of it.
    pub warnings: &'a [Finding],
}

/// How many of the newest operations were looked through; none if that were all there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookedBack {
    /// For how long steps took.
    pub timings: Option<u32>,
    /// For the last move.
    pub moves: Option<u32>,
}

/// The way back has no plan before the region returns. It is two operations, whose times are known from the last ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failback {
    /// Making the returned region the standby, in milliseconds.
    pub reinstate: Timing,
    /// Moving back, in milliseconds.
    pub switchover: Timing,
}

/// How long a step takes, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// As it is expected.
    pub predicted_ms: Option<u64>,
    /// As it was measured the last time.
    pub measured_ms: Option<u64>,
}

/// The last time the site was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// When.
    pub at: Timestamp,
    /// How.
    pub kind: Kind,
    /// What came of it, in a few words.
    pub outcome: String,
    /// How long writes waited, in milliseconds; none if that was not measured.
    pub pause_ms: Option<u64>,
}

/// A row of the table.
pub(super) struct Row {
    pub(super) cells: [String; 5],
}

/// The table's columns.
pub(super) const COLUMNS: [&str; 5] = ["Asset", "Purpose", "Size", "Qty", "DR"];

/// What stands where nobody says what an asset is for.
pub(super) const NOT_SAID: &str = "not said";

/// A row of the table for each asset, and for each thing that somebody wrote down and nobody could look for.
pub(super) fn rows(sheet: &Sheet<'_>) -> impl Iterator<Item = Row> {
    let purpose = |said: &str| if said.is_empty() { NOT_SAID } else { said }.to_owned();
    let seen = sheet.items.iter().map(move |item| Row {
        cells: [
            words::asset(item),
            purpose(&item.purpose),
            words::size(item),
            words::counted(item),
            item.protection.as_str().to_owned(),
        ],
    });
    let strange = sheet.kept.rows.iter().map(move |row| Row {
        cells: [
            row.name.clone(),
            purpose(&row.purpose),
            words::not_observed(row.size.as_deref()),
            row.quantity.map_or_else(|| words::not_observed(None), words::uncounted),
            Protection::Unknown.as_str().to_owned(),
        ],
    });
    seen.chain(strange)
}

/// Why nothing is known of something that stands in the table.
pub(super) fn not_looked_for() -> String {
    format!(
        "{}: what kind of asset it is can't be told, so nobody looked for it",
        Protection::Unknown.as_str()
    )
}

/// How many of an asset are there and well, in each place.
pub(super) fn found(item: &Item) -> String {
    let each = item.found.iter().map(|f| format!("{}: {}", f.place, words::health(&f.count)));
    let each: Vec<String> = each.collect();
    if each.is_empty() { "not found".to_owned() } else { each.join("; ") }
}

/// How an asset is protected, and why it counts as that.
pub(super) fn protected(item: &Item) -> String {
    format!("{}: {}", item.protection.as_str(), item.why)
}

/// The evidence, each with where and when it was seen. What one answer told stands together.
pub(super) fn told(evidence: &[Evidence]) -> Vec<String> {
    let answers = evidence.chunk_by(|a, b| a.from == b.from && a.at == b.at);
    let answer = |told: &[Evidence]| {
        let what: Vec<&str> = told.iter().map(|e| e.what.as_str()).collect();
        let at = told[0].at.map_or_else(|| "not seen at any time".to_owned(), |at| at.to_string());
        format!("{} ({}, {at})", what.join("; "), told[0].from)
    };
    answers.map(answer).collect()
}

/// What is not yet done.
pub(super) fn pre_steps(sheet: &Sheet<'_>) -> Vec<String> {
    pre_steps::open(sheet)
}

/// What is promised, each with its words.
pub(super) fn promises(sheet: &Sheet<'_>) -> [(&'static str, String); 3] {
    let promise = &sheet.facts.promise;
    let time = |fact: &Fact<Option<u64>>| match (fact.value(), fact.answer.why_not()) {
        (Some(Some(ms)), _) => words::span(*ms),
        (Some(None), _) => "none is set".to_owned(),
        (None, why) => format!("not observed: {}", why.unwrap_or_default()),
    };
    [("Owner", owner(sheet)), ("RPO", time(&promise.rpo_ms)), ("RTO", time(&promise.rto_ms))]
}

fn owner(sheet: &Sheet<'_>) -> String {
    let owner = &sheet.facts.promise.owner;
    match (owner.value(), owner.answer.why_not()) {
        (Some(Some(name)), _) => name.clone(),
        (Some(None), _) => "nobody is named".to_owned(),
        (None, why) => format!("not observed: {}", why.unwrap_or_default()),
    }
}

/// The last rehearsal in words.
pub(super) fn rehearsal(sheet: &Sheet<'_>) -> String {
    let Some(last) = &sheet.rehearsal else { return never(sheet.looked_back.moves) };
    let pause =
        last.pause_ms.map_or_else(String::new, |ms| format!(", writes waited for {}", words::span(ms)));
    format!("{}, {}, {}{pause}", last.at, last.kind.as_str(), last.outcome)
}

/// That something did not happen, as far as that is known.
fn never(looked_back: Option<u32>) -> String {
    looked_back.map_or_else(|| "never".to_owned(), |count| format!("not in the last {count} operations"))
}

/// A step of the real plan.
pub(super) struct StepLine {
    pub(super) does: String,
    pub(super) why: String,
    pub(super) owner: String,
    pub(super) bound: String,
    pub(super) predicted: String,
    pub(super) measured: String,
}

/// The steps of the real plan.
pub(super) fn steps(sheet: &Sheet<'_>, plan: &Move<'_>) -> Vec<StepLine> {
    let owner = owner(sheet);
    let line = |step: &crate::plan::Step| {
        let timing = plan.timings.get(&step.id).copied().unwrap_or_default();
        StepLine {
            does: words::action(&step.action),
            why: step.why.clone(),
            owner: owner.clone(),
            bound: words::span(step.bound_ms),
            predicted: predicted(timing),
            measured: measured(sheet, timing),
        }
    };
    plan.plan.steps.iter().map(line).collect()
}

fn predicted(timing: Timing) -> String {
    timing.predicted_ms.map_or_else(|| "unknown".to_owned(), words::span)
}

fn measured(sheet: &Sheet<'_>, timing: Timing) -> String {
    timing.measured_ms.map_or_else(|| never(sheet.looked_back.timings), words::span)
}

/// The two steps of the way back. Nothing bounds them beforehand: how much has to follow is not known yet.
pub(super) fn way_back(sheet: &Sheet<'_>) -> [StepLine; 2] {
    let (home, away) = (&sheet.facts.home.name, &sheet.facts.away.name);
    let line = |does: String, why: &str, timing: Timing| StepLine {
        does,
        why: why.to_owned(),
        owner: owner(sheet),
        bound: "not bounded".to_owned(),
        predicted: predicted(timing),
        measured: measured(sheet, timing),
    };
    [
        line(
            format!("Reinstate {home} as the standby of {away}: bascule reinstate {home}"),
            "it rejoins with what was written meanwhile; what only it has is saved first",
            sheet.failback.reinstate,
        ),
        line(
            format!("Fail back to {home}: bascule switchover --to {home}"),
            "the steps of the switchover, with the regions changed places; nothing is lost",
            sheet.failback.switchover,
        ),
    ]
}

/// What the plan is for, and how it is run.
pub(super) fn purpose(plan: &Plan) -> String {
    let kind = plan.kind.as_str();
    format!("{kind} from {} to {}: bascule {kind} --to {}", plan.from, plan.to, plan.to)
}

/// What the planner warns of, each with what to do.
pub(super) fn warnings(plan: &Move<'_>) -> impl Iterator<Item = String> {
    let words = |w: &Finding| format!("{} {}: {}; {}", w.code.as_str(), w.subject, w.message, w.remedy);
    plan.warnings.iter().map(words)
}

/// What the whole plan is expected to cost.
pub(super) fn prediction(plan: &Plan) -> String {
    let pause = plan.prediction.write_pause_ms;
    let pause =
        pause.map_or_else(|| "for an unknown time".to_owned(), |ms| format!("for {}", words::span(ms)));
    format!("writes wait {pause}: {}", plan.prediction.basis)
}
