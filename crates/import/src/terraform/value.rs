//! A resource's attributes, as both readers hand them to the mapping: a tree with unknown and secret leaves.
//!
//! It lives no longer than the mapping of its resource: only the facts are kept.

use std::collections::BTreeMap;

use super::model::{Known, SecretDigest};

/// A value of an attribute. As deep as its reader lets it be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// A sensitive text: what is left of it.
    Secret(SecretDigest),
    /// A reference to another resource, as it is written.
    Refers(String),
    Unknown(String),
}

/// The value of what is not there.
const NULL: Value = Value::Null;

impl Value {
    /// An attribute; null if there is none. Of an unknown map every attribute is unknown.
    pub(super) fn get(&self, key: &str) -> &Value {
        match self {
            Value::Map(map) => map.get(key).unwrap_or(&NULL),
            Value::Unknown(_) => self,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Secret(_)
            | Value::Refers(_) => &NULL,
        }
    }

    /// The first block of a name: blocks are lists of maps.
    pub(super) fn block(&self, key: &str) -> &Value {
        match self.get(key) {
            Value::List(list) => list.first().unwrap_or(&NULL),
            other => other,
        }
    }

    /// The blocks of a name.
    pub(super) fn blocks(&self, key: &str) -> Known<&[Value]> {
        match self.get(key) {
            Value::List(list) => Known::Is(list),
            Value::Null => Known::Is(&[]),
            other => Known::unknown(other.why(key)),
        }
    }

    /// A text; none if it is not set. States write what is not set as an empty text.
    pub(super) fn text(&self, key: &str) -> Known<Option<String>> {
        match self.get(key) {
            Value::Null => Known::Is(None),
            Value::Text(text) if text.is_empty() => Known::Is(None),
            Value::Text(text) => Known::Is(Some(text.clone())),
            Value::Number(number) => Known::Is(Some(number.to_string())),
            Value::Bool(yes) => Known::Is(Some(yes.to_string())),
            other => Known::unknown(other.why(key)),
        }
    }

    /// A text that must be there to be known.
    pub(super) fn must(&self, key: &str) -> Known<String> {
        match self.text(key) {
            Known::Is(Some(text)) => Known::Is(text),
            Known::Is(None) => Known::unknown(format!("{key} is not set")),
            Known::Unknown { why } => Known::Unknown { why },
        }
    }

    /// An identifier of another resource, or, in code, the reference to it.
    pub(super) fn link(&self, key: &str) -> Known<Option<String>> {
        match self.get(key) {
            Value::Refers(to) => Known::Is(Some(to.clone())),
            _ => self.text(key),
        }
    }

    /// Several of those; none there: empty.
    pub(super) fn links(&self, key: &str) -> Known<Vec<String>> {
        let list = match self.get(key) {
            Value::List(list) => list,
            Value::Null => return Known::Is(Vec::new()),
            Value::Refers(to) => return Known::Is(vec![to.clone()]),
            other => return Known::unknown(other.why(key)),
        };
        let mut found = Vec::with_capacity(list.len());
        for item in list {
            match item {
                Value::Text(text) | Value::Refers(text) => found.push(text.clone()),
                other => return Known::unknown(other.why(key)),
            }
        }
        Known::Is(found)
    }

    /// Yes or no; `usual` if it is not set.
    pub(super) fn flag(&self, key: &str, usual: bool) -> Known<bool> {
        match self.get(key) {
            Value::Null => Known::Is(usual),
            Value::Bool(yes) => Known::Is(*yes),
            Value::Text(text) if text == "true" => Known::Is(true),
            Value::Text(text) if text == "false" => Known::Is(false),
            other => Known::unknown(other.why(key)),
        }
    }

    /// A number; none if it is not set.
    pub(super) fn number(&self, key: &str) -> Known<Option<u32>> {
        match self.get(key) {
            Value::Null => Known::Is(None),
            other => other.as_number(key).map(Some),
        }
    }

    /// A number; `usual` if it is not set.
    pub(super) fn number_or(&self, key: &str, usual: u32) -> Known<u32> {
        self.number(key).map(|found| found.unwrap_or(usual))
    }

    /// This value as a whole number that is not negative. Terraform also takes it in quotes.
    pub(super) fn as_number(&self, what: &str) -> Known<u32> {
        let wrong = || Known::unknown(format!("{what} is no whole number"));
        match self {
            Value::Number(number)
                if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) =>
            {
                Known::Is(*number as u32)
            }
            Value::Text(text) => text.parse().map_or_else(|_| wrong(), Known::Is),
            Value::Number(_) => wrong(),
            other => Known::unknown(other.why(what)),
        }
    }

    /// The digest of a secret; none if it is not set.
    pub(super) fn digest(&self, key: &str) -> Known<Option<SecretDigest>> {
        match self.get(key) {
            Value::Null => Known::Is(None),
            Value::Text(text) => Known::Is(Some(SecretDigest::of(text))),
            Value::Secret(digest) => Known::Is(Some(digest.clone())),
            other => Known::unknown(other.why(key)),
        }
    }

    /// Why this is not what was asked for.
    pub(super) fn why(&self, what: &str) -> String {
        match self {
            Value::Unknown(why) => format!("{what}: {why}"),
            Value::Refers(to) => format!("{what} refers to {to}"),
            Value::Secret(_) => format!("{what} is sensitive"),
            Value::Null => format!("{what} is not set"),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                format!("{what} has another shape")
            }
        }
    }
}
