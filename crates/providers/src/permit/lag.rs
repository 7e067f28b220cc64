//! How far the other region's standby has got, as this region's primary knows: what a keeper confirms at most
//! where the manifest limits the loss.
//!
//! Invariant: what is allowed only grows within a session, and is never past what the standby was seen to have
//! flushed by more than the limit. While the primary or the standby can't be asked it stands still, and so do
//! commits past it. The primary is asked only while a commit waits for the other region: never before that has
//! followed in this tenure, when the limit does not count and there may be nobody to ask about for hours.

use std::time::Duration;

use bascule_core::id::MemberName;
use bascule_core::position::Lsn;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::Ahead;
use crate::sql::{Login, Session};

/// Between two questions while a commit waits: half of a round trip within a continent.
const EVERY: Duration = Duration::from_millis(2);
/// After one that had no answer.
const RETRY: Duration = Duration::from_millis(100);

/// No log ends there: position 0 is PostgreSQL's invalid one (`InvalidXLogRecPtr`).
const NOTHING: u64 = 0;

/// What may be confirmed of one session's log.
pub(super) struct Lag {
    allowed: watch::Receiver<u64>,
    /// None without a limit.
    asking: Option<(watch::Sender<u64>, AbortHandle)>,
}

impl Lag {
    /// Follow the standby through the primary at `login`, once something [is wanted](Self::wants).
    pub(super) fn follow(ahead: &Ahead, login: Login) -> Self {
        let Ahead::Bytes { bytes, peers } = ahead else {
            return Self { allowed: watch::channel(u64::MAX).1, asking: None };
        };
        let (allow, allowed) = watch::channel(0);
        let (want, wanted) = watch::channel(NOTHING);
        let ask = ask(Session::new(login), sql(peers), *bytes, wanted, allow);
        Self { allowed, asking: Some((want, tokio::spawn(ask).abort_handle())) }
    }

    /// Up to where may be confirmed.
    pub(super) fn allowed(&self) -> u64 {
        *self.allowed.borrow()
    }

    /// The log has come in up to here, and is to be confirmed; none while the limit does not count.
    pub(super) fn wants(&self, lsn: Option<u64>) {
        let lsn = lsn.unwrap_or(NOTHING);
        if let Some((wanted, _)) = &self.asking {
            wanted.send_if_modified(|before| std::mem::replace(before, lsn) != lsn);
        }
    }

    /// Returns once more is allowed.
    pub(super) async fn moved(&mut self) {
        if self.allowed.changed().await.is_err() {
            // There is no limit.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.asking {
            task.abort();
        }
    }
}

fn sql(peers: &[MemberName]) -> String {
    let names: Vec<String> = peers.iter().map(|peer| format!("'{peer}'")).collect();
    format!("SELECT max(flush_lsn) FROM pg_stat_replication WHERE application_name IN ({})", names.join(", "))
}

async fn ask(
    session: Session,
    sql: String,
    bytes: u64,
    mut wanted: watch::Receiver<u64>,
    allow: watch::Sender<u64>,
) {
    loop {
        if *allow.borrow() >= *wanted.borrow_and_update() {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let pause = match session.ask(&sql).await {
            Ok(rows) => {
                let flushed = rows.first().and_then(|row| row.get(0)).and_then(parse_lsn);
                let upto = flushed.map_or(0, |flushed| flushed.saturating_add(bytes));
                allow.send_if_modified(|allowed| {
                    let more = upto > *allowed;
                    *allowed = upto.max(*allowed);
                    more
                });
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "how far the other region is can't be asked: commits wait");
                RETRY
            }
        };
        if *allow.borrow() < *wanted.borrow() {
            sleep(pause).await;
        }
    }
}

pub(super) fn parse_lsn(text: &str) -> Option<u64> {
    text.parse::<Lsn>().ok().map(|lsn| lsn.0)
}
