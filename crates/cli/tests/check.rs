//! `bascule check`, as it is typed, on a site of which nothing is there, and of papers that can't be used.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The core's golden manifest, without its lab; each of its parts is an address that refuses connections.
const SITE: &str = include_str!("../../core/tests/manifest/right.toml");

fn bascule(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.arg("check").args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// No secret's file is there, and the store's can't be made.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (site, _lab) = SITE.split_once("[lab]").unwrap();
    let site = site.replace("\"10.77.", "\"127.77.").replace("\"bascule.db\"", "\"gone/bascule.db\"");
    let site = site.replacen("home = ", "without = [\"kubernetes\", \"object_storage\"]\nhome = ", 1);
    std::fs::write(folder.path().join("bascule.toml"), site).unwrap();
    folder
}

#[test]
fn what_can_not_be_asked_is_not_observed_and_ends_nothing() {
    let site = site();
    let run = bascule(site.path(), &["--json"]);
    let said = text(&run.stderr);
    assert_eq!(run.status.code(), Some(3), "{said}");
    assert!(said.contains("which region is active is not known") && said.contains("looked for "), "{said}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let of = |code: &str| -> Vec<Value> {
        let all = report["checks"].as_array().unwrap().clone();
        all.into_iter().filter(|check| check["code"] == code).collect()
    };
    let one = |code: &str| {
        let answers = of(code);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].clone()
    };
    let versions = of("BSC-C025");
    assert!(versions.iter().all(|check| check["answer"] == "unknown"), "{versions:?}");
    assert!(versions[0].to_string().contains("secret file"), "it says why: {versions:?}");
    let clusters = one("BSC-C013");
    assert_eq!(clusters["answer"], "holds");
    let line = SITE.lines().position(|line| line.starts_with("home = ")).unwrap() + 1;
    assert_eq!(clusters["evidence"][0]["from"]["line"]["line"], line, "the manifest says so: {clusters}");
    assert_eq!((&one("BSC-C039")["answer"], &one("BSC-C043")["answer"]), (&"holds".into(), &"fails".into()));
    let code = one("BSC-C044");
    assert_eq!(code["answer"], "unknown", "it is neither described nor said not to be there");
    let remedy = code["remedy"].as_str().unwrap();
    assert!(remedy.contains("[[repository]]") && remedy.contains("without = [\"repository\"]"), "{remedy}");
    let zones = of("BSC-C015");
    assert!(
        zones.iter().any(|check| check["remedy"].as_str().unwrap().contains(".compute.zones]]")),
        "{zones:?}"
    );
}

#[test]
fn each_result_of_sarif_is_in_a_file_that_is_there() {
    let site = site();
    let run = bascule(site.path(), &["--sarif"]);
    assert!(run.stdout.ends_with(b"}\n"), "a line ends");
    let log: Value = serde_json::from_slice(&run.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() > 20, "{}", results.len());
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "bascule.toml", "{result}");
        assert!(place["region"]["startLine"].as_u64() > Some(0), "{result}");
    }
}

#[test]
fn a_paper_that_can_not_be_used_hides_no_check_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("bad.json", "{");
    write(
        "dr.md",
        "# DR\n\n## AWS Zones\nus-east-2\nus-west-1\n\n## DR Plan\n## Steps:\n1. Point the DNS to us-west-1\n",
    );
    assert_eq!(bascule(folder.path(), &["bad.json"]).status.code(), Some(2));
    let both = ["dr.md", "bad.json"];
    assert_eq!(bascule(folder.path(), &both).status.code(), Some(3));
    // the only paper that could be used leaves this one open
    let open = bascule(folder.path(), &[&both[..], &["--only", "BSC-C012"]].concat());
    assert_eq!(open.status.code(), Some(2), "{}", text(&open.stdout));
}

#[test]
fn the_time_to_look_is_bounded() {
    for wrong in ["1s", "61s", "soon"] {
        let run = bascule(site().path(), &["--within", wrong]);
        assert_eq!(run.status.code(), Some(2));
        assert!(text(&run.stderr).contains("write seconds from 2.5 to 60"), "{}", text(&run.stderr));
    }
}
