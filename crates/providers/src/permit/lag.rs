//! How far the other region's standby has got, as this region's primary knows: what a keeper confirms at most
//! where the manifest limits the loss.
//!
//! Invariant: the position only grows, and was flushed by the standby before it is said here. While the
//! primary or the standby can't be asked it stands still, and so do commits past the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::{AGAIN, PermitConfig, connect_sql, parse_lsn};

/// Between two questions. A commit that must be in the other region waits half of it longer on average, beside the
/// way there and back.
const EVERY: Duration = Duration::from_millis(10);

/// Follow for as long as this is polled. `peers` are the names that the other region's members replicate by.
pub async fn follow(config: PermitConfig, peers: Vec<String>, flushed: Arc<AtomicU64>) {
    let names: Vec<String> = peers.iter().map(|peer| format!("'{peer}'")).collect();
    let sql = format!(
        "SELECT max(flush_lsn) FROM pg_stat_replication WHERE application_name IN ({})",
        names.join(", ")
    );
    loop {
        if let Ok(mut wire) = connect_sql(&config).await {
            while let Ok(row) = wire.ask(&sql).await {
                let lsn = row.first().and_then(Option::as_deref).and_then(parse_lsn);
                flushed.fetch_max(lsn.unwrap_or(0), Ordering::SeqCst);
                sleep(EVERY).await;
            }
        }
        sleep(AGAIN).await;
    }
}
