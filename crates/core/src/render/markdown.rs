//! The document in the shape that teams write it in, as Markdown.

use std::fmt::Write as _;

use super::document::{self, COLUMNS, Sheet};
use super::escape::markdown as md;
use super::matches::{LAST_REHEARSAL, OBSERVED, PREDICTED};

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
        let _ = write!(out, "\n{}. Found in {}.", md(&document::title(item)), md(&document::found(item)));
        let seen: Vec<String> = item.evidence.iter().map(|e| md(&document::told(e))).collect();
        let _ = writeln!(out, " Seen: {}.", seen.join("; "));
    }
    out.push_str("\n## DR Plan\n\n");
    for (what, words) in document::promises(sheet) {
        let _ = writeln!(out, "- {what}: {}", md(&words));
    }
    let _ = writeln!(out, "- {LAST_REHEARSAL}{}\n- {OBSERVED}{}", md(&document::rehearsal(sheet)), sheet.at);
    out.push_str("\n### Pre-Steps\n\n");
    let open = document::pre_steps(sheet);
    if open.is_empty() {
        out.push_str("Nothing is left to do.\n");
    }
    for step in open {
        let _ = writeln!(out, "- [ ] {}", md(&step));
    }
    out.push_str("\n## Steps\n\n");
    steps(&mut out, sheet);
    out
}

fn steps(out: &mut String, sheet: &Sheet<'_>) {
    let plan = match &sheet.plan {
        Ok(plan) => plan,
        Err(why) => {
            let _ = writeln!(out, "No plan can be made: {}", md(why));
            return;
        }
    };
    let (kind, from, to) = (plan.plan.kind.as_str(), &plan.plan.from, &plan.plan.to);
    let _ = writeln!(out, "A {kind} from {from} to {to}.\n");
    for (index, step) in document::steps(sheet, plan).iter().enumerate() {
        let (does, why, owner) = (md(&step.does), md(&step.why), md(&step.owner));
        let _ = write!(out, "{}. {does}. Why: {why}. Owner: {owner}. At most {}. ", index + 1, step.bound);
        let _ = writeln!(out, "{PREDICTED}{}. Last measured: {}.", step.predicted, step.measured);
    }
    let _ = writeln!(out, "\n{PREDICTED}{}", md(&document::prediction(plan.plan)));
}
