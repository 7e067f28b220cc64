//! A store in one SQLite file, for one controller at a time on one machine (others are fenced).
//!
//! Invariant: whatever a call answered `Ok` to is on the disk (`synchronous=FULL`: SQLite manual, "PRAGMA
//! synchronous"; in WAL mode every commit is then followed by an fsync). Each write is one IMMEDIATE
//! transaction in which the rules are checked, so two processes can't both pass them.
//!
//! One thread owns the connection: SQLite blocks, the executor must not.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, Term};
use bascule_core::ports::{Entry, Grip, Header, Journal, JournalStore, StoreError, TenureStore};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::rules::{self, Standing};

/// The layout of the file, in SQLite's `user_version`.
const FORMAT: i64 = 1;
/// Another process' transaction is one fsync long; a slow disk takes 100 ms for one. Fifty of those.
const BUSY: Duration = Duration::from_secs(5);
/// Calls waiting for the one thread: more than an executor, an observer and a person can have under way.
const QUEUE: usize = 32;

const SCHEMA: &str = "
    CREATE TABLE tenure (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        tenure TEXT NOT NULL
    ) STRICT;
    CREATE TABLE dark (
        region TEXT PRIMARY KEY,
        since_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE operation (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        header TEXT NOT NULL,
        term INTEGER NOT NULL,
        open INTEGER NOT NULL CHECK (open IN (0, 1))
    ) STRICT;
    CREATE UNIQUE INDEX one_open_operation ON operation (open) WHERE open = 1;
    CREATE TABLE entry (
        operation INTEGER NOT NULL REFERENCES operation (number),
        at INTEGER NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (operation, at)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// Why a store file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be made or opened.
    #[error("can't open the store {path}")]
    File {
        /// Which file.
        path: PathBuf,
        #[source]
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refuses it.
    #[error("can't use the store {path}")]
    Sqlite {
        /// Which file.
        path: PathBuf,
        #[source]
        /// Why.
        source: rusqlite::Error,
    },
    /// A newer bascule wrote it.
    #[error("the store {path} has format {found}; this bascule reads format {FORMAT}: use a newer one")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A store in a file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    jobs: mpsc::Sender<Job>,
}

impl SqliteStore {
    /// Open or make the store; only its owner may read the file.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = |source| OpenError::File { path: path.to_owned(), source };
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(file)?;
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(sqlite)?;
        prepare(&mut connection).map_err(sqlite)?;
        let found = format(&connection).map_err(sqlite)?;
        if found != FORMAT {
            return Err(OpenError::Newer { path: path.to_owned(), found });
        }
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(file)?;
        Ok(Self { jobs })
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that stopped waiting has dropped its end; what was written stays written.
            let _ = answer.send(transact(connection, job));
        });
        let gone = || StoreError::Unavailable("the store's thread has ended".to_owned());
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Either the rules' word, or SQLite's.
enum Refusal {
    Store(StoreError),
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<tenure::Illegal> for Refusal {
    fn from(error: tenure::Illegal) -> Self {
        Self::Store(error.into())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(StoreError::Damaged(error.to_string()))
    }
}

fn prepare(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format(&transaction)? == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.commit()
}

fn format(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn transact<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
) -> Result<T, StoreError> {
    match attempt(connection, job) {
        Ok(value) => Ok(value),
        Err(Refusal::Store(error)) => Err(error),
        Err(Refusal::Sqlite(error)) => Err(of_sqlite(&error)),
    }
}

fn attempt<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    // Dropped without a commit it rolls back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = job(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn of_sqlite(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged(error.to_string()),
        Some(_) | None => StoreError::Unavailable(error.to_string()),
    }
}

fn tenure_of(t: &Transaction<'_>) -> Result<Option<Tenure>, Refusal> {
    let text: Option<String> = t.query_row("SELECT tenure FROM tenure", [], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// An operation's row: its number and what appends are held against.
fn standing(t: &Transaction<'_>, id: &OperationId) -> Result<(i64, Standing), Refusal> {
    let found = t
        .prepare_cached(
            "SELECT number, term, open, (SELECT count(*) FROM entry WHERE operation = number)
             FROM operation WHERE id = ?1",
        )?
        .query_row([id.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    let Some((number, term, open, length)) = found else {
        return Err(StoreError::NoSuchOperation(id.clone()).into());
    };
    Ok((number, Standing { term: Term(term.unsigned_abs()), length: length.unsigned_abs(), open }))
}

/// SQLite's integers are signed; terms and times stay far below 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl TenureStore for SqliteStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        self.run(tenure_of).await
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        self.run(move |t| {
            let next = tenure::next(tenure_of(t)?, event)?;
            t.execute(
                "INSERT INTO tenure (one, tenure) VALUES (1, ?1)
                 ON CONFLICT (one) DO UPDATE SET tenure = excluded.tenure",
                [serde_json::to_string(&next)?],
            )?;
            Ok(next)
        })
        .await
    }

    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let region = region.clone();
        self.run(move |t| {
            if !dark {
                t.execute("DELETE FROM dark WHERE region = ?1", [region.as_str()])?;
                return Ok(None);
            }
            let insert = "INSERT INTO dark (region, since_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            t.execute(insert, params![region.as_str(), signed(at.0)])?;
            let select = "SELECT since_ms FROM dark WHERE region = ?1";
            let since: i64 = t.query_row(select, [region.as_str()], |row| row.get(0))?;
            Ok(Some(Timestamp(since.unsigned_abs())))
        })
        .await
    }
}

#[async_trait]
impl JournalStore for SqliteStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let header = header.clone();
        self.run(move |t| {
            let open: Option<String> =
                t.query_row("SELECT id FROM operation WHERE open = 1", [], |row| row.get(0)).optional()?;
            let open = open.map(|id| id.parse::<OperationId>()).transpose();
            let open = open.map_err(|e| StoreError::Damaged(e.to_string()))?;
            rules::may_begin(&header, tenure_of(t)?.as_ref(), open.as_ref())?;
            if standing(t, &header.id).is_ok() {
                return Err(StoreError::Busy(header.id.clone()).into());
            }
            t.execute(
                "INSERT INTO operation (id, header, term, open) VALUES (?1, ?2, 1, 1)",
                params![header.id.as_str(), serde_json::to_string(&header)?],
            )?;
            Ok(Term(1))
        })
        .await
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let id = id.clone();
        self.run(move |t| {
            let (number, standing) = standing(t, &id)?;
            if !standing.open {
                return Err(StoreError::Fenced(format!("{id} has ended")).into());
            }
            let term = Term(standing.term.0 + 1);
            t.execute("UPDATE operation SET term = ?2 WHERE number = ?1", params![number, signed(term.0)])?;
            Ok(term)
        })
        .await
    }

    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let (id, entries) = (id.clone(), entries.to_vec());
        self.run(move |t| {
            let (number, standing) = standing(t, &id)?;
            rules::may_append(&id, grip, at, &standing, tenure_of(t)?.as_ref())?;
            let mut insert =
                t.prepare_cached("INSERT INTO entry (operation, at, entry) VALUES (?1, ?2, ?3)")?;
            for (offset, entry) in (at..).zip(&entries) {
                insert.execute(params![number, signed(offset), serde_json::to_string(entry)?])?;
            }
            if rules::closes(&entries) {
                t.execute("UPDATE operation SET open = 0 WHERE number = ?1", [number])?;
            }
            Ok(())
        })
        .await
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let id = id.clone();
        let journal = self
            .run(move |t| {
                let (number, standing) = standing(t, &id)?;
                let header: String =
                    t.query_row("SELECT header FROM operation WHERE number = ?1", [number], |r| r.get(0))?;
                let mut select = t.prepare("SELECT entry FROM entry WHERE operation = ?1 ORDER BY at")?;
                let texts: Result<Vec<String>, _> = select.query_map([number], |row| row.get(0))?.collect();
                let entries: Result<Vec<Entry>, _> =
                    texts?.iter().map(|text| serde_json::from_str(text)).collect();
                Ok(Journal { header: serde_json::from_str(&header)?, term: standing.term, entries: entries? })
            })
            .await?;
        rules::intact(journal)
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        self.run(move |t| {
            let mut select = t.prepare("SELECT header, open FROM operation ORDER BY number DESC LIMIT ?1")?;
            let rows: Result<Vec<(String, bool)>, _> =
                select.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect();
            rows?.into_iter().map(|(header, open)| Ok((serde_json::from_str(&header)?, open))).collect()
        })
        .await
    }
}
