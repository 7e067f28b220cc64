//! `bascule check` and `bascule inventory` of a running site: every check holds on a lab as it comes up by default, and what is
//! broken is what is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod looking;
#[path = "../lab/rig.rs"]
#[allow(dead_code, reason = "the lab's own tests use the rest")]
mod rig;

use std::time::{Duration, Instant};

use looking::Looking;

const EAST: &str = "us-east-2";
const WEST: &str = "us-west-1";
/// The survey's own limit is 2.5 s; entering the lab and printing take the rest, on cores that a lab keeps busy.
const SOON: Duration = Duration::from_millis(3_500);

/// One lab, in sequence: labs take longer to start than all of this.
#[test]
fn each_thing_that_is_broken_fails_its_own_check_and_no_other() {
    let site = Looking::at("survey");
    site.finds(&[], &[]);
    the_inventory_says_how_each_asset_is_protected(&site);
    broken_parts(&site);
    broken_settings(&site);
    a_standby_that_follows_nobody(&site);
    commits_that_wait_for_nobody(&site);
    a_standby_that_follows_a_name(&site);
    broken_names(&site);
    a_secret_that_differs(&site);
    broken_buckets(&site);
    a_key_that_opens_one_region_only(&site);
    a_repository_that_is_gone(&site);
    the_document_is_filled_and_matches_until_something_changes(&site);
    what_people_asked_for_is_read_back_from_the_document(&site);
    a_standby_that_replays_late(&site);
    a_right_that_was_taken(&site);
    a_region_that_is_gone(&site);
    // a lab's folder goes only if nothing else is in it
    std::fs::remove_file(site.lab.dir.join("other.toml")).unwrap();
}

fn the_inventory_says_how_each_asset_is_protected(site: &Looking) {
    let said = site.bascule(&["inventory", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let assets = said.json()["assets"].as_array().unwrap().clone();
    let protection = |kind: &str| {
        let of_kind = assets.iter().filter(|asset| asset["kind"] == kind);
        of_kind.map(|asset| asset["protection"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(protection("database"), ["replicated"]);
    assert_eq!(protection("compute"), ["deployed"]);
    assert_eq!(protection("load_balancer"), ["deployed"]);
    assert_eq!(protection("dns"), ["provider managed"; 2]);
    assert_eq!(protection("object_storage"), ["replicated"; 2]);
    assert_eq!(protection("key_pair"), ["copied"; 2]);
    assert_eq!(protection("monitoring"), ["deployed"]);
    assert_eq!(protection("repository"), ["stored elsewhere"]);
    assert!(assets.iter().all(|asset| !asset["evidence"].as_array().unwrap().is_empty()));
    let text = site.bascule(&["inventory"]).out;
    assert!(text.contains("Database cluster events: replicated"), "{text}");
    assert!(
        text.contains("3 of 3 well in us-east-2; 3 of 3 well in us-west-1; wanted: 3 per region"),
        "{text}"
    );
}

fn broken_parts(site: &Looking) {
    let replica = site.lab.with_role(WEST, "replica").unwrap();
    site.lab.does(&["break", "node-loss", &replica]);
    // what all members are to have alike nobody can say of a dead one
    let silent = ["BSC-C024", "BSC-C025", "BSC-C036", "BSC-C037", "BSC-C047", "BSC-C050", "BSC-C051"];
    site.finds(&["BSC-C012"], &silent);
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
    let app = site.part(WEST, "app");
    site.lab.does(&["break", "part-loss", &app]);
    // what a dead instance runs, on what, and how it finds its database, nobody can say
    site.finds(&["BSC-C014", "BSC-C017"], &["BSC-C026", "BSC-C032", "BSC-C033"]);
    let keeper = site.part(EAST, "keeper");
    site.lab.does(&["break", "part-loss", &keeper]);
    site.finds(&["BSC-C014", "BSC-C017"], &["BSC-C026", "BSC-C032", "BSC-C033", "BSC-C049"]);
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
    site.lab.does(&["break", "part-loss", "us-west-1-lb"]);
    site.until("nobody listens", |seen| seen.fails.contains("BSC-C016"));
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
    site.lab.does(&["break", "part-freeze", "us-west-1-lb"]);
    // the kernel takes connections for it
    site.until("it does not answer", |seen| seen.unknown.contains("BSC-C016"));
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
}

fn broken_settings(site: &Looking) {
    site.patroni(EAST, r#"{"pause": true}"#);
    site.finds(&["BSC-C019"], &[]);
    site.patroni(EAST, r#"{"pause": null}"#);
    site.finds(&[], &[]);

    the_permit_is_set_away(site);

    site.patroni(EAST, r#"{"slots": {"for_somebody": {"type": "physical"}}}"#);
    site.finds(&[], &[]);
    site.patroni(EAST, r#"{"pause": true, "slots": {"for_nobody": {"type": "nonsense"}}}"#);
    // a slot that is asked for and that nobody makes
    site.finds(&["BSC-C019", "BSC-C023"], &[]);
    site.patroni(EAST, r#"{"pause": null, "slots": null}"#);
    site.finds(&[], &[]);

    let leader = site.lab.with_role(WEST, "standby_leader").unwrap();
    site.superuser(WEST, &leader, "ALTER SYSTEM SET wal_keep_size = '32MB'");
    site.superuser(WEST, &leader, "SELECT pg_reload_conf()");
    let said = site.finds(&["BSC-C024"], &[]);
    assert!(said.out.contains("us-west-1: wal_keep_size = "), "it names what differs: {}", said.out);
    site.superuser(WEST, &leader, "ALTER SYSTEM RESET wal_keep_size");
    site.superuser(WEST, &leader, "SELECT pg_reload_conf()");
    site.finds(&[], &[]);
}

fn a_standby_that_follows_nobody(site: &Looking) {
    site.lab.does(&["break", "partition", "--db-link"]);
    // what came in last grows old
    site.finds(&["BSC-C018", "BSC-C021"], &[]);
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
}

/// By its cluster manager, which resumes a replay that is paused by hand.
fn a_standby_that_replays_late(site: &Looking) {
    site.patroni(WEST, r#"{"standby_cluster": {"recovery_min_apply_delay": "1h"}}"#);
    site.finds(&["BSC-C021"], &[]);
    site.patroni(WEST, r#"{"standby_cluster": {"recovery_min_apply_delay": null}}"#);
    site.finds(&[], &[]);
}

fn commits_that_wait_for_nobody(site: &Looking) {
    let primary = site.lab.with_role(EAST, "leader").unwrap();
    site.superuser(EAST, &primary, "ALTER ROLE events SET synchronous_commit = 'local'");
    let said = site.finds(&["BSC-C024"], &[]);
    assert!(said.out.contains("role events: synchronous_commit=local"), "it says whose: {}", said.out);
    site.superuser(EAST, &primary, "ALTER ROLE events RESET synchronous_commit");
    site.finds(&[], &[]);
}

fn a_standby_that_follows_a_name(site: &Looking) {
    site.patroni(WEST, r#"{"standby_cluster": {"host": "lb.us-east-2"}}"#);
    let by_name = |seen: &looking::Seen| {
        let sent =
            site.bascule(&["check", "--only", "BSC-C018", "--json"]).out.contains("pg_stat_replication");
        seen.fails.is_empty() && seen.unknown.is_empty() && sent
    };
    site.until("it follows by name", by_name);
    site.patroni(WEST, r#"{"standby_cluster": {"host": "10.77.1.20"}}"#);
    site.finds(&[], &[]);
}

/// By whoever may configure Patroni, in the region that runs and in the one that would take over.
fn the_permit_is_set_away(site: &Looking) {
    let names = |names: &str| {
        format!(r#"{{"postgresql": {{"parameters": {{"synchronous_standby_names": {names}}}}}}}"#)
    };
    let ready = || site.bascule(&["explain", "--json"]).code == Some(0);
    for (region, instead) in [(EAST, "null"), (WEST, r#""us_west_1_db2""#)] {
        // It moves by itself only if it would be guarded when it wakes.
        assert!(rig::eventually(ready), "{:?}", site.bascule(&["explain"]));
        site.patroni(region, &names(instead));
        site.finds(&["BSC-C051"], &[]);
        if region == EAST {
            let unguarded = || site.bascule(&["explain"]).out.contains("BSC-D007 its commits may need no");
            assert!(rig::eventually(unguarded), "{:?}", site.bascule(&["explain"]));
        }
        site.bascule(&["guard"]);
        site.finds(&[], &[]);
    }
    // The manager owns the setting then, and takes it away.
    site.patroni(EAST, r#"{"synchronous_mode": true}"#);
    site.finds(&["BSC-C051"], &[]);
    let said = site.bascule(&["guard"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("shows synchronous_standby_names = '"), "{said:?}");
    site.patroni(EAST, r#"{"synchronous_mode": null}"#);
    assert_eq!(site.bascule(&["guard"]).code, Some(0));
    site.finds(&[], &[]);
}

fn broken_names(site: &Looking) {
    let name = "app.events.test.";
    let address = site.lab.at("clients", &["kdig", "+short", "@10.77.3.53", name]).unwrap();
    site.zone(&format!("update delete {name} A\nupdate add {name} 300 A {address}"));
    site.finds(&["BSC-C029"], &[]);
    site.zone(&format!("update delete {name} A"));
    site.finds(&["BSC-C031"], &["BSC-C028", "BSC-C029"]);
    site.zone(&format!("update add {name} 1 A {address}"));
    site.finds(&[], &[]);
}

/// In the manifest: the copies that the instances read stay as they are.
fn a_secret_that_differs(site: &Looking) {
    std::fs::write(site.lab.dir.join("secrets/other"), "not the same").unwrap();
    let other = site.manifest_with(|text| {
        let (before, west) = text.split_once(&format!("[[regions.{WEST}.secrets]]")).unwrap();
        format!(
            "{before}[[regions.{WEST}.secrets]]{}",
            west.replacen("secrets/us-west-1-app", "secrets/other", 1)
        )
    });
    // and what is in the repository is not in use
    let said = site.finds_by(other, &["BSC-C035", "BSC-C046"], &[]);
    assert!(!said.out.contains("not the same"), "its text stays where it is");
    let one = site.manifest_with(|text| text.replace("secrets/us-west-1-app", "secrets/us-east-2-app"));
    // one file for both regions says nothing
    site.finds_by(one, &["BSC-C046"], &["BSC-C035"]);
}

fn broken_buckets(site: &Looking) {
    let file = site.lab.dir.join("conf/bucket-versioning.xml");
    let text = std::fs::read_to_string(&file).unwrap();
    let suspended = site.lab.dir.join("log/suspended.xml");
    std::fs::write(&suspended, text.replace("Enabled", "Suspended")).unwrap();
    site.bucket(WEST, "?versioning=", &["-T", suspended.to_str().unwrap()]);
    site.finds(&["BSC-C039"], &[]);
    site.bucket(WEST, "?versioning=", &["-T", file.to_str().unwrap()]);
    site.bucket(EAST, "?encryption=", &["-X", "DELETE"]);
    site.finds(&["BSC-C041"], &[]);
    site.bucket(
        EAST,
        "?encryption=",
        &["-T", site.lab.dir.join("conf/bucket-encryption.xml").to_str().unwrap()],
    );
    site.finds(&[], &[]);

    let other = site.manifest_with(|text| text.replace("backup_rpo = \"2h\"", "backup_rpo = \"1s\""));
    site.finds_by(other, &["BSC-C043", "BSC-C046"], &[]);
}

fn a_key_that_opens_one_region_only(site: &Looking) {
    let files: Vec<_> =
        (1..=3).map(|n| site.lab.dir.join(format!("data/{WEST}-app{n}/.ssh/authorized_keys"))).collect();
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let without: String = text.lines().filter(|line| !line.ends_with(" admin")).collect();
    assert_ne!(text.trim(), without.trim());
    files.iter().for_each(|file| std::fs::write(file, &without).unwrap());
    let said = site.finds(&["BSC-C034"], &[]);
    assert!(said.out.contains("admin"), "{}", said.out);
    files.iter().for_each(|file| std::fs::write(file, &text).unwrap());
    site.finds(&[], &[]);
}

/// The copy that is left is in a region: if that one is lost, so is the code.
fn a_repository_that_is_gone(site: &Looking) {
    site.lab.does(&["break", "part-loss", "witness-repository"]);
    // without its first copy nobody knows whether they are the same
    site.finds(&["BSC-C044", "BSC-C045"], &["BSC-C046"]);
    site.lab.does(&["heal"]);
    site.finds(&[], &[]);
}

/// As on-call engineers and CI would use it.
fn the_document_is_filled_and_matches_until_something_changes(site: &Looking) {
    let older = site.lab.dir.join("log/older.md");
    std::fs::write(&older, OLDER).unwrap();
    let file = site.lab.dir.join("log/dr.md");
    let (older, file) = (older.to_str().unwrap(), file.to_str().unwrap());
    let said = site.bascule(&["document", "--from", older, "--out", file]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let written = std::fs::read_to_string(file).unwrap();
    let (_, table) = written.split_once("| --- |").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for row in &rows {
        let [name, purpose, size, quantity, protection] = row[..] else { panic!("{row:?}") };
        assert!(!name.is_empty() && !purpose.is_empty() && !quantity.is_empty(), "{row:?}");
        assert!(!size.contains("not observed") && protection != "unknown", "{row:?}");
    }
    let of = |kind: &str| rows.iter().filter(|row| row[0].starts_with(kind)).collect::<Vec<_>>();
    assert_eq!(rows.len(), 11, "{written}");
    assert_eq!((of("Instances")[0][1], of("Instances")[0][4]), ("Running the shop", "deployed"));
    assert_eq!(
        of("Bucket").iter().map(|row| (row[1], row[4])).collect::<Vec<_>>(),
        [("Backups", "replicated"); 2]
    );
    assert!(written.contains("Nothing is left to do."), "each pre-step was seen done: {written}");
    site.matches(file);

    site.patroni(EAST, r#"{"pause": true}"#);
    site.finds(&["BSC-C019"], &[]);
    let said = site.bascule(&["document", "--check", file]);
    assert_eq!(said.code, Some(3), "{}", said.out);
    assert!(said.out.contains("automatic failover") || said.out.contains("C019"), "{}", said.out);
    site.patroni(EAST, r#"{"pause": null}"#);
    site.finds(&[], &[]);
    site.matches(file);
}

const OLDER: &str = "# Infrastructure\n\n## AWS Zones\nus-east-2\nus-west-1\n\n## Servers and Clusters\n\n\
    ### Table 1.1 Summary\n| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n\
    | EC2 instance | Running the shop | | 3 per region | |\n| S3 buckets | Backups | NA | 2 | |\n\
    | RDS cluster | Orders | | 3 nodes | |\n\n## DR Plan\n### Pre-Steps:\n\
    - Change from 1 db node to 3 nodes.\n- Use DNS for DB name\n- A load balancer in each region\n\n\
    ## Steps:\nPoint the DNS to us-west-1\nFail the database over to us-west-1\n";

/// Real documents have sizes that no lab has, and rows of which nothing runs.
fn what_people_asked_for_is_read_back_from_the_document(site: &Looking) {
    let [older, file] = ["sample.md", "sample-dr.md"].map(|name| site.lab.dir.join("log").join(name));
    std::fs::write(&older, SAMPLE).unwrap();
    let (older, file) = (older.to_str().unwrap(), file.to_str().unwrap());
    let said = site.bascule(&["document", "--from", older, "--out", file]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("Queue: its kind can't be told"), "{}", said.err);
    let written = std::fs::read_to_string(file).unwrap();
    for words in ["(wanted: t3.medium) |", "(wanted: db.t2.small) |", "| Queue |", "| Kubernetes cluster |"] {
        assert!(written.contains(words), "{words}: {written}");
    }
    assert!(written.contains("- Noted, not observed: Invoices are kept for ten years."), "{written}");
    assert!(!written.contains("Asset name"), "the template's own row is no asset: {written}");
    for row in written.lines().filter(|line| line.starts_with('|')) {
        let protection = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        assert!(!protection.is_empty(), "{row}");
    }
    site.matches(file);

    let wrong = written.replace("(wanted: t3.medium)", "(wanted: t3.large)");
    std::fs::write(file, wrong.replacen("| deployed |", "| rebuilt on demand |", 1)).unwrap();
    let said = site.bascule(&["document", "--check", file]);
    assert_eq!(said.code, Some(3), "{}", said.out);
    assert!(said.out.contains("no longer holds: | Instances events |"), "{}", said.out);
}

const SAMPLE: &str = "# Infrastructure\n\n## AWS Zones\nus-east-2\nus-west-1\n\n## Servers and Clusters\n\n\
    ### Table 1.1 Summary\n| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n\
    | EC2 instances | Ticket shop | t3.medium | 2 instances | |\n| Kubernetes cluster | Dashboards | NA | 2 nodes | |\n\
    | Load balancer | Front door | NA | 1 | |\n| S3 buckets | Nightly dumps | NA | 2 | |\n\
    | EC2 key pairs | Logging in | NA | 2 | |\n| Monitoring platform | Alarms | NA | 1 | |\n\
    | GitHub repo | Terraform | NA | 1 | |\n| RDS cluster | Orders | db.t2.small | 1 | |\n| Queue | Mail | | 1 | |\n\
    | Asset name | Brief description | AWS size eg. t3.micro | Number of nodes/replicas | |\n\n\
    ### Descriptions\nInvoices are kept for ten years.\n\n## DR Plan\n### Pre-Steps:\n- Phone the warehouse\n\n\
    ## Steps:\nPoint the DNS to us-west-1\nFail the database over to us-west-1\n";

fn a_right_that_was_taken(site: &Looking) {
    let primary = site.lab.with_role(EAST, "leader").unwrap();
    site.superuser(EAST, &primary, "ALTER ROLE bascule NOSUPERUSER REPLICATION");
    let said = site.until("the right is missed", |seen| seen.fails.contains("BSC-C047"));
    let others: Vec<_> = said.fails.iter().filter(|code| *code != "BSC-C047").collect();
    assert!(others.is_empty(), "what it may no longer see is unknown, and not wrong: {others:?}");
    site.superuser(EAST, &primary, "ALTER ROLE bascule SUPERUSER NOREPLICATION");
    site.finds(&[], &[]);
}

fn a_region_that_is_gone(site: &Looking) {
    site.lab.does(&["break", "region-loss", WEST]);
    let begun = Instant::now();
    let said = site.bascule(&["check"]);
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    assert!(said.out.contains("not observed"), "{}", said.out);
    let (_, looked) = said.err.split_once("looked for ").unwrap();
    let looked: u64 = looked.split(' ').next().unwrap().parse().unwrap();
    assert!(looked < 3_000, "the survey's own bound, and the writing: {}", said.err);
    assert!(said.err.contains("warning: nothing of us-west-1 answers"), "{}", said.err);
    let listed = site.bascule(&["inventory", "--json"]).json()["assets"].as_array().unwrap().clone();
    for kind in ["compute", "load_balancer"] {
        let asset = listed.iter().find(|asset| asset["kind"] == kind).unwrap();
        assert_eq!(asset["protection"], "unknown", "what was not seen to run is no protection: {asset}");
    }
    let one = site.bascule(&["check", "--only", "BSC-C019", "--json"]);
    assert_eq!(one.code, Some(8), "it is not known of the region that is gone: {}", one.out);
    let answers: Vec<String> = one.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["answer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(answers, ["holds", "unknown"], "the other region's is");
}
