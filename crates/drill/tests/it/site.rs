//! A small web application that answers like the real one, and errs when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the site treats a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Stores it and says so.
    Good,
    /// Says so and stores nothing.
    Forgetful,
    /// Stores it twice.
    Double,
    /// Waits until the mood changes, then treats it by that.
    Holding,
    /// Answers 503 and stores nothing.
    Down,
    /// Stores it and breaks the connection.
    Silent,
}

/// The stored events, shared by all instances of the site.
#[derive(Debug)]
pub struct Site {
    events: Mutex<Vec<(u64, String)>>,
    mood: watch::Sender<Mood>,
    /// Answers 500 to pages.
    pub pages_fail: std::sync::atomic::AtomicBool,
}

/// An instance that listens; it ends when dropped.
pub struct Instance {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Seat {
    site: Arc<Site>,
    name: &'static str,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Page {
    after: u64,
    limit: usize,
}

impl Site {
    pub fn new() -> Arc<Self> {
        let mood = watch::Sender::new(Mood::Good);
        Arc::new(Self { events: Mutex::default(), mood, pages_fail: false.into() })
    }

    /// Changes how writes are treated from now on.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Starts an instance called `name` on `address`.
    pub async fn listen(self: &Arc<Self>, name: &'static str, address: (Ipv4Addr, u16)) -> Instance {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/auth/register", post(register))
            .route("/events", post(create).get(list))
            .route("/events/{id}", get(read))
            .with_state(Seat { site: Arc::clone(self), name });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Instance { address, task }
    }

    fn store(&self, name: &str) -> u64 {
        let mut events = self.events.lock().unwrap();
        let id = events.len() as u64 * 3 + 1;
        events.push((id, name.to_owned()));
        id
    }
}

fn envelope(seat: &Seat, status: StatusCode, dataset: Value) -> Response {
    let success = status.is_success();
    let body = json!({"dataset": dataset, "status": {"success": success, "message": "", "records": 1}});
    (status, [("x-served-by", seat.name)], Json(body)).into_response()
}

async fn register(State(seat): State<Seat>, Json(named): Json<Named>) -> Response {
    envelope(&seat, StatusCode::CREATED, json!({"name": named.name, "token": "t".repeat(50)}))
}

async fn create(State(seat): State<Seat>, Json(named): Json<Named>) -> Response {
    let mut moods = seat.site.mood.subscribe();
    let mood = *moods.wait_for(|mood| *mood != Mood::Holding).await.unwrap();
    let id = match mood {
        Mood::Good | Mood::Holding => seat.site.store(&named.name),
        Mood::Forgetful => 2,
        Mood::Double => {
            seat.site.store(&named.name);
            seat.site.store(&named.name)
        }
        Mood::Down => return envelope(&seat, StatusCode::SERVICE_UNAVAILABLE, Value::Null),
        Mood::Silent => {
            seat.site.store(&named.name);
            // hyper closes the connection of a handler that panics.
            panic!("the site breaks this connection");
        }
    };
    envelope(&seat, StatusCode::CREATED, json!({"id": id, "name": named.name, "note": null}))
}

async fn read(State(seat): State<Seat>, Path(id): Path<u64>) -> Response {
    let found = seat.site.events.lock().unwrap().iter().find(|event| event.0 == id).cloned();
    match found {
        Some((id, name)) => envelope(&seat, StatusCode::OK, json!({"id": id, "name": name})),
        None => envelope(&seat, StatusCode::NOT_FOUND, Value::Null),
    }
}

async fn list(State(seat): State<Seat>, Query(page): Query<Page>) -> Response {
    if seat.site.pages_fail.load(std::sync::atomic::Ordering::Relaxed) {
        return envelope(&seat, StatusCode::INTERNAL_SERVER_ERROR, Value::Null);
    }
    let events = seat.site.events.lock().unwrap();
    // Fewer than asked for, as a server may: the reader must not take a short page for the last one.
    let limit = page.limit.min(7);
    let after = events.iter().filter(|event| event.0 > page.after).take(limit);
    let rows: Vec<Value> = after.map(|(id, name)| json!({"id": id, "name": name})).collect();
    envelope(&seat, StatusCode::OK, Value::Array(rows))
}
