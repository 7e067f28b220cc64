//! What a written step asks for, told by its verbs and what they act on.
//!
//! Invariant: the intents stand in the order of the words that ask for them, each once. What is denied ("do not promote
//! yet") is not asked for. A step that asks for nothing known has none; nothing is guessed from its place.

use bascule_core::asset::Quantity;
use bascule_core::document::Intent;

use super::counts::counts;
use super::kind;
use super::promote::{BALANCERS, NAMES, STANDBYS, Subject, nearest, promotes, takes_over};
use super::region;
use super::text::sentences;
use super::words::{Word, has, has_any, words};

/// The most that one step asks for: there are twelve intents, some of them once for each of nine kinds of asset.
pub(super) const MAX_INTENTS: usize = 32;

/// What a step's text asks for.
pub(super) fn intents(text: &str) -> Vec<Intent> {
    let mut found: Vec<Intent> = Vec::new();
    for sentence in sentences(text) {
        let mut placed = in_sentence(sentence);
        placed.sort_by_key(|(at, _)| *at);
        for (_, intent) in placed {
            if found.len() < MAX_INTENTS && !found.contains(&intent) {
                found.push(intent);
            }
        }
    }
    found
}

fn in_sentence(sentence: &str) -> Vec<(usize, Intent)> {
    let all = words(sentence);
    let automatic = automatic_failover(&all);
    let mut placed: Vec<(usize, Intent)> = Vec::new();
    for at in 0..all.len() {
        // No verb has one letter, and nothing denied is asked for.
        if all[at].text.len() < 2 || denied(&all, at) {
            continue;
        }
        let rest = &all[at..];
        // Names that fail over by themselves are moved no less.
        let of_names = automatic == Some(at) && nearest(&all, at) == Some(Subject::Names);
        let here = [
            (automatic == Some(at) && !of_names || takes_over(&all, at)).then_some(Intent::AutomaticFailover),
            (of_names || moves_names(rest)).then_some(Intent::MoveNames),
            (automatic != Some(at) && promotes(&all, at)).then_some(Intent::PromoteDatabase),
            fences(rest).then_some(Intent::Fence),
            holds_writes(rest).then_some(Intent::HoldWrites),
            verifies(&all, at).then_some(Intent::Verify),
            goes_back(rest).then_some(Intent::Failback),
            restores(&all, at).then_some(Intent::Restore),
            notifies(rest).then_some(Intent::Notify),
        ];
        placed.extend(here.into_iter().flatten().map(|intent| (at, intent)));
    }
    if let Some(at) = name_for_database(&all) {
        placed.retain(|(_, intent)| *intent != Intent::MoveNames);
        placed.push((at, Intent::NameForDatabase));
    }
    let scaled: Vec<(usize, Intent)> = counts(sentence, None)
        .into_iter()
        // To none is to stop.
        .filter(|count| !matches!(count.quantity, Quantity::Total(0) | Quantity::PerRegion(0)))
        .filter(|count| !count.from && scales(&all[..count.at]))
        .map(|count| (count.at, Intent::Scale { kind: count.kind, to: count.quantity }))
        .collect();
    if scaled.is_empty() {
        placed.extend(deploys(&all));
    }
    placed.extend(scaled);
    placed
}

/// Whether something shortly before this word denies it.
fn denied(all: &[Word], at: usize) -> bool {
    const DENIALS: &[&str] = &["not", "dont", "never", "without", "wont", "cannot", "cant", "avoid"];
    all[at.saturating_sub(3)..at].iter().any(|word| word.is_one_of(DENIALS))
}

/// The words that a verb acts on: those that follow, up to the next verb of a move.
pub(super) fn object(rest: &[Word], reach: usize) -> &[Word] {
    let near = &rest[..rest.len().min(reach + 1)];
    let end =
        near.iter().skip(1).position(|word| word.is_one_of(&["then", "afterward", "finally", "before"]));
    &near[1..end.map_or(near.len(), |end| end + 1)]
}

fn moves_names(rest: &[Word]) -> bool {
    const VERBS: &[&str] = &[
        "point",
        "repoint",
        "switch",
        "change",
        "update",
        "move",
        "redirect",
        "flip",
        "swap",
        "modify",
        "shift",
        "reroute",
        "route",
        "divert",
        "edit",
        "switchover",
        "failover",
        "cutover",
        "propagate",
        "swing",
        "steer",
        "direct",
    ];
    let first = &rest[0];
    let names = |words: &[Word]| has_any(words, NAMES) || words.iter().any(Word::is_host);
    let acts_on = first.is_one_of_verbs(VERBS) && names(object(rest, 5));
    // "DNS cutover", "the record should point at": the name stands before its verb.
    let passive = (first.is_one_of(&["dns", "route53", "cname", "record", "traffic"]) || first.is_host())
        && rest
            .iter()
            .skip(1)
            .take(4)
            .any(|word| word.is_one_of_verbs(VERBS) || word.is_one_of(&["switched", "sent"]));
    // "DNS → us-west-1", "DNS to us-west-1".
    let arrow = rest.iter().skip(1).take(2).find(|word| !word.is_one_of(&["to", "over"]));
    let bare = first.is_one_of(&["dns", "route53", "traffic"])
        && arrow.is_some_and(|word| region::place(&word.text).is_some());
    acts_on || passive || bare || moves_balancer(rest)
}

/// "The load balancers are pointed at the other region": users follow as they follow a name.
fn moves_balancer(rest: &[Word]) -> bool {
    const VERBS: &[&str] = &["point", "repoint", "redirect", "switch", "direct"];
    let elsewhere = |word: &Word| word.is_one_of(STANDBYS) || region::place(&word.text).is_some();
    let Some(verb) = rest.iter().take(9).position(|word| word.is_one_of_verbs(VERBS)) else { return false };
    let to = object(&rest[verb..], 5).iter().any(elsewhere);
    to && rest[0].is_one_of(BALANCERS)
}

/// Where a failover that nobody starts is asked for.
fn automatic_failover(all: &[Word]) -> Option<usize> {
    let automatic = |word: &Word| word.text.starts_with("automat") || word.is_one_of(&["auto", "itself"]);
    if let Some(at) = all.iter().position(|word| word.is("autofailover")) {
        return Some(at);
    }
    (0..all.len()).filter(|&at| all[at].is("failover")).find(|&at| {
        let before = at.checked_sub(1).is_some_and(|before| automatic(&all[before]));
        let manual = has(&all[at..], "manual") || has(&all[at..], "manually");
        before || (!manual && all[at + 1..].iter().take(4).any(automatic))
    })
}

fn fences(rest: &[Word]) -> bool {
    const OLD: &[&str] =
        &["old", "former", "failed", "previous", "original", "lost", "primary", "active", "current"];
    const PLACES: &[&str] =
        &["region", "primary", "database", "db", "site", "instance", "server", "master", "writer"];
    const VERBS: &[&str] =
        &["stop", "isolate", "shutdown", "revoke", "block", "disable", "terminate", "power"];
    let first = &rest[0];
    if first.is_one_of_verbs(&["fence", "demote"]) || first.is_one_of(&["stonith", "fencing"]) {
        return true;
    }
    let object = object(rest, 6);
    // "take the old primary offline", "scale the old region to 0".
    let old = has_any(object, OLD) && has_any(object, PLACES);
    let down = || rest.iter().take(10).any(|word| word.is_one_of(&["offline", "down", "0", "zero"]));
    // "revoke the security group's rules", "close the firewall".
    let wall = || has_any(object, &["security", "securitygroup", "firewall", "ingress"]);
    if (first.is_one_of_verbs(&["take", "scale", "bring", "set"]) && old && down())
        || (first.is_one_of_verbs(&["revoke", "close"]) && wall())
        || (first.is_one_of(&["nothing", "nobody"])
            && object.first().is_some_and(|word| word.is_verb("write")))
    {
        return true;
    }
    let readonly =
        first.is("readonly") || (first.is_one_of_verbs(&["make", "set", "put"]) && has(object, "readonly"));
    (first.is_one_of_verbs(VERBS) || readonly) && old
}

fn holds_writes(rest: &[Word]) -> bool {
    const VERBS: &[&str] =
        &["stop", "pause", "hold", "block", "queue", "quiesce", "freeze", "drain", "disable", "suspend"];
    const HELD: &[&str] =
        &["write", "traffic", "user", "transaction", "connection", "session", "application", "app"];
    let first = &rest[0];
    let readonly = first.is_one_of_verbs(&["put", "set", "switch"])
        && has_any(object(rest, 3), &["application", "app", "site", "shop"])
        && has(object(rest, 6), "readonly");
    first.is("quiesce")
        || readonly
        || (first.is("maintenance") && rest.get(1).is_some_and(|next| next.is_one_of(&["mode", "page"])))
        || (first.is_one_of_verbs(VERBS) && has_any(object(rest, 3), HELD))
}

fn verifies(all: &[Word], at: usize) -> bool {
    let first = &all[at];
    let noun = at.checked_sub(1).is_some_and(|before| all[before].is_one_of(&["health", "a", "the", "per"]));
    // "make sure that the site is up", "place a test order".
    const WELL: &[&str] =
        &["up", "work", "working", "healthy", "reachable", "answer", "respond", "serve", "serving"];
    let rest = &all[at..];
    let sure =
        first.is_verb("ensure") || (first.is_verb("make") && rest.get(1).is_some_and(|next| next.is("sure")));
    let tries = first.is_one_of_verbs(&["place", "create", "submit", "make", "send"])
        && rest.iter().skip(1).take(2).any(|word| word.is("test"));
    if (sure && has_any(object(rest, 10), WELL)) || tries {
        return true;
    }
    let tested = first.is_one_of_verbs(&["test", "check"]) && !noun;
    tested
        || first.is_one_of_verbs(&["verify", "validate", "confirm"])
        || first.is_one_of(&["smoketest", "verification", "curl"])
        || first.is("verified")
}

fn goes_back(rest: &[Word]) -> bool {
    let first = &rest[0];
    let back = rest.iter().skip(1).take(5).any(|word| word.is("back"));
    let old = || has_any(object(rest, 5), &["old", "original", "former", "failed"]);
    let home = || has_any(object(rest, 3), &["old", "original", "former", "primary"]);
    let again = first.is("reestablish")
        || (first.is("re") && rest.get(1).is_some_and(|next| next.is_verb("establish")));
    let region = || object(rest, 2).iter().any(|word| region::place(&word.text).is_some());
    first.is_one_of(&["failback", "rollback"])
        || (again && has_any(object(rest, 4), &["replication", "replicated", "replica", "standby"]))
        || (first.is_one_of_verbs(&["resync", "resynchronize", "resynchronise", "reverse"])
            && (old() || has_any(object(rest, 3), &["replication", "replicated"])))
        || (first.is_verb("return") && rest.get(1).is_some_and(|next| next.is("to")) && (home() || region()))
        || first.is_verb("reinstate")
        || (first.is_one_of_verbs(&["move", "switch", "return", "fail", "go", "point", "come"]) && back)
        || (first.is_one_of_verbs(&["rebuild", "rejoin", "rewind"]) && old())
}

fn restores(all: &[Word], at: usize) -> bool {
    let rest = &all[at..];
    const SOURCES: &[&str] = &["backup", "snapshot", "dump", "data", "database", "db"];
    let first = &rest[0];
    (first.is_one_of_verbs(&["restore", "recover"]) || first.is("restoration"))
        && (has_any(object(rest, 7), SOURCES) || has_any(&all[at.saturating_sub(8)..at], SOURCES))
}

fn notifies(rest: &[Word]) -> bool {
    const VERBS: &[&str] = &["notify", "inform", "announce", "tell", "communicate", "escalate", "email"];
    let first = &rest[0];
    let called = first.is_one_of_verbs(&["call", "page", "contact", "alert"])
        && has_any(
            object(rest, 3),
            &["oncall", "team", "customer", "stakeholder", "manager", "user", "support", "the"],
        );
    let page = first.is("status") && rest.get(1).is_some_and(|next| next.is("page"));
    first.is_one_of_verbs(VERBS) || first.is_one_of(&["notified", "notification"]) || called || page
}

/// Where the database is to be reached by a name: "use DNS for the DB's name".
fn name_for_database(all: &[Word]) -> Option<usize> {
    let at = all
        .iter()
        .position(|word| word.is_one_of_verbs(&["use", "connect", "reach", "refer", "access", "create"]))?;
    let named =
        has_any(all, &["dns", "hostname", "cname", "endpoint", "name"]) || all.iter().any(Word::is_host);
    let database = has_any(&all[at..], &["database", "db", "rds", "postgres", "postgresql"]);
    let moved = has_any(all, &["point", "repoint", "switch", "failover", "promote", "update"]);
    (named && database && !moved).then_some(at)
}

/// Whether the words before a number ask for that number.
fn scales(before: &[Word]) -> bool {
    const VERBS: &[&str] = &[
        "change",
        "scale",
        "increase",
        "grow",
        "use",
        "run",
        "have",
        "raise",
        "set",
        "resize",
        "need",
        "require",
        "make",
        "expand",
        "upgrade",
        "extend",
        "reduce",
        "start",
        "deploy",
        "create",
        "provision",
        "launch",
        "keep",
        "bring",
        "move",
        "go",
        "setup",
        "ensure",
    ];
    // "3 nodes per region" says what is to be.
    let bare = before.is_empty();
    (bare
        || before
            .iter()
            .any(|word| word.is_one_of_verbs(VERBS) || word.is_one_of(&["minimum", "least", "scaling"])))
        && !before.iter().any(|word| word.is_one_of(&["another", "additional", "more", "add"]))
}

fn deploys(all: &[Word]) -> Vec<(usize, Intent)> {
    const VERBS: &[&str] = &[
        "create",
        "deploy",
        "provision",
        "build",
        "launch",
        "setup",
        "install",
        "apply",
        "run",
        "start",
        "replicate",
        "add",
        "copy",
        "recreate",
        "spin",
        "bring",
    ];
    const EVERYTHING: &[&str] = &[
        "everything",
        "infrastructure",
        "infra",
        "environment",
        "stack",
        "application",
        "app",
        "terraform",
        "resource",
    ];
    let elsewhere = (0..all.len()).any(|at| {
        all[at].is_one_of(&[
            "each",
            "both",
            "other",
            "multiple",
            "second",
            "secondary",
            "every",
            "another",
            "new",
            "dr",
        ]) && all.get(at + 1).is_some_and(|next| next.is_one_of(&["region", "location", "site", "aws"]))
    });
    let verb = (0..all.len()).find(|&at| all[at].is_one_of_verbs(VERBS) && !denied(all, at));
    // A verb of another intent: the place is where that happens, not where something is made.
    const OTHER: &[&str] = &[
        "failover", "promote", "point", "switch", "restore", "notify", "verify", "redirect", "update",
        "move", "change", "check", "test", "confirm", "route", "scale", "use",
    ];
    // What is promoted is there already.
    if all.first().is_some_and(|word| word.is_verb("promote")) {
        return Vec::new();
    }
    let at = match verb {
        Some(at) => at,
        None if elsewhere && !all.iter().any(|word| word.is_one_of_verbs(OTHER)) => 0,
        None => return Vec::new(),
    };
    let end = all[at..].iter().position(|word| word.is_one_of(&["from", "using", "behind"]));
    let object = &all[at..end.map_or(all.len(), |end| at + end)];
    let kinds = kind::all_of(object);
    if kinds.is_empty() {
        let everything = has_any(object, EVERYTHING) || has(all, "terraform");
        return if everything { vec![(at, Intent::Deploy { kind: None })] } else { Vec::new() };
    }
    kinds.into_iter().map(|kind| (at, Intent::Deploy { kind: Some(kind) })).collect()
}

#[cfg(test)]
mod tests {
    use bascule_core::asset::AssetKind;

    use super::*;

    #[test]
    fn steps_are_told_by_their_verbs() {
        use Intent::{
            AutomaticFailover, Deploy, Failback, Fence, HoldWrites, MoveNames, NameForDatabase, Notify,
            PromoteDatabase, Restore, Scale, Verify,
        };
        let scale = |kind, n| Scale { kind, to: Quantity::Total(n) };
        for (text, expected) in [
            ("Point DNS at the other region", vec![MoveNames]),
            ("DNS → us-west-1", vec![MoveNames]),
            ("then DNS to us-west-1", vec![MoveNames]),
            ("DNS in us-west-1 is slow", vec![]),
            ("Traffic is sent to the other region", vec![MoveNames]),
            ("3 DB nodes per region", vec![Scale { kind: AssetKind::Database, to: Quantity::PerRegion(3) }]),
            ("Take a snapshot and restore it in us-west-1", vec![Restore]),
            ("aws rds promote-read-replica --db-instance-identifier shop", vec![PromoteDatabase]),
            ("aws route53 change-resource-record-sets --cli-input-json x", vec![MoveNames]),
            ("pg_ctl promote", vec![PromoteDatabase]),
            ("curl -f https://shop.test/health", vec![Verify]),
            ("Point app.shop.test at us-west-1", vec![MoveNames]),
            ("Open https://app.shop.test in a browser", vec![]),
            ("Verify that check.shop.test answers", vec![Verify]),
            ("Update the Route 53 records", vec![MoveNames]),
            ("DNS failover to us-west-1", vec![MoveNames]),
            ("Redirect traffic to us-west-1", vec![MoveNames]),
            ("Fail the database over to us-west-1 (manual or automatic)", vec![PromoteDatabase]),
            ("Promote the read replica", vec![PromoteDatabase]),
            ("Force the secondary RDS cluster to become primary", vec![PromoteDatabase]),
            ("Fail over the DB, then point DNS at it", vec![PromoteDatabase, MoveNames]),
            ("Point DNS at us-west-1 and promote the database", vec![MoveNames, PromoteDatabase]),
            ("Do not promote the database yet", vec![]),
            ("Use automatic failover for the DBs", vec![AutomaticFailover]),
            ("Use a DNS name for the database", vec![NameForDatabase]),
            ("Stop the old primary", vec![Fence]),
            ("Stop writes", vec![HoldWrites]),
            ("Put up the maintenance page", vec![HoldWrites]),
            ("Verify that the site answers", vec![Verify]),
            ("Fail back to us-east-2", vec![Failback]),
            ("Restore the last backup", vec![Restore]),
            ("Notify the customers", vec![Notify]),
            ("Grow from 1 database node to 3", vec![scale(AssetKind::Database, 3)]),
            ("Run 3 VM instances on EC2", vec![scale(AssetKind::Compute, 3)]),
            ("One load balancer in both regions", vec![Deploy { kind: Some(AssetKind::LoadBalancer) }]),
            ("Run terraform apply in the other region", vec![Deploy { kind: None }]),
            ("Have a coffee", vec![]),
            ("Take the old primary offline", vec![Fence]),
            ("Scale the old region's servers to 0", vec![Fence]),
            ("Revoke the security group's rules of us-east-1", vec![Fence]),
            ("Make sure that nothing writes to us-east-1", vec![Fence]),
            ("Put the application into read-only mode", vec![HoldWrites]),
            ("Detach the replica and make it writable", vec![PromoteDatabase]),
            ("Activate the standby cluster", vec![PromoteDatabase]),
            ("Remove the standby_cluster section from Patroni's configuration", vec![PromoteDatabase]),
            ("Swing traffic over to us-west-1", vec![MoveNames]),
            ("Make sure the site is up", vec![Verify]),
            ("Place a test order", vec![Verify]),
            ("Re-establish replication to us-east-2", vec![Failback]),
            ("Resync the old primary as a replica", vec![Failback]),
            ("Return to us-east-2 when it is there again", vec![Failback]),
            ("Use Route 53 to auto-failover to the load balancer in us-west-1", vec![MoveNames]),
            ("Automate failover of RDS and Route 53 failover", vec![AutomaticFailover, MoveNames]),
            ("The load balancer has to be updated to point to the secondary region", vec![MoveNames]),
            ("Promote the EKS cluster in the secondary region", vec![]),
            ("Promote the out of region copy of the RDS database", vec![PromoteDatabase]),
            ("Promote the secondary to standalone", vec![PromoteDatabase]),
            ("Switch to the replica DB instance", vec![PromoteDatabase]),
            ("Switch the replica to become master", vec![PromoteDatabase]),
            (
                "The database is changed from primary (us-east-2) to secondary (us-west-1)",
                vec![PromoteDatabase],
            ),
            ("Open the writer instance and select failover", vec![PromoteDatabase]),
            ("Configure the DR database as active", vec![PromoteDatabase]),
            ("Update the databases such that the second region becomes the primary", vec![PromoteDatabase]),
            ("Look whether the secondary RDS cluster has taken over", vec![AutomaticFailover]),
            ("During a failover the database is read-only", vec![]),
            ("Have a replica of the primary database as standby", vec![]),
            ("Lower the TTL to 60 s", vec![]),
            ("Set up monitoring in the other region", vec![Deploy { kind: Some(AssetKind::Monitoring) }]),
        ] {
            assert_eq!(intents(text), expected, "{text}");
        }
    }
}
