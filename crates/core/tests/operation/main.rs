//! The operation's state machine, held to a table written a second time, and to laws over every state
//! that it can reach.

mod laws;
mod table;

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{Epoch, RegionName, StepId};
use bascule_core::observation::GateState;
use bascule_core::operation::{Event, Outcome};
use bascule_core::plan::{Kind, PLAN_VERSION, Phase, Plan, Prediction, Step};

fn region(name: &str) -> RegionName {
    name.parse().expect("a region")
}

fn step(id: &str, phase: Phase, action: Action, needs: &[&str], undo: Option<Action>) -> Step {
    Step {
        id: id.parse().expect("a step"),
        phase,
        action,
        why: "for the test".to_owned(),
        needs: needs.iter().map(|n| n.parse().expect("a step")).collect(),
        undo,
        bound_ms: 1000,
    }
}

fn plan(kind: Kind, steps: Vec<Step>) -> Plan {
    let plan = Plan {
        version: PLAN_VERSION,
        kind,
        site: "events".parse().expect("a site"),
        from: region("east"),
        to: region("west"),
        base: Epoch(1),
        max_pause_ms: 5000,
        accepted_loss_ms: None,
        steps,
        prediction: Prediction { write_pause_ms: None, basis: "none".to_owned() },
    };
    plan.validate().expect("a valid plan");
    plan
}

fn commit(needs: &[&str]) -> Step {
    step(
        "commit",
        Phase::Commit,
        Action::Commit { base: Epoch(1), active: region("west"), claims: None },
        needs,
        None,
    )
}

fn hold(id: &str, at: &str, needs: &[&str]) -> Step {
    let undo = Action::ReleaseWrites { region: region(at) };
    step(id, Phase::Drain, Action::HoldWrites { region: region(at) }, needs, Some(undo))
}

fn forward(needs: &[&str]) -> Step {
    let gate = Action::SetGate { region: region("east"), state: GateState::Remote, epoch: Epoch(2) };
    step("forward", Phase::Open, gate, needs, None)
}

/// Small plans that between them have every shape the planners use: a chain, a fork, a join, steps with
/// and without an undo, before and behind the commit, on either side, and no commit at all.
fn plans() -> Vec<Plan> {
    let promote = |needs: &[&str]| {
        step("promote", Phase::Open, Action::Promote { region: region("west") }, needs, None)
    };
    let confirm = step("confirm", Phase::Prepare, Action::ConfirmLost { region: region("east") }, &[], None);
    let stand_down = Action::StandDown { region: region("west"), follow: region("east") };
    let save =
        Action::SaveDivergence { region: region("west"), active: region("east"), accept_unsaved: false };
    vec![
        plan(Kind::Switchover, vec![hold("hold", "east", &[]), commit(&["hold"]), forward(&["commit"])]),
        plan(
            Kind::Switchover,
            vec![hold("one", "east", &[]), hold("two", "west", &[]), commit(&["one", "two"])],
        ),
        plan(Kind::Switchover, vec![commit(&[]), promote(&["commit"]), forward(&["commit"])]),
        plan(Kind::Failover, vec![confirm, commit(&["confirm"]), promote(&["commit"])]),
        plan(
            Kind::Reinstate,
            vec![
                step("save", Phase::Prepare, save, &[], None),
                step("stand-down", Phase::Open, stand_down, &["save"], None),
            ],
        ),
    ]
}

fn evidence() -> Evidence {
    Evidence::note("seen")
}

/// Every event there is about each of the steps, and about the whole.
fn events(steps: &[StepId]) -> Vec<Event> {
    let why = || "because".to_owned();
    let mut events = vec![
        Event::AbortBegan { why: why() },
        Event::Ended { outcome: Outcome::Succeeded },
        Event::Ended { outcome: Outcome::Aborted { why: why() } },
        Event::Ended { outcome: Outcome::Abandoned { why: why() } },
    ];
    for step in steps {
        let step = || step.clone();
        events.extend([
            Event::Intended { step: step() },
            Event::Done { step: step(), evidence: evidence() },
            Event::Done { step: step(), evidence: Evidence::waived("gone") },
            Event::Failed { step: step(), why: why() },
            Event::Refuted { step: step(), why: why() },
            Event::Unknown { step: step(), why: why() },
            Event::UndoIntended { step: step() },
            Event::UndoDone { step: step(), evidence: evidence() },
            Event::UndoFailed { step: step(), why: why() },
        ]);
    }
    events
}

fn ids(plan: &Plan) -> Vec<StepId> {
    plan.steps.iter().map(|s| s.id.clone()).collect()
}
