//! The database: a pool of connections, and one way to run a statement that knows what a failure means.
//!
//! It runs behind PgBouncer in *transaction* pooling, where the next statement may meet another server
//! session. So nothing here keeps session state: every statement is unnamed (parsed, bound and run in one
//! round trip, with its parameters' types given), and there is no `SET`, no `LISTEN`, no named statement.
//!
//! Invariants: no statement begins on a connection whose address the database's name has left, nor on one past
//! its lifetime, and none waits on such a connection for longer than [`GRACE`]. A connection goes back to the pool only after its answer
//! was read to the end; one dropped in the middle (time-out, client gone) is closed, which also takes a
//! statement that PgBouncer still holds out of its queue.
//!
//! The race it handles: a connection that dies, or whose region does, while a statement is under way. If the statement may be
//! repeated it is; if not, the user is told that the outcome is unknown. It is never sent twice.
//!
//! Left out: checking a connection before use. That would cost a round trip a request, and would not close
//! the race.

use std::pin::pin;
use std::time::Duration;

use deadpool::Status;
use deadpool::managed::{BuildError, Object};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::config::Config;
use crate::deadline::Deadline;
use crate::envelope::Problem;
use crate::metrics::{Metrics, Setback};
use crate::names::{Addresses, Resolver};
use crate::pool::{Connector, Place, Pool};

/// TCP connect. A lost SYN is sent again after 1 s, so 2 s survives one loss.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection is used. A moved name is followed at once (see `names`); this is for what moves behind
/// an address, such as a balanced pool. At 8 connections it costs one new connection every 4 s.
pub const MAX_LIFETIME: Duration = Duration::from_secs(30);

/// Unacknowledged data, or unanswered keepalives, for this long: the peer is gone (RFC 5482). A hold does not
/// count, because a holding peer still acknowledges. Above the 0.2–1.6 s of TCP's first retransmissions.
const USER_TIMEOUT: Duration = Duration::from_secs(3);

/// First keepalive after 2 s without traffic, then each second: with [`USER_TIMEOUT`] a silent partition
/// shows after some 5 s, before the request that waits on it ends.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before an attempt is repeated: doubles from 50 to 200 ms, which is at most 27 attempts in the 5 s of
/// `Deadline::repeat_until`, and adds at most 0.2 s to a failover that a request waits for.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a statement under way is waited for once the name has left its connection's address. A planned move
/// lets go of the statements it held before it moves the name: they are the 8 connections of each of 6 instances,
/// 48 statements of at most 20 ms on a machine with much else to do, so 0.96 s even one after the other. What is silent
/// for longer is lost.
pub const GRACE: Duration = Duration::from_secs(1);

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the connection pool")]
pub struct Error(#[from] BuildError);

/// Whether a statement may be sent again when its outcome is unknown, and what to say when that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads: repeat it; at worst nothing was done.
    Read,
    /// A write that has the same effect done twice: repeat it; at worst the outcome is unknown.
    Idempotent,
    /// A write: at most once.
    Never,
}

/// A parameter with its type, which unnamed statements need.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The pool. Clones share it.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    metrics: Metrics,
}

impl Database {
    /// A pool of up to `config.database_pool` connections, each used for at most `lifetime`, to where `resolver`
    /// finds the database. Follows the name at once, in a task of the current tokio runtime; connects lazily.
    ///
    /// # Errors
    /// When the pool's configuration is contradictory.
    pub fn new(
        config: &Config,
        lifetime: Duration,
        resolver: impl Resolver,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let mut postgres = tokio_postgres::Config::new();
        postgres
            .host(&config.database_host)
            .port(config.database_port)
            .dbname(&config.database_name)
            .user(&config.database_user)
            .password(config.database_password.expose())
            .application_name(config.served_by())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(USER_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL);
        let addresses = Addresses::follow(resolver);
        let connector = Connector { postgres, addresses, lifetime, metrics: metrics.clone() };
        let pool = Pool::builder(connector).max_size(config.database_pool).build()?;
        Ok(Self { pool, metrics })
    }

    /// How full the pool is.
    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Runs one statement in one round trip and reads its answer to the end.
    ///
    /// # Errors
    /// [`Problem::Unreachable`] when nothing was done, [`Problem::OutcomeUnknown`] when a write may have been
    /// done, [`Problem::NotInitialised`] without tables, [`Problem::Internal`] when PostgreSQL refuses it.
    pub async fn rows(
        &self,
        repeat: Repeat,
        deadline: Deadline,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Problem> {
        let mut patience = Patience::new(repeat, deadline, &self.metrics);
        loop {
            let attempt = async {
                let lease = self.lease(deadline).await?;
                lease.run(deadline, async |client| client.query_typed(sql, parameters).await).await
            };
            match attempt.await {
                Ok(rows) => return Ok(rows),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// A connection of the pool, or a new one, before the deadline.
    pub(crate) async fn lease(&self, deadline: Deadline) -> Result<Lease, Failure> {
        match timeout_at(deadline.at(), self.pool.get()).await {
            Ok(Ok(place)) => Ok(Lease { place: Some(place) }),
            Ok(Err(error)) => Err(Failure::not_done(chain(&error))),
            Err(_) => Err(Failure::not_done("no connection before the deadline".into())),
        }
    }

    pub(crate) fn patience(&self, repeat: Repeat, deadline: Deadline) -> Patience<'_> {
        Patience::new(repeat, deadline, &self.metrics)
    }
}

/// A place in the pool on loan. Dropped before its connection's answer is complete, it is given up with the
/// connection.
pub(crate) struct Lease {
    place: Option<Place>,
}

impl Lease {
    /// Runs `work` before the deadline, and returns the connection to the pool if it is still good.
    ///
    /// When the name leaves the connection's address meanwhile, the place is free at once for a connection to
    /// the new one, and `work` has [`GRACE`] left.
    pub(crate) async fn run<T, W>(mut self, deadline: Deadline, work: W) -> Result<T, Failure>
    where
        W: AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error>,
    {
        let Some(mut connection) = self.place.as_mut().and_then(|place| place.take()) else {
            return Err(Failure::not_done("the lease is over".into()));
        };
        let answer = {
            let mut work = pin!(timeout_at(deadline.at(), work(&mut connection.client)));
            tokio::select! {
                biased; // an answer that is there counts, wherever it came from
                answer = &mut work => answer.map_err(|_| "no answer before the deadline"),
                () = connection.addresses.left(connection.address) => {
                    self.give_up();
                    let answer = timeout_at(Instant::now() + GRACE, work).await;
                    let silent = "the name has moved, and no answer came from where it was";
                    answer.map_err(|_| silent).and_then(|answer| answer.map_err(|_| silent))
                }
            }
        };
        let outcome = match answer {
            Err(why) => Err(Failure { kind: Kind::Unknown, why: why.into() }),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Ok(Ok(value)) => Ok(value),
        };
        if matches!(&outcome, Ok(_) | Err(Failure { kind: Kind::Refused(_), .. }))
            && let Some(mut place) = self.place.take()
        {
            *place = Some(connection);
        }
        outcome
    }

    /// Frees the place for a new connection.
    fn give_up(&mut self) {
        if let Some(place) = self.place.take() {
            drop(Object::take(place));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// One attempt that came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    why: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// It certainly had no effect, and may work in a moment.
    NotDone,
    /// It was sent, and what became of it is not known.
    Unknown,
    /// PostgreSQL rolled it back, and would again.
    Refused(SqlState),
}

impl Failure {
    fn not_done(why: String) -> Self {
        Self { kind: Kind::NotDone, why }
    }

    fn of(error: &tokio_postgres::Error) -> Self {
        let kind = match error.as_db_error() {
            Some(answer) => classify(answer.code(), answer.message()),
            None => Kind::Unknown,
        };
        Self { kind, why: chain(error) }
    }
}

/// What an error that came as an *answer* means for the statement.
///
/// A shutdown (57P01, 57P02) may strike after the commit and before its acknowledgement, and PgBouncer says
/// 08P01 for almost everything, also for a server that died in the middle: both leave the outcome open. What
/// PgBouncer says before it has a server is known to have done nothing.
fn classify(code: &SqlState, message: &str) -> Kind {
    const BEFORE_A_SERVER: [&str; 4] =
        ["query_wait_timeout", "server login", "server_login", "pgbouncer cannot connect to server"];
    let text = code.code();
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::CANNOT_CONNECT_NOW
        || text.starts_with("53") // out of connections, memory or disk: rolled back, and may pass
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || (text.starts_with("08") && BEFORE_A_SERVER.iter().any(|start| message.starts_with(start)))
    {
        Kind::NotDone
    } else if text.starts_with("08")
        || text.starts_with("57P")
        || text.starts_with("58")
        || text.starts_with("XX")
    {
        Kind::Unknown
    } else {
        Kind::Refused(code.clone())
    }
}

/// Decides after each failed attempt: again, or tell the user.
pub(crate) struct Patience<'a> {
    repeat: Repeat,
    until: Instant,
    pause: Duration,
    /// An attempt so far may have written.
    doubt: bool,
    metrics: &'a Metrics,
}

impl<'a> Patience<'a> {
    fn new(repeat: Repeat, deadline: Deadline, metrics: &'a Metrics) -> Self {
        Self { repeat, until: deadline.repeat_until(), pause: FIRST_PAUSE, doubt: false, metrics }
    }

    /// Returns when the attempt is to be repeated.
    ///
    /// # Errors
    /// What to answer when it is not.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Problem> {
        let (setback, may_repeat) = match (&failure.kind, self.repeat) {
            (Kind::NotDone, Repeat::Read | Repeat::Idempotent | Repeat::Never) => (Setback::NotDone, true),
            (Kind::Unknown, Repeat::Read | Repeat::Idempotent) => (Setback::Unknown, true),
            (Kind::Unknown, Repeat::Never) => (Setback::Unknown, false),
            (Kind::Refused(_), Repeat::Read | Repeat::Idempotent | Repeat::Never) => {
                (Setback::Refused, false)
            }
        };
        self.metrics.setback(setback);
        self.doubt |= failure.kind == Kind::Unknown && self.repeat != Repeat::Read;
        let again = Instant::now() + self.pause;
        if may_repeat && again < self.until {
            tracing::debug!(why = failure.why, "database attempt is repeated");
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            sleep_until(again).await;
            return Ok(());
        }
        let answer = match failure.kind {
            Kind::Refused(code) => refusal(&code),
            Kind::NotDone | Kind::Unknown if self.doubt => Problem::OutcomeUnknown,
            Kind::NotDone | Kind::Unknown => Problem::Unreachable,
        };
        tracing::warn!(why = failure.why, ?answer, "database attempt failed");
        Err(answer)
    }
}

fn refusal(code: &SqlState) -> Problem {
    if *code == SqlState::UNDEFINED_TABLE { Problem::NotInitialised } else { Problem::Internal }
}

/// An error and its sources in one line: the outer one alone says only "db error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_had_no_effect_counts_as_not_done() {
        let kind = |code: &str, message| classify(&SqlState::from_code(code), message);
        assert_eq!(kind("25006", "cannot execute INSERT in a read-only transaction"), Kind::NotDone);
        assert_eq!(kind("57P03", "the database system is starting up"), Kind::NotDone);
        assert_eq!(kind("08P01", "query_wait_timeout"), Kind::NotDone);
        assert_eq!(kind("08P01", "pgbouncer cannot connect to server"), Kind::NotDone);
        assert_eq!(kind("08P01", "server conn crashed?"), Kind::Unknown);
        assert_eq!(kind("57P01", "terminating connection due to administrator command"), Kind::Unknown);
        assert_eq!(kind("57P02", "the database system is in crash recovery"), Kind::Unknown);
        assert_eq!(kind("23505", "duplicate key"), Kind::Refused(SqlState::UNIQUE_VIOLATION));
    }

    #[tokio::test]
    async fn a_write_of_unknown_outcome_is_not_repeated_and_what_is_repeatable_is() {
        let metrics = Metrics::new("db.events.test");
        let unknown = || Failure { kind: Kind::Unknown, why: String::new() };
        let deadline = Deadline::after(crate::deadline::REQUEST);
        let mut write = Patience::new(Repeat::Never, deadline, &metrics);
        assert_eq!(write.after(unknown()).await, Err(Problem::OutcomeUnknown));
        for repeat in [Repeat::Read, Repeat::Idempotent] {
            assert_eq!(Patience::new(repeat, deadline, &metrics).after(unknown()).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_doubt_about_a_write_outlasts_later_attempts_that_did_nothing() {
        let metrics = Metrics::new("db.events.test");
        for (repeat, answer) in
            [(Repeat::Idempotent, Problem::OutcomeUnknown), (Repeat::Read, Problem::Unreachable)]
        {
            let deadline = Deadline::after(2 * FIRST_PAUSE);
            let mut patience = Patience::new(repeat, deadline, &metrics);
            let unknown = Failure { kind: Kind::Unknown, why: String::new() };
            assert_eq!(patience.after(unknown).await, Ok(()));
            assert_eq!(patience.after(Failure::not_done(String::new())).await, Err(answer));
        }
    }

    #[tokio::test]
    async fn repeating_slows_down_and_ends_with_the_time_for_it() {
        let metrics = Metrics::new("db.events.test");
        let deadline = Deadline::after(Duration::from_millis(400));
        let mut patience = Patience::new(Repeat::Never, deadline, &metrics);
        let mut pauses = Vec::new();
        let answer = loop {
            pauses.push(patience.pause);
            if let Err(answer) = patience.after(Failure::not_done(String::new())).await {
                break answer;
            }
        };
        assert_eq!(answer, Problem::Unreachable);
        assert!(pauses.is_sorted() && pauses.len() <= 4 && pauses[0] == FIRST_PAUSE, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
    }
}
