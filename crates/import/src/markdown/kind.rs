//! What kind of asset some words name.
//!
//! A name's head decides: "S3 bucket for the database's backups" is a bucket. Words for a thing ("key pair", "bucket")
//! weigh more than words for who provides it ("S3", "EC2"), because the second are what documents confuse.

use bascule_core::asset::AssetKind;

use super::words::{Word, words};

/// The words of each kind, the surest first: of two kinds in one name the one further up is meant.
const NOUNS: &[(AssetKind, &[&str])] = &[
    (AssetKind::KeyPair, &["keypair", "pem"]),
    (AssetKind::LoadBalancer, &["loadbalancer", "balancer", "elb", "alb", "nlb", "haproxy", "lb"]),
    (AssetKind::ObjectStorage, &["bucket"]),
    (AssetKind::Repository, &["repository", "repo", "github", "gitlab", "bitbucket", "codecommit", "git"]),
    (AssetKind::Dns, &["dns", "route53", "cname", "nameserver"]),
    (
        AssetKind::Monitoring,
        &["monitoring", "grafana", "prometheus", "alertmanager", "datadog", "cloudwatch"],
    ),
    (AssetKind::Kubernetes, &["kubernetes", "k8s", "eks", "aks", "gke", "k8", "k3s"]),
    (
        AssetKind::Database,
        &[
            "database",
            "db",
            "rds",
            "postgres",
            "postgresql",
            "mysql",
            "mariadb",
            "aurora",
            "patroni",
            "dynamodb",
            "mongodb",
            "sql",
        ],
    ),
    (AssetKind::ObjectStorage, &["s3", "gcs", "minio", "blob"]),
    (AssetKind::Compute, &["ec2", "vm", "instance", "server", "webserver", "droplet"]),
];

/// Words of a kind that only count within an asset's name, being too common elsewhere.
const IN_NAMES: &[(AssetKind, &[&str])] = &[
    (AssetKind::KeyPair, &["key"]),
    (AssetKind::Dns, &["domain", "name"]),
    (AssetKind::Repository, &["terraform", "code"]),
    (AssetKind::Monitoring, &["alerting", "monitor", "observability"]),
    (AssetKind::Compute, &["compute", "machine", "host", "node", "asg"]),
];

/// Words that end the head of a name.
const AFTER_HEAD: &[&str] = &["for", "of", "in", "on", "with", "to", "that", "which", "running", "used"];

/// Things of which no kind is kept: what they are called, and what they are.
const OTHERS: &[(&[&str], &str)] = &[
    (&["vpc", "subnet", "gateway", "igw", "vnet", "vip", "eip", "ip"], "part of a network"),
    (&["securitygroup", "sg", "firewall"], "set of security rules"),
    (&["iam", "role", "policy"], "set of permissions"),
    (&["ami", "image"], "machine image"),
];

/// What a name or a purpose says that is of no kind here, such as a network; none if it names a kind, or nothing known.
pub(super) fn other(text: &str) -> Option<&'static str> {
    let (outside, inside) = split_brackets(&text.replace(['-', '_'], " "));
    [outside.as_str(), inside.as_str()].into_iter().find_map(|text| {
        let all = words(text);
        let end = all.iter().position(|word| word.is_one_of(AFTER_HEAD)).unwrap_or(all.len());
        let head = &all[..end];
        // "AMI bucket" is a bucket, "subnet" alone none; any asset may have an image or an address.
        let things = &[
            "bucket",
            "keypair",
            "loadbalancer",
            "balancer",
            "alb",
            "nlb",
            "elb",
            "lb",
            "repository",
            "repo",
        ];
        let last = head.last().is_some_and(|word| word.is_one_of(things));
        let named = |word: &Word, others: &[&str]| {
            let loose = word.is_one_of(&["image", "ip", "role", "policy"]);
            word.is_one_of(others) && (!loose || head.last() == Some(word))
        };
        OTHERS
            .iter()
            .filter(|_| !last)
            .find(|(others, _)| head.iter().any(|word| named(word, others)))
            .map(|(_, what)| *what)
    })
}

/// A kind and whether a misspelt word had to be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub kind: AssetKind,
    pub guessed: bool,
}

/// The kind that one word names by itself.
pub(super) fn of_word(word: &Word) -> Option<AssetKind> {
    NOUNS.iter().find(|(_, nouns)| word.is_one_of(nouns)).map(|(kind, _)| *kind)
}

/// Whether the word names a kind only loosely: any kind's machines are "instances", "servers" or "nodes".
pub(super) fn is_generic(word: &Word) -> bool {
    word.is_one_of(&["instance", "server", "node", "replica", "member", "machine", "host", "vm", "worker"])
}

/// The kind of an asset of this name; none if the words do not say.
pub(super) fn of_name(name: &str) -> Option<Named> {
    // In a name a hyphen divides, digits or not: `ec2-web-1`.
    let (outside, inside) = split_brackets(&name.replace(['-', '_'], " "));
    [outside.as_str(), inside.as_str()].into_iter().find_map(|text| {
        let all = words(text);
        let end = all.iter().position(|word| word.is_one_of(AFTER_HEAD)).unwrap_or(all.len());
        surest(&all[..end], true).or_else(|| surest(&all, true))
    })
}

/// The kind that a text about an asset names, its head first.
pub(super) fn of_text(text: &str) -> Option<Named> {
    let all = words(text);
    let end = all.iter().position(|word| word.is_one_of(AFTER_HEAD)).unwrap_or(all.len());
    surest(&all[..end], false)
}

/// Every kind that the words name, in the order of the words, each once.
pub(super) fn all_of(words: &[Word]) -> Vec<AssetKind> {
    let mut kinds = Vec::new();
    let specific: Vec<_> = words.iter().filter(|w| !is_generic(w)).filter_map(of_word).collect();
    let generic = words.iter().filter_map(of_word);
    for kind in if specific.is_empty() { generic.collect() } else { specific } {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn surest(words: &[Word], in_name: bool) -> Option<Named> {
    let lists = NOUNS.iter().chain(if in_name { IN_NAMES } else { &[] });
    lists.into_iter().find_map(|(kind, nouns)| {
        let word = words.iter().find(|word| word.is_one_of(nouns))?;
        Some(Named { kind: *kind, guessed: word.guessed })
    })
}

/// What stands outside round brackets, and what within.
fn split_brackets(text: &str) -> (String, String) {
    let (mut outside, mut inside, mut depth) = (String::new(), String::new(), 0_u32);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => inside.push(c),
            _ => outside.push(c),
        }
        if matches!(c, '(' | ')') {
            outside.push(' ');
            inside.push(' ');
        }
    }
    (outside, inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_name_decides() {
        for (name, kind) in [
            ("EC2 instance", Some(AssetKind::Compute)),
            ("Kuberenetes cluster", Some(AssetKind::Kubernetes)),
            ("Load blancer", Some(AssetKind::LoadBalancer)),
            ("S3 key pairs", Some(AssetKind::KeyPair)),
            ("S3 bucket for the database's backups", Some(AssetKind::ObjectStorage)),
            ("DB server", Some(AssetKind::Database)),
            ("Monitoring cluster (Kubernetes)", Some(AssetKind::Monitoring)),
            ("Primary (RDS)", Some(AssetKind::Database)),
            ("GitHub repo", Some(AssetKind::Repository)),
            ("Route 53 zone", Some(AssetKind::Dns)),
            ("rds-primary-1", Some(AssetKind::Database)),
            ("EC2 keys", Some(AssetKind::KeyPair)),
            ("SQL cluster", Some(AssetKind::Database)),
            ("Widget", None),
        ] {
            assert_eq!(of_name(name).map(|named| named.kind), kind, "{name}");
        }
        for (name, what) in [
            ("VPC (east)", Some("part of a network")),
            ("EKS security group", Some("set of security rules")),
            ("ec2_sg", Some("set of security rules")),
            ("Web server image", Some("machine image")),
            ("AMI bucket", None),
            ("Load balancer in the VPC", None),
            ("EC2 instance", None),
        ] {
            assert_eq!(other(name), what, "{name}");
        }
        assert!(of_name("Load blancer").is_some_and(|named| named.guessed));
        assert!(of_name("Load balancer").is_some_and(|named| !named.guessed));
    }
}
