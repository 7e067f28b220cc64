//! Patroni's and PostgreSQL's answers, read: pure. Formats: Patroni 4.1 REST API (`GET /cluster`),
//! PostgreSQL 15 manual, sections 9.27 and 28.2.

use std::collections::BTreeMap;

use bascule_core::id::MemberName;
use bascule_core::observation::{ClusterRole, DatabaseObservation, MemberObservation};
use bascule_core::ports::{LogEnd, Progress};
use bascule_core::position::{Lsn, Position, Timeline};
use serde::Deserialize;

/// `GET /cluster`. Patroni adds keys from version to version: what is not used is not looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Cluster {
    pub members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub name: MemberName,
    pub role: String,
    pub state: String,
    pub timeline: Option<u32>,
    /// Bytes, or `"unknown"`.
    pub lag: Option<serde_json::Value>,
}

impl Member {
    fn leads(&self) -> bool {
        self.role == "leader" || self.role == "standby_leader"
    }
}

impl Cluster {
    pub(super) fn leader(&self) -> Option<&MemberName> {
        self.members.iter().find(|m| m.leads()).map(|m| &m.name)
    }
}

/// The leader's own word about itself, in one row of text cells. A standby that receives nothing at the
/// moment is on the timeline of its newest log file: the control file may be as old as its last restart
/// point.
pub(super) const STATE_SQL: &str = "
    SELECT in_recovery,
           (SELECT system_identifier FROM pg_control_system()),
           CASE WHEN in_recovery THEN coalesce(receiver.received_tli,
                    (SELECT ('x' || max(substr(name, 1, 8)))::bit(32)::int FROM pg_ls_waldir()
                        WHERE name ~ '^[0-9A-F]{24}$'))
                ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
           CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END,
           CASE WHEN in_recovery THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END,
           CASE WHEN in_recovery THEN
               round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000) END,
           coalesce(receiver.status = 'streaming', false),
           round(extract(epoch FROM clock_timestamp() - receiver.last_msg_receipt_time) * 1000),
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
                AND usename NOT IN (current_user, 'postgres'))
           + (SELECT count(*) FROM pg_prepared_xacts),
           (SELECT json_object_agg(application_name, round(extract(epoch FROM flush_lag) * 1000000))
                FROM pg_stat_replication)
    FROM (SELECT pg_is_in_recovery() AS in_recovery) AS recovery
    LEFT JOIN pg_stat_wal_receiver AS receiver ON true";

/// What the names of keepers' permits begin with.
const PERMITS: &str = "bascule_";

/// What [`STATE_SQL`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub in_recovery: bool,
    pub system_id: String,
    /// Written or replayed.
    pub position: Option<Position>,
    pub received: Option<Position>,
    pub newest_age_ms: Option<u64>,
    pub streaming: bool,
    pub silent_ms: Option<u64>,
    pub clients: u32,
    /// After how many microseconds each follower had the log on its disk.
    pub followers: BTreeMap<String, Option<u64>>,
}

impl State {
    /// From the row's cells, in order.
    pub(super) fn read(cells: &[Option<&str>]) -> Result<Self, String> {
        let [recovery, system, timeline, position, received, age, streaming, silent, clients, followers] =
            cells
        else {
            return Err(format!("{} cells, where 10 are expected", cells.len()));
        };
        let flag = |cell: &Option<&str>| match cell {
            Some("t") => Ok(true),
            Some("f") => Ok(false),
            other => Err(format!("{other:?} is not a boolean")),
        };
        let timeline = timeline.and_then(|t| t.parse().ok()).map(Timeline);
        let at = |cell: &Option<&str>| -> Result<Option<Position>, String> {
            let lsn = cell.map(str::parse::<Lsn>).transpose().map_err(|e| e.to_string())?;
            Ok(timeline.zip(lsn).map(|(timeline, lsn)| Position { timeline, lsn }))
        };
        // A clock that differs from the primary's may make an age negative: then it is as young as can be.
        let age_ms = |cell: &Option<&str>| -> Result<Option<u64>, String> {
            let number = cell.map(str::parse::<f64>).transpose().map_err(|e| e.to_string())?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rounded, and not negative
            Ok(number.map(|n| n.max(0.0) as u64))
        };
        Ok(Self {
            in_recovery: flag(recovery)?,
            system_id: system.ok_or("no system identifier")?.to_owned(),
            position: at(position)?,
            received: at(received)?,
            newest_age_ms: age_ms(age)?,
            streaming: flag(streaming)?,
            silent_ms: age_ms(silent)?,
            clients: clients.and_then(|c| c.parse().ok()).ok_or("no count of clients")?,
            followers: followers
                .map_or_else(|| Ok(BTreeMap::new()), serde_json::from_str)
                .map_err(|e| e.to_string())?,
        })
    }

    /// The fastest follower that is of no member of its own cluster, nor a keeper's permit, which keeps nothing.
    fn followed_after_us(&self, cluster: &Cluster) -> Option<u64> {
        let own = |name: &str| cluster.members.iter().any(|m| m.name.as_str() == name);
        let permit = |name: &str| name.starts_with(PERMITS);
        let far = self.followers.iter().filter(|(name, _)| !own(name) && !permit(name));
        far.filter_map(|(_, after_us)| *after_us).min()
    }

    pub(super) fn end(&self) -> Result<LogEnd, String> {
        if self.in_recovery {
            return Err("it is in recovery, so its log has no end of its own".to_owned());
        }
        let position = self.position.ok_or("its position is not known")?;
        Ok(LogEnd { position, clients: self.clients })
    }

    pub(super) fn progress(&self) -> Result<Progress, String> {
        if !self.in_recovery {
            return Err("it is not in recovery, so it replays nothing".to_owned());
        }
        Ok(Progress {
            received: self.received.ok_or("what it received is not known")?,
            replayed: self.position.ok_or("what it replayed is not known")?,
            newest_age_ms: self.newest_age_ms,
            streaming: self.streaming,
            silent_ms: self.silent_ms,
        })
    }
}

/// The cluster, from Patroni's word and its leader's; the latter may be missing.
pub(super) fn observation(cluster: &Cluster, state: Option<&State>) -> DatabaseObservation {
    let role = match (cluster.members.iter().find(|m| m.leads()), state) {
        (None, _) => ClusterRole::Leaderless,
        // PostgreSQL's own word about recovery goes before Patroni's, which may be a loop old.
        (Some(_), Some(state)) if !state.in_recovery => ClusterRole::Primary,
        // A primary's leader in recovery is starting, or about to promote: it does not lead yet.
        (Some(leader), Some(_)) if leader.role == "leader" => ClusterRole::Leaderless,
        (Some(leader), None) if leader.role == "leader" => ClusterRole::Primary,
        (Some(_), Some(_) | None) => ClusterRole::Standby,
    };
    let members = cluster.members.iter().map(|m| MemberObservation {
        name: m.name.clone(),
        leads: m.leads(),
        state: m.state.clone(),
        timeline: m.timeline.map(Timeline),
        lag_bytes: m.lag.as_ref().and_then(serde_json::Value::as_u64),
    });
    DatabaseObservation {
        role,
        leader: cluster.leader().cloned(),
        system_id: state.map_or_else(String::new, |s| s.system_id.clone()),
        position: state.and_then(|s| s.position),
        received: state.and_then(|s| s.received),
        newest_replayed_age_ms: state.and_then(|s| s.newest_age_ms),
        streaming: state.is_some_and(|s| s.streaming),
        silent_ms: state.and_then(|s| s.silent_ms),
        followed_after_us: state.and_then(|s| s.followed_after_us(cluster)),
        members: members.collect(),
    }
}

/// A record of the log, as `pg_get_wal_records_info` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub end: Lsn,
    pub manager: String,
    pub kind: String,
}

/// Where the log ends, if its last record is the shutdown checkpoint. What stands before it is replayed
/// with it: with nobody connected, that is only what the server writes by itself (autovacuum's
/// transactions among it).
pub(super) fn shutdown_record(records: &[Record]) -> Option<Lsn> {
    let last = records.last();
    last.filter(|r| r.manager == "XLOG" && r.kind == "CHECKPOINT_SHUTDOWN").map(|r| r.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = r#"{"members": [
        {"name": "w-db1", "role": "standby_leader", "state": "streaming", "api_url": "x", "timeline": 2, "lag": 0},
        {"name": "w-db2", "role": "replica", "state": "streaming", "timeline": 2, "lag": "unknown"},
        {"name": "w-db3", "role": "replica", "state": "stopped"}], "scope": "w"}"#;

    #[test]
    fn a_cluster_is_read_with_what_it_does_not_say() {
        let cluster: Cluster = serde_json::from_str(CLUSTER).unwrap();
        let seen = observation(&cluster, None);
        assert_eq!((seen.role, seen.well()), (ClusterRole::Standby, (2, 3)));
        assert_eq!(seen.members[1].lag_bytes, None);
        assert_eq!(seen.position, None, "the leader's SQL was not asked");
    }

    #[test]
    fn a_cluster_without_leader_is_leaderless() {
        let cluster: Cluster =
            serde_json::from_str(r#"{"members": [{"name": "a", "role": "replica", "state": "running"}]}"#)
                .unwrap();
        assert_eq!(observation(&cluster, None).role, ClusterRole::Leaderless);
    }

    fn standby() -> Vec<Option<&'static str>> {
        vec![
            Some("t"),
            Some("71"),
            Some("2"),
            Some("0/50"),
            Some("0/60"),
            Some("12"),
            Some("t"),
            Some("3"),
            Some("0"),
            None,
        ]
    }

    #[test]
    fn what_follows_from_the_other_region_is_neither_a_replica_nor_a_permit() {
        let cluster: Cluster = serde_json::from_str(CLUSTER).unwrap();
        let after = |followers: &'static str| {
            let mut row = standby();
            (row[0], row[9]) = (Some("f"), Some(followers));
            observation(&cluster, Some(&State::read(&row).unwrap())).followed_after_us
        };
        assert_eq!(after(r#"{"w-db2": 100, "bascule_a": 50, "e-db1": 31000, "e-db2": 40000}"#), Some(31_000));
        assert_eq!(after(r#"{"w-db2": 100, "e-db1": null}"#), None, "idle");
    }

    #[test]
    fn a_standbys_row_is_progress_and_no_end() {
        let state = State::read(&standby()).unwrap();
        let progress = state.progress().unwrap();
        assert_eq!((progress.replayed.lsn, progress.received.lsn), (Lsn(0x50), Lsn(0x60)));
        assert!(state.end().is_err());
    }

    #[test]
    fn an_unknown_timeline_is_no_position() {
        let mut row = standby();
        row[2] = None;
        assert!(State::read(&row).unwrap().progress().is_err());
    }

    #[test]
    fn an_age_that_clocks_make_negative_is_zero() {
        let mut row = standby();
        row[5] = Some("-7");
        assert_eq!(State::read(&row).unwrap().newest_age_ms, Some(0));
    }

    fn record(end: u64, manager: &str, kind: &str) -> Record {
        Record { end: Lsn(end), manager: manager.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn only_a_last_shutdown_checkpoint_ends_a_log() {
        let snapshot = record(8, "Standby", "RUNNING_XACTS");
        let shutdown = record(9, "XLOG", "CHECKPOINT_SHUTDOWN");
        assert_eq!(shutdown_record(&[snapshot.clone(), shutdown.clone()]), Some(Lsn(9)));
        assert_eq!(shutdown_record(&[shutdown, snapshot]), None);
        assert_eq!(shutdown_record(&[]), None);
    }
}
