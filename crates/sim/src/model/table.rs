//! What an operation can become, tabulated from core: the planner draws the plans, `operation::next` makes
//! the states, and its questions (`work`, `remedy`, `on_takeover`, `past_return`) are asked once for each.
//!
//! Only the steps that bear on who writes are kept; a step that needed one that is left out needs what that
//! one needed. Attempts at a step are bounded: a third one differs from a second in its number only.

use std::collections::BTreeMap;

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{Epoch, StepId};
use bascule_core::manifest::{Automatic, Impaired, Manifest, MaxDataLoss, Mode};
use bascule_core::observation::{LastMove, Observation, Observed};
use bascule_core::operation::{Course, Event, Operation, Outcome, Remedy, Work};
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Request};
use bascule_core::tenure::Tenure;
use bascule_core::time::Timestamp;

use crate::site::MANIFEST;

/// Attempts at one step: the first, and one after trouble of every kind.
const ATTEMPTS: u32 = 2;

/// A journal's record, by the number of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// A step is about to be performed.
    Intended(u8),
    /// It is done.
    Done(u8),
    /// It is given up.
    Waived(u8),
    /// It changed nothing.
    Failed(u8),
    /// It changed nothing in any attempt.
    Refuted(u8),
    /// It may have changed something.
    Unknown(u8),
    /// The operation turns back.
    AbortBegan,
    /// A step is about to be taken back.
    UndoIntended(u8),
    /// It is taken back.
    UndoDone(u8),
    /// Every step is done.
    Succeeded,
    /// Everything was taken back.
    Aborted,
    /// It made a region active which is lost.
    Abandoned,
}

/// What an operation's state means to a controller.
#[derive(Debug, Clone)]
pub struct Node {
    /// The state itself.
    pub operation: Operation,
    /// What follows from it.
    pub next: BTreeMap<Record, u16>,
    /// What a controller writes first when it takes the operation over.
    pub on_takeover: Option<Record>,
    /// What a controller may write next by itself, given any number of attempts that it has made.
    pub choices: Vec<Record>,
    /// Whether it can't be aborted any more.
    pub past_return: bool,
    /// Whether it is over.
    pub ended: bool,
}

/// All states of an operation of one kind.
#[derive(Debug, Clone)]
pub struct Table {
    /// The plan, from the first region to the second.
    pub plan: Plan,
    /// Its states; the first is the beginning.
    pub nodes: Vec<Node>,
}

/// The tables of the three kinds.
#[derive(Debug, Clone)]
pub struct Tables(Vec<Table>);

impl Tables {
    /// Draw the plans and follow every record from every state.
    ///
    /// # Panics
    /// If the built-in manifest is wrong.
    #[must_use]
    pub fn new() -> Self {
        Self([Kind::Switchover, Kind::Failover, Kind::Reinstate].map(|kind| table(plan(kind))).to_vec())
    }

    /// The table of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Switchover => &self.0[0],
            Kind::Failover => &self.0[1],
            Kind::Reinstate => &self.0[2],
            Kind::Restore => unreachable!("no map of the model closes by itself"),
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

/// The planner's plan on a guarded site, from the home region (a reinstate: of the other one).
fn plan(kind: Kind) -> Plan {
    let mut manifest = Manifest::parse(MANIFEST).expect("the built-in manifest is right");
    manifest.automatic = Some(automatic());
    let at = Timestamp(0);
    let tenure = Tenure {
        epoch: Epoch(1),
        active: manifest.home.clone(),
        since: at,
        by: None,
        renewals: 0,
        settled: true,
        released: None,
    };
    // A plan is drawn whatever was observed; what forbids it is not the model's concern.
    let observation = Observation {
        at,
        tenure: Observed::Seen { value: tenure, at },
        open_operation: Observed::Seen { value: None, at },
        last_move: Observed::Seen { value: LastMove::Finished, at },
        regions: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let to = manifest.other(&manifest.home).clone();
    let request =
        Request { kind, to, accept_loss_ms: None, accept_unsaved: false, measured_pauses_ms: Vec::new() };
    let plan = planner::plan(&manifest, &observation, &request).plan.expect("a tenure and two regions");
    narrowed(plan)
}

/// What a guarded site's manifest says.
#[must_use]
pub fn automatic() -> Automatic {
    let seconds = std::time::Duration::from_secs;
    Automatic {
        mode: Mode::Automatic,
        ttl: seconds(3),
        cool_down: seconds(60),
        impaired_after: seconds(10),
        impaired: Impaired::Report,
        max_data_loss: MaxDataLoss::Unlimited,
    }
}

/// Keep the steps that bear on who writes.
fn narrowed(mut plan: Plan) -> Plan {
    let mut needs: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    let mut kept = Vec::new();
    for mut step in plan.steps {
        let mut all: Vec<StepId> = Vec::new();
        for need in &step.needs {
            all.extend(needs.get(need).cloned().unwrap_or_else(|| vec![need.clone()]));
        }
        all.sort();
        all.dedup();
        if bears_on_writes(&step.action) {
            step.needs = all;
            kept.push(step);
        } else {
            needs.insert(step.id, all);
        }
    }
    plan.steps = kept;
    plan.validate().expect("leaving steps out keeps the order");
    plan
}

fn bears_on_writes(action: &Action) -> bool {
    use bascule_core::observation::GateState;
    match action {
        // A gate that passes writes on, or refuses them once more, only makes it safer.
        Action::SetGate { state, .. } => *state != GateState::Remote,
        Action::ReadEnd { .. }
        | Action::Commit { .. }
        | Action::WaitOut { .. }
        | Action::StandDown { .. }
        | Action::Promote { .. } => true,
        Action::Checkpoint { .. }
        | Action::SetTtl { .. }
        | Action::HoldWrites { .. }
        | Action::ReleaseWrites { .. }
        | Action::AwaitReplay { .. }
        | Action::AwaitShutdownRecord { .. }
        | Action::MoveName { .. }
        | Action::AwaitFollowing { .. }
        | Action::VerifyWrite { .. }
        | Action::ConfirmLost { .. }
        | Action::ReadFork { .. }
        | Action::Renumber { .. }
        | Action::SaveDivergence { .. } => false,
    }
}

fn table(plan: Plan) -> Table {
    let mut nodes = vec![node(Operation::new(plan.clone()))];
    let mut at = 0;
    while at < nodes.len() {
        for record in records(&plan) {
            let Ok(next) = nodes[at].operation.clone().next(event(&plan, record)) else { continue };
            if next.steps.iter().any(|step| step.attempts() > ATTEMPTS) {
                continue;
            }
            let found = nodes.iter().position(|node| node.operation == next);
            let index = found.unwrap_or_else(|| {
                nodes.push(node(next));
                nodes.len() - 1
            });
            let index = u16::try_from(index).expect("a small plan has few states");
            nodes[at].next.insert(record, index);
        }
        at += 1;
    }
    Table { plan, nodes }
}

fn node(operation: Operation) -> Node {
    let begins_abort = |event: Option<Event>| event.map(|_| Record::AbortBegan);
    Node {
        next: BTreeMap::new(),
        on_takeover: begins_abort(operation.on_takeover()),
        choices: choices(&operation),
        past_return: operation.past_return().is_some(),
        ended: matches!(operation.course, Course::Ended { .. }),
        operation,
    }
}

/// As the executor chooses: by `work`, and by `remedy` for a step that was tried before. A person may ask
/// it to turn back at any time.
fn choices(operation: &Operation) -> Vec<Record> {
    let number = |id: &StepId| number(&operation.plan, id);
    match operation.work(&[]) {
        Work::Nothing => Vec::new(),
        Work::End(Outcome::Succeeded) => vec![Record::Succeeded],
        // Whoever takes it over decides on that; no work leads there.
        Work::End(Outcome::Abandoned { .. }) => Vec::new(),
        Work::End(Outcome::Aborted { .. }) => vec![Record::Aborted],
        Work::Undo(step) => vec![Record::UndoIntended(number(&step))],
        Work::Perform(ready) => {
            let mut choices = Vec::new();
            for step in &ready {
                for attempts in [0, u32::MAX] {
                    match operation.remedy(step, attempts) {
                        None | Some(Remedy::Retry) => choices.push(Record::Intended(number(step))),
                        Some(Remedy::Abort { .. }) => choices.push(Record::AbortBegan),
                        Some(Remedy::Waive { .. }) => choices.push(Record::Waived(number(step))),
                        Some(Remedy::Stall { .. }) => {}
                    }
                }
            }
            if operation.past_return().is_none() {
                choices.push(Record::AbortBegan);
            }
            choices.sort();
            choices.dedup();
            choices
        }
    }
}

fn number(plan: &Plan, id: &StepId) -> u8 {
    let index = plan.steps.iter().position(|step| &step.id == id);
    u8::try_from(index.expect("a step of this plan")).expect("a small plan")
}

fn records(plan: &Plan) -> Vec<Record> {
    let steps = 0..u8::try_from(plan.steps.len()).expect("a small plan");
    let of = [
        Record::Intended,
        Record::Done,
        Record::Waived,
        Record::Failed,
        Record::Refuted,
        Record::Unknown,
        Record::UndoIntended,
        Record::UndoDone,
    ];
    let mut all: Vec<Record> = steps.flat_map(|step| of.map(|record| record(step))).collect();
    all.extend([Record::AbortBegan, Record::Succeeded, Record::Aborted, Record::Abandoned]);
    all
}

/// The record as core knows it.
#[must_use]
pub fn event(plan: &Plan, record: Record) -> Event {
    let step = |number: u8| plan.steps[usize::from(number)].id.clone();
    let why = String::new();
    match record {
        Record::Intended(n) => Event::Intended { step: step(n) },
        Record::Done(n) => Event::Done { step: step(n), evidence: Evidence::note("") },
        Record::Waived(n) => Event::Done { step: step(n), evidence: Evidence::waived("") },
        Record::Failed(n) => Event::Failed { step: step(n), why },
        Record::Refuted(n) => Event::Refuted { step: step(n), why },
        Record::Unknown(n) => Event::Unknown { step: step(n), why },
        Record::AbortBegan => Event::AbortBegan { why },
        Record::UndoIntended(n) => Event::UndoIntended { step: step(n) },
        Record::UndoDone(n) => Event::UndoDone { step: step(n), evidence: Evidence::note("") },
        Record::Succeeded => Event::Ended { outcome: Outcome::Succeeded },
        Record::Abandoned => Event::Ended { outcome: Outcome::Abandoned { why } },
        Record::Aborted => Event::Ended { outcome: Outcome::Aborted { why } },
    }
}
