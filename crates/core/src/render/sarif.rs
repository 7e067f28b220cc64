//! Answers of checks as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format").
//!
//! What holds is left out: a viewer lists every result as something to look at. What is unknown is of the kind
//! "open" (section 3.27.9), which has the level "none" (section 3.27.10).

use serde_json::{Value, json};

use super::escape::{plain, uri};
use crate::check::{Answer, Checked, Code, Severity};
use crate::facts::{Evidence, Source};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A log with one run. `about` is the file that describes what was checked: code review tools refuse a whole log for one
/// result that is in no file, so a result whose evidence was not read from one is put at its beginning.
#[must_use]
pub fn checks_sarif(checked: &[Checked], about: &str) -> String {
    let results: Vec<Value> = checked.iter().filter_map(|one| result(one, about)).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bascule",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).expect("a log has only string keys")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": format!("Holds if {}.", code.title()) },
        "help": { "text": format!("{} See docs/checks/{}.md.", code.remedy(), code.as_str()) },
        "defaultConfiguration": { "level": level(code.severity()) },
        "properties": { "category": code.category().as_str(), "severity": code.severity().as_str() },
    })
}

fn result(one: &Checked, about: &str) -> Option<Value> {
    let (kind, level) = match one.answer {
        Answer::Holds => return None,
        Answer::Unknown => ("open", "none"),
        Answer::Fails => ("fail", level(one.code.severity())),
    };
    let index = Code::ALL.iter().position(|code| *code == one.code);
    let text = message(&format!("{}: {}. {}", plain(&one.subject), plain(&one.message), plain(&one.remedy)));
    Some(json!({
        "ruleId": one.code.as_str(),
        "ruleIndex": index.expect("every code is in the list of all"),
        "kind": kind,
        "level": level,
        "message": { "text": text },
        "locations": [location(one, about)],
        "partialFingerprints": { "bascule/v1": format!("{} {}", one.code.as_str(), plain(&one.subject)) },
    }))
}

/// What stands in a message for itself: brackets make links there, and braces are filled in (SARIF 2.1.0, 3.11.5 and
/// 3.11.6).
fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '[' | ']' => out.extend(['\\', c]),
            '{' | '}' => out.extend([c, c]),
            _ => out.push(c),
        }
    }
    out
}

/// The last line of a file that the answer rests on, which is where it was decided; always what it is about.
fn location(one: &Checked, about: &str) -> Value {
    let (file, line) = one.evidence.iter().rev().find_map(in_file).unwrap_or((about, 0));
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            // what is about a file as a whole is shown at its beginning
            "region": { "startLine": line.max(1) },
        },
        "logicalLocations": [{ "fullyQualifiedName": plain(&one.subject) }],
    })
}

fn in_file(evidence: &Evidence) -> Option<(&str, usize)> {
    match &evidence.from {
        Source::Line { file, line } => Some((file, *line)),
        Source::Address(_) | Source::Nowhere => None,
    }
}
