//! `POST /init` makes the tables; `POST /auth/register` makes a user and gives its token, once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::auth::Token;
use crate::body::{Body, check_name};
use crate::db::Repeat;
use crate::deadline::Deadline;
use crate::envelope::{self, Problem};
use crate::{App, migrations};

/// Applies the pending migrations. May be called by anyone, at any time, by several at once: it takes no
/// input, and does nothing when there is nothing to do.
pub async fn init(State(app): State<App>, deadline: Deadline) -> Result<Response, Problem> {
    let applied = migrations::apply(&app.database, deadline).await?;
    let message = if applied.is_empty() { "the schema is up to date" } else { "migrations applied" };
    Ok(envelope::many(&applied, message))
}

/// The body of `POST /auth/register`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    name: String,
}

#[derive(Serialize)]
struct Registered {
    id: i64,
    name: String,
    token: Token,
}

/// Names need not be unique: a name that is taken would tell a stranger who is registered.
const REGISTER: &str = "INSERT INTO users (name, token_hash) VALUES ($1, $2) RETURNING id";

/// Registers a user.
pub async fn register(
    State(app): State<App>,
    deadline: Deadline,
    Body(user): Body<NewUser>,
) -> Result<Response, Problem> {
    check_name(&user.name)?;
    let token = Token::generate().map_err(|error| {
        tracing::error!(%error, "the operating system gives no randomness");
        Problem::Internal
    })?;
    let digest = token.digest();
    let parameters = [(&user.name as _, Type::TEXT), (&digest.as_bytes() as _, Type::BYTEA)];
    let rows = app.database.rows(Repeat::Never, deadline, REGISTER, &parameters).await?;
    let id = rows.first().and_then(|row| row.try_get("id").ok()).ok_or(Problem::Internal)?;
    let record = Registered { id, name: user.name, token };
    Ok(envelope::one(StatusCode::CREATED, record, "registered; the token is shown this once"))
}
