//! A store in one SQLite file, for one controller at a time on one machine (others are fenced).
//!
//! Invariant: whatever a call answered `Ok` to is on the disk (`synchronous=FULL`: SQLite manual, "PRAGMA
//! synchronous"; in WAL mode every commit is then followed by an fsync). Each write is one IMMEDIATE
//! transaction in which the rules are checked, so two processes can't both pass them.
//!
//! What it leaves out: network file systems. A write-ahead log is shared by processes of one machine only
//! (SQLite, "Write-Ahead Logging"); two machines use etcd.

mod file;
mod reports;
mod thread;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{OperationId, RegionName, SiteName, Term};
use bascule_core::ports::{
    Entry, Grip, Header, Journal, JournalStore, OpenOperation, StoreError, TenureStore,
};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::de::DeserializeOwned;

use crate::rules::{self, Standing};
pub use file::OpenError;
use thread::{Refusal, Thread};

/// Another process' transaction is one fsync long; a slow disk takes 100 ms for one. Fifty of those.
const BUSY: Duration = Duration::from_secs(5);

/// A store in a file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    thread: Thread,
    site: SiteName,
}

impl SqliteStore {
    /// Open or make the store of a site; only its owner may read the file. Blocks for milliseconds.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, site: &SiteName) -> Result<Self, OpenError> {
        Self::open_within(path, site, BUSY)
    }

    fn open_within(path: &Path, site: &SiteName, busy: Duration) -> Result<Self, OpenError> {
        let connection = file::open(path, site, busy)?;
        let thread = Thread::start(connection, path)
            .map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        Ok(Self { thread, site: site.clone() })
    }
}

/// Stored JSON; what can't be read is named by `what`.
fn parse<T: DeserializeOwned>(text: &str, what: impl FnOnce() -> String) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged(format!("{} can't be read: {e}", what())))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what is stored has only string keys")
}

fn tenure_of(t: &Transaction<'_>) -> Result<Option<Tenure>, Refusal> {
    let text: Option<String> =
        t.prepare_cached("SELECT tenure FROM tenure")?.query_row([], |row| row.get(0)).optional()?;
    Ok(text.map(|text| parse(&text, || "the tenure".to_owned())).transpose()?)
}

/// An operation's row: its number and what appends are held against.
fn standing(t: &Transaction<'_>, id: &OperationId) -> Result<Option<(i64, Standing)>, Refusal> {
    let found = t
        .prepare_cached(
            "SELECT number, term, open, (SELECT coalesce(max(at) + 1, 0) FROM entry WHERE operation = number)
             FROM operation WHERE id = ?1",
        )?
        .query_row([id.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    Ok(found.map(|(number, term, open, length): (i64, _, _, _)| {
        (number, Standing { term: Term(term.unsigned_abs()), length: length.unsigned_abs(), open })
    }))
}

fn known(t: &Transaction<'_>, id: &OperationId) -> Result<(i64, Standing), Refusal> {
    standing(t, id)?.ok_or_else(|| StoreError::NoSuchOperation(id.clone()).into())
}

fn open_operation(t: &Transaction<'_>) -> Result<Option<OperationId>, Refusal> {
    let id: Option<String> =
        t.query_row("SELECT id FROM operation WHERE open = 1", [], |row| row.get(0)).optional()?;
    let id = id.map(|id| id.parse().map_err(|e| StoreError::Damaged(format!("an open operation: {e}"))));
    Ok(id.transpose()?)
}

/// Since when a region is dark.
fn dark_since(t: &Transaction<'_>, region: &RegionName) -> Result<Option<Timestamp>, Refusal> {
    let select = "SELECT since_ms FROM dark WHERE region = ?1";
    let since: Option<i64> = t.query_row(select, [region.as_str()], |row| row.get(0)).optional()?;
    Ok(since.map(|ms| Timestamp(ms.unsigned_abs())))
}

/// SQLite's integers are signed; terms and times stay far below 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl TenureStore for SqliteStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        self.thread.read(tenure_of).await
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        self.thread
            .write(move |t| {
                let by = rules::made_by(&event).map(|id| standing(t, id)).transpose()?.flatten();
                let by = by.map(|(_, standing)| standing);
                let lives = rules::sign_of_life(&event).cloned();
                let next = rules::advanced(tenure_of(t)?, event, by.as_ref())?;
                if let Some(region) = lives {
                    t.execute("DELETE FROM dark WHERE region = ?1", [region.as_str()])?;
                }
                t.execute(
                    "INSERT INTO tenure (one, tenure) VALUES (1, ?1)
                     ON CONFLICT (one) DO UPDATE SET tenure = excluded.tenure",
                    [json(&next)],
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
        // Every observation asks this, and nearly always nothing changes: then no writer is kept waiting.
        let sought = region.clone();
        let since = self.thread.read(move |t| dark_since(t, &sought)).await?;
        if since.is_some() == dark {
            return Ok(since);
        }
        let region = region.clone();
        self.thread
            .write(move |t| {
                if dark {
                    let insert = "INSERT INTO dark (region, since_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                    t.execute(insert, params![region.as_str(), signed(at.0)])?;
                } else {
                    t.execute("DELETE FROM dark WHERE region = ?1", [region.as_str()])?;
                }
                dark_since(t, &region)
            })
            .await
    }
}

#[async_trait]
impl JournalStore for SqliteStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let (header, site) = (header.clone(), self.site.clone());
        let term = self
            .thread
            .write(move |t| {
                let used = standing(t, &header.id)?.map(|(_, standing)| standing);
                rules::may_begin(&header, &site, tenure_of(t)?.as_ref(), open_operation(t)?.as_ref(), used)?;
                t.execute(
                    "INSERT INTO operation (id, header, term, open) VALUES (?1, ?2, ?3, 1)",
                    params![header.id.as_str(), json(&header), signed(rules::FIRST.0)],
                )?;
                Ok(rules::FIRST)
            })
            .await?;
        // Now, while nobody's writes are held: see `CHECKPOINT_PAGES`.
        self.thread.checkpoint().await?;
        Ok(term)
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        let id = id.clone();
        self.thread
            .write(move |t| {
                let (number, standing) = known(t, &id)?;
                let term = rules::claimed(&id, &standing)?;
                let update = "UPDATE operation SET term = ?2 WHERE number = ?1";
                t.execute(update, params![number, signed(term.0)])?;
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
        let (id, closes) = (id.clone(), rules::closes(entries));
        // Rendered here, before the transaction: others wait for its end.
        let texts: Vec<String> = entries.iter().map(json).collect();
        let ended_early = rules::ended_early(entries);
        self.thread
            .write(move |t| {
                let (number, standing) = known(t, &id)?;
                rules::may_append(&id, grip, at, &standing, tenure_of(t)?.as_ref())?;
                if ended_early {
                    return Err(rules::has_ended(&id).into());
                }
                let insert = "INSERT INTO entry (operation, at, entry) VALUES (?1, ?2, ?3)";
                let mut insert = t.prepare_cached(insert)?;
                for (at, text) in (at..).zip(&texts) {
                    insert.execute(params![number, signed(at), text])?;
                }
                if closes {
                    t.execute("UPDATE operation SET open = 0 WHERE number = ?1", [number])?;
                }
                Ok(())
            })
            .await
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        let id = id.clone();
        self.thread
            .write(move |t| {
                let (number, standing) = known(t, &id)?;
                rules::may_act(&id, term, &standing)?;
                t.execute("UPDATE operation SET beats = beats + 1 WHERE number = ?1", [number])?;
                Ok(())
            })
            .await
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        let found = self
            .thread
            .read(move |t| {
                let select = "SELECT id, header, term, beats FROM operation WHERE open = 1";
                let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
                Ok(t.query_row(select, [], row).optional()?)
            })
            .await?;
        let Some((id, header, term, beats)): Option<(String, String, i64, i64)> = found else {
            return Ok(None);
        };
        let header = parse(&header, || format!("the beginning of {id}"))?;
        Ok(Some(OpenOperation { header, term: Term(term.unsigned_abs()), beats: beats.unsigned_abs() }))
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let sought = id.clone();
        let (term, header, rows) = self
            .thread
            .read(move |t| {
                let (number, standing) = known(t, &sought)?;
                let header: String =
                    t.query_row("SELECT header FROM operation WHERE number = ?1", [number], |r| r.get(0))?;
                let mut select = t.prepare("SELECT at, entry FROM entry WHERE operation = ?1 ORDER BY at")?;
                let rows: Result<Vec<(i64, String)>, _> =
                    select.query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?.collect();
                Ok((standing.term, header, rows?))
            })
            .await?;
        let header = parse(&header, || format!("the beginning of {id}"))?;
        let mut entries = Vec::with_capacity(rows.len());
        for (number, (at, text)) in (0_i64..).zip(&rows) {
            if *at != number {
                return Err(StoreError::Damaged(format!("entry {number} of {id} is missing")));
            }
            entries.push(parse(text, || format!("entry {number} of {id}"))?);
        }
        rules::intact(id, Journal { header, term, entries })
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        let rows = self
            .thread
            .read(move |t| {
                let newest = "SELECT id, header, open FROM operation ORDER BY number DESC LIMIT ?1";
                let mut select = t.prepare(newest)?;
                let rows: Result<Vec<(String, String, bool)>, _> =
                    select.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect();
                Ok(rows?)
            })
            .await?;
        let beginning = |id: &str| format!("the beginning of {id}");
        rows.into_iter().map(|(id, header, open)| Ok((parse(&header, || beginning(&id))?, open))).collect()
    }
}

#[cfg(test)]
mod tests;
