//! A database whose name moves: two PgBouncers at two addresses stand for two regions' pools, both leading to the
//! one primary, and the test says where the name points.
//!
//! The instance runs inside the test, because its resolver is the test's.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use events_app::App;
use events_app::config::DEFAULT_POOL;
use events_app::db::{Database, GRACE, MAX_LIFETIME, Repeat};
use events_app::deadline::{Deadline, REQUEST};
use events_app::metrics::Metrics;
use events_app::names::{LOOK_UP_INTERVAL, Resolver};
use events_app::routes::router;

use crate::instance::config;
use crate::moves::count;
use crate::servers::{Bouncer, Postgres, free_port, until};

/// From the name's move to the next acknowledged write.
const FOLLOWED: Duration = Duration::from_secs(1);

/// The name, and where it points.
#[derive(Clone)]
struct Name(Arc<Mutex<Ipv4Addr>>);

impl Name {
    fn point_to(&self, address: Ipv4Addr) -> Instant {
        *self.0.lock().unwrap() = address;
        Instant::now()
    }
}

impl Resolver for Name {
    async fn look_up(&self) -> io::Result<Vec<IpAddr>> {
        Ok(vec![(*self.0.lock().unwrap()).into()])
    }
}

struct Regions {
    old: Bouncer,
    new: Bouncer,
    name: Name,
    postgres: Postgres,
}

impl Regions {
    async fn start() -> Self {
        let (postgres, port) = (Postgres::start().await, free_port());
        let old = Bouncer::start_at(Ipv4Addr::new(127, 0, 0, 2), port, &postgres).await;
        let new = Bouncer::start_at(Ipv4Addr::new(127, 0, 0, 3), port, &postgres).await;
        let name = Name(Arc::new(Mutex::new(old.address)));
        Self { old, new, name, postgres }
    }

    /// An instance that knows the database by its name, which no DNS has.
    async fn instance(&self) -> Served {
        let app =
            App::new(&config("db.events.test", self.old.port, DEFAULT_POOL), self.name.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = router(app);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Served { base, client: Client::builder().no_proxy().build().unwrap(), token: String::new() }
    }

    /// An instance with its tables and a user.
    async fn ready(&self) -> Served {
        let mut served = self.instance().await;
        assert_eq!(served.send("POST", "/init", None).await.unwrap().status, 200);
        let user = served.send("POST", "/auth/register", Some(json!({ "name": "Ada" }))).await.unwrap();
        served.token = user.body["dataset"]["token"].as_str().unwrap().to_owned();
        served
    }
}

struct Served {
    base: String,
    client: Client,
    token: String,
}

struct Answered {
    status: u16,
    body: Value,
    text: String,
    at: Instant,
}

impl Served {
    fn send(&self, method: &str, path: &str, body: Option<Value>) -> JoinHandle<Answered> {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            let body = serde_json::from_str(&text).unwrap_or_default();
            Answered { status, body, text, at: Instant::now() }
        })
    }

    fn write(&self) -> JoinHandle<Answered> {
        self.send("POST", "/events", Some(json!({ "name": "an event" })))
    }

    /// The value of one of the application's metrics.
    async fn metric(&self, name: &str) -> u64 {
        let text = self.send("GET", "/metrics", None).await.unwrap().text;
        let start = format!("events_app_database_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
        value.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    }

    /// Fills the pool with connections to where the name points, all of them idle.
    async fn fill(&self, postgres: &Postgres) {
        let locker = postgres.admin().await;
        locker.batch_execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let writes: Vec<_> = (0..DEFAULT_POOL).map(|_| self.write()).collect();
        until("a full pool", async || (self.metric("pool_size").await == 8).then_some(())).await;
        locker.batch_execute("COMMIT").await.unwrap();
        for write in writes {
            assert_eq!(write.await.unwrap().status, 201);
        }
        assert_eq!(self.metric("pool_idle").await, 8);
    }

    /// Waits until every connection is in use and a request waits for one.
    async fn exhausted(&self) {
        until("requests to queue for connections", async || {
            let (idle, waiting) = (self.metric("pool_idle").await, self.metric("pool_waiting").await);
            (idle == 0 && waiting > 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_lost_region_is_left_when_its_name_moves() {
    let regions = Regions::start().await;
    let app = regions.ready().await;
    app.fill(&regions.postgres).await;
    let before = count(&regions.postgres.admin().await).await;

    regions.old.freeze();
    let writes: Vec<_> = (0..4).map(|_| app.write()).collect();
    let reads: Vec<_> = (0..4).map(|_| app.send("GET", "/events", None)).collect();
    until("the pool to be in use", async || (app.metric("pool_idle").await == 0).then_some(())).await;
    let probe = app.send("GET", "/readyz", None);
    app.exhausted().await;

    let moved = regions.name.point_to(regions.new.address);
    let next = app.write().await.unwrap();
    assert_eq!(next.status, 201, "{}", next.text);
    assert!(next.at - moved < FOLLOWED, "the next write took {:?}", next.at - moved);

    // What hung is told within the grace; what may be repeated was.
    let probe = probe.await.unwrap();
    assert_eq!(probe.status, 200, "{}", probe.text);
    let mut last = probe.at;
    for read in reads {
        let read = read.await.unwrap();
        assert_eq!(read.status, 200, "{}", read.text);
        last = last.max(read.at);
    }
    for write in writes {
        let write = write.await.unwrap();
        assert_eq!(write.status, 503);
        assert!(write.text.contains("outcome is unknown"), "{}", write.text);
        last = last.max(write.at);
    }
    assert!(last - moved < GRACE + FOLLOWED, "the last answer took {:?}", last - moved);
    assert_eq!(app.metric("retired_total").await, 8);
    assert_eq!(count(&regions.postgres.admin().await).await, before + 1);
}

#[tokio::test]
async fn a_connect_to_where_the_name_was_is_given_up() {
    let regions = Regions::start().await;
    let app = regions.ready().await;
    // The connection is taken and nobody answers the login: as with a lost region, it hangs.
    let lost = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 4), regions.old.port)).await.unwrap();
    regions.name.point_to(Ipv4Addr::new(127, 0, 0, 4));
    let mut fresh = regions.instance().await;
    fresh.token.clone_from(&app.token);
    let (write, probe) = (fresh.write(), fresh.send("GET", "/readyz", None));
    let _hanging = [lost.accept().await.unwrap(), lost.accept().await.unwrap()];

    let moved = regions.name.point_to(regions.new.address);
    for answer in [write.await.unwrap(), probe.await.unwrap()] {
        assert!(
            matches!(answer.status, 200 | 201),
            "nothing was sent yet, so all is repeated: {}",
            answer.text
        );
        assert!(answer.at - moved < FOLLOWED, "{:?}", answer.at - moved);
    }
}

#[tokio::test]
async fn a_planned_move_fails_nothing() {
    let regions = Regions::start().await;
    let app = regions.ready().await;
    app.fill(&regions.postgres).await;
    let before = count(&regions.postgres.admin().await).await;

    let console = regions.old.console().await;
    console.simple_query("PAUSE events").await.unwrap();
    let writes: Vec<_> = (0..20).map(|_| app.write()).collect();
    let others = [app.send("GET", "/events", None), app.send("GET", "/readyz", None)];
    app.exhausted().await;
    regions.name.point_to(regions.new.address);
    console.simple_query("RESUME events").await.unwrap();
    for write in writes {
        let write = write.await.unwrap();
        assert_eq!(write.status, 201, "{}", write.text);
    }
    for other in others {
        let other = other.await.unwrap();
        assert_eq!(other.status, 200, "{}", other.text);
    }
    assert_eq!(count(&regions.postgres.admin().await).await, before + 20, "each write was done once");

    // From the next look-up on, nothing begins at the old address.
    until("the old address to be left", async || {
        assert_eq!(app.write().await.unwrap().status, 201);
        (regions.old.clients().await == 0).then_some(())
    })
    .await;
    assert!(regions.new.clients().await > 0);
    assert_eq!(app.metric("retired_total").await, 8);
}

#[tokio::test]
async fn an_answer_within_the_grace_counts_and_frees_no_place_twice() {
    let regions = Regions::start().await;
    let config = config("db.events.test", regions.old.port, 1);
    let database =
        Database::new(&config, MAX_LIFETIME, regions.name.clone(), Metrics::new("db.events.test")).unwrap();
    // Ends after the move was noticed, and before the grace that begins then is over.
    const SLEEP: &str = "SELECT pg_sleep(0.4)";
    const { assert!(LOOK_UP_INTERVAL.as_millis() < 400 && GRACE.as_millis() > 400) };
    let slow = tokio::spawn({
        let database = database.clone();
        async move { database.rows(Repeat::Never, Deadline::after(REQUEST), SLEEP, &[]).await }
    });
    let admin = regions.postgres.admin().await;
    let running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.4)%' AND state = 'active' \
                   AND pid <> pg_backend_pid()";
    until("the statement to run", async || admin.query_opt(running, &[]).await.unwrap()).await;

    regions.name.point_to(regions.new.address);
    // The pool has one place: this waits for it, and gets it when the move is noticed, before the answer.
    let quick = database.rows(Repeat::Read, Deadline::after(REQUEST), "SELECT 1", &[]).await;
    assert_eq!(quick.unwrap().len(), 1);
    assert_eq!(slow.await.unwrap().unwrap().len(), 1);
    assert_eq!(database.status().size, 1);
    assert_eq!(regions.old.clients().await, 0);
    assert_eq!(regions.new.clients().await, 1);
}
