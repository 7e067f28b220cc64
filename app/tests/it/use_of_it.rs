//! Every route's happy path.

use serde_json::json;

use crate::instance::Instance;
use crate::servers::{Bouncer, Postgres};

#[tokio::test]
async fn an_event_lives_from_creation_to_deletion_through_transaction_pooling() {
    let postgres = Postgres::start().await;
    let bouncer = Bouncer::start(&postgres).await;
    let app = Instance::ready("app1", bouncer.port).await;
    let token = app.register("Ada").await;
    assert!(token.len() == 50 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let token = Some(token.as_str());

    let made = app.call("POST", "/events", token, Some(json!({"name": "Løp 🏃", "note": "ved sjøen"}))).await;
    assert_eq!(made.status, 201);
    let event = made.dataset().clone();
    let place = made.header("location").to_owned();
    assert_eq!(place, format!("/events/{}", event["id"]));
    assert_eq!((&event["name"], &event["note"]), (&json!("Løp 🏃"), &json!("ved sjøen")));
    let created_at = event["created_at"].as_str().unwrap();
    assert!(created_at.len() == 27 && created_at.ends_with('Z'), "{created_at}");
    assert_eq!(*app.call("GET", &place, token, None).await.dataset(), event);

    let renamed = app.call("PATCH", &place, token, Some(json!({"name": "Tur"}))).await;
    assert_eq!(
        (&renamed.dataset()["name"], &renamed.dataset()["note"]),
        (&json!("Tur"), &json!("ved sjøen"))
    );
    let cleared = app.call("PATCH", &place, token, Some(json!({"note": null}))).await;
    assert_eq!((&cleared.dataset()["name"], &cleared.dataset()["note"]), (&json!("Tur"), &json!(null)));
    let unchanged = app.call("PATCH", &place, token, Some(json!({}))).await;
    assert_eq!(unchanged.dataset(), cleared.dataset());

    let deleted = app.call("DELETE", &place, token, None).await;
    assert_eq!((deleted.status, deleted.dataset()), (200, cleared.dataset()));
    assert_eq!(app.call("GET", &place, token, None).await.status, 404);
    let without = app.call("POST", "/events", token, Some(json!({"name": "n"}))).await;
    assert_eq!(without.dataset()["note"], json!(null));
}

#[tokio::test]
async fn a_list_is_paged_by_id_and_says_its_limit() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let (ada, eve) = (app.register("Ada").await, app.register("Eve").await);
    assert_eq!(*app.call("GET", "/events", Some(&ada), None).await.dataset(), json!([]));
    for number in 0..5 {
        for token in [&ada, &eve] {
            let made =
                app.call("POST", "/events", Some(token), Some(json!({"name": format!("{number}")}))).await;
            assert_eq!(made.status, 201);
        }
    }
    let mut names = Vec::new();
    let mut next = Some("/events?limit=2".to_owned());
    while let Some(path) = next {
        let page = app.call("GET", &path, Some(&ada), None).await;
        assert_eq!((page.header("x-page-limit"), page.header("x-page-limit-max")), ("2", "1000"));
        let events = page.dataset().as_array().unwrap().iter();
        names.extend(events.map(|event| event["name"].as_str().unwrap().to_owned()));
        let link = page.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
    }
    assert_eq!(names, ["0", "1", "2", "3", "4"]);
    let whole = app.call("GET", "/events", Some(&ada), None).await;
    assert_eq!((whole.header("x-page-limit"), whole.dataset().as_array().unwrap().len()), ("100", 5));
    assert!(whole.headers.get("link").is_none());
}

#[tokio::test]
async fn health_readiness_and_metrics_tell_the_truth() {
    let postgres = Postgres::start().await;
    let app = Instance::start("app7", postgres.port).await;
    assert_eq!(app.call("GET", "/healthz", None, None).await.status, 200);
    let early = app.call("GET", "/readyz", None, None).await;
    assert_eq!(early.status, 503);
    assert!(early.message().contains("POST /init"), "{}", early.message());

    assert_eq!(app.call("POST", "/init", None, None).await.dataset()[0]["version"], json!(1));
    assert_eq!(app.call("POST", "/init", None, None).await.dataset(), &json!([]));
    assert_eq!(app.call("GET", "/readyz", None, None).await.status, 200);
    let admin = postgres.admin().await;
    let written: String = admin.query_one("SELECT instance FROM readiness", &[]).await.unwrap().get(0);
    assert_eq!(written, "app7.us-test-1", "a probe really writes");

    app.call("GET", "/events/1", Some(&app.register("Ada").await), None).await;
    app.call("GET", "/nowhere/secret-path", None, None).await;
    let metrics = app.call("GET", "/metrics", None, None).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.body.as_str().unwrap();
    for line in [
        "events_app_http_requests_total{method=\"GET\",route=\"/events/{id}\",status=\"404\"} 1",
        "events_app_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "events_app_http_request_duration_seconds_count{method=\"GET\",route=\"/healthz\"} 1",
        "events_app_database_pool_max 8",
        "events_app_database_pool_waiting 0",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert!(!text.contains("secret-path"), "raw paths are no labels");
}

#[tokio::test]
async fn tokens_are_kept_as_their_hash_only_and_never_logged() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    assert_eq!(app.call("GET", "/events", Some(&token), None).await.status, 200);
    let admin = postgres.admin().await;
    let sql = "SELECT users::text, token_hash = sha256(convert_to($1, 'UTF8')) FROM users";
    let row = admin.query_one(sql, &[&token]).await.unwrap();
    assert!(row.get::<_, bool>(1));
    assert!(!row.get::<_, String>(0).contains(&token));
    assert!(app.log().contains("answered") && !app.log().contains(&token));
}

#[tokio::test]
async fn three_instances_may_initialise_at_once() {
    let postgres = Postgres::start().await;
    let bouncer = Bouncer::start(&postgres).await;
    let (one, two, three) = tokio::join!(
        Instance::start("app1", bouncer.port),
        Instance::start("app2", bouncer.port),
        Instance::start("app3", bouncer.port)
    );
    let answers = tokio::join!(
        one.call("POST", "/init", None, None),
        two.call("POST", "/init", None, None),
        three.call("POST", "/init", None, None)
    );
    let answers = [answers.0, answers.1, answers.2];
    assert!(answers.iter().all(|answer| answer.status == 200));
    let applied: u64 = answers.iter().map(|answer| answer.body["status"]["records"].as_u64().unwrap()).sum();
    assert_eq!(applied, 1, "each migration is applied by one of them");
}
