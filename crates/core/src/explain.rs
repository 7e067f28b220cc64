//! What would happen if the active region were lost now: the keepers' own decision, asked with the loss
//! supposed. So the answer cannot differ from what they would do.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::decision::{self, Act, Decision, Open, Refusal, Rest, Situation, Vantage};
use crate::id::{Epoch, OperationId, RegionName};
use crate::manifest::{Impaired, Manifest, Mode};
use crate::observation::{Observation, Observed, RegionObservation};
use crate::plan::Kind;
use crate::planner::{self, Assessment, Code, Request};
use crate::tenure::Tenure;
use crate::tenure::challenge::Sight;
use crate::time::{Mono, Timestamp};
use crate::vantage::{Pause, Writes};

/// What is known of the site at this moment.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Everything that was looked at.
    pub observation: &'a Observation,
    /// What the places say of the active region.
    pub places: &'a [Vantage],
    /// Whether the tenure was seen to be renewed; none where nobody renews.
    pub renewed: Option<bool>,
    /// Whether an operator has paused the site; `Err` if that could not be read.
    pub pause: Result<Option<&'a Pause>, &'a str>,
}

/// In one word, in the manner of the states that other failover managers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It would fail over by itself.
    Ready,
    /// A person would have to, and could.
    Manual,
    /// It would only record what it would have done.
    Observing,
    /// An operator forbids it.
    Paused,
    /// The last move is too recent.
    CoolingDown,
    /// No standby was seen to follow since the last move.
    NotSettled,
    /// More than the objective may be lost, or how much is unknown.
    TargetOverLagLimit,
    /// Too few places look.
    Unobserved,
    /// Nobody renews the tenure: the region's gate is closed.
    NotRenewed,
    /// Users can't write now, and the tenure is renewed.
    Impaired,
    /// Another operation is open.
    AtWork,
    /// The planner forbids it.
    Blocked,
}

impl Readiness {
    /// The words, as a screen shows them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Readiness::Ready => "ready",
            Readiness::Manual => "manual",
            Readiness::Observing => "observing",
            Readiness::Paused => "paused",
            Readiness::CoolingDown => "cooling down",
            Readiness::NotSettled => "not settled",
            Readiness::TargetOverLagLimit => "target over lag limit",
            Readiness::Unobserved => "unobserved",
            Readiness::NotRenewed => "not renewed",
            Readiness::Impaired => "impaired",
            Readiness::AtWork => "at work",
            Readiness::Blocked => "blocked",
        }
    }
}

/// Who is active, and what its loss would lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The active region.
    pub active: RegionName,
    /// Its epoch.
    pub epoch: Epoch,
    /// Since when.
    pub since: Timestamp,
    /// The operation that made it so; none for the first.
    pub by: Option<OperationId>,
    /// The region that would take over.
    pub standby: RegionName,
    /// In one word.
    pub readiness: Readiness,
    /// What stands in the way, each in one sentence with its code.
    pub reasons: Vec<String>,
    /// How long after its last renewal it would be claimed, in milliseconds; none where a person decides.
    pub claimed_after_ms: Option<u64>,
    /// How much of the newest writes could be lost, in milliseconds; none if that is unknown.
    pub loss_ms: Option<u64>,
}

/// Explain. `Err` is why nothing can be said: who is active is not known.
///
/// # Errors
/// The observation's own reason.
pub fn explain(known: &Known<'_>) -> Result<Explanation, String> {
    let tenure = match &known.observation.tenure {
        Observed::Seen { value, .. } => value,
        Observed::NotObserved { why } => return Err(why.clone()),
    };
    let standby = known.manifest.other(&tenure.active).clone();
    let supposed = assess(known, tenure, &standby);
    let (readiness, reasons) = judge(known, tenure, &standby, &supposed);
    let newest = known.observation.regions.get(&standby).and_then(|r| r.database.seen());
    Ok(Explanation {
        active: tenure.active.clone(),
        epoch: tenure.epoch,
        since: tenure.since,
        by: tenure.by.clone(),
        readiness,
        reasons,
        claimed_after_ms: known
            .manifest
            .automatic
            .as_ref()
            .filter(|policy| policy.mode != Mode::Manual)
            .map(|policy| millis(policy.timing().claim_after())),
        loss_ms: newest.and_then(|d| d.newest_replayed_age_ms),
        standby,
    })
}

/// What the planner says of a failover with nothing of the active region in sight from now on.
fn assess(known: &Known<'_>, tenure: &Tenure, standby: &RegionName) -> Assessment {
    let mut supposed = known.observation.clone();
    let why = "supposed lost";
    let lost = RegionObservation {
        database: unseen(why),
        gate: unseen(why),
        pool: unseen(why),
        compute: unseen(why),
        lost_since: Some(supposed.at),
    };
    supposed.regions.insert(tenure.active.clone(), lost);
    let request = Request {
        kind: Kind::Failover,
        to: standby.clone(),
        accept_loss_ms: None,
        accept_unsaved: false,
        measured_pauses_ms: Vec::new(),
    };
    planner::plan(known.manifest, &supposed, &request)
}

fn unseen<T>(why: &str) -> Observed<T> {
    Observed::NotObserved { why: why.to_owned() }
}

fn judge(
    known: &Known<'_>,
    tenure: &Tenure,
    standby: &RegionName,
    supposed: &Assessment,
) -> (Readiness, Vec<String>) {
    let Some(policy) = &known.manifest.automatic else {
        let reasons: Vec<_> = supposed.blocks.iter().map(|b| Refusal::Blocked(b.clone())).collect();
        return if reasons.is_empty() { (Readiness::Manual, Vec::new()) } else { refused(&reasons) };
    };
    if known.renewed == Some(false) {
        let why = match &tenure.released {
            Some(release) => {
                format!("{} let {} go at {}: {}", release.by, tenure.active, release.at, release.why)
            }
            None => format!("{} does not renew its tenure: its gate is closed, or about to", tenure.active),
        };
        return (Readiness::NotRenewed, vec![why]);
    }
    let open = known.observation.open_operation.seen().and_then(Option::as_ref);
    // While an operation works there users can't write, and it is about to change that.
    if open.is_none()
        && let Some((for_ms, why)) = decision::impaired(policy, &tenure.active, known.places)
    {
        let mut reasons = vec![format!("for {} s: {why}", for_ms / 1_000)];
        if policy.impaired == Impaired::Release && policy.mode == Mode::Automatic {
            let cure = policy.impaired_after.as_secs();
            reasons.push(format!(
                "its keepers let it go as soon as {standby} may take over, and {cure} s after they set its gates anew"
            ));
        }
        return (Readiness::Impaired, reasons);
    }
    let vantages: Vec<Vantage> = known.places.iter().map(suppose_it_fails).collect();
    let sight = Sight { epoch: tenure.epoch, renewals: tenure.renewals, since: Mono(Duration::ZERO) };
    let open = open.map(|id| Open { id: id.clone(), silent_for: Duration::ZERO, past_commit: false });
    let mode = if policy.mode == Mode::Manual { Mode::Observe } else { policy.mode };
    let decision = decision::decide(&Situation {
        policy: &crate::manifest::Automatic { mode, ..policy.clone() },
        here: standby,
        rank: 0,
        tenure,
        sight: &sight,
        now: Mono(policy.timing().claim_after()),
        wall: known.observation.at,
        // Whoever has just come can't know, and it is a matter of seconds.
        settled_for: Duration::MAX,
        vantages: &vantages,
        pause: known.pause,
        open: open.as_ref(),
        last_move: known.observation.last_move.seen().copied(),
        failover: Some(supposed),
        reinstate: None,
        restore_due: false,
        restore: None,
        restored: None,
    });
    match decision {
        Decision::Act(Act::FailOver) => match policy.mode {
            Mode::Manual => (Readiness::Manual, Vec::new()),
            Mode::Observe => (Readiness::Observing, Vec::new()),
            Mode::Automatic => (Readiness::Ready, Vec::new()),
        },
        Decision::Refuse(refusals) => refused(&refusals),
        Decision::Rest(rest @ Rest::AtWork(_)) => (Readiness::AtWork, vec![rest.to_string()]),
        other @ (Decision::Rest(_) | Decision::Look(_) | Decision::Act(_)) => {
            (Readiness::Blocked, vec![other.to_string()])
        }
    }
}

/// Whoever looks would see it fail; who does not look now would not.
fn suppose_it_fails(vantage: &Vantage) -> Vantage {
    let writes = Writes::Fail { why: "supposed lost".to_owned(), for_ms: 0 };
    Vantage { writes: Some(writes), ..vantage.clone() }
}

/// The first that a person would have to see to, and all of them.
fn refused(refusals: &[Refusal]) -> (Readiness, Vec<String>) {
    let readiness = refusals.iter().map(of).min_by_key(|r| rank(*r)).unwrap_or(Readiness::Blocked);
    (readiness, refusals.iter().map(|r| format!("{} {r}", r.code())).collect())
}

fn of(refusal: &Refusal) -> Readiness {
    match refusal {
        Refusal::Paused(_) | Refusal::PauseUnknown { .. } => Readiness::Paused,
        Refusal::CoolingDown { .. } => Readiness::CoolingDown,
        Refusal::NotSettled => Readiness::NotSettled,
        Refusal::TooFewVantages { .. } => Readiness::Unobserved,
        Refusal::Blocked(finding) if finding.code == Code::LossOverObjective => Readiness::TargetOverLagLimit,
        Refusal::Blocked(_) | Refusal::StillWrites { .. } | Refusal::Unguarded { .. } => Readiness::Blocked,
    }
}

/// What does not pass by itself comes first.
fn rank(readiness: Readiness) -> u32 {
    match readiness {
        Readiness::Paused => 0,
        Readiness::Blocked => 1,
        Readiness::TargetOverLagLimit => 2,
        Readiness::Unobserved => 3,
        Readiness::NotSettled => 4,
        Readiness::CoolingDown => 5,
        Readiness::NotRenewed
        | Readiness::Impaired
        | Readiness::AtWork
        | Readiness::Ready
        | Readiness::Manual
        | Readiness::Observing => 6,
    }
}

impl fmt::Display for Explanation {
    /// Two sentences: who is active, and what its loss would lead to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is active since {} (epoch {}", self.active, self.since, self.epoch)?;
        match &self.by {
            Some(by) => write!(f, ", by {by}). ")?,
            None => f.write_str(", since it was founded). ")?,
        }
        let loss = match self.loss_ms {
            Some(ms) => format!("writes of up to {ms} ms might be lost"),
            None => "how much might be lost is unknown".to_owned(),
        };
        let after = self.claimed_after_ms.unwrap_or_default();
        let standby = &self.standby;
        match self.readiness {
            Readiness::Ready => write!(
                f,
                "If it were lost now {standby} would take over by itself, {after} ms after the last renewal; {loss}."
            ),
            Readiness::Observing => write!(
                f,
                "If it were lost now the keepers would only record it (mode observe): a person would run \
                 `bascule failover --to {standby}`; {loss}."
            ),
            Readiness::Manual => {
                write!(f, "If it were lost now a person would run `bascule failover --to {standby}`; {loss}.")
            }
            Readiness::Impaired => write!(
                f,
                "Users can't write there, {}. Nobody takes over while its keepers renew: mend it, or `bascule \
                 release` and then `bascule failover --to {standby}`.",
                self.reasons.join("; ")
            ),
            Readiness::Paused
            | Readiness::CoolingDown
            | Readiness::NotSettled
            | Readiness::TargetOverLagLimit
            | Readiness::Unobserved
            | Readiness::NotRenewed
            | Readiness::AtWork
            | Readiness::Blocked => {
                write!(f, "If it were lost now nothing would move ({})", self.readiness.as_str())?;
                if let Some((first, others)) = self.reasons.split_first() {
                    write!(f, ": {first}")?;
                    if !others.is_empty() {
                        let plan = format!("`bascule plan failover --to {standby}`");
                        write!(f, "; and for {} more reasons, see {plan} and --json", others.len())?;
                    }
                }
                f.write_str(".")
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
