//! `[store]`: where tenure and journals are kept. Each kind has keys of its own.

use toml::Spanned;

use super::error::ErrorCode;
use super::reader::{Keys, Reader, Section};
use super::url::{self, HttpUrl, Scheme};
use super::value::{self, quoted};
use super::{EtcdClientCertificate, EtcdTls, EtcdUser, Store};

/// The keys of a store in a file; also what is shown where the section is missing.
const SQLITE: Keys = &[("kind", "\"sqlite\""), ("path", "\"bascule.db\"")];
const ETCD: Keys = &[
    ("kind", "\"etcd\""),
    ("endpoints", "[\"http://10.77.1.6:2379\"]"),
    ("user", "\"bascule\""),
    ("password_file", "\"secrets/etcd\""),
    ("ca_file", "\"certs/etcd-ca.pem\""),
    ("cert_file", "\"certs/etcd-client.pem\""),
    ("key_file", "\"secrets/etcd-client-key.pem\""),
];

/// What the rules of other sections ask of the store.
pub(super) struct StoreFact {
    /// The place of its `kind`.
    pub kind: std::ops::Range<usize>,
    pub is_etcd: bool,
    /// The endpoints that could be read; none if one could not.
    pub endpoints: Option<Vec<Spanned<HttpUrl>>>,
}

pub(super) fn read<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Store> {
    let is_etcd = root.text_within("store", "kind") == Some("etcd");
    let s = r.section(root, "store", if is_etcd { ETCD } else { SQLITE })?;
    let kind = r.read(&s, "kind", |r, f| value::choice(r, f, &["sqlite", "etcd"], |kind| kind));
    if is_etcd {
        return etcd(r, &s, kind?.span());
    }
    if let Some(kind) = &kind {
        r.facts.store = Some(StoreFact { kind: kind.span(), is_etcd: false, endpoints: None });
    }
    let path = r.read(&s, "path", value::path);
    kind?;
    Some(Store::Sqlite { path: path?.into_inner() })
}

fn etcd<'t>(r: &mut Reader, s: &Section<'t>, kind: std::ops::Range<usize>) -> Option<Store> {
    let endpoints = r.read_list(s, "endpoints", url::endpoint);
    let user = r.read_optional(s, "user", value::identifier);
    let password_file = r.read_optional(s, "password_file", value::path);
    let ca_file = r.read_optional(s, "ca_file", value::path);
    let cert_file = r.read_optional(s, "cert_file", value::path);
    let key_file = r.read_optional(s, "key_file", value::path);
    r.facts.store = Some(StoreFact { kind, is_etcd: true, endpoints: endpoints.clone() });
    let user = both(r, ("user", user?), ("password_file", password_file?));
    let client = both(r, ("cert_file", cert_file?), ("key_file", key_file?));
    let tls = tls(r, endpoints.as_deref()?, ca_file?);
    let (user, client, ca_file) = (user?, client?, tls?);
    if let (Some((cert, _)), None) = (&client, &ca_file) {
        let message = "`store.cert_file` is there, but the endpoints are not https://";
        let help = "write https:// endpoints and a ca_file, or delete cert_file and key_file";
        r.error(ErrorCode::StoreTls, &cert.span(), message, "no TLS to use it in", help);
        return None;
    }
    Some(Store::Etcd {
        endpoints: endpoints?.into_iter().map(Spanned::into_inner).collect(),
        user: user.map(|(name, password_file)| EtcdUser {
            name: name.into_inner(),
            password_file: password_file.into_inner(),
        }),
        tls: ca_file.map(|ca_file| EtcdTls {
            ca_file: ca_file.into_inner(),
            client: client.map(|(cert_file, key_file)| EtcdClientCertificate {
                cert_file: cert_file.into_inner(),
                key_file: key_file.into_inner(),
            }),
        }),
    })
}

type Pair<A, B> = Option<(Spanned<A>, Spanned<B>)>;

/// Two keys of which neither stands without the other. The outer `None` is a mistake.
fn both<A, B>(
    r: &mut Reader,
    (a_key, a): (&str, Option<Spanned<A>>),
    (b_key, b): (&str, Option<Spanned<B>>),
) -> Option<Pair<A, B>> {
    let (span, there, missing) = match (a, b) {
        (None, None) => return Some(None),
        (Some(a), Some(b)) => return Some(Some((a, b))),
        (Some(a), None) => (a.span(), a_key, b_key),
        (None, Some(b)) => (b.span(), b_key, a_key),
    };
    r.error(
        ErrorCode::HalfAPair,
        &span,
        format!("[store] has `{there}`, but not `{missing}`"),
        format!("`{missing}` is missing"),
        format!("add {missing}, or delete {there}"),
    );
    None
}

/// One scheme for all endpoints, and an authority exactly where it is https. The outer `None` is a mistake.
fn tls<T>(
    r: &mut Reader,
    endpoints: &[Spanned<HttpUrl>],
    ca_file: Option<Spanned<T>>,
) -> Option<Option<Spanned<T>>> {
    let scheme = endpoints.first()?.get_ref().scheme;
    if let Some(other) = endpoints.iter().find(|endpoint| endpoint.get_ref().scheme != scheme) {
        let message = "some endpoints of the store are http://, others https://";
        let help = "write https:// for all of them, and a ca_file";
        r.error(ErrorCode::StoreTls, &other.span(), message, "another scheme than the first", help);
        return None;
    }
    match (scheme, &ca_file) {
        (Scheme::Http, None) | (Scheme::Https, Some(_)) => Some(ca_file),
        (Scheme::Http, Some(file)) => {
            let message = "`store.ca_file` is there, but the endpoints are http://";
            let help = "write https:// endpoints, or delete ca_file";
            r.error(ErrorCode::StoreTls, &file.span(), message, "no TLS to use it in", help);
            None
        }
        (Scheme::Https, None) => {
            let span = endpoints.first()?.span();
            let message = "the endpoints are https://, but `store.ca_file` does not say whom to believe";
            let help = "add: ca_file = \"certs/etcd-ca.pem\"";
            r.error(ErrorCode::StoreTls, &span, message, "`ca_file` is missing", help);
            None
        }
    }
}

/// No endpoint stands twice.
pub(super) fn check(r: &mut Reader, fact: &StoreFact) {
    let endpoints = fact.endpoints.as_deref().unwrap_or_default();
    for (number, endpoint) in endpoints.iter().enumerate() {
        let same = |other: &&Spanned<HttpUrl>| {
            let (a, b) = (endpoint.get_ref(), other.get_ref());
            (&a.host, a.port()) == (&b.host, b.port())
        };
        if endpoints[..number].iter().any(|other| same(&other)) {
            let url = quoted(&endpoint.get_ref().to_string());
            let message = format!("the store's endpoint {url} stands twice");
            let help = "write the address that the other member has";
            r.error(ErrorCode::AddressReused, &endpoint.span(), message, "used twice", help);
        }
    }
}
