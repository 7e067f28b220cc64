//! What is stored under which key, under `/bascule/<site>/`. Values are JSON, each with the version of its format.
//!
//! | key | value |
//! |---|---|
//! | `tenure` | the tenure |
//! | `heads/<operation>` | its number, term, length, and whether it is open: what appends are held against |
//! | `headers/<number>` | how it began; written once |
//! | `entries/<operation>/<at>` | the records of one append, from that place in the journal on; written once |
//! | `beats/<operation>` | how often its controller has said that it lives |
//! | `open` | the operation that is open, while one is |
//! | `last` | the newest operation's number |
//! | `dark/<region>` | since when it has not been seen |
//! | `reports/<place>` | its newest report |
//! | `pause` | the operator's word |
//!
//! An append is one key, whatever it holds: so it is whole or absent, and etcd's limit of 128 changes in a
//! transaction (`--max-txn-ops`) is never met.

use bascule_core::id::{OperationId, RegionName, SiteName, Term};
use bascule_core::ports::{Entry, StoreError};
use bascule_core::vantage::{Place, Report};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cluster::Slot;
use crate::rules::Standing;

/// The version of every value.
const VERSION: u32 = 1;
/// The largest value: etcd takes requests of 1.5 MiB (`--max-request-bytes`), and the rest of one is small.
pub(super) const MAX_VALUE: usize = 1 << 20;

/// The keys of a site.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn of(prefix: &str, site: &SiteName) -> Self {
        Self { prefix: format!("{prefix}{site}/") }
    }

    pub(super) fn tenure(&self) -> String {
        format!("{}tenure", self.prefix)
    }

    pub(super) fn head(&self, id: &OperationId) -> String {
        format!("{}heads/{id}", self.prefix)
    }

    pub(super) fn beats(&self, id: &OperationId) -> String {
        format!("{}beats/{id}", self.prefix)
    }

    pub(super) fn headers(&self) -> String {
        format!("{}headers/", self.prefix)
    }

    /// Numbers are padded, so that the order of keys is that of numbers.
    pub(super) fn header(&self, number: u64) -> String {
        format!("{}headers/{number:020}", self.prefix)
    }

    pub(super) fn entries(&self, id: &OperationId) -> String {
        format!("{}entries/{id}/", self.prefix)
    }

    pub(super) fn batch(&self, id: &OperationId, at: u64) -> String {
        format!("{}entries/{id}/{at:020}", self.prefix)
    }

    pub(super) fn open(&self) -> String {
        format!("{}open", self.prefix)
    }

    pub(super) fn last(&self) -> String {
        format!("{}last", self.prefix)
    }

    pub(super) fn dark(&self, region: &RegionName) -> String {
        format!("{}dark/{region}", self.prefix)
    }

    pub(super) fn reports(&self) -> String {
        format!("{}reports/", self.prefix)
    }

    pub(super) fn report(&self, place: &Place) -> String {
        match place {
            Place::Keeper { region, name } => format!("{}reports/{region}/{name}", self.prefix),
            Place::Witness => format!("{}reports/witness", self.prefix),
        }
    }

    pub(super) fn pause(&self) -> String {
        format!("{}pause", self.prefix)
    }
}

/// `heads/<operation>`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub number: u64,
    pub term: Term,
    pub length: u64,
    pub open: bool,
}

impl Head {
    pub(super) fn standing(&self) -> Standing {
        Standing { term: self.term, length: self.length, open: self.open }
    }
}

/// `open`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub id: OperationId,
    pub number: u64,
}

/// `entries/<operation>/<at>`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// Whose: by this a controller knows its own append again.
    pub term: Term,
    pub entries: Vec<Entry>,
}

/// `reports/<place>`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacedReport {
    pub place: Place,
    pub report: Report,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<T> {
    version: u32,
    value: T,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(&Stored { version: VERSION, value }).expect("what is stored has only string keys")
}

/// What a key holds, if it is there.
pub(super) fn decode<T: DeserializeOwned>(slot: &Slot) -> Result<Option<T>, StoreError> {
    slot.value.as_deref().map(|value| read(&slot.key, value)).transpose()
}

/// The value of a key that is there.
pub(super) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    let damaged = |e: serde_json::Error| StoreError::Damaged(format!("{key} can't be read: {e}"));
    let Stored { version, value }: Stored<serde_json::Value> =
        serde_json::from_slice(value).map_err(damaged)?;
    if version != VERSION {
        let text = format!("{key} has format {version}; this bascule reads {VERSION}: use a newer one");
        return Err(StoreError::Damaged(text));
    }
    serde_json::from_value(value).map_err(damaged)
}

/// A value that etcd takes, or which operation's is too large.
pub(super) fn bounded(id: &OperationId, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if value.len() > MAX_VALUE {
        let text = format!("{id} would write {} bytes at once, and etcd takes {MAX_VALUE}", value.len());
        return Err(StoreError::Damaged(text));
    }
    Ok(value)
}
