//! A document's parts over the baseline.

use std::collections::BTreeMap;

use bascule_core::action::Action;
use bascule_core::check::{Checked, check};
use bascule_core::facts::Facts;
use bascule_core::id::{Epoch, StepId};
use bascule_core::inventory::{Item, inventory};
use bascule_core::plan::{Kind, PLAN_VERSION, Phase, Plan, Prediction, Step};
use bascule_core::planner::Finding;
use bascule_core::render::{
    Failback, Kept, LookedBack, Move, Rehearsal, Sheet, Timing, document_html, document_markdown,
};
use bascule_core::time::Timestamp;

use crate::site::{AWAY, HOME, NOW, region};

pub struct Parts {
    pub facts: Facts,
    pub items: Vec<Item>,
    pub checked: Vec<Checked>,
    pub failover: Plan,
    pub switchover: Plan,
    pub timings: BTreeMap<StepId, Timing>,
    pub warnings: Vec<Finding>,
    pub kept: Kept,
    pub at: Timestamp,
}

fn id(name: &str) -> StepId {
    name.parse().expect("a step's name")
}

fn plan(kind: Kind) -> Plan {
    let step = |name: &str, phase, action, why: &str, bound_ms| Step {
        id: id(name),
        phase,
        action,
        why: why.to_owned(),
        needs: Vec::new(),
        undo: None,
        bound_ms,
    };
    let (from, to) = (region(HOME), region(AWAY));
    let hold = Action::HoldWrites { region: from.clone() };
    let promote = Action::Promote { region: to.clone() };
    let verify = Action::VerifyWrite { region: to.clone() };
    Plan {
        version: PLAN_VERSION,
        kind,
        site: "shop".parse().expect("a site"),
        base: Epoch(4),
        max_pause_ms: 10_000,
        accepted_loss_ms: None,
        steps: vec![
            step("hold", Phase::Drain, hold, "no write may be lost", 2_500),
            step("promote", Phase::Open, promote, "it takes writes from now on", 15_000),
            step("verify", Phase::Settle, verify, "a user's write proves the move", 20_000),
        ],
        prediction: Prediction { write_pause_ms: Some(1_300), basis: "three drills".to_owned() },
        from,
        to,
    }
}

/// Nobody is asked to hold writes in a region that is gone: it is waited out.
fn failover() -> Plan {
    let mut plan = plan(Kind::Failover);
    plan.steps[0] = Step {
        id: id("confirm"),
        action: Action::ConfirmLost { region: region(HOME) },
        ..plan.steps[0].clone()
    };
    plan
}

impl Parts {
    pub fn of(facts: Facts) -> Self {
        let timing = Timing { predicted_ms: Some(900), measured_ms: Some(1_240) };
        let timings = BTreeMap::from([(id("promote"), timing)]);
        Self {
            items: inventory(&facts),
            checked: check(&facts),
            failover: failover(),
            switchover: plan(Kind::Switchover),
            timings,
            warnings: Vec::new(),
            kept: Kept::default(),
            at: NOW,
            facts,
        }
    }

    pub fn sheet(&self) -> Sheet<'_> {
        Sheet {
            facts: &self.facts,
            items: &self.items,
            checked: &self.checked,
            kept: &self.kept,
            failover: Ok(Move { plan: &self.failover, timings: &self.timings, warnings: &self.warnings }),
            switchover: Ok(Move { plan: &self.switchover, timings: &self.timings, warnings: &[] }),
            failback: Failback {
                reinstate: Timing { predicted_ms: None, measured_ms: Some(12_400) },
                switchover: Timing::default(),
            },
            rehearsal: Some(Rehearsal {
                at: Timestamp(self.at.0 - 86_400_000),
                kind: Kind::Switchover,
                outcome: "nothing lost".to_owned(),
                pause_ms: Some(1_400),
            }),
            looked_back: LookedBack::default(),
            at: self.at,
        }
    }

    pub fn markdown(&self) -> String {
        document_markdown(&self.sheet())
    }

    pub fn html(&self) -> String {
        document_html(&self.sheet())
    }
}
