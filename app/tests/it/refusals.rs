//! Every wrong request gets the right 4xx, with a message that says what to do.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::instance::{Instance, command};
use crate::servers::Postgres;

const JSON: &str = "application/json";

#[tokio::test]
async fn each_wrong_body_has_its_own_status_and_says_what_is_wrong() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    let made =
        app.call("POST", "/events", Some(&token), Some(json!({"name": "kept", "note": "as it was"}))).await;
    let place = made.header("location").to_owned();

    let long_name = json!({"name": "n".repeat(201)}).to_string();
    let long_note = json!({"name": "n", "note": "n".repeat(10_001)}).to_string();
    let huge = json!({"name": "n".repeat(200_000)}).to_string();
    let cases: [(&str, &str, u16, &str); 13] = [
        (JSON, "{\"name\": ", 400, "not valid JSON"),
        (JSON, "", 400, "not valid JSON"),
        (JSON, "{\"name\": \"a\"} x", 400, "not valid JSON"),
        ("text/plain", "{\"name\": \"a\"}", 415, "Content-Type: application/json"),
        ("application/jsonp", "{\"name\": \"a\"}", 415, "Content-Type"),
        (JSON, &huge, 413, "131072 bytes"),
        (JSON, "{\"name\": \"a\", \"colour\": 1}", 422, "unknown field `colour`"),
        (JSON, "{\"name\": 7}", 422, "expected a string"),
        (JSON, "[]", 422, "must be a JSON object"),
        (JSON, "[\"a\"]", 422, "must be a JSON object"),
        (JSON, "{\"name\": \" \\t\"}", 422, "blank"),
        (JSON, "{\"name\": \"a\\u0000b\"}", 422, "U+0000"),
        (JSON, &long_name, 422, "at most 200"),
    ];
    for (kind, body, status, part) in cases {
        for (method, path) in [("POST", "/auth/register"), ("POST", "/events"), ("PATCH", place.as_str())] {
            let bearer = Some(format!("Bearer {token}"));
            let answer = app.send(method, path, bearer, Some((kind, body.to_owned()))).await;
            assert_eq!(answer.status, status, "{method} {path} {body:.80}: {}", answer.message());
            assert!(answer.message().contains(part), "{}: no {part}", answer.message());
        }
    }
    for (body, part) in [("{}", "missing field `name`"), (long_note.as_str(), "at most 10000")] {
        let answer =
            app.send("POST", "/events", Some(format!("Bearer {token}")), Some((JSON, body.into()))).await;
        assert_eq!((answer.status, answer.message().contains(part)), (422, true), "{}", answer.message());
    }
    let nulled = app.call("PATCH", &place, Some(&token), Some(json!({"name": null}))).await;
    assert_eq!(nulled.status, 422, "a name cannot be removed");
    let kept = app.call("GET", &place, Some(&token), None).await;
    assert_eq!(kept.dataset(), made.dataset(), "no refused request changed anything");
    let charset = Some(("Application/JSON; charset=utf-8", json!({"name": "a"}).to_string()));
    assert_eq!(app.send("POST", "/auth/register", None, charset).await.status, 201);
}

#[tokio::test]
async fn without_the_right_token_nothing_is_told_and_nothing_is_done() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let (ada, eve) = (app.register("Ada").await, app.register("Eve").await);
    let made = app.call("POST", "/events", Some(&ada), Some(json!({"name": "mine"}))).await;
    let place = made.header("location").to_owned();
    let routes = [
        ("POST", "/events", Some(json!({"name": "a"}))),
        ("GET", "/events", None),
        ("GET", place.as_str(), None),
        ("PATCH", place.as_str(), Some(json!({"name": "a"}))),
        ("DELETE", place.as_str(), None),
    ];
    let wrong = "x".repeat(50);
    let headers = [
        (None, "Bearer realm=\"events\""),
        (Some("Basic QWRhOmFkYQ==".to_owned()), "Bearer realm=\"events\""),
        (Some("Bearer".to_owned()), "Bearer realm=\"events\""),
        (Some("Bearer short".to_owned()), "Bearer realm=\"events\", error=\"invalid_token\""),
        (Some(format!("Bearer {wrong}")), "Bearer realm=\"events\", error=\"invalid_token\""),
    ];
    for (method, path, body) in &routes {
        for (authorization, challenge) in &headers {
            let body = body.as_ref().map(|body| (JSON, body.to_string()));
            let answer = app.send(method, path, authorization.clone(), body).await;
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, *challenge),
                "{method} {path}"
            );
        }
    }
    for (method, path, body) in routes.into_iter().skip(2) {
        let answer = app.call(method, path, Some(&eve), body).await;
        assert_eq!(answer.status, 404, "{method}: another's event does not exist");
    }
    let lower = app.send("GET", &place, Some(format!("bearer {ada}")), None).await;
    assert_eq!(lower.dataset(), made.dataset(), "the scheme's case does not matter, and nothing was changed");
    let count: i64 =
        postgres.admin().await.query_one("SELECT count(*) FROM events", &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn wrong_places_are_told_apart() {
    let postgres = Postgres::start().await;
    let app = Instance::ready("app1", postgres.port).await;
    let token = app.register("Ada").await;
    for (method, path, status) in [
        ("GET", "/events/999999", 404),
        ("DELETE", "/events/999999", 404),
        ("GET", "/events/0", 404),
        ("GET", "/events/99999999999999999999999", 404),
        ("GET", "/events/abc", 400),
        ("GET", "/events/-1", 400),
        ("GET", "/events/1.5", 400),
        ("GET", "/events/%ff", 400),
        ("GET", "/events?limit=0", 422),
        ("GET", "/events?limit=1001", 422),
        ("GET", "/events?limit=ten", 400),
        ("GET", "/events?page=2", 400),
        ("GET", "/events?after=x", 400),
        ("GET", "/", 404),
        ("GET", "/events/1/notes", 404),
        ("PUT", "/events/1", 405),
        ("GET", "/init", 405),
        ("BREW", "/events", 405),
    ] {
        let answer = app.call(method, path, Some(&token), None).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.message());
        if status == 405 {
            assert!(!answer.header("allow").is_empty());
        }
    }
    let missing = app.call("PATCH", "/events/999999", Some(&token), Some(json!({"name": "a"}))).await;
    assert_eq!((missing.status, missing.message()), (404, "you have no event 999999"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let postgres = Postgres::start().await;
    let app = Instance::start("app1", postgres.port).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /auth/register HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"success\":false"), "{answer}");
}

#[tokio::test]
async fn a_database_address_in_the_configuration_ends_the_program_with_a_clear_message() {
    let variables = [("LISTEN", "127.0.0.1:0"), ("DATABASE_HOST", "10.77.1.21")];
    let out = command(&variables).output().unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("not a DNS name") && text.contains("db.events.test"), "{text}");
}
