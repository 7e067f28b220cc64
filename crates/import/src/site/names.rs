//! The names that move, as far as the code declares them.

use std::time::Duration;

use bascule_core::id::DnsName;
use bascule_core::manifest::Target;

use super::manifest::Notes;
use crate::terraform::{Declared, Facts, Record};

/// The zone that is written if none is declared (RFC 6761: nobody's).
const PLACEHOLDER: &str = "example.test";
/// How many records are taken over; a site has a handful of names that move.
const MAX_RECORDS: usize = 20;
/// The longest zone under which names such as `app.ZONE` still fit (RFC 1035: 253 in all).
const MAX_ZONE: usize = 240;
/// The TTL that is written where none is told.
const USUAL_TTL: Duration = Duration::from_secs(30);

/// What is found.
pub(super) struct Found {
    pub zone: DnsName,
    pub records: Vec<FoundRecord>,
}

/// A name that moves.
pub(super) struct FoundRecord {
    pub name: DnsName,
    pub target: Target,
    pub ttl: Duration,
}

/// The zone, and at least one record for each target.
pub(super) fn find(declared: Option<&Declared>, notes: &mut Notes) -> Found {
    let all = || declared.iter().flat_map(|declared| &declared.resources).map(|resource| &resource.facts);
    let zones = all().filter_map(|facts| match facts {
        Facts::Zone { name, private } if private.get() != Some(&true) => dns_name(name.get()?),
        _ => None,
    });
    let zone = zones.into_iter().find(|zone| zone.as_str().len() <= MAX_ZONE);
    let known = zone.is_some();
    let zone = zone.unwrap_or_else(|| PLACEHOLDER.parse().expect("a name"));
    if !known {
        notes.guess("names", "zone", "no zone is declared");
    }
    let mut records: Vec<FoundRecord> = Vec::new();
    for facts in all() {
        let Facts::Record(record) = facts else { continue };
        let Some(found) = known.then(|| moving(record, &zone)).flatten() else { continue };
        if records.len() < MAX_RECORDS && !records.iter().any(|there| there.name == found.0) {
            let (name, target, ttl) = found;
            if ttl.is_none() {
                notes.guess(
                    &format!("names.records#{}", records.len()),
                    "ttl",
                    "an alias has none of its own",
                );
            }
            records.push(FoundRecord { name, target, ttl: ttl.unwrap_or(USUAL_TTL) });
        }
    }
    for target in Target::ALL {
        if records.iter().any(|record| record.target == target) {
            continue;
        }
        let section = format!("names.records#{}", records.len());
        notes.guess(
            &section,
            "name",
            &format!("no name of a {} is declared", target.as_str().replace('_', " ")),
        );
        notes.guess(&section, "ttl", "no such name is declared");
        let name = free(&zone, target, &records);
        records.push(FoundRecord { name, target, ttl: USUAL_TTL });
    }
    for at in 0..records.len() {
        notes.guess(&format!("names.records#{at}"), "move_ttl", "the shortest");
    }
    Found { zone, records }
}

fn dns_name(text: &str) -> Option<DnsName> {
    text.trim_end_matches('.').to_ascii_lowercase().parse().ok()
}

/// A name that nobody has yet.
fn free(zone: &DnsName, target: Target, records: &[FoundRecord]) -> DnsName {
    let label = match target {
        Target::LoadBalancer => "app",
        Target::Pool => "db",
    };
    let names = (1..=records.len() + 1).map(|number| match number {
        1 => format!("{label}.{zone}"),
        number => format!("{label}{number}.{zone}"),
    });
    let mut names = names.filter_map(|name| name.parse::<DnsName>().ok());
    names
        .find(|name| !records.iter().any(|record| record.name == *name))
        .expect("there are more names than records")
}

/// A record's name, what it points at, and its TTL, if it is one that moves.
fn moving(record: &Record, zone: &DnsName) -> Option<(DnsName, Target, Option<Duration>)> {
    let record_type = record.record_type.get()?;
    if !["A", "AAAA", "CNAME"].contains(&record_type.as_str()) {
        return None;
    }
    let name = dns_name(record.name.get()?)?;
    let inside = |name: &DnsName| {
        name == zone || name.as_str().strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'))
    };
    // A name may be written without its zone.
    let name = if inside(&name) { name } else { format!("{name}.{zone}").parse().ok()? };
    let values = record.values.get().map_or(&[][..], Vec::as_slice);
    let alias = record.alias.get().and_then(Option::as_deref);
    let points = |marks: &[&str]| {
        alias
            .into_iter()
            .chain(values.iter().map(String::as_str))
            .any(|to| marks.iter().any(|m| to.contains(m)))
    };
    let first = name.as_str().split('.').next().unwrap_or_default();
    let database = ["db", "database", "postgres", "pg", "sql"].iter().any(|word| first.starts_with(word));
    let target = if points(&["aws_db_", "aws_rds_", ".rds."]) || database {
        Target::Pool
    } else if points(&["aws_lb.", "aws_alb.", "aws_elb.", ".elb."]) {
        Target::LoadBalancer
    } else {
        return None;
    };
    let ttl = record.ttl_s.get().copied().flatten().filter(|ttl| (1..=86_400).contains(ttl));
    Some((name, target, ttl.map(|ttl| Duration::from_secs(ttl.into()))))
}
