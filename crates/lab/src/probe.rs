//! Questions that tell if a part is healthy, asked over the network from the router.
//!
//! Every answer is bounded in time and size. `Err` says why a part is not healthy, in words for people.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::plan::Host;

/// A part one hop away answers within milliseconds; on two busy cores a second is still an answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Largest answer read: Patroni's view of a cluster is under 2 KB.
const ANSWER_MAX: u64 = 64 * 1024;

/// What to ask.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Nothing: running is enough.
    None,
    /// Does it accept a connection?
    Tcp {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
    },
    /// Does it answer 200?
    Http {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
        /// Path.
        path: &'static str,
    },
    /// Does it speak PostgreSQL's protocol?
    Postgres {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
    },
    /// Does it answer a name?
    Dns {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
        /// The name.
        name: String,
    },
    /// Does HAProxy's runtime API answer?
    Runtime {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
    },
    /// Is a file there that it writes?
    File {
        /// The file.
        path: PathBuf,
        /// What it means that it is not.
        what: &'static str,
    },
    /// Does it serve a repository that has a commit?
    Git {
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
        /// The repository's path.
        path: String,
    },
    /// Is the member the leader, or streaming on the leader's timeline?
    Patroni {
        /// The member.
        member: String,
        /// Address.
        address: Ipv4Addr,
        /// Port.
        port: u16,
    },
}

impl Probe {
    /// An HTTP question to a host.
    #[must_use]
    pub fn http(host: &Host, port: u16, path: &'static str) -> Self {
        Self::Http { address: host.address, port, path }
    }

    /// Asks. `Ok` is healthy, with a word about the role where there is one.
    ///
    /// # Errors
    /// Why it is not healthy.
    pub fn ask(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::None => Ok(None),
            Self::Tcp { address, port } => connect(*address, *port).map(|_| None),
            Self::Http { address, port, path } => {
                let (status, _) = get(*address, *port, path)?;
                ensure!(status == 200, "{path} answers {status}");
                Ok(None)
            }
            Self::Postgres { address, port } => postgres(*address, *port).map(|()| None),
            Self::Dns { address, port, name } => {
                resolve(*address, *port, name).map(|ip| Some(ip.to_string()))
            }
            Self::Runtime { address, port } => {
                ensure!(
                    runtime(*address, *port, "show info")?.contains("Uptime"),
                    "no answer from the runtime API"
                );
                Ok(None)
            }
            Self::File { path, what } => {
                ensure!(path.exists(), "{what}");
                Ok(None)
            }
            Self::Git { address, port, path } => {
                git_head(*address, *port, path).map(|commit| Some(format!("commit {}", &commit[..12])))
            }
            Self::Patroni { member, address, port } => {
                let (status, body) = get(*address, *port, "/cluster")?;
                ensure!(status == 200, "/cluster answers {status}");
                member_health(&serde_json::from_str(&body).context("read /cluster")?, member).map(Some)
            }
        }
    }
}

/// Is the member healthy, by Patroni's view of its cluster? `running` is enough for a leader only: a replica is
/// healthy when it streams on its leader's timeline.
fn member_health(cluster: &Value, member: &str) -> anyhow::Result<String> {
    let members = cluster["members"].as_array().context("no members")?;
    let leader = members
        .iter()
        .find(|other| matches!(other["role"].as_str(), Some("leader" | "standby_leader")))
        .context("no leader")?;
    let own = members.iter().find(|other| other["name"] == member).context("not a member yet")?;
    let (role, state) = (own["role"].as_str().unwrap_or("?"), own["state"].as_str().unwrap_or("?"));
    ensure!(own["timeline"].is_u64(), "{role} is {state}");
    let timeline = &own["timeline"];
    match role {
        "leader" => ensure!(state == "running", "leader is {state}"),
        _ => ensure!(state == "streaming", "{role} is {state}"),
    }
    ensure!(
        *timeline == leader["timeline"],
        "{role} is on timeline {timeline}, its leader on {}",
        leader["timeline"]
    );
    Ok(format!("{role}, timeline {timeline}"))
}

fn connect(address: Ipv4Addr, port: u16) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(IpAddr::V4(address), port), TIMEOUT)
        .with_context(|| format!("connect to {address}:{port}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).context("set a time-out")?;
    stream.set_write_timeout(Some(TIMEOUT)).context("set a time-out")?;
    Ok(stream)
}

/// Status and body of a GET.
///
/// # Errors
/// When there is no whole answer in time.
pub fn get(address: Ipv4Addr, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    request("GET", address, port, path)
}

/// Status and body of a POST without a body.
///
/// # Errors
/// When there is no whole answer in time.
pub fn post(address: Ipv4Addr, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    request("POST", address, port, path)
}

/// HTTP/1.0 (RFC 1945): the answer ends with the connection, so there is nothing to parse but the first line.
fn request(method: &str, address: Ipv4Addr, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = connect(address, port)?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")
        .context("ask")?;
    let text = read_all(stream)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
    Ok((status, body.to_owned()))
}

/// A command to HAProxy's runtime API and its answer.
///
/// # Errors
/// When there is no answer in time.
pub fn runtime(address: Ipv4Addr, port: u16, command: &str) -> anyhow::Result<String> {
    let mut stream = connect(address, port)?;
    writeln!(stream, "{command}").context("ask")?;
    read_all(stream)
}

/// Reads until the other side closes, but no longer than [`TIMEOUT`] in all.
fn read_all(mut stream: TcpStream) -> anyhow::Result<String> {
    let deadline = Instant::now() + TIMEOUT;
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no whole answer in {TIMEOUT:?}");
        stream.set_read_timeout(Some(left)).context("set a time-out")?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            // How a read says that its time is over (socket(7), SO_RCVTIMEO): the deadline above then tells.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("read the answer"),
        }
        ensure!(bytes.len() as u64 <= ANSWER_MAX, "the answer is over {ANSWER_MAX} bytes");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Asks for TLS, which any server of the protocol answers with one byte (PostgreSQL documentation, "SSL Session
/// Encryption").
fn postgres(address: Ipv4Addr, port: u16) -> anyhow::Result<()> {
    let mut stream = connect(address, port)?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).context("ask")?;
    let mut answer = [0_u8; 1];
    stream.read_exact(&mut answer).context("read the answer")?;
    ensure!(matches!(answer[0], b'N' | b'S'), "does not speak PostgreSQL's protocol");
    Ok(())
}

/// The commit a repository's HEAD names, by git's own protocol (gitprotocol-pack(5), "Git Transport").
///
/// # Errors
/// When it is not served, or has no commit.
pub fn git_head(address: Ipv4Addr, port: u16, path: &str) -> anyhow::Result<String> {
    let mut stream = connect(address, port)?;
    let ask = format!("git-upload-pack {path}\0host={address}\0");
    // A packet begins with its length, these four digits included; the empty one at the end says that nothing is wanted.
    write!(stream, "{:04x}{ask}0000", ask.len() + 4).context("ask")?;
    let answer = read_all(stream)?;
    let first = answer.get(4..).context("no answer of git's")?;
    if let Some(why) = first.strip_prefix("ERR ") {
        bail!("{}", why.trim());
    }
    let commit = first.split(' ').next().unwrap_or_default();
    ensure!(commit.len() == 40 && commit.bytes().any(|digit| digit != b'0'), "it has no commit");
    Ok(commit.to_owned())
}

/// The A record of a name (RFC 1035, section 4).
///
/// # Errors
/// When the server does not answer with one.
pub fn resolve(address: Ipv4Addr, port: u16, name: &str) -> anyhow::Result<Ipv4Addr> {
    const HEADER: usize = 12;
    let mut query = vec![0x77, 0x77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).context("a label is too long")?);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").context("make a socket")?;
    socket.connect((address, port)).context("connect")?;
    socket.set_read_timeout(Some(TIMEOUT)).context("set a time-out")?;
    socket.send(&query).context("ask")?;
    let mut answer = [0_u8; 512];
    let n = socket.recv(&mut answer).context("no answer")?;
    ensure!(n > query.len() && n >= HEADER && answer[..2] == query[..2], "not an answer to the question");
    ensure!(answer[3] & 0x0f == 0, "answer code {}", answer[3] & 0x0f);
    // The first answer: a compressed name (2 bytes), type, class, TTL, length, and the address.
    let record = &answer[query.len()..n];
    match record {
        [_, _, 0, 1, 0, 1, _, _, _, _, 0, 4, a, b, c, d, ..] => Ok(Ipv4Addr::new(*a, *b, *c, *d)),
        _ => bail!("{name} has no address"),
    }
}

#[cfg(test)]
mod tests {
    use super::member_health;

    fn cluster(role: &str, state: &str, timeline: u64) -> serde_json::Value {
        serde_json::json!({"members": [
            {"name": "a", "role": "leader", "state": "running", "timeline": 2},
            {"name": "b", "role": role, "state": state, "timeline": timeline},
        ]})
    }

    #[test]
    fn a_replica_is_healthy_only_when_it_streams_on_its_leaders_timeline() {
        assert!(member_health(&cluster("replica", "streaming", 2), "b").is_ok());
        assert!(member_health(&cluster("replica", "running", 2), "b").is_err());
        assert!(member_health(&cluster("replica", "streaming", 1), "b").is_err());
        assert!(member_health(&cluster("replica", "streaming", 2), "c").is_err());
        assert!(member_health(&cluster("replica", "streaming", 2), "a").is_ok());
    }

    #[test]
    fn a_cluster_without_a_leader_has_no_healthy_member() {
        let cluster = serde_json::json!({"members": [{"name": "b", "role": "replica", "state": "streaming", "timeline": 2}]});
        assert!(member_health(&cluster, "b").is_err());
    }
}
