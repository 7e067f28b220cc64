//! A site on which every check holds.

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, Intent, WrittenPlan, WrittenStep, Zone};
use bascule_core::facts::*;
use bascule_core::id::RegionName;
use bascule_core::observation::ClusterRole;
use bascule_core::time::Timestamp;

pub const HOME: &str = "north-1";
pub const AWAY: &str = "south-1";
pub const NOW: Timestamp = Timestamp(1_790_000_000_000);

pub fn region(name: &str) -> RegionName {
    name.parse().expect("a region")
}

pub fn seen<T>(value: T) -> Fact<T> {
    Fact::seen(value, NOW, Source::Address("10.1.0.9:8008".to_owned()))
}

pub fn unseen<T>() -> Fact<T> {
    Fact::not_observed("timed out", Source::Address("10.1.0.9:8008".to_owned()))
}

/// The value of a fact of the baseline, to be broken.
pub fn at<T>(fact: &mut Fact<T>) -> &mut T {
    match &mut fact.answer {
        bascule_core::observation::Observed::Seen { value, .. } => value,
        bascule_core::observation::Observed::NotObserved { why } => panic!("not observed: {why}"),
    }
}

pub fn text(value: &str) -> Fact<String> {
    seen(value.to_owned())
}

fn one<T>(name: &str, value: T) -> Listing<T> {
    seen(BTreeMap::from([(name.to_owned(), value)]))
}

pub fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

pub fn instance(name: &str, place: usize) -> Instance {
    Instance {
        name: name.to_owned(),
        size: text("t3.medium").map(Some),
        image: text("sha256:aa").map(Some),
        zone: text(&format!("zone-{place}")).map(Some),
        subnet: text(&format!("subnet-{place}")).map(Some),
        alive: seen(true),
        ready: seen(true),
    }
}

pub fn group(prefix: &str) -> Compute {
    let instances = (1..=3).map(|n| instance(&format!("{prefix}-{n}"), n)).collect();
    Compute { instances: seen(instances), keys: seen(set(&["admin"])) }
}

fn check() -> Fact<Option<HealthCheck>> {
    seen(Some(HealthCheck {
        path: "/health".to_owned(),
        passes_from: 200,
        passes_to: 299,
        answers: seen(200),
    }))
}

pub fn database(name: &str, source: Option<&str>) -> Database {
    let member = |n| Member { name: format!("{name}-db{n}"), well: seen(true) };
    Database {
        members: seen((1..=3).map(member).collect()),
        size: text("db.t3.small"),
        role: seen(if source.is_none() { ClusterRole::Primary } else { ClusterRole::Standby }),
        replica_source: seen(source.map(region)),
        lag_ms: if source.is_none() { Fact::unasked() } else { seen(300) },
        lag_bytes: Fact::unasked(),
        retention_s: seen(7 * 86_400),
        automatic_failover: seen(true),
        parameters: seen(set(&["sha256:bb"])),
        version: seen(set(&["16.4"])),
        unconfirmed: seen(BTreeSet::new()),
        slots: seen(set(&["standby_cluster"])),
        slots_wanted: seen(set(&["standby_cluster"])),
        slotless: seen(BTreeSet::new()),
        reached_by: text("db.shop.test"),
        way_back: seen(WayBack::Rewound),
        commits_wait_for: seen(set(&["ANY 1 (bascule_a, bascule_b)"])),
    }
}

fn bucket(to: Option<&str>) -> Bucket {
    let destination = |to| Destination { region: region(to), bucket: "backups".to_owned() };
    Bucket {
        versioning: seen(true),
        replication: seen(to.map(destination)),
        encryption: seen(true),
        public: seen(false),
        newest_backup_age_s: seen(Some(2)),
    }
}

fn one_region(name: &str, range: &str, source: Option<&str>) -> Region {
    Region {
        name: region(name),
        compute: one("app", group(name)),
        kubernetes: one(
            "watch",
            Cluster {
                nodes: seen((1..=3).map(|n| Node { name: format!("node-{n}"), ready: seen(true) }).collect()),
                version: text("1.30"),
            },
        ),
        load_balancer: one(
            "web",
            LoadBalancer {
                listeners: seen(vec![443]),
                serves: text("app"),
                targets: seen(Targets { attached: 3, healthy: 3 }),
                health_check: check(),
            },
        ),
        database: one("orders", database(name, source)),
        object_storage: one("backups", bucket(if source.is_none() { Some(AWAY) } else { None })),
        key_pair: one("admin", KeyPair { fingerprint: text("SHA256:cc") }),
        network: Network {
            ranges: seen(vec![range.to_owned()]),
            rules: seen(set(&["sha256:dd"])),
            quotas: seen(BTreeMap::from([("instances".to_owned(), Quota { limit: 20, used: 6 })])),
        },
        secrets: seen(BTreeMap::from([("db_password".to_owned(), text("sha256:ee"))])),
        permissions: seen(Permissions { granted: set(&["promote"]), refused: BTreeSet::new() }),
        clock_skew: seen(Skew { least_ms: -12, most_ms: 3 }),
    }
}

pub fn step(line: usize, words: &str, intents: &[Intent], zones: &[&str]) -> WrittenStep {
    WrittenStep {
        text: words.to_owned(),
        intents: intents.to_vec(),
        zones: zones.iter().map(|z| (*z).to_owned()).collect(),
        owner: None,
        done: None,
        line,
    }
}

pub fn paper() -> Document {
    let zone = |name: &str, line| Zone { name: name.to_owned(), line };
    let steps = vec![
        step(20, "Close the old region's gate", &[Intent::Fence], &[HOME]),
        step(21, "Promote the database", &[Intent::PromoteDatabase], &[AWAY]),
        step(22, "Point the names there", &[Intent::MoveNames], &[AWAY]),
        step(23, "Place an order", &[Intent::Verify], &[]),
        step(24, "Let the old region follow", &[Intent::Failback], &[HOME]),
    ];
    let plan = WrittenPlan { title: "Move".to_owned(), line: 18, pre_steps: Vec::new(), steps };
    Document { zones: vec![zone(HOME, 3), zone(AWAY, 4)], plans: vec![plan], ..Document::default() }
}

fn wanted(kind: AssetKind, name: &str, quantity: Quantity) -> Wanted {
    Wanted {
        kind,
        name: name.to_owned(),
        purpose: format!("the {name} of the shop"),
        size: None,
        quantity: Some(quantity),
        from: Source::Line { file: "bascule.toml".to_owned(), line: 7 },
    }
}

pub fn sound() -> Facts {
    let elsewhere = |name: &str| Place::Elsewhere(name.to_owned());
    let both = || vec![Place::Region(region(HOME)), Place::Region(region(AWAY))];
    let voter = |name: &str, place| Voter { name: name.to_owned(), place: seen(place) };
    let keeper =
        |name: &str, at| Keeper { name: name.to_owned(), region: region(at), version: text("1.0.0") };
    let tenure =
        ControlPlane { kind: ControlPlaneKind::Tenure, name: "etcd".to_owned(), places: seen(both()) };
    Facts {
        site: "shop".parse().expect("a site"),
        home: one_region(HOME, "10.1.0.0/16", None),
        away: one_region(AWAY, "10.2.0.0/16", Some(HOME)),
        promise: Promise {
            owner: seen(Some("on-call".to_owned())),
            rpo_ms: seen(Some(5_000)),
            backup_rpo_ms: seen(Some(5_000)),
            rto_ms: seen(Some(60_000)),
            retention_s: seen(Some(86_400)),
        },
        wanted: vec![
            wanted(AssetKind::Compute, "app", Quantity::PerRegion(3)),
            wanted(AssetKind::Database, "orders", Quantity::PerRegion(3)),
        ],
        paper: Fact::seen(Paper::Written(paper()), NOW, Source::Line { file: "dr.md".to_owned(), line: 0 }),
        dns: one(
            "www.shop.test",
            Record {
                managed: seen(true),
                ttl_s: seen(5),
                targets: seen(vec![region(HOME), region(AWAY)]),
                health_check: check(),
            },
        ),
        name_servers: seen(both()),
        monitoring: one("graphs", Monitoring { places: seen(both()), targets: seen(9), targets_up: seen(9) }),
        repository: one(
            "infrastructure",
            Repository {
                reachable: seen(true),
                places: seen(vec![elsewhere("hosted")]),
                drift: seen(Drift { resources: 0 }),
            },
        ),
        control: Control {
            voters: seen(vec![
                voter("etcd-1", Place::Region(region(HOME))),
                voter("etcd-2", Place::Region(region(AWAY))),
                voter("etcd-3", elsewhere("witness")),
            ]),
            keepers: seen(vec![keeper("keeper-1", HOME), keeper("keeper-2", AWAY)]),
            planes: seen(vec![tenure]),
            fence: text("keepers close it after 3 s").map(Some),
        },
    }
}

/// The parts of the baseline that fixtures break.
pub fn app(region: &mut Region) -> &mut Compute {
    at(&mut region.compute).get_mut("app").expect("the baseline has it")
}
pub fn instances(region: &mut Region) -> &mut Vec<Instance> {
    at(&mut app(region).instances)
}
pub fn orders(region: &mut Region) -> &mut Database {
    at(&mut region.database).get_mut("orders").expect("the baseline has it")
}
pub fn web(region: &mut Region) -> &mut LoadBalancer {
    at(&mut region.load_balancer).get_mut("web").expect("the baseline has it")
}
pub fn watch(region: &mut Region) -> &mut Cluster {
    at(&mut region.kubernetes).get_mut("watch").expect("the baseline has it")
}
pub fn backups(region: &mut Region) -> &mut Bucket {
    at(&mut region.object_storage).get_mut("backups").expect("the baseline has it")
}
pub fn www(facts: &mut Facts) -> &mut Record {
    at(&mut facts.dns).get_mut("www.shop.test").expect("the baseline has it")
}
pub fn code(facts: &mut Facts) -> &mut Repository {
    at(&mut facts.repository).get_mut("infrastructure").expect("the baseline has it")
}
pub fn plan(facts: &mut Facts) -> &mut WrittenPlan {
    match at(&mut facts.paper) {
        Paper::Written(document) => &mut document.plans[0],
        Paper::Planned => panic!("the baseline has a document"),
    }
}
