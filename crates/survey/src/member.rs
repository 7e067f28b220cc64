//! What each member of a database cluster answers for itself: its settings, its clock, its log, whom it lets in, and
//! what it would let us do.
//!
//! One session a member, its questions one after the other; if it can't be made, none is asked.

use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::facts::{Fact, Skew, Source};
use bascule_core::id::MemberName;
use bascule_providers::Trial;
use bascule_providers::patroni::{Right, Row};

use crate::limit::{Provider, each};
use crate::question::{self, Log};
use crate::{Place, at, now};

/// Between two looks at where the log ends: a pace over less is noise, and the survey has other looks to wait for.
const PACE: Duration = Duration::from_millis(300);
/// What the system says where nobody listens (connect(2), `ECONNREFUSED`).
const REFUSED: &str = "Connection refused";

/// A rule of whom a member lets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// All of it; this is not shown.
    pub whole: String,
    /// Without its options.
    pub shown: String,
}

/// What one member answered.
pub(crate) struct Answered {
    pub name: MemberName,
    pub at: SocketAddr,
    pub told: Result<question::Member, String>,
    /// Milliseconds that its clock is ahead for certain; negative if it is behind.
    pub ahead_ms: Result<i64, String>,
    pub rules: Result<Vec<Rule>, String>,
    pub rights: Result<Vec<Right>, String>,
    pub log_in: Result<Trial, String>,
    pub configure: Result<Trial, String>,
    /// How far back its log reaches, in seconds.
    pub reaches_s: Result<u64, String>,
}

pub(crate) async fn members(place: &Place) -> Vec<Answered> {
    each(place.manifest().database.members.clone(), |member| {
        let place = place.clone();
        async move {
            let (name, postgres) = (member.name.clone(), member.postgres);
            let limits = &place.limits;
            let configuring = async { place.cluster()?.may_configure(&name).await };
            let (answered, configure) = tokio::join!(
                limits.look(Provider::Database, ask(&place, &name)),
                limits.look(Provider::Database, configuring)
            );
            let mut answered = answered.unwrap_or_else(|why| silent(&name, postgres, &why));
            (answered.at, answered.configure) = (postgres, configure);
            answered
        }
    })
    .await
}

pub(crate) fn silent(name: &MemberName, at: SocketAddr, why: &str) -> Answered {
    let why = why.to_owned();
    Answered {
        name: name.clone(),
        at,
        told: Err(why.clone()),
        ahead_ms: Err(why.clone()),
        rules: Err(why.clone()),
        rights: Err(why.clone()),
        log_in: Err(why.clone()),
        configure: Err(why.clone()),
        reaches_s: Err(why),
    }
}

/// All questions to one member, on one session; if that can't be made, none of the others is asked.
async fn ask(place: &Place, name: &MemberName) -> Result<Answered, String> {
    let cluster = place.cluster()?;
    let member = place.manifest().database.members.iter().find(|member| &member.name == name);
    let postgres = member.map(|member| member.postgres).ok_or("it is not in the manifest")?;
    let log_in = cluster.may_log_in(name).await?;
    if let Trial::Refused { why } = &log_in {
        return Ok(Answered { log_in: Ok(log_in.clone()), ..silent(name, postgres, why) });
    }
    let told = cluster.ask(name, &question::member_sql()).await.and_then(|rows| question::json(&rows));
    let before = now();
    let clock = cluster.ask(name, question::CLOCK_SQL).await.and_then(|rows| question::json::<i64>(&rows));
    let after = now();
    let first = cluster.ask(name, question::LOG_SQL).await.and_then(|rows| Log::read(&rows));
    let looked = tokio::time::Instant::now();
    let rules = cluster.ask(name, question::RULES_SQL).await;
    let rights = cluster.rights(name).await;
    tokio::time::sleep(PACE).await;
    let later = cluster.ask(name, question::LOG_SQL).await.and_then(|rows| Log::read(&rows));
    let between = looked.elapsed();
    Ok(Answered {
        name: name.clone(),
        at: postgres,
        told,
        ahead_ms: clock.map(|clock| ahead_ms(clock, before.0, after.0)),
        rules: rules.and_then(|rows| rows.into_iter().map(rule).collect()),
        rights,
        log_in: Ok(log_in),
        configure: Err("it was not asked".to_owned()),
        reaches_s: first.and_then(|first| later.map(|later| first.reaches_s(later, between))),
    })
}

fn rule(row: Row) -> Result<Rule, String> {
    match <[Option<String>; 2]>::try_from(row) {
        Ok([Some(whole), Some(shown)]) => Ok(Rule { whole, shown }),
        Ok(_) | Err(_) => Err("a rule of whom it lets in can't be read".to_owned()),
    }
}

/// How far a clock is ahead at least: it was read at some time between the question and the answer.
fn ahead_ms(clock: i64, before: u64, after: u64) -> i64 {
    let (before, after) = (before.cast_signed(), after.cast_signed());
    if clock > after {
        clock - after
    } else if clock < before {
        clock - before
    } else {
        0
    }
}

/// A difference that is told although a clock was not read: one that nobody takes for agreement.
const TELLING_MS: u64 = 1000;

/// Between what a region's clocks are. That they agree is known if all were read.
pub(crate) fn clock_skew(members: &[Answered]) -> Fact<Skew> {
    let seen: Vec<i64> = members.iter().filter_map(|m| m.ahead_ms.as_ref().ok().copied()).collect();
    let silent = silent_one(members, |m| m.ahead_ms.as_ref().err()).is_some();
    let (Some(least_ms), Some(most_ms)) = (seen.iter().min().copied(), seen.iter().max().copied()) else {
        return nobody(members, |m| m.ahead_ms.as_ref().err());
    };
    // What is read of clocks that agree is a few milliseconds: it says nothing of the one that was not read.
    if silent && least_ms.unsigned_abs().max(most_ms.unsigned_abs()) < TELLING_MS {
        return nobody(members, |m| m.ahead_ms.as_ref().err());
    }
    let asked: Vec<String> = members.iter().map(|m| m.at.to_string()).collect();
    Fact::seen(Skew { least_ms, most_ms }, now(), at(format!("clock_timestamp() at {}", asked.join(", "))))
}

/// A member that did not say something, and why. What all are to have alike is known only if each was asked.
pub(crate) fn silent_one(members: &[Answered], why: fn(&Answered) -> Option<&String>) -> Option<String> {
    members.iter().find_map(|member| Some(format!("{}: {}", member.name, why(member)?)))
}

/// Why what members said does not suffice.
pub(crate) fn nobody<T>(members: &[Answered], why: fn(&Answered) -> Option<&String>) -> Fact<T> {
    let asked: Vec<String> = members.iter().map(|m| m.at.to_string()).collect();
    let why = silent_one(members, why).unwrap_or_else(|| "it has no members".to_owned());
    Fact::not_observed(why, at(asked.join(", ")))
}

/// Whether a member is well. Its manager's list is as old as a member's last word, up to its `ttl`: one that is called well
/// has to answer too.
pub(crate) fn well(called_well: bool, own: Option<&Answered>, manager: Source) -> Fact<bool> {
    match own {
        Some(own) if called_well => match &own.told {
            Ok(_) => Fact::seen(true, now(), manager),
            Err(why) if why.contains(REFUSED) => {
                Fact::seen(false, now(), at(format!("{why}, at {}", own.at)))
            }
            Err(why) => Fact::not_observed(why, at(own.at)),
        },
        // one that is not in the manifest can't be asked
        Some(_) | None => Fact::seen(called_well, now(), manager),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> question::Member {
        question::Member {
            version: "15.5".to_owned(),
            parameters: std::collections::BTreeMap::new(),
            slots: std::collections::BTreeSet::new(),
            followers: std::collections::BTreeSet::new(),
            unconfirmed: std::collections::BTreeSet::new(),
            rewindable: true,
            sessions: 1,
            sessions_max: 100,
            memory: "32MB".to_owned(),
            commits_wait_for: String::new(),
        }
    }

    #[test]
    fn a_clock_is_off_only_by_what_the_round_trip_does_not_explain() {
        assert_eq!(ahead_ms(1_050, 1_000, 1_100), 0);
        assert_eq!(ahead_ms(1_700, 1_000, 1_100), 600);
        assert_eq!(ahead_ms(300, 1_000, 1_100), -700);
    }

    #[test]
    fn a_member_that_its_manager_still_calls_well_has_to_answer_itself() {
        let answered = |told: Result<question::Member, &str>| Answered {
            told: told.map_err(str::to_owned),
            ..silent(&"east-db1".parse().expect("a name"), "10.77.1.11:5432".parse().expect("one"), "x")
        };
        let well = |called, told| well(called, Some(&answered(told)), at("/cluster"));
        assert_eq!(well(true, Ok(said())).value(), Some(&true));
        assert_eq!(well(false, Ok(said())).value(), Some(&false), "it may wait for a log that never comes");
        assert_eq!(
            well(true, Err("10.77.1.11:5432: Connection refused (os error 111)")).value(),
            Some(&false)
        );
        assert_eq!(well(true, Err("no answer within 1000 ms")).value(), None);
    }
}
