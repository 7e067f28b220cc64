//! A real PgBouncer in front of a real PostgreSQL.

use bascule_providers::Secret;
use bascule_providers::pgbouncer::{PgbouncerPool, PoolConfig};
use tokio_postgres::Client;

use crate::postgres::{PASSWORD, Postgres, connect};
use crate::process::{Part, folder, free_port, write};

/// One PostgreSQL behind one PgBouncer in transaction pooling.
pub struct Pooled {
    port: u16,
    admin: PoolConfig,
    _bouncer: Part,
    _postgres: Postgres,
}

impl Pooled {
    /// Both, with a table `notes`.
    pub async fn start() -> Self {
        let postgres = Postgres::start().await;
        let folder = folder();
        let port = free_port();
        let at = |name: &str| folder.path().join(name);
        write(&at("users"), &format!("\"postgres\" \"{PASSWORD}\"\n\"admin\" \"{PASSWORD}\"\n"));
        let ini = format!(
            "[databases]\nevents = host=127.0.0.1 port={server} dbname=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {users}\nadmin_users = admin\npool_mode = transaction\n\
             ignore_startup_parameters = extra_float_digits\n",
            server = postgres.port,
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
