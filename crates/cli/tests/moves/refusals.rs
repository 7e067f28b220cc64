//! What is refused is refused with a reason and an exit code of its own, and changes nothing.

use serde_json::{Value, json};

use crate::site::{EAST, Site, WEST};

/// Everything that a refusal must not change.
fn fingerprint(site: &Site) -> Value {
    let status = site.status();
    let part = |region: &str, part: &str, field: &str| {
        status.pointer(&format!("/regions/{region}/{part}/seen/value/{field}")).cloned()
    };
    let regions = [EAST, WEST].map(|region| {
        json!([
            part(region, "gate", "state"),
            part(region, "gate", "epoch"),
            part(region, "pool", "held"),
            part(region, "database", "role"),
            part(region, "database", "leader")
        ])
    });
    let operations: Vec<_> = site.history().iter().map(|operation| operation["operation"].clone()).collect();
    json!([status["tenure"]["seen"]["value"], status["open_operation"]["seen"]["value"], regions, operations])
}

fn refuses_what_is_not_there_or_is_done(site: &Site) {
    for (args, code, hint) in [
        (&["switchover", "--to", "mars"][..], 3, "BSC-P003"),
        (&["failover", "--to", "mars"], 3, "us-east-2, us-west-1"),
        (&["switchover", "--to", "No Region"], 2, "--to"),
        (&["switchover"], 2, "--to <TO>"),
        (&["switchover", "--to", EAST], 3, "BSC-P004"),
        (&["failover", "--to", EAST], 3, "BSC-P004"),
        (&["failover", "--to", WEST], 3, "BSC-P015"),
        (&["failover", "--to", WEST, "--accept-data-loss", "5"], 2, "is not a unit"),
        (&["reinstate", EAST], 3, "BSC-P004"),
        (&["reinstate", WEST], 3, "BSC-P016"),
        (&["resume"], 2, "no operation is open"),
        (&["abort"], 2, "no operation is open"),
        (&["abort", "switchover-1"], 5, "switchover-1"),
        (&["switchover", "--to", WEST, "--crash", "during=1"], 2, "is not a crash point"),
        (&["pause"], 2, "<WHY>"),
        (&["pause", " "], 2, "say why"),
        (&["explain", "--json"], 0, "\"readiness\": \"manual\""),
        (&["status"], 0, "bascule failover --to us-west-1"),
        (&["drill", "region-loss", WEST], 2, "is the active region"),
        (&["drill", "load", "--for", "2h"], 2, "may last"),
    ] {
        site.bascule(args).must(code, hint);
    }
}

fn refuses_a_wrong_manifest(site: &Site) {
    let typo = site.manifest_with("typo.toml", |text| text.replace("max_pause", "max_paws"));
    let said = typo.bascule(&["status"]);
    said.must(2, "BSC-M004").must(2, "max_paws").must(2, "┬");
    let secret = site.manifest_with("secret.toml", |text| {
        text.replacen("password_file = \"secrets/management\"", "password = \"hunter2-hunter2\"", 1)
    });
    let said = secret.bascule(&["switchover", "--to", WEST]);
    said.must(2, "BSC-M007");
    assert!(!said.err.contains("hunter2") && !said.out.contains("hunter2"), "{said:#?}");
    site.bascule(&["status", "--manifest", "/nowhere/bascule.toml"]).must(2, "can't read the manifest");
    let elsewhere = site.manifest_with("no-lab.toml", |text| {
        let (before, after) = text.split_once("[lab]").unwrap();
        let rest = after.split_once("\n[").map_or(String::new(), |(_, rest)| format!("[{rest}"));
        before.to_owned() + &rest
    });
    let crash = ["switchover", "--to", WEST, "--crash", "before=1"];
    elsewhere.bascule(&crash).must(2, "--crash is for labs");
}

fn an_open_operation_is_the_only_one(site: &Site) {
    let died = site.bascule(&["switchover", "--to", WEST, "--crash", "before=2"]);
    assert!(died.crashed(), "{died:#?}");
    let print = fingerprint(site);
    let open = print[1].as_str().unwrap().to_owned();
    site.bascule(&["switchover", "--to", WEST]).must(3, "BSC-P002").must(3, &open);
    site.bascule(&["plan", "switchover", "--to", WEST]).must(3, "BSC-P002");
    site.bascule(&["open"]).must(2, &open);
    site.bascule(&["reinstate", WEST]).must(3, "BSC-P002");
    assert_eq!(fingerprint(site), print);
    site.bascule(&["abort", "--json"]).must(4, "a person asked for it");
    assert_eq!(site.at_rest().epoch, 1);
}

/// Of two that begin at one moment one moves; the other one is refused before it touches anything.
fn of_two_at_once_one_moves(site: &Site) {
    let load = site.load(20);
    let both = [site.start(&["switchover", "--to", WEST]), site.start(&["switchover", "--to", WEST])];
    let mut codes = both.map(|moving| {
        let said = moving.end();
        (said.code(), said)
    });
    codes.sort_by_key(|(code, _)| *code);
    assert_eq!((codes[0].0, codes[1].0), (Some(0), Some(3)), "{codes:#?}");
    let active = site.at_rest();
    assert_eq!((active.region.as_str(), active.epoch), (WEST, 2));

    // A second controller takes an operation over: the first one is fenced and stops.
    let mut first = site.start(&["switchover", "--to", EAST]);
    first.await_line("checkpoint-");
    let second = site.bascule(&["resume"]);
    let first = first.end();
    let last = site.history()[0].clone();
    let taken_over = last["controllers"] == 2;
    match (first.code(), second.code()) {
        // Too late: it was over.
        (Some(0), Some(0 | 2)) => assert!(!taken_over, "{last:#}"),
        (Some(5), Some(0 | 4)) => assert!(taken_over && first.err.contains("fenced"), "{first:#?}"),
        _ => panic!("{first:#?} {second:#?}"),
    }
    let moved = last["outcome"] == "succeeded";
    let active = site.at_rest();
    assert_eq!((active.region.as_str(), active.epoch), if moved { (EAST, 3) } else { (WEST, 2) });
    load.end_load_unharmed();
}

/// Past the commit point the only way is forward.
fn refuses_to_turn_back_too_late(site: &Site) {
    let before = site.at_rest();
    let to = crate::site::other(&before.region);
    let died = site.bascule(&["switchover", "--to", to, "--crash", "after=commit.done"]);
    assert!(died.crashed(), "{died:#?}");
    site.bascule(&["abort"]).must(3, "past the commit point");
    site.bascule(&["switchover", "--to", &before.region]).must(3, "BSC-P002");
    site.bascule(&["resume"]).must(0, "succeeded");
    let after = site.at_rest();
    assert_eq!((after.region.as_str(), after.epoch), (to, before.epoch + 1));
}

#[test]
fn refusals_change_nothing() {
    let site = Site::up("refusals");
    let print = fingerprint(&site);
    refuses_what_is_not_there_or_is_done(&site);
    refuses_a_wrong_manifest(&site);
    assert_eq!(fingerprint(&site), print);
    an_open_operation_is_the_only_one(&site);
    of_two_at_once_one_moves(&site);
    refuses_to_turn_back_too_late(&site);
}
