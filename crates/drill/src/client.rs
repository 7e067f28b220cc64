//! One user's HTTP/1.1 connection to the public name.
//!
//! It is kept alive while it works and while the name still leads to its address; once the name has
//! moved, the next request goes over a new connection. A request is sent once: when the connection turns
//! out closed *before a byte of the request left*, a new one is made and the request sent on that, which
//! is no retry; after that an error is the user's. One time-out bounds the whole request.
//!
//! It leaves out redirects, compression, TLS and everything else that the load has no use for.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bascule_core::id::DnsName;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::recording::{FailureKind, Outcome};
use crate::resolver::{Answer, Resolver};

/// Largest answer read: a page of 1000 events of at most 1 KiB each, twice over for the envelope and
/// escapes.
const BODY_MAX: usize = 2 * 1024 * 1024;

/// Where and how users come in.
#[derive(Debug)]
pub struct Door {
    /// Resolves the public name.
    pub resolver: Resolver,
    /// The public name, sent as `Host`.
    pub host: DnsName,
    /// The port behind it.
    pub port: u16,
    /// For one TCP connection to one address.
    pub connect_timeout: Duration,
    /// For a whole request, look-up and connection included.
    pub request_timeout: Duration,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status line's number.
    pub status: u16,
    /// `x-served-by`.
    pub served_by: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub struct Failed {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the request can have had an effect.
    pub outcome: Outcome,
    /// What a user would see.
    pub detail: String,
}

impl Failed {
    fn new(kind: FailureKind, outcome: Outcome, detail: impl ToString) -> Self {
        Self { kind, outcome, detail: detail.to_string() }
    }
}

/// What a request says; its host and connection are the client's.
#[derive(Debug, Clone)]
pub struct Ask {
    /// GET or POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// For `Authorization: Bearer`.
    pub token: Option<Arc<str>>,
    /// A JSON body.
    pub body: Option<Bytes>,
}

/// A user: at most one connection, one request at a time.
#[derive(Debug)]
pub struct Client {
    door: Arc<Door>,
    latest: watch::Receiver<Option<Arc<Answer>>>,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    address: Ipv4Addr,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// A user who has not come in yet.
    #[must_use]
    pub fn new(door: Arc<Door>) -> Self {
        let latest = door.resolver.latest();
        Self { door, latest, live: None }
    }

    /// Asks once and waits for the whole answer.
    ///
    /// # Errors
    /// When there is none within the request's time-out; the connection is then gone.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Reply, Failed> {
        let mut sent = false;
        let timeout = self.door.request_timeout;
        let result = tokio::time::timeout(timeout, self.ask_unbounded(ask, &mut sent)).await;
        let reply = result.unwrap_or_else(|_| {
            let outcome = if sent { Outcome::Unknown } else { Outcome::NotDone };
            Err(Failed::new(FailureKind::Timeout, outcome, format!("no answer in {timeout:?}")))
        });
        if reply.is_err() {
            self.live = None;
        }
        reply
    }

    async fn ask_unbounded(&mut self, ask: &Ask, sent: &mut bool) -> Result<Reply, Failed> {
        let mut request = self.request(ask)?;
        // A kept connection may be found closed, a new one not: two turns at the most.
        for turn in 0..2 {
            let live = self.connection().await?;
            *sent = true;
            match live.sender.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = Limited::new(body, BODY_MAX).collect().await.map_err(|error| {
                        Failed::new(FailureKind::Broken, Outcome::Unknown, format!("answer cut off: {error}"))
                    })?;
                    let served_by = head.headers.get("x-served-by").and_then(|value| value.to_str().ok());
                    return Ok(Reply {
                        status: head.status.as_u16(),
                        served_by: served_by.map(str::to_owned),
                        body: body.to_bytes(),
                    });
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if turn == 0 => {
                        *sent = false;
                        self.live = None;
                        request = unsent;
                    }
                    unsent => {
                        let outcome = if unsent.is_some() { Outcome::NotDone } else { Outcome::Unknown };
                        return Err(Failed::new(FailureKind::Broken, outcome, error.error()));
                    }
                },
            }
        }
        Err(Failed::new(FailureKind::Broken, Outcome::NotDone, "the connection was closed twice"))
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder().method(&ask.method).uri(&ask.path).header(HOST, self.host());
        if let Some(token) = &ask.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if ask.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(ask.body.clone().unwrap_or_default()))
            .map_err(|error| Failed::new(FailureKind::Connect, Outcome::NotDone, error))
    }

    fn host(&self) -> String {
        match self.door.port {
            80 => self.door.host.to_string(),
            port => format!("{}:{port}", self.door.host),
        }
    }

    /// The kept connection if it is usable and the name still leads there, else a new one.
    async fn connection(&mut self) -> Result<&mut Live, Failed> {
        let latest = self.latest.borrow().clone();
        let moved = |live: &Live| latest.is_some_and(|answer| !answer.addresses.contains(&live.address));
        if let Some(mut live) = self.live.take().filter(|live| !moved(live)) {
            // An error here says that the other side has closed it, while nothing was under way.
            if live.sender.ready().await.is_ok() {
                return Ok(self.live.insert(live));
            }
        }
        let live = self.connect().await?;
        Ok(self.live.insert(live))
    }

    async fn connect(&self) -> Result<Live, Failed> {
        let answer = self
            .door
            .resolver
            .resolve()
            .await
            .map_err(|error| Failed::new(FailureKind::Resolve, Outcome::NotDone, format!("{error:#}")))?;
        let mut last = anyhow::anyhow!("the name has no address");
        for &address in &answer.addresses {
            match self.connect_to(address).await {
                Ok(live) => return Ok(live),
                Err(error) => last = error.context(address),
            }
        }
        Err(Failed::new(FailureKind::Connect, Outcome::NotDone, format!("{last:#}")))
    }

    async fn connect_to(&self, address: Ipv4Addr) -> anyhow::Result<Live> {
        let connecting = TcpStream::connect((address, self.door.port));
        let stream = tokio::time::timeout(self.door.connect_timeout, connecting)
            .await
            .context("no connection in time")??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The connection's own error reaches the request that it breaks.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Live { address, sender, driver })
    }
}
