//! From a resource's attributes to its facts, type by type.
//!
//! The names and what is meant where nothing is set are those of the documentation of the providers
//! hashicorp/aws 5, hashicorp/helm 2 and integrations/github 6. A type that is not here is not dropped: the
//! reader counts it in a finding.

use bascule_core::asset::AssetKind;

use super::facts::{Facts, May, Record, Rule};
use super::model::Known;
use super::value::Value;

/// What a type is.
pub(super) struct Mapped {
    pub kind: Option<AssetKind>,
    /// It is in no single region.
    pub global: bool,
    pub facts: Facts,
}

/// The facts of a resource; none if its type is not known here.
pub(super) fn map(type_name: &str, v: &Value) -> Option<Mapped> {
    let found = compute(type_name, v)
        .or_else(|| balancing(type_name, v))
        .or_else(|| database(type_name, v))
        .or_else(|| storage(type_name, v))
        .or_else(|| names(type_name, v))
        .or_else(|| network(type_name, v))
        .or_else(|| rest(type_name, v));
    let (kind, facts) = found?;
    let global = type_name.starts_with("aws_route53_")
        || type_name.starts_with("github_")
        || type_name == "aws_rds_global_cluster";
    Some(Mapped { kind, global, facts })
}

type Found = Option<(Option<AssetKind>, Facts)>;

fn compute(type_name: &str, v: &Value) -> Found {
    let kind = Some(AssetKind::Compute);
    Some(match type_name {
        "aws_instance" => (
            kind,
            Facts::Instance {
                size: v.must("instance_type"),
                image: v.text("ami"),
                key_name: v.link("key_name"),
                subnet: v.link("subnet_id"),
                zone: v.text("availability_zone"),
                security_groups: v.links("vpc_security_group_ids"),
            },
        ),
        "aws_launch_template" => (
            None,
            Facts::LaunchTemplate {
                size: v.must("instance_type"),
                image: v.text("image_id"),
                key_name: v.link("key_name"),
            },
        ),
        "aws_autoscaling_group" => (
            kind,
            Facts::AutoscalingGroup {
                min: v.number_or("min_size", 0),
                max: v.number_or("max_size", 0),
                desired: v.number("desired_capacity"),
                zones: v.links("availability_zones"),
                subnets: v.links("vpc_zone_identifier"),
            },
        ),
        "aws_eks_cluster" => (
            Some(AssetKind::Kubernetes),
            Facts::KubernetesCluster {
                name: v.must("name"),
                version: v.text("version"),
                subnets: v.block("vpc_config").links("subnet_ids"),
            },
        ),
        "aws_eks_node_group" => {
            let scaling = v.block("scaling_config");
            (
                Some(AssetKind::Kubernetes),
                Facts::NodeGroup {
                    cluster: v.link("cluster_name"),
                    min: scaling.number_or("min_size", 0),
                    max: scaling.number_or("max_size", 0),
                    desired: scaling.number("desired_size"),
                    sizes: v.links("instance_types"),
                    subnets: v.links("subnet_ids"),
                },
            )
        }
        _ => return None,
    })
}

fn balancing(type_name: &str, v: &Value) -> Found {
    Some(match type_name {
        "aws_lb" | "aws_alb" | "aws_elb" => (
            Some(AssetKind::LoadBalancer),
            Facts::LoadBalancer {
                name: v.text("name"),
                internal: v.flag("internal", false),
                subnets: v.links("subnets"),
                zones: v.links("availability_zones"),
            },
        ),
        "aws_lb_target_group" | "aws_alb_target_group" => {
            let check = v.block("health_check");
            (
                None,
                Facts::TargetGroup {
                    port: v.number("port"),
                    protocol: v.text("protocol"),
                    health_path: check.text("path"),
                    health_port: check.text("port"),
                    health_matcher: check.text("matcher"),
                },
            )
        }
        "aws_lb_target_group_attachment" | "aws_alb_target_group_attachment" => (
            None,
            Facts::TargetAttachment {
                group: v.link("target_group_arn"),
                target: v.link("target_id"),
                port: v.number("port"),
            },
        ),
        "aws_lb_listener" | "aws_alb_listener" => (
            None,
            Facts::Listener {
                load_balancer: v.link("load_balancer_arn"),
                port: v.number("port"),
                protocol: v.text("protocol"),
            },
        ),
        _ => return None,
    })
}

fn database(type_name: &str, v: &Value) -> Found {
    let kind = Some(AssetKind::Database);
    Some(match type_name {
        "aws_db_instance" => (
            kind,
            Facts::Database {
                identifier: v.text("identifier"),
                database: v.text("db_name"),
                engine: v.text("engine"),
                engine_version: v.text("engine_version"),
                size: v.must("instance_class"),
                multi_zone: v.flag("multi_az", false),
                backup_retention_days: v.number_or("backup_retention_period", 0),
                replica_of: v.link("replicate_source_db"),
                parameter_group: v.link("parameter_group_name"),
                subnet_group: v.link("db_subnet_group_name"),
                zone: v.text("availability_zone"),
                encrypted: v.flag("storage_encrypted", false),
                public: v.flag("publicly_accessible", false),
            },
        ),
        "aws_rds_cluster" => (kind, cluster(v)),
        "aws_rds_cluster_instance" => (
            kind,
            Facts::DatabaseMember {
                cluster: v.link("cluster_identifier"),
                size: v.must("instance_class"),
                engine: v.text("engine"),
                parameter_group: v.link("db_parameter_group_name"),
                zone: v.text("availability_zone"),
                public: v.flag("publicly_accessible", false),
            },
        ),
        "aws_rds_global_cluster" => (
            kind,
            Facts::GlobalDatabase {
                identifier: v.must("global_cluster_identifier"),
                engine: v.text("engine"),
                source: v.link("source_db_cluster_identifier"),
                encrypted: v.flag("storage_encrypted", false),
            },
        ),
        "aws_db_subnet_group" => {
            (None, Facts::SubnetGroup { name: v.text("name"), subnets: v.links("subnet_ids") })
        }
        _ => return None,
    })
}

/// A cluster over zones, told by the class of its instances, makes three members itself (the provider's
/// documentation of `db_cluster_instance_class`; AWS: one writer and two readers).
fn cluster(v: &Value) -> Facts {
    let size = v.text("db_cluster_instance_class").map(|size| size.filter(|s| !s.is_empty()));
    let members = match &size {
        Known::Is(Some(_)) => Known::Is(3),
        Known::Is(None) => Known::Is(0),
        Known::Unknown { why } => Known::unknown(why.clone()),
    };
    Facts::DatabaseCluster {
        identifier: v.text("cluster_identifier"),
        database: v.text("database_name"),
        engine: v.text("engine"),
        engine_version: v.text("engine_version"),
        global_cluster: v.link("global_cluster_identifier"),
        replica_of: v.link("replication_source_identifier"),
        backup_retention_days: v.number_or("backup_retention_period", 1),
        parameter_group: v.link("db_cluster_parameter_group_name"),
        subnet_group: v.link("db_subnet_group_name"),
        zones: v.links("availability_zones"),
        encrypted: v.flag("storage_encrypted", false),
        size,
        members,
    }
}

fn storage(type_name: &str, v: &Value) -> Found {
    let bucket = || v.link("bucket");
    Some(match type_name {
        "aws_s3_bucket" => {
            let (versioning, replication) = (v.block("versioning"), v.block("replication_configuration"));
            (
                Some(AssetKind::ObjectStorage),
                Facts::Bucket {
                    name: v.text("bucket"),
                    versioning: match versioning {
                        Value::Null => Known::Is(None),
                        block => block.flag("enabled", false).map(Some),
                    },
                    replicated_to: destinations(replication, "rules"),
                },
            )
        }
        "aws_s3_bucket_versioning" => {
            let status = v.block("versioning_configuration").must("status");
            let enabled = status.map(|status| status == "Enabled");
            (None, Facts::BucketVersioning { bucket: bucket(), enabled })
        }
        "aws_s3_bucket_replication_configuration" => {
            (None, Facts::BucketReplication { bucket: bucket(), destinations: destinations(v, "rule") })
        }
        "aws_s3_bucket_server_side_encryption_configuration" => {
            let usual = v.block("rule").block("apply_server_side_encryption_by_default");
            (None, Facts::BucketEncryption { bucket: bucket(), algorithm: usual.text("sse_algorithm") })
        }
        "aws_s3_bucket_public_access_block" => (
            None,
            Facts::BucketPublicAccess {
                bucket: bucket(),
                blocked: all([
                    v.flag("block_public_acls", false),
                    v.flag("block_public_policy", false),
                    v.flag("ignore_public_acls", false),
                    v.flag("restrict_public_buckets", false),
                ]),
            },
        ),
        _ => return None,
    })
}

fn destinations(v: &Value, rules: &str) -> Known<Vec<String>> {
    let rules = match v.blocks(rules) {
        Known::Is(rules) => rules,
        Known::Unknown { why } => return Known::Unknown { why },
    };
    let mut found = Vec::new();
    for rule in rules {
        match rule.block("destination").link("bucket") {
            Known::Is(Some(bucket)) => found.push(bucket),
            Known::Is(None) => {}
            Known::Unknown { why } => return Known::Unknown { why },
        }
    }
    Known::Is(found)
}

/// One that is known to be off decides.
fn all(flags: [Known<bool>; 4]) -> Known<bool> {
    if flags.contains(&Known::Is(false)) {
        return Known::Is(false);
    }
    flags.into_iter().find(|flag| flag.get().is_none()).unwrap_or(Known::Is(true))
}

fn names(type_name: &str, v: &Value) -> Found {
    let kind = Some(AssetKind::Dns);
    Some(match type_name {
        "aws_route53_zone" => {
            let private = match v.get("vpc") {
                Value::Null => Known::Is(false),
                Value::List(list) => Known::Is(!list.is_empty()),
                other => Known::unknown(other.why("vpc")),
            };
            (kind, Facts::Zone { name: v.must("name"), private })
        }
        "aws_route53_record" => (
            kind,
            Facts::Record(Box::new(Record {
                name: v.must("name"),
                record_type: v.must("type"),
                zone: v.link("zone_id"),
                ttl_s: v.number("ttl"),
                values: v.links("records"),
                alias: v.block("alias").link("name"),
                set_identifier: v.text("set_identifier"),
                failover: v.block("failover_routing_policy").text("type"),
                weight: v.block("weighted_routing_policy").number("weight"),
                latency_region: v.block("latency_routing_policy").text("region"),
                health_check: v.link("health_check_id"),
            })),
        ),
        "aws_route53_health_check" => {
            let address = match v.link("fqdn") {
                Known::Is(None) => v.link("ip_address"),
                found => found,
            };
            (
                None,
                Facts::HealthCheck {
                    name: v.text("reference_name"),
                    address,
                    port: v.number("port"),
                    path: v.text("resource_path"),
                    protocol: v.text("type"),
                    interval_s: v.number_or("request_interval", 30),
                    failures: v.number_or("failure_threshold", 3),
                },
            )
        }
        _ => return None,
    })
}

fn network(type_name: &str, v: &Value) -> Found {
    Some((
        None,
        match type_name {
            "aws_vpc" => Facts::Network { addresses: v.text("cidr_block") },
            "aws_subnet" => Facts::Subnet {
                network: v.link("vpc_id"),
                addresses: v.text("cidr_block"),
                zone: v.text("availability_zone"),
            },
            "aws_security_group" => Facts::SecurityGroup {
                name: v.text("name"),
                network: v.link("vpc_id"),
                rules: inline_rules(v),
            },
            "aws_security_group_rule" => {
                let incoming = v.must("type").map(|direction| direction == "ingress");
                Facts::SecurityRule {
                    group: v.link("security_group_id"),
                    rule: rule(v, "protocol", incoming),
                }
            }
            "aws_vpc_security_group_ingress_rule" | "aws_vpc_security_group_egress_rule" => {
                let incoming = Known::Is(type_name.contains("ingress"));
                Facts::SecurityRule {
                    group: v.link("security_group_id"),
                    rule: rule(v, "ip_protocol", incoming),
                }
            }
            _ => return None,
        },
    ))
}

fn inline_rules(v: &Value) -> Known<Vec<Rule>> {
    let mut rules = Vec::new();
    for (key, incoming) in [("ingress", true), ("egress", false)] {
        match v.blocks(key) {
            Known::Is(blocks) => {
                rules.extend(blocks.iter().map(|block| rule(block, "protocol", Known::Is(incoming))));
            }
            Known::Unknown { why } => return Known::Unknown { why },
        }
    }
    Known::Is(rules)
}

/// Older rules have lists of ranges, newer ones a single range.
fn rule(v: &Value, protocol: &str, incoming: Known<bool>) -> Rule {
    let mut addresses = Known::Is(Vec::new());
    for key in ["cidr_blocks", "ipv6_cidr_blocks"] {
        addresses = joined(addresses, v.links(key));
    }
    for key in ["cidr_ipv4", "cidr_ipv6"] {
        addresses = joined(addresses, v.text(key).map(|one| one.into_iter().collect()));
    }
    Rule {
        incoming,
        protocol: v.text(protocol),
        from_port: port(v, "from_port"),
        to_port: port(v, "to_port"),
        addresses,
    }
}

/// -1 stands for "all".
fn port(v: &Value, key: &str) -> May<u32> {
    match v.get(key) {
        Value::Number(number) if *number < 0.0 => Known::Is(None),
        _ => v.number(key),
    }
}

fn joined(a: Known<Vec<String>>, b: Known<Vec<String>>) -> Known<Vec<String>> {
    match (a, b) {
        (Known::Is(mut a), Known::Is(mut b)) => {
            a.append(&mut b);
            Known::Is(a)
        }
        (Known::Unknown { why }, _) | (_, Known::Unknown { why }) => Known::Unknown { why },
    }
}

fn rest(type_name: &str, v: &Value) -> Found {
    let monitoring = Some(AssetKind::Monitoring);
    Some(match type_name {
        "aws_key_pair" => (
            Some(AssetKind::KeyPair),
            Facts::KeyPair {
                name: v.text("key_name"),
                fingerprint: v.text("fingerprint"),
                public_key: v.text("public_key").map(|key| key.map(|key| without_comment(&key))),
            },
        ),
        "aws_secretsmanager_secret" => (None, Facts::Secret { name: v.text("name"), replicas: replicas(v) }),
        "aws_secretsmanager_secret_version" => {
            (None, Facts::SecretVersion { secret: v.link("secret_id"), digest: v.digest("secret_string") })
        }
        "aws_ssm_parameter" => {
            let digest = match v.digest("value") {
                Known::Is(None) => v.digest("insecure_value"),
                found => found,
            };
            (None, Facts::Parameter { name: v.must("name"), digest })
        }
        "aws_prometheus_workspace" => (monitoring, Facts::MetricsWorkspace { name: v.text("alias") }),
        "aws_grafana_workspace" => (monitoring, Facts::DashboardWorkspace { name: v.text("name") }),
        "helm_release" => {
            let chart = v.must("chart");
            let kind = chart.get().is_some_and(|chart| watches(chart)).then_some(AssetKind::Monitoring);
            let facts = Facts::HelmRelease {
                name: v.must("name"),
                chart,
                version: v.text("version"),
                namespace: v.text("namespace"),
            };
            (kind, facts)
        }
        "github_repository" => (
            Some(AssetKind::Repository),
            Facts::Repository { name: v.must("name"), archived: v.flag("archived", false) },
        ),
        _ => return None,
    })
}

/// Type and key; the comment names a person.
fn without_comment(key: &str) -> String {
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn replicas(v: &Value) -> Known<Vec<String>> {
    let blocks = match v.blocks("replica") {
        Known::Is(blocks) => blocks,
        Known::Unknown { why } => return Known::Unknown { why },
    };
    let mut found = Vec::new();
    for block in blocks {
        match block.must("region") {
            Known::Is(region) => found.push(region),
            Known::Unknown { why } => return Known::Unknown { why },
        }
    }
    Known::Is(found)
}

/// The charts that watch an application, by their projects' names.
fn watches(chart: &str) -> bool {
    let chart = chart.to_ascii_lowercase();
    ["prometheus", "grafana", "loki", "mimir", "tempo", "thanos", "victoria-metrics", "datadog"]
        .iter()
        .any(|name| chart.contains(name))
}
