//! `bascule document`, as it is typed, over facts that were written down: a site on which every check holds.

#[path = "../../core/tests/check/site.rs"]
#[allow(dead_code, reason = "the checks' own tests use the rest")]
mod site;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::facts::Facts;

const MANIFEST: &str = include_str!("../../core/tests/manifest/right.toml");
const OLDER: &str = "# Infrastructure\n\n## AWS Zones\nnorth-1\nsouth-1\n\n## Servers and Clusters\n\n\
    ### Table 1.1 Summary\n\n| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n\
    | EC2 instances | sells shoes | t3.medium | 3 per region | |\n| Vault cluster on Kubernetes | | | 2 | |\n\
    | Queue | | | 1 | |\n| Kubernetes cluster watch | | | | |\n\n### Descriptions\n\nThe shop closes at noon on Sundays.\n\n\
    ## DR Plan\n\n### Pre-Steps\n\n- Phone the warehouse\n\n## Steps\n\n1. Promote the database of south-1\n\
    2. Call the chairman\n";

fn bascule(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command
        .args(["document", "--facts", "facts.json"])
        .args(args)
        .current_dir(folder)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn write(folder: &Path, facts: &Facts) {
    fs::write(folder.join("facts.json"), serde_json::to_string(facts).expect("JSON")).expect("written");
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = MANIFEST.split("[lab]").next().expect("its part before");
    fs::write(folder.path().join("bascule.toml"), manifest).expect("written");
    fs::write(folder.path().join("older.md"), OLDER).expect("written");
    write(folder.path(), &site::sound());
    folder
}

#[test]
fn a_document_that_is_written_matches_and_one_of_another_site_does_not() {
    let folder = folder();
    let run = bascule(folder.path(), &["--out", "dr.md", "--html", "dr.html"]);
    assert_eq!((run.status.code(), text(&run.stdout)), (Some(0), String::new()), "{}", text(&run.stderr));
    let page = fs::read_to_string(folder.path().join("dr.html")).expect("written");
    assert!(page.contains("<svg") && page.contains("Switchover Plan"));
    let run = bascule(folder.path(), &["--check", "dr.md"]);
    assert_eq!((run.status.code(), &*text(&run.stdout)), (Some(0), "dr.md matches what is seen\n"));

    let mut facts = site::sound();
    let compute =
        facts.wanted.iter_mut().find(|wanted| wanted.kind == AssetKind::Compute).expect("it is wanted");
    compute.quantity = Some(Quantity::PerRegion(4));
    write(folder.path(), &facts);
    let run = bascule(folder.path(), &["--check", "dr.md"]);
    let said = text(&run.stdout);
    assert_eq!(run.status.code(), Some(3), "{said}");
    assert!(said.contains("no longer holds: | Instances app |") && said.contains("missing (line"), "{said}");
    assert!(text(&run.stderr).contains("write it anew with --out"));
}

#[test]
fn what_is_unwell_for_a_minute_does_not_fail_the_check() {
    let folder = folder();
    assert!(bascule(folder.path(), &["--out", "dr.md"]).status.success());
    let mut facts = site::sound();
    site::instances(&mut facts.away)[0].alive = site::seen(false);
    site::orders(&mut facts.away).members = site::unseen();
    facts.home.clock_skew = site::unseen();
    write(folder.path(), &facts);
    let run = bascule(folder.path(), &["--check", "dr.md"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stdout));
}

#[test]
fn an_older_document_gives_what_only_people_know() {
    let folder = folder();
    let run = bascule(folder.path(), &["--from", "older.md"]);
    let written = text(&run.stdout);
    assert!(written.contains("| Instances app | sells shoes |"), "{written}");
    assert!(written.contains("- [ ] Phone the warehouse"), "what can't be looked at stays open: {written}");
    assert!(written.contains("No plan can be made: the facts were read from a file"), "{written}");
    assert!(written.lines().count() < 150);
}

#[test]
fn what_was_taken_over_is_read_back_and_what_was_not_is_told_with_its_line() {
    let folder = folder();
    let run = bascule(folder.path(), &["--from", "older.md", "--out", "dr.md"]);
    let said = text(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{said}");
    for told in [
        "older.md:14: Vault cluster on Kubernetes: nothing of this site is it",
        "older.md:15: BSC-I007",
        "older.md:15: Queue: its kind can't be told",
        "older.md:31: \"Call the chairman\" is no step of a plan",
    ] {
        assert!(said.contains(&format!("warning: {told}")), "{told}\n{said}");
    }
    let written = fs::read_to_string(folder.path().join("dr.md")).expect("written");
    for line in [
        "| Kubernetes cluster Vault cluster on Kubernetes | not said | NA | 2 (found: none in north-1, none in south-1) | unknown |",
        "| Queue | not said | not observed | 1 (found: not observed) | unknown |",
        "- Noted, not observed: The shop closes at noon on Sundays.",
    ] {
        assert!(written.contains(&format!("{line}\n")), "{line}\n{written}");
    }
    let run = bascule(folder.path(), &["--check", "dr.md"]);
    assert_eq!((run.status.code(), &*text(&run.stdout)), (Some(0), "dr.md matches what is seen\n"));
    assert_eq!(text(&run.stderr), "");

    fs::write(folder.path().join("dr.md"), written.replace("## Failback\n", "## Failback\n\nMind the gap\n"))
        .expect("written");
    let run = bascule(folder.path(), &["--from", "dr.md", "--out", "again.md"]);
    let said = text(&run.stderr);
    assert!(said.contains("not in the new one: Mind the gap"), "{said}");
    let again = fs::read_to_string(folder.path().join("again.md")).expect("written");
    let settled =
        |text: &str| text.lines().filter(|l| !l.starts_with("- Observed")).collect::<Vec<_>>().join("\n");
    assert_eq!(settled(&again), settled(&written), "written again it says the same");
}

#[test]
fn a_file_that_is_not_there_or_holds_no_facts_is_named_and_nothing_is_written() {
    let folder = folder();
    for args in [["--check", "gone.md"], ["--from", "gone.md"]] {
        let run = bascule(folder.path(), &args);
        assert_eq!(run.status.code(), Some(2));
        assert!(text(&run.stderr).contains("gone.md can't be read"), "{}", text(&run.stderr));
    }
    fs::write(folder.path().join("facts.json"), "{}").expect("written");
    let run = bascule(folder.path(), &["--out", "dr.md"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("facts.json holds no facts") && !folder.path().join("dr.md").exists());
}
