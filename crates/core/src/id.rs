//! Names and numbers that identify things, each a type of its own so that none can stand in for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that does not fit the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {rule}")]
pub struct InvalidId {
    /// What was being parsed.
    pub kind: &'static str,
    /// What was given.
    pub value: String,
    /// What would have been accepted.
    pub rule: &'static str,
}

/// Longest identifier accepted: a DNS label (RFC 1035, section 2.3.4), since regions become host names.
const LABEL_MAX: usize = 63;
/// Longest DNS name in text form without the trailing dot (RFC 1035, section 2.3.4).
const DNS_NAME_MAX: usize = 253;

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LABEL_MAX
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_dns_name(text: &str) -> bool {
    text.len() <= DNS_NAME_MAX && text.split('.').all(|label| is_label(&label.replace('_', "x")))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind, value: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id!(
    /// The application that is moved, as the manifest names it.
    SiteName, "site name", "lower-case letters, digits and inner hyphens, at most 63", is_label
);
text_id!(
    /// One of the two places the site can run.
    RegionName, "region name", "lower-case letters, digits and inner hyphens, at most 63", is_label
);
text_id!(
    /// A member of a region's database cluster, unique across both regions.
    MemberName, "member name", "lower-case letters, digits and inner hyphens, at most 63", is_label
);
text_id!(
    /// A DNS name without its trailing dot.
    DnsName, "DNS name", "labels of lower-case letters, digits, hyphens and underscores, at most 253 in all", is_dns_name
);
text_id!(
    /// One execution of a plan.
    OperationId, "operation id", "lower-case letters, digits and inner hyphens, at most 63", is_label
);
text_id!(
    /// A step within its plan, e.g. `hold-us-east-2`.
    StepId, "step id", "lower-case letters, digits and inner hyphens, at most 63", is_label
);

/// Which tenure of the site is meant: a number that only grows. Every effect carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("2^64 moves of one site cannot happen"))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which controller executes an operation: each one that takes it over gets the next number, and an
/// append with an older one is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_names_are_dns_labels() {
        assert!("us-east-2".parse::<RegionName>().is_ok());
        for wrong in ["", "US-EAST-2", "-a", "a-", "a.b", "a b", &"x".repeat(64)] {
            assert!(wrong.parse::<RegionName>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn dns_names_have_labels() {
        assert!("app.events.test".parse::<DnsName>().is_ok());
        assert!("_x.events.test".parse::<DnsName>().is_ok());
        for wrong in ["", "app..test", ".test", "test.", "App.test"] {
            assert!(wrong.parse::<DnsName>().is_err(), "{wrong:?} was accepted");
        }
    }
}
