//! A region's database cluster: its manager's word, its members' own, and what both regions say together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::facts::{Database, Fact, Member, Source, WayBack};
use bascule_core::id::{MemberName, RegionName};
use bascule_core::observation::{ClusterRole, DatabaseObservation, Observed};
use bascule_core::permit;
use bascule_core::ports::Database as _;
use bascule_core::time::Timestamp;
use bascule_providers::patroni::Settings;

use crate::limit::Provider;
use crate::member::{Answered, nobody, well};
use crate::question;
use crate::{Place, Seen, at, fact, now};

/// Longest wait for a standby to have what its primary had written when that was asked: a line across an ocean takes
/// 0.2 s there and back. One that needs longer is behind, and then the age of its newest write says how far.
const CAUGHT_UP: Duration = Duration::from_millis(500);
/// Between two questions whether it has.
const POLL: Duration = Duration::from_millis(25);

/// A cluster as its manager and its leader see it.
pub(crate) struct Looked {
    seen: Observed<DatabaseObservation>,
    settings: Result<(SocketAddr, Settings), String>,
}

pub(crate) async fn look(place: &Place) -> Looked {
    let (limits, cluster) = (&place.limits, &place.parts.cluster);
    let observing = async { Ok(cluster.observe().await) };
    let (seen, settings) = tokio::join!(
        limits.look(Provider::Database, observing),
        limits.look(Provider::Database, cluster.settings()),
    );
    let seen = seen.unwrap_or_else(|why| Observed::NotObserved { why });
    Looked { seen, settings }
}

/// A region's database, from all that was asked of it.
pub(crate) fn facts(
    place: &Place,
    looked: &Looked,
    members: &[Answered],
    reached_by: Fact<String>,
) -> Database {
    let told: Vec<(&Answered, &question::Member)> =
        members.iter().filter_map(|m| Some((m, m.told.as_ref().ok()?))).collect();
    let leader = leader(looked, members);
    let by_leader = |at: &Answered| self::at(at.at);
    Database {
        members: listed(place, looked, members),
        size: match told.first() {
            Some((member, said)) => Fact::seen(
                format!("{} of shared buffers, {} sessions", said.memory, said.sessions_max),
                now(),
                by_leader(member),
            ),
            None => nobody(members, |m| m.told.as_ref().err()),
        },
        role: seen(place, looked, |o| o.role),
        replica_source: replica_source(place, looked),
        lag_ms: lag_ms(place, looked),
        lag_bytes: Fact::not_observed("the other region's log was not seen", cluster(place)),
        retention_s: match leader {
            Ok(leader) => fact(
                leader.reaches_s.clone(),
                self::at(format!("pg_ls_waldir() and wal_keep_size at {}", leader.at)),
            ),
            Err(ref why) => Fact::not_observed(why, cluster(place)),
        },
        automatic_failover: automatic_failover(looked),
        // told by both regions together
        parameters: Fact::unasked(),
        version: match versions(&told) {
            Some(version) if told.len() == members.len() || version.contains(AND) => {
                Fact::seen(version, now(), self::at(addresses(&told)))
            }
            Some(_) | None => nobody(members, |m| m.told.as_ref().err()),
        },
        slots: match leader {
            Ok(leader) => fact(
                leader.told.clone().map(|said| said.slots),
                self::at(format!("pg_replication_slots at {}", leader.at)),
            ),
            Err(ref why) => Fact::not_observed(why, cluster(place)),
        },
        slots_wanted: slots_wanted(looked),
        reached_by,
        way_back: way_back(looked, leader.ok()),
        commits_wait_for: commits_wait_for(members, &told),
    }
}

fn cluster(place: &Place) -> Source {
    let members = place.manifest().database.members.iter().map(|m| m.patroni.to_string());
    at(format!("/cluster at {}", members.collect::<Vec<_>>().join(", ")))
}

fn addresses(told: &[(&Answered, &question::Member)]) -> String {
    told.iter().map(|(member, _)| member.at.to_string()).collect::<Vec<_>>().join(", ")
}

/// A property of what the manager and the leader said.
fn seen<T>(place: &Place, looked: &Looked, pick: impl FnOnce(&DatabaseObservation) -> T) -> Fact<T> {
    match &looked.seen {
        Observed::Seen { value, at } => Fact::seen(pick(value), *at, cluster(place)),
        Observed::NotObserved { why } => Fact::not_observed(why, cluster(place)),
    }
}

fn leader<'a>(looked: &Looked, members: &'a [Answered]) -> Result<&'a Answered, String> {
    let seen = match &looked.seen {
        Observed::Seen { value, .. } => value,
        Observed::NotObserved { why } => return Err(why.clone()),
    };
    let name = seen.leader.as_ref().ok_or("the cluster has no leader")?;
    members
        .iter()
        .find(|m| &m.name == name)
        .ok_or_else(|| format!("its leader {name} is not in the manifest"))
}

/// Members that the manager lists, and those that it should.
fn listed(place: &Place, looked: &Looked, answered: &[Answered]) -> Fact<Vec<Member>> {
    seen(place, looked, |observation| {
        let timeline = observation.members.iter().find(|m| m.leads).and_then(|m| m.timeline);
        let mut names: BTreeSet<&MemberName> = observation.members.iter().map(|m| &m.name).collect();
        names.extend(place.manifest().database.members.iter().map(|m| &m.name));
        let member = |name: &MemberName| {
            let called = observation.members.iter().find(|m| &m.name == name);
            let called_well = called.is_some_and(|m| m.is_well(timeline));
            let own = answered.iter().find(|m| &m.name == name);
            Member { name: name.to_string(), well: well(called_well, own, cluster(place)) }
        };
        names.into_iter().map(member).collect()
    })
}

/// A standby follows the other region while log comes in from there.
fn replica_source(place: &Place, looked: &Looked) -> Fact<Option<RegionName>> {
    let peer = place.scene.site.manifest.region(place.peer());
    let follows = match (&looked.settings, &looked.seen) {
        (Ok((_, settings)), _) => settings.follows.as_ref(),
        // it streams from somebody
        (Err(why), Observed::Seen { value: DatabaseObservation { role: ClusterRole::Standby, .. }, .. }) => {
            return Fact::not_observed(why, at("/config of its members"));
        }
        (Err(_), Observed::Seen { .. } | Observed::NotObserved { .. }) => None,
    };
    let elsewhere = follows.is_some_and(|follows| {
        let known = peer.map(|peer| peer.database.replication.ip().to_string());
        known.is_some_and(|known| known != follows.host)
    });
    match &looked.seen {
        Observed::Seen { value: DatabaseObservation { role: ClusterRole::Leaderless, .. }, .. } => {
            return Fact::not_observed("the cluster has no leader", cluster(place));
        }
        // whether log comes in is the leader's own word
        Observed::Seen {
            value: DatabaseObservation { role: ClusterRole::Standby, position: None, .. },
            ..
        } => {
            return Fact::not_observed(
                "the standby's leader did not say whether log comes in",
                cluster(place),
            );
        }
        Observed::Seen { .. } | Observed::NotObserved { .. } => {}
    }
    seen(place, looked, |observation| match observation.role {
        ClusterRole::Standby if observation.streaming && !elsewhere => Some(place.peer().clone()),
        ClusterRole::Standby | ClusterRole::Primary | ClusterRole::Leaderless => None,
    })
}

fn lag_ms(place: &Place, looked: &Looked) -> Fact<u64> {
    match &looked.seen {
        Observed::Seen { value, at } => match value.newest_replayed_age_ms {
            Some(age) => Fact::seen(age, *at, cluster(place)),
            None => Fact::not_observed(
                "it has replayed no transaction, or its leader did not answer",
                cluster(place),
            ),
        },
        Observed::NotObserved { why } => Fact::not_observed(why, cluster(place)),
    }
}

/// The manager acts by itself unless it was told not to, and needs somebody to hand over to.
fn automatic_failover(looked: &Looked) -> Fact<bool> {
    let (asked, settings) = match &looked.settings {
        Ok(known) => known,
        Err(why) => return Fact::not_observed(why, at("/config of its members")),
    };
    let from = at(format!("http://{asked}/config"));
    if settings.paused {
        return Fact::seen(false, now(), from);
    }
    match &looked.seen {
        Observed::Seen { value, .. } => {
            let timeline = value.members.iter().find(|m| m.leads).and_then(|m| m.timeline);
            let next = value.members.iter().any(|m| !m.leads && m.is_well(timeline));
            Fact::seen(next, now(), from)
        }
        Observed::NotObserved { why } => Fact::not_observed(why, from),
    }
}

/// The one version, or all there are.
fn versions(told: &[(&Answered, &question::Member)]) -> Option<String> {
    let all: BTreeSet<&str> = told.iter().map(|(_, said)| said.version.as_str()).collect();
    (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join(AND))
}

/// Between versions, where members have several.
const AND: &str = " and ";

/// A slot for each replica that streams, and those that are to be there always. Patroni makes a slot's name of a
/// member's (`slot_name_from_member_name`).
fn slots_wanted(looked: &Looked) -> Fact<BTreeSet<String>> {
    let (asked, settings) = match &looked.settings {
        Ok(known) => known,
        Err(why) => return Fact::not_observed(why, at("/config of its members")),
    };
    let from = at(format!("http://{asked}/config and /cluster"));
    match &looked.seen {
        Observed::Seen { value, .. } => {
            let mut wanted = settings.permanent_slots.clone();
            if settings.uses_slots {
                let replicas = value.members.iter().filter(|m| !m.leads && m.state == "streaming");
                wanted.extend(replicas.map(|m| m.name.as_str().replace('-', "_")));
            }
            Fact::seen(wanted, now(), from)
        }
        Observed::NotObserved { why } => Fact::not_observed(why, from),
    }
}

/// Known if each member said, or if one said what is no permit.
fn commits_wait_for(members: &[Answered], told: &[(&Answered, &question::Member)]) -> Fact<BTreeSet<String>> {
    let all: BTreeSet<String> = told.iter().map(|(_, said)| said.commits_wait_for.clone()).collect();
    let wrong = all.iter().any(|one| !permit::is_required_by(one));
    if wrong || (told.len() == members.len() && !all.is_empty()) {
        return Fact::seen(all, now(), at(format!("synchronous_standby_names at {}", addresses(told))));
    }
    nobody(members, |m| m.told.as_ref().err())
}

fn way_back(looked: &Looked, leader: Option<&Answered>) -> Fact<WayBack> {
    let (asked, settings) = match &looked.settings {
        Ok(known) => known,
        Err(why) => return Fact::not_observed(why, at("/config of its members")),
    };
    let from = at(format!("http://{asked}/config, wal_log_hints and data_checksums"));
    if !settings.rewinds {
        return Fact::seen(WayBack::Closed, now(), from);
    }
    match leader.map(|leader| leader.told.as_ref()) {
        Some(Ok(said)) if said.rewindable => Fact::seen(WayBack::Rewound, now(), from),
        Some(Ok(_)) => Fact::seen(WayBack::Closed, now(), from),
        Some(Err(why)) => Fact::not_observed(why, from),
        None => Fact::not_observed("its leader did not answer", from),
    }
}

/// What a standby lacks of the other region's log, now that both were seen, and the slot that it wants there.
pub(crate) fn follow(standby: &mut Seen, other: &mut Seen) {
    let position = |seen: &Seen| seen.cluster.seen.seen().and_then(|o| Some((o.role, o.position?)));
    let (here, there) = (position(standby), position(other));
    if let Observed::Seen { value: listing, .. } = &mut standby.region.database.answer
        && let (Some((ClusterRole::Standby, here)), Some((ClusterRole::Primary, there))) = (here, there)
        // Of a log that parted from the other, a difference says nothing.
        && here.timeline == there.timeline
    {
        for database in listing.values_mut() {
            let lacks = there.lsn.0.saturating_sub(here.lsn.0);
            let from = database.role.from.clone();
            database.lag_bytes = Fact::seen(lacks, now(), from.clone());
            if lacks == 0 {
                // it has all there is: that nothing was written for a while is no lag
                database.lag_ms = Fact::seen(0, now(), from);
            }
        }
    }
    if here.is_none_or(|(role, _)| role != ClusterRole::Standby) {
        return;
    }
    let slot = match &standby.cluster.settings {
        Ok((_, settings)) => Ok(settings.follows.as_ref().and_then(|follows| follows.slot.clone())),
        Err(why) => Err(format!("the slot that {} wants: {why}", standby.region.name)),
    };
    if let Observed::Seen { value: listing, .. } = &mut other.region.database.answer {
        for database in listing.values_mut() {
            let wanted = &mut database.slots_wanted;
            match (&slot, &mut wanted.answer) {
                (Ok(slot), Observed::Seen { value, .. }) => value.extend(slot.clone()),
                (Err(why), Observed::Seen { .. }) => {
                    *wanted = Fact::not_observed(why, wanted.from.clone());
                }
                (Ok(_) | Err(_), Observed::NotObserved { .. }) => {}
            }
        }
    }
}

/// When a cluster was asked.
pub(crate) fn asked(seen: &Seen) -> Option<Timestamp> {
    match &seen.cluster.seen {
        Observed::Seen { at, .. } => Some(*at),
        Observed::NotObserved { .. } => None,
    }
}

/// A standby that was asked a moment before its primary lacks what was written in between, and where little is written
/// its newest write is old all the same. So it is asked again: what it then has, it got since the primary was asked.
pub(crate) async fn catch_up(place: &Place, standby: &mut Seen, primary_asked: Option<Timestamp>) {
    let Some(asked) = primary_asked else { return };
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
            let asking = place.parts.cluster.ask(leader, &sql);
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::member::silent;

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings {
            paused: false,
            rewinds: true,
            uses_slots: true,
            permanent_slots: BTreeSet::from(["backup".to_owned()]),
            ..Settings::default()
        };
        change(&mut settings);
        settings
    }

    fn looked(settings: Settings) -> Looked {
        let member = |name: &str, leads, state: &str| bascule_core::observation::MemberObservation {
            name: name.parse().expect("a name"),
            leads,
            state: state.to_owned(),
            timeline: Some(bascule_core::position::Timeline(1)),
            lag_bytes: None,
        };
        let value = DatabaseObservation {
            role: ClusterRole::Primary,
            leader: Some("east-db1".parse().expect("a name")),
            system_id: "1".to_owned(),
            position: None,
            received: None,
            newest_replayed_age_ms: None,
            streaming: false,
            silent_ms: None,
            followed_after_us: None,
            members: vec![
                member("east-db1", true, "running"),
                member("east-db2", false, "streaming"),
                member("east-db3", false, "starting"),
            ],
        };
        let at: SocketAddr = "10.77.1.11:8008".parse().expect("an address");
        Looked { seen: Observed::Seen { value, at: now() }, settings: Ok((at, settings)) }
    }

    fn said(rewindable: bool) -> question::Member {
        question::Member {
            version: "15.5".to_owned(),
            parameters: BTreeMap::new(),
            slots: BTreeSet::new(),
            rewindable,
            sessions: 1,
            sessions_max: 100,
            memory: "32MB".to_owned(),
            commits_wait_for: String::new(),
        }
    }

    #[test]
    fn each_replica_that_streams_wants_its_slot_and_permanent_ones_are_wanted_always() {
        let wanted = |change: fn(&mut Settings)| slots_wanted(&looked(settings(change))).value().cloned();
        let names = |all: &[&str]| Some(all.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>());
        assert_eq!(wanted(|_| {}), names(&["backup", "east_db2"]));
        assert_eq!(wanted(|s| s.uses_slots = false), names(&["backup"]));
    }

    #[test]
    fn a_paused_manager_fails_over_to_nobody() {
        assert_eq!(automatic_failover(&looked(settings(|_| {}))).value(), Some(&true));
        assert_eq!(automatic_failover(&looked(settings(|s| s.paused = true))).value(), Some(&false));
    }

    #[test]
    fn a_cluster_that_is_not_rewound_or_can_not_be_has_no_way_back() {
        let back = |rewinds, rewindable| {
            let mut leader =
                silent(&"east-db1".parse().expect("a name"), "10.77.1.11:5432".parse().expect("one"), "x");
            leader.told = Ok(said(rewindable));
            way_back(&looked(settings(|s| s.rewinds = rewinds)), Some(&leader)).value().copied()
        };
        assert_eq!(back(true, true), Some(WayBack::Rewound));
        assert_eq!((back(true, false), back(false, true)), (Some(WayBack::Closed), Some(WayBack::Closed)));
        assert_eq!(way_back(&looked(settings(|_| {})), None).value(), None);
    }
}
