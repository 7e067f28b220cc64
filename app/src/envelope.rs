//! The one shape of every answer: `{"dataset": …, "status": {"success", "message", "records"}}`.
//!
//! Invariant: `success` is true exactly when the HTTP status is 2xx; `dataset` is a list for a list, an object
//! for one record and `null` where there is none; `records` counts the records in it.
//!
//! `/metrics` alone answers in Prometheus's text, which is what its reader understands.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Seconds for `Retry-After`: a hold is over within seconds, and the names' TTL is of that order too.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

#[derive(Serialize)]
struct Envelope<'a, T: Serialize> {
    dataset: T,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    success: bool,
    message: &'a str,
    records: usize,
}

fn sealed(code: StatusCode, dataset: impl Serialize, message: &str, records: usize) -> Response {
    let status = Status { success: code.is_success(), message, records };
    (code, Json(Envelope { dataset, status })).into_response()
}

/// A success with one record.
pub fn one(code: StatusCode, record: impl Serialize, message: &str) -> Response {
    sealed(code, record, message, 1)
}

/// A success with a list.
pub fn many<T: Serialize>(records: &[T], message: &str) -> Response {
    sealed(StatusCode::OK, records, message, records.len())
}

/// A success with nothing to show.
pub fn none(message: &str) -> Response {
    sealed(StatusCode::OK, (), message, 0)
}

/// Everything that can go wrong with a request. Each has one status, and one message for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// 400: the body is not JSON.
    BadJson(String),
    /// 400: the query string cannot be read.
    BadQuery(String),
    /// 400: the id in the path is not a number.
    BadId,
    /// 401: no `Authorization: Bearer`.
    NoToken,
    /// 401: a token that no user has.
    WrongToken,
    /// 404: this user has no such event.
    NoSuchEvent(String),
    /// 404: no such path.
    NoSuchRoute,
    /// 405: the path has no such method.
    WrongMethod,
    /// 408: the body did not arrive in time.
    SlowBody,
    /// 413: the body is over the limit, in bytes.
    TooLarge(usize),
    /// 415: the body is not declared as JSON.
    NotJson,
    /// 422: well-formed, but not what is asked for: an unknown or missing field, a wrong type, too long.
    Invalid(String),
    /// 500: a defect of ours. The details are in the log.
    Internal,
    /// 503: the database cannot be reached; nothing was done.
    Unreachable,
    /// 503: the connection broke, or the time ran out, after a write was sent.
    OutcomeUnknown,
    /// 503: the tables are not there yet.
    NotInitialised,
}

impl Problem {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadJson(_) | Self::BadQuery(_) | Self::BadId => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::NoSuchEvent(_) | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unreachable | Self::OutcomeUnknown | Self::NotInitialised => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BadJson(why) => format!("the body is not valid JSON: {why}"),
            Self::BadQuery(why) => format!("the query string cannot be read: {why}"),
            Self::BadId => "an event's id is a whole number, such as /events/1".into(),
            Self::NoToken => "send the header \"Authorization: Bearer <token>\"; POST /auth/register gives a token".into(),
            Self::WrongToken => "this token belongs to no user".into(),
            Self::NoSuchEvent(id) => format!("you have no event {id}"),
            Self::NoSuchRoute => "there is nothing at this path".into(),
            Self::WrongMethod => "this path does not take this method; the Allow header lists those it takes".into(),
            Self::SlowBody => "the body did not arrive in time; nothing was done".into(),
            Self::TooLarge(limit) => format!("the body is larger than {limit} bytes"),
            Self::NotJson => "send JSON, with the header \"Content-Type: application/json\"".into(),
            Self::Invalid(why) => why.clone(),
            Self::Internal => "an unexpected error; it has been logged".into(),
            Self::Unreachable => "the database cannot be reached now; nothing was done, try again".into(),
            Self::OutcomeUnknown => {
                "the outcome is unknown: the database went away after the write was sent, so it may or may not \
                 have been done; look before you repeat it"
                    .into()
            }
            Self::NotInitialised => "the database has no tables yet: call POST /init first".into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = sealed(self.status(), (), &self.message(), 0);
        let headers = response.headers_mut();
        match self {
            // RFC 6750, section 3: without credentials, no error code is given.
            Self::NoToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"events\""));
            }
            Self::WrongToken => {
                let value = HeaderValue::from_static("Bearer realm=\"events\", error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
            Self::Unreachable | Self::OutcomeUnknown | Self::NotInitialised => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            // The rest of the body is not read, so the connection cannot carry another request.
            Self::SlowBody | Self::TooLarge(_) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::BadJson(_)
            | Self::BadQuery(_)
            | Self::BadId
            | Self::NoSuchEvent(_)
            | Self::NoSuchRoute
            | Self::WrongMethod
            | Self::NotJson
            | Self::Invalid(_)
            | Self::Internal => {}
        }
        response
    }
}
