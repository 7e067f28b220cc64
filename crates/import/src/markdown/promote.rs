//! Whether words make a database the one that takes writes: "promote the replica", "fail over the database", "the secondary
//! becomes the primary". What only speaks of a failover ("during a failover") asks for none.

use bascule_core::asset::AssetKind;

use super::intent::object;
use super::kind;
use super::words::{Word, has, has_any};

pub(super) const NAMES: &[&str] = &[
    "dns",
    "route53",
    "cname",
    "record",
    "domain",
    "nameserver",
    "hostname",
    "name",
    "traffic",
    "zonefile",
    "origin",
];
pub(super) const DATABASES: &[&str] = &[
    "database",
    "db",
    "rds",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "aurora",
    "replica",
    "patroni",
    "patronictl",
    "pg",
    "primary",
    "sql",
    "writer",
];
/// What stands by for a database, or is where it does.
pub(super) const STANDBYS: &[&str] =
    &["replica", "standby", "secondary", "follower", "slave", "reader", "dr", "other", "second"];
/// What the one that takes writes is called.
const WRITERS: &[&str] = &["primary", "master", "writer", "active"];
pub(super) const BALANCERS: &[&str] = &["loadbalancer", "balancer", "alb", "elb", "nlb", "lb"];

/// What a failover is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Database,
    Names,
}

/// What is named nearest to a word: after it up to the end of its clause, or else before it.
pub(super) fn nearest(all: &[Word], at: usize) -> Option<Subject> {
    let subject = |word: &Word| {
        if word.is_one_of(DATABASES) {
            Some(Subject::Database)
        } else {
            (word.is_one_of(NAMES) || word.is_one_of(BALANCERS)).then_some(Subject::Names)
        }
    };
    // "Auto-failover to the other region's load balancer" is of what stands before it.
    let of = all.get(at + 1).is_some_and(|word| word.is_one_of(&["of", "for", "on", "the"]));
    let after = || object(&all[at..], 8).iter().find_map(subject);
    let before = || all[at.saturating_sub(12)..at].iter().rev().find_map(subject);
    if of { after().or_else(before) } else { before().or_else(after) }
}

/// "Check that the secondary database has taken over": nobody makes it.
pub(super) fn takes_over(all: &[Word], at: usize) -> bool {
    let over = all.get(at + 1).is_some_and(|word| word.is("over"));
    let taken =
        all[at].is_one_of(&["takeover"]) || (over && all[at].is_one_of(&["take", "taken", "took", "taking"]));
    let by = &all[at.saturating_sub(8)..at];
    taken && has_any(by, DATABASES) && has_any(by, STANDBYS)
}

pub(super) fn promotes(all: &[Word], at: usize) -> bool {
    let rest = &all[at..];
    let first = &rest[0];
    if first.is_verb("promote") || first.is("promotion") {
        let object = object(rest, 10);
        let promoted = object.iter().find(|word| {
            word.is_one_of(DATABASES)
                || word.is_one_of(STANDBYS)
                || kind::of_word(word) == Some(AssetKind::Kubernetes)
        });
        // "Promote the EKS cluster" promotes no database, and the other region's cluster may be any.
        let database = promoted.is_some_and(|word| kind::of_word(word) != Some(AssetKind::Kubernetes))
            && !object.iter().take(6).any(|word| kind::of_word(word) == Some(AssetKind::Kubernetes));
        return database || has_any(&all[at.saturating_sub(12)..at], DATABASES);
    }
    fails_over(all, at) || is_made_writer(all, at)
}

/// "Fail over the database", "fail the database over", "the database fails over", "open the database, select failover".
fn fails_over(all: &[Word], at: usize) -> bool {
    const NO_ACT: &[&str] = &[
        "scenario",
        "event",
        "process",
        "plan",
        "test",
        "testing",
        "policy",
        "strategy",
        "routing",
        "record",
        "condition",
        "time",
        "group",
    ];
    let rest = &all[at..];
    let first = &rest[0];
    let object = object(rest, 6);
    let apart = first.is("fail") && has(object, "over");
    if !(apart || first.is_one_of(&["failover", "switchover"])) {
        return false;
    }
    // "During a failover the database …": it is spoken of, and not asked for.
    let before = &all[at.saturating_sub(2)..at];
    if has_any(before, &["during", "for"]) || rest.get(1).is_some_and(|next| next.is_one_of(NO_ACT)) {
        return false;
    }
    match object.iter().find(|word| word.is_one_of(DATABASES) || word.is_one_of(NAMES)) {
        Some(named) => named.is_one_of(DATABASES),
        None => nearest(all, at) == Some(Subject::Database),
    }
}

/// "Make the replica the primary", "activate the standby", "the secondary becomes the master", "create the DR site as
/// primary", "change the database from primary to secondary".
fn is_made_writer(all: &[Word], at: usize) -> bool {
    let rest = &all[at..];
    let first = &rest[0];
    let object = object(rest, 6);
    // "activate the standby", "make it writable", "remove standby_cluster from the configuration".
    let standby = |words: &[Word]| has_any(words, &["standby", "replica", "secondary"]);
    if (first.is_verb("activate") && standby(object) && has_any(object, DATABASES) | has(object, "cluster"))
        || (first.is_one_of(&["writable", "writeable"]) && standby(&all[..at]))
        || (first.is_verb("remove") && object.windows(2).any(|w| w[0].is("standby") && w[1].is("cluster")))
    {
        return true;
    }
    let database = has_any(all, DATABASES) || has(all, "replica");
    if first.is_one_of(&["become", "became", "becoming"]) || first.is_one_of_verbs(&["gain", "assume"]) {
        return database && has_any(&object[..object.len().min(5)], WRITERS);
    }
    // "make the replica the primary".
    let made = first.is_one_of_verbs(&["make", "turn", "convert", "set", "force"]);
    let result = rest.iter().skip(1).take(9).any(|word| word.is_one_of(&["primary", "master", "writer"]));
    if made && has_any(object, &["replica", "standby", "secondary"]) && result {
        return true;
    }
    let changed =
        first.is_one_of_verbs(&["create", "configure", "update", "change", "swap", "switch", "use"]);
    changed && database && (is_called_writer(rest) || changes_sides(all, at))
}

/// "…the DR site as the new primary": what stands by, and then what it is to be.
fn is_called_writer(rest: &[Word]) -> bool {
    let near = &rest[1..rest.len().min(16)];
    let Some(standby) = near.iter().position(|word| word.is_one_of(STANDBYS)) else { return false };
    near[standby..].iter().enumerate().any(|(at, word)| {
        let mut after =
            near[standby + at + 1..].iter().filter(|word| !word.is_one_of(&["the", "a", "new", "its"]));
        word.is("as") && after.next().is_some_and(|word| word.is_one_of(WRITERS))
    })
}

/// "Switch to the replica database", "the database is changed from primary to secondary".
fn changes_sides(all: &[Word], at: usize) -> bool {
    let object = object(&all[at..], 6);
    if !all[at].is_one_of_verbs(&["switch", "swap", "change"]) {
        return false;
    }
    let standby = &["replica", "standby", "secondary", "dr"];
    let to = object.first().is_some_and(|word| word.is_one_of(&["to", "over"])) && has_any(object, standby);
    let from = object.iter().position(|word| word.is("from"));
    let sides =
        from.is_some_and(|from| has_any(&object[from..], &["primary"]) && has_any(&all[at..], standby));
    (to && has_any(object, DATABASES) && !has_any(object, NAMES)) || (sides && has_any(&all[..at], DATABASES))
}
