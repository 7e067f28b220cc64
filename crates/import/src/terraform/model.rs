//! What Terraform's papers declare, whichever of them it was read from.

use std::collections::BTreeMap;
use std::fmt;

use bascule_core::asset::AssetKind;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::facts::Facts;
use crate::{Code, Finding};

/// The region of what its provider runs in no single region, such as names.
pub const GLOBAL: &str = "global";

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// This is it.
    Is(T),
    /// The input does not say.
    Unknown {
        /// What hides it. Never a sensitive value.
        why: String,
    },
}

impl<T> Known<T> {
    /// Nobody knows, because of this.
    pub fn unknown(why: impl Into<String>) -> Self {
        Known::Unknown { why: why.into() }
    }

    /// The value, if it is known.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        match self {
            Known::Is(value) => Some(value),
            Known::Unknown { .. } => None,
        }
    }

    /// Another value made from this one, unknown for the same reason.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Known::Is(value) => Known::Is(make(value)),
            Known::Unknown { why } => Known::Unknown { why },
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file, as it was handed over.
    pub file: String,
    /// The line, from 1; 0 if it is about the whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A finding, and the file it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// The file.
    pub file: String,
    /// What was found there.
    pub finding: Finding,
}

/// Everything that is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// The resources, in the order of the input.
    pub resources: Vec<Resource>,
    /// The modules that are called: what they hold is unknown.
    pub modules: Vec<ModuleCall>,
    /// Where Terraform's own states are kept.
    pub backends: Vec<Backend>,
    /// What could not be used.
    pub findings: Vec<Noted>,
}

impl Declared {
    /// The regions that resources are in, each once, without [`GLOBAL`], the one with most resources first.
    #[must_use]
    pub fn regions(&self) -> Vec<&str> {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for region in self.resources.iter().filter_map(|r| r.region.get()).filter(|r| *r != GLOBAL) {
            *found.entry(region).or_default() += 1;
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(name, number)| (std::cmp::Reverse(*number), *name));
        found.into_iter().map(|(name, _)| name).collect()
    }

    pub(super) fn note(&mut self, code: Code, place: &Place, message: impl Into<String>, remedy: &str) {
        // A label may hold anything; a message is one line.
        let message: String = message.into().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let finding = Finding::new(code, place.line, message, remedy);
        self.findings.push(Noted { file: place.file.clone(), finding });
    }

    pub(super) fn append(&mut self, mut other: Declared) {
        self.resources.append(&mut other.resources);
        self.modules.append(&mut other.modules);
        self.backends.append(&mut other.backends);
        self.findings.append(&mut other.findings);
    }
}

/// One resource: an instance of it in a state or plan, its block in code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// The folder or file it belongs to: addresses are unique in it.
    pub root: String,
    /// Its address.
    pub address: String,
    /// Its type.
    pub type_name: String,
    /// What asset it is, or is part of; none if it is neither, or its type is not known.
    pub kind: Option<AssetKind>,
    /// Where it is, or [`GLOBAL`].
    pub region: Known<String>,
    /// How many the block makes; 1 in a state or plan, where each stands for itself.
    pub count: Known<u32>,
    /// Its provider's identifier; none in code.
    pub id: Option<String>,
    /// Where it stands.
    pub place: Place,
    /// What is known of it.
    pub facts: Facts,
}

impl Resource {
    /// How many units of its asset it makes: instances, nodes, members. What only belongs to an asset makes none.
    #[must_use]
    pub fn units(&self) -> Known<u32> {
        let each = match self.facts.units() {
            Known::Is(0) => return Known::Is(0),
            each => each,
        };
        match (&self.count, each) {
            (Known::Is(count), Known::Is(each)) => Known::Is(count.saturating_mul(each)),
            (Known::Unknown { why }, _) => Known::unknown(format!("how often it is made: {why}")),
            (Known::Is(_), unknown) => unknown,
        }
    }
}

/// A module that is called: a box whose inside was not handed over, or not looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleCall {
    /// The folder it is called from.
    pub root: String,
    /// Its address.
    pub address: String,
    /// Where its code is.
    pub source: Known<String>,
    /// Where it is called.
    pub place: Place,
}

/// Where a root keeps its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// The root.
    pub root: String,
    /// Its kind, such as `s3`.
    pub kind: String,
    /// The bucket, if it is in one.
    pub bucket: Known<Option<String>>,
    /// The bucket's region.
    pub region: Known<Option<String>>,
    /// Where it stands.
    pub place: Place,
}

/// SHA-256 of a secret: made to be compared, never to be printed, since a weak secret can be found from it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(not shown)")
    }
}

impl Serialize for SecretDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("not shown")
    }
}
