//! Looks for every write of a run, once the load has stopped.
//!
//! Either as a user, page by page through the front door, or by SQL from a primary. A look-up that could
//! not be read to its end gives [`Lookup::NotRead`], never a part: a write missing from a part is not lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls};

use crate::app::{self, Event};
use crate::client::{Client, Door};
use crate::recording::write_number;

/// Tries for one page: a read may be asked again. Three outlast a server that closed a kept connection
/// and one that was restarted.
const PAGE_TRIES: u32 = 3;
/// Between two tries.
const PAGE_PAUSE: Duration = Duration::from_millis(200);
/// Most events read: ten times the most that a load writes by default. What is more is not this run.
const EVENTS_MAX: usize = 3_600_000;
/// Rows fetched at once by SQL: about half a megabyte.
const ROWS: i64 = 10_000;
/// For connecting to the primary and for each page of rows.
const SQL_TIMEOUT: Duration = Duration::from_secs(10);

/// The way users came in, with the run's own user.
#[derive(Clone)]
pub struct FrontDoor {
    pub(crate) door: Arc<Door>,
    pub(crate) token: Arc<str>,
    pub(crate) run: String,
}

impl std::fmt::Debug for FrontDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrontDoor({}, run {})", self.door.host, self.run)
    }
}

/// What is stored of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The writes found.
    pub numbers: BTreeSet<u64>,
    /// Those found more than once.
    pub duplicates: BTreeSet<u64>,
}

impl Found {
    fn add(&mut self, number: u64) {
        if !self.numbers.insert(number) {
            self.duplicates.insert(number);
        }
    }
}

/// What looking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Read to the end.
    Read(Found),
    /// Not read, and why.
    NotRead(String),
}

impl From<anyhow::Result<Found>> for Lookup {
    fn from(result: anyhow::Result<Found>) -> Self {
        match result {
            Ok(found) => Self::Read(found),
            Err(error) => Self::NotRead(format!("{error:#}")),
        }
    }
}

/// Reads the run's writes as its user, page by page through the public name.
pub async fn lookup(front: &FrontDoor) -> Lookup {
    read_pages(front).await.into()
}

async fn read_pages(front: &FrontDoor) -> anyhow::Result<Found> {
    let mut client = Client::new(Arc::clone(&front.door));
    let mut found = Found::default();
    let (mut after, mut events) = (0, 0);
    loop {
        let page = read_page(&mut client, front, after).await?;
        let Some(last) = page.last() else { return Ok(found) };
        let ids = std::iter::once(after).chain(page.iter().map(|event| event.id));
        ensure!(ids.is_sorted_by(|a, b| a < b), "the page after event {after} is not in the order of ids");
        after = last.id;
        events += page.len();
        ensure!(events <= EVENTS_MAX, "there are more than {EVENTS_MAX} events");
        for number in page.iter().filter_map(|event| write_number(&front.run, &event.name)) {
            found.add(number);
        }
    }
}

async fn read_page(client: &mut Client, front: &FrontDoor, after: u64) -> anyhow::Result<Vec<Event>> {
    let mut last = anyhow!("not tried");
    for turn in 0..PAGE_TRIES {
        if turn > 0 {
            tokio::time::sleep(PAGE_PAUSE).await;
        }
        match client.ask(&app::page(after, &front.token)).await {
            Ok(reply) => match app::paged(&reply) {
                Ok(page) => return Ok(page),
                Err(error) => last = error,
            },
            Err(failed) => last = anyhow!("{:?}: {}", failed.kind, failed.detail),
        }
    }
    Err(last.context(format!("the page after event {after} was not read in {PAGE_TRIES} tries")))
}

/// Reads the run's writes by SQL from the database that `config` names. A standby will do for looking,
/// but proves nothing: the server must be a primary.
pub async fn lookup_sql(config: &Config, run: &str) -> Lookup {
    read_rows(config, run).await.into()
}

async fn read_rows(config: &Config, run: &str) -> anyhow::Result<Found> {
    let connecting = tokio::time::timeout(SQL_TIMEOUT, config.connect(NoTls));
    let (client, connection) = connecting.await.context("no session in time")?.context("no session")?;
    // The connection's own error reaches the query that it breaks.
    let driver = tokio::spawn(async move { drop(connection.await) });
    let found = read_all(&client, run).await;
    driver.abort();
    found
}

async fn read_all(client: &tokio_postgres::Client, run: &str) -> anyhow::Result<Found> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await?;
    ensure!(!row.get::<_, bool>(0), "the server is a standby");
    let prefix = format!("w-{run}-%");
    let (mut found, mut after, mut events) = (Found::default(), 0_i64, 0);
    loop {
        let statement = "select id, name from events where id > $1 and name like $2 order by id limit $3";
        let parameters: [&(dyn ToSql + Sync); 3] = [&after, &prefix, &ROWS];
        let query = client.query(statement, &parameters);
        let rows = tokio::time::timeout(SQL_TIMEOUT, query).await.context("no rows in time")??;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.try_get(0)?;
        events += rows.len();
        if events > EVENTS_MAX {
            bail!("there are more than {EVENTS_MAX} events");
        }
        for row in &rows {
            if let Some(number) = write_number(run, row.try_get(1)?) {
                found.add(number);
            }
        }
    }
}
