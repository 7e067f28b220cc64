//! The permit on a real PostgreSQL: nothing is acknowledged without it, and it goes when its keeper must.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bascule_core::permit::Permit as Told;
use bascule_providers::Secret;
use bascule_providers::patroni::MemberEndpoint;
use bascule_providers::permit::{self, Ahead, Hold, PermitConfig, PermitState};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::postgres::{PASSWORD, Postgres};

/// Longer than anything that is not meant to hang takes here.
const SOON: Duration = Duration::from_secs(5);
/// A commit that is not acknowledged in this time waits for a permit: with one it takes 2 ms.
const HANGS: Duration = Duration::from_millis(400);

/// A hold that lasts until an instant, as a keeper's does.
struct Until {
    began: Instant,
    /// Microseconds after `began`.
    until: AtomicU64,
    /// Whether the other region has followed in this tenure.
    followed: AtomicBool,
    /// What its primary told, in order.
    told: Mutex<Vec<Told>>,
}

impl Until {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            until: AtomicU64::new(0),
            followed: AtomicBool::new(true),
            told: Mutex::default(),
        })
    }

    fn opens_for(&self, span: Duration) {
        let until = self.began.elapsed() + span;
        self.until.store(u64::try_from(until.as_micros()).unwrap(), Ordering::SeqCst);
    }

    fn ends(&self) -> Instant {
        self.began + Duration::from_micros(self.until.load(Ordering::SeqCst))
    }
}

impl Hold for Until {
    fn is_open(&self) -> bool {
        Instant::now() < self.ends()
    }

    fn is_followed(&self) -> bool {
        self.followed.load(Ordering::SeqCst)
    }

    fn told(&self, permit: Told) {
        self.told.lock().unwrap().push(permit);
    }
}

struct Permit {
    hold: Arc<Until>,
    state: Arc<PermitState>,
    task: JoinHandle<()>,
}

impl Permit {
    fn to(servers: &[&Postgres]) -> Self {
        Self::ahead(servers, Ahead::Unlimited)
    }

    fn ahead(servers: &[&Postgres], ahead: Ahead) -> Self {
        Self::named(servers, ahead, "bascule_a")
    }

    fn named(servers: &[&Postgres], ahead: Ahead, application: &str) -> Self {
        let members = servers.iter().enumerate().map(|(n, server)| MemberEndpoint {
            name: format!("db{n}").parse().unwrap(),
            postgres: ([127, 0, 0, 1], server.port).into(),
            patroni: ([127, 0, 0, 1], 1).into(),
        });
        let config = PermitConfig {
            members: members.collect(),
            database: "postgres".to_owned(),
            user: "postgres".to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            application: application.to_owned(),
            ahead,
        };
        let (hold, state) = (Until::new(), Arc::new(PermitState::default()));
        let task = tokio::spawn(permit::run(config, hold.clone(), state.clone()));
        Self { hold, state, task }
    }

    /// What its primary says of it, once that begins so.
    async fn finds(&self, wanted: impl Fn(&Told) -> bool) -> Told {
        let finds = async {
            loop {
                if let Some(found) = self.state.found().filter(&wanted) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, finds).await.unwrap_or_else(|_| panic!("but {:?}", self.state.found()))
    }

    async fn streams(&self) {
        let streaming = async {
            while !self.state.is_streaming() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, streaming).await.expect("it finds the primary");
    }
}

impl Permit {
    /// How long it still claims to stream.
    async fn leaves(&self) -> Duration {
        let begun = Instant::now();
        while self.state.is_streaming() {
            assert!(begun.elapsed() < SOON, "it does not leave");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A primary that acknowledges nothing without a permit.
async fn guarded() -> Postgres {
    let primary = Postgres::start().await;
    primary.run_sql("CREATE TABLE pulse (n bigserial)").await;
    guard(&primary).await;
    primary
}

async fn guard(server: &Postgres) {
    server.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (bascule_a, bascule_b)'").await;
    server.run_sql("SELECT pg_reload_conf()").await;
    let shown = async { while server.value("SHOW synchronous_standby_names").await.is_empty() {} };
    timeout(SOON, shown).await.expect("the setting is read");
}

async fn commits(server: &Postgres) -> bool {
    let session = server.session().await;
    timeout(HANGS, session.batch_execute("INSERT INTO pulse DEFAULT VALUES"))
        .await
        .is_ok_and(|done| done.is_ok())
}

#[tokio::test]
async fn nothing_is_acknowledged_without_a_hold_and_all_is_with_one() {
    let primary = guarded().await;
    let permit = Permit::to(&[&primary]);
    assert!(!commits(&primary).await, "nobody may confirm");
    assert!(!permit.state.is_streaming());
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    permit.hold.opens_for(Duration::ZERO);
    assert!(!commits(&primary).await, "it has closed again");
    let left = async { while permit.state.is_streaming() {} };
    timeout(SOON, async { tokio::join!(left, tokio::task::yield_now()) }).await.expect("it leaves");
}

/// Whoever manages the cluster may set other names, or let commits wait for nobody: then it only seems to guard.
#[tokio::test]
async fn it_is_in_force_only_while_its_primary_says_that_commits_wait_for_it() {
    let primary = Postgres::start().await;
    primary.run_sql("CREATE TABLE pulse (n bigserial)").await;
    let permit = Permit::to(&[&primary]);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    let not = |found: &Told| matches!(found, Told::NotInForce { .. });
    let why = |found: Told| match found {
        Told::NotInForce { why } => why,
        other => panic!("{other:?}"),
    };
    assert!(why(permit.finds(not).await).contains("synchronous_standby_names is \"\""));
    assert!(!permit.state.is_in_force(), "it streams, and nobody waits for it");
    guard(&primary).await;
    permit.finds(|found| *found == Told::InForce).await;
    assert!(permit.state.is_in_force());
    for (sql, hint, back) in [
        (
            "ALTER SYSTEM SET synchronous_standby_names = 'us_east_2_db2'",
            "is \"us_east_2_db2\"",
            "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (bascule_a, bascule_b)'",
        ),
        (
            "ALTER SYSTEM SET synchronous_commit = off",
            "is off by default",
            "ALTER SYSTEM RESET synchronous_commit",
        ),
        (
            "ALTER DATABASE postgres SET synchronous_commit = local",
            "for every role in postgres",
            "ALTER DATABASE postgres RESET synchronous_commit",
        ),
        (
            "CREATE ROLE app; ALTER ROLE app SET synchronous_commit = off",
            "is off or local for app",
            "ALTER ROLE app RESET synchronous_commit",
        ),
    ] {
        for statement in sql.split("; ") {
            primary.run_sql(statement).await;
        }
        primary.run_sql("SELECT pg_reload_conf()").await;
        let found = why(permit.finds(not).await);
        assert!(found.contains(hint), "{sql}: {found}");
        primary.run_sql(back).await;
        primary.run_sql("SELECT pg_reload_conf()").await;
        permit.finds(|found| *found == Told::InForce).await;
    }
    let told = permit.hold.told.lock().unwrap().clone();
    assert!(told.contains(&Told::InForce) && told.iter().any(not), "its keeper was told: {told:?}");
    let other = Permit::named(&[&primary], Ahead::Unlimited, "bascule_c");
    other.hold.opens_for(Duration::from_secs(60));
    other.streams().await;
    other.finds(|found| matches!(found, Told::Unknown { why } if why.contains("does not count"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_commit_is_acknowledged_after_the_hold_has_ended() {
    let primary = guarded().await;
    let permit = Permit::to(&[&primary]);
    permit.hold.opens_for(Duration::from_millis(1_500));
    permit.streams().await;
    let (before, after) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // A confirmation that was sent in time takes a moment to become a client's answer.
    let ends = permit.hold.ends() + Duration::from_millis(100);
    let mut writers = Vec::new();
    for _ in 0..8 {
        let session = primary.session().await;
        let (before, after) = (before.clone(), after.clone());
        writers.push(tokio::spawn(async move {
            while let Ok(Ok(())) =
                timeout(HANGS * 2, session.batch_execute("INSERT INTO pulse DEFAULT VALUES")).await
            {
                let count = if Instant::now() < ends { &before } else { &after };
                count.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(before.load(Ordering::SeqCst) > 200, "it was under load");
    assert_eq!(after.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_primary_stops_at_once_when_its_keeper_has_no_hold() {
    let mut primary = guarded().await;
    let permit = Permit::to(&[&primary]);
    permit.hold.opens_for(Duration::from_millis(500));
    permit.streams().await;
    assert!(
        !(commits(&primary).await && commits(&primary).await && commits(&primary).await && {
            tokio::time::sleep_until((permit.hold.ends() + Duration::from_millis(50)).into()).await;
            commits(&primary).await
        })
    );
    timeout(SOON, primary.stop()).await.expect("nothing is waited for");
}

#[tokio::test]
async fn the_permit_follows_a_promotion() {
    let mut primary = guarded().await;
    let mut standby = primary.standby().await;
    let permit = Permit::to(&[&primary, &standby]);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    standby.catches_up_with(&primary).await;
    timeout(SOON, primary.stop()).await.expect("a receiver that confirms is no reason to wait");
    standby.promote().await;
    let commits = async { while !commits(&standby).await {} };
    timeout(SOON, commits).await.expect("the new primary's commits are confirmed");
    assert_eq!(permit.state.sessions(), 2);
}

#[tokio::test]
async fn a_frozen_primary_is_left_within_three_seconds_and_found_again() {
    let primary = guarded().await;
    let permit = Permit::to(&[&primary]);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(permit.state.sessions(), 1, "one that idles answers");
    let frozen = primary.freeze();
    let left = permit.leaves().await;
    assert!(left < Duration::from_secs(3), "it left after {left:?}");
    drop(frozen);
    permit.streams().await;
    assert!(commits(&primary).await);
    assert_eq!(permit.state.sessions(), 2);
}

/// As when Patroni promotes a member because the primary is frozen, which knows of nothing when it wakes.
#[tokio::test]
async fn the_commits_of_a_new_primary_are_confirmed_whatever_becomes_of_a_frozen_one() {
    let primary = guarded().await;
    let mut standby = primary.standby().await;
    let permit = Permit::to(&[&primary, &standby]);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    standby.catches_up_with(&primary).await;
    let frozen = primary.freeze();
    permit.leaves().await;
    standby.promote().await;
    let confirmed = async { while !commits(&standby).await {} };
    timeout(SOON, confirmed).await.expect("the frozen one keeps nobody from the new one");
    drop(frozen);
    assert!(!commits(&primary).await, "the old one is a primary no more, whatever it believes");
    assert!(commits(&standby).await);
    assert_eq!(permit.state.sessions(), 2, "nobody went back");
}

/// A primary whose disk hangs answers, and so does one that was cut off: being heard is not being the newest.
#[tokio::test]
async fn of_two_primaries_the_newest_timeline_is_confirmed() {
    let primary = guarded().await;
    let mut standby = primary.standby().await;
    let permit = Permit::to(&[&primary, &standby]);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    standby.catches_up_with(&primary).await;
    standby.promote().await;
    let confirmed = async { while !commits(&standby).await {} };
    timeout(SOON, confirmed).await.expect("the newer one is followed while the older one answers");
    assert!(!commits(&primary).await);
    drop(permit);
    for members in [[&primary, &standby], [&standby, &primary]] {
        let fresh = Permit::to(&members);
        fresh.hold.opens_for(Duration::from_secs(60));
        let settled = async { while !commits(&standby).await {} };
        timeout(SOON, settled).await.expect("whichever is asked first");
        assert!(!commits(&primary).await, "the older one is confirmed no more");
    }
}

#[tokio::test]
async fn a_commit_waits_for_the_other_region_where_nothing_may_be_lost() {
    let primary = guarded().await;
    // What pg_basebackup writes: the receiver's default name.
    let ahead = Ahead::Bytes { bytes: 0, peers: vec!["walreceiver".parse().unwrap()] };
    let permit = Permit::ahead(&[&primary], ahead);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    let session = primary.session().await;
    let mut waiting =
        tokio::spawn(async move { session.batch_execute("INSERT INTO pulse DEFAULT VALUES").await });
    assert!(timeout(HANGS, &mut waiting).await.is_err(), "the other region has not got it");
    let mut standby = primary.standby().await;
    timeout(SOON, waiting).await.expect("the standby has it now").unwrap().unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(commits(&primary).await);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "a limit is looked at when it moves: {:?}",
        begun.elapsed()
    );
    standby.stop().await;
    assert!(!commits(&primary).await, "it is alone again");
}

/// As after a failover: the region that was left is gone, and whoever took over has nobody to wait for.
#[tokio::test]
async fn a_region_that_nobody_has_followed_yet_waits_for_nobody() {
    let primary = guarded().await;
    let permit =
        Permit::ahead(&[&primary], Ahead::Bytes { bytes: 0, peers: vec!["nobody".parse().unwrap()] });
    permit.hold.followed.store(false, Ordering::SeqCst);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    permit.hold.followed.store(true, Ordering::SeqCst);
    assert!(!commits(&primary).await, "once it was followed the limit counts");
}

/// When the primary was last asked how far the other region is; empty if it never was.
async fn last_asked(primary: &Postgres) -> String {
    let sql = "SELECT max(query_start) FROM pg_stat_activity
        WHERE application_name = 'bascule' AND query LIKE '%max(flush_lsn)%'";
    primary.value(sql).await
}

#[tokio::test]
async fn the_primary_is_asked_for_its_standby_only_while_the_limit_counts() {
    let primary = guarded().await;
    let permit =
        Permit::ahead(&[&primary], Ahead::Bytes { bytes: 0, peers: vec!["nobody".parse().unwrap()] });
    permit.hold.followed.store(false, Ordering::SeqCst);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(commits(&primary).await);
    tokio::time::sleep(HANGS).await;
    assert_eq!(last_asked(&primary).await, "", "there is nobody to ask about");
    permit.hold.followed.store(true, Ordering::SeqCst);
    assert!(!commits(&primary).await);
    let first = last_asked(&primary).await;
    tokio::time::sleep(HANGS).await;
    assert!(first < last_asked(&primary).await, "it asks while a commit waits");
    permit.hold.followed.store(false, Ordering::SeqCst);
    assert!(commits(&primary).await);
    let last = last_asked(&primary).await;
    tokio::time::sleep(HANGS).await;
    assert_eq!(last_asked(&primary).await, last, "and no more, as in the next tenure");
}

#[tokio::test]
async fn a_primary_whose_commits_wait_for_the_other_region_can_be_stopped() {
    let mut primary = guarded().await;
    let ahead = Ahead::Bytes { bytes: 0, peers: vec!["nobody".parse().unwrap()] };
    let permit = Permit::ahead(&[&primary], ahead);
    permit.hold.opens_for(Duration::from_secs(60));
    permit.streams().await;
    assert!(!commits(&primary).await);
    timeout(SOON, primary.stop()).await.expect("it is not waited for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_one_permit_of_two_is_no_pause() {
    let primary = guarded().await;
    let permits = ["bascule_a", "bascule_b"].map(|name| Permit::named(&[&primary], Ahead::Unlimited, name));
    for permit in &permits {
        permit.hold.opens_for(Duration::from_secs(60));
        permit.streams().await;
    }
    let [first, second] = permits;
    let session = primary.session().await;
    let mut longest = Duration::ZERO;
    let mut dying = Some(first);
    for n in 0..400 {
        if n == 200 {
            drop(dying.take());
        }
        let begun = Instant::now();
        let insert = session.batch_execute("INSERT INTO pulse DEFAULT VALUES");
        timeout(SOON, insert).await.expect("the other one confirms").unwrap();
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < HANGS, "a commit took {longest:?}");
    assert_eq!(second.state.sessions(), 1, "nothing happened to the other one");
}
