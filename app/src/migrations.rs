//! The schema, as numbered SQL files compiled into the program.
//!
//! Invariant: all pending migrations are applied in one transaction under an advisory lock of that
//! transaction, so any number of instances may call at once, through transaction pooling, and each migration
//! is applied once. A migration that was applied is never edited: its checksum is kept, and a difference is
//! refused.
//!
//! Left out: going back. A new migration does that.

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::db::{Database, Repeat};
use crate::deadline::Deadline;
use crate::envelope::Problem;

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

/// In order. Append only.
const MIGRATIONS: [Migration; 1] =
    [Migration { version: 1, name: "events", sql: include_str!("../migrations/0001_events.sql") }];

/// Taken first, so that the rest sees what the one before committed. The key is "events" in ASCII. Waiting
/// for it is bounded by half a request: the holder's work takes milliseconds.
const LOCK: &str = "SET LOCAL lock_timeout = '5s';
SELECT pg_advisory_xact_lock(x'6576656e7473'::bigint);
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)";

/// A migration that this call applied.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    version: i32,
    name: &'static str,
}

/// Applies what is pending; answers with that, which is nothing when the schema is up to date.
///
/// # Errors
/// As [`Database::rows`]; [`Problem::Internal`] when an applied migration differs from this program's.
pub async fn apply(database: &Database, deadline: Deadline) -> Result<Vec<Applied>, Problem> {
    let mut patience = database.patience(Repeat::Idempotent, deadline);
    loop {
        let attempt = async { database.lease(deadline).await?.run(deadline, apply_once).await };
        match attempt.await {
            Ok(Ok(applied)) => return Ok(applied),
            Ok(Err(edited)) => {
                tracing::error!(migration = edited.0, "an applied migration differs from this program's");
                return Err(Problem::Internal);
            }
            Err(failure) => patience.after(failure).await?,
        }
    }
}

struct Edited(&'static str);

async fn apply_once(client: &mut Client) -> Result<Result<Vec<Applied>, Edited>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    let known = transaction.query_typed("SELECT version, checksum FROM schema_migrations", &[]).await?;
    let mut applied = Vec::new();
    for Migration { version, name, sql } in MIGRATIONS {
        let checksum = Sha256::digest(sql.as_bytes()).to_vec();
        let mut stored = None;
        for row in &known {
            if row.try_get::<_, i32>("version")? == version {
                stored = Some(row.try_get::<_, Vec<u8>>("checksum")?);
            }
        }
        match stored {
            Some(stored) if stored == checksum => {}
            Some(_) => return Ok(Err(Edited(name))),
            None => {
                transaction.batch_execute(sql).await?;
                let record = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";
                let parameters =
                    [(&version as _, Type::INT4), (&name as _, Type::TEXT), (&checksum as _, Type::BYTEA)];
                transaction.query_typed(record, &parameters).await?;
                applied.push(Applied { version, name });
            }
        }
    }
    transaction.commit().await?;
    Ok(Ok(applied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_from_one() {
        let versions: Vec<i32> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i32).collect::<Vec<_>>());
    }
}
