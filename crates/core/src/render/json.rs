//! Answers of checks for programs.

use serde::Serialize;

use crate::check::{Answer, Category, Checked, Code, Severity};
use crate::facts::Evidence;
use crate::id::SiteName;

/// The version of this format. A program may rely on what a version has.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    site: &'a SiteName,
    holds: usize,
    fails: usize,
    unknown: usize,
    checks: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    code: Code,
    title: &'static str,
    severity: Severity,
    category: Category,
    subject: &'a str,
    answer: Answer,
    message: &'a str,
    remedy: &'a str,
    evidence: &'a [Evidence],
}

/// All answers, in the order of the codes.
#[must_use]
pub fn checks_json(site: &SiteName, checked: &[Checked]) -> String {
    let count = |answer| checked.iter().filter(|c| c.answer == answer).count();
    let report = Report {
        version: VERSION,
        site,
        holds: count(Answer::Holds),
        fails: count(Answer::Fails),
        unknown: count(Answer::Unknown),
        checks: checked.iter().map(One::of).collect(),
    };
    serde_json::to_string_pretty(&report).expect("a report has only string keys")
}

impl<'a> One<'a> {
    fn of(checked: &'a Checked) -> Self {
        Self {
            code: checked.code,
            title: checked.code.title(),
            severity: checked.code.severity(),
            category: checked.code.category(),
            subject: &checked.subject,
            answer: checked.answer,
            message: &checked.message,
            remedy: &checked.remedy,
            evidence: &checked.evidence,
        }
    }
}
