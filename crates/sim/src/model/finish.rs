//! Whether a fresh controller can bring an operation to an end from any of its states: I5.
//!
//! It is driven as the executor drives it, in a world where every call works, once with the region that is
//! left alive and renewing, once with it lost. The answer depends on the operation's state, on whether its
//! commit was made, and on whether what it would claim still stands; so it is computed once for each.

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{Epoch, OperationId, StepId, Term};
use bascule_core::operation::{Course, Event, Operation, Outcome, Remedy, Work};
use bascule_core::plan::Plan;
use bascule_core::tenure::{self, Illegal, Tenure};
use bascule_core::time::Timestamp;

use super::Wish;
use super::state::{Move, Store};
use super::table::Tables;

/// Records that an operation of any kind needs at most to its end: each step of ten, tried five times with
/// an intent and an outcome, and taken back.
const RECORDS_MAX: u32 = 150;

/// How the tenure stands to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not moved; the journal claims nothing yet.
    Unclaimed,
    /// Not moved; what the journal claims still stands.
    Claimed,
    /// Not moved; renewed since.
    Renewed,
    /// Moved by it.
    Committed,
}

const STANDINGS: [Standing; 4] =
    [Standing::Unclaimed, Standing::Claimed, Standing::Renewed, Standing::Committed];

/// For each kind, state and standing, whether there is an end.
pub(super) struct Ends(Vec<Vec<[bool; 4]>>);

impl Ends {
    pub(super) fn new(tables: &Tables) -> Self {
        let of = |what: Move| {
            let table = tables.of(what.kind());
            let ends = |node: &super::table::Node| STANDINGS.map(|s| ends(&node.operation, s));
            table.nodes.iter().map(ends).collect()
        };
        Self(Move::ALL.map(of).to_vec())
    }

    pub(super) fn is_no_dead_end(&self, store: &Store) -> bool {
        let Some(open) = store.open else { return true };
        let standing = if store.tenure.by == open.which.number {
            Standing::Committed
        } else if store.tenure.epoch != open.which.base {
            return false;
        } else {
            match open.claim {
                None => Standing::Unclaimed,
                Some(claim) if claim == store.tenure.renewals => Standing::Claimed,
                Some(_) => Standing::Renewed,
            }
        };
        self.0[open.which.what as usize][usize::from(open.at)][standing as usize]
    }
}

/// Whether going on ends, and turning back too where it is allowed.
fn ends(operation: &Operation, standing: Standing) -> bool {
    let wishes: &[Wish] =
        if operation.past_return().is_some() { &[Wish::Resume] } else { &[Wish::Resume, Wish::Abort] };
    let goes_on = wishes.iter().all(|wish| {
        [true, false].into_iter().all(|lives| Fresh::new(operation.clone(), standing).drive(*wish, lives))
    });
    // And if the region that it made active is lost, so that no call to it works, there is an end all the same.
    let is_open = !matches!(operation.course, Course::Ended { .. });
    let is_stuck = standing == Standing::Committed && is_open;
    goes_on && (!is_stuck || Fresh::new(operation.clone(), standing).abandon())
}

/// A fresh controller in a world where every call works.
struct Fresh {
    operation: Operation,
    tenure: Tenure,
    claim: Option<u64>,
    attempts: std::collections::BTreeMap<StepId, u32>,
}

impl Fresh {
    fn new(operation: Operation, standing: Standing) -> Self {
        let Plan { base, from, to, .. } = operation.plan.clone();
        let moved = standing == Standing::Committed;
        let tenure = Tenure {
            epoch: if moved { base.next() } else { base },
            active: if moved { to } else { from },
            since: Timestamp(0),
            by: moved.then(this),
            renewals: 1,
            settled: true,
            released: None,
        };
        let claim = match standing {
            Standing::Unclaimed => None,
            Standing::Claimed | Standing::Committed => Some(1),
            Standing::Renewed => Some(0),
        };
        Self { operation, tenure, claim, attempts: std::collections::BTreeMap::new() }
    }

    fn drive(mut self, wish: Wish, from_lives: bool) -> bool {
        let first = match wish {
            Wish::Resume => self.operation.on_takeover(),
            Wish::Abandon => return self.abandon(),
            Wish::Abort => {
                (self.operation.course == Course::Forward).then(|| Event::AbortBegan { why: String::new() })
            }
        };
        if let Some(event) = first
            && !self.write(event)
        {
            return false;
        }
        for _ in 0..RECORDS_MAX {
            let went_on = match self.operation.work(&[]) {
                Work::Nothing => return true,
                Work::End(outcome) => self.write(Event::Ended { outcome }),
                Work::Undo(step) => {
                    let evidence = Evidence::note("");
                    self.write(Event::UndoIntended { step: step.clone() })
                        && self.write(Event::UndoDone { step, evidence })
                }
                Work::Perform(ready) => ready.into_iter().next().is_some_and(|s| self.step(s, from_lives)),
            };
            if !went_on {
                return false;
            }
        }
        false
    }

    /// As the engine abandons: a commit whose answer was lost is put down first.
    fn abandon(mut self) -> bool {
        let commit = self.operation.plan.steps.iter().find(|s| s.action.is_commit()).map(|s| s.id.clone());
        let Some(step) = commit.filter(|_| !self.operation.has_committed()) else {
            return self.write(Event::Ended { outcome: Outcome::Abandoned { why: String::new() } });
        };
        self.write(Event::Intended { step: step.clone() })
            && self.write(Event::Done { step, evidence: Evidence::note("") })
            && self.write(Event::Ended { outcome: Outcome::Abandoned { why: String::new() } })
    }

    fn step(&mut self, step: StepId, from_lives: bool) -> bool {
        let attempts = self.attempts.get(&step).copied().unwrap_or(0);
        match self.operation.remedy(&step, attempts) {
            Some(Remedy::Abort { why }) => return self.write(Event::AbortBegan { why }),
            Some(Remedy::Waive { why }) => {
                return self.write(Event::Done { step, evidence: Evidence::waived(why) });
            }
            Some(Remedy::Stall { .. }) => return false,
            None | Some(Remedy::Retry) => {}
        }
        *self.attempts.entry(step.clone()).or_insert(0) += 1;
        if !self.write(Event::Intended { step: step.clone() }) {
            return false;
        }
        let Some(action) = self.operation.plan.step(&step).map(|s| s.action.clone()) else { return false };
        let event = match action {
            Action::WaitOut { .. } if from_lives => Event::Failed { step, why: String::new() },
            Action::WaitOut { .. } => {
                self.claim = Some(self.tenure.renewals);
                Event::Done { step, evidence: Evidence::note("") }
            }
            Action::Commit { base, active, claims } => {
                let event = tenure::Event::Committed {
                    by: this(),
                    term: Term(2),
                    base: Epoch(base.0),
                    active,
                    at: Timestamp(0),
                    unrenewed: self.claim.filter(|_| claims.is_some()),
                };
                match tenure::next(Some(self.tenure.clone()), event) {
                    Ok(next) => {
                        self.tenure = next;
                        Event::Done { step, evidence: Evidence::note("") }
                    }
                    Err(Illegal::Renewed { .. }) => Event::Refuted { step, why: String::new() },
                    Err(_) => return false,
                }
            }
            _ => Event::Done { step, evidence: Evidence::note("") },
        };
        self.write(event)
    }

    fn write(&mut self, event: Event) -> bool {
        match self.operation.clone().next(event) {
            Ok(next) => {
                self.operation = next;
                true
            }
            Err(_) => false,
        }
    }
}

fn this() -> OperationId {
    "this".parse().expect("an id")
}
