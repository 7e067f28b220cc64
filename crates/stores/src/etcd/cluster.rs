//! Talking to the members: one request goes to one member after another until one answers, or its time is up.
//!
//! Invariant: a change is made at most once however often it was sent, since every change compares the revisions of
//! what was looked at, writes one of those keys, and revisions only grow. So once a compare has failed, no earlier
//! copy that is still under way can succeed any more. What an answer that never came leaves open is `doubt`.
//!
//! Left out: balancing. The members are asked in the order they were given (a keeper gives them nearest first), and whoever
//! answered last is asked first; now and then the first of them is, which may be back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bascule_core::ports::StoreError;
use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, GetResponse, KeyValue, Txn, TxnOp,
    TxnOpResponse, TxnResponse,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::EtcdConfig;

/// Of a request's time, what one member gets before the next is asked: all three are, within it.
const SHARE: u32 = 3;
/// Between two rounds through all members: an election takes a second, and each question costs a packet.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two questions to the nearest member while another one answers. If it is still silent, that costs one look its share
/// of the time, a third of a second. Only looks go back: a renewal or an append would be late, and in doubt.
const HOME_AFTER: Duration = Duration::from_secs(30);
/// etcd answers pings that come oftener than every 5 s with a hang-up (`--grpc-keepalive-min-time`). These are for
/// connections that nothing is sent on; any other is noticed by its requests.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A member that does not answer a ping within two requests' time is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer: a page of 32 appends of at most 1 MiB, with what is around them.
const MAX_ANSWER: usize = 40 << 20;
/// Causes below one another: gRPC, HTTP/2, TLS, the socket, each of them at most twice.
const MAX_CAUSES: usize = 8;
/// Keys whose last known value is kept: the tenure's, an operation's, a report's; a few times as many.
const MAX_KNOWN: usize = 64;

/// A key as it was at some revision.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub key: String,
    /// The revision at which it was last changed; 0 if it is not there.
    pub changed: i64,
    pub value: Option<Vec<u8>>,
}

impl Slot {
    pub(super) fn absent(key: String) -> Self {
        Self { key, changed: 0, value: None }
    }
}

/// A change of one key.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Put(String, Vec<u8>),
    Delete(String),
}

/// What a call decides on what it looked at: an answer, and the changes that make it true. Without changes nothing
/// is written.
pub(super) struct Decision<T> {
    pub answer: T,
    pub writes: Vec<Write>,
}

impl<T> Decision<T> {
    pub(super) fn unchanged(answer: T) -> Self {
        Self { answer, writes: Vec::new() }
    }
}

/// Whether an earlier copy of a change may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    MayHaveHappened,
}

struct Member {
    url: String,
    client: tokio::sync::Mutex<Option<Client>>,
}

/// The members, and what is known of them.
pub(super) struct Cluster {
    members: Vec<Member>,
    options: ConnectOptions,
    /// The number of the member that is asked first.
    preferred: watch::Sender<usize>,
    /// When it last was the nearest, or that one was tried.
    home: Mutex<Instant>,
    asked: Arc<AtomicU64>,
    deadline: Duration,
    known: Mutex<HashMap<String, Slot>>,
}

impl Cluster {
    pub(super) fn new(config: EtcdConfig) -> Self {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(config.deadline / SHARE)
            .with_keep_alive(KEEP_ALIVE, KEEP_ALIVE_TIMEOUT)
            .with_keep_alive_while_idle(true)
            // A member that has lost the others says so, instead of waiting for them.
            .with_require_leader(true);
        if let Some(login) = config.login {
            options = options.with_user(login.name, login.password);
        }
        if let Some(tls) = config.tls {
            options = options.with_tls(tls.options());
        }
        let member = |url| Member { url, client: tokio::sync::Mutex::new(None) };
        Self {
            members: config.endpoints.into_iter().map(member).collect(),
            options,
            preferred: watch::Sender::new(0),
            home: Mutex::new(Instant::now()),
            asked: config.asked,
            deadline: config.deadline,
            known: Mutex::default(),
        }
    }

    /// The keys as they are now, all at one revision, which is the second answer.
    pub(super) async fn look(&self, keys: &[String]) -> Result<(Vec<Slot>, i64), StoreError> {
        self.look_from(self.homewards(), keys).await
    }

    async fn look_from(&self, first: usize, keys: &[String]) -> Result<(Vec<Slot>, i64), StoreError> {
        let gets: Vec<_> = keys.iter().map(|key| TxnOp::get(key.as_str(), None)).collect();
        let (response, _) = self.ask(&Txn::new().and_then(gets), first).await?;
        Ok((slots_of(keys, &response), revision(&response)))
    }

    /// What lies under a prefix at one revision, beside single keys: at most `limit` in the order asked for.
    pub(super) async fn range(
        &self,
        from: &str,
        options: GetOptions,
        keys: &[String],
    ) -> Result<(Vec<Slot>, Vec<Slot>), StoreError> {
        let mut gets = vec![TxnOp::get(from, Some(options))];
        gets.extend(keys.iter().map(|key| TxnOp::get(key.as_str(), None)));
        let (response, _) = self.ask(&Txn::new().and_then(gets), self.homewards()).await?;
        let mut answers = gets_of(&response);
        let found = if answers.is_empty() { Vec::new() } else { answers.remove(0) };
        let single = keys.iter().zip(answers);
        let single = single.map(|(key, kvs)| first(key, kvs)).collect();
        Ok((found, single))
    }

    /// Decide on the keys as they are, and make the changes only if they still are so; decide anew otherwise.
    /// `new` is a key that should not be there yet; it stands behind the others in what is decided on.
    ///
    /// What is known of the keys from before is tried first, so that a change is one request: a decision on it is
    /// never the answer unless etcd has confirmed it.
    pub(super) async fn transact<T>(
        &self,
        keys: &[String],
        new: Option<String>,
        decide: impl Fn(&[Slot], Doubt) -> Result<Decision<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let mut doubt = Doubt::None;
        let (known, looked) = (self.known(keys), keys.len());
        let keys: Vec<String> = keys.iter().cloned().chain(new.clone()).collect();
        let known = known.map(|mut known| {
            known.extend(new.map(Slot::absent));
            known
        });
        // Refused, or nothing to do: that is true only of what is, not of what was.
        let known = known.filter(|known| decide(known, doubt).is_ok_and(|d| !d.writes.is_empty()));
        let mut slots = match known {
            Some(known) => known,
            None => self.look_from(self.first(), &keys).await?.0,
        };
        // A new key is not looked at again.
        self.learn(&slots[..looked]);
        loop {
            let Decision { answer, writes } = decide(&slots, doubt)?;
            if writes.is_empty() {
                return Ok(answer);
            }
            let first = self.first();
            let (response, doubted) = self.ask(&change(&slots, &writes), first).await?;
            if response.succeeded() {
                self.wrote(&slots[..looked], writes, revision(&response));
                return Ok(answer);
            }
            slots = slots_of(&keys, &response);
            self.learn(&slots[..looked]);
            if doubted == Doubt::MayHaveHappened {
                doubt = doubted;
            }
            // Somebody else was quicker, each time: one of all who try is made in each round.
            if begun.elapsed() >= self.deadline {
                return Err(StoreError::Unavailable("others write all the time".to_owned()));
            }
        }
    }

    /// One request, sent to one member after another from this one on, until one answers.
    async fn ask(&self, txn: &Txn, mut first: usize) -> Result<(TxnResponse, Doubt), StoreError> {
        let begun = Instant::now();
        let mut doubt = Doubt::None;
        // The newest failure of each member: what is said if none answers.
        let mut failures: Vec<Option<String>> = vec![None; self.members.len()];
        loop {
            let mut refused = 0;
            for step in 0..self.members.len() {
                let number = (first + step) % self.members.len();
                let left = self.deadline.saturating_sub(begun.elapsed());
                if left.is_zero() {
                    return Err(unavailable(&self.members, &failures));
                }
                let share = left.min(self.deadline / SHARE);
                let failure = match timeout(share, self.ask_member(number, txn)).await {
                    Ok(Ok(response)) => {
                        self.prefer(|now| *now != number, number);
                        return Ok((response, doubt));
                    }
                    Ok(Err(error)) => {
                        if is_refusal(&error) {
                            refused += 1;
                            *self.members[number].client.lock().await = None;
                        }
                        why(&error)
                    }
                    Err(_) => format!("no answer within {share:?}"),
                };
                failures[number] = Some(failure);
                doubt = Doubt::MayHaveHappened;
            }
            // Each has been asked with a new log-in: a third will not please them either.
            if refused == self.members.len() {
                return Err(unavailable(&self.members, &failures));
            }
            tokio::time::sleep(PAUSE.min(self.deadline.saturating_sub(begun.elapsed()))).await;
            first = self.first();
        }
    }

    /// The member that a change asks first.
    fn first(&self) -> usize {
        *self.preferred.borrow()
    }

    /// The member that a look asks first.
    fn homewards(&self) -> usize {
        let (preferred, now) = (self.first(), Instant::now());
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if preferred != 0 && now.duration_since(*home) < HOME_AFTER {
            return preferred;
        }
        *home = now;
        0
    }

    async fn ask_member(&self, number: usize, txn: &Txn) -> Result<TxnResponse, Error> {
        let client = self.client(number).await?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        client.kv_client().max_decoding_message_size(MAX_ANSWER).txn(txn.clone()).await
    }

    /// A client of one member. Without a user making one sends nothing; with one it logs in.
    async fn client(&self, number: usize) -> Result<Client, Error> {
        let member = &self.members[number];
        let mut client = member.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let made = Client::connect([member.url.as_str()], Some(self.options.clone())).await?;
        *client = Some(made.clone());
        Ok(made)
    }

    /// A client of the member that answered last, for a stream of its own; its number; and how long to wait for it.
    pub(super) async fn preferred(&self) -> Result<(Client, usize, Duration), StoreError> {
        let number = self.first();
        let share = self.deadline / SHARE;
        let url = &self.members[number].url;
        match timeout(share, self.client(number)).await {
            Ok(Ok(client)) => Ok((client, number, share)),
            Ok(Err(error)) => Err(StoreError::Unavailable(format!("{url}: {}", why(&error)))),
            Err(_) => Err(StoreError::Unavailable(format!("{url}: no answer within {share:?}"))),
        }
    }

    /// Ask another member first from now on, unless that has been done already.
    pub(super) fn avoid(&self, number: usize) {
        self.prefer(|now| *now == number, (number + 1) % self.members.len());
    }

    /// Returns once another member is asked first: this one no longer answers.
    pub(super) async fn left(&self, number: usize) {
        // It can't fail: the sender is this cluster's own.
        let _ = self.preferred.subscribe().wait_for(|now| *now != number).await;
    }

    fn prefer(&self, given: impl FnOnce(&usize) -> bool, number: usize) {
        self.preferred.send_if_modified(|now| {
            let moves = given(now);
            if moves {
                *now = number;
            }
            moves
        });
    }

    /// Note what keys were at a revision, unless something newer is known.
    pub(super) fn learn(&self, slots: &[Slot]) {
        let mut known = self.lock();
        if known.len() + slots.len() > MAX_KNOWN {
            known.clear();
        }
        for slot in slots {
            let is_newer = |old: &Slot| slot.changed == 0 || old.changed <= slot.changed;
            if known.get(&slot.key).is_none_or(is_newer) {
                known.insert(slot.key.clone(), slot.clone());
            }
        }
    }

    /// Note what was written of the keys that were looked at; the others are not looked at again.
    fn wrote(&self, looked: &[Slot], writes: Vec<Write>, revision: i64) {
        let slots = writes.into_iter().map(|write| match write {
            Write::Put(key, value) => Slot { key, changed: revision, value: Some(value) },
            Write::Delete(key) => Slot::absent(key),
        });
        let again = |slot: &Slot| looked.iter().any(|looked| looked.key == slot.key);
        self.learn(&slots.filter(again).collect::<Vec<_>>());
    }

    fn known(&self, keys: &[String]) -> Option<Vec<Slot>> {
        let known = self.lock();
        keys.iter().map(|key| known.get(key).cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // What is known is only ever a guess: half of an update is one too.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Make the changes if every key is as it was looked at; say how the keys are otherwise.
fn change(slots: &[Slot], writes: &[Write]) -> Txn {
    let same = |slot: &Slot| Compare::mod_revision(slot.key.as_str(), CompareOp::Equal, slot.changed);
    let write = |write: &Write| match write {
        Write::Put(key, value) => TxnOp::put(key.as_str(), value.as_slice(), None),
        Write::Delete(key) => TxnOp::delete(key.as_str(), None),
    };
    Txn::new()
        .when(slots.iter().map(same).collect::<Vec<_>>())
        .and_then(writes.iter().map(write).collect::<Vec<_>>())
        .or_else(slots.iter().map(|slot| TxnOp::get(slot.key.as_str(), None)).collect::<Vec<_>>())
}

/// Whether a member has answered that it will not do this, for whoever asks so.
fn is_refusal(error: &Error) -> bool {
    // By number: gRPC's codes (grpc, "Status codes and their use in gRPC") are not part of the client's interface.
    // 3 is InvalidArgument, 7 PermissionDenied, 9 FailedPrecondition, 16 Unauthenticated.
    match error {
        Error::GRpcStatus(status) => matches!(status.code() as i32, 3 | 7 | 9 | 16),
        Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => true,
        _ => false,
    }
}

/// An error in words: gRPC's message, and the last of its causes, "connection refused" for example.
fn why(error: &Error) -> String {
    let Error::GRpcStatus(status) = error else { return error.to_string() };
    let message = status.message();
    let causes = std::iter::successors(std::error::Error::source(status), |cause| cause.source());
    match causes.take(MAX_CAUSES).last().map(ToString::to_string) {
        Some(cause) if !message.contains(&cause) => format!("{message}: {cause}"),
        Some(_) | None => message.to_owned(),
    }
}

fn unavailable(members: &[Member], failures: &[Option<String>]) -> StoreError {
    let said = members
        .iter()
        .zip(failures)
        .filter_map(|(member, failure)| failure.as_ref().map(|failure| format!("{}: {failure}", member.url)));
    StoreError::Unavailable(said.collect::<Vec<_>>().join("; "))
}

fn revision(response: &TxnResponse) -> i64 {
    response.header().map_or(0, etcd_client::ResponseHeader::revision)
}

fn slots_of(keys: &[String], response: &TxnResponse) -> Vec<Slot> {
    keys.iter().zip(gets_of(response)).map(|(key, found)| first(key, found)).collect()
}

fn first(key: &str, found: Vec<Slot>) -> Slot {
    found.into_iter().next().unwrap_or_else(|| Slot::absent(key.to_owned()))
}

/// What each look of a transaction found.
fn gets_of(response: &TxnResponse) -> Vec<Vec<Slot>> {
    let found = |response: &GetResponse| response.kvs().iter().map(slot_of).collect();
    let answers = response.op_responses().into_iter().filter_map(|answer| match answer {
        TxnOpResponse::Get(response) => Some(found(&response)),
        TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
    });
    answers.collect()
}

pub(super) fn slot_of(kv: &KeyValue) -> Slot {
    let key = String::from_utf8_lossy(kv.key()).into_owned();
    Slot { key, changed: kv.mod_revision(), value: Some(kv.value().to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nearest_member_is_tried_again_now_and_then() {
        let urls = ["a", "b", "c"].map(|host| format!("http://{host}:2379"));
        let cluster = Cluster::new(EtcdConfig::new(urls.to_vec()));
        tokio::time::advance(HOME_AFTER * 2).await;
        assert_eq!(cluster.homewards(), 0);
        cluster.prefer(|_| true, 2);
        assert_eq!(cluster.homewards(), 2, "who answered last");
        tokio::time::advance(HOME_AFTER).await;
        assert_eq!(cluster.homewards(), 0);
        assert_eq!(cluster.homewards(), 2, "it may still be silent: once is enough");
        cluster.prefer(|_| true, 0);
        assert_eq!(cluster.homewards(), 0, "it is back");
    }
}
