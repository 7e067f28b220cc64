//! Answers of checks as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format").
//!
//! What holds is left out: a viewer lists every result as something to look at. What is unknown is of the kind
//! "open" (section 3.27.9), which has the level "none" (section 3.27.10).

use serde_json::{Value, json};

use super::escape::{plain, uri};
use crate::check::{Answer, Checked, Code, Severity};
use crate::facts::{Evidence, Source};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A log with one run.
#[must_use]
pub fn checks_sarif(checked: &[Checked]) -> String {
    let results: Vec<Value> = checked.iter().filter_map(result).collect();
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

fn result(one: &Checked) -> Option<Value> {
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
        "locations": [location(one)],
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
fn location(one: &Checked) -> Value {
    let logical = json!([{ "fullyQualifiedName": plain(&one.subject) }]);
    match one.evidence.iter().rev().find_map(in_file) {
        Some(physical) => json!({ "physicalLocation": physical, "logicalLocations": logical }),
        None => json!({ "logicalLocations": logical }),
    }
}

fn in_file(evidence: &Evidence) -> Option<Value> {
    match &evidence.from {
        Source::Line { file, line: 0 } => Some(json!({ "artifactLocation": { "uri": uri(file) } })),
        Source::Line { file, line } => {
            Some(json!({ "artifactLocation": { "uri": uri(file) }, "region": { "startLine": line } }))
        }
        Source::Address(_) | Source::Nowhere => None,
    }
}
