//! The manifest: the right one, more than forty wrong ones, and the pages that explain them.

mod assets;
mod guarded;
mod wrong_rules;
mod wrong_text;
mod wrong_values;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bascule_core::manifest::{ErrorCode, Manifest, ManifestErrors, Store, Target, TsigAlgorithm};

const RIGHT: &str = include_str!("right.toml");

/// A manifest that is wrong in one way, the golden one with one piece of it replaced, and what is said of it.
struct Wrong {
    /// What is wrong, in a few words.
    law: &'static str,
    /// What of the golden manifest is replaced, and by what.
    write: (&'static str, &'static str),
    code: &'static str,
    underlined: &'static str,
    message: &'static str,
    help: &'static str,
}

fn every_wrong() -> impl Iterator<Item = &'static Wrong> {
    [wrong_text::WRONG, wrong_values::WRONG, wrong_rules::WRONG].into_iter().flatten()
}

fn right() -> Manifest {
    Manifest::parse(RIGHT).expect("the golden manifest is right")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the test names an address")
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
    assert_eq!(
        (manifest.front_door.url.host.as_str(), manifest.front_door.url.port()),
        ("app.events.test", 80)
    );
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
    assert!(every_wrong().count() >= 40);
    for Wrong { law, write: (from, to), code, underlined, message, help } in every_wrong() {
        let text = with(from, to);
        let errors = wrong(&text);
        let [error] = errors.errors() else { panic!("{law}: {errors}") };
        let found = (error.code.as_str(), &text[error.span.clone()], &*error.message, &*error.help);
        assert_eq!(found, (*code, *underlined, *message, *help), "{law}");
        assert!(!error.label.is_empty(), "{law}: nothing stands under the place");
    }
}

#[test]
fn each_code_is_tried() {
    let mut tried: BTreeSet<_> =
        every_wrong().chain(guarded::WRONG).chain(assets::WRONG).map(|wrong| wrong.code).collect();
    // These have tests of their own: replacing one piece does not do.
    tried.extend([ErrorCode::TooLarge, ErrorCode::RegionCount].map(ErrorCode::as_str));
    assert_eq!(tried, ErrorCode::ALL.iter().map(|code| code.as_str()).collect());
}

#[test]
fn a_site_has_two_regions_neither_one_nor_three() {
    let west = RIGHT.find("[regions.us-west-1.database]").unwrap();
    let lab = RIGHT.find("[lab]").unwrap();
    let one = wrong(&RIGHT[..west]);
    let [error] = one.errors() else { panic!("{one}") };
    assert_eq!((error.code, &RIGHT[error.span.clone()]), (ErrorCode::RegionCount, "us-east-2"));
    assert_eq!(error.message, "the manifest has one region, and a site has exactly two");
    assert_eq!(error.help, "describe the other region too, in sections [regions.NAME.…]");

    let third = RIGHT[west..lab].replace("us-west-1", "eu-west-1").replace("10.77.2.", "10.77.4.");
    let text = format!("{RIGHT}\n{third}");
    let three = wrong(&text);
    let [error] = three.errors() else { panic!("{three}") };
    assert_eq!((error.code, &text[error.span.clone()]), (ErrorCode::RegionCount, "eu-west-1"));
    assert_eq!(error.message, "the manifest has 3 regions, and a site has exactly two");
    assert_eq!(error.help, "keep two of: us-east-2, us-west-1, eu-west-1");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = format!("{RIGHT}#{}", "x".repeat(256 * 1024));
    let errors = wrong(&text);
    let [error] = errors.errors() else { panic!("{errors}") };
    assert_eq!((error.code, error.span.clone()), (ErrorCode::TooLarge, 0..0));
    assert!(error.message.ends_with("bytes, and 262144 are read at most"), "{}", error.message);
}

#[test]
fn mistakes_in_different_parts_are_all_found_in_the_order_of_the_text() {
    let text = RIGHT
        .replace("home = \"us-east-2\"", "home = \"nowhere\"")
        .replace("rpo = \"5s\"", "rpo = 5")
        .replace("url = \"http://app.events.test\"", "url = \"http://www.events.test\"")
        .replace("zone = \"events.test\"", "zone = \"example.test\"")
        .replace("tsig_algorithm", "tsig_algoritm")
        .replace("name = \"us-west-1-db1\"", "name = \"us-east-2-db1\"")
        .replace("address = \"10.77.2.20\"", "address = \"10.77.1.20\"")
        .replace("instances = [\"10.77.2.31:8080\"]", "");
    let errors = wrong(&text);
    let found: Vec<_> = errors.errors().iter().map(|e| (e.code, &text[e.span.clone()])).collect();
    let expected = [
        (ErrorCode::UnknownHome, "\"nowhere\""),
        (ErrorCode::InvalidDuration, "5"),
        (ErrorCode::FrontDoorHost, "\"http://www.events.test\""),
        (ErrorCode::UnknownKey, "tsig_algoritm"),
        (ErrorCode::OutsideZone, "\"app.events.test\""),
        (ErrorCode::OutsideZone, "\"db.events.test\""),
        (ErrorCode::DuplicateMember, "\"us-east-2-db1\""),
        (ErrorCode::AddressReused, "\"10.77.1.20\""),
        (ErrorCode::Missing, "[regions.us-west-1.compute]"),
    ];
    assert_eq!(found, expected);
    assert!(
        errors.to_string().starts_with("the manifest has 9 errors\nBSC-M017: `site.home` is"),
        "{errors}"
    );
}

#[test]
fn an_empty_file_lacks_every_part_but_the_lab() {
    let missing: Vec<_> = wrong("# nothing\n").errors().iter().map(|e| e.message.clone()).collect();
    assert_eq!(missing.len(), 9, "{missing:?}");
    assert!(!missing.iter().any(|message| message.contains("lab")), "{missing:?}");
}

#[test]
fn a_mistake_names_the_other_place_that_it_is_about() {
    let text = with("patroni = \"10.77.1.12:8008\"", "patroni = \"10.77.1.11:8008\"");
    let errors = wrong(&text);
    let also = errors.errors()[0].also.clone().unwrap();
    assert!(also.span.start < errors.errors()[0].span.start);
    assert_eq!(&text[also.span], "\"10.77.1.11:8008\"");
}

#[test]
fn a_secret_is_never_shown() {
    let written = [
        ("password_file = \"secrets/pool\"", "password_file = \"secrets/pool\"\npassword = \"hunter2\""),
        (
            "password_file = \"secrets/pool\"",
            "password_file = \"secrets/pool\"\npassword = \"\"\"\nhunter2\"\"\"",
        ),
        ("password_file = \"secrets/pool\"", "password = hunter2"),
        ("[lab]", "[laboratory]\ntoken = \"hunter2\"\n[lab]"),
        ("[pool]", "[pool]\nadmin = { user = \"x\", password = \"hunter2\" }"),
        ("[pool]", "[pool]\nadmin = [{ \"token\" = \"hunter2\" }]\n= = ="),
        ("url = \"http://app.events.test\"", "url = \"http://me:hunter2@app.events.test\""),
        ("url = \"http://app.events.test\"", "url = http://me:hunter2@app.events.test"),
    ];
    for (from, to) in written {
        let text = with(from, to);
        let errors = wrong(&text);
        for said in [errors.to_string(), format!("{errors:?}"), errors.shown().to_owned()] {
            assert!(!said.contains("hunter2"), "{to}: {said}");
        }
        assert_eq!(errors.shown().len(), text.len());
        let lines = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(lines(errors.shown()), lines(&text), "spans and lines no longer fit");
    }
}

#[test]
fn ipv6_is_accepted_everywhere() {
    let text =
        RIGHT.replace("10.77.1.", "fd00:1::").replace("10.77.2.", "fd00:2::").replace("10.77.3.", "fd00:3::");
    let bracketed: String = text
        .split_inclusive('"')
        .map(|part| match part.strip_suffix('"').and_then(|inner| inner.rsplit_once(':')) {
            Some((host, port)) if host.starts_with("fd00:") && host.contains("::") => {
                format!("[{host}]:{port}\"")
            }
            _ => part.to_owned(),
        })
        .collect();
    let manifest = Manifest::parse(&bracketed).unwrap();
    assert!(manifest.regions.values().all(|region| region.load_balancer.address.is_ipv6()));
    assert_eq!(Manifest::parse(&manifest.to_toml()), Ok(manifest));
}

#[test]
fn the_server_that_takes_updates_may_serve_users_too_but_does_not_have_to() {
    assert!(right().names.servers.contains(&right().names.update_server));
    let hidden = with("update_server = \"10.77.3.53:53\"", "update_server = \"10.77.3.54:53\"");
    assert!(Manifest::parse(&hidden).is_ok());
    let taken = with("update_server = \"10.77.3.53:53\"", "update_server = \"10.77.1.11:5432\"");
    assert_eq!(wrong(&taken).errors()[0].code, ErrorCode::AddressReused);
}

#[test]
fn what_is_written_is_read_back_as_the_same() {
    let mut manifests = vec![right()];
    manifests.extend([100, 999, 1000, 1001, 60_000].map(|millis| {
        let mut manifest = right();
        manifest.objective.max_pause = Duration::from_millis(millis);
        manifest.objective.rto = Duration::from_millis(millis + 86_400_000);
        manifest.objective.rpo = Duration::from_millis(millis - 100);
        manifest.names.records[0].ttl = Duration::from_secs(millis);
        manifest.lab = None;
        manifest
    }));
    manifests.extend(["a b", "it's", "a\"b", "a\\b", "ü/ñ", "'''", "C:\\x", "#", "= [x]"].map(|path| {
        let mut manifest = right();
        manifest.store = Store::Sqlite { path: path.into() };
        manifest.database.password_file = path.into();
        manifest.names.tsig_algorithm = TsigAlgorithm::HmacSha512;
        manifest.front_door.url.port = Some(8443);
        manifest
    }));
    manifests.extend(guarded::manifests());
    manifests.extend(assets::manifests());
    for manifest in manifests {
        let text = manifest.to_toml();
        assert_eq!(Manifest::parse(&text), Ok(manifest.clone()), "{text}");
        assert_eq!(Manifest::parse(&text).unwrap().to_toml(), text);
    }
}

#[test]
fn a_cut_or_garbled_manifest_is_an_error_with_places_in_the_text_never_a_panic() {
    for at in 0..RIGHT.len() {
        for text in [RIGHT[..at].to_owned(), format!("{}\u{fc}]\"=[{}", &RIGHT[..at], &RIGHT[at..])] {
            let Err(errors) = Manifest::parse(&text) else { continue };
            assert!(!errors.errors().is_empty());
            for error in errors.errors() {
                assert!(text.get(error.span.clone()).is_some(), "{error} at {:?}", error.span);
            }
        }
    }
}

#[test]
fn each_code_has_its_page_and_each_page_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let pages: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("BSC-M"))
        .collect();
    assert_eq!(pages, ErrorCode::ALL.iter().map(|code| format!("{code}.md")).collect());
    for code in ErrorCode::ALL {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "{code}: another title");
        assert!(page.contains("\n## How to mend it\n"), "{code}: does not say how to mend it");
    }
}

#[test]
fn the_example_in_the_documentation_is_a_right_manifest() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manifest.md");
    let page = std::fs::read_to_string(page).unwrap();
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    Manifest::parse(example).unwrap();
}
