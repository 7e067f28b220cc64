//! The reference web application: users keep events in PostgreSQL.
//!
//! bascule moves this application between regions, so it is written the way an application must be to
//! survive the move: it knows its database by DNS name only, keeps no state of its own, needs no session
//! (PgBouncer pools its transactions), waits out a hold of the writes, and never repeats a write whose
//! outcome it does not know.
//!
//! Invariant: a request answered with success has been committed; a request answered with `503` says
//! whether nothing was done or whether the outcome is unknown.
//!
//! Left out: TLS (the load balancer's work), sessions, and background jobs but one: following that name.

pub mod auth;
pub mod body;
pub mod config;
pub mod db;
pub mod deadline;
pub mod envelope;
mod machine;
pub mod metrics;
pub mod migrations;
pub mod names;
mod pool;
pub mod routes;
pub mod server;

use std::sync::Arc;

/// What every handler may reach. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Who answers: `instance.region`, the value of `x-served-by`.
    pub served_by: Arc<str>,
    /// The pool of database connections.
    pub database: db::Database,
    /// The counters behind `/metrics`.
    pub metrics: metrics::Metrics,
}

impl App {
    /// Builds the application, and follows the database's name by `resolver` from now on, in a task of the
    /// current tokio runtime. Connects to nothing: the first request does.
    ///
    /// # Errors
    /// When the pool's configuration is contradictory.
    pub fn new(config: &config::Config, resolver: impl names::Resolver) -> Result<Self, db::Error> {
        let metrics = metrics::Metrics::new(&config.database_host);
        let database = db::Database::new(config, db::MAX_LIFETIME, resolver, metrics.clone())?;
        Ok(Self { served_by: config.served_by().into(), database, metrics })
    }
}
