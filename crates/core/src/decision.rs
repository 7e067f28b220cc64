//! What a keeper does by itself: one pure function of what it knows, asked every renewal.
//!
//! Invariant: a failover is decided on only if the tenure stood still long enough for every gate of its
//! region to have closed, *and* two places outside that region could not write through its front door,
//! *and* the planner forbids nothing. Whatever is not known counts against it (I3, I7).
//!
//! The race it handles: both keepers of a region decide the same at the same time. Nothing here prevents
//! it; the store admits one open operation, and the second keeper waits a renewal longer.

mod guarded;
mod word;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::id::{OperationId, RegionName};
use crate::manifest::{Automatic, Impaired, Mode};
use crate::observation::LastMove;
use crate::operation::{Course, Operation};
use crate::permit::Told;
use crate::plan::Kind;
use crate::planner::{Assessment, Code, Finding};
use crate::tenure::challenge::Sight;
use crate::tenure::{Release, Tenure};
use crate::time::{Mono, Timestamp, millis};
use crate::vantage::{Pause, Place, Writes};

/// Places that must agree that a region takes no writes: its own loss of the network can fool one.
pub const VANTAGES_MIN: usize = 2;
/// What a keeper has let go of, it takes back if the tenure stood still for so many of its lengths: a takeover is waited for
/// over one, and made in less than two.
pub const RELEASED_FOR: u32 = 10;
/// A controller beats every second; one that missed three is dead, or as good as. Taking over from one
/// that lives is safe (its next append is fenced), so this need not be longer.
pub const EXECUTOR_SILENT: Duration = Duration::from_secs(3);

/// Everything a decision is made from.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// What the manifest says.
    pub policy: &'a Automatic,
    /// The region of the keeper that asks.
    pub here: &'a RegionName,
    /// Its place among its region's keepers, from 0: each waits a renewal longer than the one before.
    pub rank: u32,
    /// Who is active.
    pub tenure: &'a Tenure,
    /// Since when the tenure has stood still, as this keeper saw it.
    pub sight: &'a Sight,
    /// This keeper's clock that never steps.
    pub now: Mono,
    /// Its wall clock, for the cool-down and the time that a cure gets.
    pub wall: Timestamp,
    /// For how long this keeper has known that the other region follows; zero if it does not.
    pub settled_for: Duration,
    /// What every place says of the active region.
    pub vantages: &'a [Vantage],
    /// Whether an operator forbids it; `Err` if that could not be read.
    pub pause: Result<Option<&'a Pause>, &'a str>,
    /// The operation that is open, if one is.
    pub open: Option<&'a Open>,
    /// How the move that made the active region active came out; none if that is not known. If the region was never
    /// promoted there is nothing that a standby could lack.
    pub last_move: Option<LastMove>,
    /// What the planner says of a failover to the standby region; none until it was looked at.
    pub failover: Option<&'a Assessment>,
    /// What the planner says of a reinstatement of the other region; none until it was looked at.
    pub reinstate: Option<&'a Assessment>,
    /// Whether it is time to hold gates and pools against the tenure.
    pub restore_due: bool,
    /// What the planner says of that; none until it was looked at.
    pub restore: Option<&'a Assessment>,
    /// When they were first set anew since users can't write in the active region; none if they were not.
    pub restored: Option<Timestamp>,
}

/// What a place says of the active region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    /// Who says it.
    pub place: Place,
    /// Whether it said so lately.
    pub fresh: bool,
    /// What it says; none if its report leaves the region out.
    pub writes: Option<Writes>,
    /// What the region's primary told it of the permit; none from a place outside the region.
    pub permit: Option<Told>,
}

/// The operation that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub id: OperationId,
    /// How long its controller has given no sign of life, as this keeper saw it.
    pub silent_for: Duration,
    /// How long the same controller has had it, as this keeper saw it.
    pub led_for: Duration,
    /// What it does.
    pub kind: Kind,
    /// How far it has come; none if its journal was not read.
    pub stage: Option<Stage>,
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It goes forward, and can be taken back.
    Forward,
    /// It is being taken back.
    TurnedBack,
    /// It is past its commit point.
    PastCommit,
}

impl Stage {
    /// Where an operation is.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        match operation.course {
            Course::Aborting { .. } => Stage::TurnedBack,
            Course::Forward | Course::Ended { .. } if operation.past_return().is_some() => Stage::PastCommit,
            Course::Forward | Course::Ended { .. } => Stage::Forward,
        }
    }
}

impl Open {
    /// Whether it can't end without a region that is lost, however well its controller is: then nobody waits for that
    /// one, whose next append is fenced. An operation that turns back already is left to whoever does it, and one that
    /// was just taken over to whoever did, so no two controllers take it from each other for ever.
    fn is_in_vain(&self, tenure: &Tenure, patience: Duration) -> bool {
        if tenure.by.as_ref() == Some(&self.id) {
            return self.led_for >= patience;
        }
        match self.kind {
            // The region that it leaves is the one that is lost.
            Kind::Failover => false,
            Kind::Switchover | Kind::Reinstate | Kind::Restore => self.stage == Some(Stage::Forward),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing.
    Rest(Rest),
    /// Ask the planner, and decide again.
    Look(Look),
    /// Something would have to be done, and must not be.
    Refuse(Vec<Refusal>),
    /// Do it; in mode `observe` record it.
    Act(Act),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// The tenure was renewed in time.
    Renewed,
    /// It stands still, and its holder may still let writes pass.
    NotYet {
        /// For so long at least, in milliseconds.
        left_ms: u64,
    },
    /// Another controller is at work.
    AtWork(OperationId),
    /// A person decides.
    Manual,
    /// The store does not say what a decision rests on.
    StoreUnknown {
        /// Why not.
        why: String,
    },
    /// The active region has let go, and the other one may take over.
    Released(Release),
    /// Users can't write in the active region and its keepers renew; the policy is to report that, or its gates were just
    /// set anew.
    Impaired {
        /// For so long, in milliseconds.
        for_ms: u64,
        /// What was found.
        why: String,
    },
}

/// What to ask the planner for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// A failover to the standby region.
    Failover,
    /// A reinstatement of the other region.
    Reinstate,
    /// Gates and pools that are not what the tenure says.
    Restore,
}

/// What to do by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Take over from a controller that died, and finish or take back what it began.
    Resume(OperationId),
    /// Take back what cannot be finished, since the region it needs is lost.
    Abort(OperationId),
    /// End what can neither be finished nor taken back: it made the active region active, which is lost.
    Abandon(OperationId),
    /// Fail over to this keeper's region.
    FailOver,
    /// Make the other region a standby again.
    Reinstate,
    /// Make gates and pools what the tenure says.
    Restore,
    /// Stop renewing: this region can't write, and the other one could.
    Release {
        /// What it found.
        why: String,
    },
    /// Renew again: nobody took over.
    Keep {
        /// What is taken back.
        release: Release,
    },
}

/// Why something must not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// An operator has forbidden it.
    Paused(Pause),
    /// Whether an operator has forbidden it could not be read.
    PauseUnknown {
        /// Why not.
        why: String,
    },
    /// The last move is too recent.
    CoolingDown {
        /// For so long, in milliseconds.
        left_ms: u64,
    },
    /// The last move has not been settled: since then no standby was seen to follow.
    NotSettled,
    /// Too few places see that the region takes no writes.
    TooFewVantages {
        /// Who sees it.
        agree: Vec<String>,
        /// Who does not say.
        silent: Vec<String>,
    },
    /// A place can write through the region's front door.
    StillWrites {
        /// Who.
        place: String,
    },
    /// The active region's commits needed no permit, as far as was last told: if it wakes it may acknowledge writes.
    Unguarded {
        /// What was told, or that nothing was.
        why: String,
    },
    /// The planner forbids it.
    Blocked(Finding),
}

/// Decide.
#[must_use]
pub fn decide(s: &Situation<'_>) -> Decision {
    if s.policy.mode == Mode::Manual {
        // That the other region follows is recorded whoever decides: a limit on loss counts from there.
        let unsettled = s.here == &s.tenure.active && !s.tenure.settled && s.open.is_none();
        let look = unsettled && s.reinstate.is_none();
        return if look { Decision::Look(Look::Reinstate) } else { Decision::Rest(Rest::Manual) };
    }
    if s.here == &s.tenure.active { as_holder(s) } else { as_challenger(s) }
}

/// The active region's keeper: finish what a dead controller left, give up a region that can't write,
/// and see that there is a standby.
fn as_holder(s: &Situation<'_>) -> Decision {
    if let Some(release) = &s.tenure.released {
        let waited = s.sight.still_for(s.now) >= s.policy.ttl * RELEASED_FOR + stagger(s);
        // Whoever began to take over may be lost itself.
        let nobody = s.open.is_none_or(|open| open.silent_for >= EXECUTOR_SILENT + stagger(s));
        let keeps = release.for_a_while && waited && nobody;
        return if keeps {
            Decision::Act(Act::Keep { release: release.clone() })
        } else {
            Decision::Rest(Rest::Released(release.clone()))
        };
    }
    if let Some(open) = s.open {
        if open.silent_for < EXECUTOR_SILENT + stagger(s) {
            return Decision::Rest(Rest::AtWork(open.id.clone()));
        }
        return unless_paused(s, Act::Resume(open.id.clone()));
    }
    match s.restore {
        None if s.restore_due => return Decision::Look(Look::Restore),
        Some(assessment) if assessment.runnable().is_some() => return unless_paused(s, Act::Restore),
        Some(_) | None => {}
    }
    // Also while users can't write: without a standby nobody could take over.
    match s.reinstate {
        None if !s.tenure.settled => return Decision::Look(Look::Reinstate),
        Some(assessment) if assessment.runnable().is_some() => return unless_paused(s, Act::Reinstate),
        Some(_) | None => {}
    }
    if let Some((for_ms, why)) = impaired(s.policy, s.here, s.vantages) {
        // A cure gets as long as the ill: pools and instances take seconds to find their way back through a gate.
        let curing = s.restored.is_some_and(|at| s.wall.since(at) < s.policy.impaired_after);
        if s.policy.impaired == Impaired::Report || curing {
            return Decision::Rest(Rest::Impaired { for_ms, why });
        }
        // Let go only for somebody who can take over, and will.
        let Some(failover) = s.failover else { return Decision::Look(Look::Failover) };
        let mut refusals = paused(s);
        refusals.extend(vantages(s));
        refusals.extend(guarded::unguarded(s));
        refusals.extend(unsettled(s));
        refusals.extend(cooling_down(s));
        refusals.extend(failover.blocks.iter().cloned().map(Refusal::Blocked));
        return or_refuse(refusals, Act::Release { why });
    }
    Decision::Rest(Rest::Renewed)
}

/// The standby region's keeper: is the active region lost, and may this one take over?
fn as_challenger(s: &Situation<'_>) -> Decision {
    let timing = s.policy.timing();
    if s.sight.still_for(s.now) <= timing.renew * 2 {
        return Decision::Rest(Rest::Renewed);
    }
    if s.open.is_none() && s.failover.is_none() {
        // Looked at while waiting, so that nothing is left to look at when the wait is over.
        return Decision::Look(Look::Failover);
    }
    let wait = timing.claim_after() + stagger(s);
    if s.sight.still_for(s.now) < wait {
        let left = wait.saturating_sub(s.sight.still_for(s.now));
        return Decision::Rest(Rest::NotYet { left_ms: millis(left) });
    }
    let mut refusals = paused(s);
    refusals.extend(vantages(s));
    if let Some(open) = s.open {
        let patience = EXECUTOR_SILENT + stagger(s);
        if open.silent_for < patience && !(refusals.is_empty() && open.is_in_vain(s.tenure, patience)) {
            return Decision::Rest(Rest::AtWork(open.id.clone()));
        }
        let act = if s.tenure.by.as_ref() == Some(&open.id) {
            Act::Abandon
        } else if open.stage == Some(Stage::PastCommit) {
            Act::Resume
        } else {
            Act::Abort
        };
        return or_refuse(refusals, act(open.id.clone()));
    }
    refusals.extend(guarded::unguarded(s));
    refusals.extend(unsettled(s));
    refusals.extend(cooling_down(s));
    let blocks = s.failover.map(|a| a.blocks.iter()).into_iter().flatten();
    refusals.extend(blocks.cloned().map(Refusal::Blocked));
    or_refuse(refusals, Act::FailOver)
}

fn stagger(s: &Situation<'_>) -> Duration {
    s.policy.timing().renew * s.rank
}

fn or_refuse(refusals: Vec<Refusal>, act: Act) -> Decision {
    if refusals.is_empty() { Decision::Act(act) } else { Decision::Refuse(refusals) }
}

fn unless_paused(s: &Situation<'_>, act: Act) -> Decision {
    or_refuse(paused(s).into_iter().collect(), act)
}

fn paused(s: &Situation<'_>) -> Vec<Refusal> {
    match s.pause {
        Ok(None) => Vec::new(),
        Ok(Some(pause)) => vec![Refusal::Paused(pause.clone())],
        Err(why) => vec![Refusal::PauseUnknown { why: why.to_owned() }],
    }
}

fn unsettled(s: &Situation<'_>) -> Option<Refusal> {
    let unopened = s.last_move.is_some_and(LastMove::is_unopened);
    // Until it has been known for a tenure's length, a keeper that does not know it yet may have confirmed what the other
    // region lacks.
    let settled = s.tenure.settled && s.settled_for >= s.policy.ttl;
    (!settled && !unopened).then_some(Refusal::NotSettled)
}

fn cooling_down(s: &Situation<'_>) -> Option<Refusal> {
    // The first tenure was founded, not moved.
    s.tenure.by.as_ref()?;
    let left = s.policy.cool_down.saturating_sub(s.wall.since(s.tenure.since));
    (!left.is_zero()).then(|| Refusal::CoolingDown { left_ms: millis(left) })
}

/// Two places outside the region must have failed to write, and none may have succeeded.
fn vantages(s: &Situation<'_>) -> Vec<Refusal> {
    let outside = || s.vantages.iter().filter(|v| !v.place.is_in(&s.tenure.active));
    let said = |v: &&Vantage| v.fresh.then(|| v.writes.clone()).flatten();
    if let Some(works) = outside().find(|v| said(v) == Some(Writes::Work)) {
        return vec![Refusal::StillWrites { place: works.place.to_string() }];
    }
    let failing = || outside().filter(|v| matches!(said(v), Some(Writes::Fail { .. })));
    // Both keepers of a region look out of the same window.
    let windows: BTreeSet<Option<&RegionName>> = failing().map(|v| window(&v.place)).collect();
    if windows.len() >= VANTAGES_MIN {
        return Vec::new();
    }
    let silent = outside().filter(|v| !matches!(said(v), Some(Writes::Fail { .. } | Writes::Work)));
    vec![Refusal::TooFewVantages {
        agree: failing().map(|v| v.place.to_string()).collect(),
        silent: silent.map(|v| v.place.to_string()).collect(),
    }]
}

fn window(place: &Place) -> Option<&RegionName> {
    match place {
        Place::Keeper { region, .. } => Some(region),
        Place::Witness => None,
    }
}

/// A region whose keepers renew, and through whose front door neither they nor anybody else can write for as long as the
/// manifest says: since when, and why.
pub(crate) fn impaired(
    policy: &Automatic,
    active: &RegionName,
    vantages: &[Vantage],
) -> Option<(u64, String)> {
    let failing = |v: &Vantage| match &v.writes {
        Some(Writes::Fail { for_ms, why }) if v.fresh && *for_ms >= millis(policy.impaired_after) => {
            Some((*for_ms, why.clone()))
        }
        Some(Writes::Fail { .. } | Writes::Work | Writes::NotProbed { .. }) | None => None,
    };
    let own = vantages.iter().filter(|v| v.place.is_in(active)).find_map(failing)?;
    let other = vantages.iter().any(|v| !v.place.is_in(active) && failing(v).is_some());
    let contradicted = vantages.iter().any(|v| v.fresh && matches!(v.writes, Some(Writes::Work)));
    (other && !contradicted).then_some(own)
}

impl Refusal {
    /// Its stable code; each has a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Paused(_) => "BSC-D001",
            Refusal::PauseUnknown { .. } => "BSC-D002",
            Refusal::CoolingDown { .. } => "BSC-D003",
            Refusal::NotSettled => "BSC-D004",
            Refusal::TooFewVantages { .. } => "BSC-D005",
            Refusal::StillWrites { .. } => "BSC-D006",
            Refusal::Unguarded { .. } => "BSC-D007",
            Refusal::Blocked(finding) => Code::as_str(finding.code),
        }
    }
}
