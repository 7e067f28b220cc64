//! The pool over its console.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::observation::{Observed, PoolObservation};
use bascule_core::ports::{Pool, PortError};

use super::map::{self, Row};
use crate::sql::{Login, Session, SqlError};
use crate::{Secret, observed};

/// `PAUSE` waits for transactions under way; the caller's own bound, the step's, ends the wait before
/// this (60 s is the manifest's longest hold).
const PAUSE_WITHIN: Duration = Duration::from_secs(60);

/// Where a pool is.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Its console.
    pub admin: SocketAddr,
    /// The console's user.
    pub user: String,
    /// The console's password.
    pub password: Secret,
    /// The database whose clients are held.
    pub database: String,
}

/// A region's pool.
pub struct PgbouncerPool {
    database: String,
    /// For looking and releasing: never behind a `PAUSE` that waits.
    console: Session,
    /// For `PAUSE` alone.
    pausing: Session,
}

impl PgbouncerPool {
    /// A pool; nothing is connected yet.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        let PoolConfig { admin, user, password, database } = config;
        let login = Login { at: admin, database: "pgbouncer".to_owned(), user, password };
        Self { database, console: Session::new(login.clone()), pausing: Session::new(login) }
    }

    pub(super) async fn command(&self, line: &str) -> Result<(), SqlError> {
        self.console.ask(line).await.map(drop)
    }

    pub(super) async fn show(&self, what: &str) -> Result<Vec<Row>, SqlError> {
        let rows = self.console.ask(&format!("SHOW {what}")).await?;
        let cells = |row: &tokio_postgres::SimpleQueryRow| {
            let names = row.columns().iter().map(|c| c.name().to_owned());
            names.enumerate().map(|(i, name)| (name, row.get(i).unwrap_or_default().to_owned())).collect()
        };
        Ok(rows.iter().map(cells).collect())
    }

    async fn is_paused(&self) -> Result<bool, PortError> {
        let databases = self.show("DATABASES").await?;
        map::paused(&databases, &self.database).map_err(PortError::Refused)
    }

    async fn look(&self) -> Result<PoolObservation, PortError> {
        let (databases, pools) = (self.show("DATABASES").await?, self.show("POOLS").await?);
        // Its session is made now, so that a hold does not wait for a log-in.
        self.pausing.ask("SHOW VERSION").await?;
        map::observation(&databases, &pools, &self.database).map_err(PortError::Refused)
    }
}

#[async_trait]
impl Pool for PgbouncerPool {
    async fn observe(&self) -> Observed<PoolObservation> {
        observed(self.look().await)
    }

    async fn hold(&self) -> Result<(), PortError> {
        match self.pausing.ask_within(&format!("PAUSE {}", self.database), PAUSE_WITHIN).await {
            Ok(_) => Ok(()),
            // "already suspended/paused": by an attempt before this one, whose transactions are then the
            // ones that were waited for.
            Err(error @ SqlError::Refused { .. }) => {
                if self.is_paused().await? {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn release(&self) -> Result<(), PortError> {
        match self.console.ask(&format!("RESUME {}", self.database)).await {
            Ok(_) => Ok(()),
            Err(error @ SqlError::Refused { .. }) => {
                if self.is_paused().await? {
                    Err(error.into())
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
