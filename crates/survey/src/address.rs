//! Where an address is: in one of the regions' ranges, or elsewhere. Names and nearness prove nothing.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use bascule_core::facts::Place;
use bascule_core::manifest::{HttpUrl, Manifest};

/// The place of an address.
///
/// # Errors
/// Why nobody can tell.
pub(crate) fn place(manifest: &Manifest, address: IpAddr) -> Result<Place, String> {
    let inside = |region: &bascule_core::manifest::Region| region.ranges.iter().any(|r| r.contains(address));
    let mut found = manifest.regions.iter().filter(|(_, region)| inside(region)).map(|(name, _)| name);
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(Place::Region(name.clone())),
        (Some(_), Some(_)) => Err(format!("{address} is in ranges of both regions")),
        (None, _) => match manifest.regions.iter().find(|(_, region)| region.ranges.is_empty()) {
            None => Ok(Place::Elsewhere(address.to_string())),
            Some((name, _)) => Err(format!(
                "nothing says where {address} is: write the address ranges of {name} into [regions.{name}.network]"
            )),
        },
    }
}

/// The place of a server that is given by URL: of its address, or of all the addresses that its name has here and now.
/// A certificate may force the name.
pub(crate) async fn place_of_server(manifest: &Manifest, url: &HttpUrl) -> Result<Place, String> {
    let host = url.host.as_str();
    if let Ok(address) = host.parse() {
        return place(manifest, address);
    }
    let unresolved = |why: String| {
        format!(
            "nothing says where {host} is, {why}: let the name resolve on this machine, or write the server's address \
             in its place"
        )
    };
    let found = tokio::net::lookup_host((host, url.port())).await;
    let found = found.map_err(|e| unresolved(format!("whose name does not resolve here ({e})")))?;
    let mut addresses = found.map(|address| address.ip());
    let first = addresses.next().ok_or_else(|| unresolved("whose name has no address".to_owned()))?;
    let here = place(manifest, first)?;
    match addresses.find(|other| place(manifest, *other).as_ref() != Ok(&here)) {
        None => Ok(here),
        Some(other) => Err(unresolved(format!("since {first} and {other} are in several places"))),
    }
}

/// The place of this machine, by the address that it has on the way to another.
pub(crate) fn place_of_this_machine(manifest: &Manifest, towards: SocketAddr) -> Result<Place, String> {
    let own = || {
        let socket = UdpSocket::bind(if towards.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        // nothing is sent: the route alone is chosen (connect(2))
        socket.connect(towards)?;
        socket.local_addr()
    };
    let own = own().map_err(|e| format!("this machine has no way to {towards}: {e}"))?;
    place(manifest, own.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bascule_core::manifest::{AddressRange, Scheme};

    fn manifest(ranges: [&[&str]; 2]) -> Manifest {
        let text = include_str!("../../core/tests/manifest/right.toml");
        let mut manifest = Manifest::parse(text).expect("right");
        for (region, ranges) in manifest.regions.values_mut().zip(ranges) {
            region.ranges = ranges.iter().map(|r| r.parse::<AddressRange>().expect("a range")).collect();
        }
        manifest
    }

    #[test]
    fn an_address_is_where_its_range_is_and_elsewhere_only_if_both_regions_ranges_are_known() {
        let place = |ranges, address: &str| place(&manifest(ranges), address.parse().expect("an address"));
        let both: [&[&str]; 2] = [&["10.77.1.0/24"], &["10.77.2.0/24"]];
        assert_eq!(place(both, "10.77.1.53").map(|p| p.to_string()).as_deref(), Ok("us-east-2"));
        assert_eq!(place(both, "10.77.3.53"), Ok(Place::Elsewhere("10.77.3.53".to_owned())));
        let one: [&[&str]; 2] = [&["10.77.1.0/24"], &[]];
        assert_eq!(place(one, "10.77.1.53").map(|p| p.to_string()).as_deref(), Ok("us-east-2"));
        assert!(place(one, "10.77.3.53").is_err_and(|why| why.contains("[regions.us-west-1.network]")));
        assert!(place([&["10.0.0.0/8"], &["10.77.0.0/16"]], "10.77.1.53").is_err());
    }

    #[tokio::test]
    async fn a_name_is_where_its_addresses_are_and_one_that_has_none_says_what_to_do() {
        let manifest = manifest([&["127.0.0.0/8", "::1/128"], &["10.77.2.0/24"]]);
        let place = async |host: &str| {
            let host = host.parse().expect("a name or an address");
            place_of_server(&manifest, &HttpUrl { scheme: Scheme::Http, host, port: Some(2379) }).await
        };
        assert_eq!(place("localhost").await.map(|p| p.to_string()).as_deref(), Ok("us-east-2"));
        assert_eq!(place("10.77.2.6").await.map(|p| p.to_string()).as_deref(), Ok("us-west-1"));
        let why = place("nowhere.invalid").await.expect_err("it has no address");
        assert!(why.contains("nowhere.invalid") && why.contains("let the name resolve"), "{why}");
    }
}
