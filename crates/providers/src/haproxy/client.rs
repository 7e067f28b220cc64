//! The gate over HAProxy's runtime API.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{Epoch, MemberName};
use bascule_core::observation::{GateObservation, GateState, Observed};
use bascule_core::ports::{Gate, PortError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::map;
use crate::{ANSWER, CONNECT, observed};

/// Largest answer read: a line of `show stat` has 500 bytes, and a backend here three.
const ANSWER_MAX: u64 = 1 << 20;
/// For a server to be up after the gate opened: a check each 250 ms, twice, and room.
const UP_WITHIN: Duration = Duration::from_secs(2);
/// For cut sessions to be gone.
const CUT_WITHIN: Duration = Duration::from_millis(500);
/// Between two questions while waiting: each is a new connection on the runtime API.
const POLL: Duration = Duration::from_millis(5);

/// Where a gate is.
#[derive(Debug, Clone)]
pub struct GateConfig {
    /// HAProxy's runtime API.
    pub admin: SocketAddr,
    /// The map, as HAProxy's configuration names it.
    pub map: String,
    /// The backend of the region's own members.
    pub local: String,
    /// The backend that leads to the other region.
    pub remote: String,
    /// The members, by their servers' names, with Patroni's address.
    pub members: Vec<(MemberName, SocketAddr)>,
}

/// A region's gate.
pub struct HaproxyGate {
    config: GateConfig,
    http: reqwest::Client,
}

impl HaproxyGate {
    /// A gate; nothing is connected yet.
    #[must_use]
    pub fn new(config: GateConfig, http: reqwest::Client) -> Self {
        Self { config, http }
    }

    /// One command line; HAProxy closes the connection after its answer.
    pub(super) async fn command(&self, line: &str) -> Result<String, PortError> {
        let at = self.config.admin;
        let refused = |why: String| PortError::Refused(format!("HAProxy at {at}: {why}"));
        let unknown = |why: String| PortError::Unknown(format!("HAProxy at {at}: {why}"));
        let mut stream = timeout(CONNECT, TcpStream::connect(at))
            .await
            .map_err(|_| refused(format!("no connection within {} ms", CONNECT.as_millis())))?
            .map_err(|e| refused(e.to_string()))?;
        let mut answer = String::new();
        let talk = async {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            (&mut stream).take(ANSWER_MAX).read_to_string(&mut answer).await
        };
        match timeout(ANSWER, talk).await {
            Ok(Ok(_)) => Ok(answer),
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(_) => Err(unknown(format!("no answer within {} ms", ANSWER.as_millis()))),
        }
    }

    async fn read(&self) -> Result<GateObservation, PortError> {
        let text = self.command(&format!("show map {}", self.config.map)).await?;
        let (state, epoch) = map::gate(&text).map_err(PortError::Refused)?;
        let servers = self.servers(&self.config.local).await?;
        let servers_up = u32::try_from(servers.iter().filter(|s| s.up).count()).unwrap_or(u32::MAX);
        Ok(GateObservation { state, epoch, servers_up })
    }

    /// The servers of a backend (type 4 in `show stat`).
    async fn servers(&self, backend: &str) -> Result<Vec<map::Server>, PortError> {
        let text = self.command(&format!("show stat {backend} 4 -1")).await?;
        map::servers(&text).map_err(PortError::Refused)
    }

    /// Cut every session of a backend, and see that none is left.
    async fn cut(&self, backend: &str) -> Result<(), PortError> {
        let deadline = Instant::now() + CUT_WITHIN;
        loop {
            let servers = self.servers(backend).await?;
            let busy: Vec<_> = servers.iter().filter(|s| s.sessions > 0).collect();
            if busy.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let names: Vec<_> = busy.iter().map(|s| s.name.as_str()).collect();
                return Err(PortError::Unknown(format!("sessions are left on {}", names.join(", "))));
            }
            let lines: Vec<_> =
                busy.iter().map(|s| format!("shutdown sessions server {}/{}", s.backend, s.name)).collect();
            self.command(&lines.join("; ")).await?;
        }
    }

    /// The member whose Patroni answers that it is the primary, asked directly: HAProxy's own checks take
    /// up to 250 ms to find it, in which users wait.
    async fn primary(&self) -> Option<MemberName> {
        let mut asks = JoinSet::new();
        for (name, patroni) in self.config.members.clone() {
            let request = self.http.get(format!("http://{patroni}/primary"));
            asks.spawn(async move { (name, request.send().await.is_ok_and(|r| r.status().is_success())) });
        }
        while let Some(joined) = asks.join_next().await {
            if let Ok((name, true)) = joined {
                return Some(name);
            }
        }
        None
    }

    async fn await_up(&self) -> Result<(), PortError> {
        let deadline = Instant::now() + UP_WITHIN;
        let local = &self.config.local;
        loop {
            if let Some(name) = self.primary().await {
                // Its checks go on and would take it down again if it were not what it says.
                self.command(&format!("set server {local}/{name} health up")).await?;
            }
            if self.servers(local).await?.iter().any(|s| s.up) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(PortError::Unknown(format!(
                    "the gate is open, but no server of {local} was up within {} ms",
                    UP_WITHIN.as_millis()
                )));
            }
            sleep(POLL).await;
        }
    }
}

#[async_trait]
impl Gate for HaproxyGate {
    async fn observe(&self) -> Observed<GateObservation> {
        observed(self.read().await)
    }

    async fn set(&self, state: GateState, epoch: Epoch) -> Result<(), PortError> {
        let GateConfig { map, local, remote, .. } = &self.config;
        let show = format!("show map {map}");
        let (_, before) = map::gate(&self.command(&show).await?).map_err(PortError::Refused)?;
        if before > epoch {
            return Err(PortError::Refused(format!(
                "stale: the gate was set for epoch {before}, this is epoch {epoch}"
            )));
        }
        let word = state.as_str();
        let set = format!("set map {map} epoch {epoch}; set map {map} db {word}; {show}");
        let said = self.command(&set).await?;
        if map::gate(&said) != Ok((state, epoch)) {
            return Err(PortError::Unknown(format!(
                "the gate is not {word} for epoch {epoch} after it was set: {}",
                said.trim()
            )));
        }
        // Whoever came in under the old state is cut; whoever the new state lets in stays.
        match state {
            GateState::Closed => tokio::try_join!(self.cut(local), self.cut(remote)).map(drop),
            GateState::Remote => self.cut(local).await,
            GateState::Local => tokio::try_join!(self.cut(remote), self.await_up()).map(drop),
        }
    }
}
