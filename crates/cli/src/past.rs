//! What a site's operations have shown: how long steps took, and when it was last moved. Only operations that
//! succeeded count: what was taken back, or given up, proves nothing.

use std::collections::BTreeMap;

use bascule_core::id::{RegionName, StepId};
use bascule_core::manifest::Manifest;
use bascule_core::observation::Observation;
use bascule_core::operation::Outcome;
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Finding, Request};
use bascule_core::render::{Failback, LookedBack, Rehearsal, Timing};
use bascule_engine::report::{self, Report};
use bascule_engine::world::World;

/// Operations that are read: ten years of a drill there and back every month would be 240; these are the last ten.
const LOOK_BACK: u32 = 20;
/// Operations whose beginnings are read if none of those was a move that succeeded: as many as a site that tries one a
/// day begins in half a year.
const MOVES_LOOK_BACK: u32 = 200;

/// Reports of operations that succeeded, the newest first.
#[derive(Debug, Default)]
pub struct Past {
    reports: Vec<Report>,
    /// The newest move, if it is older than all of those.
    older_move: Option<Report>,
    looked_back: LookedBack,
}

/// A plan, and what the planner warns of.
pub struct Planned {
    pub plan: Plan,
    pub warnings: Vec<Finding>,
}

impl Past {
    /// Read them from the store.
    pub async fn read(world: &World) -> anyhow::Result<Self> {
        let mut reports = Vec::new();
        let listed = world.journals.list(LOOK_BACK).await?;
        let more = |listed: usize, limit: u32| (listed >= limit as usize).then_some(limit);
        let timings = more(listed.len(), LOOK_BACK);
        for (header, open) in listed {
            if !open {
                reports.push(report::report(&world.journals.read(&header.id).await?)?);
            }
        }
        let mut past = Self::of(reports);
        past.looked_back.timings = timings;
        if timings.is_some() && past.newest_move().is_none() {
            let listed = world.journals.list(MOVES_LOOK_BACK).await?;
            past.looked_back.moves = more(listed.len(), MOVES_LOOK_BACK);
            for (header, _) in
                listed.into_iter().skip(LOOK_BACK as usize).filter(|(h, _)| is_move(h.plan.kind))
            {
                let report = report::report(&world.journals.read(&header.id).await?)?;
                if report.outcome == Some(Outcome::Succeeded) {
                    past.older_move = Some(report);
                    break;
                }
            }
        }
        Ok(past)
    }

    /// `reports` come the newest first.
    fn of(reports: Vec<Report>) -> Self {
        let succeeded = |report: &Report| report.outcome == Some(Outcome::Succeeded);
        Self { reports: reports.into_iter().filter(succeeded).collect(), ..Self::default() }
    }

    /// How far back was looked.
    pub fn looked_back(&self) -> LookedBack {
        self.looked_back
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(move |report| report.kind == kind)
    }

    /// The plan that would be run: a failover once nothing of the other region is in sight, for a region that still
    /// answers would be asked for more. What forbids it now is none of the document's business.
    pub fn plan(
        &self,
        manifest: &Manifest,
        seen: &Observation,
        kind: Kind,
        to: &RegionName,
    ) -> Result<Planned, String> {
        let measured_pauses_ms = self.of_kind(kind).filter_map(|r| r.hold_us).map(|us| us / 1000).collect();
        let request =
            Request { kind, to: to.clone(), accept_loss_ms: None, accept_unsaved: false, measured_pauses_ms };
        let assessment = match kind {
            Kind::Failover => {
                planner::plan(manifest, &seen.supposing_lost(manifest.other(to), seen.at), &request)
            }
            Kind::Switchover | Kind::Reinstate | Kind::Restore => planner::plan(manifest, seen, &request),
        };
        let Some(plan) = assessment.plan else {
            let why = |b: &Finding| format!("{}: {} ({})", b.subject, b.message, b.remedy);
            return Err(assessment.blocks.iter().map(why).collect::<Vec<_>>().join("; "));
        };
        Ok(Planned { plan, warnings: assessment.warnings })
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

    fn newest_move(&self) -> Option<&Report> {
        self.reports.iter().chain(&self.older_move).find(|report| is_move(report.kind))
    }

    /// The last time the site was moved, in earnest or for practice.
    pub fn rehearsal(&self) -> Option<Rehearsal> {
        let last = self.newest_move()?;
        Some(Rehearsal {
            at: last.begun,
            kind: last.kind,
            outcome: format!("{} to {} succeeded", last.from, last.to),
            pause_ms: last.hold_us.map(|us| us / 1000),
        })
    }
}

fn is_move(kind: Kind) -> bool {
    match kind {
        Kind::Switchover | Kind::Failover => true,
        Kind::Reinstate | Kind::Restore => false,
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
        let older_move = Some(operation(Kind::Failover, "west", 5, done()));
        let past = Past { reports: vec![operation(Kind::Reinstate, "east", 70, done())], older_move, ..past };
        assert_eq!(past.rehearsal().unwrap().kind, Kind::Failover);
    }
}
