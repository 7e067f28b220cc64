//! What was seen, when, and from where. "Not observed" is a value: nothing here has a default.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{DnsName, Epoch, MemberName, OperationId, RegionName};
use crate::position::{Position, Timeline};
use crate::tenure::Tenure;
use crate::time::Timestamp;

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Observed<T> {
    /// It answered.
    Seen {
        /// What it answered.
        value: T,
        /// When the answer was there, by the observer's clock.
        at: Timestamp,
    },
    /// It was asked and did not answer, or could not be asked.
    NotObserved {
        /// Why not.
        why: String,
    },
}

impl<T> Observed<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn seen(&self) -> Option<&T> {
        match self {
            Observed::Seen { value, .. } => Some(value),
            Observed::NotObserved { .. } => None,
        }
    }

    /// Why there is no value, if there is none.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Observed::Seen { .. } => None,
            Observed::NotObserved { why } => Some(why),
        }
    }
}

/// Everything a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// When the last answer was in, by the observer's clock.
    pub at: Timestamp,
    /// Who is active, as the store says.
    pub tenure: Observed<Tenure>,
    /// The operation that has begun and not ended, if any.
    pub open_operation: Observed<Option<OperationId>>,
    /// How the move that made the active region active came out.
    pub last_move: Observed<LastMove>,
    /// Both regions.
    pub regions: BTreeMap<RegionName, RegionObservation>,
    /// What each DNS server answers for each name of the site.
    pub names: BTreeMap<DnsName, Vec<NameAnswer>>,
}

impl Observation {
    /// What would be seen if nothing of a region were in sight, and it acknowledged nothing from `lost_since` on.
    #[must_use]
    pub fn supposing_lost(&self, region: &RegionName, lost_since: Timestamp) -> Self {
        fn unseen<T>() -> Observed<T> {
            Observed::NotObserved { why: "supposed lost".to_owned() }
        }
        let mut supposed = self.clone();
        let lost = RegionObservation {
            database: unseen(),
            gate: unseen(),
            pool: unseen(),
            compute: unseen(),
            lost_since: Some(lost_since),
        };
        supposed.regions.insert(region.clone(), lost);
        supposed
    }
}

/// How the move that made a region active came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LastMove {
    /// It did all that users need; or the site was founded so.
    Finished,
    /// It moved the tenure and no more for certain: it was abandoned, or is still open.
    Unfinished {
        /// Whether the region may have been promoted. If not it has taken no write in this tenure.
        opened: bool,
    },
}

impl LastMove {
    /// Whether the active region has certainly taken no write in its tenure.
    #[must_use]
    pub fn is_unopened(self) -> bool {
        self == LastMove::Unfinished { opened: false }
    }
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionObservation {
    /// Its database cluster.
    pub database: Observed<DatabaseObservation>,
    /// Its gate: what its load balancer does with database writes.
    pub gate: Observed<GateObservation>,
    /// Its connection pool.
    pub pool: Observed<PoolObservation>,
    /// Its application instances.
    pub compute: Observed<ComputeObservation>,
    /// Since when nothing at all of it has been seen, or, where keepers hold its gate, from when on it acknowledges
    /// nothing: ahead, while its last renewal may still be good. None while anything answers.
    pub lost_since: Option<Timestamp>,
}

impl RegionObservation {
    /// Whether no part of the region answered. One part that answers is a region that is there.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.database.seen().is_none()
            && self.gate.seen().is_none()
            && self.pool.seen().is_none()
            && self.compute.seen().is_none()
    }

    /// What keeps an active region's users from writing, part by part, as far as it was seen: for a person who has just been
    /// called. Empty if each part is as it should be.
    #[must_use]
    pub fn ailments(&self) -> Vec<String> {
        let unseen = |part: &str, why: &str| format!("{part} not observed ({why})");
        let mut found = Vec::new();
        match &self.database {
            Observed::Seen { value, .. } => match value.role {
                ClusterRole::Primary => {}
                ClusterRole::Standby => found.push("database is a standby".to_owned()),
                ClusterRole::Leaderless => found.push("database has no leader".to_owned()),
            },
            Observed::NotObserved { why } => found.push(unseen("database", why)),
        }
        match &self.gate {
            Observed::Seen { value, .. } if value.state != GateState::Local => {
                found.push(format!("load balancer's gate {}", value.state.as_str()));
            }
            Observed::Seen { value, .. } if value.servers_up == 0 => {
                found.push("load balancer sees no primary".to_owned());
            }
            Observed::Seen { .. } => {}
            Observed::NotObserved { why } => found.push(unseen("load balancer", why)),
        }
        match &self.pool {
            Observed::Seen { value, .. } if value.held => found.push("pool holds its clients".to_owned()),
            Observed::Seen { .. } => {}
            Observed::NotObserved { why } => found.push(unseen("pool", why)),
        }
        match &self.compute {
            Observed::Seen { value, .. } if value.ready < value.wanted => found.push(format!(
                "{} of {} instances run, {} can write",
                value.alive, value.wanted, value.ready
            )),
            Observed::Seen { .. } => {}
            Observed::NotObserved { why } => found.push(unseen("instances", why)),
        }
        found
    }
}

/// What a region's database cluster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterRole {
    /// Its leader takes writes.
    Primary,
    /// Its leader follows the other region.
    Standby,
    /// It has no leader.
    Leaderless,
}

/// One region's database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseObservation {
    /// What the cluster does.
    pub role: ClusterRole,
    /// The member that leads.
    pub leader: Option<MemberName>,
    /// The identity given by initdb: equal in both regions, or they are not the same database.
    pub system_id: String,
    /// Written (primary) or replayed (standby); none if the leader's SQL did not answer.
    pub position: Option<Position>,
    /// Received and flushed by a standby, which may be past what it replayed.
    pub received: Option<Position>,
    /// Age of the newest transaction replayed by a standby, in milliseconds by its own clock.
    pub newest_replayed_age_ms: Option<u64>,
    /// Whether a standby has a connection on which it receives from the other region.
    pub streaming: bool,
    /// How long ago anything last came in on it, in milliseconds by the standby's clock: a cut line
    /// looks connected for as long as the receiver's time-out.
    pub silent_ms: Option<u64>,
    /// How long after a primary the other region last had a piece of the log on its disk, in microseconds: what a commit
    /// that waits for it waits. None if it is not followed, or was idle.
    pub followed_after_us: Option<u64>,
    /// All members that the cluster manager lists.
    pub members: Vec<MemberObservation>,
}

/// One member of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberObservation {
    /// Its name.
    pub name: MemberName,
    /// Whether it leads its region's cluster.
    pub leads: bool,
    /// The cluster manager's word for its state: `running`, `streaming`, `stopped`, …
    pub state: String,
    /// The timeline it is on, if it says.
    pub timeline: Option<Timeline>,
    /// Bytes behind its leader, if known.
    pub lag_bytes: Option<u64>,
}

impl MemberObservation {
    /// A leader is well when it runs; a replica only while it streams on the leader's timeline
    /// (`running` alone may be a replica that waits for a log that never comes).
    #[must_use]
    pub fn is_well(&self, leader_timeline: Option<Timeline>) -> bool {
        if self.leads {
            self.state == "running" || self.state == "streaming"
        } else {
            self.state == "streaming" && self.timeline.is_some() && self.timeline == leader_timeline
        }
    }
}

impl DatabaseObservation {
    /// How many members are well, and how many there are.
    #[must_use]
    pub fn well(&self) -> (usize, usize) {
        let timeline = self.members.iter().find(|m| m.leads).and_then(|m| m.timeline);
        (self.members.iter().filter(|m| m.is_well(timeline)).count(), self.members.len())
    }
}

/// What a region's load balancer does with database writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// Refuses them.
    Closed,
    /// Passes them to this region's primary.
    Local,
    /// Passes them on to the other region.
    Remote,
}

impl GateState {
    /// The word, as the load balancer's map holds it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GateState::Closed => "closed",
            GateState::Local => "local",
            GateState::Remote => "remote",
        }
    }
}

/// A gate as its load balancer reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateObservation {
    /// What it does.
    pub state: GateState,
    /// The epoch it was last set for; 0 since its boot.
    pub epoch: Epoch,
    /// Database servers that its checks call up.
    pub servers_up: u32,
}

/// A connection pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolObservation {
    /// Whether it holds its clients' statements back.
    pub held: bool,
    /// Clients connected.
    pub clients: u32,
    /// Clients that wait for a server connection.
    pub waiting: u32,
}

/// A region's application instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeObservation {
    /// Instances that answered that they are alive.
    pub alive: u32,
    /// Instances that answered that they can write to the database.
    pub ready: u32,
    /// Instances in the manifest.
    pub wanted: u32,
}

/// One DNS server's answer for one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameAnswer {
    /// The server that was asked, as address and port.
    pub server: String,
    /// What it answered.
    pub answer: Observed<AddressRecord>,
}

/// The address record of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRecord {
    /// Where it points.
    pub addresses: Vec<IpAddr>,
    /// How long it may be kept, in seconds.
    pub ttl_s: u32,
}
