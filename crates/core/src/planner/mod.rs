//! From a manifest and an observation to a plan: synchronous, total, deterministic.
//!
//! A plan is always drawn, so that a person can read it; what forbids running it stands beside it as
//! findings. What was not observed forbids: unknown is not green.

mod build;
mod failover;
mod finding;
mod reinstate;
mod restore;
mod switchover;

pub use failover::{loss_ms, loss_until_ms, seen_loss_ms};
pub use finding::{Code, Finding};

use serde::Serialize;

use crate::id::RegionName;
use crate::manifest::Manifest;
use crate::observation::{Observation, Observed};
use crate::plan::{Kind, Plan, Prediction};
use crate::tenure::Tenure;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which operation.
    pub kind: Kind,
    /// The region to move to, or that returns.
    pub to: RegionName,
    /// Loss accepted by name and number, in milliseconds.
    pub accept_loss_ms: Option<u64>,
    /// Whether what a returned region has, and nobody can save, is given up.
    pub accept_unsaved: bool,
    /// Write pauses measured in earlier operations of this kind, in milliseconds, newest first.
    pub measured_pauses_ms: Vec<u64>,
}

/// A plan, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The plan; none when not even its two regions or its epoch are known.
    pub plan: Option<Plan>,
    /// What forbids running it.
    pub blocks: Vec<Finding>,
    /// What does not forbid it, but should be known.
    pub warnings: Vec<Finding>,
}

impl Assessment {
    /// The plan, if it may run.
    #[must_use]
    pub fn runnable(&self) -> Option<&Plan> {
        if self.blocks.is_empty() { self.plan.as_ref() } else { None }
    }
}

/// What all three planners look at.
struct Scene<'a> {
    manifest: &'a Manifest,
    observation: &'a Observation,
    request: &'a Request,
    tenure: &'a Tenure,
    blocks: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// Draw the plan for a request.
#[must_use]
pub fn plan(manifest: &Manifest, observation: &Observation, request: &Request) -> Assessment {
    let mut blocks = Vec::new();
    if manifest.region(&request.to).is_none() {
        let known: Vec<_> = manifest.regions.keys().map(RegionName::as_str).collect();
        blocks.push(Finding::new(
            Code::NoSuchRegion,
            request.to.as_str(),
            "is not a region of this site",
            format!("use one of: {}", known.join(", ")),
        ));
    }
    match &observation.open_operation {
        Observed::Seen { value: None, .. } => {}
        Observed::Seen { value: Some(open), .. } => blocks.push(Finding::new(
            Code::OperationOpen,
            open.as_str(),
            "has begun and has not ended",
            format!("finish it with `bascule resume {open}` or take it back with `bascule abort {open}`"),
        )),
        Observed::NotObserved { why } => blocks.push(store_unknown(why)),
    }
    let tenure = match &observation.tenure {
        Observed::Seen { value, .. } => Some(value),
        Observed::NotObserved { why } => {
            blocks.push(store_unknown(why));
            None
        }
    };
    let (Some(tenure), Some(_)) = (tenure, manifest.region(&request.to)) else {
        return Assessment { plan: None, blocks, warnings: Vec::new() };
    };
    let mut scene = Scene { manifest, observation, request, tenure, blocks, warnings: Vec::new() };
    let plan = match request.kind {
        Kind::Switchover => switchover::plan(&mut scene),
        Kind::Failover => failover::plan(&mut scene),
        Kind::Reinstate => reinstate::plan(&mut scene),
        Kind::Restore => restore::plan(&mut scene),
    };
    debug_assert_eq!(plan.validate(), Ok(()));
    Assessment { plan: Some(plan), blocks: scene.blocks, warnings: scene.warnings }
}

fn store_unknown(why: &str) -> Finding {
    Finding::new(
        Code::TenureUnknown,
        "store",
        format!("who is active is not known: {why}"),
        "make the store reachable, or found the site with `bascule found`",
    )
}

impl Scene<'_> {
    fn block(
        &mut self,
        code: Code,
        subject: impl ToString,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.blocks.push(Finding::new(code, subject, what, mend));
    }

    fn warn(&mut self, code: Code, subject: impl ToString, what: impl Into<String>, mend: impl Into<String>) {
        self.warnings.push(Finding::new(code, subject, what, mend));
    }

    /// Median of the pauses measured before.
    fn prediction(&self) -> Prediction {
        let mut pauses = self.request.measured_pauses_ms.clone();
        pauses.sort_unstable();
        match pauses.get(pauses.len() / 2) {
            Some(median) => Prediction {
                write_pause_ms: Some(*median),
                basis: format!("median of the last {} measured on this site", pauses.len()),
            },
            None => Prediction {
                write_pause_ms: None,
                basis: format!("no {} of this site has been measured yet", self.request.kind.as_str()),
            },
        }
    }
}
