//! Address ranges in CIDR notation (RFC 4632; RFC 4291, section 2.3), and whether two sets of them overlap.

use std::net::IpAddr;

/// Addresses from the first to the last. IPv4 and IPv6 never overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    v6: bool,
    first: u128,
    last: u128,
    text: String,
}

impl Range {
    /// `10.0.0.0/16`, `fd00::/8`. Bits past the prefix are taken for zero, as networks do.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let prefix: u32 = prefix.parse().ok()?;
        let (v6, bits, width) = match address.parse().ok()? {
            IpAddr::V4(ip) => (false, u128::from(ip.to_bits()), 32),
            IpAddr::V6(ip) => (true, ip.to_bits(), 128),
        };
        let host_bits = u32::checked_sub(width, prefix)?;
        let hosts = match host_bits {
            128 => u128::MAX,
            bits => (1_u128 << bits) - 1,
        };
        let first = bits & !hosts;
        Some(Self { v6, first, last: first | hosts, text: text.to_owned() })
    }
}

/// A range of each side that have an address in common, if there are such. Sorted once: n log n.
pub(super) fn first_overlap<'a>(home: &'a [Range], away: &'a [Range]) -> Option<(&'a str, &'a str)> {
    let mut all: Vec<(&Range, bool)> = home.iter().map(|r| (r, true)).collect();
    all.extend(away.iter().map(|r| (r, false)));
    all.sort_by_key(|(range, _)| (range.v6, range.first, range.last));
    // of each side, the range so far that reaches furthest
    let (mut of_home, mut of_away): (Option<&Range>, Option<&Range>) = (None, None);
    for (range, is_home) in all {
        let (own, other) = if is_home { (&mut of_home, of_away) } else { (&mut of_away, of_home) };
        if let Some(other) = other.filter(|o| o.v6 == range.v6 && o.last >= range.first) {
            let pair = if is_home { (range, other) } else { (other, range) };
            return Some((&pair.0.text, &pair.1.text));
        }
        if own.is_none_or(|o| (o.v6, o.last) < (range.v6, range.last)) {
            *own = Some(range);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|t| Range::parse(t).expect("a range")).collect()
    }

    #[test]
    fn ranges_overlap_if_they_share_an_address() {
        let overlap = |a: &[&str], b: &[&str]| first_overlap(&ranges(a), &ranges(b)).is_some();
        assert!(overlap(&["10.0.0.0/16"], &["10.0.0.0/16"]));
        assert!(overlap(&["10.0.0.0/8", "10.0.0.0/24"], &["10.9.0.0/16"]));
        assert!(overlap(&["0.0.0.0/0"], &["192.168.1.1/32"]));
        assert!(overlap(&["::/0"], &["fd00::/8"]));
        assert!(!overlap(&["10.0.0.0/16", "10.2.0.0/16"], &["10.1.0.0/16", "10.3.0.0/16"]));
        assert!(!overlap(&["10.0.0.0/16", "10.0.1.0/24"], &[]), "one side may overlap itself");
        assert!(!overlap(&["0.0.0.0/0"], &["::/0"]), "two families share nothing");
    }

    #[test]
    fn what_is_no_range_is_not_read_as_one() {
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "a/8", "10.0.0.0/-1"] {
            assert!(Range::parse(wrong).is_none(), "{wrong:?} was read");
        }
    }
}
