//! Real PostgreSQL servers, as the two regions' leaders; a Patroni of make-believe says who leads.

use std::net::SocketAddr;
use std::path::PathBuf;

use bascule_providers::Secret;
use bascule_providers::patroni::{MemberEndpoint, PatroniCluster, PatroniConfig, http_client};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::http;
use crate::process::{Frozen, Part, folder, free_port, unprivileged, write};

const BIN: &str = "/usr/lib/postgresql/15/bin";
pub const PASSWORD: &str = "not a secret";

/// A session, or none if there is nobody to answer.
pub async fn connect(port: u16, user: &str, database: &str) -> Option<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(user).dbname(database).password(PASSWORD);
    let (client, connection) = config.connect(NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// A running server; the database is `postgres`, as is the user.
pub struct Postgres {
    pub port: u16,
    data: PathBuf,
    part: Part,
    _folder: TempDir,
}

impl Postgres {
    /// A new one.
    pub async fn start() -> Self {
        let folder = folder();
        let (password, data) = (folder.path().join("password"), folder.path().join("data"));
        write(&password, PASSWORD);
        let made = unprivileged(&format!("{BIN}/initdb"))
            .args([
                "--auth=scram-sha-256",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Self::run(folder, data).await
    }

    /// A standby that follows this one.
    pub async fn standby(&self) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let source = format!("host=127.0.0.1 port={} user=postgres password='{PASSWORD}'", self.port);
        let made = unprivileged(&format!("{BIN}/pg_basebackup"))
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", &source, "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
        Self::run(folder, data).await
    }

    async fn run(folder: TempDir, data: PathBuf) -> Self {
        let port = free_port();
        let part = serve(&data, port).await;
        Self { port, data, part, _folder: folder }
    }

    /// It crashes, comes back and promotes itself, as a region does that nobody manages.
    pub async fn comes_back_by_itself(&mut self) {
        self.part.end("QUIT").await;
        write(&self.data.join("standby.signal"), "");
        self.port = free_port();
        self.part = serve(&self.data, self.port).await;
        self.promote().await;
    }

    /// Make a standby a primary; returns when it takes writes.
    pub async fn promote(&self) {
        assert_eq!(self.value("SELECT pg_promote(true)").await, "t");
    }

    /// A clean stop.
    pub async fn stop(&mut self) {
        self.part.end("INT").await;
    }

    /// It stands still, all of it, until the answer is dropped.
    pub fn freeze(&self) -> Frozen {
        self.part.freeze()
    }

    pub async fn session(&self) -> Client {
        connect(self.port, "postgres", "postgres").await.expect("the server answers")
    }

    pub async fn run_sql(&self, sql: &str) {
        self.session().await.batch_execute(sql).await.unwrap();
    }

    /// The first cell of the answer.
    pub async fn value(&self, sql: &str) -> String {
        let answer = self.session().await.simple_query(sql).await.unwrap();
        let cell = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        cell.unwrap_or_default()
    }

    /// Wait until it has replayed all that another one wrote.
    pub async fn catches_up_with(&mut self, source: &Postgres) {
        let end = source.value("SELECT pg_current_wal_flush_lsn()").await;
        let session = self.session().await;
        let sql = format!("SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{end}'");
        let replayed = async || {
            let answer = session.simple_query(&sql).await.unwrap();
            answer.iter().any(|m| matches!(m, SimpleQueryMessage::Row(_))).then_some(())
        };
        self.part.answers("replay", replayed).await;
    }

    fn at(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

async fn serve(data: &std::path::Path, port: u16) -> Part {
    let (data, text) = (data.display().to_string(), port.to_string());
    let arguments =
        ["-D", &data, "-p", &text, "-h", "127.0.0.1", "-k", "", "-F", "-c", "wal_receiver_status_interval=1"];
    let mut part = Part::start(folder(), &format!("{BIN}/postgres"), &arguments);
    part.answers("PostgreSQL", async || connect(port, "postgres", "postgres").await).await;
    part
}

/// The cluster that one server leads, with another as the other region's leader.
pub async fn cluster(leader: &Postgres, role: &'static str, peer: &Postgres) -> PatroniCluster {
    cluster_of(leader, role, peer, "postgres").await
}

/// The same, managed by another user.
pub async fn cluster_of(
    leader: &Postgres,
    role: &'static str,
    peer: &Postgres,
    user: &str,
) -> PatroniCluster {
    let said = format!(r#"{{"members": [{{"name": "here", "role": "{role}", "state": "running"}}]}}"#);
    let patroni = http::serve(move || ("200 OK", said.clone())).await;
    let member = |name: &str, server: &Postgres| MemberEndpoint {
        name: name.parse().unwrap(),
        postgres: server.at(),
        patroni,
    };
    let config = PatroniConfig {
        members: vec![member("here", leader)],
        peers: vec![member("there", peer)],
        database: "postgres".to_owned(),
        user: user.to_owned(),
        password: Secret::new(PASSWORD),
        patroni_user: "x".to_owned(),
        patroni_password: Secret::new("x"),
    };
    PatroniCluster::new(config, http_client().unwrap())
}
