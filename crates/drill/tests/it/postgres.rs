//! A real PostgreSQL 15 on a free port, with a database `events`; it dies with the test.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bascule_drill::ProbeLogin;
use tokio_postgres::{Client, Config, NoTls};

const BIN: &str = "/usr/lib/postgresql/15/bin";
/// A start takes 0.3 s; a busy machine many times that.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server.
pub struct Postgres {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub async fn start() -> Self {
        assert!(Path::new(BIN).exists(), "PostgreSQL 15 is not installed in {BIN}: run `make setup`");
        let dir = tempfile::tempdir().unwrap();
        own(dir.path());
        let data = dir.path().join("data");
        let password = dir.path().join("password");
        fs::write(&password, "secret").unwrap();
        own(&password);
        let made = as_postgres(BIN.to_owned() + "/initdb")
            .args(["-U", "events", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale", "C"])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = as_postgres(BIN.to_owned() + "/postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &address.port().to_string(), "-h", "127.0.0.1", "-k", "", "-F"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { address, child, _dir: dir };
        server.wait_until_up().await;
        server.session("postgres").await.unwrap().batch_execute("create database events").await.unwrap();
        server
    }

    /// As whom to probe it.
    pub fn login(&self) -> ProbeLogin {
        ProbeLogin {
            database: "events".into(),
            user: "events".into(),
            password: "secret".into(),
            guarded: false,
        }
    }

    /// How to reach `database`.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.address.port());
        config.dbname(database).user("events").password("secret");
        config
    }

    /// A session that lasts as long as the test.
    pub async fn session(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(database).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn wait_until_up(&mut self) {
        let begun = Instant::now();
        loop {
            let Err(error) = self.session("postgres").await else { return };
            let exited = self.child.try_wait().unwrap();
            assert!(exited.is_none() && begun.elapsed() < START_LIMIT, "{exited:?} {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `program` as a user that PostgreSQL accepts (it refuses root), dying with the test.
fn as_postgres(program: String) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if postgres_user().is_some() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg(PathBuf::from(program));
    command
}

/// The user and group to run as, when the test runs as root.
fn postgres_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = line.expect("the user postgres; run `make setup`").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn own(path: &Path) {
    if let Some((user, group)) = postgres_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}
