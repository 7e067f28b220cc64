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
    assert!(report.contains("1 asset, 1 resource"), "hidden folders are passed over: {report}");
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
    fs::copy(folder.path().join("dr.md"), folder.path().join("other.md")).expect("copied");
    for args in [&["absent.md"][..], &["empty"], &["dr.md", "other.md"], &[]] {
        assert_eq!(bascule(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
    fs::write(folder.path().join("bad.json"), "{").expect("written");
    assert_eq!(bascule(folder.path(), &["bad.json"]).status.code(), Some(1), "nothing could be used");
}

/// A document of the shape that the template has when its DR column was never filled in.
const UNFILLED: &str = "# Infrastructure\n\n## AWS Zones\nIdentify your zones here\neu-west-1\neu-central-1\n\n\
    ## Servers and Clusters\n\n### Table 1.1 Summary\n\
    | Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n\
    | EC2 instance | Running the ticket shop | t3.medium | 2 instances | Identify if this asset is deployed, or what else |\n\
    | Kubernetes cluster | For the monitoring | NA | 2 nodes | |\n\
    | Load balancer | Entry | NA | 1 | TBD |\n\
    | S3 buckets | Backups | NA | 2 | |\n\
    | S3 key pairs | SSH keys | NA | 2 | - |\n\
    | Monitoring platform | Grafana | NA | 1 | |\n\
    | GitHub repo | Terraform code | NA | 1 | |\n\
    | RDS cluster | Tickets | db.t2.small | 1 | |\n\
    | Asset name | Brief description | AWS size eg. t3.nano | Number of nodes | Identify if this asset is deployed |\n\n\
    ## DR Plan\n### Pre-Steps:\n- Grow from 1 db node to 3 nodes.\n- Go from 2 K8s nodes to 3 K8s nodes.\n\
    - Run 3 VM instances on EC2\n\n## Steps:\nPoint our DNS at eu-central-1\n\
    Fail the database over to eu-central-1\n";

#[test]
fn an_unfilled_document_is_read_whole_and_its_plan_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("dr.md"), UNFILLED).expect("written");
    let run = bascule(folder.path(), &["dr.md", "--json"]);
    assert_eq!(run.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(json["assets"].as_array().map(Vec::len), Some(8), "the sample row is none");
    let findings = json["findings"].as_array().expect("a list");
    let of = |code: &str| -> Vec<&str> {
        let those = findings.iter().filter(|finding| finding["code"] == code);
        those.map(|finding| finding["message"].as_str().expect("a text")).collect()
    };
    assert_eq!(of("BSC-I005").len(), 8, "every DR cell is empty");
    assert_eq!(of("BSC-I003").len(), 1, "the sample row");
    assert_eq!(
        of("BSC-I030"),
        [
            "a step asks for 3 database nodes; the table says 1 (line 20)",
            "a step asks for 3 cluster nodes; the table says 2 (line 14)",
            "a step asks for 3 instances; the table says 2 (line 13)",
        ]
    );
    assert_eq!(of("BSC-I031"), ["`S3 key pairs`: these are EC2 key pairs; S3 has none"]);
    assert_eq!(of("BSC-I032"), ["`db.t2.small` of `RDS cluster`: AWS has retired it for RDS"]);
    let checks = json["checks"].as_array().expect("a list");
    let failing: Vec<(&str, u64)> = checks
        .iter()
        .filter(|check| check["answer"] == "fails")
        .map(|check| (check["code"].as_str().expect("a code"), check["line"].as_u64().expect("a line")))
        .collect();
    let codes: Vec<&str> = failing.iter().map(|(code, _)| *code).collect();
    let expected = ["BSC-C001", "BSC-C002", "BSC-C003", "BSC-C004", "BSC-C005", "BSC-C006", "BSC-C007"];
    assert_eq!(codes, expected, "only what a document can show fails");
    let report = text(&bascule(folder.path(), &["dr.md"]).stdout);
    assert!(
        report.contains("dr.md:13: BSC-I005 warning: the DR cell is empty (also on lines 14-20)"),
        "{report}"
    );
    assert!(report.contains("dr.md:30: Point our DNS at eu-central-1"), "{report}");
    assert!(report.contains("7 fail"), "{report}");
}

#[test]
fn a_folder_a_region_and_a_document_are_one_site() {
    let folder = folder();
    let west = CODE.replace("us-east-2", "us-west-1").replace("count         = 2", "count         = 3");
    fs::create_dir(folder.path().join("west")).expect("a folder");
    fs::write(folder.path().join("west/main.tf"), west).expect("written");
    let run = bascule(folder.path(), &["east", "west", "dr.md", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let regions: Vec<_> =
        json["resources"].as_array().expect("a list").iter().map(|r| &r["region"]["is"]).collect();
    assert_eq!(regions, ["us-east-2", "us-west-1"]);
    let checks = json["checks"].as_array().expect("a list");
    let few: Vec<_> = checks.iter().filter(|c| c["code"] == "BSC-C014" && c["answer"] == "fails").collect();
    assert_eq!(few.len(), 1, "only one region has fewer than three");
    assert_eq!((&few[0]["file"], &few[0]["line"]), (&"east/main.tf".into(), &5.into()));
    let again = bascule(folder.path(), &["east", "east/main.tf", "west", "dr.md", "--json"]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again["resources"], json["resources"], "a file that is named twice counts once");
}

/// Run on one path; its exit code and what stderr says.
fn refused(folder: &Path, path: &str) -> (Option<i32>, String, String) {
    let run = bascule(folder, &[path]);
    (run.status.code(), text(&run.stderr), text(&run.stdout))
}

#[test]
fn what_can_not_be_opened_names_the_place_and_the_remedy() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    std::os::unix::fs::symlink("b.md", at("a.md")).expect("a link");
    std::os::unix::fs::symlink("a.md", at("b.md")).expect("a link");
    let deep = (0..18).map(|n| n.to_string()).collect::<Vec<_>>().join("/");
    fs::create_dir_all(at(&format!("deep/{deep}"))).expect("folders");
    for (path, says) in [
        (
            "absent.md",
            "absent.md can't be read: No such file or directory (os error 2); look at how it is spelt",
        ),
        ("a.md", "a.md can't be read: Too many levels of symbolic links"),
        ("/dev/null", "/dev/null is neither a file nor a folder; name a file"),
        ("deep", "is more than 16 folders deep; name the folders of the roots themselves"),
    ] {
        let (code, stderr, stdout) = refused(folder.path(), path);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{path}: {stderr}");
        assert!(stderr.contains(says), "{path}: {stderr}");
    }
}

#[test]
fn a_file_of_no_use_is_named_with_a_remedy_and_ends_in_1() {
    let folder = folder();
    let write = |path: &str, bytes: &[u8]| fs::write(folder.path().join(path), bytes).expect("written");
    write("empty.md", b" \n");
    write("saved.tfplan", b"PK\x03\x04rest");
    write("plan.pdf", b"%PDF-1.7");
    write("photo.md", &[0x89, b'P', b'N', b'G', 0, 0xff]);
    write("large.md", &vec![b'#'; bascule_import::MAX_BYTES + 1]);
    write("words.md", b"Nothing of note.\n");
    write("broken.tf", b"resource \"aws_lb\" {{{");
    for (path, says) in [
        ("empty.md", "it is empty"),
        ("saved.tfplan", "hand over `terraform show -json` of the plan"),
        ("plan.pdf", "export the document as Markdown"),
        ("photo.md", "it is not text"),
        ("large.md", "split the document"),
        ("words.md", "no plan has steps"),
        ("broken.tf", "broken.tf:1: BSC-I053"),
    ] {
        let (code, stderr, stdout) = refused(folder.path(), path);
        assert_eq!(code, Some(1), "{path}: {stdout}{stderr}");
        assert!(stdout.contains(says) && stdout.contains(path), "{path}: {stdout}");
        assert!(!stdout.contains("Checks that fail"), "nothing is judged: {stdout}");
    }
    let beside = bascule(folder.path(), &["dr.md", "broken.tf"]);
    assert_eq!(beside.status.code(), Some(1), "the rest is read, and the loss is not hidden");
    assert!(
        text(&beside.stdout).contains("1 asset,")
            && text(&beside.stderr).contains("broken.tf could not be used")
    );
}

#[test]
fn links_in_a_folder_are_named_and_not_followed() {
    let folder = folder();
    std::os::unix::fs::symlink("..", folder.path().join("east/up")).expect("a link");
    std::os::unix::fs::symlink("main.tf", folder.path().join("east/other.tf")).expect("a link");
    let run = bascule(folder.path(), &["east"]);
    assert_eq!(run.status.code(), Some(0));
    let report = text(&run.stdout);
    for name in ["east/up", "east/other.tf"] {
        assert!(
            report.contains(&format!("{name}: BSC-I058 warning: links in folders are not followed")),
            "{report}"
        );
    }
}
