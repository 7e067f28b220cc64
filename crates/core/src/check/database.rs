//! Checks of databases.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::answers::{Answers, Case, Found, judge, one_value};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::told;
use crate::facts::{Database, Evidence, Facts, WayBack as Way};
use crate::observation::ClusterRole;

const KIND: AssetKind = AssetKind::Database;

pub(super) fn cross_region_replica(facts: &Facts, answers: &mut Answers) {
    answers.pairs(
        Code::CrossRegionReplica,
        facts,
        KIND,
        |r| &r.database,
        |case, home, away| {
            let [here, there] = facts.regions();
            let (Some(home), Some(away)) = (home, away) else {
                return judge(false, "it is in one region only");
            };
            // the primary's side need not be seen where the standby is seen to follow
            case.note(Evidence::of(&format!("{} follows", there.name), &away.replica_source));
            case.note(Evidence::of(&format!("{} follows", here.name), &home.replica_source));
            let right = facts.replicates(home, away);
            if right.is_none() {
                case.lack("whether one side follows the other: not observed");
            }
            let right = right?;
            judge(right, if right { "one side follows the other" } else { "neither side follows the other" })
        },
    );
}

pub(super) fn automatic_failover(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::AutomaticFailover,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| {
            let on = *case.need("automatic failover", &database.automatic_failover)?;
            judge(on, if on { "automatic failover is on" } else { "automatic failover is off" })
        },
    );
}

pub(super) fn retention(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::Retention,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| {
            let (kept, wanted) = kept_and_wanted_s(case, facts, database)?;
            judge(kept >= wanted, format!("it reaches {kept} s back; wanted are {wanted} s"))
        },
    );
}

/// How far back a database's log or backups reach, and how far they are to reach, in seconds.
fn kept_and_wanted_s(case: &mut Case, facts: &Facts, database: &Database) -> Option<(u64, u64)> {
    let kept = *case.need("retention in s", &database.retention_s)?;
    let wanted = match case.need("promised retention in s", &facts.promise.retention_s)? {
        Some(wanted) => *wanted,
        // what a recovery reads must not be deleted while it works
        None => case.need_set("RTO in ms", &facts.promise.rto_ms)?.div_ceil(1000),
    };
    Some((kept, wanted))
}

pub(super) fn lag_in_objective(facts: &Facts, answers: &mut Answers) {
    let code = Code::LagInObjective;
    answers.each(
        code,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| {
            match case.need("role", &database.role)? {
                ClusterRole::Primary => return judge(true, "it is the primary: it lags behind nobody"),
                ClusterRole::Leaderless => return judge(false, "it has no leader, and so replays nothing"),
                ClusterRole::Standby => {}
            }
            let lag = *case.need("lag in ms", &database.lag_ms)?;
            let rpo = *case.need_set("RPO in ms", &facts.promise.rpo_ms)?;
            judge(lag <= rpo, format!("its newest write is {lag} ms old; allowed are {rpo} ms"))
        },
    );
}

pub(super) fn member_names(facts: &Facts, answers: &mut Answers) {
    answers.pairs(
        Code::MemberNames,
        facts,
        KIND,
        |r| &r.database,
        |case, home, away| {
            let mut times: BTreeMap<&str, u32> = BTreeMap::new();
            for database in home.into_iter().chain(away) {
                for member in case.need("members", &database.members).into_iter().flatten() {
                    *times.entry(&member.name).or_default() += 1;
                }
            }
            let twice: Vec<&str> = times.iter().filter(|(_, n)| **n > 1).map(|(name, _)| *name).collect();
            judge(twice.is_empty(), format!("names used twice: {}", told::list(twice)))
        },
    );
}

pub(super) fn slots(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::Slots,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| {
            let wanted = case.need("slots that are needed", &database.slots_wanted)?;
            let there = case.need("slots", &database.slots)?;
            let lacking: Vec<&String> = wanted.difference(there).collect();
            if !lacking.is_empty() {
                return judge(false, format!("slots that are missing: {}", told::list(lacking)));
            }
            let slotless = case.need("followers without a slot", &database.slotless)?;
            if slotless.is_empty() {
                return judge(true, format!("slots that are there: {}", told::list(wanted)));
            }
            let (kept, objective) = kept_and_wanted_s(case, facts, database)?;
            let words = format!(
                "no slot keeps log for {}: it reaches {kept} s back; wanted are {objective} s",
                told::list(slotless)
            );
            judge(kept >= objective, words)
        },
    );
}

pub(super) fn parameters(facts: &Facts, answers: &mut Answers) {
    answers.compare(
        Code::Parameters,
        facts,
        KIND,
        |r| &r.database,
        |case, home, away| {
            let same = one_value(case, facts, "parameters", [&home.parameters, &away.parameters]);
            let permits = permits_are_waited_for(case, facts, [home, away]);
            match same {
                Some(Found::Fails(_)) => same,
                Some(Found::Holds(_)) | None if matches!(permits, Some(Found::Holds(_))) => same,
                Some(Found::Holds(_)) | None => permits,
            }
        },
    );
}

/// A keeper's permit stops a region only while commits wait for it (decision 7).
fn permits_are_waited_for(case: &mut Case, facts: &Facts, sides: [&Database; 2]) -> Option<Found> {
    let Some(Some(_)) = facts.control.fence.value() else {
        return judge(true, "no keeper confirms commits");
    };
    let mut all_seen = true;
    for (region, database) in facts.regions().into_iter().zip(sides) {
        let what = format!("{} settings under which a commit waits for nobody", region.name);
        let Some(unconfirmed) = case.need(&what, &database.unconfirmed) else {
            all_seen = false;
            continue;
        };
        if !unconfirmed.is_empty() {
            let settings = told::list(unconfirmed);
            return judge(
                false,
                format!("{}: commits don't wait for a keeper's permit: {settings}", region.name),
            );
        }
    }
    if all_seen { judge(true, "commits wait for a keeper's permit") } else { None }
}

pub(super) fn versions(facts: &Facts, answers: &mut Answers) {
    answers.compare(
        Code::Versions,
        facts,
        KIND,
        |r| &r.database,
        |case, home, away| one_value(case, facts, "version", [&home.version, &away.version]),
    );
}

pub(super) fn reached_by_name(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::ReachedByName,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| {
            let host = case.need("host", &database.reached_by)?;
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let address = bare.parse::<IpAddr>().is_ok();
            // a path is a Unix socket: this machine too
            let local = bare.eq_ignore_ascii_case("localhost") || bare.starts_with('/') || bare.is_empty();
            let words = match (address, local) {
                (true, _) => format!("the application connects to {host}, an address"),
                (false, true) => format!("the application connects to {host:?}, its own machine"),
                (false, false) => format!("the application connects to {host}"),
            };
            judge(!address && !local, words)
        },
    );
}

pub(super) fn way_back(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::WayBack,
        facts,
        KIND,
        |r| &r.database,
        |case, _, database| match case.need("way back", &database.way_back)? {
            Way::Rewound => judge(true, "it is rewound"),
            Way::Recreated => judge(true, "it is created anew"),
            Way::Closed => judge(false, "it can't be rewound, and nothing creates it anew"),
        },
    );
}
