//! Answers of checks as JUnit XML, in the form that CI systems read: a suite for each category. What fails is a
//! failure, what is unknown an error with its reason: CI systems pass what is skipped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::xml;
use crate::check::{Answer, Category, Checked};

/// All answers.
#[must_use]
pub fn checks_junit(checked: &[Checked]) -> String {
    let mut suites: BTreeMap<Category, Vec<&Checked>> = BTreeMap::new();
    for one in checked {
        suites.entry(one.code.category()).or_default().push(one);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"bascule check\" {}>", sums(checked.iter()));
    for (category, cases) in &suites {
        let name = category.as_str();
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {}>", sums(cases.iter().copied()));
        for one in cases {
            case(&mut out, name, one);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn sums<'a>(checked: impl Iterator<Item = &'a Checked>) -> String {
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for one in checked {
        tests += 1;
        match one.answer {
            Answer::Holds => {}
            Answer::Unknown => errors += 1,
            Answer::Fails => failures += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\"")
}

fn case(out: &mut String, category: &str, one: &Checked) {
    let name = xml(&format!("{} {}: {}", one.code.as_str(), one.code.title(), one.subject));
    let head = format!("    <testcase classname=\"bascule.{category}\" name=\"{name}\" time=\"0\"");
    let message = xml(&one.message);
    match one.answer {
        Answer::Holds => {
            let _ = writeln!(out, "{head}/>");
        }
        Answer::Unknown => {
            let _ = writeln!(
                out,
                "{head}>\n      <error type=\"unknown\" message=\"{message}\"/>\n    </testcase>"
            );
        }
        Answer::Fails => {
            let severity = one.code.severity().as_str();
            let _ = writeln!(out, "{head}>\n      <failure type=\"{severity}\" message=\"{message}\">");
            let _ = writeln!(out, "{}", xml(&one.remedy));
            for evidence in &one.evidence {
                let _ = writeln!(out, "{} ({})", xml(&evidence.what), xml(&evidence.from.to_string()));
            }
            out.push_str("      </failure>\n    </testcase>\n");
        }
    }
}
