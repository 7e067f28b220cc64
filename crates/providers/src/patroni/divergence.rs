//! What a returned region wrote past the fork, saved as lines of JSON before a rewind destroys it.
//!
//! Read from the region itself: its log says which transactions committed after the fork and which tables
//! they touched (`pg_walinspect`), its tables hold the rows. Deleted rows are in no table any more; they
//! are looked up at the active region, which still has those that nobody changed there since. What can't
//! be found is counted and said, never left out in silence.
//!
//! It leaves out other databases than the application's, and sequences.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bascule_core::ports::{Divergence, PortError};
use bascule_core::position::{Lsn, Position, Timeline};
use serde_json::{Value, json};
use tokio_postgres::SimpleQueryRow;

use super::client::{PatroniCluster, login};
use crate::sql::{Session, SqlError};

/// Rows read at once, by a cursor: 1 MB each, more than a page of any application holds, makes 100 MB.
const PAGE: usize = 100;
/// Bytes written to a file: a quarter of the volume that the packaging asks for.
const FILE_MAX: u64 = 1 << 30;
/// Reading a log of hours and scanning the tables it touched; the step's bound (10 min) is the real one.
const READ: std::time::Duration = std::time::Duration::from_secs(600);

/// Between two looks whether a session has ended, and how often: 5 s in all.
const ENDING: std::time::Duration = std::time::Duration::from_millis(50);
const ENDINGS_MAX: u32 = 100;

/// Deleted rows fetched with one statement: a key has some 50 characters, so 50 KB of it.
const KEYS_AT_ONCE: usize = 1_000;

/// A table that was written to past the fork.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    /// Quoted, with its schema.
    name: String,
    deletes: u64,
    /// Quoted columns of the primary key; empty if it has none.
    key: Vec<String>,
}

pub(super) async fn save(
    cluster: &PatroniCluster,
    fork: Position,
    into: &Path,
) -> Result<Divergence, PortError> {
    let (name, session) = cluster.leader().await?;
    let timeline = end(cluster).await?.timeline;
    let histories = histories(cluster, session, timeline).await?;
    let fork = histories.map_or(fork, |(own, peer)| common(&own, &peer).unwrap_or(fork));
    let config = cluster.config();
    let member = config.members.iter().find(|m| m.name == name);
    let member = member.ok_or_else(|| PortError::Refused(format!("{name} is not in the manifest")))?;
    let here = Session::new(login(config, member, &config.database));
    end_writers(&here).await?;
    let end = end(cluster).await?;
    let from = readable_from(&here, fork.lsn).await?;
    let mut saved = Saved { unread: (from > fork.lsn).then_some(from), ..Saved::default() };
    let xids = if from < end.lsn { committed(&here, from, end.lsn).await? } else { Vec::new() };
    let tables = if xids.is_empty() { Vec::new() } else { tables(&here, from, end.lsn, &xids).await? };
    if tables.is_empty() {
        let (note, unsaved) = (saved.note(&xids, fork), saved.unsaved());
        return Ok(Divergence { file: None, rows: 0, note, unsaved });
    }
    let mut file = Lines::create(into, FILE_MAX)?;
    let header = json!({
        "version": 1, "member": name, "fork": fork.to_string(), "end": end.to_string(),
        "read_from": from.to_string(), "transactions": xids.len(), "database": config.database,
    });
    file.write(&header)?;
    for table in &tables {
        saved.rows += written_rows(&here, table, &xids, &mut file).await?;
        if table.deletes > 0 {
            let peers = peer_session(cluster).await;
            saved.deletes += table.deletes;
            saved.keyed += deleted_rows(&here, peers.as_ref(), table, &xids, &mut file).await?;
        }
    }
    file.file.sync_all().map_err(|e| refused(into, &e))?;
    saved.full = file.full.then_some(FILE_MAX);
    Ok(Divergence {
        file: Some(into.display().to_string()),
        rows: saved.rows + saved.keyed,
        note: saved.note(&xids, fork),
        unsaved: saved.unsaved(),
    })
}

/// The end of its log; an error if it is no primary.
async fn end(cluster: &PatroniCluster) -> Result<Position, PortError> {
    Ok(cluster.state().await?.end().map_err(PortError::Refused)?.position)
}

/// End what still writes. A commit that waits for its confirmation is in the log, and its rows are seen by nobody; when its
/// session ends, the next one that waited for the same row commits, and waits. Users' gate to it is closed.
async fn end_writers(here: &Session) -> Result<(), PortError> {
    for _ in 0..ENDINGS_MAX {
        let writers = here
            .ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                     AND (backend_xid IS NOT NULL OR wait_event_type = 'Lock')",
            )
            .await?;
        if writers.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(ENDING).await;
    }
    let what =
        "sessions that passed by its load balancer go on writing to it: end them, and whoever opens them";
    Err(PortError::Refused(what.to_owned()))
}

#[derive(Debug, Default)]
struct Saved {
    /// Where reading began, if the log from the fork to there is gone.
    unread: Option<Lsn>,
    rows: u64,
    deletes: u64,
    keyed: u64,
    /// How many bytes a file may have, if it has them.
    full: Option<u64>,
}

impl Saved {
    /// What is known to be missing. A delete that no key tells is none of it: of a row that was also made after the fork
    /// nothing is left to save.
    fn unsaved(&self) -> Option<String> {
        let unread = self.unread.map(|from| {
            format!(
                "its log from the fork to {from} is gone: what was written there is unknown and NOT saved"
            )
        });
        let full = self.full.map(|max| format!("the file has {max} bytes, its limit: the rest is NOT saved"));
        let all: Vec<String> = unread.into_iter().chain(full).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn note(&self, xids: &[u32], fork: Position) -> String {
        let mut note = format!(
            "{} transactions committed here after the fork at {fork}; saved {} written and {} deleted rows",
            xids.len(),
            self.rows,
            self.keyed
        );
        if self.keyed < self.deletes {
            note += &format!("; {} deletes could not be told by key", self.deletes - self.keyed);
        }
        if let Some(unsaved) = self.unsaved() {
            note += &format!("; {unsaved}");
        }
        note
    }
}

fn refused(path: &Path, error: &std::io::Error) -> PortError {
    PortError::Refused(format!("{}: {error}", path.display()))
}

/// A file of lines that grows up to a limit.
struct Lines {
    file: std::fs::File,
    left: u64,
    /// Something did not fit.
    full: bool,
}

impl Lines {
    fn create(path: &Path, bytes_max: u64) -> Result<Self, PortError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| refused(folder, &e))?;
        }
        // Users' rows: only the owner reads them. A second attempt writes the file anew.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(|e| refused(path, &e))?;
        Ok(Self { file, left: bytes_max, full: false })
    }

    /// Returns whether it is in; once something is not, nothing more will be.
    fn write(&mut self, line: &Value) -> Result<bool, PortError> {
        let line = format!("{line}\n");
        let left = self.left.checked_sub(line.len() as u64).filter(|_| !self.full);
        let Some(left) = left else {
            self.full = true;
            return Ok(false);
        };
        self.left = left;
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| PortError::Refused(format!("can't write the divergence: {e}")))?;
        Ok(true)
    }
}

fn text(row: &SimpleQueryRow, index: usize) -> &str {
    row.get(index).unwrap_or_default()
}

/// The fork, or the first position past it whose log is still on disk: checkpoints remove the oldest
/// segments first. A segment's name is its timeline, then its number in two halves of the position (the
/// manual's section 30.6).
async fn readable_from(here: &Session, fork: Lsn) -> Result<Lsn, PortError> {
    let sql = format!(
        "WITH segment AS (
             SELECT ('x' || substr(name, 9, 8))::bit(32)::bigint * 4294967296
                  + ('x' || substr(name, 17, 8))::bit(32)::bigint * bytes AS first, bytes
             FROM pg_ls_waldir(),
                  LATERAL (SELECT pg_size_bytes(current_setting('wal_segment_size')) AS bytes) AS setting
             WHERE name ~ '^[0-9A-F]{{24}}$')
         SELECT '0/0'::pg_lsn + greatest(min(first), '{fork}'::pg_lsn - '0/0'::pg_lsn) FROM segment
         WHERE first + bytes > '{fork}'::pg_lsn - '0/0'::pg_lsn"
    );
    let rows = here.ask(&sql).await?;
    let first = rows.first().and_then(|row| text(row, 0).parse().ok());
    first.ok_or_else(|| PortError::Refused("its log is not on disk".to_owned()))
}

/// Transactions (and subtransactions) that wrote rows past the fork and committed. The log has the lower 32 bits of
/// their numbers; one is the nearest to the newest that has ended, which may lie before or after it.
async fn committed(here: &Session, from: Lsn, to: Lsn) -> Result<Vec<u32>, SqlError> {
    let sql = format!(
        "WITH wrote AS (
             SELECT DISTINCT xid FROM pg_get_wal_records_info('{from}', '{to}')
             WHERE resource_manager IN ('Heap', 'Heap2') AND xid::text <> '0')
         SELECT xid FROM wrote,
             LATERAL (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ended) AS now
         WHERE pg_xact_status(
             (ended + ((xid::text::bigint - ended + 2147483648) & 4294967295) - 2147483648
             )::text::xid8) = 'committed'"
    );
    let rows = here.ask_within(&sql, READ).await?;
    Ok(rows.iter().filter_map(|row| text(row, 0).parse().ok()).collect())
}

/// Tables of this database that were written to past the fork, with their deletes.
async fn tables(here: &Session, from: Lsn, to: Lsn, xids: &[u32]) -> Result<Vec<Table>, SqlError> {
    let sql = format!(
        "WITH touched AS (
             SELECT (regexp_match(block_ref, 'rel (\\d+)/(\\d+)/(\\d+)'))::oid[] AS rel,
                    record_type LIKE 'DELETE%' AS deletes
             FROM pg_get_wal_records_info('{from}', '{to}')
             WHERE resource_manager IN ('Heap', 'Heap2') AND block_ref LIKE '%rel %'
                 AND xid = ANY ({xids})),
         counted AS (
             SELECT rel, count(*) FILTER (WHERE deletes) AS deletes FROM touched
             WHERE rel[2] = (SELECT oid FROM pg_database WHERE datname = current_database())
             GROUP BY rel)
         SELECT format('%I.%I', n.nspname, c.relname), counted.deletes,
                coalesce((SELECT json_agg(quote_ident(a.attname)) FROM pg_index i
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                    WHERE i.indrelid = c.oid AND i.indisprimary), '[]')
         FROM counted
         JOIN pg_class c ON c.oid = pg_filenode_relation(
             CASE WHEN rel[1] = (SELECT dattablespace FROM pg_database WHERE datname = current_database())
                  THEN 0 ELSE rel[1] END, rel[3])
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
         ORDER BY 1",
        xids = xid_list(xids)
    );
    let rows = here.ask_within(&sql, READ).await?;
    Ok(rows
        .iter()
        .map(|row| Table {
            name: text(row, 0).to_owned(),
            deletes: text(row, 1).parse().unwrap_or(0),
            key: serde_json::from_str(text(row, 2)).unwrap_or_default(),
        })
        .collect())
}

/// The key of a row as a JSON object, or null.
fn key_sql(table: &Table) -> String {
    if table.key.is_empty() {
        return "NULL".to_owned();
    }
    let pairs: Vec<_> =
        table.key.iter().map(|column| format!("'{}', t.{column}", column.replace('\'', "''"))).collect();
    format!("json_build_object({})", pairs.join(", "))
}

fn xid_list(xids: &[u32]) -> String {
    let list: Vec<_> = xids.iter().map(u32::to_string).collect();
    format!("'{{{}}}'::xid[]", list.join(","))
}

/// Rows whose present version was written by one of the transactions.
async fn written_rows(
    here: &Session,
    table: &Table,
    xids: &[u32],
    file: &mut Lines,
) -> Result<u64, PortError> {
    // The cursor outlives its statement, and so each page is a statement of its own.
    let declare = format!(
        "DECLARE bascule_rows CURSOR WITH HOLD FOR SELECT {}, row_to_json(t) FROM {} AS t WHERE t.xmin = ANY ({})",
        key_sql(table),
        table.name,
        xid_list(xids)
    );
    here.ask_within(&declare, READ).await?;
    let mut written = 0;
    loop {
        let rows = here.ask_within(&format!("FETCH {PAGE} FROM bascule_rows"), READ).await?;
        for row in &rows {
            if !file.write(&line(table, "insert_or_update", text(row, 0), text(row, 1)))? {
                break;
            }
            written += 1;
        }
        if rows.len() < PAGE || file.full {
            break;
        }
    }
    here.ask("CLOSE bascule_rows").await?;
    Ok(written)
}

fn line(table: &Table, operation: &str, key: &str, row: &str) -> Value {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    json!({ "table": table.name, "operation": operation, "key": value(key), "row": value(row) })
}

async fn peer_session(cluster: &PatroniCluster) -> Option<Session> {
    let config = cluster.config();
    for member in &config.peers {
        let session = Session::new(login(config, member, &config.database));
        if let Ok(rows) = session.ask("SELECT pg_is_in_recovery()").await
            && rows.first().is_some_and(|row| row.get(0) == Some("f"))
        {
            return Some(session);
        }
    }
    None
}

/// Rows that the active region has unchanged since before the fork, and that are missing here.
async fn deleted_rows(
    here: &Session,
    peer: Option<&Session>,
    table: &Table,
    xids: &[u32],
    file: &mut Lines,
) -> Result<u64, PortError> {
    let (Some(peer), Some(first), false) = (peer, xids.iter().min(), table.key.is_empty()) else {
        return Ok(0);
    };
    let key = key_sql(table);
    let keys = format!("SELECT {key} FROM {} AS t", table.name);
    let own = here.ask_within(&keys, READ).await?;
    let own: BTreeSet<&str> = own.iter().map(|row| text(row, 0)).collect();
    let peers = peer.ask_within(&format!("{keys} WHERE t.xmin::text::bigint < {first}"), READ).await?;
    let missing: Vec<&str> = peers.iter().map(|row| text(row, 0)).filter(|key| !own.contains(key)).collect();
    let mut keyed = 0;
    for some in missing.chunks(KEYS_AT_ONCE) {
        let list: Vec<_> = some.iter().map(|key| format!("'{}'", key.replace('\'', "''"))).collect();
        let sql = format!(
            "SELECT {key}, row_to_json(t) FROM {} AS t WHERE ({key})::text IN ({})",
            table.name,
            list.join(", ")
        );
        for row in &peer.ask_within(&sql, READ).await? {
            keyed += u64::from(file.write(&line(table, "delete", text(row, 0), text(row, 1)))?);
        }
    }
    Ok(keyed)
}

/// Timelines from the first to the present one, each with where it was left.
type History = Vec<(Timeline, Option<Lsn>)>;

/// Both regions' histories, if both can be read.
async fn histories(
    cluster: &PatroniCluster,
    session: &Session,
    timeline: Timeline,
) -> Result<Option<(History, History)>, PortError> {
    let own = history(session, timeline).await?;
    let Some(peer) = peer_session(cluster).await else { return Ok(None) };
    let timeline = timeline_of(&peer).await?;
    Ok(Some((own, history(&peer, timeline).await?)))
}

/// The timeline a primary writes on.
async fn timeline_of(primary: &Session) -> Result<Timeline, PortError> {
    let sql = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int";
    let rows = primary.ask(sql).await?;
    let timeline = rows.first().and_then(|row| text(row, 0).parse().ok()).map(Timeline);
    timeline.ok_or_else(|| PortError::Refused("a primary's timeline is unknown".to_owned()))
}

/// The timeline of the other region's primary.
pub(super) async fn peer_timeline(cluster: &PatroniCluster) -> Result<Timeline, PortError> {
    let peer = peer_session(cluster).await;
    let peer =
        peer.ok_or_else(|| PortError::Refused("the active region's primary does not answer".to_owned()))?;
    timeline_of(&peer).await
}

async fn history(session: &Session, timeline: Timeline) -> Result<History, PortError> {
    if timeline.0 <= 1 {
        return Ok(vec![(timeline, None)]);
    }
    let rows = session.ask(&format!("SELECT pg_read_file('pg_wal/{:08X}.history')", timeline.0)).await?;
    let mut history = parse_history(rows.first().map_or("", |row| text(row, 0)));
    history.push((timeline, None));
    Ok(history)
}

fn parse_history(text: &str) -> History {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((Timeline(words.next()?.parse().ok()?), Some(words.next()?.parse().ok()?)))
        })
        .collect()
}

/// Where two histories part: the first timeline that they left at different places, at the earlier one. If
/// they agree to the end, they parted where their last timeline began: both are primaries.
fn common(own: &History, peer: &History) -> Option<Position> {
    let mut began = None;
    for ((timeline, left), (other, other_left)) in own.iter().zip(peer) {
        if timeline != other {
            break;
        }
        match (left, other_left) {
            (Some(a), Some(b)) if a == b => began = Some(Position { timeline: *timeline, lsn: *a }),
            (Some(a), Some(b)) => return Some(Position { timeline: *timeline, lsn: (*a).min(*b) }),
            (Some(lsn), None) | (None, Some(lsn)) => {
                return Some(Position { timeline: *timeline, lsn: *lsn });
            }
            (None, None) => break,
        }
    }
    began
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str, last: u32) -> History {
        let mut history = parse_history(text);
        history.push((Timeline(last), None));
        history
    }

    fn at(timeline: u32, lsn: &str) -> Option<Position> {
        Some(Position { timeline: Timeline(timeline), lsn: lsn.parse().unwrap() })
    }

    #[test]
    fn a_file_that_is_full_takes_nothing_more_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = Lines::create(&path, 6).unwrap();
        assert!(lines.write(&json!(1)).unwrap() && !lines.full);
        assert!(!lines.write(&json!("long")).unwrap() && !lines.write(&json!(2)).unwrap());
        assert!(lines.full, "what came later would have a gap before it");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n");
        let saved = Saved { full: Some(6), ..Saved::default() };
        assert_eq!(saved.unsaved().unwrap(), "the file has 6 bytes, its limit: the rest is NOT saved");
        assert_eq!(Saved { deletes: 1, ..Saved::default() }.unsaved(), None);
    }

    #[test]
    fn histories_part_at_the_earlier_end_of_the_first_timeline_they_left_differently() {
        let own = history("1 0/60 x", 2);
        let peer = history("1 0/50 x", 2);
        assert_eq!(common(&own, &peer), at(1, "0/50"), "both called their new timeline 2");
        let moved_on = history("1 0/50 x\n2 0/70 x", 3);
        assert_eq!(common(&own, &moved_on), at(1, "0/50"), "the active region failed over inside since");
    }

    #[test]
    fn a_region_that_never_left_parts_where_the_other_left() {
        assert_eq!(common(&history("", 1), &history("1 0/50 x", 2)), at(1, "0/50"));
    }

    #[test]
    fn equal_histories_part_where_the_last_timeline_began() {
        assert_eq!(common(&history("1 0/50 x", 2), &history("1 0/50 x", 2)), at(1, "0/50"));
    }
}
