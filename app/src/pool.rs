//! The pool's connections: made to where the database's name points now, and given up when it has left.
//!
//! Invariants: a connection is handed out only while the name points to its address and it is younger than its
//! lifetime. Dropped, it is closed at once, whatever is still under way on it.
//!
//! Left out: looking for idle connections to give up. They are given up when their turn comes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use deadpool::managed::{self, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::metrics::Metrics;
use crate::names::{Addresses, LOOK_UP_TIMEOUT};

/// The pool. What it lends is a place in it: empty while the connection is in use (see `db::Lease`).
pub(crate) type Pool = managed::Pool<Connector>;

/// A place in the pool.
pub(crate) type Place = managed::Object<Connector>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No look-up has succeeded yet.
    #[error("the database's name has no known address")]
    NoAddress,
    /// The server at one of the addresses cannot be reached, or refuses us.
    #[error("cannot connect to {0}")]
    Connect(IpAddr, #[source] tokio_postgres::Error),
}

/// One connection to the database.
pub(crate) struct Connection {
    /// Sends statements.
    pub(crate) client: Client,
    /// Where it leads.
    pub(crate) address: IpAddr,
    /// Where the name points.
    pub(crate) addresses: Addresses,
    metrics: Metrics,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver by itself would first wait for the answer to what was sent.
        self.driver.abort();
        if !self.addresses.include(self.address) {
            self.metrics.retired();
        }
    }
}

/// Makes connections, and judges them before each use.
pub(crate) struct Connector {
    /// All but the address.
    pub(crate) postgres: tokio_postgres::Config,
    /// Where the name points.
    pub(crate) addresses: Addresses,
    /// The longest use of one connection.
    pub(crate) lifetime: Duration,
    pub(crate) metrics: Metrics,
}

impl managed::Manager for Connector {
    type Type = Option<Connection>;
    type Error = Error;

    /// Ends by the deadline of the request that wants it. When the name moves meanwhile, it begins again there.
    async fn create(&self) -> Result<Option<Connection>, Error> {
        loop {
            let known = timeout(LOOK_UP_TIMEOUT, self.addresses.known()).await;
            if let Some(outcome) = self.connect_to_one_of(known.map_err(|_| Error::NoAddress)?).await {
                return outcome.map(Some);
            }
        }
    }

    async fn recycle(
        &self,
        place: &mut Option<Connection>,
        history: &managed::Metrics,
    ) -> RecycleResult<Error> {
        let refused = match place {
            None => "its connection was not returned",
            Some(connection) if connection.client.is_closed() => "closed",
            Some(connection) if !self.addresses.include(connection.address) => "the name has moved",
            Some(_) if history.age() >= self.lifetime => "past its lifetime",
            Some(_) => return Ok(()),
        };
        Err(RecycleError::message(refused))
    }
}

impl Connector {
    /// Tries one address after the other. `None` when the name left the one that was being tried.
    async fn connect_to_one_of(&self, known: BTreeSet<IpAddr>) -> Option<Result<Connection, Error>> {
        let mut failure = Error::NoAddress;
        for address in known {
            let connected = tokio::select! {
                connected = self.connect(address) => connected,
                () = self.addresses.left(address) => return None,
            };
            match connected {
                Ok(connection) => return Some(Ok(connection)),
                Err(error) => failure = Error::Connect(address, error),
            }
        }
        Some(Err(failure))
    }

    async fn connect(&self, address: IpAddr) -> Result<Connection, tokio_postgres::Error> {
        let (client, connection) = self.postgres.clone().hostaddr(address).connect(NoTls).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %address, "database connection ended");
            }
        });
        self.metrics.connected();
        let (addresses, metrics) = (self.addresses.clone(), self.metrics.clone());
        Ok(Connection { client, address, addresses, metrics, driver })
    }
}
