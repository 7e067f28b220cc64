//! `bascule import`, as it is typed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bascule_core::manifest::Manifest;

const CODE: &str = "provider \"aws\" {\n  region = \"us-east-2\"\n}\n\nresource \"aws_instance\" \"web\" {\n  count         = 2\n  instance_type = \"t3.small\"\n}\n";
const DOCUMENT: &str = "# Infrastructure\n\n## AWS Zones\nus-east-2\nus-west-1\n\n## Servers and Clusters\n\n### Table 1.1 Summary\n\
    | Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n| EC2 instance | serves | t3.small | 3 | |\n";

fn bascule(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.arg("import").args(args).current_dir(folder).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("east/.terraform")).expect("a folder");
    fs::write(folder.path().join("east/main.tf"), CODE).expect("written");
    fs::write(folder.path().join("east/.terraform/copy.tf"), CODE.replace("web", "copy")).expect("written");
    fs::write(folder.path().join("east/package.json"), "{}").expect("written");
    fs::write(folder.path().join("dr.md"), DOCUMENT).expect("written");
    folder
}

#[test]
fn a_document_and_a_folder_become_a_report_and_a_manifest() {
    let folder = folder();
    let run = bascule(folder.path(), &["dr.md", "east", "--out", "bascule.toml"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let report = text(&run.stdout);
    assert!(report.contains("BSC-I072 compute: the table says 3; the code makes 2 in us-east-2"), "{report}");
    assert!(report.contains("1 assets, 1 resources"), "hidden folders are passed over: {report}");
    let manifest = fs::read_to_string(folder.path().join("bascule.toml")).expect("written");
    assert_eq!(Manifest::parse(&manifest).expect("it parses").home.as_str(), "us-east-2");
}

#[test]
fn a_manifest_that_is_there_is_not_replaced() {
    let folder = folder();
    fs::write(folder.path().join("bascule.toml"), "mine").expect("written");
    let run = bascule(folder.path(), &["dr.md", "--out", "bascule.toml"]);
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(fs::read_to_string(folder.path().join("bascule.toml")).expect("there"), "mine");
}

#[test]
fn json_has_assets_and_findings_each_with_its_line() {
    let folder = folder();
    let run = bascule(folder.path(), &["dr.md", "east/main.tf", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(json["assets"][0]["line"], 12);
    let findings = json["findings"].as_array().expect("a list");
    assert!(findings.iter().all(|f| f["line"].is_u64() && f["code"].is_string() && f["message"].is_string()));
    assert_eq!(json["resources"][0]["address"], "aws_instance.web");
    assert_eq!(json["differences"][0]["code"], "BSC-I072");
}

#[test]
fn what_is_not_there_is_a_mistake_of_the_command_line() {
    let folder = folder();
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    for args in [&["absent.md"][..], &["empty"], &["dr.md", "dr.md"], &[]] {
        assert_eq!(bascule(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
    fs::write(folder.path().join("bad.json"), "{").expect("written");
    assert_eq!(bascule(folder.path(), &["bad.json"]).status.code(), Some(1), "nothing could be used");
}
