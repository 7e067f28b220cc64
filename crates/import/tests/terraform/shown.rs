//! States and plans, as `terraform show -json` prints them.

use bascule_core::asset::AssetKind;
use bascule_import::Code;
use bascule_import::terraform::{Facts, Known};

use super::{at, codes, found, is, set, site, text, why};

#[test]
fn a_resource_has_its_facts_its_region_and_its_line() {
    let declared = site(&["state.json"]);
    let web = at(&declared, "aws_instance.web[1]");
    assert_eq!((web.kind, &web.region, web.place.line), (Some(AssetKind::Compute), &text("us-east-2"), 18));
    assert_eq!(web.units(), is(1));
    let Facts::Instance { size, image, key_name, subnet, zone, .. } = &web.facts else { panic!() };
    assert_eq!((size, image, key_name), (&text("t3.medium"), &set("ami-0a1"), &set("ops")));
    assert_eq!((subnet, zone), (&set("subnet-2"), &set("us-east-2b")));
    let Facts::Database { multi_zone, backup_retention_days, replica_of, size, database, .. } =
        &at(&declared, "aws_db_instance.main").facts
    else {
        panic!()
    };
    assert_eq!((multi_zone, backup_retention_days), (&is(true), &is(7)));
    assert_eq!((replica_of, size, database), (&is(None), &text("db.t3.small"), &set("orders")));
}

#[test]
fn what_is_not_known_here_is_counted_and_not_dropped() {
    let declared = site(&["state.json"]);
    let [(_, line, message)] = found(&declared, Code::TerraformUnknownType)[..] else { panic!() };
    assert!(line > 0 && message.contains("1 resource of type aws_iam_role"), "{line} {message}");
    assert_eq!(found(&declared, Code::TerraformIdle).len(), 1, "the data source");
    assert!(declared.resources.iter().any(|r| r.address == "aws_iam_role.web" && r.facts == Facts::Other));
}

#[test]
fn modules_of_a_state_are_open() {
    let declared = site(&["state_modules.json"]);
    let nodes = at(&declared, r#"module.site.module.nodes["a]b"].aws_eks_node_group.ng"#);
    assert_eq!((nodes.kind, nodes.units()), (Some(AssetKind::Kubernetes), is(2)));
    assert_eq!((&nodes.region, nodes.place.line), (&text("us-west-1"), 10));
    assert_eq!(declared.regions(), ["us-west-1"]);
    assert!(codes(&declared).is_empty(), "{:?}", declared.findings);
}

#[test]
fn a_sensitive_value_is_neither_kept_nor_printed() {
    let names =
        ["state.json", "state_secrets.json", "plan.json", "values/main.tf", "database.tf", "platform.tf"];
    let declared = site(&names);
    let printed = format!("{declared:?}{}", serde_json::to_string(&declared).unwrap());
    for secret in ["hunter2", "correct-horse", "battery-staple", "secret-size"] {
        assert!(!printed.contains(secret), "{secret}");
    }
    let declared = site(&["state_secrets.json"]);
    let Facts::Instance { size, .. } = &at(&declared, "aws_instance.odd").facts else { panic!() };
    assert_eq!(why(size), "instance_type is sensitive");
}

#[test]
fn secrets_can_be_compared_whether_they_are_marked_or_not() {
    let declared = site(&["state_secrets.json"]);
    let digest = |address| match &at(&declared, address).facts {
        Facts::SecretVersion { digest: Known::Is(Some(digest)), .. } => digest.clone(),
        Facts::Parameter { digest: Known::Is(Some(digest)), .. } => digest.clone(),
        other => panic!("{other:?}"),
    };
    let (east, west) = ("aws_secretsmanager_secret_version.db", "aws_secretsmanager_secret_version.west");
    assert_eq!(digest(east), digest(west));
    assert_ne!(digest(east), digest("aws_ssm_parameter.token"));
    let Facts::Secret { replicas, .. } = &at(&declared, "aws_secretsmanager_secret.db").facts else {
        panic!()
    };
    assert_eq!(replicas, &is(vec!["us-west-1".to_owned()]));
}

#[test]
fn an_old_states_bucket_carries_its_own_versioning_and_replication() {
    let declared = site(&["state_old.json"]);
    let bucket = at(&declared, "aws_s3_bucket.backups");
    let Facts::Bucket { versioning, replicated_to, .. } = &bucket.facts else { panic!() };
    assert_eq!(versioning, &is(Some(true)));
    assert_eq!(replicated_to, &is(vec!["arn:aws:s3:::shop-backups-west".to_owned()]));
    assert_eq!(bucket.region, text("us-east-2"));
}

#[test]
fn an_empty_state_is_no_mistake() {
    let declared = site(&["state_empty.json"]);
    assert!(declared.resources.is_empty() && declared.findings.is_empty());
}

#[test]
fn another_format_is_refused_with_what_to_do() {
    let declared = site(&["state_format2.json", "raw.tfstate"]);
    assert_eq!(codes(&declared), [Code::TerraformFormat, Code::TerraformRawState]);
    assert!(declared.findings.iter().all(|n| n.finding.remedy.contains("terraform show -json")));
    assert!(declared.resources.is_empty());
}

#[test]
fn ragged_parts_are_left_out_one_by_one_and_said() {
    let declared = site(&["state_ragged.json"]);
    assert_eq!(codes(&declared), [Code::TerraformShape; 4]);
    assert_eq!(declared.resources.len(), 1);
    let Facts::Network { addresses } = &at(&declared, "aws_vpc.c").facts else { panic!() };
    assert_eq!(addresses, &set("10"), "a number where a text is meant is its text");
}

#[test]
fn a_plans_regions_come_from_its_providers() {
    let declared = site(&["plan.json"]);
    assert_eq!(at(&declared, "aws_instance.web[0]").region, text("us-east-2"), "a variable's value");
    assert_eq!(at(&declared, r#"aws_instance.dr["a"]"#).region, text("us-west-1"), "an alias");
    let inner = &at(&declared, "module.db.aws_db_instance.main").region;
    assert_eq!(inner, &text("us-east-2"), "the root's provider, in a module");
    assert_eq!(at(&declared, "aws_route53_record.app").region, text("global"));
    assert!(!declared.resources.iter().any(|r| r.address == "aws_instance.gone"), "it will be destroyed");
}

#[test]
fn what_is_known_only_after_apply_is_unknown() {
    let declared = site(&["plan.json"]);
    let Facts::Instance { size, .. } = &at(&declared, r#"aws_instance.dr["a"]"#).facts else { panic!() };
    assert_eq!(why(size), "instance_type: known only after apply");
    let Facts::Record(record) = &at(&declared, "aws_route53_record.app").facts else { panic!() };
    assert_eq!(why(&record.values), "records: known only after apply");
    assert_eq!((&record.failover, &record.ttl_s), (&set("PRIMARY"), &is(Some(60))));
}

#[test]
fn a_state_that_is_handed_over_twice_counts_once() {
    let bytes = super::fixture("state.json");
    let declared = bascule_import::terraform::read(&[("a.json", &bytes), ("b.json", &bytes)]);
    assert_eq!(declared.resources.iter().filter(|r| r.type_name == "aws_instance").count(), 2);
    let [(file, _, message)] = found(&declared, Code::TerraformTwice)[..] else { panic!() };
    assert_eq!((file, message.starts_with("4 resources")), ("b.json", true), "{message}");
}
