//! A user's events: create, list, show, change, delete.
//!
//! Invariants: each request is one statement, in which the user is found by the token's hash, so
//! authentication costs no round trip of its own; a user sees and touches only events of their own, and
//! another's event is answered as one that does not exist.
//!
//! Each statement begins with the user (`me`) and joins its outcome to that on the left: no row means an
//! unknown token, a row without an event means no such event.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::App;
use crate::auth::{Bearer, TokenDigest};
use crate::body::{Body, check_name, check_note};
use crate::db::{Parameter, Repeat};
use crate::deadline::Deadline;
use crate::envelope::{self, Problem};

/// Events on a page when `limit` is not given.
pub const DEFAULT_LIMIT: i64 = 100;

/// Most events on a page: 1000 of ordinary size are some 200 KB.
pub const MAX_LIMIT: i64 = 1000;

/// A statement: the user, the part that differs, and that part's event joined to the user.
macro_rules! statement {
    ($hit:literal) => {
        concat!(
            "WITH me AS (SELECT id, token_hash FROM users WHERE token_hash = $1), hit AS (",
            $hit,
            ") SELECT me.token_hash, hit.id, hit.name, hit.note, ",
            "to_char(hit.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created_at ",
            "FROM me LEFT JOIN hit ON true ORDER BY hit.id"
        )
    };
}

const CREATE: &str = statement!(
    "INSERT INTO events (owner, name, note) SELECT me.id, $2, $3 FROM me \
     RETURNING id, name, note, created_at"
);

const LIST: &str = statement!(
    "SELECT e.id, e.name, e.note, e.created_at FROM events e, me \
     WHERE e.owner = me.id AND e.id > $2 ORDER BY e.id LIMIT $3"
);

const SHOW: &str = statement!(
    "SELECT e.id, e.name, e.note, e.created_at FROM events e, me WHERE e.owner = me.id AND e.id = $2"
);

const CHANGE: &str = statement!(
    "UPDATE events e SET name = coalesce($3, e.name), note = CASE WHEN $4 THEN $5 ELSE e.note END \
     FROM me WHERE e.owner = me.id AND e.id = $2 RETURNING e.id, e.name, e.note, e.created_at"
);

const DELETE: &str = statement!(
    "DELETE FROM events e USING me WHERE e.owner = me.id AND e.id = $2 \
     RETURNING e.id, e.name, e.note, e.created_at"
);

/// One event, as users see it.
#[derive(Serialize)]
struct Event {
    id: i64,
    name: String,
    note: Option<String>,
    created_at: String,
}

impl Event {
    /// `None` where the user has no such event.
    fn read(row: &Row) -> Result<Option<Self>, tokio_postgres::Error> {
        let Some(id) = row.try_get("id")? else { return Ok(None) };
        let (name, note) = (row.try_get("name")?, row.try_get("note")?);
        Ok(Some(Self { id, name, note, created_at: row.try_get("created_at")? }))
    }
}

/// Runs a statement as the token's user, and reads the events of its outcome.
async fn run(
    app: &App,
    deadline: Deadline,
    repeat: Repeat,
    digest: TokenDigest,
    sql: &'static str,
    rest: &[Parameter<'_>],
) -> Result<Vec<Event>, Problem> {
    let hash = digest.as_bytes();
    let mut parameters: Vec<Parameter<'_>> = vec![(&hash, Type::BYTEA)];
    parameters.extend_from_slice(rest);
    let rows = app.database.rows(repeat, deadline, sql, &parameters).await?;
    let unreadable = |error: tokio_postgres::Error| {
        tracing::error!(%error, "a row cannot be read");
        Problem::Internal
    };
    let first = rows.first().ok_or(Problem::WrongToken)?;
    if !digest.matches(first.try_get("token_hash").map_err(unreadable)?) {
        return Err(Problem::WrongToken);
    }
    rows.iter().filter_map(|row| Event::read(row).transpose()).collect::<Result<_, _>>().map_err(unreadable)
}

/// The id in the path. A number that no `bigint` holds is an event that does not exist.
pub struct EventId(i64);

impl FromRequestParts<App> for EventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| Problem::BadId)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::BadId);
        }
        text.parse().map(Self).map_err(|_| Problem::NoSuchEvent(text))
    }
}

fn only(events: Vec<Event>, id: i64) -> Result<Event, Problem> {
    events.into_iter().next().ok_or_else(|| Problem::NoSuchEvent(id.to_string()))
}

/// The body of `POST /events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    name: String,
    note: Option<String>,
}

/// Creates an event.
pub async fn create(
    State(app): State<App>,
    Bearer(digest): Bearer,
    deadline: Deadline,
    Body(new): Body<NewEvent>,
) -> Result<Response, Problem> {
    check_name(&new.name)?;
    new.note.as_deref().map_or(Ok(()), check_note)?;
    let rest: [Parameter<'_>; 2] = [(&new.name, Type::TEXT), (&new.note, Type::TEXT)];
    let made = run(&app, deadline, Repeat::Never, digest, CREATE, &rest).await?;
    let event = made.into_iter().next().ok_or(Problem::Internal)?;
    let place = HeaderValue::from_str(&format!("/events/{}", event.id)).map_err(|_| Problem::Internal)?;
    let mut response = envelope::one(StatusCode::CREATED, event, "created");
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

/// The query of `GET /events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Only events with a larger id.
    #[serde(default)]
    after: i64,
    /// At most so many.
    limit: Option<i64>,
}

/// Lists a page of events by id. A full page links the next one (`Link`, RFC 8288).
pub async fn list(
    State(app): State<App>,
    Bearer(digest): Bearer,
    deadline: Deadline,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|rejection| Problem::BadQuery(rejection.body_text()))?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::Invalid(format!("limit is 1 to {MAX_LIMIT}; without it, {DEFAULT_LIMIT}")));
    }
    let rest: [Parameter<'_>; 2] = [(&page.after, Type::INT8), (&limit, Type::INT8)];
    let events = run(&app, deadline, Repeat::Read, digest, LIST, &rest).await?;
    let full = i64::try_from(events.len()).is_ok_and(|count| count == limit);
    let last = events.last().filter(|_| full).map(|event| event.id);
    let more = if full { "there may be more, see the Link header" } else { "no more" };
    let message = format!("events by id; limit {limit}, at most {MAX_LIMIT}; {more}");
    let mut response = envelope::many(&events, &message);
    let headers = response.headers_mut();
    headers.insert("x-page-limit", HeaderValue::from(limit));
    headers.insert("x-page-limit-max", HeaderValue::from(MAX_LIMIT));
    if let Some(last) = last {
        let next = format!("</events?after={last}&limit={limit}>; rel=\"next\"");
        headers.insert(header::LINK, HeaderValue::from_str(&next).map_err(|_| Problem::Internal)?);
    }
    Ok(response)
}

/// Shows one event.
pub async fn show(
    State(app): State<App>,
    Bearer(digest): Bearer,
    deadline: Deadline,
    EventId(id): EventId,
) -> Result<Response, Problem> {
    let found = run(&app, deadline, Repeat::Read, digest, SHOW, &[(&id, Type::INT8)]).await?;
    Ok(envelope::one(StatusCode::OK, only(found, id)?, "found"))
}

/// The body of `PATCH /events/{id}`: what is absent stays as it is. A note of `null` is removed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventChange {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    note: Option<Option<String>>,
}

/// Tells a field that is `null` from one that is absent: this is only called for a field that is there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// Changes what the body names. An empty change is none, and shows the event.
pub async fn change(
    State(app): State<App>,
    Bearer(digest): Bearer,
    deadline: Deadline,
    EventId(id): EventId,
    Body(change): Body<EventChange>,
) -> Result<Response, Problem> {
    change.name.as_deref().map_or(Ok(()), check_name)?;
    let (set_note, note) = (change.note.is_some(), change.note.flatten());
    note.as_deref().map_or(Ok(()), check_note)?;
    let rest: [Parameter<'_>; 4] =
        [(&id, Type::INT8), (&change.name, Type::TEXT), (&set_note, Type::BOOL), (&note, Type::TEXT)];
    let changed = run(&app, deadline, Repeat::Never, digest, CHANGE, &rest).await?;
    Ok(envelope::one(StatusCode::OK, only(changed, id)?, "changed"))
}

/// Deletes one event, and shows what it was.
pub async fn delete(
    State(app): State<App>,
    Bearer(digest): Bearer,
    deadline: Deadline,
    EventId(id): EventId,
) -> Result<Response, Problem> {
    let deleted = run(&app, deadline, Repeat::Never, digest, DELETE, &[(&id, Type::INT8)]).await?;
    Ok(envelope::one(StatusCode::OK, only(deleted, id)?, "deleted"))
}
