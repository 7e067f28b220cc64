//! What members of a database cluster are asked, in SQL, and how their answers are read.
//!
//! Every statement only reads. What an answer lacks is an error that says so, and never a default.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Parameters that must be equal on both sides, with the reason of each group. PostgreSQL 15 manual, section 27.4.5
/// ("Hot Standby Parameter Reference"): the first five stop a standby that has less than its primary.
pub(crate) const MUST_BE_EQUAL: &[&str] = &[
    "max_connections",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "max_wal_senders",
    "max_worker_processes",
    // what the log holds, and how long it is kept for whoever follows
    "wal_level",
    "wal_log_hints",
    "wal_segment_size",
    "block_size",
    "full_page_writes",
    "track_commit_timestamp",
    "max_replication_slots",
    "wal_keep_size",
    "max_slot_wal_keep_size",
    "data_checksums",
    // what a commit promises, and what a statement may do
    "fsync",
    "synchronous_commit",
    "default_transaction_isolation",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    // what the same data means
    "server_encoding",
    "lc_messages",
    "timezone",
    "datestyle",
    "intervalstyle",
    "standard_conforming_strings",
    // what the same statement costs: the site must carry its load over there too
    "shared_buffers",
    "work_mem",
    "maintenance_work_mem",
    "max_wal_size",
    "checkpoint_timeout",
    "random_page_cost",
    "default_statistics_target",
    "jit",
    "shared_preload_libraries",
    "password_encryption",
    "ssl",
];

/// One question for all that any user may see.
pub(crate) fn member_sql() -> String {
    let names: Vec<String> = MUST_BE_EQUAL.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "SELECT json_build_object(
            'version', current_setting('server_version'),
            'parameters', (SELECT json_object_agg(lower(name), current_setting(name)) FROM pg_settings
                WHERE lower(name) IN ({})),
            'slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE NOT temporary),
            'followers', (SELECT coalesce(json_agg(application_name), '[]') FROM pg_stat_replication),
            'unconfirmed', (SELECT coalesce(json_agg(format('%s%s', whose, setting)), '[]') FROM (
                SELECT 'synchronous_commit=' || reset_val AS setting, '' AS whose FROM pg_settings
                    WHERE name = 'synchronous_commit'
                UNION ALL
                SELECT setting, concat_ws(' ', 'role ' || r.rolname, 'database ' || d.datname) || ': '
                    FROM pg_db_role_setting AS own
                    LEFT JOIN pg_roles AS r ON r.oid = setrole
                    LEFT JOIN pg_database AS d ON d.oid = setdatabase, unnest(setconfig) AS setting) AS said
                WHERE setting ~* '^synchronous_commit=(off|local|false|no|0)$'),
            'rewindable', current_setting('wal_log_hints') = 'on' OR current_setting('data_checksums') = 'on',
            'sessions', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
            'sessions_max', current_setting('max_connections')::int,
            'memory', current_setting('shared_buffers'),
            'commits_wait_for', (SELECT CASE WHEN reset_val IN ('off', 'local')
                THEN 'nobody (synchronous_commit = ' || reset_val || ')'
                ELSE current_setting('synchronous_standby_names') END
                FROM pg_settings WHERE name = 'synchronous_commit'))",
        names.join(", ")
    )
}

/// What [`member_sql`] says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub version: String,
    pub parameters: BTreeMap<String, String>,
    pub slots: BTreeSet<String>,
    /// The names that who streams from it gives itself.
    pub followers: BTreeSet<String>,
    /// Settings of `synchronous_commit` under which a commit waits for no standby, the server's and those that a role or
    /// a database has of its own (PostgreSQL 15 manual, section 20.5.1; the enum takes `false`, `no` and `0` for `off`).
    pub unconfirmed: BTreeSet<String>,
    /// Whether an old primary's pages can be told from the new one's.
    pub rewindable: bool,
    pub sessions: u64,
    pub sessions_max: u64,
    pub memory: String,
    /// Whose confirmation a commit waits for.
    pub commits_wait_for: String,
}

/// The clock, in milliseconds since the epoch.
pub(crate) const CLOCK_SQL: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Whom it lets in, one rule a row, in order: the first that fits counts. The second cell leaves out its options, which may
/// hold the password of a directory.
pub(crate) const RULES_SQL: &str = "SELECT coalesce(error, concat_ws(' ', rule, options::text)), coalesce(error, rule)
    FROM (SELECT *, concat_ws(' ', type, database::text, user_name::text, address, netmask, auth_method) AS rule
          FROM pg_hba_file_rules) AS said ORDER BY line_number";

/// How far the kept log reaches back: the age of the oldest file in use, in seconds, how many bytes are always kept,
/// and where the log ends. Files past its end are recycled ones, with the age of what they once held.
pub(crate) const LOG_SQL: &str = "
    WITH now AS (SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_lsn() END - '0/0')::bigint AS at,
                pg_size_bytes(current_setting('wal_segment_size')) AS bytes),
         file AS (SELECT modification, ('x' || substr(name, 9, 8))::bit(32)::bigint * 4294967296
                + ('x' || substr(name, 17, 8))::bit(32)::bigint * now.bytes AS first
                FROM pg_ls_waldir(), now WHERE name ~ '^[0-9A-F]{24}$')
    SELECT round(extract(epoch FROM clock_timestamp() - min(modification)))::bigint,
           pg_size_bytes(current_setting('wal_keep_size')), now.at
    FROM file, now WHERE file.first <= now.at GROUP BY now.at";

/// What [`LOG_SQL`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    pub oldest_s: u64,
    pub kept_bytes: u64,
    pub end: u64,
}

impl Log {
    pub fn read(rows: &[Vec<Option<String>>]) -> Result<Self, String> {
        let number = |index: usize| {
            let cell = rows.first().and_then(|row| row.get(index)?.as_deref());
            cell.and_then(|cell| cell.parse::<i64>().ok()).map(|number| u64::try_from(number).unwrap_or(0))
        };
        match (number(0), number(1), number(2)) {
            (Some(oldest_s), Some(kept_bytes), Some(end)) => Ok(Self { oldest_s, kept_bytes, end }),
            (_, _, _) => Err("it does not say how far back its log reaches".to_owned()),
        }
    }

    /// How far back, in seconds: as far as it reaches now, or as far as what is always kept lasts at the pace between
    /// two looks, but then [`LASTS_MAX_S`] at most.
    pub fn reaches_s(self, later: Log, between: std::time::Duration) -> u64 {
        let written = u128::from(later.end.saturating_sub(self.end)).max(1);
        let lasts_s = u128::from(later.kept_bytes) * between.as_millis() / written / 1000;
        let lasts_s = u64::try_from(lasts_s).unwrap_or(LASTS_MAX_S).min(LASTS_MAX_S);
        later.oldest_s.max(lasts_s)
    }
}

/// An hour: of more than that, a pace that was measured in a fraction of a second says nothing.
const LASTS_MAX_S: u64 = 3_600;

/// The single cell of a single row, as JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(rows: &[Vec<Option<String>>]) -> Result<T, String> {
    let cell = rows.first().and_then(|row| row.first()?.as_deref()).ok_or("it answered no row")?;
    serde_json::from_str(cell).map_err(|e| format!("its answer can't be read: {e}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_kept_log_reaches_back_as_far_as_it_does_or_as_it_lasts_at_the_present_pace() {
        let log = |oldest_s, end| Log { oldest_s, kept_bytes: 96 << 20, end };
        let reach =
            |oldest, written| log(oldest, 0).reaches_s(log(oldest, written), Duration::from_millis(500));
        assert_eq!(reach(3_600, 96 << 20), 3_600, "it reaches back an hour, whatever is written now");
        assert_eq!(reach(10, 1 << 20), 48, "96 MB at 2 MB/s");
        assert_eq!(reach(10, 0), LASTS_MAX_S, "nothing is written now: that is no promise for the night");
        assert_eq!(reach(90_000, 0), 90_000, "it is there");
    }

    #[test]
    fn an_answer_that_lacks_something_is_an_error() {
        let row = |cells: &[Option<&str>]| vec![cells.iter().map(|c| c.map(str::to_owned)).collect()];
        let log = Log::read(&row(&[Some("12"), Some("100"), Some("5")]));
        assert_eq!(log, Ok(Log { oldest_s: 12, kept_bytes: 100, end: 5 }));
        assert!(Log::read(&row(&[Some("12"), None, Some("5")])).is_err() && Log::read(&[]).is_err());
        assert!(json::<Member>(&row(&[Some("{\"version\": \"15\"}")])).is_err());
    }
}
