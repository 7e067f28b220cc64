//! What keepers cost on a site where nothing happens: nobody writes, nothing is broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bascule_lab::part::PartKind;
use bascule_lab::plan::{Host, LabPlan, Place};
use bascule_lab::status::PartStatus;
use serde::Serialize;

use crate::cmd::keeper::pages::STORE_REQUESTS;
use crate::cmd::torture::Lab;

/// A new lab's caches are filled, and what its start left to do is done.
const QUIET_AFTER: Duration = Duration::from_secs(20);
/// A hundredth of a core is then a hundred ticks of the kernel's clock, so a tick more or less is 1 % of the answer.
const LASTS: Duration = Duration::from_secs(100);

/// What one keeper costs; the dearest of them.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Of one core.
    pub cpu_percent: f64,
    /// Its share of memory (PSS).
    pub memory_mb: f64,
    /// As it counts them itself.
    pub store_requests_per_s: f64,
}

/// Measure it.
pub fn measure(lab: &Lab, dir: &Path) -> anyhow::Result<Idle> {
    let plan = LabPlan::load(dir)?;
    std::thread::sleep(QUIET_AFTER);
    let hosts: Vec<&Host> = plan.regions.iter().flat_map(|region| &region.keepers).collect();
    let asked_by = || hosts.iter().map(|host| requests(lab, &plan, host)).collect();
    let (before, asked_before): (_, anyhow::Result<Vec<u64>>) = (keepers(lab)?, asked_by());
    let begun = Instant::now();
    std::thread::sleep(LASTS);
    let (after, asked): (_, anyhow::Result<Vec<u64>>) = (keepers(lab)?, asked_by());
    let seconds = begun.elapsed().as_secs_f64();
    let used = |name: &str| after.get(name)?.cpu_ms.checked_sub(before.get(name)?.cpu_ms);
    let used: Option<Vec<u64>> = before.keys().map(|name| used(name)).collect();
    let asked = asked?.into_iter().zip(asked_before?).map(|(asked, before)| asked.checked_sub(before));
    let asked: Option<Vec<u64>> = asked.collect();
    let (most, dearest) = used
        .zip(asked)
        .map(|(used, asked)| (used.into_iter().max(), asked.into_iter().max()))
        .context("a keeper was restarted while nothing happened")?;
    let memory = after.values().map(|keeper| keeper.memory_bytes).max();
    let (Some(most), Some(memory), Some(dearest)) = (most, memory, dearest) else {
        bail!("the lab has no keepers")
    };
    #[allow(clippy::cast_precision_loss, reason = "counts of two minutes are far below 2^52")]
    Ok(Idle {
        cpu_percent: most as f64 / 10.0 / seconds,
        memory_mb: memory as f64 / 1e6,
        store_requests_per_s: dearest as f64 / seconds,
    })
}

fn keepers(lab: &Lab) -> anyhow::Result<BTreeMap<String, PartStatus>> {
    let parts = lab.status()?.parts.into_iter();
    Ok(parts.filter(|part| part.kind == PartKind::Keeper).map(|part| (part.name.clone(), part)).collect())
}

/// How often a keeper has asked the store, as it counts.
fn requests(lab: &Lab, plan: &LabPlan, keeper: &Host) -> anyhow::Result<u64> {
    let url = format!("http://{}:{}/metrics", keeper.address, plan.ports.keeper);
    let text = lab.at(Place::Clients, &["curl", "-sS", "--max-time", "5", &url])?;
    let count = text.lines().find_map(|line| line.strip_prefix(STORE_REQUESTS)?.trim().parse().ok());
    count.with_context(|| format!("{url} does not say {STORE_REQUESTS}"))
}
