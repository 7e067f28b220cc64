//! The resolver that a client has: asks the servers it was given, believes an answer for its TTL.
//!
//! It does what a caching stub such as systemd-resolved does: one UDP question at a time, to the server
//! that answered last; on silence, a refusal or an answer that cannot be used, to the next; after a
//! round of all of them the look-up fails, and the client has no address: an answer whose TTL has run
//! out is not used again (serving stale answers, RFC 8767, is for recursive resolvers and off by default
//! in stubs), nor is a failure remembered. The TTL counts from before the question left, so that no
//! answer lives longer here than its server allowed.
//!
//! The race it handles: many connections needing the name at once ask one question between them.
//! It leaves out IPv6, search domains and TCP for truncated answers (those of two addresses fit).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bascule_core::id::DnsName;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, watch};

/// How long a server may take: its answer is one exchange in the same region or the one across, 100 ms
/// at the most between continents, three times that for a busy machine. Three servers then cost 0.9 s.
const SERVER_TIMEOUT: Duration = Duration::from_millis(300);
/// Largest answer over UDP without EDNS (RFC 1035, section 4.2.1).
const ANSWER_MAX: usize = 512;

/// Where the name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in the server's order.
    pub addresses: Vec<Ipv4Addr>,
    /// Not to be believed from this instant on.
    pub expires: Instant,
}

impl Answer {
    fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// Resolves one name.
#[derive(Debug)]
pub struct Resolver {
    name: Name,
    servers: Vec<SocketAddr>,
    state: Mutex<State>,
    latest: watch::Sender<Option<Arc<Answer>>>,
    questions: AtomicU64,
}

#[derive(Debug)]
struct State {
    cached: Option<Arc<Answer>>,
    /// Index of the server that answered last.
    preferred: usize,
}

impl Resolver {
    /// A resolver of `name` that asks `servers`, the first one first.
    ///
    /// # Errors
    /// When there is no server.
    pub fn new(name: &DnsName, servers: Vec<SocketAddr>) -> anyhow::Result<Self> {
        ensure!(!servers.is_empty(), "there is no DNS server to ask");
        Ok(Self {
            name: Name::from_ascii(format!("{name}."))?,
            servers,
            state: Mutex::new(State { cached: None, preferred: 0 }),
            latest: watch::Sender::new(None),
            questions: AtomicU64::new(0),
        })
    }

    /// The addresses of the name, from the cache while its TTL lasts.
    ///
    /// # Errors
    /// When no server gave an answer that can be used; says what each of them did.
    pub async fn resolve(&self) -> anyhow::Result<Arc<Answer>> {
        let mut state = self.state.lock().await;
        if let Some(cached) = state.cached.as_ref().filter(|answer| answer.is_fresh()) {
            return Ok(Arc::clone(cached));
        }
        state.cached = None;
        let mut failures = Vec::new();
        for turn in 0..self.servers.len() {
            let index = (state.preferred + turn) % self.servers.len();
            let server = self.servers[index];
            match self.ask(server).await {
                Ok(answer) => {
                    let answer = Arc::new(answer);
                    state.preferred = index;
                    state.cached = Some(Arc::clone(&answer));
                    self.latest.send_replace(Some(Arc::clone(&answer)));
                    return Ok(answer);
                }
                Err(error) => failures.push(format!("{server}: {error:#}")),
            }
        }
        bail!("no answer for {}: {}", self.name, failures.join("; "))
    }

    /// The last answer there was, fresh or not: where a connection that is open already may stay.
    #[must_use]
    pub fn latest(&self) -> watch::Receiver<Option<Arc<Answer>>> {
        self.latest.subscribe()
    }

    /// How many questions were sent.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions.load(Ordering::Relaxed)
    }

    async fn ask(&self, server: SocketAddr) -> anyhow::Result<Answer> {
        let asked = Instant::now();
        self.questions.fetch_add(1, Ordering::Relaxed);
        tokio::time::timeout(SERVER_TIMEOUT, self.exchange(server, asked))
            .await
            .context("no answer in time")?
    }

    async fn exchange(&self, server: SocketAddr, asked: Instant) -> anyhow::Result<Answer> {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(self.name.clone(), RecordType::A));
        // A socket of its own for each question: an unpredictable port (RFC 5452), and no late answers.
        let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(server).await?;
        socket.send(&question.to_vec()?).await?;
        let mut buffer = [0; ANSWER_MAX];
        loop {
            let length = socket.recv(&mut buffer).await?;
            // What does not answer this question was sent by someone else: wait on for the real answer.
            let Ok(message) = Message::from_vec(&buffer[..length]) else { continue };
            if message.metadata.id == question.metadata.id
                && message.metadata.message_type == MessageType::Response
                && message.metadata.op_code == OpCode::Query
                && message.queries == question.queries
            {
                return read_answer(&message, asked);
            }
        }
    }
}

fn read_answer(message: &Message, asked: Instant) -> anyhow::Result<Answer> {
    ensure!(message.metadata.response_code == ResponseCode::NoError, "{}", message.metadata.response_code);
    ensure!(!message.metadata.truncation, "the answer is truncated");
    let mut addresses = Vec::new();
    for record in &message.answers {
        if let RData::A(address) = &record.data {
            addresses.push(address.0);
        }
    }
    // An alias may be moved as well as its target: the shortest TTL of the chain counts.
    let ttl = message.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
    ensure!(!addresses.is_empty(), "the name has no address");
    Ok(Answer { addresses, expires: asked + Duration::from_secs(ttl.into()) })
}
