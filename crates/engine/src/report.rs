//! What an operation did, from its journal and nothing else.
//!
//! Times inside one controller's run are monotonic; between two controllers (a crash and a resume) they
//! are joined by the wall clock, and the report says how many controllers there were.

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{Epoch, OperationId, RegionName, StepId};
use bascule_core::operation::{Event, Operation, Outcome};
use bascule_core::plan::{Kind, Phase};
use bascule_core::ports::{Entry, Journal};
use bascule_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    /// Which.
    pub step: StepId,
    /// Its part of the move.
    pub phase: Phase,
    /// Why it was there.
    pub why: String,
    /// When its last attempt began, in microseconds since the operation began; none if it never did.
    pub began_us: Option<u64>,
    /// When its outcome was known, likewise.
    pub ended_us: Option<u64>,
    /// Attempts made.
    pub attempts: u32,
    /// What came of it, in a word: `done`, `given up`, `failed`, `unknown`, `pending`,
    /// `open`, `taken back`.
    pub state: String,
    /// The proof, or the reason.
    pub note: String,
}

/// A stretch of the write pause and what ran in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// The steps that were under way.
    pub steps: String,
    /// How long, in microseconds.
    pub took_us: u64,
}

/// The account of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which operation.
    pub operation: OperationId,
    /// What it was for.
    pub kind: Kind,
    /// The region that was left, or is active.
    pub from: RegionName,
    /// The region that was moved to, or returned.
    pub to: RegionName,
    /// The epoch it was planned on.
    pub base: Epoch,
    /// When it began.
    pub begun: Timestamp,
    /// How it ended; none while it is open.
    pub outcome: Option<Outcome>,
    /// How far it got, in words.
    pub course: String,
    /// How long it took so far, in microseconds.
    pub took_us: u64,
    /// Controllers that had a hand in it: more than one after a crash.
    pub controllers: u32,
    /// From the first intent to hold writes to the last pool released, in microseconds.
    pub hold_us: Option<u64>,
    /// Where that time went.
    pub hold: Vec<Stretch>,
    /// Writes of at most so many milliseconds may be lost, if it measured that.
    pub loss_ms: Option<u64>,
    /// Every step, in the plan's order.
    pub steps: Vec<StepReport>,
}

/// Tell what a journal says.
///
/// # Errors
/// The journal is damaged.
pub fn report(journal: &Journal) -> Result<Report, bascule_core::operation::Illegal> {
    let header = &journal.header;
    let events = journal.entries.iter().map(|e| &e.event);
    let state = Operation::replay(header.plan.clone(), events)?;
    let (times, controllers) = times(journal);
    let steps = steps(&state, journal, &times);
    let outcome = match &state.course {
        bascule_core::operation::Course::Ended { outcome } => Some(outcome.clone()),
        bascule_core::operation::Course::Forward | bascule_core::operation::Course::Aborting { .. } => None,
    };
    let (hold_us, hold) = hold(&state, &steps, journal, &times);
    let evidence = |s: &bascule_core::plan::Step| state.evidence(&s.id).and_then(|e| e.loss_ms);
    Ok(Report {
        operation: header.id.clone(),
        kind: header.plan.kind,
        from: header.plan.from.clone(),
        to: header.plan.to.clone(),
        base: header.plan.base,
        begun: header.begun,
        outcome,
        course: state.course_word().to_owned(),
        took_us: times.last().copied().unwrap_or(0),
        controllers,
        hold_us,
        hold,
        loss_ms: header.plan.steps.iter().find_map(evidence),
        steps,
    })
}

/// Microseconds since the beginning, for each entry.
fn times(journal: &Journal) -> (Vec<u64>, u32) {
    let wall_us = |entry: &Entry| entry.at.0.saturating_sub(journal.header.begun.0) * 1000;
    let (mut offset, mut controllers, mut last_mono) = (0, 1, 0);
    let mut times: Vec<u64> = Vec::with_capacity(journal.entries.len());
    for entry in &journal.entries {
        if entry.mono_us < last_mono {
            // A later controller's clock starts anew; it can't have been before the last record.
            controllers += 1;
            let floor = times.last().copied().unwrap_or(0);
            offset = wall_us(entry).max(floor).saturating_sub(entry.mono_us);
        }
        last_mono = entry.mono_us;
        times.push(offset + entry.mono_us);
    }
    (times, controllers)
}

fn steps(state: &Operation, journal: &Journal, times: &[u64]) -> Vec<StepReport> {
    use bascule_core::operation::StepState;
    let mut steps = Vec::with_capacity(state.plan.steps.len());
    for (index, (step, step_state)) in state.plan.steps.iter().zip(&state.steps).enumerate() {
        let (mut began_us, mut ended_us, mut attempts) = (None, None, 0);
        for (entry, &time) in journal.entries.iter().zip(times) {
            match &entry.event {
                Event::Intended { step: id } if id == &step.id => {
                    (began_us, ended_us) = (Some(time), None);
                    attempts += 1;
                }
                Event::Done { step: id, .. }
                | Event::Failed { step: id, .. }
                | Event::Refuted { step: id, .. }
                | Event::Unknown { step: id, .. }
                    if id == &step.id =>
                {
                    ended_us = Some(time);
                }
                Event::Intended { .. }
                | Event::Done { .. }
                | Event::Failed { .. }
                | Event::Refuted { .. }
                | Event::Unknown { .. }
                | Event::AbortBegan { .. }
                | Event::UndoIntended { .. }
                | Event::UndoDone { .. }
                | Event::UndoFailed { .. }
                | Event::Ended { .. } => {}
            }
        }
        let (word, note) = match step_state {
            StepState::Pending => ("pending", String::new()),
            StepState::Intended { .. } => ("open", "its outcome is not recorded".to_owned()),
            StepState::Done { evidence: Evidence { note, waived: Some(_), .. } } => {
                ("given up", note.clone())
            }
            StepState::Done { evidence: Evidence { note, .. } } => ("done", note.clone()),
            StepState::Failed { why, .. } => ("failed", why.clone()),
            StepState::Unknown { why, .. } => ("unknown", why.clone()),
        };
        let word = if state.undone[index] { "taken back" } else { word };
        steps.push(StepReport {
            step: step.id.clone(),
            phase: step.phase,
            why: step.why.clone(),
            began_us,
            ended_us,
            attempts,
            state: word.to_owned(),
            note,
        });
    }
    steps
}

/// The time between holding and releasing, cut wherever a step begins or ends.
fn hold(
    state: &Operation,
    steps: &[StepReport],
    journal: &Journal,
    times: &[u64],
) -> (Option<u64>, Vec<Stretch>) {
    let of = |wanted: fn(&Action) -> bool| {
        state.plan.steps.iter().zip(steps).filter(move |(step, _)| wanted(&step.action)).map(|(_, s)| s)
    };
    let began = of(|a| matches!(a, Action::HoldWrites { .. })).filter_map(|s| s.began_us).min();
    let released = of(|a| matches!(a, Action::ReleaseWrites { .. })).filter_map(|s| s.ended_us).max();
    let undone = journal
        .entries
        .iter()
        .zip(times)
        .filter(|(entry, _)| matches!(entry.event, Event::UndoDone { .. }))
        .map(|(_, time)| *time)
        .max();
    let (Some(began), Some(ended)) = (began, released.or(undone)) else { return (None, Vec::new()) };
    let mut cuts: Vec<u64> = times.iter().copied().filter(|t| (began..=ended).contains(t)).collect();
    cuts.dedup();
    let stretches = cuts
        .windows(2)
        .map(|cut| {
            let under_way = |s: &&StepReport| {
                s.began_us.is_some_and(|b| b <= cut[0]) && s.ended_us.is_some_and(|e| e >= cut[1])
            };
            let names: Vec<_> = steps.iter().filter(under_way).map(|s| s.step.as_str()).collect();
            Stretch { steps: names.join(" + "), took_us: cut[1] - cut[0] }
        })
        .collect();
    (Some(ended - began), stretches)
}
