//! What would happen if the active region were lost now: the keepers' own decision, asked with the loss
//! supposed. So the answer cannot differ from what they would do. Where its tenure is not renewed nothing is supposed but that
//! the wait is over, and the keepers' own words stand beside it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::decision::{self, Act, Decision, Open, Refusal, Rest, Situation, Vantage};
use crate::id::{Epoch, OperationId, RegionName};
use crate::manifest::{Automatic, Impaired, Manifest, Mode};
use crate::observation::{Observation, Observed};
use crate::plan::Kind;
use crate::planner::{self, Assessment, Code, Request};
use crate::tenure::Tenure;
use crate::tenure::challenge::Sight;
use crate::time::{Mono, Timestamp, millis};
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
    /// For how long it was seen to stand still, if it was not: for as long as was looked.
    pub still_for: Duration,
    /// What each place that reports says it would do.
    pub said: &'a [Said],
    /// Whether an operator has paused the site; `Err` if that could not be read.
    pub pause: Result<Option<&'a Pause>, &'a str>,
}

/// What a place says that it would do by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Who.
    pub place: String,
    /// Its newest decision, in a sentence.
    pub decision: String,
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
    /// What the keepers say themselves.
    pub said: Vec<Said>,
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
    let lost_since = lost_since(known, tenure);
    let (readiness, reasons) = judge(known, tenure, &standby, lost_since);
    let newest = known.observation.regions.get(&standby).and_then(|r| r.database.seen());
    let age = newest.and_then(|d| d.newest_replayed_age_ms);
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
        loss_ms: age.map(|age| planner::loss_until_ms(age, known.observation.at, Some(lost_since))),
        said: known.said.to_vec(),
        standby,
    })
}

/// From when on the active region would acknowledge nothing: if it is lost now its hold may last for a whole `ttl`.
fn lost_since(known: &Known<'_>, tenure: &Tenure) -> Timestamp {
    let at = known.observation.at;
    let ttl_ms = known.manifest.automatic.as_ref().map_or(0, |policy| millis(policy.ttl));
    if known.renewed != Some(false) {
        return Timestamp(at.0.saturating_add(ttl_ms));
    }
    let seen = Timestamp(at.0.saturating_sub(millis(known.still_for)).saturating_add(ttl_ms));
    // It may have been dark for longer than it was looked at here.
    let recorded = known.observation.regions.get(&tenure.active).and_then(|region| region.lost_since);
    recorded.map_or(seen, |recorded| recorded.min(seen))
}

/// What the planner says of a failover with nothing of the active region in sight from now on.
fn supposed_lost(
    known: &Known<'_>,
    tenure: &Tenure,
    standby: &RegionName,
    lost_since: Timestamp,
) -> Assessment {
    let supposed = known.observation.supposing_lost(&tenure.active, lost_since);
    assess(known, &supposed, standby)
}

/// The same with what is seen of it.
fn as_it_is(known: &Known<'_>, tenure: &Tenure, standby: &RegionName, lost_since: Timestamp) -> Assessment {
    let mut seen = known.observation.clone();
    if let Some(region) = seen.regions.get_mut(&tenure.active) {
        region.lost_since = Some(lost_since);
    }
    assess(known, &seen, standby)
}

fn assess(known: &Known<'_>, observation: &Observation, standby: &RegionName) -> Assessment {
    let request = Request {
        kind: Kind::Failover,
        to: standby.clone(),
        accept_loss_ms: None,
        accept_unsaved: false,
        measured_pauses_ms: Vec::new(),
    };
    planner::plan(known.manifest, observation, &request)
}

fn judge(
    known: &Known<'_>,
    tenure: &Tenure,
    standby: &RegionName,
    lost_since: Timestamp,
) -> (Readiness, Vec<String>) {
    let supposed = || supposed_lost(known, tenure, standby, lost_since);
    let Some(policy) = &known.manifest.automatic else {
        let reasons: Vec<_> = supposed().blocks.into_iter().map(Refusal::Blocked).collect();
        return if reasons.is_empty() { (Readiness::Manual, Vec::new()) } else { refused(&reasons) };
    };
    if known.renewed == Some(false) {
        return (Readiness::NotRenewed, not_renewed(known, policy, tenure, standby, lost_since));
    }
    // While an operation works there users can't write, and it is about to change that.
    if at_work(known).is_none()
        && let Some((for_ms, why)) = decision::impaired(policy, &tenure.active, known.places)
    {
        let mut reasons = vec![format!("for {} s: {why}", for_ms / 1_000)];
        if policy.impaired == Impaired::Release && policy.mode == Mode::Automatic {
            let failover = as_it_is(known, tenure, standby, lost_since);
            reasons.push(release(known, policy, tenure, standby, &failover));
        }
        return (Readiness::Impaired, reasons);
    }
    let vantages: Vec<Vantage> = known.places.iter().map(suppose_it_fails).collect();
    let mode = if policy.mode == Mode::Manual { Mode::Observe } else { policy.mode };
    let policy_then = Automatic { mode, ..policy.clone() };
    let supposed = supposed();
    let decision = decided(known, &policy_then, (tenure, standby), &vantages, &supposed);
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

/// What a keeper of `here` decides once the tenure has stood still for as long as it takes.
fn decided(
    known: &Known<'_>,
    policy: &Automatic,
    (tenure, here): (&Tenure, &RegionName),
    vantages: &[Vantage],
    failover: &Assessment,
) -> Decision {
    let sight = Sight { epoch: tenure.epoch, renewals: tenure.renewals, since: Mono(Duration::ZERO) };
    // Of the holder only its release is asked: that nothing is to be reinstated first is supposed.
    let nothing = Assessment { plan: None, blocks: Vec::new(), warnings: Vec::new() };
    decision::decide(&Situation {
        policy,
        here,
        rank: 0,
        tenure,
        sight: &sight,
        now: Mono(policy.timing().claim_after()),
        wall: known.observation.at,
        // Whoever has just come can't know, and it is a matter of seconds.
        settled_for: Duration::MAX,
        vantages,
        pause: known.pause,
        open: at_work(known).as_ref(),
        last_move: known.observation.last_move.seen().copied(),
        failover: Some(failover),
        reinstate: Some(&nothing),
        restore_due: false,
        restore: None,
        restored: None,
    })
}

/// The open operation. How it is led is not known here: it is taken to do well.
fn at_work(known: &Known<'_>) -> Option<Open> {
    let id = known.observation.open_operation.seen()?.clone()?;
    let (silent_for, led_for) = (Duration::ZERO, Duration::ZERO);
    Some(Open { id, silent_for, led_for, kind: Kind::Failover, stage: None })
}

/// What the tenure's standing still leads to, and what it waits for.
fn not_renewed(
    known: &Known<'_>,
    policy: &Automatic,
    tenure: &Tenure,
    standby: &RegionName,
    lost_since: Timestamp,
) -> Vec<String> {
    let mut reasons = vec![match &tenure.released {
        Some(release) => format!("{} let it go at {}: {}", release.by, release.at, release.why),
        None => "its gate is closed, or about to".to_owned(),
    }];
    let failover = as_it_is(known, tenure, standby, lost_since);
    match decided(known, policy, (tenure, standby), known.places, &failover) {
        Decision::Act(_) if policy.mode == Mode::Observe => {
            reasons.push("the keepers only record what they would do (mode observe)".to_owned());
        }
        Decision::Act(act) => {
            let left = policy.timing().claim_after().saturating_sub(known.still_for);
            let ms = millis(left);
            reasons.push(format!("unless it is renewed within {ms} ms the keepers of {standby} {act}"));
        }
        Decision::Refuse(refusals) => reasons.extend(refused(&refusals).1),
        other @ (Decision::Rest(_) | Decision::Look(_)) => reasons.push(other.to_string()),
    }
    reasons
}

/// Whether the keepers of a region that can't write let it go.
fn release(
    known: &Known<'_>,
    policy: &Automatic,
    tenure: &Tenure,
    standby: &RegionName,
    failover: &Assessment,
) -> String {
    match decided(known, policy, (tenure, &tenure.active), known.places, failover) {
        Decision::Refuse(refusals) => {
            format!("its keepers do not let it go ({})", refused(&refusals).1.join("; "))
        }
        Decision::Rest(_) | Decision::Look(_) | Decision::Act(_) => format!(
            "its keepers let it go for {standby}, and {} s after they set its gates anew",
            policy.impaired_after.as_secs()
        ),
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

impl Explanation {
    fn write_said(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said.iter().try_for_each(|said| write!(f, "\n{} says: {}", said.place, said.decision))
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
            Readiness::Impaired => {
                write!(
                    f,
                    "Users can't write there, {}. Nobody takes over while its keepers renew: mend it, or `bascule \
                     release` and then `bascule failover --to {standby}`.",
                    self.reasons.join("; ")
                )?;
                self.write_said(f)
            }
            Readiness::NotRenewed => {
                let reasons = self.reasons.join("; ");
                write!(f, "Its tenure is not renewed: {reasons}. If {standby} takes over {loss}.")?;
                self.write_said(f)
            }
            Readiness::Paused
            | Readiness::CoolingDown
            | Readiness::NotSettled
            | Readiness::TargetOverLagLimit
            | Readiness::Unobserved
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
