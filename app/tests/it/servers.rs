//! PostgreSQL and PgBouncer, started for one test and gone with it.
//!
//! Neither runs as root, so a test that is root starts them as `postgres`. A child is killed by the kernel
//! when the thread that started it ends (`setpriv --pdeathsig`), so a killed test leaves none behind.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

pub const PASSWORD: &str = "not a secret";
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// How long a server may take to answer; initdb and a start take some 2 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn require(program: &str) -> &str {
    assert!(Path::new(program).exists(), "{program} is missing: run `make setup`, which installs it");
    program
}

/// A command that dies with this thread, as the user `postgres` when this is root.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg(require(program)).stdin(Stdio::null());
    command
}

fn id(arguments: &[&str]) -> u32 {
    let out = Command::new("id").args(arguments).output().expect("id runs");
    let text = String::from_utf8(out.stdout).unwrap();
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("id {arguments:?}: run `make setup`, which installs PostgreSQL"))
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

/// A folder that the servers may write to.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("events-app-").tempdir().unwrap();
    give(folder.path());
    folder
}

fn give(path: &Path) {
    if is_root() {
        chown(path, Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    give(path);
}

/// Free on every address of this machine.
pub fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name}");
}

/// Polls `condition` until it gives a value.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connect(port: u16, user: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    connect_to(Ipv4Addr::LOCALHOST, port, user, database).await
}

async fn connect_to(
    address: Ipv4Addr,
    port: u16,
    user: &str,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.hostaddr(address.into()).port(port).user(user).dbname(database).password(PASSWORD);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// One PostgreSQL, with the database `events` that the user `events` owns.
pub struct Postgres {
    pub port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl Postgres {
    pub async fn start() -> Self {
        let folder = folder();
        let password = folder.path().join("password");
        write(&password, PASSWORD);
        let out = unprivileged(&format!("{BIN}/initdb"))
            .args([
                "--auth=scram-sha-256",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .arg("--pwfile")
            .arg(&password)
            .output()
            .unwrap();
        assert!(out.status.success(), "initdb: {}", String::from_utf8_lossy(&out.stderr));
        let mut server = Self { port: free_port(), child: None, folder };
        server.resume().await;
        let admin = connect(server.port, "postgres", "postgres").await.unwrap();
        let role = format!("CREATE ROLE events LOGIN PASSWORD '{PASSWORD}'");
        admin.batch_execute(&role).await.unwrap();
        admin.batch_execute("CREATE DATABASE events OWNER events").await.unwrap();
        server
    }

    /// Starts it, on the same port and data as before, and waits until it answers.
    pub async fn resume(&mut self) {
        let log = self.folder.path().join("log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "fsync=off".into(),
        ];
        let mut command = unprivileged(&format!("{BIN}/postgres"));
        command.arg("-D").arg(self.folder.path().join("data"));
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let mut child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        until("PostgreSQL to answer", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("PostgreSQL ended with {status}: {}", fs::read_to_string(&log).unwrap());
            }
            connect(self.port, "postgres", "postgres").await.ok()
        })
        .await;
        self.child = Some(child);
    }

    /// A fast shutdown, as a restart makes: sessions are cut.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(&child, "INT");
        until("PostgreSQL to stop", async || child.try_wait().unwrap()).await;
    }

    /// A superuser's session in the application's database.
    pub async fn admin(&self) -> Client {
        connect(self.port, "postgres", "events").await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its sessions end when it does; only then can the folder be removed.
            signal(&child, "QUIT");
            child.wait().unwrap();
        }
    }
}

/// One PgBouncer in transaction pooling.
pub struct Bouncer {
    pub address: Ipv4Addr,
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

impl Bouncer {
    pub async fn start(postgres: &Postgres) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, free_port(), postgres).await
    }

    /// As [`Self::start`], at this address and port.
    pub async fn start_at(address: Ipv4Addr, port: u16, postgres: &Postgres) -> Self {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        write(&at("users"), &format!("\"events\" \"{PASSWORD}\"\n\"admin\" \"{PASSWORD}\"\n"));
        let ini = format!(
            "[databases]\nevents = host=127.0.0.1 port={server} dbname=events\n[pgbouncer]\n\
             listen_addr = {address}\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {users}\nadmin_users = admin\npool_mode = transaction\ndefault_pool_size = 4\n\
             ignore_startup_parameters = extra_float_digits\n",
            server = postgres.port,
            users = at("users").display(),
        );
        write(&at("pgbouncer.ini"), &ini);
        let log = fs::File::create(at("log")).unwrap();
        let mut child =
            unprivileged("/usr/sbin/pgbouncer").arg(at("pgbouncer.ini")).stderr(log).spawn().unwrap();
        until("PgBouncer to answer", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("PgBouncer ended with {status}: {}", fs::read_to_string(at("log")).unwrap());
            }
            connect_to(address, port, "admin", "pgbouncer").await.ok()
        })
        .await;
        Self { address, port, child, _folder: folder }
    }

    /// The admin console, which takes simple queries only.
    pub async fn console(&self) -> Client {
        connect_to(self.address, self.port, "admin", "pgbouncer").await.unwrap()
    }

    /// Lets it hang, as one whose region is lost: connections stay, answers stay away.
    pub fn freeze(&self) {
        signal(&self.child, "STOP");
    }

    /// How many connections of the application it has.
    pub async fn clients(&self) -> usize {
        let rows = self.console().await.simple_query("SHOW CLIENTS").await.unwrap();
        let user = |row: &SimpleQueryMessage| match row {
            SimpleQueryMessage::Row(row) => row.get("user").map(str::to_owned),
            _ => None,
        };
        rows.iter().filter_map(user).filter(|user| user == "events").count()
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
#[should_panic(expected = "make setup")]
fn a_missing_server_is_a_failure_that_names_make_setup() {
    require("/usr/lib/postgresql/15/bin/no-such-program");
}
