//! A disaster-recovery document in Markdown.
//!
//! Real documents are ragged, so this is no parser of Markdown: it reads lines, tells sections by their headings' words, and
//! rows by what their cells hold. Invariant: each row of a table becomes an asset, a place, a step or a finding with its
//! line, and so does each paragraph and item; nothing is guessed without a finding that says so. Time is linear in the
//! input, which is hostile: sizes have limits, and nothing panics. Whether the document is a good plan is not judged
//! here, only whether it contradicts itself.

mod block;
mod columns;
pub mod contradict;
mod counts;
mod heading;
mod inline;
mod intent;
mod kind;
mod numbers;
mod objective;
mod promote;
mod protection;
mod quantity;
mod reader;
mod region;
mod sizes;
mod source;
mod steps;
mod table;
mod template;
mod text;
mod words;
mod zones;

pub use objective::{Objective, Objectives};

use bascule_core::document::Document;
use serde::Serialize;

use crate::finding::{Code, Finding};

/// The most lines that are not blank: 10,000 assets are as many rows, and a line of description and four steps for each
/// is more than anybody writes.
pub const MAX_LINES: usize = 60_000;

/// The longest line that is read whole, in bytes: a row of the 64 cells below with 250 bytes in each.
pub const MAX_LINE: usize = 16_000;

/// The most cells of a row: the template has 5, and the widest tables that people keep by hand have about 30.
pub const MAX_CELLS: usize = 64;

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What it says.
    pub document: Document,
    /// What it promises.
    pub objectives: Objectives,
    /// What it does not say, says twice, or contradicts, in the order of the lines.
    pub findings: Vec<Finding>,
}

/// Read a document.
///
/// # Errors
/// The one finding that says why none of it can be read: it is too large, or not UTF-8.
pub fn read(bytes: &[u8]) -> Result<Imported, Finding> {
    let (lines, mut findings) = source::lines(bytes)?;
    let objectives = objective::objectives(&lines);
    let blocks = block::blocks(&lines);
    let (document, found) = reader::read(blocks);
    for mut finding in found {
        if finding.code == Code::NotRead && objectives.stand_on(finding.line) {
            finding.message = format!("only the RPO or RTO is read of this line: {}", finding.message);
        }
        findings.push(finding);
    }
    findings.extend(contradict::contradictions(&document));
    findings.sort_by_key(|finding| (finding.line, finding.code));
    Ok(Imported { document, objectives, findings })
}
