//! The permit: a synchronous standby that keeps nothing, and confirms only while its keeper may.
//!
//! PostgreSQL acknowledges no commit before one of its `synchronous_standby_names` has confirmed it. This is one
//! of them. It throws the log away; what it adds is the question, asked right before every confirmation,
//! whether its keeper's hold is open at that instant.
//!
//! Invariant: no confirmation is sent unless the hold was seen open after the last piece of the log that it
//! covers had come in. The race it handles: the process sleeps between the question and the sending. What
//! it then sends covers only commits that were made before it slept, when the hold was open; any later one
//! needs another confirmation, and that question is asked anew.
//!
//! When the hold closes it leaves, since a primary that is stopped waits for connected receivers.

pub mod lag;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Secret;
use crate::patroni::MemberEndpoint;
use crate::sql::Login;
use wire::{Message, Wire};

/// Between two attempts to find a primary. A user may be waiting for it: after a promotion each of three
/// members is asked so often until one says that it is no standby any more.
const AGAIN: Duration = Duration::from_millis(25);
/// After so many failed attempts in a row (5 s) the region has no primary, and nobody waits any more.
const EAGER_MAX: u32 = 200;
/// And then between two attempts.
const PATIENT: Duration = Duration::from_millis(250);
/// How often a hold that closed while nothing came in is noticed, and the last position said again: a tenth of
/// the time after which a primary in the lab gives up on a receiver (`wal_sender_timeout`, 5 s).
const LOOK: Duration = Duration::from_millis(500);

/// Whom to confirm to, and as whom.
#[derive(Debug, Clone)]
pub struct PermitConfig {
    /// The region's members: one of them is the primary.
    pub members: Vec<MemberEndpoint>,
    /// A database to log in to.
    pub database: String,
    /// A user who may replicate.
    pub user: String,
    /// That user's password.
    pub password: Secret,
    /// The name in `synchronous_standby_names`.
    pub application: String,
}

/// What a permit needs to know of its keeper.
pub trait Hold: Send + Sync + 'static {
    /// Whether writes may pass at this instant.
    fn is_open(&self) -> bool;
    /// Up to where they may be confirmed at most; none: as far as the log has come in.
    fn limit(&self) -> Option<u64>;
}

/// What a permit did, for metrics.
#[derive(Debug, Default)]
pub struct PermitState {
    streaming: AtomicBool,
    confirmed: AtomicU64,
    sessions: AtomicU64,
}

impl PermitState {
    /// Whether it is connected to a primary.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// The last position it confirmed.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Sessions it has had.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// Confirm for as long as this is polled.
pub async fn run(config: PermitConfig, hold: Arc<dyn Hold>, state: Arc<PermitState>) {
    let mut failed = 0_u32;
    loop {
        if !hold.is_open() {
            failed = 0;
            sleep(AGAIN).await;
            continue;
        }
        match connect(&config).await {
            Ok((wire, from)) => {
                failed = 0;
                state.sessions.fetch_add(1, Ordering::Relaxed);
                state.streaming.store(true, Ordering::Relaxed);
                let ended = confirm(wire, from, hold.as_ref(), &state).await;
                state.streaming.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => tracing::info!(permit = config.application, "closed"),
                    Err(error) => tracing::warn!(permit = config.application, %error, "session ended"),
                }
            }
            Err(why) => {
                failed = failed.saturating_add(1);
                if failed == EAGER_MAX {
                    tracing::warn!(permit = config.application, why, "no primary to confirm to");
                }
                sleep(if failed < EAGER_MAX { AGAIN } else { PATIENT }).await;
            }
        }
    }
}

/// A stream from the primary, and the position it begins at.
async fn connect(config: &PermitConfig) -> Result<(Wire, u64), String> {
    let mut wire = connect_sql(config).await?;
    let begun = begin(&mut wire).await.map_err(|error| error.to_string())?;
    Ok((wire, begun))
}

/// Ask all members at once; the one that is no standby is it.
async fn connect_sql(config: &PermitConfig) -> Result<Wire, String> {
    let mut asks = JoinSet::new();
    for member in &config.members {
        let login = Login {
            at: member.postgres,
            database: config.database.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
        };
        let application = config.application.clone();
        asks.spawn(async move { primary(&login, &application).await });
    }
    let mut why = "the region has no members".to_owned();
    while let Some(joined) = asks.join_next().await {
        match joined {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => why = "every member that answers is a standby".to_owned(),
            Ok(Err(error)) => why = error.to_string(),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

async fn primary(login: &Login, application: &str) -> io::Result<Option<Wire>> {
    let mut wire = Wire::open(login, application).await?;
    let role = wire.ask("SELECT pg_is_in_recovery()").await?;
    Ok((role.first() == Some(&Some("f".to_owned()))).then_some(wire))
}

async fn begin(wire: &mut Wire) -> io::Result<u64> {
    let system = wire.ask("IDENTIFY_SYSTEM").await?;
    let [_, Some(timeline), Some(lsn), ..] = &system[..] else {
        return Err(io::Error::other("it does not say where its log is"));
    };
    let from = parse_lsn(lsn).ok_or_else(|| io::Error::other(format!("{lsn:?} is no position")))?;
    wire.stream_from(lsn, timeline).await?;
    Ok(from)
}

fn parse_lsn(text: &str) -> Option<u64> {
    text.parse::<bascule_core::position::Lsn>().ok().map(|lsn| lsn.0)
}

/// Until the hold closes, which is no error, or the session ends.
async fn confirm(mut wire: Wire, from: u64, hold: &dyn Hold, state: &PermitState) -> io::Result<()> {
    let mut received = from;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let more = tokio::select! {
            message = wire.message() => seen(&message?, &mut received)?,
            _ = looks.tick() => true,
        };
        if !more {
            continue;
        }
        let upto = hold.limit().map_or(received, |limit| limit.min(received));
        // Asked last: whatever was slow before this line was slow before the question.
        if !hold.is_open() {
            return Ok(());
        }
        wire.confirm(upto).await?;
        state.confirmed.store(upto, Ordering::Relaxed);
    }
}

/// What came in; returns whether somebody waits for an answer.
fn seen(message: &Message, received: &mut u64) -> io::Result<bool> {
    match message.tag {
        b'd' => {}
        // The end of a timeline, or of the server.
        b'c' => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log ends")),
        _ => return Ok(false),
    }
    let mut body: Bytes = message.body.clone();
    let short = |_| io::Error::other("a piece of the log is cut short");
    match body.try_get_u8().map_err(short)? {
        // A piece of the log: where it begins, where the server's ends, when; then the bytes.
        b'w' => {
            let begins = body.try_get_u64().map_err(short)?;
            body.try_get_u64().map_err(short)?;
            body.try_get_u64().map_err(short)?;
            *received = (*received).max(begins.saturating_add(body.len() as u64));
            Ok(true)
        }
        // A sign of life: where the server's log ends, when, and whether it wants one back.
        b'k' => {
            body.try_get_u64().map_err(short)?;
            body.try_get_u64().map_err(short)?;
            Ok(body.try_get_u8().map_err(short)? == 1)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Message {
        Message { tag: b'd', body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn what_has_come_in_is_counted_to_its_last_byte() {
        let mut piece = vec![b'w'];
        piece.extend(0x1000_u64.to_be_bytes());
        piece.extend([0; 16]);
        piece.extend(b"12345");
        let mut received = 0;
        assert!(seen(&message(&piece), &mut received).unwrap());
        assert_eq!(received, 0x1005);
        let mut old = piece.clone();
        old[1..9].copy_from_slice(&0_u64.to_be_bytes());
        assert!(seen(&message(&old), &mut received).unwrap());
        assert_eq!(received, 0x1005, "an older piece takes nothing back");
        assert!(seen(&message(&piece[..12]), &mut received).is_err());
    }

    #[test]
    fn a_sign_of_life_is_answered_only_if_it_asks() {
        let sign = |asks: u8| [&b"k"[..], &[0; 16], &[asks]].concat();
        let mut received = 7;
        assert!(seen(&message(&sign(1)), &mut received).unwrap());
        assert!(!seen(&message(&sign(0)), &mut received).unwrap());
        assert_eq!(received, 7);
    }
}
