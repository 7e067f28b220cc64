//! Code: folders of `.tf` files.

use bascule_core::asset::AssetKind;
use bascule_import::Code;
use bascule_import::terraform::Facts;

use super::{at, codes, found, is, set, site, text, why};

const REGIONS: [&str; 4] = ["east/main.tf", "east/variables.tf", "west/main.tf", "west/variables.tf"];

#[test]
fn a_folder_a_region_makes_one_site() {
    let declared = site(&REGIONS);
    let web: Vec<_> = declared.resources.iter().filter(|r| r.kind == Some(AssetKind::Compute)).collect();
    let found: Vec<_> = web.iter().map(|r| (&*r.root, r.region.clone(), r.units(), r.place.line)).collect();
    assert_eq!(found, [("east", text("us-east-2"), is(3), 18), ("west", text("us-west-1"), is(2), 18)]);
    assert_eq!(declared.regions(), ["us-east-2", "us-west-1"]);
    let backends: Vec<_> = declared.backends.iter().map(|b| (&*b.root, &*b.kind, &b.region)).collect();
    assert_eq!(backends, [("east", "s3", &set("us-east-2")), ("west", "s3", &set("us-east-2"))]);
}

#[test]
fn locals_and_variables_are_resolved_and_references_are_kept_as_links() {
    let declared = site(&REGIONS[..2]);
    let Facts::KeyPair { name, public_key, fingerprint } = &at(&declared, "aws_key_pair.ops").facts else {
        panic!()
    };
    assert_eq!(name, &set("shop-us-east-2-ops"));
    assert_eq!(public_key, &set("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE"), "without the comment");
    assert_eq!(fingerprint, &is(None));
    let Facts::Instance { image, key_name, subnet, security_groups, .. } =
        &at(&declared, "aws_instance.web").facts
    else {
        panic!()
    };
    assert_eq!(why(image), "ami refers to data.aws_ami.ubuntu.id");
    assert_eq!((key_name, subnet), (&set("aws_key_pair.ops.key_name"), &set("aws_subnet.a.id")));
    assert_eq!(security_groups, &is(vec!["aws_security_group.web.id".to_owned()]));
}

#[test]
fn what_a_module_makes_is_unknown_and_its_folder_is_no_root() {
    let declared = site(&["calls/main.tf", "modules/web/main.tf"]);
    let calls: Vec<_> = declared.modules.iter().map(|m| (&*m.address, &m.source, m.place.line)).collect();
    let registry = text("terraform-aws-modules/vpc/aws");
    assert_eq!(calls, [("module.web", &text("../modules/web"), 5), ("module.vpc", &registry, 10)]);
    assert_eq!(found(&declared, Code::TerraformModule).len(), 3, "two calls, and the folder");
    assert!(!declared.resources.iter().any(|r| r.type_name == "aws_instance"));
    let Facts::NodeGroup { subnets, desired, .. } = &at(&declared, "aws_eks_node_group.obs").facts else {
        panic!()
    };
    assert_eq!((why(subnets), desired), ("subnet_ids: module.vpc hides it", &is(Some(2))));
}

#[test]
fn only_what_the_text_says_is_counted() {
    let declared = site(&["values/main.tf", "values/terraform.tfvars"]);
    let units = |name: &str| at(&declared, &format!("aws_instance.{name}")).units();
    assert_eq!((units("set"), units("map"), units("off")), (is(2), is(2), is(0)));
    assert_eq!(why(&units("hidden")), "how often it is made: count: var.number has no default");
    assert_eq!(why(&units("sum")), "how often it is made: count: a computation");
    assert_eq!(found(&declared, Code::TerraformNoCount).len(), 2);
}

#[test]
fn values_are_followed_and_what_hides_them_is_named() {
    let declared = site(&["values/main.tf", "values/terraform.tfvars"]);
    let facts = |name: &str| match &at(&declared, &format!("aws_instance.{name}")).facts {
        Facts::Instance { size, image, .. } => (size.clone(), image.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(facts("set").0, text("t3.small"));
    assert_eq!(facts("off").0, text("t3.large"));
    assert_eq!(why(&facts("set").1), "ami: a part of it: each.key");
    assert_eq!(why(&facts("map").0), "instance_type: each.value");
    assert_eq!(why(&facts("hidden").0), "instance_type: it is too deep, or refers to itself");
    assert_eq!(why(&facts("hidden").1), "ami: a call of lookup()");
    assert_eq!(why(&facts("sum").0), "instance_type: var.token is sensitive");
    assert_eq!(at(&declared, "aws_instance.set").region, text("us-east-2"), "from terraform.tfvars");
    assert_eq!(at(&declared, "aws_instance.map").region, text("us-west-1"), "the provider it names");
}

#[test]
fn without_its_file_of_variables_the_region_is_unknown_and_said_once() {
    let declared = site(&["values/main.tf"]);
    let [(_, line, message)] = found(&declared, Code::TerraformNoRegion)[..] else { panic!() };
    assert_eq!(line, 36);
    assert!(message.starts_with("4 assets") && message.contains("var.region has no default"), "{message}");
}

#[test]
fn members_of_a_database_are_counted_where_they_are() {
    let declared = site(&["database.tf"]);
    let units = |address: &str| (at(&declared, address).units(), at(&declared, address).region.clone());
    assert_eq!(units("aws_rds_cluster_instance.east"), (is(3), text("us-east-2")));
    assert_eq!(units("aws_rds_cluster.east"), (is(0), text("us-east-2")), "its members stand for themselves");
    assert_eq!(units("aws_rds_cluster.zones"), (is(3), text("us-west-1")), "it makes its members");
    assert_eq!(units("aws_rds_global_cluster.shop"), (is(0), text("global")));
    let Facts::Database { replica_of, multi_zone, encrypted, parameter_group, .. } =
        &at(&declared, "aws_db_instance.replica").facts
    else {
        panic!()
    };
    assert_eq!((replica_of, multi_zone), (&set("aws_db_instance.main.arn"), &is(false)));
    assert_eq!((encrypted, parameter_group), (&is(false), &set("pg15")));
    let Facts::Database { multi_zone, .. } = &at(&declared, "aws_db_instance.main").facts else { panic!() };
    assert_eq!(multi_zone, &is(true), "as Terraform reads a quoted truth");
    let Facts::DatabaseCluster { global_cluster, .. } = &at(&declared, "aws_rds_cluster.east").facts else {
        panic!()
    };
    assert_eq!(global_cluster, &set("aws_rds_global_cluster.shop.id"));
}

#[test]
fn names_keep_what_a_move_needs() {
    let declared = site(&["names.tf"]);
    let record = |name: &str| match &at(&declared, &format!("aws_route53_record.{name}")).facts {
        Facts::Record(record) => record.clone(),
        other => panic!("{other:?}"),
    };
    let (east, db) = (record("east"), record("db"));
    assert_eq!((&east.alias, &east.failover), (&set("aws_lb.web.dns_name"), &set("PRIMARY")));
    assert_eq!((&east.ttl_s, &east.set_identifier), (&is(None), &set("east")));
    assert_eq!((&db.ttl_s, &db.weight), (&is(Some(300)), &is(Some(90))));
    let Facts::HealthCheck { path, port, interval_s, .. } =
        &at(&declared, "aws_route53_health_check.east").facts
    else {
        panic!()
    };
    assert_eq!((path, port, interval_s), (&set("/login"), &is(Some(443)), &is(30)));
    let Facts::TargetGroup { health_path, health_port, .. } = &at(&declared, "aws_lb_target_group.web").facts
    else {
        panic!()
    };
    assert_eq!((health_path, health_port), (&set("/api/me"), &set("8080")));
}

#[test]
fn a_bucket_is_open_if_one_lock_is_known_to_be() {
    let declared = site(&["storage.tf"]);
    let facts = |name: &str| &at(&declared, &format!("aws_s3_bucket_{name}.backups")).facts;
    assert!(
        matches!(facts("public_access_block"), Facts::BucketPublicAccess { blocked, .. } if *blocked == is(false))
    );
    assert!(matches!(facts("versioning"), Facts::BucketVersioning { enabled, .. } if *enabled == is(true)));
    let west = is(vec!["arn:aws:s3:::shop-backups-west".to_owned()]);
    assert!(matches!(facts("replication_configuration"),
        Facts::BucketReplication { destinations, .. } if *destinations == west));
    assert!(matches!(facts("server_side_encryption_configuration"),
        Facts::BucketEncryption { algorithm, .. } if *algorithm == set("aws:kms")));
}

#[test]
fn rules_of_all_three_forms_are_read_and_dynamic_ones_are_unknown() {
    let declared = site(&["network.tf"]);
    let Facts::SecurityGroup { rules, .. } = &at(&declared, "aws_security_group.web").facts else { panic!() };
    let rules = rules.get().expect("all of them are literals");
    assert_eq!(rules.len(), 2);
    assert_eq!((&rules[0].incoming, &rules[0].from_port), (&is(true), &is(Some(443))));
    assert_eq!(rules[1].addresses, is(vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]));
    let Facts::SecurityGroup { rules, .. } = &at(&declared, "aws_security_group.made").facts else {
        panic!()
    };
    assert_eq!(why(rules), "ingress: a dynamic block");
    let Facts::SecurityRule { rule, .. } = &at(&declared, "aws_vpc_security_group_ingress_rule.db").facts
    else {
        panic!()
    };
    assert_eq!((&rule.incoming, &rule.protocol), (&is(true), &set("tcp")));
    let Facts::Subnet { addresses, .. } = &at(&declared, "aws_subnet.a").facts else { panic!() };
    assert_eq!(why(addresses), "cidr_block: a call of cidrsubnet()");
}

#[test]
fn a_chart_is_monitoring_if_it_watches() {
    let declared = site(&["platform.tf"]);
    assert_eq!(at(&declared, "helm_release.stack").kind, Some(AssetKind::Monitoring));
    assert_eq!(at(&declared, "helm_release.ingress").kind, None);
    assert_eq!(at(&declared, "github_repository.infra").region, text("global"));
    assert_eq!(
        at(&declared, "aws_autoscaling_group.web").units(),
        is(2),
        "the least, where no number is wanted"
    );
    let [(_, line, message)] = found(&declared, Code::TerraformUnknownType)[..] else { panic!() };
    assert_eq!((line, message.starts_with("2 resources of type aws_sqs_queue")), (38, true), "{message}");
}

#[test]
fn code_beside_its_state_is_not_counted_again() {
    let (state, code) = (super::fixture("state.json"), super::fixture("storage.tf"));
    let declared = bascule_import::terraform::read(&[("x/state.json", &state), ("x/storage.tf", &code)]);
    assert!(!declared.resources.iter().any(|r| r.type_name == "aws_s3_bucket"));
    assert!(codes(&declared).contains(&Code::TerraformTwice));
}

#[test]
fn files_that_are_not_read_are_named() {
    let files: [(&str, &[u8]); 4] = [
        ("a/main.tf.json", b"{}"),
        ("a/prod.tfvars", b""),
        ("a/override.tf", b""),
        ("a/x.tfvars.json", b"{}"),
    ];
    let declared = bascule_import::terraform::read(&files);
    assert_eq!(codes(&declared), [Code::TerraformNotRead; 4]);
}
