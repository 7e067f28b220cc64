//! A real HAProxy with a gate, in front of a region of make-believe: members that say whether they are the
//! primary, and databases that say their names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bascule_core::ports::Gate as _;
use bascule_providers::haproxy::{GateConfig, HaproxyGate};
use bascule_providers::patroni::http_client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http;
use crate::process::{Part, folder, free_port, write};

/// A member of make-believe.
pub struct Member {
    name: String,
    postgres: SocketAddr,
    patroni: SocketAddr,
    primary: Arc<AtomicBool>,
}

impl Member {
    async fn start(name: &str) -> Self {
        let primary = Arc::new(AtomicBool::new(false));
        Self {
            name: name.to_owned(),
            postgres: database(name).await,
            patroni: patroni(primary.clone()).await,
            primary,
        }
    }

    /// From now on it says that it is the primary, or that it is not.
    pub fn leads(&self, leads: bool) {
        self.primary.store(leads, Ordering::SeqCst);
    }
}

/// Says its name to whoever connects, and keeps the session.
async fn database(name: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = name.to_owned();
    tokio::spawn(async move {
        while let Ok((mut session, _)) = listener.accept().await {
            let name = name.clone();
            tokio::spawn(async move {
                session.write_all(format!("{name}\n").as_bytes()).await?;
                session.read_u8().await
            });
        }
    });
    address
}

/// Answers every request as `GET /primary`.
async fn patroni(primary: Arc<AtomicBool>) -> SocketAddr {
    let status = move || if primary.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
    http::serve(move || (status(), String::new())).await
}

/// The load balancer of a region with two members.
pub struct Balancer {
    pub part: Part,
    pub gate: HaproxyGate,
    pub members: [Member; 2],
    users: SocketAddr,
}

impl Balancer {
    /// One that is up and, since nobody leads, has no server up.
    pub async fn start() -> Self {
        Self::start_with("inter 250ms").await
    }

    /// One that checks its servers as told.
    pub async fn start_with(checks: &str) -> Self {
        let members = [Member::start("db1").await, Member::start("db2").await];
        let peer = database("peer").await;
        let (users, admin) = (local(free_port()), local(free_port()));
        let folder = folder();
        let map = folder.path().join("gate.map").display().to_string();
        write(&folder.path().join("gate.map"), "db closed\nepoch 0\n");
        let config = folder.path().join("haproxy.cfg");
        write(&config, &configuration(&members, &map, users, admin, peer, checks));
        let mut part =
            Part::start(folder, "/usr/sbin/haproxy", &["-db", "-f", &config.display().to_string()]);
        let config = GateConfig {
            admin,
            map,
            local: "db_local".to_owned(),
            remote: "db_remote".to_owned(),
            members: members.iter().map(|m| (m.name.parse().unwrap(), m.patroni)).collect(),
        };
        let gate = HaproxyGate::new(config, http_client().unwrap());
        // Servers count as up until their first check.
        part.answers("HAProxy", async || {
            gate.observe().await.seen().filter(|seen| seen.servers_up == 0).copied()
        })
        .await;
        Self { part, gate, members, users }
    }

    /// A user's session and who answered it, or none if it was refused.
    pub async fn session(&self) -> Option<(TcpStream, String)> {
        let mut session = TcpStream::connect(self.users).await.ok()?;
        let mut said = String::new();
        loop {
            match session.read_u8().await {
                Ok(b'\n') => return Some((session, said)),
                Ok(letter) => said.push(char::from(letter)),
                Err(_) => return None,
            }
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// As the lab's load balancer has it.
fn configuration(
    members: &[Member; 2],
    map: &str,
    users: SocketAddr,
    admin: SocketAddr,
    peer: SocketAddr,
    checks: &str,
) -> String {
    let server = |m: &Member| {
        format!(
            "    server {} {} check addr {} port {}\n",
            m.name,
            m.postgres,
            m.patroni.ip(),
            m.patroni.port()
        )
    };
    let servers: String = members.iter().map(server).collect();
    format!(
        "global
    stats socket ipv4@{admin} level admin
    nbthread 1
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
frontend db
    bind {users}
    tcp-request connection reject if {{ str(db),map_str({map},closed) -m str closed }}
    use_backend db_local if {{ str(db),map_str({map},closed) -m str local }}
    use_backend db_remote if {{ str(db),map_str({map},closed) -m str remote }}
backend db_local
    option httpchk GET /primary
    default-server {checks} fall 2 rise 1 on-marked-down shutdown-sessions
{servers}backend db_remote
    server peer {peer}
"
    )
}
