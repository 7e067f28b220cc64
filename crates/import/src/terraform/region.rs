//! The region of a resource.
//!
//! Its own attributes say it first: `region` (the provider's version 6), its ARN, its availability zone. Then its
//! provider's configuration. Nothing else is taken as a sign: not the folder's name, not its neighbours.

use super::model::{GLOBAL, Known};
use super::value::Value;

/// The region of a resource that its own attributes do not place.
pub(super) fn of(v: &Value, global: bool, provider: impl FnOnce() -> Known<String>) -> Known<String> {
    if global {
        return Known::Is(GLOBAL.to_owned());
    }
    own_region(v).unwrap_or_else(provider)
}

/// Where a resource is, from its own attributes; none if they do not say.
fn own_region(v: &Value) -> Option<Known<String>> {
    for key in ["region", "arn", "availability_zone"] {
        match (key, v.get(key)) {
            ("region", Value::Text(text)) => return Some(Known::Is(text.clone())),
            ("region", Value::Unknown(why)) if matches!(v, Value::Map(_)) => {
                return Some(Known::unknown(format!("region: {why}")));
            }
            // arn:partition:service:region:account:resource; the region of what is global is empty.
            ("arn", Value::Text(text)) => {
                if let Some(region) =
                    text.split(':').nth(3).filter(|r| text.starts_with("arn:") && !r.is_empty())
                {
                    return Some(Known::Is(region.to_owned()));
                }
            }
            ("availability_zone", Value::Text(text)) => {
                if let Some(region) = zone_region(text) {
                    return Some(Known::Is(region.to_owned()));
                }
            }
            _ => {}
        }
    }
    None
}

/// The region of an availability zone: `us-east-2a` is in `us-east-2`.
pub(crate) fn zone_region(zone: &str) -> Option<&str> {
    let region = zone.strip_suffix(|c: char| c.is_ascii_lowercase())?;
    is_region(region).then_some(region)
}

/// Whether a text has the shape of a region: `us-east-2`, `us-gov-west-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().is_some_and(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_lowercase()));
    let rest: Vec<&str> = parts.collect();
    let Some((number, words)) = rest.split_last() else { return false };
    let word = |w: &&str| (2..=12).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_lowercase());
    first
        && number.len() == 1
        && number.bytes().all(|b| b.is_ascii_digit())
        && (1..=3).contains(&words.len())
        && words.iter().all(word)
}
