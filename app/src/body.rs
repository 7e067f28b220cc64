//! Reading a request's body: bounded in bytes and in time, JSON only, no unknown fields.
//!
//! Every refusal is a [`Problem`], so it has the envelope and its own status: 415 for another content type,
//! 413 for too much, 408 for too slow, 400 for what is not JSON, 422 for JSON that is not what is asked for
//! (unknown fields included: they are well-formed, only not understood).

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use tokio::time::timeout_at;

use crate::App;
use crate::deadline::Deadline;
use crate::envelope::Problem;

/// The largest body in bytes: the longest note beside the longest name, each of their 10 200 characters written
/// in JSON's longest form (a surrogate pair, 12 bytes), is 122 400.
pub const MAX_BODY: usize = 128 * 1024;

/// The longest name in characters, of users and events.
pub const MAX_NAME: usize = 200;

/// The longest note in characters.
pub const MAX_NOTE: usize = 10_000;

/// A JSON body of type `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::NotJson);
        }
        let (mut parts, body) = request.into_parts();
        let Ok(deadline) = Deadline::from_request_parts(&mut parts, app).await;
        // A declared length over the limit is refused before any of it is read.
        let declared = parts.headers.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > MAX_BODY) {
            return Err(Problem::TooLarge(MAX_BODY));
        }
        let read = Bytes::from_request(Request::from_parts(parts, body), app);
        match timeout_at(deadline.body(), read).await {
            Err(_) => Err(Problem::SlowBody),
            Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
                Err(Problem::TooLarge(MAX_BODY))
            }
            Ok(Err(_)) => Err(Problem::BadJson("it ended before its declared length".into())),
            Ok(Ok(bytes)) => parse(&bytes).map(Self),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let told = |error: serde_json::Error| match error.classify() {
        Category::Data => Problem::Invalid(error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => Problem::BadJson(error.to_string()),
    };
    // serde also reads a struct from a list, field by field, where every unknown field would be a surprise.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(told)?;
        return Err(Problem::Invalid("the body must be a JSON object".into()));
    }
    serde_json::from_slice(bytes).map_err(told)
}

/// Checks a name: 1 to [`MAX_NAME`] characters, not blank.
///
/// # Errors
/// [`Problem::Invalid`] that says which rule.
pub fn check_name(name: &str) -> Result<(), Problem> {
    if name.trim().is_empty() {
        return Err(Problem::Invalid("name must not be blank".into()));
    }
    check_text("name", name, MAX_NAME)
}

/// Checks a note: at most [`MAX_NOTE`] characters.
///
/// # Errors
/// [`Problem::Invalid`] that says which rule.
pub fn check_note(note: &str) -> Result<(), Problem> {
    check_text("note", note, MAX_NOTE)
}

fn check_text(field: &str, text: &str, limit: usize) -> Result<(), Problem> {
    let length = text.chars().count();
    if length > limit {
        return Err(Problem::Invalid(format!("{field} has {length} characters; at most {limit} are kept")));
    }
    // PostgreSQL's text cannot hold U+0000, which JSON can write as \u0000.
    if text.contains('\0') {
        return Err(Problem::Invalid(format!("{field} must not contain the character U+0000")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters_not_bytes() {
        assert_eq!(check_name(&"ä".repeat(MAX_NAME)), Ok(()));
        assert!(check_name(&"ä".repeat(MAX_NAME + 1)).is_err());
        assert_eq!(check_note(&"𝄞".repeat(MAX_NOTE)), Ok(()));
    }

    #[test]
    fn the_longest_record_fits_the_largest_body() {
        const { assert!(12 * (MAX_NAME + MAX_NOTE) + 64 <= MAX_BODY) };
    }
}
