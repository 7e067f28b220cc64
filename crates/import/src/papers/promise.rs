//! What the document promises, and who is named in it.

use bascule_core::facts::{Fact, Promise, Source};

use super::Papers;
use crate::markdown::Objective;

/// Who answers for a move, and what is promised. A document that was read and says nothing promises nothing.
pub(super) fn promise(papers: &Papers<'_>) -> Promise {
    let Some((file, imported)) = papers.document else {
        let nobody = "no document is among the papers";
        return Promise {
            owner: Fact::not_observed(nobody, Source::Nowhere),
            rpo_ms: Fact::not_observed(nobody, Source::Nowhere),
            backup_rpo_ms: Fact::not_observed(nobody, Source::Nowhere),
            rto_ms: Fact::not_observed(nobody, Source::Nowhere),
            retention_s: Fact::not_observed(nobody, Source::Nowhere),
        };
    };
    let line = |line| Source::Line { file: file.to_owned(), line };
    let objective = |objective: &Objective| match objective {
        Objective::Set { ms, line: at } => Fact::seen(Some(*ms), papers.at, line(*at)),
        Objective::Missing => Fact::seen(None, papers.at, line(0)),
        Objective::Unread { line: at } => {
            Fact::not_observed(format!("line {at} names it without a number and a unit"), line(*at))
        }
    };
    let steps = imported.document.plans.iter().flat_map(|plan| plan.steps.iter().chain(&plan.pre_steps));
    let owner = steps.filter_map(|step| Some((step.owner.clone()?, step.line))).next();
    Promise {
        owner: match owner {
            Some((owner, at)) => Fact::seen(Some(owner), papers.at, line(at)),
            None => Fact::seen(None, papers.at, line(0)),
        },
        rpo_ms: objective(&imported.objectives.rpo),
        // a document that has one number has it for all
        backup_rpo_ms: objective(&imported.objectives.rpo),
        rto_ms: objective(&imported.objectives.rto),
        retention_s: Fact::seen(None, papers.at, line(0)),
    }
}
