//! The store's members cut off from each other while they live, by the lab's network: a frozen member says nothing, this
//! one answers its clients.
//!
//! What asks runs inside the lab's places: this test's own program, started there with a role.

use std::time::{Duration, Instant};

use bascule_core::ports::{JournalStore as _, ReportStore as _, StoreError, TenureStore as _};
use bascule_core::time::Timestamp;
use bascule_core::vantage::Pause;
use bascule_stores::{EtcdConfig, EtcdStore};

use crate::site::{EAST, Site, WEST};

const ROLE: &str = "BASCULE_TEST_ROLE";
const ENDPOINTS: &str = "BASCULE_TEST_ENDPOINTS";
const THIS: &str = "minority::a_member_that_is_cut_off_answers_nothing_and_the_others_go_on";
/// A request may take a second, and a call makes two; the rest is for a busy machine.
const CALL: Duration = Duration::from_secs(5);

fn pause(why: &str) -> Pause {
    Pause { by: "a test".to_owned(), why: why.to_owned(), since: Timestamp(1) }
}

/// What each role finds.
async fn plays(role: &str, store: &EtcdStore) {
    let unavailable = |what: &str, error: Option<StoreError>| {
        assert!(matches!(error, Some(StoreError::Unavailable(_))), "{what}: {error:?}");
    };
    match role.split_once('=').unwrap_or((role, "")) {
        ("minority", _) => {
            let begun = Instant::now();
            unavailable("tenure", store.tenure().await.err());
            unavailable("open", store.open().await.err());
            unavailable("reports", store.reports().await.err());
            unavailable("pause", store.pause().await.err());
            unavailable("set_pause", store.set_pause(Some(&pause("of the minority"))).await.err());
            assert!(begun.elapsed() < CALL * 5, "{:?} for five calls", begun.elapsed());
        }
        ("writes", why) => {
            // An election may be under way.
            let begun = Instant::now();
            while let Err(error) = store.set_pause(Some(&pause(why))).await {
                assert!(begun.elapsed() < CALL * 4, "no majority: {error}");
            }
            assert!(store.tenure().await.unwrap().is_some());
        }
        ("reads", why) => {
            let begun = Instant::now();
            let read = loop {
                match store.pause().await {
                    Ok(read) => break read,
                    Err(error) => assert!(begun.elapsed() < CALL * 4, "it does not come back: {error}"),
                }
            };
            assert_eq!(read, Some(pause(why)));
        }
        (other, _) => panic!("no role {other}"),
    }
}

fn at(site: &Site, place: &str, members: &[u8], role: &str) {
    let endpoints: Vec<_> = members.iter().map(|n| format!("http://10.77.{n}.6:2379")).collect();
    let (role, endpoints) = (format!("{ROLE}={role}"), format!("{ENDPOINTS}={}", endpoints.join(",")));
    let program = std::env::current_exe().unwrap().display().to_string();
    let said = site.lab.does(&[
        "exec",
        "--at",
        place,
        "--",
        "env",
        &role,
        &endpoints,
        &program,
        "--exact",
        THIS,
        "--nocapture",
    ]);
    assert!(said.contains("1 passed"), "it was not played: {said}");
}

/// A request of etcd's own, past the store's look before each change. The key and the value are base64.
fn raw(site: &Site, place: &str, member: u8, what: &str, body: &str) -> Option<String> {
    let url = format!("http://10.77.{member}.6:2379/v3/kv/{what}");
    let curl = ["curl", "-sSf", "--max-time", "3", "-X", "POST", "-d", body, &url];
    let output = site.lab.lab(&[&["exec", "--at", place, "--"], &curl[..]].concat());
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_member_that_is_cut_off_answers_nothing_and_the_others_go_on() {
    if let (Ok(role), Ok(endpoints)) = (std::env::var(ROLE), std::env::var(ENDPOINTS)) {
        let config = EtcdConfig::new(endpoints.split(',').map(str::to_owned).collect());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        let store = EtcdStore::connect(config, &"events".parse().unwrap()).unwrap();
        return runtime.block_on(plays(&role, &store));
    }
    let site = Site::up_in_mode("minority", "observe");
    site.at_rest();
    let (out, into) = (
        [[EAST, WEST], [EAST, "witness"]].map(|[from, to]| format!("{from}:{to}")),
        [[WEST, EAST], ["witness", EAST]].map(|[from, to]| format!("{from}:{to}")),
    );
    for (what, way, links) in [
        ("both ways", None, &out),
        ("what it sends", Some("--one-way"), &out),
        ("what it hears", Some("--one-way"), &into),
    ] {
        for link in links {
            let fault: Vec<&str> =
                ["break", "partition"].into_iter().chain(way).chain([link.as_str()]).collect();
            site.lab.does(&fault);
        }
        at(&site, EAST, &[1], "minority");
        let put = raw(&site, EAST, 1, "put", r#"{"key": "bWlub3JpdHk=", "value": "eA=="}"#);
        assert_eq!(put, None, "{what}: a minority has taken a write");
        let why = format!("writes={what}");
        at(&site, WEST, &[2, 3], &why);
        // Of three that it knows none is of use.
        at(&site, EAST, &[1, 2, 3], "minority");
        site.lab.does(&["heal"]);
        at(&site, EAST, &[1], &format!("reads={what}"));
        let got = raw(&site, WEST, 2, "range", r#"{"key": "bWlub3JpdHk="}"#).unwrap();
        assert!(
            got.contains("header") && !got.contains("kvs"),
            "{what}: a minority's write came after all: {got}"
        );
    }
}
