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
//! When the hold closes it leaves, since a primary that is stopped waits for connected receivers. For the same
//! reason it leaves when the other region's lag keeps it from confirming for long, and comes back at once.
//!
//! A primary may be frozen while the kernel under it acknowledges all that is sent: it stays only with one that
//! answers, and leaves it for a newer one.
//!
//! Leaves out: a client's cancel request ends a commit's wait with a warning, not an error (PostgreSQL 15
//! manual, section 27.2.8.3); the database admits clients through the gated path only.

mod force;
mod lag;
mod search;
mod wire;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bascule_core::id::MemberName;
use bascule_core::permit::Permit;
use bytes::{Buf as _, Bytes};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::Secret;
use crate::patroni::MemberEndpoint;
use force::Force;
use lag::Lag;
use search::{Asked, Found};
use wire::{Message, Wire};

/// Between two looks at a closed hold, and at one that may close while a primary is looked for.
const AGAIN: Duration = Duration::from_millis(25);
/// How often a hold that closed while nothing came in is noticed, and the last position said again, with the wish
/// for an answer: a tenth of the time after which a primary in the lab gives up on a receiver
/// (`wal_sender_timeout`, 5 s). It costs the two of them 39 and 23 bytes.
const LOOK: Duration = Duration::from_millis(500);
/// After so many wishes in a row without a word from the primary the session ends: four are 2 s, twice what
/// any question may take ([`crate::ANSWER`]), and a tenth of the shortest time after which Patroni may promote
/// another member (its `ttl` is 20 s at least). Wishes are counted and not seconds: while this process sleeps the
/// primary is not to blame.
const UNANSWERED_MAX: u32 = 4;
/// How long the other region may keep it from confirming before it leaves and comes back: a primary that is
/// being stopped waits no longer than that.
const STALLED: Duration = Duration::from_secs(2);

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
    /// How far the region may be ahead of the other one.
    pub ahead: Ahead,
}

/// How far a region may be ahead of its standby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ahead {
    /// As far as it gets.
    Unlimited,
    /// By so many bytes of the log.
    Bytes {
        /// What is not confirmed before the standby has flushed all but so many bytes; 0: all of it.
        bytes: u64,
        /// The names under which the standby region's members follow.
        peers: Vec<MemberName>,
    },
}

/// What a permit needs to know of its keeper.
pub trait Hold: Send + Sync + 'static {
    /// Whether writes may pass at this instant.
    fn is_open(&self) -> bool;
    /// Whether how far the region may be ahead counts: since the other one has followed in this tenure. Before that there
    /// is nobody to wait for, as after a failover, and nobody moves away by itself.
    fn is_followed(&self) -> bool;
    /// What the primary has just told of the permit.
    fn told(&self, permit: Permit);
}

/// What a permit did, for metrics.
#[derive(Debug, Default)]
pub struct PermitState {
    streaming: AtomicBool,
    received: AtomicU64,
    confirmed: AtomicU64,
    sessions: AtomicU64,
    found: Mutex<Option<Permit>>,
}

impl PermitState {
    /// Whether it is connected to a primary.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// What its primary says of the permit; none without a session.
    #[must_use]
    pub fn found(&self) -> Option<Permit> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_found(&self, found: impl Into<Option<Permit>>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found.into();
    }

    /// Whether the primary waits for its confirmations.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.is_streaming() && self.found() == Some(Permit::InForce)
    }

    /// The last position it confirmed.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Bytes of the log that came in and are not confirmed: what waits for the other region.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.received.load(Ordering::Relaxed).saturating_sub(self.confirmed())
    }

    /// Sessions it has had.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// Confirm for as long as this is polled.
pub async fn run(config: PermitConfig, hold: Arc<dyn Hold>, state: Arc<PermitState>) {
    let mut newer = None;
    loop {
        if !hold.is_open() {
            newer = None;
            sleep(AGAIN).await;
            continue;
        }
        let found = match newer.take() {
            Some(found) => found,
            None => match search::find(&config, hold.as_ref()).await {
                Some(found) => found,
                None => continue,
            },
        };
        match stream(&config, found, &hold, &state).await {
            Ok(Left::Closed) => tracing::info!(permit = config.application, "closed"),
            Ok(Left::For(found)) => {
                let at = found.login.at;
                tracing::warn!(permit = config.application, %at, "a newer primary: the session with the older one ends");
                newer = Some(found);
            }
            Err(error) => {
                tracing::warn!(permit = config.application, %error, "session ended");
                // A member that ends each session at once is not asked in a circle.
                sleep(search::POLL).await;
            }
        }
    }
}

/// Why a session was left that did not break.
enum Left {
    /// The hold closed.
    Closed,
    /// Another member is the primary, and newer.
    For(Found),
}

/// Stream from where the primary's log ends now, and confirm.
async fn stream(
    config: &PermitConfig,
    mut found: Found,
    hold: &Arc<dyn Hold>,
    state: &Arc<PermitState>,
) -> io::Result<Left> {
    let from = found.wire.identify().await?;
    found.wire.stream_from(from).await?;
    let rivals = search::rivals(config, &found);
    let lag = Lag::follow(&config.ahead, found.login.clone());
    state.set_found(None);
    let force = Force::ask(found.login, &config.application, hold.clone(), state.clone());
    state.sessions.fetch_add(1, Ordering::Relaxed);
    state.streaming.store(true, Ordering::Relaxed);
    let ended = confirm(found.wire, rivals, from.lsn.0, lag, hold.as_ref(), state).await;
    state.streaming.store(false, Ordering::Relaxed);
    drop(force);
    state.set_found(None);
    ended
}

/// Until there is a reason to leave, or the session ends.
async fn confirm(
    mut wire: Wire,
    mut rivals: Asked,
    from: u64,
    mut lag: Lag,
    hold: &dyn Hold,
    state: &PermitState,
) -> io::Result<Left> {
    let (mut received, mut sent) = (from, 0);
    let mut stalled: Option<Instant> = None;
    let mut unanswered = 0;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut look = false;
        let mut more = tokio::select! {
            message = wire.message() => {
                unanswered = 0;
                seen(&message?, &mut received)?
            }
            () = lag.moved() => true,
            newer = rivals.claims() => return Ok(Left::For(newer)),
            _ = looks.tick() => {
                look = true;
                true
            }
        };
        while let Some(message) = wire.buffered()? {
            unanswered = 0;
            more |= seen(&message, &mut received)?;
        }
        if !more {
            continue;
        }
        if look && unanswered == UNANSWERED_MAX {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the primary says nothing any more"));
        }
        state.received.store(received, Ordering::Relaxed);
        let followed = hold.is_followed();
        lag.wants(followed.then_some(received));
        let allowed = if followed { lag.allowed() } else { u64::MAX };
        let upto = received.min(allowed).max(sent);
        let confirmation = wire::confirmation(upto, look);
        // Asked last: whatever was slow before this line was slow before the question.
        if !hold.is_open() {
            return Ok(Left::Closed);
        }
        wire.send_now(&confirmation)?;
        unanswered += u32::from(look);
        stalled = (upto < received).then(|| stalled.filter(|_| upto == sent).unwrap_or_else(Instant::now));
        sent = upto;
        state.confirmed.store(upto, Ordering::Relaxed);
        if stalled.is_some_and(|since| since.elapsed() > STALLED) {
            return Err(io::Error::other("the other region's standby does not follow: commits wait for it"));
        }
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
