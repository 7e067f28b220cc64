//! The log's end and its last record, against a real primary and a real standby.

use std::time::Duration;

use bascule_core::ports::{Log as _, PortError};
use tokio::time::timeout;

use crate::postgres::{Postgres, cluster};

/// For what must come; it takes milliseconds.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_shutdown_checkpoint_is_found_once_it_is_the_standbys_last_record() {
    let mut primary = Postgres::start().await;
    primary.run_sql("CREATE EXTENSION pg_walinspect; CREATE TABLE notes (note text)").await;
    let mut standby = primary.standby().await;
    standby.catches_up_with(&primary).await;
    let (old, new) =
        (cluster(&primary, "leader", &standby).await, cluster(&standby, "standby_leader", &primary).await);
    let end = old.end().await.unwrap();
    assert_eq!(new.shutdown_record(end.position.lsn).await, Ok(None), "it is not stopped");
    primary.run_sql("INSERT INTO notes VALUES ('later')").await;
    standby.catches_up_with(&primary).await;
    assert_eq!(new.shutdown_record(end.position.lsn).await, Ok(None), "a commit is no end");
    primary.stop().await;
    let found = async {
        loop {
            if let Some(last) = new.shutdown_record(end.position.lsn).await.unwrap() {
                break last;
            }
        }
    };
    let last = timeout(SOON, found).await.expect("it is found");
    assert!(last.lsn > end.position.lsn && last.timeline == end.position.timeline);
    assert_eq!(new.progress().await.unwrap().replayed, last, "nothing came after it");
}

#[tokio::test]
async fn a_user_who_is_connected_keeps_the_end_from_being_the_end() {
    let primary = Postgres::start().await;
    primary
        .run_sql("CREATE ROLE events LOGIN SUPERUSER PASSWORD 'not a secret'; CREATE TABLE notes (note text)")
        .await;
    let old = cluster(&primary, "leader", &primary).await;
    assert_eq!(old.end().await.unwrap().clients, 0, "the manager's own sessions are no users");
    let user = crate::postgres::connect(primary.port, "events", "postgres").await.unwrap();
    assert_eq!(old.end().await.unwrap().clients, 1);
    drop(user);
    let gone = async { while old.end().await.unwrap().clients > 0 {} };
    timeout(SOON, gone).await.expect("a session that ended is not counted");
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_made_anew() {
    let primary = Postgres::start().await;
    let old = cluster(&primary, "leader", &primary).await;
    let before = old.end().await.unwrap();
    primary
        .run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bascule'")
        .await;
    assert_eq!(old.end().await.map(|end| end.clients), Ok(before.clients));
}

#[tokio::test]
async fn a_primary_has_no_progress_and_a_standby_no_end() {
    let primary = Postgres::start().await;
    let standby = primary.standby().await;
    let (old, new) =
        (cluster(&primary, "leader", &standby).await, cluster(&standby, "standby_leader", &primary).await);
    assert!(matches!(old.progress().await, Err(PortError::Refused(_))));
    assert!(matches!(new.end().await, Err(PortError::Refused(_))));
    assert_eq!(old.fork().await, Ok(None), "the first timeline has no parent");
}

#[tokio::test]
async fn the_fork_is_where_the_promoted_one_left_the_first_timeline() {
    let primary = Postgres::start().await;
    let mut standby = primary.standby().await;
    standby.catches_up_with(&primary).await;
    let new = cluster(&standby, "leader", &primary).await;
    let received = new.progress().await.unwrap().received;
    standby.promote().await;
    assert_eq!(new.fork().await, Ok(Some(received)));
}
