//! Golden files of one region's configuration, and laws that hold for all of it.
//!
//! `BASCULE_BLESS=1 cargo test -p bascule-lab` writes the golden files anew; read the difference before it is committed.

use std::path::Path;

use super::{backup, haproxy, hosts, knot, patroni, pgbouncer, prometheus, repository, seaweed};
use crate::assets::Assets;
use crate::plan::{LabMode, LabPlan, Place};
use crate::secrets::Secrets;

fn plan() -> LabPlan {
    LabPlan::new("lab", Path::new("/somewhere/lab"))
}

/// With keepers, so that their metrics are looked at too.
fn whole() -> (LabPlan, Assets) {
    let plan = plan().decided_by(LabMode::Automatic).whole();
    let assets = plan.assets.clone().unwrap();
    (plan, assets)
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BASCULE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, wanted, "{} differs; BASCULE_BLESS=1 writes it anew", path.display());
}

#[test]
fn golden_files_of_the_second_region() {
    let (plan, secrets) = (plan(), Secrets::for_tests());
    let region = &plan.regions[1];
    golden("haproxy.cfg", &haproxy::config(&plan, region));
    golden("pgbouncer.ini", &pgbouncer::config(&plan, region));
    golden("patroni.yml", &patroni::config(&plan, region, &region.nodes[0], &secrets));
    golden("knot-secondary.conf", &knot::config(&plan, &region.dns, &secrets));
    golden("knot-primary.conf", &knot::config(&plan, &plan.witness.dns, &secrets));
    golden("events.test.zone", &knot::zone(&plan));
    golden("hosts", &hosts::hosts(&plan));
    golden("router.sh", &crate::net::setup_script(&plan));
}

#[test]
fn golden_files_of_the_second_regions_assets() {
    let ((plan, assets), secrets) = (whole(), Secrets::for_tests());
    let region = &plan.regions[1];
    let (own, peer) = assets.of(region).unwrap();
    golden("prometheus.yml", &prometheus::config(&plan, &assets, region));
    golden("storage.json", &seaweed::identities(&assets, &secrets));
    golden("storage-security.toml", &seaweed::security(&secrets));
    golden("storage-backup.sh", &backup::script(&plan, &assets, region, own, &secrets));
    golden("storage-sync.sh", &seaweed::sync(&assets, own, peer));
    for file in repository::files(&assets) {
        golden(&file.name, &file.text);
    }
}

#[test]
fn only_a_whole_lab_has_assets() {
    let parts = |plan: &LabPlan| crate::part::parts(plan).len();
    assert_eq!((parts(&plan()), parts(&plan().whole())), (24, 35));
    let files = |plan: &LabPlan| super::files(plan, &Secrets::for_tests()).len();
    assert!(files(&plan()) < files(&plan().whole()));
    let hosts = |plan: &LabPlan| Place::ALL.into_iter().flat_map(|place| plan.hosts_of(place)).count();
    assert_eq!(hosts(&plan().whole()) - hosts(&plan()), 6, "2 storages, 2 Prometheus, 2 repositories");
}

/// A region's text with its own and its peer's addresses and names replaced by words.
fn neutral(plan: &LabPlan, text: &str, own: Place) -> String {
    let other = own.other_region().unwrap();
    let network = |place: Place| format!("10.77.{}.", place.index());
    assert!(plan.region(own).is_ok());
    text.replace(own.name(), "OWN")
        .replace(other.name(), "PEER")
        .replace(&network(own), "OWN.")
        .replace(&network(other), "PEER.")
}

#[test]
fn both_regions_say_the_same_but_for_the_block_that_makes_a_standby() {
    let (plan, secrets) = (plan(), Secrets::for_tests());
    let [a, b] = [&plan.regions[0], &plan.regions[1]];
    let lb = |region| haproxy::config(&plan, region);
    assert_eq!(neutral(&plan, &lb(a), a.place), neutral(&plan, &lb(b), b.place));
    let pool = |region| pgbouncer::config(&plan, region);
    assert_eq!(neutral(&plan, &pool(a), a.place), neutral(&plan, &pool(b), b.place));
    let (whole, assets) = whole();
    let monitor = |region| prometheus::config(&whole, &assets, region);
    assert_eq!(neutral(&whole, &monitor(a), a.place), neutral(&whole, &monitor(b), b.place));
    let copier = |region| assets.of(region).map(|(own, peer)| seaweed::sync(&assets, own, peer)).unwrap();
    assert_eq!(neutral(&whole, &copier(a), a.place), neutral(&whole, &copier(b), b.place));
    let node = |region: &crate::plan::Region| {
        let text = patroni::config(&plan, region, &region.nodes[0], &secrets);
        // The access rules name both regions in the same order everywhere, so they are compared as they are.
        let (before, rules) = text.split_once("pg_hba:").unwrap();
        (neutral(&plan, before, region.place), rules.to_owned())
    };
    let ((first, first_rules), (second, second_rules)) = (node(a), node(b));
    assert_eq!(first_rules, second_rules);
    let only_second: Vec<_> =
        second.lines().filter(|line| !first.lines().any(|other| other == *line)).collect();
    let block = [
        "    standby_cluster:",
        "      host: PEER.20",
        "      port: 5434",
        "      create_replica_methods:",
        "        - basebackup",
    ];
    assert_eq!(only_second, block);
    assert!(first.lines().all(|line| second.lines().any(|other| other == line)));
}

#[test]
fn a_gate_boots_closed() {
    assert_eq!(haproxy::gate_at_boot(), "db closed\nepoch 0\n");
}

#[test]
fn the_application_gets_in_through_the_gated_addresses_only() {
    let rules = patroni::pg_hba(&plan());
    let allowed: Vec<_> =
        rules.lines().filter(|line| line.contains(" events ") && !line.ends_with("reject")).collect();
    assert_eq!(
        allowed,
        [
            "    - host events events 10.77.1.20/32 scram-sha-256",
            "    - host events events 10.77.2.20/32 scram-sha-256"
        ]
    );
    // A role that is let in nowhere is refused; one let in by a wider rule below must be stopped by a reject above.
    let wide = rules.lines().position(|line| line.contains("10.77.1.0/24")).unwrap();
    let last_reject =
        rules.lines().collect::<Vec<_>>().iter().rposition(|line| line.ends_with("reject")).unwrap();
    assert!(last_reject < wide, "rejects come before the rules for whole networks");
}

#[test]
fn the_addresses_are_the_contracts() {
    let plan = plan();
    let address = |name: &str| {
        let hosts = Place::ALL.into_iter().flat_map(|place| plan.hosts_of(place));
        hosts.into_iter().find(|host| host.dns == name).map(|host| host.address.to_string())
    };
    for (name, wanted) in [
        ("db1.us-east-2", "10.77.1.11"),
        ("db3.us-west-1", "10.77.2.13"),
        ("dcs.us-east-2", "10.77.1.5"),
        ("store.witness", "10.77.3.6"),
        ("lb.us-west-1", "10.77.2.20"),
        ("pool.us-east-2", "10.77.1.21"),
        ("app3.us-west-1", "10.77.2.33"),
        ("dns.witness", "10.77.3.53"),
        ("operator.clients", "10.77.9.10"),
    ] {
        assert_eq!(address(name).as_deref(), Some(wanted), "{name}");
    }
}

#[test]
fn hosts_have_unique_names_and_addresses() {
    let (plan, _) = whole();
    let hosts: Vec<_> = Place::ALL.into_iter().flat_map(|place| plan.hosts_of(place)).collect();
    let names: std::collections::HashSet<_> = hosts.iter().map(|host| &host.name).collect();
    let addresses: std::collections::HashSet<_> = hosts.iter().map(|host| host.address).collect();
    assert_eq!((names.len(), addresses.len()), (hosts.len(), hosts.len()));
}

#[test]
fn the_plan_holds_no_secret_and_survives_its_file() {
    let (plan, _) = whole();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<LabPlan>(&text).unwrap(), plan);
    for secret in crate::plan::Secret::ALL {
        assert!(!text.contains(Secrets::for_tests().get(secret)));
    }
}

#[test]
fn every_secret_of_a_lab_is_drawn_anew() {
    let (one, two) = (Secrets::draw().unwrap(), Secrets::draw().unwrap());
    let mut seen = std::collections::HashSet::new();
    for secret in crate::plan::Secret::ALL {
        assert!(seen.insert(one.get(secret).to_owned()) && seen.insert(two.get(secret).to_owned()));
    }
}

#[test]
fn a_partition_drops_only_what_it_names() {
    use crate::fault::{Cut, Fault};
    let plan = plan();
    let rules = |cut| crate::net::router_rules(&plan, &[Fault::Partition(cut)]);
    let drops = |text: &str| text.lines().filter(|line| line.ends_with("drop")).count();
    assert_eq!(drops(&crate::net::router_rules(&plan, &[])), 0);
    let one_way = rules(Cut::OneWay { from: Place::UsEast2, to: Place::Witness });
    assert_eq!(drops(&one_way), 1);
    assert!(one_way.contains("ip saddr 10.77.1.0/24 ip daddr 10.77.3.0/24 drop"));
    assert_eq!(drops(&rules(Cut::Between(Place::UsEast2, Place::UsWest1))), 2);
    assert_eq!(drops(&rules(Cut::Place(Place::UsEast2))), 6);
    let link = rules(Cut::DatabaseLink);
    assert!(link.lines().filter(|line| line.ends_with("drop")).all(|line| line.contains("{ 5433, 5434 }")));
}
