//! A real PostgreSQL, and a real PgBouncer in front of it.

use bascule_providers::Secret;
use bascule_providers::pgbouncer::{PgbouncerPool, PoolConfig};
use tokio_postgres::{Client, NoTls};

use crate::process::{Part, folder, free_port, unprivileged, write};

const BIN: &str = "/usr/lib/postgresql/15/bin";
const PASSWORD: &str = "not a secret";

/// A session, or none if there is nobody to answer.
pub async fn connect(port: u16, user: &str, database: &str) -> Option<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(user).dbname(database).password(PASSWORD);
    let (client, connection) = config.connect(NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// One PostgreSQL behind one PgBouncer in transaction pooling.
pub struct Pooled {
    port: u16,
    admin: PoolConfig,
    _bouncer: Part,
    _postgres: Part,
}

impl Pooled {
    /// Both, with a table `notes`.
    pub async fn start() -> Self {
        let (postgres, server) = postgres().await;
        let folder = folder();
        let port = free_port();
        let at = |name: &str| folder.path().join(name);
        write(&at("users"), &format!("\"postgres\" \"{PASSWORD}\"\n\"admin\" \"{PASSWORD}\"\n"));
        let ini = format!(
            "[databases]\nevents = host=127.0.0.1 port={server} dbname=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {users}\nadmin_users = admin\npool_mode = transaction\n\
             ignore_startup_parameters = extra_float_digits\n",
            users = at("users").display(),
        );
        write(&at("pgbouncer.ini"), &ini);
        let ini = at("pgbouncer.ini").display().to_string();
        let mut bouncer = Part::start(folder, "/usr/sbin/pgbouncer", &[&ini]);
        let client = bouncer.answers("PgBouncer", async || connect(port, "postgres", "events").await).await;
        client.batch_execute("CREATE TABLE notes (note text)").await.unwrap();
        let admin = PoolConfig {
            admin: ([127, 0, 0, 1], port).into(),
            user: "admin".to_owned(),
            password: Secret::new(PASSWORD),
            database: "events".to_owned(),
        };
        Self { port, admin, _bouncer: bouncer, _postgres: postgres }
    }

    /// A user's session.
    pub async fn session(&self) -> Client {
        connect(self.port, "postgres", "events").await.expect("the pool takes clients")
    }

    /// A controller's view of the pool; each has sessions of its own.
    pub fn pool(&self) -> PgbouncerPool {
        PgbouncerPool::new(self.admin.clone())
    }
}

async fn postgres() -> (Part, u16) {
    let folder = folder();
    let (password, data) = (folder.path().join("password"), folder.path().join("data"));
    write(&password, PASSWORD);
    let made = unprivileged(&format!("{BIN}/initdb"))
        .args(["--auth=scram-sha-256", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C"])
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let port = free_port();
    let (data, port_text) = (data.display().to_string(), port.to_string());
    let arguments = ["-D", &data, "-p", &port_text, "-h", "127.0.0.1", "-k", "", "-F"];
    let mut part = Part::start(folder, &format!("{BIN}/postgres"), &arguments);
    part.answers("PostgreSQL", async || connect(port, "postgres", "postgres").await).await;
    (part, port)
}
