//! The routes: one table, from which the router is built and which a test holds against `openapi.yaml`.
//!
//! Invariant: every answer passes [`observe`], so each has `x-served-by`, is counted, and had a deadline.

mod accounts;
mod events;
mod health;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use tokio::time::Instant;

use crate::App;
use crate::body::MAX_BODY;
use crate::deadline::{Deadline, READINESS, REQUEST};
use crate::envelope::Problem;

const READYZ: &str = "/readyz";

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's pattern, in the spelling that axum and OpenAPI share.
    pub path: &'static str,
    service: MethodRouter<App>,
}

fn route<H, T>(filter: MethodFilter, method: Method, path: &'static str, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route { method, path, service: on(filter, handler) }
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    route(MethodFilter::GET, Method::GET, path, handler)
}

fn post<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    route(MethodFilter::POST, Method::POST, path, handler)
}

fn patch<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    route(MethodFilter::PATCH, Method::PATCH, path, handler)
}

fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Route {
    route(MethodFilter::DELETE, Method::DELETE, path, handler)
}

/// Every route there is.
pub fn table() -> Vec<Route> {
    vec![
        post("/init", accounts::init),
        post("/auth/register", accounts::register),
        post("/events", events::create),
        get("/events", events::list),
        get("/events/{id}", events::show),
        patch("/events/{id}", events::change),
        delete("/events/{id}", events::delete),
        get("/healthz", health::alive),
        get(READYZ, health::ready),
        get("/metrics", health::metrics),
    ]
}

/// The router over [`table`], with the envelope for everything that it does not hold.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for Route { path, service, .. } in table() {
        router = router.route(path, service);
    }
    router
        .fallback(async || Problem::NoSuchRoute)
        .method_not_allowed_fallback(async || Problem::WrongMethod)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Around every request: sets its deadline, says who answered, counts and logs it.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    let limit = if path == Some(READYZ) { READINESS } else { REQUEST };
    request.extensions_mut().insert(Deadline::after(limit));

    let mut response = next.run(request).await;

    if let Ok(value) = HeaderValue::from_str(&app.served_by) {
        response.headers_mut().insert("x-served-by", value);
    }
    let took = started.elapsed();
    let status = response.status();
    app.metrics.answered(&method, path, status, took);
    let (route, status, ms) = (path.unwrap_or("unmatched"), status.as_u16(), took.as_millis());
    if status >= 500 {
        tracing::warn!(%method, route, status, ms, "answered");
    } else {
        tracing::debug!(%method, route, status, ms, "answered");
    }
    response
}
