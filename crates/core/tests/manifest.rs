//! The manifest: the right one, more than forty wrong ones, and the pages that explain them.

mod manifest_wrong;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bascule_core::manifest::{ErrorCode, Manifest, ManifestErrors, Store, Target, TsigAlgorithm};
use manifest_wrong::{WRONG, Wrong};

const RIGHT: &str = include_str!("manifest_right.toml");

fn right() -> Manifest {
    Manifest::parse(RIGHT).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The golden manifest with one piece replaced; the piece must be there once.
fn with(from: &str, to: &str) -> String {
    assert_eq!(RIGHT.matches(from).count(), 1, "{from:?} is not there just once");
    RIGHT.replacen(from, to, 1)
}

fn wrong(text: &str) -> ManifestErrors {
    Manifest::parse(text).expect_err("a wrong manifest was accepted")
}

#[test]
fn the_right_manifest_becomes_types() {
    let manifest = right();
    let [east, west] = ["us-east-2", "us-west-1"].map(|name| name.parse().unwrap());
    assert_eq!((manifest.site.as_str(), &manifest.home), ("events", &east));
    assert_eq!(manifest.objective.rpo, Duration::from_secs(5));
    assert_eq!(manifest.objective.max_pause, Duration::from_secs(5));
    assert_eq!(manifest.store, Store::Sqlite { path: "bascule.db".into() });
    assert_eq!((manifest.front_door.url.host.as_str(), manifest.front_door.url.port()), ("app.events.test", 80));
    assert_eq!(manifest.names.tsig_algorithm, TsigAlgorithm::HmacSha256);
    assert_eq!(manifest.names.servers.len(), 3);
    assert_eq!(manifest.regions.keys().collect::<Vec<_>>(), [&east, &west]);
    assert_eq!(manifest.regions[&east].database.members[1].name.as_str(), "us-east-2-db2");
    assert_eq!(manifest.lab.as_ref().map(|lab| lab.name.as_str()), Some("lab"));
    assert_eq!((manifest.other(&east), manifest.other(&west)), (&west, &east));
    assert_eq!(manifest.region(&"eu-west-1".parse().unwrap()), None);
}

#[test]
fn a_name_has_the_address_of_its_target_in_the_active_region() {
    let manifest = right();
    let [app, db] = &manifest.names.records[..] else { panic!("two records") };
    assert_eq!((app.target, db.target), (Target::LoadBalancer, Target::Pool));
    let [east, west] = ["us-east-2", "us-west-1"].map(|name| name.parse().unwrap());
    assert_eq!(manifest.address(app, &east), ip("10.77.1.20"));
    assert_eq!(manifest.address(app, &west), ip("10.77.2.20"));
    assert_eq!(manifest.address(db, &west), ip("10.77.2.21"));
}

#[test]
fn a_move_shortens_answers_to_one_second_unless_it_is_told_otherwise() {
    let moves: Vec<_> = right().names.records.iter().map(|record| record.move_ttl.as_secs()).collect();
    assert_eq!(moves, [2, 1]);
}

#[test]
fn every_wrong_manifest_has_one_error_in_its_place_that_says_what_to_write() {
    assert!(WRONG.len() >= 40);
    for Wrong { law, write: (from, to), code, underlined, message, help } in WRONG {
        let text = with(from, to);
        let errors = wrong(&text);
        let [error] = errors.errors() else { println!("!!! {law}: {errors}"); continue };
        if std::env::var("GEN").is_ok() {
            print!("\x02{law}\x01{}\x01{}\x01{}\x01{}\x01{}\x01{:?}\n", error.code, &text[error.span.clone()], error.message, error.help, error.label, error.also);
            continue;
        }
        let found = (error.code.as_str(), &text[error.span.clone()], &*error.message, &*error.help);
        assert_eq!(found, (*code, *underlined, *message, *help), "{law}");
        assert!(!error.label.is_empty(), "{law}: nothing stands under the place");
    }
}
