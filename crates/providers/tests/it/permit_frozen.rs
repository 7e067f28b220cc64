//! A permit in a process of its own that is frozen while its hold ends, and thawed: it acknowledges nothing.
//!
//! The process is this program again, running the same test, which finds by its environment that it is the child.

use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bascule_core::permit::Permit;
use bascule_providers::Secret;
use bascule_providers::patroni::MemberEndpoint;
use bascule_providers::permit::{self, Ahead, Hold, PermitConfig, PermitState};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{sleep_until, timeout};

use crate::postgres::{PASSWORD, Postgres};

const TEST: &str = "permit_frozen::a_frozen_permit_acknowledges_nothing_when_it_wakes";
/// The child's environment: the server's port, and until when its hold lasts, by the boot clock in milliseconds.
const ROLE: &str = "BASCULE_PERMIT_CHILD";
/// How long the hold lasts: for the child to start and be under load.
const HELD: Duration = Duration::from_millis(3_000);
/// It is frozen so long before its hold ends, and thawed as long after.
const AROUND: Duration = Duration::from_millis(500);
/// From a confirmation to the client's answer, on a busy machine.
const REACTION: Duration = Duration::from_millis(100);

fn boot_ms() -> u64 {
    let read = clock_gettime(ClockId::Boottime);
    u64::try_from(read.tv_sec).unwrap() * 1000 + u64::try_from(read.tv_nsec).unwrap() / 1_000_000
}

struct Until(u64);

impl Hold for Until {
    fn is_open(&self) -> bool {
        boot_ms() < self.0
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn told(&self, _: Permit) {}
}

/// Confirm until the parent kills this process.
async fn be_the_child(role: &str) {
    let (port, until) = role.split_once(' ').unwrap();
    let config = PermitConfig {
        members: vec![MemberEndpoint {
            name: "db1".parse().unwrap(),
            postgres: ([127, 0, 0, 1], port.parse().unwrap()).into(),
            patroni: ([127, 0, 0, 1], 1).into(),
        }],
        database: "postgres".to_owned(),
        user: "postgres".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        application: "bascule_a".to_owned(),
        ahead: Ahead::Unlimited,
    };
    permit::run(config, Arc::new(Until(until.parse().unwrap())), Arc::new(PermitState::default())).await;
}

/// Killed at the latest when it is dropped.
struct Frozen(Child);

impl Frozen {
    fn start(port: u16, until_ms: u64) -> Self {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture"])
            .env(ROLE, format!("{port} {until_ms}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_permit_acknowledges_nothing_when_it_wakes() {
    if let Ok(role) = env::var(ROLE) {
        return be_the_child(&role).await;
    }
    let primary = Postgres::start().await;
    primary.run_sql("CREATE TABLE pulse (n bigserial)").await;
    primary.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (bascule_a, bascule_b)'").await;
    primary.run_sql("SELECT pg_reload_conf()").await;
    let ends = Instant::now() + HELD;
    let held_until = boot_ms() + u64::try_from(HELD.as_millis()).unwrap();
    let child = Frozen::start(primary.port, held_until);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let waiting = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        let session = primary.session().await;
        let (acknowledged, waiting) = (acknowledged.clone(), waiting.clone());
        tokio::spawn(async move {
            loop {
                waiting.fetch_add(1, Ordering::SeqCst);
                if session.batch_execute("INSERT INTO pulse DEFAULT VALUES").await.is_err() {
                    return;
                }
                waiting.fetch_sub(1, Ordering::SeqCst);
                acknowledged.lock().unwrap().push(Instant::now());
            }
        });
    }
    sleep_until((ends - AROUND).into()).await;
    child.send(Signal::STOP);
    let frozen = Instant::now();
    sleep_until((ends + AROUND).into()).await;
    child.send(Signal::CONT);
    let went = async {
        // It wakes, sees that its hold has ended, and goes: the server lists it no more.
        let sql = "SELECT count(*) FROM pg_stat_replication";
        while primary.value(sql).await != "0" {}
    };
    timeout(Duration::from_secs(5), went).await.expect("a permit without a hold goes");
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.iter().filter(|at| **at < frozen).count() > 100, "it was under load");
    assert_eq!(acknowledged.iter().filter(|at| **at > frozen + REACTION).count(), 0);
    assert_eq!(waiting.load(Ordering::SeqCst), 4, "every writer waits");
}
