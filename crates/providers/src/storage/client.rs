//! Buckets over HTTP, with signed questions (AWS Signature Version 4) and, once each, without.

use std::collections::BTreeMap;

use bascule_core::facts::{Bucket, Destination, Fact, Listing, Source};
use bascule_core::id::RegionName;
use bascule_core::manifest::ObjectStorage;
use bascule_core::time::Timestamp;
use reqwest::Client;
use rusty_s3::{Method, UrlStyle};
use tokio::task::JoinSet;

use super::backup::{self, Mark};
use super::map::{self, Arrival, Object};
use super::openness::{self, Tried};
use crate::web::{self, Reply};
use crate::{Secret, now};

/// Pages of a listing that are read, of 1000 objects each: one round trip of 100 ms a page, within the second that
/// one bucket may take.
const PAGES_MAX: usize = 5;
/// Largest answer: a page of 1000 objects whose keys have 1024 bytes (S3's limit), each byte escaped.
const ANSWER_MAX: usize = 8 << 20;
/// Backups that are read for what they say of themselves: one round trip of 100 ms each, within the second that one
/// bucket may take.
const SAYS_MAX: usize = 5;
/// How long a signature is good for, in seconds: longer than a question takes, with clocks some seconds apart.
const SIGNED_FOR: u64 = 60;

/// A bucket that the manifest names, and as whom to ask for it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its region: requests are signed for it.
    pub region: RegionName,
    /// What the manifest says of it.
    pub bucket: ObjectStorage,
    /// The access key's id and its secret; or why they can't be had.
    pub login: Result<(String, Secret), String>,
}

/// Every bucket, those of both regions at once: replication is seen from both sides. A region none of whose buckets
/// could be asked for has no listing.
pub async fn buckets(all: &[Storage], http: &Client) -> BTreeMap<RegionName, Listing<Bucket>> {
    let mut asks = JoinSet::new();
    for storage in all {
        let peer = storage.bucket.replicated_to.as_ref();
        let peer = all.iter().find(|s| s.region != storage.region && Some(&s.bucket.name) == peer).cloned();
        let (storage, http) = (storage.clone(), http.clone());
        asks.spawn(async move {
            let looked = look(&Api { storage: &storage, http: &http }, peer.as_ref()).await;
            (storage.region, storage.bucket, looked)
        });
    }
    let mut found: BTreeMap<RegionName, Vec<(ObjectStorage, Looked)>> = BTreeMap::new();
    for (region, bucket, looked) in asks.join_all().await {
        found.entry(region).or_default().push((bucket, looked));
    }
    found.into_iter().map(|(region, looked)| (region, listing(looked))).collect()
}

/// A bucket's facts, that there is no such bucket, or why it could not be asked for.
type Looked = Result<Option<Box<Bucket>>, String>;

fn listing(mut looked: Vec<(ObjectStorage, Looked)>) -> Listing<Bucket> {
    looked.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let from: Vec<_> = looked.iter().map(|(bucket, _)| address(bucket)).collect();
    let from = Source::Address(from.join(", "));
    if let Some(why) = looked.iter().find_map(|(_, l)| l.as_ref().err())
        && looked.iter().all(|(_, l)| l.is_err())
    {
        return Fact::not_observed(why, from);
    }
    let mut found = BTreeMap::new();
    for (bucket, looked) in looked {
        match looked {
            Ok(None) => {}
            Ok(Some(facts)) => drop(found.insert(bucket.name, *facts)),
            Err(why) => drop(found.insert(bucket.name.clone(), unseen(&bucket, &why))),
        }
    }
    Fact::seen(found, now(), from)
}

fn address(bucket: &ObjectStorage) -> String {
    format!("{}/{}", bucket.endpoint, bucket.name)
}

fn unseen(bucket: &ObjectStorage, why: &str) -> Bucket {
    fn not<T>(bucket: &ObjectStorage, why: &str) -> Fact<T> {
        Fact::not_observed(why, Source::Address(address(bucket)))
    }
    Bucket {
        versioning: not(bucket, why),
        replication: not(bucket, why),
        encryption: not(bucket, why),
        public: not(bucket, why),
        newest_backup_age_s: not(bucket, why),
    }
}

async fn look(api: &Api<'_>, peer: Option<&Storage>) -> Looked {
    let bucket = &api.storage.bucket;
    let (list, versioning, encryption) =
        tokio::join!(api.list(""), api.signed(&[("versioning", "")]), api.signed(&[("encryption", "")]));
    let Some(list) = list? else { return Ok(None) };
    let from = |what: &str| Source::Address(format!("{}{what}", address(bucket)));
    let read = |answer: Result<Reply, String>, map: fn(u16, &[u8]) -> Result<bool, String>| {
        answer.and_then(|reply| map(reply.status.as_u16(), &reply.body))
    };
    let at = now();
    // The newest of a part of them says nothing of what is written now.
    let newest = map::newest(&list.objects, at).filter(|_| list.whole);
    let any = newest.or(list.objects.first());
    let (tried, replication, backup) = tokio::join!(
        api.tried(any),
        replication(api, peer, &list, newest, at),
        newest_backup(api, &list, at)
    );
    Ok(Some(Box::new(Bucket {
        versioning: fact(read(versioning, map::versioning), at, from("?versioning")),
        replication,
        encryption: fact(read(encryption, map::encryption), at, from("?encryption")),
        public: fact(tried.is_open(), at, from(&format!(": {}", tried.told()))),
        newest_backup_age_s: backup,
    })))
}

fn fact<T>(answer: Result<T, String>, at: Timestamp, from: Source) -> Fact<T> {
    match answer {
        Ok(value) => Fact::seen(value, at, from),
        Err(why) => Fact::not_observed(why, from),
    }
}

/// How old the newest finished backup is, or the newest log that was archived after it.
async fn newest_backup(api: &Api<'_>, list: &Objects, at: Timestamp) -> Fact<Option<u64>> {
    let from = |key: &str| Source::Address(format!("{}/{key}", address(&api.storage.bucket)));
    let listing = Source::Address(format!("{}?list-type=2", address(&api.storage.bucket)));
    if !list.whole {
        let why = format!("it has over {} objects: the newest can't be told", list.objects.len());
        return Fact::not_observed(why, listing);
    }
    let mut asked = 0;
    for mark in backup::marks(&list.objects) {
        let finished = match mark {
            Mark::Finished(object) => object,
            Mark::Says(object) => {
                asked += 1;
                if asked > SAYS_MAX {
                    let why = format!(
                        "none of the newest {SAYS_MAX} backups was finished: older ones were not read"
                    );
                    return Fact::not_observed(why, from(&object.key));
                }
                let said = api.object(&object.key).await;
                match said.and_then(|reply| backup::is_done(reply.status.as_u16(), &reply.body)) {
                    Ok(true) => object,
                    Ok(false) => continue,
                    Err(why) => return Fact::not_observed(why, from(&object.key)),
                }
            }
        };
        let log = backup::log_after(&list.objects, finished);
        let source = match log {
            Some(log) => format!("{} and {}", finished.key, log.key),
            None => finished.key.clone(),
        };
        return Fact::seen(Some(log.unwrap_or(finished).age_ms(at) / 1000), at, from(&source));
    }
    Fact::seen(None, at, listing)
}

/// Whether what is written here arrives there. That it goes nowhere is what the manifest says, until its newest
/// object is seen to be missing.
async fn replication(
    api: &Api<'_>,
    peer: Option<&Storage>,
    list: &Objects,
    newest: Option<&Object>,
    at: Timestamp,
) -> Fact<Option<Destination>> {
    let own = Source::Address(address(&api.storage.bucket));
    if api.storage.bucket.replicated_to.is_none() {
        return Fact::seen(None, at, own);
    }
    let Some(peer) = peer else {
        return Fact::not_observed("the bucket that it is replicated to is not described", own);
    };
    let Some(object) = newest else {
        let why = match list.objects.len() {
            0 => "it is empty: put an object into it, and look again".to_owned(),
            many => format!("it has over {many} objects: the newest can't be told"),
        };
        return Fact::not_observed(why, own);
    };
    let both = Source::Address(format!("{} and {}", address(&api.storage.bucket), address(&peer.bucket)));
    let there = Api { storage: peer, http: api.http };
    let there = match there.list(&object.key).await {
        Err(why) => return Fact::not_observed(format!("{}: {why}", peer.bucket.name), both),
        Ok(None) => Vec::new(),
        Ok(Some(found)) => found.objects,
    };
    let copy = there.iter().find(|found| found.key == object.key);
    match map::arrival(object, copy, at) {
        Arrival::There => {
            let to = Destination { region: peer.region.clone(), bucket: peer.bucket.name.clone() };
            Fact::seen(Some(to), at, both)
        }
        Arrival::Lost => Fact::seen(None, at, both),
        Arrival::Unknown(why) => Fact::not_observed(why, both),
    }
}

/// Objects of a bucket, and whether these are all.
struct Objects {
    objects: Vec<Object>,
    whole: bool,
}

/// One bucket's questions.
struct Api<'a> {
    storage: &'a Storage,
    http: &'a Client,
}

impl Api<'_> {
    /// The bucket's objects whose keys begin with this; none if there is no such bucket.
    async fn list(&self, prefix: &str) -> Result<Option<Objects>, String> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let reply = self.signed(&query).await?;
            let Some(page) = map::page(reply.status.as_u16(), &reply.body)? else { return Ok(None) };
            objects.extend(page.contents);
            token = page.next_continuation_token.filter(|token| !token.is_empty());
            // Whoever asks for one key needs no more than its page: keys come in the order of their bytes.
            if token.is_none() || !prefix.is_empty() {
                return Ok(Some(Objects { objects, whole: token.is_none() }));
            }
        }
        Ok(Some(Objects { objects, whole: false }))
    }

    /// Whether a stranger may list the bucket, or read an object of it, a right of its own; and what its storage says of
    /// its rules.
    async fn tried(&self, object: Option<&Object>) -> Tried {
        let read = async {
            let key = &object?.key;
            let answer = self.unsigned(Some(key)).await;
            Some((key.clone(), answer.and_then(|reply| map::public(reply.status.as_u16(), &reply.body))))
        };
        let (listed, read, policy, grants, block) = tokio::join!(
            self.unsigned(None),
            read,
            self.signed(&[("policyStatus", "")]),
            self.signed(&[("acl", "")]),
            self.signed(&[("publicAccessBlock", "")]),
        );
        Tried {
            listed: listed.and_then(|reply| map::public(reply.status.as_u16(), &reply.body)),
            read,
            policy: policy.and_then(|reply| openness::policy(reply.status.as_u16(), &reply.body)),
            grants: grants.and_then(|reply| openness::grants(reply.status.as_u16(), &reply.body)),
            block: block.and_then(|reply| openness::block(reply.status.as_u16(), &reply.body)),
        }
    }

    /// A question about the bucket.
    async fn signed(&self, query: &[(&str, &str)]) -> Result<Reply, String> {
        self.sign(self.bucket()?.base_url().clone(), query).await
    }

    /// An object's content.
    async fn object(&self, key: &str) -> Result<Reply, String> {
        let url = self.bucket()?.object_url(key).map_err(|e| format!("{key:?} is in no URL: {e}"))?;
        self.sign(url, &[]).await
    }

    async fn sign(&self, url: reqwest::Url, query: &[(&str, &str)]) -> Result<Reply, String> {
        let (id, secret) = self.storage.login.as_ref().map_err(Clone::clone)?;
        let at = jiff::Timestamp::from_millisecond(i64::try_from(now().0).unwrap_or(i64::MAX));
        let at = at.map_err(|e| format!("this machine's clock is wrong: {e}"))?;
        let mut query = query.to_vec();
        // The signature is over the parameters in the order of their names.
        query.sort_unstable();
        let none: [(&str, &str); 0] = [];
        let (region, secret) = (self.storage.region.as_str(), secret.reveal());
        let url = rusty_s3::signing::sign(
            &at,
            Method::Get,
            url,
            id,
            secret,
            None,
            region,
            SIGNED_FOR,
            query.into_iter(),
            none.into_iter(),
        );
        web::ask(self.http.get(url.as_str()), ANSWER_MAX).await
    }

    /// Only the head of an object is asked for: its content is none of ours.
    async fn unsigned(&self, key: Option<&str>) -> Result<Reply, String> {
        let bucket = self.bucket()?;
        let request = match key {
            None => {
                let mut url = bucket.base_url().clone();
                url.query_pairs_mut().append_pair("list-type", "2").append_pair("max-keys", "1");
                self.http.get(url.as_str())
            }
            Some(key) => {
                let url = bucket.object_url(key).map_err(|e| format!("{key:?} is in no URL: {e}"))?;
                self.http.head(url.as_str())
            }
        };
        web::ask(request, ANSWER_MAX).await
    }

    fn bucket(&self) -> Result<rusty_s3::Bucket, String> {
        let ObjectStorage { name, endpoint, .. } = &self.storage.bucket;
        let url = endpoint.to_string().parse().map_err(|e| format!("{endpoint} is no URL: {e}"))?;
        let region = self.storage.region.to_string();
        rusty_s3::Bucket::new(url, UrlStyle::Path, name.clone(), region)
            .map_err(|e| format!("{endpoint} can't be asked for buckets: {e}"))
    }
}
