//! A store in etcd: a quorum, so that it outlives the loss of any one place, and two controllers can't both win.
//!
//! Invariant: every change is one transaction that compares the revisions of all that its rule looked at, so it is
//! made only if the rule still holds at that instant. Looks are linearizable: a minority answers nothing.
//! The race it handles: a request whose answer does not come may have been made, or be made later. It is resolved by
//! looking (see [`cluster`]); where that can't tell, the call answers `Unavailable`, never wrongly.
//! Left out: compaction of etcd's history and its quota, which are the cluster's own settings.

mod cluster;
mod config;
mod format;
mod journal;
mod reports;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use bascule_core::id::{RegionName, SiteName};
use bascule_core::ports::{StoreError, TenureStore};
use bascule_core::tenure::{self, Tenure};
use bascule_core::time::Timestamp;

use crate::rules;
use cluster::{Cluster, Decision, Doubt, Write};
pub use config::{EtcdClient, EtcdConfig, EtcdConfigError, EtcdLogin, EtcdTls};
use format::{Head, Keys, decode, encode};
use watch::Follower;

/// A store in etcd. Clones share their connections.
#[derive(Clone)]
pub struct EtcdStore {
    site: SiteName,
    keys: Keys,
    cluster: Arc<Cluster>,
    follower: Arc<Follower>,
}

impl EtcdStore {
    /// The store of a site. Sends nothing: it can be made while etcd can't be reached.
    ///
    /// # Errors
    /// [`EtcdConfigError`] when it could never be reached.
    pub fn connect(config: EtcdConfig, site: &SiteName) -> Result<Self, EtcdConfigError> {
        config.check()?;
        let keys = Keys::of(&config.prefix, site);
        let cluster = Arc::new(Cluster::new(config));
        let follower = Arc::new(Follower::new(Arc::clone(&cluster), keys.tenure()));
        Ok(Self { site: site.clone(), keys, cluster, follower })
    }
}

impl std::fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdStore").field("site", &self.site).finish_non_exhaustive()
    }
}

#[async_trait]
impl TenureStore for EtcdStore {
    async fn tenure(&self) -> Result<Option<Tenure>, StoreError> {
        let (slots, _) = self.cluster.look(&[self.keys.tenure()]).await?;
        self.cluster.learn(&slots);
        decode(&slots[0])
    }

    async fn advance(&self, event: tenure::Event) -> Result<Tenure, StoreError> {
        let mut keys = vec![self.keys.tenure()];
        keys.extend(rules::made_by(&event).map(|id| self.keys.head(id)));
        // No event is both: what stands in the second slot depends on the event.
        let lives = rules::sign_of_life(&event).map(|region| self.keys.dark(region));
        keys.extend(lives.clone());
        let founds = matches!(event, tenure::Event::Founded { .. });
        self.cluster
            .transact(&keys, None, |slots, doubt| {
                // Whether it was we who founded it can't be told; every other event may as well be made twice.
                if founds && doubt == Doubt::MayHaveHappened {
                    return Err(StoreError::Unavailable("the answer to the founding was lost".to_owned()));
                }
                let current: Option<Tenure> = decode(&slots[0])?;
                let head = slots.get(1).filter(|_| lives.is_none());
                let operation = head.map(decode::<Head>).transpose()?.flatten();
                let standing = operation.map(|head| head.standing());
                let next = rules::advanced(current.clone(), event.clone(), standing.as_ref())?;
                if current.as_ref() == Some(&next) {
                    return Ok(Decision::unchanged(next));
                }
                let mut writes = vec![Write::Put(self.keys.tenure(), encode(&next))];
                let dark =
                    slots.get(1).filter(|_| lives.is_some()).map(decode::<Timestamp>).transpose()?.flatten();
                writes.extend(lives.clone().filter(|_| dark.is_some()).map(Write::Delete));
                Ok(Decision { answer: next, writes })
            })
            .await
    }

    async fn sight(
        &self,
        region: &RegionName,
        dark: bool,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = self.keys.dark(region);
        self.cluster
            .transact(std::slice::from_ref(&key), None, |slots, _| {
                let since: Option<Timestamp> = decode(&slots[0])?;
                Ok(match (since, dark) {
                    (Some(since), true) => Decision::unchanged(Some(since)),
                    (None, false) => Decision::unchanged(None),
                    (None, true) => {
                        Decision { answer: Some(at), writes: vec![Write::Put(key.clone(), encode(&at))] }
                    }
                    (Some(_), false) => Decision { answer: None, writes: vec![Write::Delete(key.clone())] },
                })
            })
            .await
    }
}
