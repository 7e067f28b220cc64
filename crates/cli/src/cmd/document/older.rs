//! An older disaster-recovery document, from which a new one takes what only people know.
//!
//! Invariant: nothing of it is dropped in silence. What is not taken over is told on stderr, with its line: of a
//! document that people wrote what could not be read, and what it says that neither observation nor a plan replaces; of
//! one that was written here each line that the new one has not.

use std::path::Path;

use bascule_core::document::{Document, Intent, WrittenStep};
use bascule_core::facts::Facts;
use bascule_core::inventory::inventory;
use bascule_core::render::{Difference, Kept, Told, document_matches};
use bascule_import::markdown::Imported;
use bascule_import::{Code, Finding, Severity};

use super::read;
use crate::cmd::import::plain;
use crate::exit;
use crate::papers::Papers;

/// The document.
pub struct Older {
    /// Its file.
    pub file: String,
    text: String,
    imported: Imported,
    findings: Vec<(String, Finding)>,
    kept: Kept,
}

impl Older {
    /// Read it.
    ///
    /// # Errors
    /// [`exit::Usage`] if it can't be read, or is no document.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let papers = Papers::open(&[path.to_owned()])?;
        let Some((file, imported)) = papers.document else {
            let text = format!("{} holds no document in Markdown; `bascule import` says why", path.display());
            return Err(exit::Usage(text).into());
        };
        let text = read(path)?;
        let kept = Kept::again(&text).unwrap_or_else(|| Kept::of(&imported.document));
        Ok(Self { file, text, imported, findings: papers.findings, kept })
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.imported.document
    }

    /// Take over what only people know: into what is wanted, and the rest beside what is to be told of it.
    pub fn kept(&self, facts: &mut Facts) -> (Kept, Vec<Told>) {
        let mut kept = self.kept.clone();
        let items = inventory(facts);
        let regions = facts.regions().map(|region| region.name.clone());
        let told = kept.take_over(&mut facts.wanted, &items, &regions, &self.file);
        (kept, told)
    }

    /// Say what of it is not in the new one, or is there without having been seen.
    pub fn warn(&self, facts: &Facts, untaken: &[Told]) {
        let mut lines: Vec<(usize, String)> =
            untaken.iter().map(|told| (told.line, told.what.clone())).collect();
        if !self.kept.is_ours() {
            lines.extend(self.findings.iter().filter(|(_, finding)| matters(finding)).map(|(_, finding)| {
                let code = finding.code.as_str();
                (finding.line, format!("{code} {}; {}", finding.message, finding.remedy))
            }));
            lines.extend(self.unknown_zones(facts));
            lines.extend(self.steps_of_no_plan());
        }
        lines.sort();
        for (line, what) in lines {
            eprintln!("warning: {}:{line}: {}", plain(&self.file), plain(&what));
        }
    }

    /// Of a document that was written here: say which lines the new one has not.
    pub fn warn_of_lost(&self, fresh: &str) {
        if !self.kept.is_ours() {
            return;
        }
        for difference in document_matches(&self.text, fresh) {
            match difference {
                Difference::Stale { line, text } => {
                    eprintln!("warning: {}:{line}: not in the new one: {}", plain(&self.file), plain(&text));
                }
                Difference::Missing { .. } | Difference::Moved { .. } => {}
            }
        }
    }

    fn unknown_zones<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = (usize, String)> + 'a {
        let known = |name: &str| facts.regions().iter().any(|region| region.name.as_str() == name);
        let unknown = self.document().zones.iter().filter(move |zone| !known(&zone.name));
        unknown.map(|zone| (zone.line, format!("{} is no region of this site, and is left out", zone.name)))
    }

    /// Steps that no plan has: the rest is replaced by what the planner makes of it.
    fn steps_of_no_plan(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        let steps = self.document().plans.iter().flat_map(|plan| &plan.steps);
        steps.filter(|step| !planned(step)).map(|step| {
            let what =
                "is no step of a plan, and is left out: write it under Pre-Steps or Descriptions to keep it";
            (step.line, format!("\"{}\" {what}", step.text))
        })
    }
}

/// Whether the finding tells of something that will not be in the new document. That nothing is said of protection is
/// what the new one mends, and which zones are regions of the site is known.
fn matters(finding: &Finding) -> bool {
    let mended = matches!(finding.code, Code::DrEmpty | Code::ZoneShape);
    finding.code == Code::NotRead || (finding.severity >= Severity::Warning && !mended)
}

/// Whether the planner's steps do all that a step asks for.
fn planned(step: &WrittenStep) -> bool {
    let done = |intent: &Intent| match intent {
        Intent::MoveNames
        | Intent::PromoteDatabase
        | Intent::Fence
        | Intent::HoldWrites
        | Intent::Verify
        | Intent::Failback => true,
        Intent::Scale { .. }
        | Intent::Deploy { .. }
        | Intent::Restore
        | Intent::Notify
        | Intent::AutomaticFailover
        | Intent::NameForDatabase => false,
    };
    !step.intents.is_empty() && step.intents.iter().all(done)
}
