//! Following the tenure: etcd tells of each change as it is made.
//!
//! Invariant: what a watcher is told is newer than what it has; an old answer is never taken for a change. A watch
//! that has gone silent costs time only: each call looks for itself within a second, and if its member does not answer
//! that, or the watch had missed what is found, another member is followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::ports::{StoreError, TenureStore as _, TenureWatch};
use bascule_core::tenure::Tenure;
use etcd_client::WatchOptions;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::EtcdStore;
use super::cluster::{Cluster, Slot, slot_of};
use super::format::decode;

/// How long a call waits before it looks for itself.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// Between two attempts to follow: as between two rounds of requests, twice.
const RETRY: Duration = Duration::from_millis(100);

/// Follows the tenure from the first call that asks for changes until its store is dropped.
pub(super) struct Follower {
    cluster: Arc<Cluster>,
    key: String,
    started: AtomicBool,
    sender: Arc<watch::Sender<Option<Tenure>>>,
    /// Keeps the task running: it ends when there is no receiver.
    receiver: watch::Receiver<Option<Tenure>>,
    missed: Arc<Notify>,
}

impl Follower {
    pub(super) fn new(cluster: Arc<Cluster>, key: String) -> Self {
        let (sender, receiver) = watch::channel(None);
        let (sender, missed) = (Arc::new(sender), Arc::default());
        Self { cluster, key, started: AtomicBool::new(false), sender, receiver, missed }
    }

    fn subscribe(&self) -> watch::Receiver<Option<Tenure>> {
        if !self.started.swap(true, Ordering::Relaxed) {
            let (cluster, key) = (Arc::clone(&self.cluster), self.key.clone());
            let (sender, missed) = (Arc::clone(&self.sender), Arc::clone(&self.missed));
            tokio::spawn(follow(cluster, key, sender, missed));
        }
        self.receiver.clone()
    }
}

async fn follow(
    cluster: Arc<Cluster>,
    key: String,
    sender: Arc<watch::Sender<Option<Tenure>>>,
    missed: Arc<Notify>,
) {
    loop {
        tokio::select! {
            () = sender.closed() => return,
            // Why it ended does not matter: whoever asks is told by its own look.
            _ = follow_one(&cluster, &key, &sender, &missed) => {}
        }
        tokio::select! {
            () = sender.closed() => return,
            () = sleep(RETRY) => {}
        }
    }
}

/// Look, then follow from there on one member until it ends the stream, or has missed something.
async fn follow_one(
    cluster: &Cluster,
    key: &str,
    sender: &watch::Sender<Option<Tenure>>,
    missed: &Notify,
) -> Result<(), StoreError> {
    let (slots, revision) = cluster.look(&[key.to_owned()]).await?;
    tell(cluster, sender, &slots)?;
    let (mut client, number, share) = cluster.preferred().await?;
    let options = WatchOptions::new().with_start_revision(revision + 1);
    let Ok(Ok(mut stream)) = timeout(share, client.watch(key, Some(options))).await else {
        cluster.avoid(number);
        return Ok(());
    };
    loop {
        let message = tokio::select! {
            message = stream.message() => message,
            () = missed.notified() => {
                cluster.avoid(number);
                return Ok(());
            }
            () = cluster.left(number) => return Ok(()),
        };
        match message {
            Ok(Some(response)) if !response.canceled() => {
                let slots: Vec<Slot> = response.events().iter().filter_map(|e| e.kv()).map(slot_of).collect();
                tell(cluster, sender, &slots)?;
            }
            // Its member has lost the others, or is gone.
            Ok(_) | Err(_) => {
                cluster.avoid(number);
                return Ok(());
            }
        }
    }
}

fn tell(cluster: &Cluster, sender: &watch::Sender<Option<Tenure>>, slots: &[Slot]) -> Result<(), StoreError> {
    cluster.learn(slots);
    for slot in slots {
        // A tenure is never deleted: an empty value is that of a deletion by hand, which each call's look reports.
        let Some(tenure) = decode::<Tenure>(slot)? else { continue };
        sender.send_if_modified(|told| {
            let newer = is_newer(&tenure, told.as_ref());
            if newer {
                *told = Some(tenure.clone());
            }
            newer
        });
    }
    Ok(())
}

/// By epoch, then renewals: both only grow.
fn is_newer(tenure: &Tenure, than: Option<&Tenure>) -> bool {
    let order = |tenure: &Tenure| (tenure.epoch, tenure.renewals, tenure.settled);
    than.is_none_or(|than| order(tenure) > order(than))
}

#[async_trait]
impl TenureWatch for EtcdStore {
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        let mut told = self.follower.subscribe();
        let look = sleep(LOOK_AFTER);
        tokio::pin!(look);
        loop {
            let newest = told.borrow_and_update().clone();
            if let Some(tenure) = newest
                && is_newer(&tenure, than)
            {
                return Ok(Some(tenure));
            }
            tokio::select! {
                changed = told.changed() => {
                    if changed.is_err() {
                        // The follower died with its runtime.
                        (&mut look).await;
                        break;
                    }
                }
                () = &mut look => break,
            }
        }
        let tenure = self.tenure().await?;
        if tenure.as_ref().is_some_and(|tenure| is_newer(tenure, told.borrow().as_ref())) {
            self.follower.missed.notify_one();
        }
        Ok(tenure)
    }
}
