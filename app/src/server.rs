//! The accept loop, bounded, and its graceful end.
//!
//! Invariant: at the end no new connection is accepted, every request in flight is given the time that its
//! deadline allows, and idle connections are closed at once.
//!
//! `axum::serve` is not used because it limits neither the number of connections nor the time in which a
//! client sends its request's head.
//!
//! Left out: the envelope for what is not HTTP. hyper answers such bytes with a bare 400 of its own.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::{App, deadline, routes};

/// Connections at a time, and so requests in flight: HTTP/1 has one a connection. A hold of 5 s at 150
/// requests a second queues 750. With the pool's 8 it stays under 1024, the usual limit of open files. More
/// wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 900;

/// How long a client may take for a request's head, and how long a connection may idle between requests.
/// Above the 10 s between a load balancer's usual probes, so that it can keep its connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long requests in flight may take at the end: as long as any request may.
const GRACE: Duration = deadline::REQUEST;

/// After an error of `accept` that is not the peer's (out of file descriptors), wait for some to be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the application ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
    /// The pool cannot be set up.
    #[error("{0}")]
    Database(#[from] crate::db::Error),
}

/// Listens on `address` and serves until SIGTERM or SIGINT, then ends gracefully.
///
/// # Errors
/// See [`Error`]. Once it listens, it only ends by a signal.
pub async fn run(address: SocketAddr, app: App) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    tracing::info!(%address, served_by = %app.served_by, "listening");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    serve(listener, app, stop).await;
    Ok(())
}

async fn serve(listener: TcpListener, app: App, stop: impl Future<Output = &'static str>) {
    let service = TowerToHyperService::new(routes::router(app));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    let reason = loop {
        let (slot, stream) = tokio::select! {
            reason = &mut stop => break reason,
            next = accept(&listener, &slots) => next,
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(slot);
        });
    };
    drop(listener);
    let in_flight = MAX_CONNECTIONS - slots.available_permits();
    tracing::info!(reason, connections = in_flight, "ending: no new connections, requests in flight finish");
    match timeout(GRACE, graceful.shutdown()).await {
        Ok(()) => tracing::info!("ended: every request was answered"),
        Err(_) => tracing::warn!("ended: some requests were still in flight after the time allowed"),
    }
}

/// The next connection, when there is room for one.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (tokio::sync::OwnedSemaphorePermit, TcpStream) {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY");
                }
                return (slot, stream);
            }
            Err(error) if peer_gave_up(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors of `accept` that concern only the connection that was to be accepted (accept(2)).
fn peer_gave_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
