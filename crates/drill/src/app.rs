//! What the load says to the reference application and how it reads the answers.
//!
//! An answer counts as an acknowledgement only when all of it says so: the status, the envelope's
//! `success`, and the event's own name. What the answer says besides is not looked at.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::client::{Ask, Failed, Reply};
use crate::recording::{FailureKind, Outcome, detail};

/// Events asked for at once: the most that the application gives.
pub(crate) const PAGE: usize = 1000;

/// An event as the application gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Event {
    pub id: u64,
    pub name: String,
}

#[derive(Deserialize)]
struct Envelope<T> {
    dataset: T,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    success: bool,
}

#[derive(Deserialize)]
struct Registered {
    token: String,
}

pub(crate) fn register(name: &str) -> Ask {
    post("/auth/register", name, None)
}

pub(crate) fn create(name: &str, token: &Arc<str>) -> Ask {
    post("/events", name, Some(Arc::clone(token)))
}

pub(crate) fn read(id: u64, token: &Arc<str>) -> Ask {
    get(format!("/events/{id}"), token)
}

pub(crate) fn page(after: u64, token: &Arc<str>) -> Ask {
    get(format!("/events?after={after}&limit={PAGE}"), token)
}

fn post(path: &str, name: &str, token: Option<Arc<str>>) -> Ask {
    let body = json!({ "name": name }).to_string();
    Ask { method: Method::POST, path: path.to_owned(), token, body: Some(Bytes::from(body)) }
}

fn get(path: String, token: &Arc<str>) -> Ask {
    Ask { method: Method::GET, path, token: Some(Arc::clone(token)), body: None }
}

/// The token of a user just registered.
pub(crate) fn registered(reply: &Reply) -> anyhow::Result<Arc<str>> {
    ensure!(reply.status == 201, "registering was answered with {}", said(reply));
    let registered: Registered = dataset(reply).context("registering was answered with a strange body")?;
    Ok(registered.token.into())
}

/// The id of the event that was created under `name`.
pub(crate) fn created(reply: &Reply, name: &str) -> Result<u64, Failed> {
    let status = reply.status;
    if status != 201 {
        // A request refused as wrong is not stored; 408 is a time-out, and so says nothing.
        let refused = (400..500).contains(&status) && status != 408;
        let outcome = if refused { Outcome::NotDone } else { Outcome::Unknown };
        return Err(Failed { kind: FailureKind::Status(status), outcome, detail: said(reply) });
    }
    match dataset::<Event>(reply) {
        Ok(event) if event.name == name => Ok(event.id),
        Ok(event) => Err(bad(Outcome::Unknown, &format!("created {name}, was told of {}", event.name))),
        Err(error) => Err(bad(Outcome::Unknown, &format!("{error:#}"))),
    }
}

/// Checks that the event that was read is the one called `name`.
pub(crate) fn was_read(reply: &Reply, name: &str) -> Result<(), Failed> {
    let failed = |kind| Failed { kind, outcome: Outcome::NotDone, detail: said(reply) };
    match reply.status {
        200 => match dataset::<Event>(reply) {
            Ok(event) if event.name == name => Ok(()),
            Ok(event) => {
                Err(Failed { detail: format!("found {}", event.name), ..failed(FailureKind::Vanished) })
            }
            Err(error) => Err(bad(Outcome::NotDone, &format!("{error:#}"))),
        },
        404 => Err(failed(FailureKind::Vanished)),
        status => Err(failed(FailureKind::Status(status))),
    }
}

/// The events of a page.
pub(crate) fn paged(reply: &Reply) -> anyhow::Result<Vec<Event>> {
    ensure!(reply.status == 200, "a page was answered with {}", said(reply));
    dataset(reply).context("a page was answered with a strange body")
}

fn dataset<T: DeserializeOwned>(reply: &Reply) -> anyhow::Result<T> {
    let envelope: Envelope<T> = serde_json::from_slice(&reply.body)?;
    ensure!(envelope.status.success, "the envelope says no success");
    Ok(envelope.dataset)
}

fn bad(outcome: Outcome, text: &str) -> Failed {
    Failed { kind: FailureKind::BadAnswer, outcome, detail: detail(text) }
}

fn said(reply: &Reply) -> String {
    detail(&format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, served_by: None, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    const EVENT: &str =
        r#"{"dataset":{"id":7,"name":"w-r-1","note":null},"status":{"success":true,"records":1}}"#;

    #[test]
    fn only_an_answer_that_says_yes_throughout_acknowledges() {
        assert_eq!(created(&reply(201, EVENT), "w-r-1").unwrap(), 7);
        let cases = [
            (reply(200, EVENT), FailureKind::Status(200), Outcome::Unknown),
            (reply(201, &EVENT.replace("true", "false")), FailureKind::BadAnswer, Outcome::Unknown),
            (reply(201, &EVENT.replace("w-r-1", "w-r-2")), FailureKind::BadAnswer, Outcome::Unknown),
            (reply(201, "<html>"), FailureKind::BadAnswer, Outcome::Unknown),
            (reply(503, "{}"), FailureKind::Status(503), Outcome::Unknown),
            (reply(502, ""), FailureKind::Status(502), Outcome::Unknown),
            (reply(408, ""), FailureKind::Status(408), Outcome::Unknown),
            (reply(401, "{}"), FailureKind::Status(401), Outcome::NotDone),
            (reply(422, "{}"), FailureKind::Status(422), Outcome::NotDone),
        ];
        for (reply, kind, outcome) in cases {
            let failed = created(&reply, "w-r-1").unwrap_err();
            assert_eq!((failed.kind, failed.outcome), (kind, outcome), "{}", failed.detail);
        }
    }

    #[test]
    fn a_read_that_finds_another_event_or_none_has_lost_it() {
        assert!(was_read(&reply(200, EVENT), "w-r-1").is_ok());
        let kinds = [
            (reply(404, "{}"), FailureKind::Vanished),
            (reply(200, &EVENT.replace("w-r-1", "w-r-9")), FailureKind::Vanished),
            (reply(200, "{}"), FailureKind::BadAnswer),
            (reply(503, ""), FailureKind::Status(503)),
        ];
        for (reply, kind) in kinds {
            assert_eq!(was_read(&reply, "w-r-1").unwrap_err().kind, kind);
        }
    }
}
