//! The pool against a real PgBouncer.

use std::time::Duration;

use bascule_core::observation::PoolObservation;
use bascule_core::ports::{Pool as _, PortError};
use bascule_providers::Secret;
use bascule_providers::pgbouncer::{PgbouncerPool, PoolConfig};
use tokio::time::timeout;

use crate::process::free_port;
use crate::sql::Pooled;

/// Long enough for anything that would come to have come: a hold takes 3 ms.
const A_WHILE: Duration = Duration::from_millis(300);
/// For what must come.
const SOON: Duration = Duration::from_secs(10);

async fn seen(pool: &PgbouncerPool) -> PoolObservation {
    pool.observe().await.seen().copied().expect("the pool answers")
}

#[tokio::test]
async fn held_statements_wait_and_go_on_without_an_error() {
    let pooled = Pooled::start().await;
    let (pool, user) = (pooled.pool(), pooled.session().await);
    pool.hold().await.unwrap();
    assert!(seen(&pool).await.held);
    let mut writing =
        tokio::spawn(async move { user.batch_execute("INSERT INTO notes VALUES ('held')").await });
    assert!(timeout(A_WHILE, &mut writing).await.is_err(), "it waits");
    pool.release().await.unwrap();
    timeout(SOON, writing).await.unwrap().unwrap().unwrap();
    assert!(!seen(&pool).await.held);
}

#[tokio::test]
async fn holding_and_releasing_twice_changes_nothing() {
    let pooled = Pooled::start().await;
    let pool = pooled.pool();
    pool.release().await.expect("it is not held");
    pool.hold().await.unwrap();
    pooled.pool().hold().await.expect("another controller finds it done");
    pool.release().await.unwrap();
    pooled.pool().release().await.expect("another controller finds it done");
    assert!(!seen(&pool).await.held);
}

#[tokio::test]
async fn a_hold_waits_for_the_transaction_under_way() {
    let pooled = Pooled::start().await;
    let (pool, user) = (pooled.pool(), pooled.session().await);
    user.batch_execute("BEGIN; INSERT INTO notes VALUES ('under way')").await.unwrap();
    let mut holding = tokio::spawn(async move { pool.hold().await });
    assert!(timeout(A_WHILE, &mut holding).await.is_err(), "a transaction is under way");
    user.batch_execute("COMMIT").await.expect("it is let finish");
    timeout(SOON, holding).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_second_hold_after_one_that_was_given_up_still_waits_for_the_transaction() {
    let pooled = Pooled::start().await;
    let user = pooled.session().await;
    user.batch_execute("BEGIN; INSERT INTO notes VALUES ('under way')").await.unwrap();
    let first = pooled.pool();
    assert!(timeout(A_WHILE, first.hold()).await.is_err());
    drop(first);
    let second = pooled.pool();
    let mut holding = tokio::spawn(async move { second.hold().await });
    assert!(timeout(A_WHILE, &mut holding).await.is_err(), "the transaction is still under way");
    user.batch_execute("COMMIT").await.unwrap();
    timeout(SOON, holding).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_hold_that_was_given_up_can_be_released() {
    let pooled = Pooled::start().await;
    let (pool, user, other) = (pooled.pool(), pooled.session().await, pooled.session().await);
    user.batch_execute("BEGIN; INSERT INTO notes VALUES ('under way')").await.unwrap();
    assert!(timeout(A_WHILE, pool.hold()).await.is_err());
    pool.release().await.unwrap();
    timeout(SOON, other.batch_execute("INSERT INTO notes VALUES ('other')")).await.unwrap().unwrap();
    user.batch_execute("COMMIT").await.unwrap();
    assert!(!seen(&pool).await.held);
}

#[tokio::test]
async fn a_pool_that_is_gone_is_not_observed_and_not_held() {
    let pool = PgbouncerPool::new(PoolConfig {
        admin: ([127, 0, 0, 1], free_port()).into(),
        user: "admin".to_owned(),
        password: Secret::new("x"),
        database: "events".to_owned(),
    });
    assert!(pool.observe().await.seen().is_none());
    let held = pool.hold().await;
    assert!(matches!(held, Err(PortError::Refused(_))), "{held:?}");
}
