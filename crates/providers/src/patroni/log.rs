//! The cluster's write-ahead log, by SQL on its leader.

use std::path::Path;

use async_trait::async_trait;
use bascule_core::ports::{Divergence, Log, LogEnd, PortError, Progress};
use bascule_core::position::{Lsn, Position, Timeline};

use super::client::PatroniCluster;
use super::map::{self, Record};
use crate::sql::SqlError;

/// Records listed between where users' writes ended and the shutdown checkpoint: a handful. More than
/// this is not a quiet log.
const RECORDS_MAX: usize = 10_000;

/// Flushes the log to its end. Records that no commit waits for (pruning, hints) stay in memory until the log
/// writer's next round, up to 0.2 s later (`wal_writer_delay`); it may end one in the middle, at a page's
/// border, and a standby that waits to replay up to there waits as long, with every user. It must not wait
/// for a standby itself.
const FLUSH_SQL: &str = "BEGIN; SET LOCAL synchronous_commit = local; \
     SELECT pg_logical_emit_message(true, 'bascule', 'end'); COMMIT";

#[async_trait]
impl Log for PatroniCluster {
    async fn end(&self) -> Result<LogEnd, PortError> {
        let end = self.state().await?.end().map_err(PortError::Refused)?;
        if end.clients > 0 {
            return Ok(end);
        }
        let (_, session) = self.leader().await?;
        session.ask(FLUSH_SQL).await?;
        self.state().await?.end().map_err(PortError::Refused)
    }

    async fn progress(&self) -> Result<Progress, PortError> {
        self.state().await?.progress().map_err(PortError::Refused)
    }

    async fn shutdown_record(&self, from: Lsn) -> Result<Option<Position>, PortError> {
        let progress = self.progress().await?;
        // Not all that was received is replayed, or nothing was added: ask again.
        if progress.replayed != progress.received || progress.replayed.lsn <= from {
            return Ok(None);
        }
        let (_, session) = self.leader().await?;
        let sql = format!(
            "SELECT end_lsn, resource_manager, record_type
             FROM pg_get_wal_records_info('{from}', '{}') ORDER BY start_lsn LIMIT {RECORDS_MAX}",
            progress.replayed.lsn
        );
        let rows = match session.ask(&sql).await {
            Ok(rows) => rows,
            // Its reader may stand in the middle of a record that is still coming in. One that may not read at all goes
            // on without: the old region is rewound then. It is asked again every few milliseconds, and told once.
            Err(error @ SqlError::Refused { .. }) => {
                if never(&error) {
                    self.unreadable(&error);
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let records: Result<Vec<Record>, PortError> = rows
            .iter()
            .map(|row| {
                let cell = |i: usize| row.get(i).unwrap_or_default();
                let end = cell(0).parse().map_err(|e| PortError::Refused(format!("{e}")))?;
                Ok(Record { end, manager: cell(1).to_owned(), kind: cell(2).to_owned() })
            })
            .collect();
        Ok(map::shutdown_record(&records?).map(|lsn| Position { timeline: progress.replayed.timeline, lsn }))
    }

    async fn save_divergence(&self, fork: Position, into: &Path) -> Result<Divergence, PortError> {
        super::divergence::save(self, fork, into).await
    }

    async fn fork(&self) -> Result<Option<Position>, PortError> {
        let state = self.state().await?;
        let here =
            state.position.ok_or_else(|| PortError::Refused("its timeline is not known".to_owned()))?;
        if here.timeline.0 <= 1 {
            return Ok(None);
        }
        // The history file of a timeline lists where each earlier one was left (PostgreSQL 15 manual,
        // section 26.3.5); the last line is the parent.
        let (_, session) = self.leader().await?;
        let sql = format!("SELECT pg_read_file('pg_wal/{:08X}.history')", here.timeline.0);
        let rows = session.ask(&sql).await?;
        let text = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        parent(text).map(Some).map_err(PortError::Refused)
    }
}

/// Whether asking again is of no use: class 42, access rule violation (PostgreSQL 15 manual, appendix A).
fn never(error: &SqlError) -> bool {
    matches!(error, SqlError::Refused { code, .. } if code.code().starts_with("42"))
}

/// The parent timeline and where it was left.
fn parent(history: &str) -> Result<Position, String> {
    let mut lines = history.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let last = lines.next_back().ok_or("the timeline's history is empty")?;
    let mut words = last.split_whitespace();
    let timeline = words.next().and_then(|w| w.parse().ok()).map(Timeline);
    let lsn = words.next().and_then(|w| w.parse().ok());
    match (timeline, lsn) {
        (Some(timeline), Some(lsn)) => Ok(Position { timeline, lsn }),
        (Some(_) | None, _) => Err(format!("not a line of a timeline's history: {last:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_the_histories_last_line() {
        let text =
            "1\t0/5000060\tno recovery target specified\n\n2\t0/7028090\tno recovery target specified\n";
        assert_eq!(parent(text), Ok(Position { timeline: Timeline(2), lsn: Lsn(0x702_8090) }));
        assert!(parent("").is_err());
        assert!(parent("x y z").is_err());
    }
}
