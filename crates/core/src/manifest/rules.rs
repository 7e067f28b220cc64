//! What must hold between the parts of a manifest.
//!
//! The rules look at facts that were gathered while reading, not at the finished [`super::Manifest`], so
//! that they can be checked, and underlined, even where another part could not be read. A rule whose
//! facts are missing stays silent: the reader has named the cause already.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::Target;
use super::assets::{self, AssetFacts};
use super::automatic::{self, AutomaticFacts};
use super::error::ErrorCode;
use super::reader::{Reader, closest};
use super::store::{self, StoreFact};
use super::url::HttpUrl;
use super::value::{quoted, show};
use crate::id::{DnsName, MemberName};

/// What the rules look at, each with its place.
#[derive(Default)]
pub(super) struct Facts {
    pub home: Option<Spanned<String>>,
    /// `objective.rto` and `objective.max_pause`.
    pub rto_and_pause: Option<(Spanned<Duration>, Duration)>,
    /// `objective.rpo`.
    pub rpo: Option<Spanned<Duration>>,
    pub front_door: Option<Spanned<HttpUrl>>,
    pub zone: Option<Spanned<DnsName>>,
    /// The heading of `[names]`.
    pub names: Option<Range<usize>>,
    pub records: Vec<RecordFact>,
    /// Whether some record could not be read.
    pub records_incomplete: bool,
    /// The regions' names as they are written, in the order of the text; none without `[regions]`.
    pub regions: Option<Vec<Spanned<String>>>,
    pub members: Vec<Spanned<MemberName>>,
    /// Every address with a port, and what is there.
    pub endpoints: Vec<(Spanned<SocketAddr>, String)>,
    /// What each region offers for each target.
    pub targets: Vec<(Target, Spanned<IpAddr>)>,
    /// The servers that users ask: the one that takes updates may be among them.
    pub servers: Vec<Spanned<SocketAddr>>,
    pub update_server: Option<Spanned<SocketAddr>>,
    pub store: Option<StoreFact>,
    pub automatic: AutomaticFacts,
    pub assets: AssetFacts,
}

/// A record that could be read.
pub(super) struct RecordFact {
    pub name: Spanned<DnsName>,
    pub target: Target,
    pub ttl: Duration,
    pub move_ttl: Option<Spanned<Duration>>,
}

/// Check every rule.
pub(super) fn check(r: &mut Reader) {
    let facts = std::mem::take(&mut r.facts);
    objective(r, &facts);
    regions(r, &facts);
    records(r, &facts);
    targets(r, &facts);
    front_door(r, &facts);
    once(r, ErrorCode::DuplicateMember, facts.members.iter().map(|m| (m.get_ref(), m.span())), |name| {
        (
            format!("two members have the name {}", quoted(name.as_str())),
            "give each member, in both regions, a name of its own".to_owned(),
        )
    });
    once(
        r,
        ErrorCode::DuplicateMember,
        facts.automatic.keepers.iter().map(|k| (k.get_ref(), k.span())),
        |name| {
            (
                format!("two keepers have the name {}", quoted(name.as_str())),
                "give each keeper, in both regions, a name of its own".to_owned(),
            )
        },
    );
    if let Some(fact) = &facts.store {
        store::check(r, fact);
    }
    automatic::check(r, &facts);
    assets::check(r, &facts.assets);
    asset_names(r, &facts.assets);
    addresses(r, facts);
}

/// A bucket's name is unique in both regions, as in a cloud; a key pair's in its region, since both have it.
fn asset_names(r: &mut Reader, facts: &AssetFacts) {
    let twice = |what: &'static str, advice: &'static str| {
        move |name: &String| (format!("two {what} {}", quoted(name)), advice.to_owned())
    };
    let places = |all: &[Spanned<String>]| -> Vec<(String, Range<usize>)> {
        all.iter().map(|name| (name.get_ref().clone(), name.span())).collect()
    };
    let mut groups = vec![
        (
            places(&facts.monitoring),
            "monitors have the url",
            "keep one of them, or write the other's own url",
        ),
        (
            places(&facts.repositories),
            "copies have the url",
            "keep one of them, or write the other's own url",
        ),
    ];
    let buckets: Vec<_> = facts.buckets.values().flatten().cloned().collect();
    groups.push((places(&buckets), "buckets have the name", "write the name that the other bucket has"));
    for (named, what) in
        [(&facts.key_pairs, "key pairs have the name"), (&facts.secrets, "secrets have the name")]
    {
        for names in named.values() {
            groups.push((places(names), what, "give each, in a region, a name of its own"));
        }
    }
    for (names, what, advice) in groups {
        let names = names.iter().map(|(name, span)| (name, span.clone()));
        once(r, ErrorCode::DuplicateAsset, names, twice(what, advice));
    }
}

fn objective(r: &mut Reader, facts: &Facts) {
    let Some((rto, pause)) = &facts.rto_and_pause else { return };
    if rto.get_ref() < pause {
        let (span, rto, pause) = (rto.span(), show(*rto.get_ref()), show(*pause));
        r.error(
            ErrorCode::RtoBelowPause,
            &span,
            format!("`objective.rto` is {rto}, but `objective.max_pause` lets a switchover hold writes for {pause}"),
            format!("shorter than max_pause = \"{pause}\""),
            format!("write rto = \"{pause}\" or more, or max_pause = \"{rto}\" or less"),
        );
    }
}

fn regions(r: &mut Reader, facts: &Facts) {
    let Some(regions) = &facts.regions else { return };
    let names: Vec<_> = regions.iter().map(|name| name.get_ref().as_str()).collect();
    if let (1, Some(only)) = (regions.len(), regions.first()) {
        let message = "the manifest has one region, and a site has exactly two";
        let help = "describe the other region too, in sections [regions.NAME.…]";
        r.error(ErrorCode::RegionCount, &only.span(), message, "the only region", help);
    } else if let Some(third) = regions.get(2) {
        let message = format!("the manifest has {} regions, and a site has exactly two", names.len());
        let help = format!("keep two of: {}", names.join(", "));
        r.error(ErrorCode::RegionCount, &third.span(), message, "one too many", help);
    }
    let Some(home) = &facts.home else { return };
    if !names.contains(&home.get_ref().as_str()) {
        let label = match closest(home.get_ref(), names.iter().copied()) {
            Some(close) => format!("did you mean {}?", quoted(close)),
            None => "not one of the regions".to_owned(),
        };
        let choices: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        r.error(
            ErrorCode::UnknownHome,
            &home.span(),
            format!("`site.home` is {}, which is not a region of this manifest", quoted(home.get_ref())),
            label,
            format!("write home = {}", choices.join(" or ")),
        );
    }
}

fn records(r: &mut Reader, facts: &Facts) {
    for record in &facts.records {
        let name = record.name.get_ref().as_str();
        if let Some(zone) = &facts.zone {
            let zone = zone.get_ref().as_str();
            if name != zone && !name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')) {
                r.error(
                    ErrorCode::OutsideZone,
                    &record.name.span(),
                    format!("{} is not in the zone {}", quoted(name), quoted(zone)),
                    format!("does not end in .{zone}"),
                    format!("write a name in {zone}, for example: name = \"app.{zone}\""),
                );
            }
        }
        if let Some(move_ttl) = record.move_ttl.as_ref().filter(|ttl| *ttl.get_ref() > record.ttl) {
            let ttl = show(record.ttl);
            r.error(
                ErrorCode::MoveTtlAboveTtl,
                &move_ttl.span(),
                format!("`move_ttl` of {name} is longer than its `ttl`, {ttl}"),
                "answers must live shorter before a move, not longer",
                format!("write move_ttl = \"{ttl}\" or less"),
            );
        }
    }
    let names = facts.records.iter().map(|record| (record.name.get_ref(), record.name.span()));
    once(r, ErrorCode::DuplicateRecord, names, |name| {
        (
            format!("two records have the name {}", quoted(name.as_str())),
            "keep one of them: a name points at one target".to_owned(),
        )
    });
    let Some(span) = facts.names.as_ref().filter(|_| !facts.records_incomplete) else { return };
    for target in Target::ALL {
        if !facts.records.is_empty() && facts.records.iter().all(|record| record.target != target) {
            let target = target.as_str();
            r.error(
                ErrorCode::NoRecordFor,
                span,
                format!("no record has the target \"{target}\""),
                format!("no name for the {}", target.replace('_', " ")),
                format!("add a [[names.records]] with target = \"{target}\""),
            );
        }
    }
}

fn front_door(r: &mut Reader, facts: &Facts) {
    let Some(url) = facts.front_door.as_ref().filter(|_| !facts.records_incomplete) else { return };
    let moves = |record: &&RecordFact| record.target == Target::LoadBalancer;
    let mut names = facts.records.iter().filter(moves).map(|record| record.name.get_ref());
    let Some(instead) = names.clone().next() else { return };
    let host = &url.get_ref().host;
    if names.any(|name| name == host) {
        return;
    }
    let known = facts.records.iter().any(|record| record.name.get_ref() == host);
    let why = if known { "points at the pool, not at the load balancer" } else { "is none of names.records" };
    let mended = HttpUrl { host: instead.clone(), ..url.get_ref().clone() };
    r.error(
        ErrorCode::FrontDoorHost,
        &url.span(),
        format!("the front door's host, {}, {why}", quoted(host.as_str())),
        "does not move with the load balancer",
        format!("write url = \"{mended}\", or add a record for {host} with target = \"load_balancer\""),
    );
}

/// The two regions' addresses for a target differ, or a move would change nothing, and are of one
/// family, since a move replaces one address record by another of the same type.
fn targets(r: &mut Reader, facts: &Facts) {
    for target in Target::ALL {
        let mut found: Vec<_> =
            facts.targets.iter().filter(|(t, _)| *t == target).map(|(_, ip)| ip).collect();
        found.sort_by_key(|ip| ip.span().start);
        let [first, second, ..] = found[..] else { continue };
        let (a, b) = (first.get_ref().to_canonical(), second.get_ref().to_canonical());
        let what = target.as_str().replace('_', " ");
        let (code, message, label, help) = if a == b {
            let message = format!("both regions have a {what} at {a}");
            let help = "write the address that the other region has";
            (ErrorCode::AddressReused, message, "used twice", help)
        } else if a.is_ipv4() != b.is_ipv4() {
            let message = format!("the {what}s of the two regions are at {a} and {b}");
            let help =
                "write two IPv4 or two IPv6 addresses: a move replaces one record by another of its type";
            (ErrorCode::MixedFamilies, message, "of another family", help)
        } else {
            continue;
        };
        r.error(code, &second.span(), message, label, help);
        r.note(first.span(), "the other one is here");
    }
}

fn addresses(r: &mut Reader, facts: Facts) {
    let Facts { mut endpoints, servers, update_server, .. } = facts;
    let same = |server: &Spanned<SocketAddr>| {
        update_server
            .as_ref()
            .is_some_and(|update| canonical(update.get_ref()) == canonical(server.get_ref()))
    };
    let listed = servers.iter().any(same);
    endpoints.extend(servers.into_iter().map(|server| (server, "a name server".to_owned())));
    if let Some(update_server) = update_server.filter(|_| !listed) {
        endpoints.push((update_server, "the update server".to_owned()));
    }
    endpoints.sort_by_key(|(at, _)| at.span().start);
    let mut seen: BTreeMap<SocketAddr, (Range<usize>, String)> = BTreeMap::new();
    for (at, what) in endpoints {
        let socket = canonical(at.get_ref());
        let Some((first, other)) = seen.get(&socket) else {
            seen.insert(socket, (at.span(), what));
            continue;
        };
        let place = first.clone();
        let message = if *other == what {
            format!("{socket} stands twice as {what}")
        } else {
            format!("{socket} is both {other} and {what}")
        };
        let (label, help) = ("used twice", "write the address and port that this part really has");
        r.error(ErrorCode::AddressReused, &at.span(), message, label, help);
        r.note(place, "the first is here");
    }
}

fn canonical(socket: &SocketAddr) -> SocketAddr {
    SocketAddr::new(socket.ip().to_canonical(), socket.port())
}

/// Refuse what stands there a second time.
fn once<'n, T: Ord + 'n>(
    r: &mut Reader,
    code: ErrorCode,
    names: impl Iterator<Item = (&'n T, Range<usize>)>,
    words: impl Fn(&T) -> (String, String),
) {
    let mut names: Vec<_> = names.collect();
    names.sort_by_key(|(_, span)| span.start);
    let mut seen: BTreeMap<&T, Range<usize>> = BTreeMap::new();
    for (name, span) in names {
        let Some(first) = seen.get(name) else {
            seen.insert(name, span);
            continue;
        };
        let (message, help) = words(name);
        r.error(code, &span, message, "used twice", help);
        r.note(first.clone(), "the first is here");
    }
}
