//! Where a DNS name points now: asked again and again, so that whoever holds connections can follow it.
//!
//! Invariant: the published addresses are those of the latest look-up that succeeded. One that fails, takes too
//! long or finds nothing changes nothing: the loss of a name server must not end good connections.
//!
//! Left out: the record's TTL. The system's resolver does not tell it, and whatever caches on the way heeds it.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Between two look-ups. A move should take 1.5 s to the first acknowledged write in the other region; this is
/// the part that an instance adds. The six instances of two regions ask 30 times a second, nothing to a name
/// server; the name's TTL (1 s in the lab) decides what a cache on the way adds.
pub const LOOK_UP_INTERVAL: Duration = Duration::from_millis(200);

/// One look-up. The C library passes a silent name server after 1 s at the earliest (resolv.conf(5),
/// `timeout`): with three of them a name is found when two are gone. A look-up given up here runs on in a thread
/// of its own until the library ends it, 30 s later with three servers at its defaults: at most 12 threads.
pub const LOOK_UP_TIMEOUT: Duration = Duration::from_millis(2500);

/// Finds the addresses of one name.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses now. None at all counts as a failure.
    fn look_up(&self) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

/// The system's resolver (`getaddrinfo`).
pub struct System {
    host: String,
}

impl System {
    /// For the name `host`. An address is its own answer.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned() }
    }
}

impl Resolver for System {
    async fn look_up(&self) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The addresses of a name that is being followed. Clones share them; the following ends with the last clone.
#[derive(Clone)]
pub struct Addresses {
    latest: watch::Receiver<BTreeSet<IpAddr>>,
}

impl Addresses {
    /// Follows a name from now on, in a task of the current tokio runtime.
    pub fn follow(resolver: impl Resolver) -> Self {
        let (sender, latest) = watch::channel(BTreeSet::new());
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = look_up_for_ever(resolver, &sender) => {}
            }
        });
        Self { latest }
    }

    /// Whether the name points to `address`.
    pub fn include(&self, address: IpAddr) -> bool {
        self.latest.borrow().contains(&address)
    }

    /// The addresses, once there are any.
    pub async fn known(&self) -> BTreeSet<IpAddr> {
        self.wait_for(|latest| !latest.is_empty()).await
    }

    /// Returns as soon as the name does not point to `address`.
    pub async fn left(&self, address: IpAddr) {
        self.wait_for(|latest| !latest.contains(&address)).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&BTreeSet<IpAddr>) -> bool) -> BTreeSet<IpAddr> {
        let mut latest = self.latest.clone();
        let found = latest.wait_for(condition).await.ok().map(|addresses| addresses.clone());
        match found {
            Some(addresses) => addresses,
            // The following ended, with the runtime: nothing will ever change.
            None => pending().await,
        }
    }
}

async fn look_up_for_ever(resolver: impl Resolver, sender: &watch::Sender<BTreeSet<IpAddr>>) {
    let mut ticks = interval(LOOK_UP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let found = match timeout(LOOK_UP_TIMEOUT, resolver.look_up()).await {
            Ok(Ok(found)) if !found.is_empty() => BTreeSet::from_iter(found),
            Ok(Ok(_)) => {
                told(&mut failing, "no address");
                continue;
            }
            Ok(Err(error)) => {
                told(&mut failing, &error.to_string());
                continue;
            }
            Err(_) => {
                told(&mut failing, "no answer in time");
                continue;
            }
        };
        failing = false;
        sender.send_if_modified(|latest| {
            let moved = *latest != found;
            if moved {
                tracing::info!(from = ?latest, to = ?found, "the database's addresses have changed");
                *latest = found;
            }
            moved
        });
    }
}

/// Logs the first failure of a row: five a second would fill the log.
fn told(failing: &mut bool, why: &str) {
    if !*failing {
        tracing::warn!(why, "the database's name cannot be looked up; its last addresses stay in use");
    }
    *failing = true;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    /// Gives each of the prepared answers once, then the last for ever.
    struct Script(Arc<Mutex<Vec<Option<Vec<IpAddr>>>>>);

    impl Resolver for Script {
        async fn look_up(&self) -> io::Result<Vec<IpAddr>> {
            let mut answers = self.0.lock().unwrap();
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            answer.ok_or_else(|| io::Error::other("no such name"))
        }
    }

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[tokio::test]
    async fn a_failed_look_up_changes_nothing_and_a_moved_name_is_followed() {
        let script = [Some(vec![address(2)]), None, Some(vec![]), Some(vec![address(3)])];
        let answers = Arc::new(Mutex::new(script.to_vec()));
        let addresses = Addresses::follow(Script(answers.clone()));
        assert_eq!(addresses.known().await, BTreeSet::from([address(2)]));
        addresses.left(address(2)).await;
        assert_eq!(answers.lock().unwrap().len(), 1, "it stayed until the last answer");
        assert_eq!(addresses.known().await, BTreeSet::from([address(3)]));
        assert!(addresses.include(address(3)) && !addresses.include(address(2)));
    }

    #[tokio::test]
    async fn the_system_finds_localhost_and_takes_an_address_for_itself() {
        assert!(System::new("localhost").look_up().await.unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(System::new("127.0.0.7").look_up().await.unwrap(), [address(7)]);
    }

    #[tokio::test]
    async fn the_following_ends_with_its_last_reader() {
        let answers = Arc::new(Mutex::new(vec![Some(vec![address(2)])]));
        let addresses = Addresses::follow(Script(answers.clone()));
        addresses.known().await;
        drop(addresses);
        while Arc::strong_count(&answers) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
