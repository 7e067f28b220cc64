//! What a script expects, held against the world.

use bascule_core::observation::GateState;
use bascule_core::planner::Finding;
use bascule_core::ports::TenureStore;

use super::play::Stage;
use super::{Ending, Expectation};

/// Within so many virtual milliseconds a user who is served has written five times.
const MOMENT_MS: u64 = 100;

/// What is so instead, if the expectation is not met.
pub(super) async fn unmet(stage: &Stage, expected: &Expectation) -> Option<String> {
    let sim = &stage.site.sim;
    match expected {
        Expectation::Ending(wanted) => ending(stage.ending, *wanted),
        Expectation::Rival(wanted) => ending(stage.rival, *wanted),
        Expectation::Runnable | Expectation::Blocked(_) | Expectation::Warned(_) => planned(stage, expected),
        Expectation::Active { region, epoch } => match stage.site.store.tenure().await {
            Ok(Some(tenure)) => (&tenure.active != region || tenure.epoch != *epoch)
                .then(|| format!("{} is active in epoch {}", tenure.active, tenure.epoch)),
            Ok(None) => Some("the site has no tenure".to_owned()),
            Err(error) => Some(error.to_string()),
        },
        Expectation::Gate { region, state } => {
            let now: GateState = sim.with(|s| s.region(region).gate);
            (now != *state).then(|| format!("the gate of {region} is {}", now.as_str()))
        }
        Expectation::Held(wanted) => {
            let held: Vec<String> =
                sim.with(|s| s.regions.iter().filter(|(_, r)| r.held).map(|(n, _)| n.to_string()).collect());
            (held.is_empty() == *wanted).then(|| format!("pools that hold: {held:?}"))
        }
        Expectation::Names(region) => {
            let away = sim.with(|s| s.names.values().find(|n| &n.at != region).map(|n| n.at.clone()));
            away.map(|at| format!("a name points at {at}"))
        }
        Expectation::Writes { flow } => {
            let before = sim.with(|s| s.acks.len());
            tokio::time::sleep(std::time::Duration::from_millis(MOMENT_MS)).await;
            let after = sim.with(|s| s.acks.len());
            ((after > before) != *flow)
                .then(|| format!("{} writes were taken in {MOMENT_MS} ms", after - before))
        }
        Expectation::Lost(wanted) => {
            let tenure = stage.site.store.tenure().await.ok().flatten();
            let active = tenure.map_or_else(|| stage.site.home(), |t| t.active);
            let lost = sim.with(|s| s.missing_at(&active).len());
            ((lost > 0) != *wanted).then(|| format!("{lost} acknowledged writes are not in {active}"))
        }
        Expectation::Saved(wanted) => {
            let saved = sim.with(|s| s.saved.len());
            ((saved > 0) != *wanted).then(|| format!("{saved} writes were saved"))
        }
        Expectation::Follows(region) => {
            let (fed, silent_ms) = sim.with(|s| s.feed(region));
            (!fed).then(|| format!("{region} has heard nothing for {silent_ms} ms"))
        }
        Expectation::PauseAtMost(most_ms) => {
            let pause_ms = sim.with(|s| s.longest_pause_ms);
            (pause_ms > *most_ms).then(|| format!("writes paused for {pause_ms} ms"))
        }
    }
}

fn ending(is: Option<Ending>, wanted: Ending) -> Option<String> {
    (is != Some(wanted)).then(|| match is {
        Some(other) => format!("it ended as {other:?}"),
        None => "nothing has run".to_owned(),
    })
}

fn planned(stage: &Stage, expected: &Expectation) -> Option<String> {
    let Some(assessment) = &stage.assessment else { return Some("there is no plan".to_owned()) };
    let codes = |findings: &[Finding]| findings.iter().map(|f| f.code.as_str()).collect::<Vec<_>>();
    let (blocks, warnings) = (codes(&assessment.blocks), codes(&assessment.warnings));
    match expected {
        Expectation::Runnable => (!blocks.is_empty()).then(|| format!("blocked by {blocks:?}")),
        Expectation::Blocked(code) => {
            (!blocks.contains(&code.as_str())).then(|| format!("blocked by {blocks:?}"))
        }
        Expectation::Warned(code) => {
            (!warnings.contains(&code.as_str())).then(|| format!("warnings are {warnings:?}"))
        }
        Expectation::Ending(_)
        | Expectation::Rival(_)
        | Expectation::Active { .. }
        | Expectation::Gate { .. }
        | Expectation::Held(_)
        | Expectation::Names(_)
        | Expectation::Writes { .. }
        | Expectation::Lost(_)
        | Expectation::Saved(_)
        | Expectation::Follows(_)
        | Expectation::PauseAtMost(_) => None,
    }
}
