//! The document in the shape that teams write it in, as Markdown.

use std::fmt::Write as _;

use super::document::{self, COLUMNS, Move, Sheet, StepLine};
use super::escape::markdown as md;
use super::kept::NOTED;
use super::matches::{FOUND, LAST_REHEARSAL, OBSERVED, PREDICTED, WARNED};
use super::pre_steps::NOTHING;
use super::words;

/// The whole document. Two that differ in dates and measured times alone match (`document_matches`).
#[must_use]
pub fn document_markdown(sheet: &Sheet<'_>) -> String {
    let mut out = String::from("# Infrastructure\n\n## AWS Zones\n\n");
    for region in sheet.facts.regions() {
        let _ = writeln!(out, "- {}", region.name);
    }
    out.push_str("\n## Servers and Clusters\n\n### Table 1.1 Summary\n\n");
    let _ = writeln!(out, "| {} |\n|{}", COLUMNS.join(" | "), " --- |".repeat(COLUMNS.len()));
    for row in document::rows(sheet) {
        let _ = writeln!(out, "| {} |", row.cells.map(|cell| md(&cell)).join(" | "));
    }
    out.push_str("\n### Descriptions\n");
    for item in sheet.items {
        let (title, protected) = (md(&words::asset(item)), md(&document::protected(item)));
        let _ = write!(out, "\n{title} ({protected}){FOUND}{}.", md(&document::found(item)));
        let seen: Vec<String> = document::told(&item.evidence).iter().map(|told| md(told)).collect();
        let _ = writeln!(out, " Seen: {}.", seen.join("; "));
    }
    for row in &sheet.kept.rows {
        let _ = writeln!(out, "\n{} ({}).", md(&row.name), document::not_looked_for());
    }
    notes(&mut out, sheet);
    facts_of_the_plan(&mut out, sheet);
    out.push_str("\n## DR Plan\n\n### Pre-Steps\n\n");
    let open = document::pre_steps(sheet);
    if open.is_empty() {
        let _ = writeln!(out, "{NOTHING}");
    }
    for step in open {
        let _ = writeln!(out, "- [ ] {}", md(&step));
    }
    out.push_str("\n## Steps\n\n");
    steps(&mut out, sheet, &sheet.failover);
    out.push_str("\n## Failback\n\n");
    lines(&mut out, &document::way_back(sheet));
    out.push_str("\n## Switchover Plan\n\n### Steps\n\n");
    steps(&mut out, sheet, &sheet.switchover);
    out
}

/// What people know beside all this.
fn notes(out: &mut String, sheet: &Sheet<'_>) {
    if !sheet.kept.notes.is_empty() {
        out.push('\n');
    }
    for note in &sheet.kept.notes {
        let _ = writeln!(out, "- {NOTED}{}", md(&note.text));
    }
}

/// What is said of the plan as a whole. It stands among the descriptions: under "Steps" a reader takes each line for
/// a step.
fn facts_of_the_plan(out: &mut String, sheet: &Sheet<'_>) {
    out.push('\n');
    for (what, words) in document::promises(sheet) {
        let _ = writeln!(out, "- {what}: {}", md(&words));
    }
    for plan in [&sheet.failover, &sheet.switchover].into_iter().flatten() {
        let _ = writeln!(out, "- Plan: {}", md(&document::purpose(plan.plan)));
        let _ = writeln!(out, "- {PREDICTED}{}", md(&document::prediction(plan.plan)));
        for warning in document::warnings(plan) {
            let _ = writeln!(out, "- {WARNED}{}", md(&warning));
        }
    }
    let _ = writeln!(out, "- {LAST_REHEARSAL}{}", md(&document::rehearsal(sheet)));
    let _ = writeln!(out, "- {OBSERVED}{}", sheet.at);
}

/// The steps of a real plan, one a line. Why each is there stands on the page, not here: a reader would take those
/// words for what the step asks.
fn steps(out: &mut String, sheet: &Sheet<'_>, plan: &Result<Move<'_>, &str>) {
    match plan {
        Ok(plan) => lines(out, &document::steps(sheet, plan)),
        Err(why) => {
            let _ = writeln!(out, "No plan can be made: {}", md(why));
        }
    }
}

fn lines(out: &mut String, steps: &[StepLine]) {
    for (index, step) in steps.iter().enumerate() {
        let (does, owner) = (md(&step.does), md(&step.owner));
        let _ = write!(out, "{}. {does}. Owner: {owner}. At most: {}. ", index + 1, step.bound);
        let _ = writeln!(out, "{PREDICTED}{}. Last measured: {}.", step.predicted, step.measured);
    }
}
