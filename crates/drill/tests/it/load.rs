//! The load, from the name to the record, against a site that errs on purpose.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::knot::Knot;
use crate::site::{Instance, Mood, Site};
use bascule_drill::recording::{Failure, FailureKind, Outcome, Request};
use bascule_drill::{Drill, Load, LoadPlan, Lookup, Marks, Move, Objective, Verdict, judge, lookup};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

struct Scene {
    site: Arc<Site>,
    instance: Instance,
    knot: Knot,
    plan: LoadPlan,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let site = Site::new();
        let instance = site.listen("app1.here", (Ipv4Addr::LOCALHOST, 0)).await;
        let knot = Knot::start("app 1 A 127.0.0.1");
        let dir = tempfile::tempdir().unwrap();
        let host = "app.events.test".parse().unwrap();
        let mut plan = LoadPlan::new(dir.path().join("run"), "r1", host, vec![knot.address]);
        plan.port = instance.address.port();
        Self { site, instance, knot, plan, _dir: dir }
    }

    async fn start(&self) -> Load {
        Load::start(self.plan.clone()).await.unwrap()
    }

    /// Lets `mood` reign from the mark `planted` until `enough` says so, then is good again for 30 writes.
    async fn plant(&self, load: &Load, mood: Mood, enough: impl Fn(&Load) -> bool) {
        load.mark("planted").await.unwrap();
        self.site.set(mood);
        until(|| enough(load)).await;
        self.site.set(Mood::Good);
        load.mark("good again").await.unwrap();
        load.wait_for_ack_after("good again", LIMIT).await.unwrap();
        load.wait_for_acks(load.acked_count() + 30, LIMIT).await.unwrap();
    }
}

async fn until(mut reached: impl FnMut() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("it is reached in time");
}

async fn found(front: &bascule_drill::FrontDoor) -> bascule_drill::Found {
    match lookup(front).await {
        Lookup::Read(found) => found,
        Lookup::NotRead(why) => panic!("{why}"),
    }
}

fn writes(failures: &[Failure]) -> Vec<&Failure> {
    failures.iter().filter(|failure| matches!(failure.request, Request::Write(_))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_site_has_every_write_it_acknowledged_and_no_other() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(100, LIMIT).await.unwrap();
    assert!(load.first_ack_after("never").is_none());
    let front = load.front_door();
    let recording = load.stop().await.unwrap();
    assert_eq!(recording.failures, []);
    assert!(recording.acks.len() >= 100);
    let acked: std::collections::BTreeSet<u64> = recording.acks.iter().map(|ack| ack.number).collect();
    let found = found(&front).await;
    assert_eq!(found.numbers, acked);
    assert!(found.duplicates.is_empty());
    assert!(recording.acks.iter().all(|ack| ack.served_by.as_deref() == Some("app1.here")));
    let end = recording.end.unwrap();
    assert!(end.reads > 0 && end.resolutions >= 1);
    assert_eq!(recording.names.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_acknowledged_and_not_stored_is_missing_from_what_is_found() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(20, LIMIT).await.unwrap();
    let before = load.acked_count();
    scene.plant(&load, Mood::Forgetful, |load| load.acked_count() > before + 10).await;
    let front = load.front_door();
    let recording = load.stop().await.unwrap();
    let found = found(&front).await;
    let lost = recording.acks.iter().filter(|ack| !found.numbers.contains(&ack.number)).count();
    assert!(lost >= 5, "each of the forgotten writes is lost");
    let vanished = |failure: &&Failure| failure.kind == FailureKind::Vanished;
    assert!(recording.failures.iter().filter(vanished).count() > 0, "and the readers saw it at once");

    let (command, done) = (recording.mark("planted").unwrap(), recording.mark("good again").unwrap());
    let marks = Marks { fault: None, command, done, phases: Vec::new() };
    let objective = Objective { rpo_ms: 5_000, rto_ms: 60_000, max_pause_ms: 5_000 };
    let (from, to) = ("us-east-2".parse().unwrap(), "us-west-1".parse().unwrap());
    let of = Move { drill: Drill::Switchover, from, to, objective };
    let report = judge(&recording, &Lookup::Read(found), &marks, &of);
    assert_eq!(report.lost_writes, Some(lost as u64));
    let Verdict::Missed { why } = report.verdict else { panic!("{:?}", report.verdict) };
    assert!(why.contains(&format!("{lost} acknowledged writes are lost")), "{why:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_stored_twice_is_a_duplicate() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    let before = load.acked_count();
    scene.plant(&load, Mood::Double, |load| load.acked_count() > before + 5).await;
    let front = load.front_door();
    load.stop().await.unwrap();
    assert!(!found(&front).await.duplicates.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_a_pause_and_no_error() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(20, LIMIT).await.unwrap();
    let begun = load.now();
    let hold = Duration::from_millis(400);
    scene.plant(&load, Mood::Holding, |load| load.now().since(begun) >= hold).await;
    let recording = load.stop().await.unwrap();
    assert_eq!(recording.failures, []);
    let mut acked: Vec<_> = recording.acks.iter().map(|ack| ack.acked).collect();
    acked.sort_unstable();
    let longest = acked.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
    assert!(longest >= hold - Duration::from_millis(100), "{longest:?}");
    let sent_while_held = |at: bascule_drill::At| at > begun && hold > at.since(begun);
    let held = recording.acks.iter().filter(|ack| sent_while_held(ack.sent)).count();
    assert!(held > 2 * 8, "users go on arriving while others wait, and are all served: {held}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_unknown_effect_is_an_error_and_its_number_is_not_sent_again() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(20, LIMIT).await.unwrap();
    scene.plant(&load, Mood::Down, |load| load.error_count() >= 5).await;
    let front = load.front_door();
    let recording = load.stop().await.unwrap();
    let failed = writes(&recording.failures);
    assert!(failed.len() >= 5);
    let found = found(&front).await;
    for failure in failed {
        assert_eq!((failure.kind, failure.outcome), (FailureKind::Status(503), Outcome::Unknown));
        let Request::Write(number) = failure.request else { unreachable!() };
        assert!(!found.numbers.contains(&number));
        assert!(recording.acks.iter().all(|ack| ack.number != number));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_leaves_the_outcome_unknown() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(20, LIMIT).await.unwrap();
    scene.plant(&load, Mood::Silent, |load| load.error_count() >= 5).await;
    let front = load.front_door();
    let recording = load.stop().await.unwrap();
    let found = found(&front).await;
    for failure in writes(&recording.failures) {
        assert_eq!((failure.kind, failure.outcome), (FailureKind::Broken, Outcome::Unknown));
        let Request::Write(number) = failure.request else { unreachable!() };
        assert!(found.numbers.contains(&number), "this site had stored it");
        assert!(!found.duplicates.contains(&number), "and nobody sent it again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_follow_the_name_once_its_ttl_has_run_out() {
    let scene = Scene::new().await;
    let there = (Ipv4Addr::new(127, 0, 0, 2), scene.instance.address.port());
    let _other = scene.site.listen("app1.there", there).await;
    let load = scene.start().await;
    load.wait_for_acks(20, LIMIT).await.unwrap();
    scene.knot.change("app 1 A 127.0.0.2");
    let changed = load.mark("changed").await.unwrap();
    // The old place goes on answering: nothing but the name tells users to leave.
    until(|| load.now().since(changed) > Duration::from_millis(1_500)).await;
    load.mark("ttl over").await.unwrap();
    load.wait_for_ack_after("ttl over", LIMIT).await.unwrap();
    load.wait_for_acks(load.acked_count() + 30, LIMIT).await.unwrap();
    let recording = load.stop().await.unwrap();
    assert_eq!(recording.failures, []);
    let over = recording.mark("ttl over").unwrap();
    let late: Vec<_> = recording.acks.iter().filter(|ack| ack.sent > over).collect();
    assert!(late.len() >= 30);
    assert!(late.iter().all(|ack| ack.served_by.as_deref() == Some("app1.there")));
    assert_eq!(recording.names.len(), 2, "and it is on record when");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_gone_gives_errors_that_had_no_effect() {
    let mut scene = Scene::new().await;
    scene.plan.writers = 1;
    let load = scene.start().await;
    load.wait_for_acks(10, LIMIT).await.unwrap();
    // Nobody listens there.
    scene.knot.change("app 1 A 127.0.0.3");
    until(|| load.error_count() >= 5).await;
    let recording = load.stop().await.unwrap();
    for failure in writes(&recording.failures) {
        assert_eq!((failure.kind, failure.outcome), (FailureKind::Connect, Outcome::NotDone));
        assert!(failure.detail.contains("127.0.0.3"), "{}", failure.detail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_cannot_be_read_is_no_answer() {
    let scene = Scene::new().await;
    let load = scene.start().await;
    load.wait_for_acks(10, LIMIT).await.unwrap();
    let front = load.front_door();
    load.stop().await.unwrap();
    scene.site.pages_fail.store(true, Ordering::Relaxed);
    let Lookup::NotRead(why) = lookup(&front).await else { panic!("it was read") };
    assert!(why.contains("was not read in 3 tries"), "{why}");
    assert!(why.contains("500"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_outruns_its_limit_is_not_whole() {
    let mut scene = Scene::new().await;
    scene.plan.writes_max = 15;
    let load = scene.start().await;
    load.wait_for_acks(15, LIMIT).await.unwrap();
    let stopped = async {
        // Every writer must have met the limit.
        tokio::time::sleep(Duration::from_millis(200)).await;
        load.stop().await
    };
    let error = stopped.await.unwrap_err().to_string();
    assert_eq!(error, "the load reached its limit of 15 writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_on_a_site_that_is_down_does_not_start() {
    let scene = Scene::new().await;
    scene.knot.change("other 1 A 127.0.0.1");
    let error = Load::start(scene.plan.clone()).await.unwrap_err();
    assert!(format!("{error:#}").starts_with("cannot register a user: Resolve"), "{error:#}");
    assert!(!scene.plan.dir.exists(), "and leaves no record");
}
