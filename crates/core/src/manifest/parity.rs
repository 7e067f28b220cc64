//! What of a region must fit the other one, and can be seen in the manifest alone: its address ranges, and where the
//! application reads its secrets.
//!
//! Invariant: a section that is left out says nothing. What depends on it is not observed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use toml::Spanned;

use super::assets::optional_list;
use super::error::ErrorCode;
use super::reader::{Field, Keys, Reader, Section};
use super::value::{self, text};

const NETWORK: Keys = &[("ranges", "[\"10.77.1.0/24\"]")];
const SECRET: Keys = &[("name", "\"database\""), ("file", "\"secrets/app\"")];

/// An address range in CIDR notation (RFC 4632; RFC 4291, section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// Its first address.
    pub first: IpAddr,
    /// How many bits all its addresses share.
    pub prefix: u8,
}

impl AddressRange {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => (first.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(first), IpAddr::V6(other)) => (first.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differ >= u32::from(self.prefix)
    }
}

/// What is wrong with a text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRange(pub &'static str);

impl FromStr for AddressRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let (address, prefix) =
            text.split_once('/').ok_or(InvalidRange("the length of the prefix is missing"))?;
        let first: IpAddr = address.parse().map_err(|_| InvalidRange("not an IP address"))?;
        let width = if first.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.parse().map_err(|_| InvalidRange("the length of the prefix is no number"))?;
        if prefix > width {
            return Err(InvalidRange("the prefix is longer than the address"));
        }
        let host_bits = u32::from(width - prefix);
        let tail = match first {
            IpAddr::V4(ip) => ip.to_bits().trailing_zeros(),
            IpAddr::V6(ip) => ip.to_bits().trailing_zeros(),
        };
        if tail < host_bits {
            return Err(InvalidRange("this is an address in a range, not a range"));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A secret that the application reads in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretFile {
    /// Its name, the same in both regions.
    pub name: String,
    /// Where that region's copy is read. Only its digest is ever told.
    pub file: PathBuf,
}

/// A region's address ranges. The outer `None` is a mistake.
pub(super) fn ranges<'t>(r: &mut Reader, region: &Section<'t>) -> Option<Vec<AddressRange>> {
    if !region.has("network") {
        return Some(Vec::new());
    }
    let s = r.optional_section(region, "network", NETWORK)?;
    let ranges = r.read_list(&s, "ranges", range)?;
    Some(ranges.into_iter().map(Spanned::into_inner).collect())
}

/// A region's secrets. The outer `None` is a mistake.
pub(super) fn secrets<'t>(r: &mut Reader, region: &Section<'t>, name: &str) -> Option<Vec<SecretFile>> {
    optional_list(r, region, "secrets", SECRET, |r, s| {
        let secret = r.read(s, "name", value::identifier);
        let file = r.read(s, "file", value::path);
        r.facts.assets.secrets.entry(name.to_owned()).or_default().extend(secret.clone());
        Some(SecretFile { name: secret?.into_inner(), file: file?.into_inner() })
    })
}

fn range(r: &mut Reader, field: &Field<'_>) -> Option<AddressRange> {
    let label = match text(r, field)?.parse() {
        Ok(range) => return Some(range),
        Err(InvalidRange(label)) => label,
    };
    let message = format!("`{}` has something in it that is not an address range", field.path);
    let help = format!("write the first address and the length of the prefix: {}", field.example);
    r.error(ErrorCode::InvalidAddress, &field.span, message, label, help);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_that_share_its_prefix() {
        let range = |text: &str| text.parse::<AddressRange>().expect("a range");
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(range("10.77.1.0/24").contains(ip("10.77.1.255")));
        assert!(!range("10.77.1.0/24").contains(ip("10.77.2.0")));
        assert!(
            range("0.0.0.0/0").contains(ip("10.77.1.1")) && range("10.0.0.1/32").contains(ip("10.0.0.1"))
        );
        assert!(
            range("fd00:1::/32").contains(ip("fd00:1::5")) && !range("fd00:1::/32").contains(ip("fd00:2::5"))
        );
        assert!(!range("0.0.0.0/0").contains(ip("fd00::1")), "two families share nothing");
        assert!(range("10.77.1.0/24").contains(ip("::ffff:10.77.1.9")), "an IPv4 address, written as IPv6");
    }

    #[test]
    fn what_is_no_range_is_refused_and_the_rest_is_printed_as_it_was() {
        for wrong in
            ["", "10.77.1.0", "10.77.1.0/33", "10.77.1.1/24", "10.77/16", "fd00::/129", "x/8", "10.0.0.0/-1"]
        {
            assert!(wrong.parse::<AddressRange>().is_err(), "{wrong:?}");
        }
        for right in ["10.77.1.0/24", "0.0.0.0/0", "10.0.0.1/32", "fd00::/8", "::/0"] {
            assert_eq!(right.parse::<AddressRange>().map(|r| r.to_string()).as_deref(), Ok(right));
        }
    }
}
