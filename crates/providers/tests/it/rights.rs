//! What the management user may do, asked of a real server by a user that is no superuser.

use bascule_core::ports::{Database as _, Log as _};

use crate::postgres::{PASSWORD, Postgres, cluster_of};

const USER: &str = "mover";

/// Each right's grant, as its remedy names it, and what takes it back.
const GRANTS: &[(&str, &str, &str)] = &[
    (
        "list the log's files",
        "GRANT EXECUTE ON FUNCTION pg_ls_waldir() TO mover",
        "REVOKE EXECUTE ON FUNCTION pg_ls_waldir() FROM mover",
    ),
    (
        "see users' sessions and followers",
        "GRANT pg_read_all_stats TO mover",
        "REVOKE pg_read_all_stats FROM mover",
    ),
    ("checkpoint", "GRANT pg_checkpoint TO mover", "REVOKE pg_checkpoint FROM mover"),
    ("end sessions", "GRANT pg_signal_backend TO mover", "REVOKE pg_signal_backend FROM mover"),
    (
        "see where the data is",
        "GRANT pg_read_all_settings TO mover",
        "REVOKE pg_read_all_settings FROM mover",
    ),
    (
        "write files of timelines",
        "GRANT pg_write_server_files TO mover",
        "REVOKE pg_write_server_files FROM mover",
    ),
    (
        "read files of timelines",
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO mover",
        "REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM mover",
    ),
    (
        "read the log's records",
        "CREATE EXTENSION pg_walinspect; GRANT pg_read_server_files TO mover",
        "DROP EXTENSION pg_walinspect",
    ),
    ("follow the log", "ALTER ROLE mover REPLICATION", "ALTER ROLE mover NOREPLICATION"),
    ("read what users wrote", "GRANT pg_read_all_data TO mover", "REVOKE pg_read_all_data FROM mover"),
];

async fn refused(server: &Postgres, peer: &Postgres) -> Vec<&'static str> {
    let cluster = cluster_of(server, "leader", peer, USER).await;
    let rights = cluster.rights(&"here".parse().unwrap()).await.unwrap();
    rights.into_iter().filter(|right| !right.granted).map(|right| right.what).collect()
}

#[tokio::test]
async fn each_right_that_is_taken_is_missed_and_those_that_are_asked_for_suffice_for_a_promotion() {
    let primary = Postgres::start().await;
    primary.run_sql(&format!("CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")).await;
    let all: Vec<_> = GRANTS.iter().map(|(what, _, _)| *what).collect();
    assert_eq!(refused(&primary, &primary).await, all, "a user that may log in may do no more");
    for (_, grant, _) in GRANTS {
        primary.run_sql(grant).await;
    }
    assert_eq!(refused(&primary, &primary).await, [""; 0]);
    for (what, grant, revoke) in GRANTS {
        primary.run_sql(revoke).await;
        assert_eq!(refused(&primary, &primary).await, [*what]);
        primary.run_sql(grant).await;
    }

    let mut standby = primary.standby().await;
    standby.catches_up_with(&primary).await;
    let old = cluster_of(&primary, "leader", &standby, USER).await;
    old.checkpoint().await.unwrap();
    old.end_waiting().await.unwrap();
    let end = old.end().await.unwrap();
    let new = cluster_of(&standby, "standby_leader", &primary, USER).await;
    standby.catches_up_with(&primary).await;
    assert_eq!(new.shutdown_record(end.position.lsn).await, Ok(None), "its records can be read");
    // the manager is told by `new`, and its part is played by the superuser
    let (promoted, ()) = tokio::join!(new.promote(), standby.promote());
    promoted.unwrap();
    assert!(new.fork().await.unwrap().is_some());
}

/// What it proves can be done without, and a move that is past its commit point must not end for it.
#[tokio::test]
async fn a_log_that_may_not_be_read_stops_no_move_and_its_right_is_missed_before() {
    let primary = Postgres::start().await;
    let mut standby = primary.standby().await;
    let new = cluster_of(&standby, "standby_leader", &primary, "postgres").await;
    let from = primary.value("SELECT pg_current_wal_lsn()").await.parse().unwrap();
    primary.run_sql("CREATE TABLE notes (note text)").await;
    standby.catches_up_with(&primary).await;
    assert_eq!(new.shutdown_record(from).await, Ok(None));
    let rights = new.rights(&"here".parse().unwrap()).await.unwrap();
    let refused: Vec<_> = rights.iter().filter(|right| !right.granted).map(|right| right.what).collect();
    assert_eq!(refused, ["read the log's records"], "also of a superuser, without the extension");
}
