//! A document for each shape that real ones have: what is read of it, and what is said of the rest.

use std::collections::BTreeSet;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{DrCell, Intent};

use super::{assets, findings, fixture, fixtures, imported, steps};

/// What is read of one fixture.
struct Shape {
    file: &'static str,
    zones: &'static [&'static str],
    /// Line, kind, number, name.
    assets: &'static [&'static str],
    /// The code's number and the line.
    findings: &'static [&'static str],
    /// The lines of its tables' headers and delimiter rows: they become nothing, and need not.
    headers: &'static [usize],
}

const NONE: &[&str] = &[];

const SHAPES: &[Shape] = &[
    Shape {
        file: "bare",
        zones: &["us-east-2", "us-west-1"],
        assets: &["6 compute 2 EC2", "7 database 3 RDS Postgres", "8 kubernetes 3 K8s"],
        findings: &["I018 1", "I016 5", "I005 8", "I010 8", "I030 15"],
        headers: &[5],
    },
    Shape {
        file: "bom_crlf",
        zones: &["eu-west-1", "eu-west-3"],
        assets: &["8 compute 2 EC2 instance"],
        findings: NONE,
        headers: &[6, 7],
    },
    Shape {
        file: "cells_extra",
        zones: NONE,
        assets: &["4 compute 2 EC2 instance", "5 object_storage 3 S3 buckets"],
        findings: &["I011 4"],
        headers: &[2, 3],
    },
    Shape {
        file: "cells_missing",
        zones: NONE,
        assets: &[
            "4 compute 2 EC2 instance",
            "5 load_balancer - Load balancer",
            "6 repository - GitHub repo",
        ],
        findings: &["I005 4", "I010 4", "I005 5", "I009 5", "I010 5", "I005 6", "I009 6", "I010 6"],
        headers: &[2, 3],
    },
    Shape {
        file: "column_order",
        zones: NONE,
        assets: &["4 load_balancer 2 front", "5 compute 6 workers"],
        findings: &["I017 2"],
        headers: &[2, 3],
    },
    Shape {
        file: "comments_fences",
        zones: NONE,
        assets: &["4 compute 2 EC2 instance", "7 repository 1 GitHub repo"],
        findings: &["I018 4", "I018 5", "I018 5", "I018 6", "I018 9", "I018 10", "I036 14", "I019 16"],
        headers: &[2, 3],
    },
    Shape {
        file: "contradictions",
        zones: &["us-east-1", "us-west-2"],
        assets: &[
            "8 compute 2 EC2 instance",
            "9 key_pair 2 S3 key pairs",
            "10 database 1 RDS cluster",
            "11 kubernetes 2/region Kubernetes cluster",
        ],
        findings: &[
            "I032 8", "I031 9", "I032 10", "I038 11", "I030 14", "I036 14", "I037 16", "I030 18", "I030 18",
            "I036 20", "I035 22", "I036 22",
        ],
        headers: &[6, 7],
    },
    Shape {
        file: "delimiter_doubled",
        zones: NONE,
        assets: &["6 compute 2 EC2 instance", "8 load_balancer 1 Load balancer"],
        findings: &["I016 2", "I016 5", "I016 7"],
        headers: &[3, 4],
    },
    Shape {
        file: "delimiter_missing",
        zones: NONE,
        assets: &["3 compute 2 EC2 instance", "4 load_balancer 1 Load balancer"],
        findings: &["I016 2"],
        headers: &[2],
    },
    Shape {
        file: "grid",
        zones: NONE,
        assets: &["5 load_balancer 1 Load balancer"],
        findings: &["I016 2", "I016 6"],
        headers: &[3, 4],
    },
    Shape {
        file: "header_missing",
        zones: NONE,
        assets: &["2 compute 2 EC2 instance", "3 database 1 RDS cluster"],
        findings: &["I015 2"],
        headers: &[],
    },
    Shape {
        file: "header_unknown",
        zones: NONE,
        assets: &["4 compute 2 EC2 instance"],
        findings: &["I015 2"],
        headers: &[2, 3],
    },
    Shape {
        file: "header_words",
        zones: NONE,
        assets: &["4 compute 4 Web servers", "5 database 2 Postgres database"],
        findings: NONE,
        headers: &[2, 3],
    },
    Shape {
        file: "headings",
        zones: &["eu-west-1", "eu-west-3"],
        assets: &["13 load_balancer 1 Load balancer"],
        findings: &["I036 19"],
        headers: &[11, 12],
    },
    Shape { file: "html_table", zones: NONE, assets: NONE, findings: &["I013 3", "I013 5"], headers: &[] },
    Shape {
        file: "names_first",
        zones: &["ca-central-1", "us-west-2"],
        assets: NONE,
        findings: &["I037 4"],
        headers: &[],
    },
    Shape {
        file: "noise",
        zones: NONE,
        assets: &["17 - 1 Widget", "18 compute 2 desk-1", "20 load_balancer 1 Load balancer"],
        findings: &[
            "I018 1", "I018 5", "I013 8", "I013 10", "I014 15", "I014 16", "I006 17", "I007 17", "I006 18",
            "I008 18", "I013 19",
        ],
        headers: &[9, 13, 14],
    },
    Shape {
        file: "pipe_in_purpose",
        zones: NONE,
        assets: &["4 compute 2 EC2 instance"],
        findings: &["I011 4", "I012 4"],
        headers: &[2, 3],
    },
    Shape {
        file: "pipes_missing",
        zones: NONE,
        assets: &[
            "4 compute 2 EC2 instance",
            "5 load_balancer 1 Load balancer",
            "9 object_storage 2 S3 buckets",
            "10 key_pair 2 SSH key pairs",
        ],
        findings: &["I018 7"],
        headers: &[2, 3],
    },
    Shape {
        file: "pipes_quoted",
        zones: NONE,
        assets: &[
            "4 compute 2 EC2 instance",
            "5 load_balancer 1 Load balancer",
            "6 object_storage 2 S3 buckets",
        ],
        findings: NONE,
        headers: &[2, 3],
    },
    Shape {
        file: "plans",
        zones: &["us-east-1", "us-west-2"],
        assets: NONE,
        findings: &["I025 7"],
        headers: &[],
    },
    Shape {
        file: "quantities",
        zones: NONE,
        assets: &[
            "4 compute 2 EC2 instance",
            "5 compute 3/region EC2 instance",
            "6 compute - EC2 bastion hosts",
            "7 kubernetes 6 Kubernetes cluster",
            "8 object_storage - S3 buckets",
            "9 database - RDS cluster",
            "10 load_balancer - Load balancer",
            "11 repository - GitHub repo",
        ],
        findings: &["I009 6", "I009 9", "I009 10", "I009 11"],
        headers: &[2, 3],
    },
    Shape {
        file: "sample_row",
        zones: NONE,
        assets: &["5 compute 2 EC2 instance"],
        findings: &["I003 4", "I005 5", "I003 6"],
        headers: &[2, 3],
    },
    Shape {
        file: "shifted_left",
        zones: NONE,
        assets: &["4 compute 2 EC2 instance", "5 kubernetes 3 Kubernetes cluster"],
        findings: &["I012 4", "I010 5", "I012 5"],
        headers: &[2, 3],
    },
    Shape {
        file: "steps_headings",
        zones: NONE,
        assets: NONE,
        findings: &["I037 1", "I025 6", "I025 6"],
        headers: &[],
    },
    Shape {
        file: "steps_prose",
        zones: &["us-east-1", "us-west-2"],
        assets: NONE,
        findings: &["I037 4", "I025 7"],
        headers: &[],
    },
    Shape {
        file: "steps_table",
        zones: NONE,
        assets: NONE,
        findings: &["I037 1", "I014 7"],
        headers: &[2, 3],
    },
    Shape {
        file: "two_rows",
        zones: &["us-east-1", "us-west-2"],
        assets: &[
            "8 database 2 RDS cluster (primary)",
            "9 database 1 RDS cluster (DR)",
            "10 compute 2 EC2 instance",
            "11 compute 1 EC2 instance",
            "12 load_balancer 1 Load balancer",
            "13 load_balancer 2 Load balancer",
        ],
        findings: &["I034 9", "I024 11", "I033 11", "I033 13"],
        headers: &[6, 7],
    },
    Shape {
        file: "typos",
        zones: &["eu-west-1", "eu-west-3"],
        assets: &[
            "8 kubernetes 3 Kuberenetes cluster",
            "9 load_balancer 1 Load blancer",
            "10 database 3 Databse",
        ],
        findings: &["I008 8", "I008 9", "I008 10", "I035 18"],
        headers: &[6, 7],
    },
    Shape {
        file: "steps_code",
        zones: &["us-east-1", "us-west-2"],
        assets: NONE,
        findings: &["I037 1", "I018 21", "I018 25"],
        headers: &[],
    },
    Shape {
        file: "three_zones",
        zones: &["us-east-2", "eu-west-1", "us-west-1"],
        assets: NONE,
        findings: &["I037 6"],
        headers: &[],
    },
    Shape {
        file: "titled",
        zones: &["us-east-1", "us-west-2"],
        assets: NONE,
        findings: &["I018 5", "I018 8", "I018 10"],
        headers: &[],
    },
    Shape {
        file: "wide",
        zones: &["eu-west-1", "eu-central-1"],
        assets: &[
            "10 compute 6 EC2 instances",
            "11 database 3 Aurora PostgreSQL",
            "12 load_balancer 1 ALB",
            "13 database 1 RDS for reports",
        ],
        findings: &["I017 8"],
        headers: &[8, 9],
    },
    Shape {
        file: "whole",
        zones: &["eu-central-1", "eu-west-1"],
        assets: &["12 compute 3/region EC2 instances", "13 database 3 RDS cluster", "14 dns 1 Route 53 zone"],
        findings: NONE,
        headers: &[10, 11],
    },
    Shape {
        file: "zones_table",
        zones: &["us-east-1", "us-west-2"],
        assets: NONE,
        findings: &["I014 6"],
        headers: &[2, 3],
    },
    Shape {
        file: "zones_wrong",
        zones: &["us-esat-1", "us-west-2", "Ohio"],
        assets: NONE,
        findings: &["I004 2", "I021 3", "I021 4", "I021 6", "I018 7", "I035 10", "I035 11"],
        headers: &[],
    },
    Shape {
        file: "within_table",
        zones: &["us-east-1", "us-west-2"],
        assets: &["11 compute 2 EC2 instance", "12 database 2 RDS cluster"],
        findings: &["I028 1", "I028 3", "I021 4", "I022 5", "I021 6", "I014 7", "I028 8"],
        headers: &[2, 9, 10],
    },
    Shape {
        file: "tabs",
        zones: &["us-east-1", "us-west-2"],
        assets: &["8 compute 2 EC2 instance", "9 object_storage 2 S3 bucket"],
        findings: &["I018 11"],
        headers: &[],
    },
    Shape {
        file: "zones_labels",
        zones: &["eu-west-1", "eu-central-1"],
        assets: NONE,
        findings: &["I021 9", "I021 11"],
        headers: &[],
    },
    Shape {
        file: "zones_headings",
        zones: &["eu-west-3", "eu-north-1", "eu-south-1"],
        assets: NONE,
        findings: &["I021 2", "I018 7", "I018 11"],
        headers: &[],
    },
    Shape {
        file: "zones_mixed",
        zones: &["us-east-1", "us-west-1", "us-west-2", "eu-west-1"],
        assets: NONE,
        findings: &["I021 5", "I021 6"],
        headers: &[],
    },
    Shape {
        file: "zones_row",
        zones: &["us-east-1", "us-west-2"],
        assets: &["8 compute 2/region EC2 instance", "9 dns 1 Route 53 zone"],
        findings: &["I004 2", "I018 7"],
        headers: &[5, 6],
    },
    Shape {
        file: "prompts",
        zones: NONE,
        assets: &["5 compute - EC2 instance", "7 database 2 RDS cluster"],
        findings: &["I003 2", "I004 5", "I009 5", "I013 6", "I004 7", "I013 9", "I003 10"],
        headers: &[3, 4],
    },
    Shape {
        file: "clusters",
        zones: &["eu-west-1", "eu-central-1"],
        assets: &[
            "8 kubernetes 2/region EKS cluster",
            "9 database 4 RDS cluster",
            "10 database - Aurora",
            "11 compute 6 EC2 instance",
            "12 load_balancer 1/region ALB",
            "13 - - VPC",
            "14 - - EC2 security group",
        ],
        findings: &["I009 10", "I005 12", "I027 13", "I027 14", "I030 21"],
        headers: &[6, 7],
    },
    Shape {
        file: "pairs",
        zones: &["eu-west-1", "eu-central-1"],
        assets: &[
            "8 compute 2 EC2",
            "9 compute 2 EC2",
            "10 database 2 RDS",
            "11 database 2 RDS",
            "12 object_storage 1 S3 bucket",
            "13 load_balancer 1 ALB",
            "14 key_pair 1 Key pair",
            "19 compute 1 EC2",
            "20 load_balancer 1 ALB",
        ],
        findings: &["I034 9", "I033 11", "I006 12", "I035 13", "I006 14", "I026 17", "I034 19"],
        headers: &[6, 7, 17, 18],
    },
    Shape {
        file: "steps_odd",
        zones: NONE,
        assets: NONE,
        findings: &["I037 1", "I025 3", "I025 5", "I037 12", "I025 17", "I025 20"],
        headers: &[7, 8],
    },
];

fn shape(file: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.file == file).unwrap_or_else(|| panic!("nothing is said of {file}"))
}

#[test]
fn each_shape_is_read_as_its_author_meant_it() {
    for shape in SHAPES {
        let imported = imported(fixture(shape.file));
        let zones: Vec<_> = imported.document.zones.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(zones, shape.zones, "zones of {}", shape.file);
        assert_eq!(assets(&imported.document), shape.assets, "assets of {}", shape.file);
        assert_eq!(
            findings(&imported),
            shape.findings,
            "findings of {}: {:#?}",
            shape.file,
            imported.findings
        );
    }
}

#[test]
fn every_fixture_is_a_shape() {
    let said: BTreeSet<&str> = SHAPES.iter().map(|shape| shape.file).collect();
    assert!(said.len() >= 25 && said.len() == SHAPES.len());
    let files = fixtures();
    assert_eq!(files.iter().map(String::as_str).collect::<BTreeSet<_>>(), said);
}

#[test]
fn each_line_of_each_table_is_an_asset_or_a_finding() {
    for name in fixtures() {
        let bytes = fixture(&name);
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        let imported = imported(&bytes);
        let document = &imported.document;
        let mut accounted: BTreeSet<usize> = imported.findings.iter().map(|finding| finding.line).collect();
        accounted.extend(document.assets.iter().map(|row| row.line));
        accounted.extend(document.zones.iter().map(|zone| zone.line));
        accounted.extend(steps(document).iter().map(|step| step.line));
        accounted.extend(shape(&name).headers);
        for (at, line) in text.lines().enumerate() {
            let row = line.contains('|') || line.contains("<td>");
            assert!(!row || accounted.contains(&(at + 1)), "{name}.md:{}: dropped: {line}", at + 1);
        }
    }
}

#[test]
fn a_document_in_order_has_nothing_against_it() {
    let imported = imported(fixture("whole"));
    assert_eq!(imported.findings, vec![]);
    let intents: Vec<_> = imported.document.plans[0].steps.iter().map(|step| step.intents.clone()).collect();
    let expected = [Intent::HoldWrites, Intent::PromoteDatabase, Intent::MoveNames, Intent::Verify];
    assert_eq!(intents, expected.map(|intent| vec![intent]));
    assert!(imported.document.plans[0].steps.iter().all(|step| step.owner.is_some()));
}

#[test]
fn the_templates_question_is_no_answer() {
    let document = imported(fixture("sample_row")).document;
    assert!(document.assets.iter().all(|row| row.dr == DrCell::Empty));
}

#[test]
fn names_before_the_database_is_told_from_database_before_names() {
    let order = |name| {
        let document = imported(fixture(name)).document;
        document.plans[0].steps.iter().flat_map(|step| step.intents.clone()).collect::<Vec<_>>()
    };
    assert_eq!(order("names_first"), [Intent::MoveNames, Intent::PromoteDatabase]);
    assert_eq!(order("steps_prose"), [Intent::PromoteDatabase, Intent::MoveNames, Intent::Verify]);
}

#[test]
fn several_plans_stay_apart_with_their_ticks_and_owners() {
    let plans = imported(fixture("plans")).document.plans;
    assert_eq!(
        plans.iter().map(|plan| (plan.line, plan.pre_steps.len(), plan.steps.len())).collect::<Vec<_>>(),
        [(4, 2, 2), (13, 0, 2)]
    );
    assert_eq!(
        plans[0].pre_steps.iter().map(|step| step.done).collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );
    let owners: Vec<_> =
        plans.iter().flat_map(|plan| &plan.steps).map(|step| step.owner.as_deref()).collect();
    assert_eq!(owners, [Some("Dana"), Some("@netops"), Some("the duty manager"), Some("the duty manager")]);
}

#[test]
fn a_table_of_steps_gives_their_owners_and_whether_they_are_done() {
    let document = imported(fixture("steps_table")).document;
    let read: Vec<_> =
        steps(&document).iter().map(|step| (step.line, step.owner.as_deref(), step.done)).collect();
    assert_eq!(read, [(4, Some("Noor"), Some(true)), (5, Some("Noor"), Some(false)), (6, None, Some(false))]);
}

#[test]
fn headings_can_be_steps_and_phases_can_be_sections() {
    let plan = &imported(fixture("steps_headings")).document.plans[0];
    assert_eq!(plan.pre_steps[0].intents, [Intent::Restore]);
    let asked: Vec<_> = plan.steps.iter().filter_map(|step| step.intents.first()).collect();
    assert_eq!(asked, [&Intent::PromoteDatabase, &Intent::MoveNames, &Intent::Failback]);
}

#[test]
fn a_cell_that_has_shifted_is_read_where_it_belongs() {
    let rows = imported(fixture("shifted_left")).document.assets;
    assert_eq!((rows[0].size.as_deref(), rows[0].quantity), (Some("t3.small"), Some(Quantity::Total(2))));
    assert_eq!((rows[1].size.as_deref(), rows[1].quantity), (None, Some(Quantity::Total(3))));
    assert!(rows.iter().all(|row| row.dr != DrCell::Empty));
}

#[test]
fn the_contradictions_of_a_document_name_both_places() {
    let imported = imported(fixture("contradictions"));
    let said = |text: &str| imported.findings.iter().any(|finding| finding.message.contains(text));
    for text in [
        "the text says 3 instances; the table says 2 (line 8)",
        "a step asks for 5 database nodes; the table says 1 (line 10)",
        "this starts from 3 database nodes; the table says 1 (line 10)",
        "`S3 key pairs`: these are EC2 key pairs; S3 has none",
        "`db.m4.large` of `RDS cluster`: AWS has retired it for RDS",
        "`us-west-3` is not one of the zones (us-east-1, us-west-2)",
        "names backups",
        "names DNS records",
        "steps without an owner: 1 of 1",
    ] {
        assert!(said(text), "{text}: {:#?}", imported.findings);
    }
}

#[test]
fn a_number_per_region_is_the_same_as_its_product() {
    let text = |number: &str| {
        format!(
            "## Zones\n- us-east-1\n- us-west-2\n\n## Table\n| Asset | Purpose | Qty | DR |\n|---|---|---|---|\n\
             | EC2 instance | Web | 3 per region | deployed |\n\n## Descriptions\n{number} EC2 instances run the site.\n"
        )
    };
    assert_eq!(
        imported(text("6"))
            .findings
            .iter()
            .filter(|f| f.code == bascule_import::Code::NumbersDisagree)
            .count(),
        0
    );
    assert_eq!(
        imported(text("4"))
            .findings
            .iter()
            .filter(|f| f.code == bascule_import::Code::NumbersDisagree)
            .count(),
        1
    );
}

#[test]
fn parts_that_are_not_there_are_said() {
    let imported = imported("# Infrastructure\n");
    assert_eq!(imported.findings.len(), 3);
    assert!(imported.findings.iter().all(|finding| finding.code == bascule_import::Code::SectionMissing));
}

#[test]
fn a_pre_step_scales_what_it_names() {
    let document = imported(fixture("contradictions")).document;
    let scale = Intent::Scale { kind: AssetKind::Database, to: Quantity::Total(5) };
    assert_eq!(document.plans[0].pre_steps[0].intents, [scale]);
}
