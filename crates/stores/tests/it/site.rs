//! A small site: its plan, and records that follow from it.

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{Epoch, OperationId, RegionName, SiteName, StepId, Term};
use bascule_core::operation::{Event, Outcome};
use bascule_core::plan::{Kind, PLAN_VERSION, Phase, Plan, Prediction, Step};
use bascule_core::ports::{Entry, Grip, Header};
use bascule_core::tenure;
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Place, RegionReport, Report, Writes};

pub fn name() -> SiteName {
    "events".parse().unwrap()
}

pub fn region(name: &str) -> RegionName {
    name.parse().unwrap()
}

pub fn operation(id: &str) -> OperationId {
    id.parse().unwrap()
}

pub fn step(id: &str) -> StepId {
    id.parse().unwrap()
}

fn planned(id: &str, phase: Phase, action: Action, needs: &[&str], undo: Option<Action>) -> Step {
    let needs = needs.iter().map(|id| step(id)).collect();
    Step { id: step(id), phase, action, why: "the law needs it".to_owned(), needs, undo, bound_ms: 1000 }
}

/// Hold, commit, verify; made on that epoch.
pub fn plan(base: u64) -> Plan {
    let (east, west) = (region("east"), region("west"));
    let (hold, release) =
        (Action::HoldWrites { region: east.clone() }, Action::ReleaseWrites { region: east.clone() });
    let commit = Action::Commit { base: Epoch(base), active: west.clone(), claims: None };
    Plan {
        version: PLAN_VERSION,
        kind: Kind::Switchover,
        site: name(),
        from: east,
        to: west.clone(),
        base: Epoch(base),
        max_pause_ms: 5000,
        accepted_loss_ms: None,
        steps: vec![
            planned("hold", Phase::Drain, hold, &[], Some(release)),
            planned("commit", Phase::Commit, commit, &["hold"], None),
            planned("verify", Phase::Settle, Action::VerifyWrite { region: west }, &["commit"], None),
        ],
        prediction: Prediction { write_pause_ms: None, basis: "not predicted".to_owned() },
    }
}

pub fn header_of(id: &str, plan: Plan) -> Header {
    Header { id: operation(id), plan_hash: plan.hash(), plan, begun: Timestamp(1_795_305_600_000) }
}

pub fn header(id: &str) -> Header {
    header_of(id, plan(1))
}

pub fn grip(term: Term) -> Grip {
    Grip { term, epoch: Epoch(1) }
}

pub fn founded() -> tenure::Event {
    tenure::Event::Founded { active: region("east"), at: Timestamp(1) }
}

/// The commit of an operation by its first controller.
pub fn committed(by: &str) -> tenure::Event {
    committed_in(by, Term(1), None)
}

pub fn committed_in(by: &str, term: Term, unrenewed: Option<u64>) -> tenure::Event {
    let (by, active) = (operation(by), region("west"));
    tenure::Event::Committed { by, term, base: Epoch(1), active, at: Timestamp(2), unrenewed }
}

pub fn renewed(epoch: u64, active: &str) -> tenure::Event {
    tenure::Event::Renewed { epoch: Epoch(epoch), region: region(active) }
}

pub fn keeper(name: &str) -> Place {
    Place::Keeper { region: region("east"), name: name.parse().unwrap() }
}

pub fn report(count: u64) -> Report {
    let seen = RegionReport { writes: Writes::Work, permit: None };
    let regions = [(region("east"), seen)].into();
    Report { count, at: Timestamp(3), version: "1".to_owned(), regions, decision: None }
}

/// A record; `mono_us` marks which one it is.
pub fn entry(mono_us: u64, event: Event) -> Entry {
    Entry { at: Timestamp(1_795_305_600_000 + mono_us), mono_us, event }
}

/// The first step's intent, which may follow itself any number of times.
pub fn intent(mark: u64) -> Entry {
    entry(mark, Event::Intended { step: step("hold") })
}

pub fn done(mark: u64, of: &str) -> Entry {
    entry(mark, Event::Done { step: step(of), evidence: Evidence::note("seen") })
}

/// What takes an operation of which nothing was done to its end.
pub fn ending(mark: u64) -> Vec<Entry> {
    let why = || "the law says so".to_owned();
    vec![
        entry(mark, Event::AbortBegan { why: why() }),
        entry(mark + 1, Event::Ended { outcome: Outcome::Aborted { why: why() } }),
    ]
}

pub fn marks(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.mono_us).collect()
}
