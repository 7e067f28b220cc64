//! Papers as facts: which checks fail on them, and which never do.

use std::path::Path;

use bascule_core::check::{Answer, Category, Checked, Code, by_code, check};
use bascule_core::facts::{Facts, Source};
use bascule_core::time::Timestamp;
use bascule_import::markdown::{self, Imported};
use bascule_import::terraform::{self, Declared};
use bascule_import::{Papers, facts};

const READ: Timestamp = Timestamp(1_790_000_000_000);

fn of(document: Option<&Imported>, declared: Option<&Declared>) -> Facts {
    facts(&Papers { document: document.map(|document| ("dr.md", document)), declared, at: READ })
}

fn document(text: &str) -> Imported {
    markdown::read(text.as_bytes()).expect("it is read")
}

fn code(text: &str) -> Declared {
    let head = "provider \"aws\" { region = \"us-east-2\" }\nprovider \"aws\" {\n  alias  = \"west\"\n  region = \"us-west-1\"\n}\n";
    let declared = terraform::read(&[("main.tf", format!("{head}{text}").as_bytes())]);
    let wrong = declared.findings.iter().filter(|n| n.finding.severity == bascule_import::Severity::Error);
    assert_eq!(wrong.count(), 0, "{:#?}", declared.findings);
    declared
}

fn failing(checked: &[Checked]) -> Vec<Code> {
    by_code(checked).into_iter().filter(|(_, a)| *a == Answer::Fails).map(|(code, _)| code).collect()
}

fn answer(checked: &[Checked], code: Code) -> Answer {
    by_code(checked)[&code]
}

/// The fixtures of the readers, by folder and ending.
fn fixtures(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = std::fs::read_dir(folder).expect("the fixtures");
    let paths = entries.map(|entry| entry.expect("a file").path());
    let named = paths.filter(|path| path.extension().is_some_and(|e| e == ending));
    named.map(|p| (p.display().to_string(), std::fs::read(&p).expect("it is there"))).collect()
}

const ZONES: &str = "## AWS Zones\nus-east-2\nus-west-1\n\n";

#[test]
fn a_document_alone_fails_no_check_but_those_of_its_plan() {
    for (name, bytes) in fixtures("markdown", "md") {
        let imported = markdown::read(&bytes).expect("it is read");
        let checked = check(&of(Some(&imported), None));
        for one in checked.iter().filter(|one| one.answer == Answer::Fails) {
            assert_eq!(one.code.category(), Category::Plan, "{name}: {one:?}");
            let placed =
                one.evidence.iter().any(|e| matches!(&e.from, Source::Line { file, .. } if file == "dr.md"));
            assert!(placed, "{name}: {one:?} names no place in the document");
        }
        let held = checked.iter().filter(|one| one.answer == Answer::Holds);
        assert!(
            held.clone().all(|one| one.code.category() == Category::Plan),
            "{name}: a claim is no observation"
        );
    }
}

#[test]
fn whatever_is_read_becomes_facts_and_every_check_answers() {
    let papers: Vec<_> = [("terraform/fixtures", "tf"), ("terraform/fixtures", "json")]
        .into_iter()
        .flat_map(|(folder, ending)| fixtures(folder, ending))
        .collect();
    for (name, bytes) in papers {
        let declared = terraform::read(&[(name.as_str(), &bytes)]);
        let facts = of(None, Some(&declared));
        assert_ne!(facts.home.name, facts.away.name, "{name}");
        assert_eq!(by_code(&check(&facts)).len(), Code::ALL.len(), "{name}");
        let alive = facts.regions().into_iter().flat_map(|r| r.compute.value().into_iter().flatten());
        let mut instances = alive.flat_map(|(_, group)| group.instances.value().into_iter().flatten());
        assert!(instances.all(|i| i.alive.value().is_none()), "{name}: papers do not show what runs");
    }
}

#[test]
fn without_any_papers_nothing_fails_and_nothing_holds() {
    assert!(check(&of(None, None)).iter().all(|one| one.answer == Answer::Unknown));
}

#[test]
fn each_defect_of_a_plan_fails_its_check_and_mending_it_does_not() {
    let sound = format!(
        "{ZONES}RPO 5 s, RTO 10 min\n\n## DR Plan\nOwner: Ana\n\n### Steps\n\
        1. Fence the old region\n2. Promote the database in us-west-1\n3. Point DNS at us-west-1\n\
        4. Verify by an order\n5. Let the old region rejoin the old way back: fail back to us-east-2\n"
    );
    assert_eq!(failing(&check(&of(Some(&document(&sound)), None))), []);
    for (code, from, to) in [
        (
            Code::NamesAfterDatabase,
            "1. Fence the old region",
            "1. Fence the old region\n1. Point DNS at us-west-1",
        ),
        (Code::Fenced, "1. Fence the old region\n", ""),
        (Code::Verified, "4. Verify by an order\n", ""),
        (Code::Failback, "5. Let the old region rejoin the old way back: fail back to us-east-2\n", ""),
        (Code::Owner, "Owner: Ana\n", ""),
        (Code::LossObjective, "RPO 5 s, ", ""),
        (Code::TimeObjective, "RTO 10 min", "RTO: TBD"),
        (Code::LostRegionUnneeded, "4. Verify", "4. Deploy the application in us-east-2\n4. Verify"),
        (Code::RegionsKnown, "Point DNS at us-west-1", "Point DNS at eu-west-1"),
    ] {
        assert!(sound.contains(from), "{from}");
        let broken = sound.replacen(from, to, 1);
        assert_eq!(failing(&check(&of(Some(&document(&broken)), None))), [code], "{broken}");
    }
    let taken = sound.replace("2. Promote the database in us-west-1", "2. RDS fails over automatically");
    assert!(failing(&check(&of(Some(&document(&taken)), None))).contains(&Code::AnotherRegion));
}

#[test]
fn an_objective_without_a_number_is_unknown_and_not_failing() {
    let checked = check(&of(Some(&document("The RPO is fifteen minutes.\n")), None));
    assert_eq!(answer(&checked, Code::LossObjective), Answer::Unknown);
    assert_eq!(answer(&checked, Code::TimeObjective), Answer::Fails);
}

#[test]
fn of_three_zones_the_other_region_is_the_one_that_steps_move_to() {
    let text = "## Zones\nus-east-2\neu-west-1\nus-west-1\n## Steps\n1. Promote the database in us-west-1\n";
    let facts = of(Some(&document(text)), None);
    assert_eq!((facts.home.name.as_str(), facts.away.name.as_str()), ("us-east-2", "us-west-1"));
    let checked = check(&facts);
    let third = checked.iter().find(|one| one.code == Code::RegionsKnown).expect("it answers");
    assert!(third.message.contains("line 3 names eu-west-1"), "{}", third.message);
}

#[test]
fn a_document_without_zones_is_not_said_to_name_both_regions() {
    let checked = check(&of(Some(&document("## Steps\n1. Promote the database in us-west-1\n")), None));
    assert_eq!(answer(&checked, Code::RegionsKnown), Answer::Unknown);
}

const PAIR: &str = "resource \"aws_lb\" \"web_east\" {\n  name = \"web\"\n}\n\
    resource \"aws_lb\" \"web_west\" {\n  provider = aws.west\n  name = \"web\"\n}\n";

#[test]
fn names_that_differ_by_place_only_are_one_asset() {
    let facts = of(None, Some(&code(PAIR)));
    for region in facts.regions() {
        let names: Vec<_> = region.load_balancer.value().expect("seen").keys().collect();
        assert_eq!(names, ["web"], "{}", region.name);
    }
    assert_ne!(answer(&check(&facts), Code::LoadBalancers), Answer::Fails);
}

#[test]
fn what_is_in_one_region_only_fails_and_what_may_be_hidden_does_not() {
    let one = "resource \"aws_lb\" \"web\" {\n  name = \"web\"\n}\nresource \"aws_vpc\" \"west\" {\n  provider = aws.west\n}\n";
    assert_eq!(answer(&check(&of(None, Some(&code(one)))), Code::LoadBalancers), Answer::Fails);
    let hidden = format!("{one}module \"west\" {{\n  source = \"./west\"\n}}\n");
    assert_eq!(answer(&check(&of(None, Some(&code(&hidden)))), Code::LoadBalancers), Answer::Unknown);
    let variable = format!("{one}resource \"aws_lb\" \"b\" {{\n  region = var.other\n}}\n");
    assert_eq!(answer(&check(&of(None, Some(&code(&variable)))), Code::LoadBalancers), Answer::Unknown);
    let others = format!(
        "{one}resource \"aws_lb\" \"api\" {{}}\nresource \"aws_lb\" \"front\" {{\n  provider = aws.west\n}}\n"
    );
    let checked = check(&of(None, Some(&code(&others))));
    assert_eq!(answer(&checked, Code::LoadBalancers), Answer::Unknown, "which stands for which is not told");
}

#[test]
fn a_region_that_no_code_is_about_is_unknown_and_not_empty() {
    let text = format!("{ZONES}## Steps\n1. Promote the database in us-west-1\n");
    let east = "resource \"aws_lb\" \"web\" {\n  name = \"web\"\n}\n";
    for document in [None, Some(document(&text))] {
        let facts = of(document.as_ref(), Some(&code(east)));
        assert!(facts.away.load_balancer.value().is_none(), "its root may not have been handed over");
        assert_eq!(answer(&check(&facts), Code::LoadBalancers), Answer::Unknown);
    }
}

#[test]
fn buckets_are_judged_by_what_is_declared_beside_them() {
    let bare = "resource \"aws_s3_bucket\" \"logs\" {\n  bucket = \"logs-east\"\n}\n\
        resource \"aws_s3_bucket\" \"logs_west\" {\n  provider = aws.west\n  bucket   = \"logs-west\"\n}\n";
    let checked = check(&of(None, Some(&code(bare))));
    assert_eq!(answer(&checked, Code::Versioning), Answer::Fails);
    assert_eq!(answer(&checked, Code::BucketReplication), Answer::Fails);
    let versioned = |name: &str, provider: &str| {
        format!(
            "resource \"aws_s3_bucket_versioning\" \"{name}\" {{\n{provider}  bucket = aws_s3_bucket.{name}.id\n  \
             versioning_configuration {{\n    status = \"Enabled\"\n  }}\n}}\n"
        )
    };
    let replicated = "resource \"aws_s3_bucket_replication_configuration\" \"logs\" {\n  \
        bucket = aws_s3_bucket.logs.id\n  role   = \"r\"\n  rule {\n    status = \"Enabled\"\n    \
        destination {\n      bucket = aws_s3_bucket.logs_west.arn\n    }\n  }\n}\n";
    let whole = format!(
        "{bare}{}{}{replicated}",
        versioned("logs", ""),
        versioned("logs_west", "  provider = aws.west\n")
    );
    let checked = check(&of(None, Some(&code(&whole))));
    assert_eq!(answer(&checked, Code::Versioning), Answer::Holds);
    assert_eq!(answer(&checked, Code::BucketReplication), Answer::Holds);
}

#[test]
fn a_replica_in_the_other_region_follows_and_two_databases_do_not() {
    let main = "resource \"aws_db_instance\" \"main\" {\n  engine = \"postgres\"\n  instance_class = \"db.t3.small\"\n}\n";
    let replica = "resource \"aws_db_instance\" \"replica\" {\n  provider = aws.west\n  instance_class = \"db.t3.small\"\n  \
        replicate_source_db = aws_db_instance.main.arn\n}\n";
    let checked = check(&of(None, Some(&code(&format!("{main}{replica}")))));
    assert_eq!(answer(&checked, Code::CrossRegionReplica), Answer::Holds, "{checked:#?}");
    let alone =
        replica.replace("  replicate_source_db = aws_db_instance.main.arn\n", "  engine = \"postgres\"\n");
    let checked = check(&of(None, Some(&code(&format!("{main}{alone}")))));
    assert_eq!(answer(&checked, Code::CrossRegionReplica), Answer::Fails);
}

#[test]
fn a_state_bucket_in_one_region_is_lost_with_it() {
    let backend = |region: &str| {
        format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"state\"\n    region = \"{region}\"\n  }}\n}}\n{PAIR}"
        )
    };
    let answered =
        |region: &str| answer(&check(&of(None, Some(&code(&backend(region))))), Code::ControlSurvives);
    assert_eq!(answered("us-east-2"), Answer::Fails);
    assert_eq!(answered("eu-west-1"), Answer::Holds);
}

#[test]
fn a_row_is_about_the_asset_of_its_kind_if_each_has_one() {
    let text = format!(
        "{ZONES}| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n| Load balancer | entry | | 2 | |\n"
    );
    let facts = of(Some(&document(&text)), Some(&code(PAIR)));
    let wanted: Vec<_> = facts.wanted.iter().map(|w| (w.name.as_str(), w.purpose.as_str())).collect();
    assert_eq!(wanted, [("web", "entry")]);
}
