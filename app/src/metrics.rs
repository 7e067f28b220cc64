//! What `/metrics` shows, in the OpenMetrics text that Prometheus reads.
//!
//! Invariant: the number of series is bounded by the code, never by what clients send. Routes are the router's
//! patterns, never raw paths; methods outside HTTP's own become `OTHER`; anything that matched no route is
//! `unmatched`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use deadpool::Status;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::machine;

/// Upper bounds in seconds. A statement takes some 1–10 ms; 0.25–1 is a switchover's pause, 5 its longest
/// hold, 10 the end of a request.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Timed {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Attempted {
    outcome: Setback,
}

/// Why an attempt to use the database came to nothing.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Setback {
    /// Nothing was done.
    NotDone,
    /// It was sent, and no answer came.
    Unknown,
    /// PostgreSQL refused the statement.
    Refused,
}

#[derive(Clone)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The metrics. Clones share the same values.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Answered, Counter>,
    durations: Family<Timed, Histogram, Durations>,
    setbacks: Family<Attempted, Counter>,
    connects: Counter,
    retired: Counter,
    pool_max: Gauge,
    pool_size: Gauge,
    pool_idle: Gauge,
    pool_waiting: Gauge,
}

impl Metrics {
    /// All at zero. The host is told too: whoever checks the site wants to see a name there, and no address.
    pub fn new(database_host: &str) -> Self {
        let mut registry = Registry::with_prefix("events_app");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs here", build);
        let database = Info::new(vec![("host", database_host.to_owned())]);
        registry.register("database", "Where the database is looked for", database);
        if let Some(size) = machine::size() {
            registry.register("machine", "What it may use of its machine", Info::new(vec![("size", size)]));
        }
        let requests = Family::default();
        let durations = Family::new_with_constructor(Durations);
        let setbacks = Family::default();
        let (connects, retired) = (Counter::default(), Counter::default());
        let (pool_max, pool_size) = (Gauge::default(), Gauge::default());
        let (pool_idle, pool_waiting) = (Gauge::default(), Gauge::default());
        registry.register("http_requests", "Requests answered", requests.clone());
        let help = "Time from a request's head to its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, durations.clone());
        registry.register("database_setbacks", "Attempts that came to nothing", setbacks.clone());
        registry.register("database_connects", "Connections opened", connects.clone());
        let help = "Connections closed because the name had moved away from their address";
        registry.register("database_retired", help, retired.clone());
        registry.register("database_pool_max", "Most connections the pool may hold", pool_max.clone());
        registry.register("database_pool_size", "Connections the pool holds", pool_size.clone());
        registry.register("database_pool_idle", "Connections not in use", pool_idle.clone());
        registry.register("database_pool_waiting", "Requests waiting for a connection", pool_waiting.clone());
        let registry = Arc::new(registry);
        Self {
            registry,
            requests,
            durations,
            setbacks,
            connects,
            retired,
            pool_max,
            pool_size,
            pool_idle,
            pool_waiting,
        }
    }

    /// Counts one answered request. `route` is the router's pattern, `None` when no route matched.
    pub fn answered(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let (method, route) = (known(method), route.unwrap_or("unmatched").to_owned());
        self.durations.get_or_create(&Timed { method, route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status: status.as_u16() }).inc();
    }

    /// Counts one attempt on the database that came to nothing.
    pub fn setback(&self, outcome: Setback) {
        self.setbacks.get_or_create(&Attempted { outcome }).inc();
    }

    /// Counts one new connection.
    pub fn connected(&self) {
        self.connects.inc();
    }

    /// Counts one connection closed after the name had left its address.
    pub fn retired(&self) {
        self.retired.inc();
    }

    /// The text for Prometheus, with the pool as it is now.
    ///
    /// # Errors
    /// When a value cannot be written as text.
    pub fn render(&self, pool: Status) -> Result<String, std::fmt::Error> {
        self.pool_max.set(gauge(pool.max_size));
        self.pool_size.set(gauge(pool.size));
        self.pool_idle.set(gauge(pool.available));
        self.pool_waiting.set(gauge(pool.waiting));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A client may invent methods; the label may not.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|name| *name == method.as_str()).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_makes_no_new_series() {
        let metrics = Metrics::new("db.events.test");
        for name in ["BREW", "WHEN"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.answered(&method, None, StatusCode::NOT_FOUND, Duration::ZERO);
        }
        let status = Status { max_size: 8, size: 2, available: 1, waiting: 0 };
        let text = metrics.render(status).unwrap();
        let expected =
            "events_app_http_requests_total{method=\"OTHER\",route=\"unmatched\",status=\"404\"} 2";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("events_app_database_pool_idle 1") && !text.contains("BREW"), "{text}");
    }
}
