//! Scripts that are demo, test and documentation at once: what is done to a site, and what is expected.
//!
//! [`parse()`] reads one, [`play`] runs it in the fake world and returns its transcript. The language is
//! described in `docs/scenarios.md`; the scripts are in `scenarios/`.

mod expect;
mod parse;
mod play;

pub use parse::{InvalidScript, parse};
pub use play::{Failed, play};

use bascule_core::id::{Epoch, RegionName};
use bascule_core::observation::GateState;
use bascule_core::plan::Kind;
use bascule_engine::crash::CrashPoint;

/// One line of a script that does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// As it was written, without its comment.
    pub text: String,
    /// What it does.
    pub verb: Verb,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Look at the site.
    Observe,
    /// Draw a plan.
    Plan {
        /// Of which operation.
        kind: Kind,
        /// To which region.
        to: RegionName,
        /// Loss that is accepted, in milliseconds.
        accept_loss_ms: Option<u64>,
    },
    /// Execute the plan that was drawn last.
    Apply,
    /// The next controller dies there.
    Crash(CrashPoint),
    /// A second controller takes the next operation over, so many milliseconds after it began.
    Rival {
        /// Whether it turns it back instead of going on.
        abort: bool,
        /// When.
        at_ms: u64,
    },
    /// Another controller goes on.
    Resume,
    /// Another controller turns it back.
    Abort,
    /// Another one ends it, if the region that it made active is lost.
    Abandon,
    /// A region is lost, at once or so many milliseconds after the next controller began.
    RegionLoss {
        /// Which.
        region: RegionName,
        /// When; none is now.
        at_ms: Option<u64>,
    },
    /// A lost region starts again.
    Return(RegionName),
    /// The databases of the regions do not reach each other, from now or so many milliseconds after the
    /// next controller began.
    CutReplication {
        /// When; none is now.
        at_ms: Option<u64>,
    },
    /// The controller does not reach a region, whose users do.
    CutController(RegionName),
    /// A record takes so long to the other region, in milliseconds.
    Lag(u64),
    /// Everything but a lost region is well again.
    Heal,
    /// Let time pass, in milliseconds.
    Wait(u64),
    /// What must be so.
    Expect(Expectation),
}

/// How the last controller's run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every step is done.
    Succeeded,
    /// All was taken back.
    Aborted,
    /// It ended, past its commit, without the region that it made active.
    Abandoned,
    /// It was not abandoned: it can be finished, or taken back.
    Refused,
    /// The controller was killed.
    Died,
    /// It stopped and needs a person.
    Stalled,
    /// Another one is in charge.
    Fenced,
    /// It is past the commit point and can't be aborted.
    PastCommit,
}

/// What must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// How the last controller's run came out.
    Ending(Ending),
    /// How the rival's run came out.
    Rival(Ending),
    /// The last plan may run.
    Runnable,
    /// The last plan may not run, for this code.
    Blocked(String),
    /// The last plan carries this warning.
    Warned(String),
    /// Who is active, and in which epoch.
    Active {
        /// The region.
        region: RegionName,
        /// The epoch.
        epoch: Epoch,
    },
    /// What a gate does.
    Gate {
        /// Whose.
        region: RegionName,
        /// What.
        state: GateState,
    },
    /// Whether any pool holds.
    Held(bool),
    /// Where all names point.
    Names(RegionName),
    /// Whether users' writes are taken.
    Writes {
        /// Whether they are.
        flow: bool,
    },
    /// Whether acknowledged writes are missing in the active region.
    Lost(bool),
    /// Whether writes were saved for people to read.
    Saved(bool),
    /// A region's standby is fed.
    Follows(RegionName),
    /// The longest pause of users' writes since the last plan, in milliseconds at most.
    PauseAtMost(u64),
}
