//! Answers of checks as text, JSON, SARIF and JUnit.

use std::collections::BTreeSet;

use bascule_core::check::{Answer, Checked, Code, check};
use bascule_core::facts::{Evidence, Source};
use bascule_core::render::{Held, checks_json, checks_junit, checks_sarif, checks_text};
use serde_json::Value;

use crate::site::{orders, plan, seen, sound, unseen};
use crate::xml::elements;

/// One fails in a file, one fails at an address, one is unknown.
fn mixed() -> Vec<Checked> {
    let mut facts = sound();
    plan(&mut facts).steps.swap(1, 2);
    orders(&mut facts.away).lag_ms = seen(9_000);
    facts.away.clock_skew = unseen();
    check(&facts)
}

/// Words that would break out of every format.
fn hostile() -> Vec<Checked> {
    let words = "]]></testcase><x a='\"&\u{1b}[2J\u{0}\u{fffe}\n| `\\";
    let from = Source::Line { file: "a b/<ü>.tf".to_owned(), line: 3 };
    let one = |answer| Checked {
        code: Code::Images,
        subject: words.to_owned(),
        answer,
        evidence: vec![Evidence { what: words.to_owned(), from: from.clone(), at: None }],
        message: words.to_owned(),
        remedy: words.to_owned(),
    };
    vec![one(Answer::Holds), one(Answer::Unknown), one(Answer::Fails)]
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

#[test]
fn text_says_what_fails_first_with_its_evidence_and_what_to_do() {
    let text = checks_text(&mixed(), Held::Listed);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "fails    BSC-C001 names move after the database is promoted [critical]");
    assert!(lines[1].starts_with("  Move: names move (line 22) before"), "{text}");
    assert!(text.contains("(dr.md:22, 2026-09-21"), "where and when: {text}");
    assert!(text.contains("    do: Put the step that promotes"), "{text}");
    let unknown = lines.iter().position(|l| l.starts_with("unknown  BSC-C050")).expect("it is unknown");
    let holds = lines.iter().position(|l| l.starts_with("holds ")).expect("others hold");
    assert!(unknown < holds && unknown > 1);
    let sums = format!("{} hold, 2 fail, 1 unknown", mixed().len() - 3);
    assert_eq!(lines.last(), Some(&sums.as_str()));
}

#[test]
fn what_holds_is_counted_unless_it_is_asked_for() {
    let text = checks_text(&mixed(), Held::Counted);
    assert!(!text.lines().any(|line| line.starts_with("holds ")), "{text}");
    assert_eq!(text.lines().last(), checks_text(&mixed(), Held::Listed).lines().last());
}

#[test]
fn text_gives_a_terminal_nothing_to_obey() {
    assert!(!checks_text(&hostile(), Held::Listed).contains(['\u{1b}', '\u{0}']));
}

#[test]
fn json_has_every_answer() {
    let checked = mixed();
    let report = json(&checks_json(&sound().site, &checked));
    assert_eq!(report["version"], 1);
    assert_eq!(report["site"], "shop");
    assert_eq!((&report["fails"], &report["unknown"]), (&Value::from(2), &Value::from(1)));
    let checks = report["checks"].as_array().expect("a list");
    assert_eq!(checks.len(), checked.len());
    assert_eq!(checks[0]["code"], "BSC-C001");
    assert_eq!(checks[0]["answer"], "fails");
    assert_eq!(checks[0]["severity"], "critical");
    assert_eq!(checks[0]["evidence"][1]["from"]["line"]["file"], "dr.md");
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let log = json(&checks_sarif(&mixed(), "bascule.toml"));
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().is_some_and(|s| s.starts_with("https://")));
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "bascule");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: BTreeSet<&str> = rules.iter().filter_map(|r| r["id"].as_str()).collect();
    assert_eq!(ids.len(), Code::ALL.len());
    for rule in rules {
        assert!(rule["help"]["text"].as_str().is_some_and(|t| !t.is_empty()), "{rule}");
        assert!(rule.get("helpUri").is_none(), "{rule}");
        let level = rule["defaultConfiguration"]["level"].as_str().expect("a level");
        assert!(["note", "warning", "error"].contains(&level));
    }
    for result in run["results"].as_array().expect("results") {
        assert!(result["message"]["text"].as_str().is_some_and(|t| !t.is_empty()), "{result}");
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        if result["kind"] != "fail" {
            assert_eq!(result["level"], "none", "section 3.27.10: {result}");
        }
        assert!(!result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].is_null());
    }
}

#[test]
fn sarif_points_at_the_line_and_leaves_out_what_holds() {
    let log = json(&checks_sarif(&mixed(), "bascule.toml"));
    let results = log["runs"][0]["results"].as_array().expect("results");
    let of = |code: &str| results.iter().find(|r| r["ruleId"] == code).expect("a result");
    assert_eq!(results.len(), 3);
    let place = &of("BSC-C001")["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "dr.md");
    assert_eq!(place["region"]["startLine"], 21, "where the database is promoted, too late");
    assert_eq!((&of("BSC-C001")["kind"], &of("BSC-C001")["level"]), (&"fail".into(), &"error".into()));
    let elsewhere = &of("BSC-C021")["locations"][0]["physicalLocation"];
    assert_eq!(elsewhere["artifactLocation"]["uri"], "bascule.toml", "it was seen at an address");
    assert_eq!(
        elsewhere["region"]["startLine"], 1,
        "and a log with a result in no file is refused as a whole"
    );
    assert_eq!(of("BSC-C050")["kind"], "open");
    let hostile = json(&checks_sarif(&hostile(), "bascule.toml"));
    let place = &hostile["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/%3C%C3%BC%3E.tf");
    assert_eq!(place["region"]["startLine"], 3);
}

#[test]
fn junit_fails_what_fails_and_passes_nothing_that_is_unknown() {
    let all = elements(&checks_junit(&mixed()));
    let count = |name: &str| all.iter().filter(|(n, _)| n == name).count();
    assert_eq!(count("testcase"), mixed().len());
    assert_eq!((count("failure"), count("error")), (2, 1));
    let sums = format!("tests=\"{}\" failures=\"2\" errors=\"1\" skipped=\"0\"", mixed().len());
    assert!(all[0].1.ends_with(&sums), "{:?}", all[0]);
    let unknown = all.iter().find(|(n, _)| n == "error").expect("one is");
    assert!(unknown.1.contains("not observed: timed out"), "it says why: {unknown:?}");
}

#[test]
fn junit_stays_well_formed_whatever_the_names() {
    let all = elements(&checks_junit(&hostile()));
    assert_eq!(all.iter().filter(|(n, _)| n == "testcase").count(), 3);
    assert_eq!(all.iter().filter(|(n, _)| n == "x").count(), 0);
}

#[test]
fn no_answers_are_an_empty_report_in_every_format() {
    assert_eq!(checks_text(&[], Held::Listed), "0 hold, 0 fail, 0 unknown\n");
    assert_eq!(elements(&checks_junit(&[])).len(), 1);
    assert_eq!(json(&checks_sarif(&[], "bascule.toml"))["runs"][0]["results"], Value::Array(Vec::new()));
    assert_eq!(json(&checks_json(&sound().site, &[]))["checks"], Value::Array(Vec::new()));
}
