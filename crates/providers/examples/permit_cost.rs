//! What a permit costs a commit: `permit_cost PORT USER PASSWORD [COMMITS]` at a PostgreSQL on 127.0.0.1 that may be written to.
//!
//! It commits one row at a time, with `synchronous_standby_names` empty and with a permit, by turns.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bascule_core::permit::Permit;
use bascule_providers::Secret;
use bascule_providers::patroni::MemberEndpoint;
use bascule_providers::permit::{self, Ahead, Hold, PermitConfig, PermitState};
use tokio_postgres::{Client, NoTls};

struct Open;

impl Hold for Open {
    fn is_open(&self) -> bool {
        true
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn told(&self, _: Permit) {}
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().with_context(|| format!("say the {what}"));
    let (port, user, password) = (next("port")?.parse::<u16>()?, next("user")?, next("password")?);
    let commits = next("number of commits").unwrap_or_else(|_| "500".to_owned()).parse()?;
    let config = PermitConfig {
        members: vec![MemberEndpoint {
            name: "db1".parse()?,
            postgres: ([127, 0, 0, 1], port).into(),
            patroni: ([127, 0, 0, 1], 1).into(),
        }],
        database: "postgres".to_owned(),
        user: user.clone(),
        password: Secret::new(password.clone()),
        application: "bascule_a".to_owned(),
        ahead: Ahead::Unlimited,
    };
    tokio::spawn(permit::run(config, Arc::new(Open), Arc::new(PermitState::default())));
    let mut login = tokio_postgres::Config::new();
    login.host("127.0.0.1").port(port).user(&user).password(&password).dbname("postgres");
    let (client, connection) = login.connect(NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS permit_cost (n bigserial)").await?;
    for turn in 0..6 {
        let names = if turn % 2 == 0 { "" } else { "ANY 1 (bascule_a, bascule_b)" };
        client.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        // The server reads its settings in its own time.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let times = measure(&client, commits).await?;
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
        println!(
            "{:<28} p50 {:>5} µs  p90 {:>5} µs  p99 {:>5} µs",
            format!("{names:?}"),
            at(50),
            at(90),
            at(99)
        );
    }
    client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    client.batch_execute("DROP TABLE permit_cost").await?;
    Ok(())
}

async fn measure(client: &Client, commits: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(commits);
    for _ in 0..commits {
        let begun = Instant::now();
        client.batch_execute("INSERT INTO permit_cost DEFAULT VALUES").await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
