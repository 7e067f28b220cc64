//! Asks each region, past the public name, whether it takes writes: the eyes of the double-writer check.
//!
//! A probe writes one tiny row through the region's gated ingress (the path on which the region takes
//! writes from elsewhere), every [`PACE`], over a session that it keeps while it works. The rows are
//! updated in place: 64 a region for ever, in a table of their own that the load makes at its start.
//!
//! What it can tell: *accepted* (committed), *refused* (an answer that says no, including a port that
//! nobody listens on), and *unseen* (silence, or a session cut with a write under way). Silence is not a
//! refusal: a region that clients cannot reach may still take the writes of others.
//! It leaves out writes that a region commits without telling anyone, as a frozen one may when it wakes:
//! those are found by looking for divergent rows when the region rejoins.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bascule_core::id::RegionName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, NoTls};

use crate::recorder::Sender;
use crate::recording::{Entry, Probe, ProbeOutcome, detail};
use crate::time::{At, Clock};

/// One probe each: a tenth of the shortest time in which a move changes hands (0.2 s).
pub const PACE: Duration = Duration::from_millis(20);
/// For one TCP connection: two retransmissions do not fit, a busy machine does.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// For start-up and SCRAM's 4096 rounds, which an unoptimised build on a busy machine does in 0.1–0.3 s.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The server cancels a probe after this: with asynchronous commit it waits for no disk and no replica.
const STATEMENT_TIMEOUT_MS: u64 = 250;
/// The client gives up after twice the server's limit, so that a server that can answer is heard.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2 * STATEMENT_TIMEOUT_MS);
/// Equal answers that say no are folded into one entry for up to this long.
const FOLD: Duration = Duration::from_secs(1);
/// Rows a region's probes go round in.
const SLOTS: u64 = 64;
/// How long the table's making may take at the start, when one region is healthy: ten tries.
const TABLE_TRIES: u32 = 10;

/// Where a region takes writes from elsewhere.
#[derive(Debug, Clone)]
pub struct ProbeTarget {
    /// The region.
    pub region: RegionName,
    /// Its gated ingress.
    pub ingress: SocketAddr,
}

/// As whom the probes write: the application's own user.
#[derive(Clone)]
pub struct ProbeLogin {
    /// The application's database.
    pub database: String,
    /// The application's user.
    pub user: String,
    /// Its password; never printed.
    pub password: String,
    /// Whether commits wait for a keeper's permit. A probe then waits like every user: with asynchronous commit it
    /// would pass beside the permit, and with a statement's time-out PostgreSQL would call it done.
    pub guarded: bool,
}

impl fmt::Debug for ProbeLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProbeLogin({}@{})", self.user, self.database)
    }
}

/// Makes the probes' table in whichever region takes writes.
///
/// # Errors
/// When none does, or the user may not create it.
pub async fn make_table(targets: &[ProbeTarget], login: &ProbeLogin) -> anyhow::Result<()> {
    const TABLE: &str = "create table if not exists bascule_probe \
        (region text, slot int, number bigint not null, primary key (region, slot))";
    let mut last = anyhow::anyhow!("there is no region to probe");
    for _ in 0..TABLE_TRIES {
        for target in targets {
            let made = async {
                let session =
                    Session::open(target.ingress, login).await.map_err(|no| anyhow::anyhow!(no.detail))?;
                session.client.simple_query(TABLE).await.context("cannot create bascule_probe")
            };
            match made.await {
                Ok(_) => return Ok(()),
                Err(error) => last = error.context(target.region.clone()),
            }
        }
        tokio::time::sleep(PACE * 10).await;
    }
    Err(last.context("no region takes the probes' writes"))
}

/// Probes `target` until `stop` is true.
///
/// # Errors
/// When the recorder has ended.
pub async fn probe(
    target: ProbeTarget,
    login: Arc<ProbeLogin>,
    clock: Clock,
    sender: Sender,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut session = None;
    let mut folded: Option<Probe> = None;
    let mut number = 0;
    while !*stop.borrow() {
        ticks.tick().await;
        number += 1;
        let mut sent = clock.now();
        let answer = write_row(&mut session, &target, &login, number, &mut sent, &clock).await;
        let done = clock.now();
        let (outcome, detail) = match answer {
            Ok(()) => (ProbeOutcome::Accepted, None),
            Err(no) => (no.outcome, Some(no.detail)),
        };
        if outcome != ProbeOutcome::Accepted {
            session = None;
        }
        let probe = Probe { region: target.region.clone(), sent, done, outcome, count: 1, detail };
        match fold(&mut folded, probe) {
            Folded::Kept => {}
            Folded::Out(out) => {
                for probe in out {
                    sender.record(Entry::Probe(probe)).await?;
                }
            }
        }
    }
    if let Some(last) = folded {
        sender.record(Entry::Probe(last)).await?;
    }
    Ok(())
}

enum Folded {
    Kept,
    Out(Vec<Probe>),
}

/// Adds `next` to what is folded, if it is the same again; gives out what must be recorded now.
fn fold(folded: &mut Option<Probe>, next: Probe) -> Folded {
    if let Some(same) = folded.as_mut().filter(|same| same.outcome == next.outcome) {
        same.done = next.done;
        same.count += next.count;
        same.detail = next.detail;
        if same.done.since(same.sent) < FOLD {
            return Folded::Kept;
        }
        return Folded::Out(folded.take().into_iter().collect());
    }
    let mut out: Vec<Probe> = folded.take().into_iter().collect();
    match next.outcome {
        ProbeOutcome::Accepted => out.push(next),
        ProbeOutcome::Refused | ProbeOutcome::Unseen => *folded = Some(next),
    }
    if out.is_empty() { Folded::Kept } else { Folded::Out(out) }
}

async fn write_row(
    session: &mut Option<Session>,
    target: &ProbeTarget,
    login: &ProbeLogin,
    number: u64,
    sent: &mut At,
    clock: &Clock,
) -> Result<(), No> {
    let kept = session.take().filter(|session| !session.client.is_closed());
    let session = session.insert(match kept {
        Some(kept) => kept,
        None => Session::open(target.ingress, login).await?,
    });
    // A region's name is a DNS label: it needs no quoting.
    let statement = format!(
        "insert into bascule_probe values ('{}', {}, {number}) \
         on conflict (region, slot) do update set number = excluded.number",
        target.region,
        number % SLOTS
    );
    *sent = clock.now();
    match timeout(ANSWER_TIMEOUT, session.client.simple_query(&statement)).await {
        Err(_) => Err(No::unseen("no answer to a write")),
        Ok(Err(error)) => match error.as_db_error() {
            Some(refusal) => Err(No::refused(refusal.message())),
            None => Err(No::unseen(&format!("session cut with a write under way: {error}"))),
        },
        Ok(Ok(_)) => Ok(()),
    }
}

struct No {
    outcome: ProbeOutcome,
    detail: String,
}

impl No {
    fn refused(text: &str) -> Self {
        Self { outcome: ProbeOutcome::Refused, detail: detail(text) }
    }

    fn unseen(text: &str) -> Self {
        Self { outcome: ProbeOutcome::Unseen, detail: detail(text) }
    }
}

struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    async fn open(ingress: SocketAddr, login: &ProbeLogin) -> Result<Self, No> {
        let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(ingress)).await {
            Err(_) => return Err(No::unseen("no connection in time")),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(No::refused("connection refused"));
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(No::refused("connection reset"));
            }
            Ok(Err(error)) => return Err(No::unseen(&format!("no connection: {error}"))),
            Ok(Ok(stream)) => stream,
        };
        if let Err(error) = stream.set_nodelay(true) {
            return Err(No::unseen(&format!("no connection: {error}")));
        }
        let options = if login.guarded {
            String::new()
        } else {
            format!("-c synchronous_commit=off -c statement_timeout={STATEMENT_TIMEOUT_MS}")
        };
        let mut config = tokio_postgres::Config::new();
        config.dbname(&login.database).user(&login.user).password(&login.password).options(&options);
        match timeout(LOGIN_TIMEOUT, config.connect_raw(stream, NoTls)).await {
            Err(_) => Err(No::unseen("no session in time")),
            // Whoever accepts a connection and closes it, as a load balancer without a server does, says
            // no; nothing had been asked of it yet.
            Ok(Err(error)) => Err(No::refused(&format!("no session: {error}"))),
            Ok(Ok((client, connection))) => {
                // The connection's own error reaches the statement that it breaks.
                let driver = tokio::spawn(async move { drop(connection.await) });
                Ok(Self { client, driver })
            }
        }
    }
}

/// Checks that the regions to probe are different ones.
///
/// # Errors
/// When a region is named twice.
pub fn check_targets(targets: &[ProbeTarget]) -> anyhow::Result<()> {
    for (index, target) in targets.iter().enumerate() {
        if targets[..index].iter().any(|other| other.region == target.region) {
            bail!("region {} is to be probed twice", target.region);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ms: u64, outcome: ProbeOutcome) -> Probe {
        let region = "us-east-2".parse().unwrap();
        Probe { region, sent: At::from_ms(ms), done: At::from_ms(ms + 1), outcome, count: 1, detail: None }
    }

    fn folded(probes: impl IntoIterator<Item = Probe>) -> Vec<Probe> {
        let (mut state, mut out) = (None, Vec::new());
        for probe in probes {
            if let Folded::Out(now) = fold(&mut state, probe) {
                out.extend(now);
            }
        }
        out.extend(state);
        out
    }

    #[test]
    fn an_accepted_write_is_never_folded_nor_passed_over_by_a_refusal() {
        use ProbeOutcome::{Accepted, Refused, Unseen};
        let order = [Accepted, Accepted, Refused, Refused, Accepted, Unseen, Refused, Accepted];
        let out = folded((0..).step_by(20).zip(order).map(|(ms, outcome)| seen(ms, outcome)));
        let seen: Vec<_> = out.iter().map(|probe| (probe.outcome, probe.count)).collect();
        let expected = [
            (Accepted, 1),
            (Accepted, 1),
            (Refused, 2),
            (Accepted, 1),
            (Unseen, 1),
            (Refused, 1),
            (Accepted, 1),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn refusals_are_told_at_least_every_second() {
        let out = folded((0..10_000).step_by(20).map(|ms| seen(ms, ProbeOutcome::Refused)));
        assert_eq!(out.iter().map(|probe| probe.count).sum::<u32>(), 500, "each one counts");
        assert!(out.iter().all(|probe| probe.done.since(probe.sent) <= FOLD + PACE));
        assert!(out.len() <= 10);
    }

    #[test]
    fn a_password_is_not_printed() {
        let login =
            ProbeLogin { database: "d".into(), user: "u".into(), password: "hunter2".into(), guarded: false };
        assert_eq!(format!("{login:?}"), "ProbeLogin(u@d)");
    }
}
