//! Which of a region's members is the primary, and whether a newer one has taken its place.
//!
//! Invariant: every question is bounded, and each member is asked in a task of its own, so one that is frozen
//! keeps no other from being found. Of several that claim to be the primary the newest timeline counts: whoever
//! was promoted last. The first to claim is taken at once, since a user may be waiting, and the others are asked on
//! while it is confirmed to: one with a newer timeline ends that.
//!
//! Leaves out: two primaries on timelines of the same number, which Patroni's lock rules out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::position::Timeline;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::wire::Wire;
use super::{AGAIN, Hold, PermitConfig};
use crate::sql::Login;

/// Between two questions to a member whether it is a primary now; a user may be waiting for it. The session is
/// kept, so a question costs the member a tenth of a millisecond, while a log-in costs it a fork and five.
pub(super) const POLL: Duration = Duration::from_millis(10);
/// Between two attempts to log in to a member that can't be reached.
const RETRY: Duration = Duration::from_millis(100);
/// After this time without a primary in the region nobody waits any more.
const EAGER: Duration = Duration::from_secs(5);
/// And then between two questions, as to the others while one is confirmed to.
const PATIENT: Duration = Duration::from_millis(250);

/// A session with a member that claims to be the primary.
pub(super) struct Found {
    pub(super) wire: Wire,
    pub(super) login: Login,
    pub(super) timeline: Timeline,
}

/// Members that are being asked.
pub(super) struct Asked(JoinSet<Found>);

impl Asked {
    /// The next one that claims; for ever if nobody is left to ask.
    pub(super) async fn claims(&mut self) -> Found {
        loop {
            match self.0.join_next().await {
                Some(Ok(found)) => return found,
                // It panicked: the others are still asked.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// Ask all members at once, until one is no standby; none once the hold is closed.
pub(super) async fn find(config: &PermitConfig, hold: &dyn Hold) -> Option<Found> {
    let begun = Instant::now();
    let mut asked = ask(config, None, Timeline(0), begun + EAGER);
    let mut warned = false;
    while hold.is_open() {
        if let Ok(found) = timeout(AGAIN, asked.claims()).await {
            return Some(found);
        }
        if begun.elapsed() > EAGER && !warned {
            warned = true;
            tracing::warn!(permit = config.application, "no primary to confirm to");
        }
    }
    None
}

/// Ask the others, while `current` is confirmed to, for a newer timeline than its.
pub(super) fn rivals(config: &PermitConfig, current: &Found) -> Asked {
    ask(config, Some(current.login.at), current.timeline, Instant::now())
}

fn ask(config: &PermitConfig, except: Option<SocketAddr>, than: Timeline, eager_until: Instant) -> Asked {
    let mut asks = JoinSet::new();
    for member in config.members.iter().filter(|member| Some(member.postgres) != except) {
        let login = Login {
            at: member.postgres,
            database: config.database.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
        };
        asks.spawn(primary(login, config.application.clone(), than, eager_until));
    }
    Asked(asks)
}

/// A session with a member, once it is no standby and its timeline newer. One that has not begun to stream
/// survives the promotion, and a server that stops does not wait for it.
async fn primary(login: Login, application: String, than: Timeline, eager_until: Instant) -> Found {
    let pause = |eager| if Instant::now() < eager_until { eager } else { PATIENT };
    loop {
        let error = match Wire::open(&login, &application).await {
            Ok(mut wire) => loop {
                match claim(&mut wire).await {
                    Ok(Some(timeline)) if timeline > than => return Found { wire, login, timeline },
                    Ok(_) => sleep(pause(POLL)).await,
                    Err(error) => break error,
                }
            },
            Err(error) => error,
        };
        tracing::debug!(at = %login.at, %error, "not asked");
        sleep(pause(RETRY)).await;
    }
}

/// The timeline that a member writes as the primary; none if it is a standby.
async fn claim(wire: &mut Wire) -> io::Result<Option<Timeline>> {
    let row = wire.ask("SELECT pg_is_in_recovery()").await?;
    if row.first() != Some(&Some("f".to_owned())) {
        return Ok(None);
    }
    Ok(Some(wire.identify().await?.timeline))
}
