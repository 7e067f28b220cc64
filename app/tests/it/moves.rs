//! What a move of the database looks like from here: holds, restarts, lost sessions, and our own end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use events_app::db::{CONNECT_TIMEOUT, Database, Repeat};
use events_app::deadline::{Deadline, LONGEST_HOLD, REQUEST};
use events_app::metrics::Metrics;
use events_app::names::System;

use crate::instance::{Instance, config};
use crate::servers::{Bouncer, Postgres, until};

fn event(name: &str) -> Option<Value> {
    Some(json!({ "name": name }))
}

pub async fn count(admin: &Client) -> i64 {
    admin.query_one("SELECT count(*) FROM events", &[]).await.unwrap().get(0)
}

/// Waits until a statement of the application waits for a lock, and gives its backend.
async fn blocked(admin: &Client) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE usename = 'events' AND wait_event_type = 'Lock'";
    until("a statement to be blocked", async || Some(admin.query_opt(sql, &[]).await.unwrap()?.get(0))).await
}

#[tokio::test]
async fn a_hold_at_the_pool_makes_requests_wait_and_none_fail() {
    // Longer than a TCP connect may take: a login that waits is held, not lost.
    let hold = CONNECT_TIMEOUT + Duration::from_secs(1);
    let postgres = Postgres::start().await;
    let bouncer = Bouncer::start(&postgres).await;
    let app = Instance::ready("app1", bouncer.port).await;
    // This one has no connection yet, and must open its first during the hold.
    let fresh = Instance::start("app2", bouncer.port).await;
    let token = app.register("Ada").await;
    let console = bouncer.console().await;
    console.simple_query("PAUSE events").await.unwrap();
    let paused = Instant::now();
    let resume = async {
        tokio::time::sleep(hold).await;
        console.simple_query("RESUME events").await.unwrap();
    };
    // More than the pool has connections, so that some wait for one.
    let writes = async {
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let url = format!("http://{}/events", app.address);
                let body = json!({ "name": format!("held {number}") }).to_string();
                let request = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
                let request =
                    request.bearer_auth(&token).header("content-type", "application/json").body(body);
                tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 201);
        }
        assert!(paused.elapsed() >= hold, "the writes were held");
    };
    let ((), (), held, probe, first) = tokio::join!(
        resume,
        writes,
        app.call("GET", "/events", Some(&token), None),
        app.call("GET", "/readyz", None, None),
        fresh.call("POST", "/events", Some(&token), event("from a new connection")),
    );
    assert_eq!((held.status, probe.status, first.status), (200, 200, 201));
    assert_eq!(count(&postgres.admin().await).await, 21, "each write was done once");
}

#[tokio::test]
async fn a_restart_shorter_than_a_hold_is_waited_out_and_a_longer_one_is_told() {
    let mut postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    assert_eq!(app.call("POST", "/events", Some(&token), event("before")).await.status, 201);

    postgres.stop().await;
    let away = Instant::now();
    let (told, probe) = tokio::join!(
        app.call("POST", "/events", Some(&token), event("lost")),
        app.call("GET", "/readyz", None, None)
    );
    assert!(away.elapsed() < REQUEST && away.elapsed() > LONGEST_HOLD / 2, "{:?}", away.elapsed());
    assert_eq!((told.status, told.header("retry-after"), probe.status), (503, "1", 503));
    assert!(told.message().contains("nothing was done"), "{}", told.message());
    assert_eq!(app.call("GET", "/healthz", None, None).await.status, 200);

    // Sent while it is away, answered when it is back.
    let (waited, ()) =
        tokio::join!(app.call("POST", "/events", Some(&token), event("waited")), postgres.resume());
    assert_eq!(waited.status, 201, "{}", waited.message());
    let listed = app.call("GET", "/events", Some(&token), None).await;
    let names: Vec<_> =
        listed.dataset().as_array().unwrap().iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names, ["before", "waited"]);
    assert_eq!(app.call("GET", "/readyz", None, None).await.status, 200);
}

#[tokio::test]
async fn a_write_whose_session_is_lost_is_said_to_be_unknown_and_not_repeated() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    let (admin, locker) = (postgres.admin().await, postgres.admin().await);
    locker.batch_execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let (answer, ()) = tokio::join!(app.call("POST", "/events", Some(&token), event("in doubt")), async {
        let backend = blocked(&admin).await;
        admin.execute("SELECT pg_terminate_backend($1)", &[&backend]).await.unwrap();
    });
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.message().contains("outcome is unknown"), "{}", answer.message());
    // Had it been sent again, it would be waiting for the lock now.
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'events' AND state = 'active'";
    let again: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(again, 0, "it was not sent again");
    locker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(count(&admin).await, 0);

    locker.batch_execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (read, ()) = tokio::join!(app.call("GET", "/events", Some(&token), None), async {
        let backend = blocked(&admin).await;
        admin.execute("SELECT pg_terminate_backend($1)", &[&backend]).await.unwrap();
        locker.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(read.status, 200, "a read is repeated on a new connection");
}

#[tokio::test]
async fn at_the_end_a_request_in_flight_is_finished() {
    let postgres = Postgres::start().await;
    let mut app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    let (admin, locker) = (postgres.admin().await, postgres.admin().await);
    locker.batch_execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let (answer, ()) = tokio::join!(app.call("POST", "/events", Some(&token), event("last")), async {
        blocked(&admin).await;
        app.terminate();
        until("no new connection to be accepted", async || TcpStream::connect(app.address).await.err()).await;
        locker.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(answer.status, 201);
    assert_eq!(app.ended().await.code(), Some(0));
    assert!(app.log().contains("every request was answered"), "{}", app.log());
    assert_eq!(count(&admin).await, 1);
}

#[tokio::test]
async fn a_connection_is_not_used_past_its_lifetime() {
    let postgres = Postgres::start().await;
    let config = config("127.0.0.1", postgres.port, 1);
    let sql = "SELECT pg_backend_pid()";
    let lifetimes = [(Duration::from_secs(3600), true), (Duration::from_nanos(1), false)];
    for (lifetime, same) in lifetimes {
        let database =
            Database::new(&config, lifetime, System::new("127.0.0.1"), Metrics::new("127.0.0.1")).unwrap();
        let backend = async || {
            let rows = database.rows(Repeat::Read, Deadline::after(REQUEST), sql, &[]).await.unwrap();
            rows[0].get::<_, i32>(0)
        };
        assert_eq!(backend().await == backend().await, same, "{lifetime:?}");
    }
}
