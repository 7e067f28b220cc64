//! The one thread that owns the connection: SQLite blocks, the executor must not.
//!
//! A call whose future is dropped has been made all the same: what it wrote stays written.

use std::path::{Path, PathBuf};

use bascule_core::ports::StoreError;
use bascule_core::tenure;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::file;

/// Calls waiting for the thread: more than an executor, an observer and a person can have under way.
const QUEUE: usize = 32;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the thread; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    jobs: mpsc::Sender<Job>,
    path: PathBuf,
}

/// Either the rules' word, or SQLite's.
pub(super) enum Refusal {
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

impl Thread {
    pub(super) fn start(mut connection: Connection, path: &Path) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self { jobs, path: path.to_owned() })
    }

    /// Look, at one instant, without standing in a writer's way (SQLite, "Write-Ahead Logging": readers and
    /// the writer do not block each other).
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Deferred, job).await
    }

    /// Look and write, alone: nothing changes between the two.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Immediate, job).await
    }

    /// Copy the write-ahead log into the file, as far as no reader is in the way. It may fail: the log is kept
    /// then, and copied another time.
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        })
        .await
    }

    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.run(move |connection| attempt(connection, behavior, job)).await?;
        answer.map_err(|refusal| match refusal {
            Refusal::Store(error) => error,
            Refusal::Sqlite(error) => {
                let text = format!("{}: {error}", self.path.display());
                if file::is_damage(&error) {
                    StoreError::Damaged(text)
                } else {
                    StoreError::Unavailable(text)
                }
            }
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that stopped waiting has dropped its end.
            let _ = answer.send(job(connection));
        });
        let gone =
            || StoreError::Unavailable(format!("{}: the store's thread has ended", self.path.display()));
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

fn attempt<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    // Dropped without a commit it rolls back.
    let transaction = connection.transaction_with_behavior(behavior)?;
    let value = job(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
