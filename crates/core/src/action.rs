//! The things a step can do, as data. One loop, in the engine, performs them.

use serde::{Deserialize, Serialize};

use crate::id::{DnsName, Epoch, RegionName, StepId};
use crate::observation::GateState;
use crate::position::Position;

/// What a step does. Each is idempotent: performed twice it leaves what performing it once leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Flush the database's dirty pages, so that stopping or promoting it is quick.
    Checkpoint {
        /// Whose database.
        region: RegionName,
    },
    /// Set a name's time to live, leaving its addresses.
    SetTtl {
        /// The name.
        name: DnsName,
        /// The new time to live, in seconds.
        ttl_s: u32,
        /// How long to wait afterwards for older answers to run out, in milliseconds.
        settle_ms: u64,
    },
    /// Hold the statements of a pool's clients: they wait, they do not fail.
    HoldWrites {
        /// Whose pool.
        region: RegionName,
    },
    /// Let a pool's clients go on.
    ReleaseWrites {
        /// Whose pool.
        region: RegionName,
    },
    /// Set a region's gate. `Closed` also cuts the sessions that went through it.
    SetGate {
        /// Whose gate.
        region: RegionName,
        /// What it shall do.
        state: GateState,
        /// The epoch it is set for.
        epoch: Epoch,
    },
    /// Read where the fenced primary's log ends, after proving that no client is connected to it.
    ReadEnd {
        /// Whose database.
        region: RegionName,
    },
    /// Wait until the standby has replayed the position that another step read.
    AwaitReplay {
        /// Whose standby.
        region: RegionName,
        /// The step whose evidence holds the position.
        position_of: StepId,
        /// How long, in milliseconds, counted from the step's own beginning.
        within_ms: u64,
    },
    /// Record, by one compare-and-set, that another region is active. The commit point.
    Commit {
        /// The epoch the plan was made on; the new one is the next.
        base: Epoch,
        /// The region that becomes active.
        active: RegionName,
        /// The step whose evidence holds the renewals at which the old tenure stood still; none where
        /// the old region's gate was seen closed instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claims: Option<StepId>,
    },
    /// Wait until the tenure has stood still for so long that no keeper of the region lets a write pass.
    WaitOut {
        /// The region whose tenure it is.
        region: RegionName,
        /// The epoch it has.
        epoch: Epoch,
        /// How long it must have stood still, in milliseconds.
        still_ms: u64,
    },
    /// Make a region's cluster the standby of the other: it stops cleanly and follows.
    StandDown {
        /// The region that stands down.
        region: RegionName,
        /// The region it follows from now on.
        follow: RegionName,
    },
    /// Wait until the standby has replayed the record with which the old primary closed its log.
    AwaitShutdownRecord {
        /// Whose standby.
        region: RegionName,
        /// The step whose evidence holds the position where users' writes ended.
        position_of: StepId,
        /// After this long, in milliseconds, go on without it: all users' writes are here already,
        /// and the old region will be rewound.
        within_ms: u64,
    },
    /// Make a region's standby cluster a primary, through its cluster manager.
    Promote {
        /// Whose database.
        region: RegionName,
    },
    /// Point a name at another region by compare-and-set.
    MoveName {
        /// The name.
        name: DnsName,
        /// Where it points before.
        from: RegionName,
        /// Where it points after.
        to: RegionName,
        /// The record's time to live, in seconds.
        ttl_s: u32,
    },
    /// Wait until a region's cluster follows the other again, every member well.
    AwaitFollowing {
        /// The standby.
        region: RegionName,
        /// How long, in milliseconds.
        within_ms: u64,
    },
    /// Write through the front door, as a user does, and read it back.
    VerifyWrite {
        /// The region whose database must have taken it.
        region: RegionName,
    },
    /// Look again, several times and from more than one side, whether a region is gone.
    ConfirmLost {
        /// The region that is thought gone.
        region: RegionName,
    },
    /// Read how far the surviving standby got: the fork point, and what may be lost. It fails if that is more than was
    /// allowed when the plan was made: whoever made it may have slept since.
    ReadFork {
        /// The region that is to be promoted.
        region: RegionName,
        /// Milliseconds of writes that may be lost at most; none in a journal that does not say.
        #[serde(default)]
        at_most_ms: u64,
    },
    /// See that a returned region's diverged history has a timeline of its own, so that its cluster manager
    /// can't take it for the active one's and follow without a rewind; give it one if not.
    Renumber {
        /// The region that returned.
        region: RegionName,
    },
    /// Save the writes that a returned region has and the active one has not, as a readable file.
    SaveDivergence {
        /// The region that returned.
        region: RegionName,
        /// The region that is active.
        active: RegionName,
        /// Whether a person has given up what can't be saved.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_unsaved: bool,
    },
}

impl Action {
    /// The region the action needs to be reachable, if it needs one.
    #[must_use]
    pub fn calls(&self) -> Option<&RegionName> {
        match self {
            Action::Checkpoint { region }
            | Action::HoldWrites { region }
            | Action::ReleaseWrites { region }
            | Action::SetGate { region, .. }
            | Action::ReadEnd { region }
            | Action::AwaitReplay { region, .. }
            | Action::StandDown { region, .. }
            | Action::AwaitShutdownRecord { region, .. }
            | Action::Promote { region }
            | Action::AwaitFollowing { region, .. }
            | Action::VerifyWrite { region }
            | Action::ReadFork { region, .. }
            | Action::Renumber { region }
            | Action::SaveDivergence { region, .. } => Some(region),
            Action::SetTtl { .. }
            | Action::Commit { .. }
            | Action::MoveName { .. }
            | Action::WaitOut { .. }
            | Action::ConfirmLost { .. } => None,
        }
    }

    /// Whether this is the compare-and-set of the tenure.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        matches!(self, Action::Commit { .. })
    }
}

/// What a step saw that proves it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// One sentence for a person.
    pub note: String,
    /// The log position it is about, if it is about one; later steps take it from here.
    pub position: Option<Position>,
    /// Milliseconds that may be lost, if the step measured that.
    pub loss_ms: Option<u64>,
    /// The renewals at which a tenure stood still, if the step waited one out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewals: Option<u64>,
    /// A file it wrote, relative to the operation's report folder.
    pub file: Option<String>,
    /// Why the step was given up instead of performed; none if it was performed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

impl Evidence {
    /// Evidence that is one sentence.
    #[must_use]
    pub fn note(note: impl Into<String>) -> Self {
        Self { note: note.into(), position: None, loss_ms: None, renewals: None, file: None, waived: None }
    }

    /// Evidence about a log position.
    #[must_use]
    pub fn at(position: Position, note: impl Into<String>) -> Self {
        Self { position: Some(position), ..Self::note(note) }
    }

    /// Evidence that a step was given up, and what that leaves.
    #[must_use]
    pub fn waived(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { waived: Some(why.clone()), ..Self::note(why) }
    }
}
