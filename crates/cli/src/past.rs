//! What a site's operations have shown: how long steps took, and when it was last moved. Only operations that
//! succeeded count: what was taken back, or given up, proves nothing.

use std::collections::BTreeMap;

use bascule_core::id::{RegionName, StepId};
use bascule_core::manifest::Manifest;
use bascule_core::observation::Observation;
use bascule_core::operation::Outcome;
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Request};
use bascule_core::render::{Failback, Rehearsal, Timing};
use bascule_engine::report::{self, Report};
use bascule_engine::world::World;

/// Operations that are read: ten years of a drill there and back every month would be 240; these are the last ten.
const LOOK_BACK: u32 = 20;

/// Reports of operations that succeeded, the newest first.
#[derive(Debug, Default)]
pub struct Past(Vec<Report>);

impl Past {
    /// Read them from the store.
    pub async fn read(world: &World) -> anyhow::Result<Self> {
        let mut reports = Vec::new();
        for (header, open) in world.journals.list(LOOK_BACK).await? {
            if !open {
                reports.push(report::report(&world.journals.read(&header.id).await?)?);
            }
        }
        Ok(Self::of(reports))
    }

    /// `reports` come the newest first.
    fn of(reports: Vec<Report>) -> Self {
        Self(reports.into_iter().filter(|r| r.outcome == Some(Outcome::Succeeded)).collect())
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Report> {
        self.0.iter().filter(move |report| report.kind == kind)
    }

    /// The plan that would be run. What forbids it now is none of the document's business: a failover is always
    /// forbidden while the region is well.
    pub fn plan(
        &self,
        manifest: &Manifest,
        seen: &Observation,
        kind: Kind,
        to: &RegionName,
    ) -> Result<Plan, String> {
        let measured_pauses_ms = self.of_kind(kind).filter_map(|r| r.hold_us).map(|us| us / 1000).collect();
        let request =
            Request { kind, to: to.clone(), accept_loss_ms: None, accept_unsaved: false, measured_pauses_ms };
        let assessment = planner::plan(manifest, seen, &request);
        assessment.plan.ok_or_else(|| {
            let why: Vec<_> = assessment
                .blocks
                .iter()
                .map(|b| format!("{}: {} ({})", b.subject, b.message, b.remedy))
                .collect();
            why.join("; ")
        })
    }

    /// How long each of a plan's steps took, in operations of its kind: the last time, and at the median.
    pub fn timings(&self, plan: &Plan) -> BTreeMap<StepId, Timing> {
        let took = |id: &StepId| {
            let steps = self.of_kind(plan.kind).flat_map(|report| &report.steps);
            let times = steps.filter(|step| &step.step == id && step.state == "done");
            let times = times.filter_map(|step| Some(step.ended_us?.saturating_sub(step.began_us?) / 1000));
            timing(times.collect())
        };
        plan.steps.iter().map(|step| (step.id.clone(), took(&step.id))).collect()
    }

    /// How long the way back took: to make a region the standby again, and to move to `home`.
    pub fn failback(&self, home: &RegionName) -> Failback {
        let ms = |report: &Report| report.took_us / 1000;
        Failback {
            reinstate: timing(self.of_kind(Kind::Reinstate).map(ms).collect()),
            switchover: timing(self.of_kind(Kind::Switchover).filter(|r| r.to == *home).map(ms).collect()),
        }
    }

    /// The last time the site was moved, in earnest or for practice.
    pub fn rehearsal(&self) -> Option<Rehearsal> {
        let last = self.0.iter().find(|report| match report.kind {
            Kind::Switchover | Kind::Failover => true,
            Kind::Reinstate | Kind::Restore => false,
        })?;
        Some(Rehearsal {
            at: last.begun,
            kind: last.kind,
            outcome: format!("{} to {} succeeded", last.from, last.to),
            pause_ms: last.hold_us.map(|us| us / 1000),
        })
    }
}

/// `times` come the newest first, in milliseconds.
fn timing(times: Vec<u64>) -> Timing {
    let measured_ms = times.first().copied();
    let mut sorted = times;
    sorted.sort_unstable();
    Timing { predicted_ms: sorted.get(sorted.len() / 2).copied(), measured_ms }
}

#[cfg(test)]
mod tests {
    use bascule_core::id::Epoch;
    use bascule_core::plan::Phase;
    use bascule_core::time::Timestamp;
    use bascule_engine::report::StepReport;

    use super::*;

    fn operation(kind: Kind, to: &str, took_ms: u64, outcome: Option<Outcome>) -> Report {
        let step = StepReport {
            step: "promote".parse().unwrap(),
            phase: Phase::Open,
            why: String::new(),
            began_us: Some(1_000_000),
            ended_us: Some(1_000_000 + took_ms * 1000),
            attempts: 1,
            state: "done".to_owned(),
            note: String::new(),
        };
        Report {
            operation: "op-1".parse().unwrap(),
            kind,
            from: "east".parse().unwrap(),
            to: to.parse().unwrap(),
            base: Epoch(1),
            begun: Timestamp(7),
            outcome,
            course: String::new(),
            took_us: took_ms * 1000,
            controllers: 1,
            hold_us: None,
            hold: Vec::new(),
            loss_ms: None,
            steps: vec![step],
        }
    }

    #[test]
    fn only_what_succeeded_counts_and_the_newest_is_the_last() {
        let aborted = Some(Outcome::Aborted { why: "x".to_owned() });
        let done = || Some(Outcome::Succeeded);
        let past = Past::of(vec![
            operation(Kind::Switchover, "west", 1, aborted),
            operation(Kind::Reinstate, "east", 70, done()),
            operation(Kind::Switchover, "east", 30, done()),
            operation(Kind::Switchover, "west", 10, done()),
            operation(Kind::Switchover, "east", 20, done()),
        ]);
        let back = past.failback(&"east".parse().unwrap());
        assert_eq!(back.reinstate, Timing { predicted_ms: Some(70), measured_ms: Some(70) });
        assert_eq!(back.switchover.measured_ms, Some(30));
        let last = past.rehearsal().unwrap();
        assert_eq!((last.kind, last.outcome.as_str()), (Kind::Switchover, "east to east succeeded"));
        assert_eq!(timing(vec![30, 10, 20]), Timing { predicted_ms: Some(20), measured_ms: Some(30) });
        assert_eq!(Past::default().rehearsal(), None);
    }
}
