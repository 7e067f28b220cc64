//! What load balancers and Prometheus ask.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio_postgres::types::Type;

use crate::App;
use crate::db::Repeat;
use crate::deadline::Deadline;
use crate::envelope::{self, Problem};

/// The process is alive. Asks nothing of the database: restarting the process would not mend that.
pub async fn alive() -> Response {
    envelope::none("alive")
}

const PROBE: &str = "INSERT INTO readiness (instance, probed_at) VALUES ($1, now())
    ON CONFLICT (instance) DO UPDATE SET probed_at = excluded.probed_at";

/// The database can be reached *and* takes a write, shown by a write. During a hold it waits, as writes do.
pub async fn ready(State(app): State<App>, deadline: Deadline) -> Result<Response, Problem> {
    let instance: &str = &app.served_by;
    app.database.rows(Repeat::Idempotent, deadline, PROBE, &[(&instance as _, Type::TEXT)]).await?;
    Ok(envelope::none("ready: the database takes writes"))
}

/// The metrics, as OpenMetrics text.
pub async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = app.metrics.render(app.database.status()).map_err(|error| {
        tracing::error!(%error, "metrics cannot be written as text");
        Problem::Internal
    })?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
