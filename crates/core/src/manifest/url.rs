//! URLs: of the front door, of the store's members, of services, and of repositories.
//!
//! Invariant: none holds a login. One that was written into the manifest is refused, and never shown.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::error::ErrorCode;
use super::reader::{Field, Reader};
use super::value::{PATH_MAX, quoted, text};
use crate::id::DnsName;

/// The front door, a member of etcd, or a service: scheme, host, and port if it is not the scheme's own. Nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// The name users know it by; of any other a name or an IPv4 address.
    pub host: DnsName,
    /// Its port, if it was written.
    pub port: Option<u16>,
}

impl HttpUrl {
    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for HttpUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a front door is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// A member of etcd: scheme, host and port. The host may be an address, since a member does not move; of IPv6
/// a name has to stand for it.
pub(super) fn endpoint(r: &mut Reader, field: &Field<'_>) -> Option<HttpUrl> {
    let found = text(r, field)?;
    let label = match parse_endpoint(found) {
        Ok(url) => return Some(url),
        Err(label) => label,
    };
    if found.contains('@') {
        r.secrets.push(field.span.clone());
    }
    let message = format!("`{}` has something in it that is not an endpoint of etcd", field.path);
    let help = format!("write http:// or https://, a name or an IPv4 address, and a port: {}", field.example);
    r.error(ErrorCode::InvalidEndpoint, &field.span, message, label, help);
    None
}

fn parse_endpoint(text: &str) -> Result<HttpUrl, &'static str> {
    let (scheme, rest) = scheme(text)?;
    let (name, port) = rest.rsplit_once(':').ok_or("the port is missing")?;
    let port = port.parse::<u16>().ok().filter(|port| *port != 0);
    let port = port.ok_or("the port is not a number from 1 to 65535")?;
    Ok(HttpUrl { scheme, host: host(name)?, port: Some(port) })
}

/// The scheme, and what follows it: a host, and perhaps a port.
fn scheme(text: &str) -> Result<(Scheme, &str), &'static str> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(_) => return Err("neither http nor https"),
        None => return Err("http:// or https:// is missing"),
    };
    if rest.contains('@') {
        return Err("a login must not stand in the manifest");
    }
    if rest.contains(['/', '?', '#']) {
        return Err("a path has no place here");
    }
    Ok((scheme, rest))
}

fn host(text: &str) -> Result<DnsName, &'static str> {
    text.parse().map_err(|_| "the host is neither a lower-case name nor an IPv4 address")
}

/// What answers HTTP: scheme, host, and a port if need be. The host may be an address, since what stands here does
/// not move; of IPv6 a name has to stand for it.
pub(super) fn service(r: &mut Reader, field: &Field<'_>) -> Option<HttpUrl> {
    let found = text(r, field)?;
    let label = match parse_service(found) {
        Ok(url) => return Some(url),
        Err(label) => label,
    };
    if found.contains('@') {
        r.secrets.push(field.span.clone());
    }
    let message = format!("`{}` is not the address of a service", field.path);
    let help = format!(
        "write http:// or https://, a name or an IPv4 address, and a port if need be: {}",
        field.with(field.example)
    );
    r.error(ErrorCode::InvalidService, &field.span, message, label, help);
    None
}

fn parse_service(text: &str) -> Result<HttpUrl, &'static str> {
    let (scheme, rest) = scheme(text)?;
    match rest.rsplit_once(':') {
        Some(_) => parse_endpoint(text),
        None => Ok(HttpUrl { scheme, host: host(rest)?, port: None }),
    }
}

/// What git can be asked for over a network: a scheme, a host, a path, and no login but a user of SSH.
pub(super) fn git_url(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    let label = match check_git_url(found) {
        Ok(()) => return Some(found.to_owned()),
        Err(label) => label,
    };
    if found.contains('@') {
        r.secrets.push(field.span.clone());
    }
    let message = format!("`{}` is not a URL that git can be asked for", field.path);
    let help = format!(
        "write git://, ssh://, http:// or https://, a host and a path, for example: {}",
        field.with(field.example)
    );
    r.error(ErrorCode::InvalidRepository, &field.span, message, label, help);
    None
}

fn check_git_url(text: &str) -> Result<(), &'static str> {
    let schemes = ["git", "ssh", "http", "https"];
    let (scheme, rest) = text.split_once("://").ok_or("a scheme is missing")?;
    if !schemes.contains(&scheme) {
        return Err("not a scheme that bascule asks by");
    }
    if text.len() > PATH_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("too long, or with blanks in it");
    }
    let (authority, path) = rest.split_once('/').ok_or("a path is missing")?;
    let (login, place) = authority.rsplit_once('@').map_or((None, authority), |(l, p)| (Some(l), p));
    if login.is_some_and(|login| scheme != "ssh" || login.contains(':')) {
        return Err("a login must not stand in the manifest");
    }
    if path.is_empty() {
        return Err("a path is missing");
    }
    let (name, port) = place.split_once(':').map_or((place, None), |(name, port)| (name, Some(port)));
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err("the port is not a number from 1 to 65535");
    }
    // A host that begins with a hyphen would be an option to ssh; no name does.
    host(name).map(|_| ())
}

/// The front door's address.
pub(super) fn url(r: &mut Reader, field: &Field<'_>) -> Option<HttpUrl> {
    let found = text(r, field)?;
    let (label, instead) = match parse_url(found) {
        Ok(url) => return Some(url),
        Err((label, instead)) => (label, instead),
    };
    if found.contains('@') {
        r.secrets.push(field.span.clone());
    }
    let instead = instead.map_or(field.example.to_owned(), |url| quoted(&url.to_string()));
    let message = format!("`{}` is not the address of a front door", field.path);
    let help = format!("write http:// or https://, a name, and a port if need be: {}", field.with(&instead));
    r.error(ErrorCode::InvalidUrl, &field.span, message, label, help);
    None
}

/// The address, or what is wrong with it and what was probably meant.
fn parse_url(text: &str) -> Result<HttpUrl, (&'static str, Option<HttpUrl>)> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(_) => return Err(("neither http nor https", None)),
        None => return Err(("http:// or https:// is missing", parse_url(&format!("http://{text}")).ok())),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, place) = authority.rsplit_once('@').map_or((None, authority), |(l, p)| (Some(l), p));
    if place.starts_with('[') || place.split(':').next().is_some_and(|host| host.parse::<IpAddr>().is_ok()) {
        return Err(("an IP address does not move: a name is needed", None));
    }
    let (host, port) = match place.split_once(':') {
        None => (place, None),
        Some((host, port)) => match port.parse::<u16>() {
            Ok(port) if port != 0 => (host, Some(port)),
            _ => return Err(("the port is not a number from 1 to 65535", None)),
        },
    };
    let Ok(host) = host.parse::<DnsName>() else {
        return Err(("the host is not a lower-case DNS name", None));
    };
    let url = HttpUrl { scheme, host, port };
    match (login, path) {
        (Some(_), _) => Err(("a login must not stand in the manifest", Some(url))),
        (None, "") => Ok(url),
        (None, _) => Err(("a path has no place here", Some(url))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_print_as_they_were_read() {
        for text in ["http://app.events.test", "https://app.events.test:8443"] {
            assert_eq!(parse_url(text).map(|url| url.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(parse_url("https://a.b").map(|url| url.port()), Ok(443));
    }
}
