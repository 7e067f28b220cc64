//! A region's database cluster: its manager's word and its members' own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use bascule_core::facts::{Database, Fact, Member, Source, WayBack};
use bascule_core::id::{MemberName, RegionName};
use bascule_core::manifest::{Manifest, Region};
use bascule_core::observation::{ClusterRole, DatabaseObservation, MemberObservation, Observed};
use bascule_core::permit;
use bascule_core::ports::Database as _;
use bascule_core::time::Timestamp;
use bascule_providers::patroni::Settings;

use crate::limit::Provider;
use crate::member::{Answered, nobody, well};
use crate::question;
use crate::{Place, at, fact, now};

/// A cluster as its manager and its leader see it.
pub(crate) struct Looked {
    /// From here on its manager and its leader were asked.
    pub begun: Timestamp,
    pub seen: Observed<DatabaseObservation>,
    pub settings: Result<(SocketAddr, Settings), String>,
}

pub(crate) async fn look(place: &Place) -> Looked {
    let limits = &place.limits;
    let cluster = match place.cluster() {
        Ok(cluster) => cluster,
        Err(why) => {
            let seen = Observed::NotObserved { why: why.clone() };
            return Looked { begun: now(), seen, settings: Err(why) };
        }
    };
    // its turn may come late
    let observing = async { Ok((now(), cluster.observe().await)) };
    let (seen, settings) = tokio::join!(
        limits.look(Provider::Database, observing),
        limits.look(Provider::Database, cluster.settings()),
    );
    let (begun, seen) = seen.unwrap_or_else(|why| (now(), Observed::NotObserved { why }));
    Looked { begun, seen, settings }
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
        version: versions(&told, members),
        unconfirmed: match leader {
            Ok(leader) => fact(
                leader.told.clone().map(|said| said.unconfirmed),
                self::at(format!("synchronous_commit at {}", leader.at)),
            ),
            Err(ref why) => Fact::not_observed(why, cluster(place)),
        },
        slots: match leader {
            Ok(leader) => fact(
                leader.told.clone().map(|said| said.slots),
                self::at(format!("pg_replication_slots at {}", leader.at)),
            ),
            Err(ref why) => Fact::not_observed(why, cluster(place)),
        },
        slots_wanted: slots_wanted(looked),
        slotless: slotless(looked),
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

pub(crate) fn leader<'a>(looked: &Looked, members: &'a [Answered]) -> Result<&'a Answered, String> {
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

/// Members that the manager lists: what the manifest names beside them is not part of the cluster.
fn listed(place: &Place, looked: &Looked, answered: &[Answered]) -> Fact<Vec<Member>> {
    seen(place, looked, |observation| {
        let timeline = observation.members.iter().find(|m| m.leads).and_then(|m| m.timeline);
        let listed: BTreeMap<&MemberName, _> = observation.members.iter().map(|m| (&m.name, m)).collect();
        let member = |(name, called): (&MemberName, &MemberObservation)| {
            let own = answered.iter().find(|m| &m.name == name);
            Member { name: name.to_string(), well: well(called.is_well(timeline), own, cluster(place)) }
        };
        listed.into_iter().map(member).collect()
    })
}

/// Whose address a standby was told to follow.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// The other region's.
    Peer,
    /// Its own region's.
    Own,
    /// Nothing says whose: why.
    Nobody(String),
}

/// Whose host that is, by the addresses of the databases in the manifest.
fn whose(manifest: &Manifest, own: &RegionName, host: &str) -> Told {
    let has = |region: &Region, ip: IpAddr| {
        let members = region.database.members.iter().map(|m| m.postgres.ip());
        let doors = [region.database.replication.ip(), region.database.ingress.ip()];
        members.chain(doors).any(|known| known == ip)
    };
    let peer = manifest.other(own);
    let of = |name: &RegionName, ip| manifest.region(name).is_some_and(|region| has(region, ip));
    match host.parse::<IpAddr>() {
        Ok(ip) if of(peer, ip) => Told::Peer,
        Ok(ip) if of(own, ip) => Told::Own,
        Ok(_) | Err(_) => Told::Nobody(format!(
            "it follows {host}, and nothing says whose that is: follow the address that [regions.{peer}.database] has for \
             `replication`"
        )),
    }
}

/// A standby follows the other region while log comes in from there.
fn replica_source(place: &Place, looked: &Looked) -> Fact<Option<RegionName>> {
    let follows = match (&looked.settings, &looked.seen) {
        (Ok((_, settings)), _) => settings.follows.as_ref(),
        // it streams from somebody
        (Err(why), Observed::Seen { value: DatabaseObservation { role: ClusterRole::Standby, .. }, .. }) => {
            return Fact::not_observed(why, at("/config of its members"));
        }
        (Err(_), Observed::Seen { .. } | Observed::NotObserved { .. }) => None,
    };
    let told = follows.map_or(Told::Peer, |f| whose(&place.scene.site.manifest, &place.name, &f.host));
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
    match (&looked.seen, told) {
        // one that receives nothing follows nobody, whatever it was told
        (
            Observed::Seen {
                value: DatabaseObservation { role: ClusterRole::Standby, streaming: true, .. },
                ..
            },
            Told::Nobody(why),
        ) => Fact::not_observed(why, at("/config of its members")),
        (_, told) => seen(place, looked, |observation| match observation.role {
            ClusterRole::Standby if observation.streaming && told == Told::Peer => Some(place.peer().clone()),
            ClusterRole::Standby | ClusterRole::Primary | ClusterRole::Leaderless => None,
        }),
    }
}

fn lag_ms(place: &Place, looked: &Looked) -> Fact<u64> {
    match &looked.seen {
        Observed::Seen { value, at } => match value.newest_replayed_age_ms {
            Some(age) => {
                Fact::seen(age, *at, self::at(leader_says("pg_last_xact_replay_timestamp()", looked)))
            }
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

/// The one version, or all there are. That there is one is known if all said.
fn versions(told: &[(&Answered, &question::Member)], members: &[Answered]) -> Fact<BTreeSet<String>> {
    let all: BTreeSet<String> = told.iter().map(|(_, said)| said.version.clone()).collect();
    if all.len() > 1 || (!all.is_empty() && told.len() == members.len()) {
        return Fact::seen(all, now(), at(addresses(told)));
    }
    nobody(members, |m| m.told.as_ref().err())
}

/// A question's name with whom it was asked.
pub(crate) fn leader_says(question: &str, looked: &Looked) -> String {
    let leader = looked.seen.seen().and_then(|seen| seen.leader.as_ref());
    leader.map_or_else(|| question.to_owned(), |leader| format!("{question} at {leader}"))
}

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

/// Its own replicas where none has a slot.
fn slotless(looked: &Looked) -> Fact<BTreeSet<String>> {
    slots_wanted(looked).map(|_| match (&looked.settings, &looked.seen) {
        (Ok((_, settings)), Observed::Seen { value, .. }) if !settings.uses_slots => {
            let replicas = value.members.iter().filter(|m| !m.leads && m.state == "streaming");
            replicas.map(|m| m.name.to_string()).collect()
        }
        (Ok(_) | Err(_), Observed::Seen { .. } | Observed::NotObserved { .. }) => BTreeSet::new(),
    })
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
        Looked { begun: now(), seen: Observed::Seen { value, at: now() }, settings: Ok((at, settings)) }
    }

    fn said(rewindable: bool) -> question::Member {
        question::Member {
            version: "15.5".to_owned(),
            parameters: BTreeMap::new(),
            slots: BTreeSet::new(),
            followers: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
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
    fn replicas_without_slots_live_on_what_is_kept() {
        let without = |change: fn(&mut Settings)| slotless(&looked(settings(change))).value().cloned();
        assert_eq!(without(|_| {}), Some(BTreeSet::new()));
        assert_eq!(without(|s| s.uses_slots = false), Some(BTreeSet::from(["east-db2".to_owned()])));
    }

    #[test]
    fn who_is_followed_is_told_by_an_address_of_the_manifest_and_by_no_other() {
        let text = include_str!("../../core/tests/manifest/right.toml");
        let manifest = Manifest::parse(text).expect("right");
        let (home, away) = (manifest.home.clone(), manifest.other(&manifest.home).clone());
        let at =
            |name: &RegionName| manifest.region(name).expect("one").database.replication.ip().to_string();
        assert_eq!(whose(&manifest, &away, &at(&home)), Told::Peer);
        assert_eq!(whose(&manifest, &away, &at(&away)), Told::Own);
        for host in ["db.us-east-2.internal", "192.0.2.7"] {
            let told = whose(&manifest, &away, host);
            assert!(matches!(&told, Told::Nobody(why) if why.contains(host)), "{told:?}");
        }
    }

    #[test]
    fn members_of_two_versions_are_told_though_one_is_silent() {
        let member = |version: Option<&str>| {
            let mut member =
                silent(&"east-db1".parse().expect("a name"), "10.77.1.11:5432".parse().expect("one"), "x");
            member.told = version
                .map(|v| question::Member { version: v.to_owned(), ..said(true) })
                .ok_or_else(|| "x".to_owned());
            member
        };
        let seen = |all: &[Option<&str>]| {
            let members: Vec<Answered> = all.iter().map(|version| member(*version)).collect();
            let told: Vec<_> = members.iter().filter_map(|m| Some((m, m.told.as_ref().ok()?))).collect();
            versions(&told, &members).value().map(BTreeSet::len)
        };
        assert_eq!(seen(&[Some("15.5"), Some("15.6"), None]), Some(2));
        assert_eq!((seen(&[Some("15.5"), Some("15.5")]), seen(&[Some("15.5"), None])), (Some(1), None));
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
