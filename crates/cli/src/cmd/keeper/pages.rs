//! What a keeper answers: to load balancers, to whoever runs it, and to people.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use bascule_core::permit::Permit;
use bascule_core::tenure::Tenure;
use bascule_core::vantage::Place;
use bascule_engine::keeper::Keeper;
use bascule_providers::permit::PermitState;
use serde::Serialize;

/// The metric that tells what a keeper costs the store.
pub(crate) const STORE_REQUESTS: &str = "bascule_store_requests_total";

/// What the permit and the answers ask.
#[derive(Clone)]
pub(super) struct Gate {
    place: Place,
    pub keeper: Keeper,
    pub permit: Arc<PermitState>,
    /// Whether it is one of the two whose confirmations count.
    confirms: bool,
    /// How often it has asked the store.
    asked: Arc<AtomicU64>,
}

impl Gate {
    pub fn new(place: Place, keeper: Keeper, confirms: bool, asked: Arc<AtomicU64>) -> Self {
        Self { place, keeper, permit: Arc::default(), confirms, asked }
    }

    /// Whether its loops turn. `Err` is which one does not.
    pub fn lives(&self) -> Result<String, String> {
        match self.keeper.stalled() {
            None => Ok("alive".to_owned()),
            Some(which) => Err(format!("hung: it does not {which} any more")),
        }
    }

    /// Whether the region's other keeper may be stopped without a gap in writes. `Err` is what is missing.
    pub fn ready(&self) -> Result<String, String> {
        self.lives()?;
        let tenure = self.keeper.state().tenure();
        let tenure = tenure.ok_or("the store has not answered yet, or the site has not been founded")?;
        let here = self.place.is_in(&tenure.active);
        if !here || tenure.released.is_some() {
            return Ok("ready, closed".to_owned());
        }
        if self.keeper.hold().is_open().is_none() {
            return Err(why_closed(self));
        }
        if !self.confirms {
            return Ok("ready, open".to_owned());
        }
        if !self.permit.is_streaming() {
            return Err("open, and no primary to confirm to was found yet".to_owned());
        }
        match self.permit.found() {
            Some(Permit::InForce) => Ok("ready, open and confirming".to_owned()),
            // Nobody waits for this keeper then, and so for none that is restarted.
            Some(Permit::NotInForce { why }) => Ok(format!("ready, open; the permit is not in force: {why}")),
            Some(Permit::Unknown { why }) => Err(format!("open, and whether it confirms is unknown: {why}")),
            None => Err("open, and its primary was not asked yet whether it confirms".to_owned()),
        }
    }
}

fn told(answer: Result<String, String>) -> (StatusCode, String) {
    match answer {
        Ok(said) => (StatusCode::OK, format!("{said}\n")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

pub(super) fn router(gate: Gate) -> Router {
    Router::new()
        .route("/gate/db", get(answer))
        .route("/gate/web", get(answer))
        .route("/healthz", get(async |Shared(gate): Shared<Gate>| told(gate.lives())))
        .route("/readyz", get(async |Shared(gate): Shared<Gate>| told(gate.ready())))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(gate)
}

/// What a load balancer asks: may writes pass at this instant?
async fn answer(Shared(gate): Shared<Gate>) -> impl IntoResponse {
    match gate.keeper.hold().is_open() {
        Some(epoch) => (StatusCode::OK, format!("open, epoch {epoch}\n")),
        None => (StatusCode::SERVICE_UNAVAILABLE, format!("closed: {}\n", why_closed(&gate))),
    }
}

fn why_closed(gate: &Gate) -> String {
    let region = match &gate.place {
        Place::Keeper { region, .. } => region,
        Place::Witness => return "the witness keeps no gate".to_owned(),
    };
    match gate.keeper.state().tenure() {
        None => "the store has not answered yet, or the site has not been founded".to_owned(),
        Some(tenure) if &tenure.active != region => {
            format!("{} is active in epoch {}", tenure.active, tenure.epoch)
        }
        Some(Tenure { released: Some(release), .. }) => {
            format!("{region} was let go by {}: {}", release.by, release.why)
        }
        Some(tenure) => format!("the tenure of epoch {} was not renewed in time", tenure.epoch),
    }
}

#[derive(Serialize)]
struct Status {
    place: String,
    version: &'static str,
    /// The epoch in which it lets writes pass, if it does.
    open: Option<u64>,
    open_for_ms: Option<u64>,
    epoch: Option<u64>,
    active: Option<String>,
    settled: Option<bool>,
    decision: Option<String>,
    writes: Option<bascule_core::vantage::Writes>,
    /// Whether commits wait for its confirmations, and get them.
    confirming: bool,
    /// What its primary says of the permit; none without a session.
    permit: Option<Permit>,
    acting: bool,
}

async fn status(Shared(gate): Shared<Gate>) -> Json<Status> {
    let tenure = gate.keeper.state().tenure();
    Json(Status {
        place: gate.place.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        open: gate.keeper.hold().is_open().map(|epoch| epoch.0),
        open_for_ms: gate
            .keeper
            .hold()
            .left()
            .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        epoch: tenure.as_ref().map(|t| t.epoch.0),
        active: tenure.as_ref().map(|t| t.active.to_string()),
        settled: tenure.as_ref().map(|t| t.settled),
        decision: gate.keeper.state().decision(),
        writes: gate.keeper.state().probed().map(|probed| probed.writes),
        confirming: gate.permit.is_in_force(),
        permit: gate.permit.found(),
        acting: gate.keeper.state().is_acting(),
    })
}

/// Prometheus' text format, version 0.0.4.
async fn metrics(Shared(gate): Shared<Gate>) -> String {
    let (renewals, looks, acts) = gate.keeper.state().counts();
    let rows: BTreeMap<&str, (&str, &str, u64)> = BTreeMap::from([
        (
            "bascule_gate_open",
            ("gauge", "Whether writes may pass.", u64::from(gate.keeper.hold().is_open().is_some())),
        ),
        (
            "bascule_epoch",
            ("gauge", "The epoch it knows.", gate.keeper.state().tenure().map_or(0, |t| t.epoch.0)),
        ),
        ("bascule_renewals_total", ("counter", "Renewals that succeeded.", renewals)),
        ("bascule_looks_total", ("counter", "Looks at the active region.", looks)),
        ("bascule_acts_total", ("counter", "Things done by itself.", acts)),
        (
            "bascule_permit_streaming",
            ("gauge", "Whether it is connected to a primary.", u64::from(gate.permit.is_streaming())),
        ),
        (
            "bascule_permit_in_force",
            ("gauge", "Whether commits wait for its word.", u64::from(gate.permit.is_in_force())),
        ),
        (
            "bascule_permit_unconfirmed_bytes",
            ("gauge", "Log that waits for the other region.", gate.permit.unconfirmed()),
        ),
        ("bascule_permit_sessions_total", ("counter", "Sessions with a primary.", gate.permit.sessions())),
        (
            STORE_REQUESTS,
            (
                "counter",
                "Requests sent to members of the store, watches and log-ins apart.",
                gate.asked.load(Ordering::Relaxed),
            ),
        ),
    ]);
    rows.iter().fold(String::new(), |text, (name, (kind, help, value))| {
        text + &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
    })
}
