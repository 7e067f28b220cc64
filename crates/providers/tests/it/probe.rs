//! A probe against a front door of make-believe, which counts what it is asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_providers::patroni::http_client;
use bascule_providers::probe::{HttpProbe, ProbeConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What the door does.
#[derive(Default)]
struct Door {
    asked: Vec<String>,
    region: &'static str,
    forgets: bool,
    silent: bool,
}

async fn open(door: Arc<Mutex<Door>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let door = door.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    let Some(answer) = answer(&door, &request) else { return std::future::pending().await };
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

fn answer(door: &Mutex<Door>, request: &str) -> Option<String> {
    let mut door = door.lock().unwrap();
    let line = request.lines().next().unwrap_or_default();
    let what = line.rsplit_once(' ').map_or(line, |(what, _)| what).to_owned();
    let (status, body) = match what.as_str() {
        "POST /auth/register" => ("201 Created", r#"{"dataset": {"token": "t"}}"#),
        "POST /events" => ("201 Created", r#"{"dataset": {"id": 7, "name": "n"}}"#),
        _ if door.forgets => ("404 Not Found", "{}"),
        _ => ("200 OK", r#"{"dataset": {"id": 7, "name": "n"}}"#),
    };
    door.forgets &= what.starts_with("POST");
    door.asked.push(what);
    let (length, region) = (body.len(), door.region);
    (!door.silent).then(|| {
        format!("HTTP/1.1 {status}\r\nx-served-by: app1.{region}\r\ncontent-length: {length}\r\n\r\n{body}")
    })
}

async fn probe(door: &Arc<Mutex<Door>>) -> (HttpProbe, RegionName) {
    let region: RegionName = "east".parse().unwrap();
    let config = ProbeConfig {
        host: "app.events.test".parse().unwrap(),
        user: "bascule-verify".to_owned(),
        place: "witness".to_owned(),
        doors: [(region.clone(), open(door.clone()).await)].into(),
        within: Duration::from_millis(500),
    };
    (HttpProbe::new(config, http_client().unwrap()), region)
}

#[tokio::test]
async fn a_probe_changes_one_row_over_and_over() {
    let door = Arc::new(Mutex::new(Door { region: "east", ..Door::default() }));
    let (probe, region) = probe(&door).await;
    for _ in 0..3 {
        assert_eq!(probe.write_at(&region).await, Ok(()));
    }
    let expected =
        ["POST /auth/register", "POST /events", "PATCH /events/7", "PATCH /events/7", "PATCH /events/7"];
    assert_eq!(door.lock().unwrap().asked, expected);
}

#[tokio::test]
async fn a_row_that_a_failover_lost_is_made_anew() {
    let door = Arc::new(Mutex::new(Door { region: "east", ..Door::default() }));
    let (probe, region) = probe(&door).await;
    assert_eq!(probe.write_at(&region).await, Ok(()));
    door.lock().unwrap().forgets = true;
    assert!(probe.write_at(&region).await.is_err(), "this write did not happen");
    assert_eq!(probe.write_at(&region).await, Ok(()));
    assert_eq!(door.lock().unwrap().asked.iter().filter(|a| *a == "POST /events").count(), 2);
}

#[tokio::test]
async fn a_door_that_another_region_serves_does_not_count() {
    let door = Arc::new(Mutex::new(Door { region: "west", ..Door::default() }));
    let (probe, region) = probe(&door).await;
    assert_eq!(probe.write_at(&region).await, Err("east's front door is served by west".to_owned()));
}

#[tokio::test]
async fn a_door_that_does_not_answer_is_not_waited_for() {
    let door = Arc::new(Mutex::new(Door { region: "east", silent: true, ..Door::default() }));
    let (probe, region) = probe(&door).await;
    assert!(probe.write_at(&region).await.unwrap_err().starts_with("no answer"));
}
