//! What both regions' databases say together: how far the standby is behind, whom it follows, and what keeps log for it.
//!
//! The race it handles: the two are not asked at once, so a position of one is held against one of the other that is
//! older or newer. What passed between the two looks counts as lag.

use std::collections::BTreeSet;
use std::time::Duration;

use bascule_core::facts::Fact;
use bascule_core::observation::{ClusterRole, DatabaseObservation, Observed};
use bascule_core::time::Timestamp;

use crate::database::{leader, leader_says};
use crate::limit::Provider;
use crate::{Place, Seen, at, now};

/// Longest wait for a standby to have what its primary had written when that was asked: a line across an ocean takes
/// 0.2 s there and back. One that needs longer is behind, and then the age of its newest write says how far.
const CAUGHT_UP: Duration = Duration::from_millis(500);
/// Between two questions whether it has.
const POLL: Duration = Duration::from_millis(25);

/// What both regions together say of a standby: what it lacks of the other's log, whom it follows, and the slot that it
/// wants there.
pub(crate) fn follow(standby: &mut Seen, other: &mut Seen) {
    lacks(standby, other);
    follows(standby, other);
    takes_slot(standby, other);
}

fn lacks(standby: &mut Seen, other: &Seen) {
    let position = |seen: &Seen| seen.cluster.seen.seen().and_then(|o| Some((o.role, o.position?)));
    let (Some((ClusterRole::Standby, here)), Some((ClusterRole::Primary, there))) =
        (position(standby), position(other))
    else {
        return;
    };
    let Observed::Seen { at: seen_at, .. } = standby.cluster.seen else { return };
    // Of a log that parted from the other, a difference says nothing.
    if here.timeline != there.timeline {
        return;
    }
    let from = at(format!(
        "{}, against {}",
        leader_says("pg_last_wal_replay_lsn()", &standby.cluster),
        leader_says("pg_current_wal_flush_lsn()", &other.cluster)
    ));
    let Observed::Seen { value: listing, .. } = &mut standby.region.database.answer else { return };
    for database in listing.values_mut() {
        let lacks = there.lsn.0.saturating_sub(here.lsn.0);
        database.lag_bytes = Fact::seen(lacks, now(), from.clone());
        if lacks == 0 {
            let ms = has_all_ms(other.cluster.begun, seen_at, database.lag_ms.value().copied());
            database.lag_ms = Fact::seen(ms, seen_at, from.clone());
        }
    }
}

/// The lag of a standby that has all that its primary had written: what was written between the two looks it may lack. That
/// nothing was written for a while is no lag, and where something was, its newest write is no older than it lags.
fn has_all_ms(primary_asked: Timestamp, standby_seen: Timestamp, newest_age_ms: Option<u64>) -> u64 {
    let between = u64::try_from(standby_seen.since(primary_asked).as_millis()).unwrap_or(u64::MAX);
    newest_age_ms.map_or(between, |age| age.min(between))
}

/// A standby that was told to follow a name, or an address that is in no manifest, follows whoever sends to it: its leader
/// gives its own name there.
fn follows(standby: &mut Seen, other: &Seen) {
    let Some(seen) = standby.cluster.seen.seen().filter(|seen| seen.streaming) else { return };
    let (Some(name), ClusterRole::Standby) = (&seen.leader, seen.role) else { return };
    let Ok(sender) = leader(&other.cluster, &other.members) else { return };
    // another member of that name may be meant
    let ambiguous = other.members.iter().any(|member| &member.name == name);
    let sends = sender.told.as_ref().is_ok_and(|said| said.followers.contains(name.as_str()));
    if ambiguous || !sends {
        return;
    }
    let from = at(format!("pg_stat_replication at {}", sender.at));
    let Observed::Seen { value: listing, .. } = &mut standby.region.database.answer else { return };
    for database in listing.values_mut().filter(|database| database.replica_source.value().is_none()) {
        database.replica_source = Fact::seen(Some(other.region.name.clone()), now(), from.clone());
    }
}

fn takes_slot(standby: &Seen, other: &mut Seen) {
    if standby.cluster.seen.seen().is_none_or(|seen| seen.role != ClusterRole::Standby) {
        return;
    }
    let slot = match &standby.cluster.settings {
        Ok((_, settings)) => Ok(settings.follows.as_ref().and_then(|follows| follows.slot.clone())),
        Err(why) => Err(format!("the slot that {} wants: {why}", standby.region.name)),
    };
    let Observed::Seen { value: listing, .. } = &mut other.region.database.answer else { return };
    for database in listing.values_mut() {
        match &slot {
            Ok(Some(slot)) => extend(&mut database.slots_wanted, slot),
            Ok(None) => extend(&mut database.slotless, standby.region.name.as_str()),
            Err(why) => {
                for fact in [&mut database.slots_wanted, &mut database.slotless] {
                    *fact = Fact::not_observed(why, fact.from.clone());
                }
            }
        }
    }
}

fn extend(names: &mut Fact<BTreeSet<String>>, name: &str) {
    if let Observed::Seen { value, .. } = &mut names.answer {
        value.insert(name.to_owned());
    }
}

/// From when on a cluster that answered was asked.
pub(crate) fn asked(seen: &Seen) -> Option<Timestamp> {
    seen.cluster.seen.seen().map(|_| seen.cluster.begun)
}

/// A standby that was asked a moment before its primary lacks what was written in between, and where little is written
/// its newest write is old all the same. So it is asked again: what it then has, it got since the primary was asked.
pub(crate) async fn catch_up(place: &Place, standby: &mut Seen, primary_asked: Option<Timestamp>) {
    let Some(asked) = primary_asked else { return };
    let Ok(cluster) = place.cluster() else { return };
    let Observed::Seen {
        value: DatabaseObservation { role: ClusterRole::Standby, leader: Some(leader), position, .. },
        ..
    } = &standby.cluster.seen
    else {
        return;
    };
    let Observed::Seen { value: listing, .. } = &mut standby.region.database.answer else { return };
    for database in listing.values_mut() {
        let (Some(position), Some(lacks @ 1..)) = (position, database.lag_bytes.value().copied()) else {
            continue;
        };
        let wanted = position.lsn.0.saturating_add(lacks);
        let sql = format!("SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint >= {wanted}");
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < CAUGHT_UP {
            let asking = cluster.ask(leader, &sql);
            let rows = match place.limits.look(Provider::Database, asking).await {
                Ok(rows) => rows,
                Err(why) => {
                    database.lag_ms = Fact::not_observed(why, at(leader));
                    break;
                }
            };
            if rows.first().and_then(|row| row.first()?.as_deref()) == Some("t") {
                let took = u64::try_from(now().since(asked).as_millis()).unwrap_or(u64::MAX);
                database.lag_ms = Fact::seen(
                    took,
                    now(),
                    at(format!("pg_last_wal_replay_lsn() of {leader}, asked until it had it")),
                );
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_lags_by_no_less_than_what_passed_between_the_looks() {
        let lag = |primary, standby, age| has_all_ms(Timestamp(primary), Timestamp(standby), age);
        assert_eq!(lag(1_000, 3_000, None), 2_000, "its primary wrote for two seconds since");
        assert_eq!(lag(1_000, 3_000, Some(40)), 40, "but it has a write that is younger");
        assert_eq!(lag(3_000, 1_000, Some(60_000)), 0, "the primary was asked last, and nothing is written");
    }
}
