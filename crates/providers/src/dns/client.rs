//! Names over UDP; TCP for updates, and for answers that do not fit a datagram.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::DnsName;
use bascule_core::observation::{AddressRecord, NameAnswer, Observed};
use bascule_core::ports::{Names, PortError, Record};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Name;
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::map;
use crate::{ANSWER, CONNECT, Secret, observed};

/// How far the two clocks may be apart when a signature is checked (RFC 8945, section 10: 300 s).
const FUDGE_S: u16 = 300;
/// For a change to reach every secondary that can be reached: NOTIFY and transfer took 30 ms at most; a
/// secondary that missed the NOTIFY is told again after a second.
const SPREAD_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks while it spreads.
const POLL: Duration = Duration::from_millis(10);
/// Largest UDP answer without EDNS (RFC 1035, section 4.2.1).
const UDP_MAX: usize = 512;

/// Who serves the names, and who takes changes.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// The zone.
    pub zone: DnsName,
    /// The server that takes updates.
    pub update_server: SocketAddr,
    /// The servers that users ask.
    pub servers: Vec<SocketAddr>,
    /// The key's name.
    pub tsig_name: DnsName,
    /// The key's algorithm: `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub tsig_algorithm: String,
    /// The key, in base64.
    pub tsig_secret: Secret,
    /// An address of the site: whether its names have A or AAAA records.
    pub like: IpAddr,
}

/// A configuration that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The zone or the key's name is no DNS name.
    #[error("{0}")]
    Name(String),
    /// The key is not base64.
    #[error("the TSIG key is not base64")]
    Key,
    /// The algorithm is unknown.
    #[error("the TSIG algorithm {0:?} is not one of hmac-sha256, hmac-sha384, hmac-sha512")]
    Algorithm(String),
}

/// The site's names.
pub struct DnsNames {
    zone: Name,
    update_server: SocketAddr,
    servers: Vec<SocketAddr>,
    signer: TSigner,
    like: IpAddr,
}

impl DnsNames {
    /// Names as configured.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: &DnsConfig) -> Result<Self, ConfigError> {
        use base64::Engine as _;
        let algorithm = match config.tsig_algorithm.as_str() {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            other => return Err(ConfigError::Algorithm(other.to_owned())),
        };
        let key = base64::engine::general_purpose::STANDARD
            .decode(config.tsig_secret.reveal())
            .map_err(|_| ConfigError::Key)?;
        let signer =
            TSigner::new(key, algorithm, map::name(&config.tsig_name).map_err(ConfigError::Name)?, FUDGE_S)
                .map_err(|_| ConfigError::Key)?;
        Ok(Self {
            zone: map::name(&config.zone).map_err(ConfigError::Name)?,
            update_server: config.update_server,
            servers: config.servers.clone(),
            signer,
            like: config.like,
        })
    }

    async fn answers(&self, name: &DnsName) -> Vec<(SocketAddr, Result<AddressRecord, String>)> {
        let mut asks = JoinSet::new();
        for server in self.servers.clone() {
            let (name, like) = (map::name(name), self.like);
            asks.spawn(async move {
                let answer = match name {
                    Ok(name) => ask(server, name, like).await,
                    Err(error) => Err(error),
                };
                (server, answer)
            });
        }
        let mut answers = Vec::new();
        while let Some(joined) = asks.join_next().await {
            answers.extend(joined.ok());
        }
        answers.sort_by_key(|(server, _)| self.servers.iter().position(|s| s == server));
        answers
    }

    pub(super) fn zone(&self) -> &Name {
        &self.zone
    }

    pub(super) async fn update(&self, mut message: Message) -> Result<ResponseCode, PortError> {
        let at = self.update_server;
        let refused = |why: String| PortError::Refused(format!("DNS update at {at}: {why}"));
        let unknown = |why: String| PortError::Unknown(format!("DNS update at {at}: {why}"));
        let seconds = crate::now().0 / 1000;
        let verifier = message.finalize(&self.signer, seconds).map_err(|e| refused(e.to_string()))?;
        let bytes = message.to_vec().map_err(|e| refused(e.to_string()))?;
        let mut stream = timeout(CONNECT, TcpStream::connect(at))
            .await
            .map_err(|_| refused(format!("no connection within {} ms", CONNECT.as_millis())))?
            .map_err(|e| refused(e.to_string()))?;
        let answer = timeout(ANSWER, exchange(&mut stream, &bytes))
            .await
            .map_err(|_| unknown(format!("no answer within {} ms", ANSWER.as_millis())))?
            .map_err(|e| unknown(e.to_string()))?;
        let read = Message::from_vec(&answer).map_err(|e| unknown(e.to_string()))?;
        let code = read.metadata.response_code;
        // A refusal may be unsigned (the server does not know the key); success must prove who says so.
        if code == ResponseCode::NoError
            && let Some(mut verifier) = verifier
        {
            verifier.verify(&answer).map_err(|e| unknown(format!("its answer's signature is wrong: {e}")))?;
        }
        Ok(code)
    }

    /// Tell the other servers at once. The one that took the update tells them too, but some wait a second
    /// before they do (Knot), in which users would still be sent to a region that is gone. A server that
    /// does not take our word hears it from its primary.
    async fn notify(&self) {
        for server in self.servers.iter().filter(|server| **server != self.update_server) {
            let mut message = map::notification(self.zone.clone());
            let signed = message.finalize(&self.signer, crate::now().0 / 1000).is_ok();
            let Some(bytes) = message.to_vec().ok().filter(|_| signed) else { continue };
            let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let Ok(socket) = UdpSocket::bind(local).await else { continue };
            if let Err(error) = socket.send_to(&bytes, server).await {
                tracing::debug!(%server, %error, "not notified");
            }
        }
    }

    /// Wait until every server that answers at all says so. One that does not answer is not waited for:
    /// it may be gone with its region. Each is asked by itself, so that it does not hold the others up.
    async fn await_spread(&self, name: &DnsName, to: &Record) -> Result<(), PortError> {
        let asked = map::name(name).map_err(PortError::Refused)?;
        let deadline = Instant::now() + SPREAD_WITHIN;
        let mut asks = JoinSet::new();
        for server in self.servers.clone() {
            asks.spawn(spread_to(server, asked.clone(), to.clone(), self.like, deadline));
        }
        let spread = asks.join_all().await;
        let behind: Vec<_> = spread.iter().filter_map(|s| s.behind()).map(|s| s.to_string()).collect();
        if behind.is_empty() && spread.contains(&Spread::Done) {
            return Ok(());
        }
        let who = if behind.is_empty() { "no server".to_owned() } else { behind.join(", ") };
        Err(PortError::Unknown(format!(
            "{name} was changed, but {who} does not answer so within {} ms",
            SPREAD_WITHIN.as_millis()
        )))
    }
}

/// How far a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    Done,
    Behind(SocketAddr),
    Gone,
}

impl Spread {
    fn behind(self) -> Option<SocketAddr> {
        match self {
            Spread::Behind(server) => Some(server),
            Spread::Done | Spread::Gone => None,
        }
    }
}

async fn spread_to(server: SocketAddr, name: Name, to: Record, like: IpAddr, deadline: Instant) -> Spread {
    loop {
        match ask(server, name.clone(), like).await {
            Ok(answer) if says(&answer, &to) => return Spread::Done,
            Ok(_) if Instant::now() >= deadline => return Spread::Behind(server),
            Ok(_) => sleep(POLL).await,
            Err(_) => return Spread::Gone,
        }
    }
}

fn says(answer: &AddressRecord, wanted: &Record) -> bool {
    answer.addresses == [wanted.address] && answer.ttl_s == wanted.ttl_s
}

#[async_trait]
impl Names for DnsNames {
    async fn observe(&self, name: &DnsName) -> Vec<NameAnswer> {
        let answers = self.answers(name).await.into_iter();
        let named = |(server, answer): (SocketAddr, Result<AddressRecord, String>)| NameAnswer {
            server: server.to_string(),
            answer: observed::<AddressRecord>(answer) as Observed<AddressRecord>,
        };
        answers.map(named).collect()
    }

    async fn replace(&self, name: &DnsName, from: &Record, to: &Record) -> Result<(), PortError> {
        let asked = map::name(name).map_err(PortError::Refused)?;
        let code = self.update(map::replacement(self.zone.clone(), &asked, from, to)).await?;
        match code {
            ResponseCode::NoError => {
                self.notify().await;
                self.await_spread(name, to).await
            }
            // The prerequisite failed: either it was done before, or the name points somewhere else.
            ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::NXDomain => {
                match ask(self.update_server, asked, self.like).await {
                    Ok(answer) if says(&answer, to) => self.await_spread(name, to).await,
                    Ok(answer) => Err(PortError::Refused(format!(
                        "{name} points at {:?} (ttl {} s), where {} was expected",
                        answer.addresses, answer.ttl_s, from.address
                    ))),
                    Err(why) => Err(PortError::Refused(format!("{name} is not as expected, and {why}"))),
                }
            }
            other => Err(PortError::Refused(format!("the update of {name} was answered {other}"))),
        }
    }
}

/// One message over TCP: two bytes of length, then the message (RFC 1035, section 4.2.2).
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn ask(server: SocketAddr, name: Name, like: IpAddr) -> Result<AddressRecord, String> {
    let question = map::question(name.clone(), like);
    let short = within(datagram(server, &question)).await?;
    if short.metadata.truncation {
        return map::answer(&within(stream(server, &question)).await?, &name);
    }
    map::answer(&short, &name)
}

async fn within<T>(asking: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match timeout(CONNECT, asking).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} ms", CONNECT.as_millis())),
    }
}

async fn datagram(server: SocketAddr, question: &Message) -> std::io::Result<Message> {
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(&question.to_vec().map_err(std::io::Error::other)?).await?;
    let mut buffer = [0; UDP_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else was sent by somebody else.
        if let Ok(message) = Message::from_vec(&buffer[..length])
            && map::answers(&message, question)
        {
            return Ok(message);
        }
    }
}

/// For an answer that does not fit a datagram (RFC 7766, section 5).
async fn stream(server: SocketAddr, question: &Message) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let bytes = question.to_vec().map_err(std::io::Error::other)?;
    let message = Message::from_vec(&exchange(&mut stream, &bytes).await?).map_err(std::io::Error::other)?;
    if map::answers(&message, question) {
        Ok(message)
    } else {
        Err(std::io::Error::other("its answer is not to the question"))
    }
}

/// The first address that any of these servers gives for a name.
pub(crate) async fn resolve(servers: &[SocketAddr], name: &DnsName, like: IpAddr) -> Result<IpAddr, String> {
    let asked = map::name(name)?;
    let mut why = "there is no DNS server".to_owned();
    for server in servers {
        match ask(*server, asked.clone(), like).await {
            Ok(answer) => return Ok(answer.addresses[0]),
            Err(error) => why = format!("{server}: {error}"),
        }
    }
    Err(format!("{name} does not resolve: {why}"))
}
