//! What keepers cost on a site where nothing happens: nobody writes, nothing is broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bascule_lab::part::PartKind;
use bascule_lab::plan::{Host, LabPlan, Place};
use bascule_lab::status::PartStatus;
use serde::Serialize;

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
    /// Of a region's keepers, each of which asks its own region's member: their mean.
    pub store_requests_per_s: f64,
}

/// Measure it.
pub fn measure(lab: &Lab, dir: &Path) -> anyhow::Result<Idle> {
    let plan = LabPlan::load(dir)?;
    std::thread::sleep(QUIET_AFTER);
    let asked_of = || plan.regions.iter().map(|region| requests(lab, &plan, &region.store)).collect();
    let (before, asked_before): (_, anyhow::Result<Vec<u64>>) = (keepers(lab)?, asked_of());
    let begun = Instant::now();
    std::thread::sleep(LASTS);
    let (after, asked): (_, anyhow::Result<Vec<u64>>) = (keepers(lab)?, asked_of());
    let asked = asked?.into_iter().zip(asked_before?).zip(&plan.regions).map(|((asked, before), region)| {
        #[allow(clippy::cast_precision_loss, reason = "counts of two minutes are far below 2^52")]
        let shared = (asked - before) as f64 / region.keepers.len() as f64;
        shared
    });
    let dearest = asked.fold(0.0, f64::max);
    let seconds = begun.elapsed().as_secs_f64();
    let used = |name: &str| after.get(name)?.cpu_ms.checked_sub(before.get(name)?.cpu_ms);
    let used: Option<Vec<u64>> = before.keys().map(|name| used(name)).collect();
    let most = used.context("a keeper was restarted while nothing happened")?.into_iter().max();
    let memory = after.values().map(|keeper| keeper.memory_bytes).max();
    let (Some(most), Some(memory)) = (most, memory) else { bail!("the lab has no keepers") };
    #[allow(clippy::cast_precision_loss, reason = "counts of two minutes are far below 2^52")]
    Ok(Idle {
        cpu_percent: most as f64 / 10.0 / seconds,
        memory_mb: memory as f64 / 1e6,
        store_requests_per_s: dearest / seconds,
    })
}

fn keepers(lab: &Lab) -> anyhow::Result<BTreeMap<String, PartStatus>> {
    let parts = lab.status()?.parts.into_iter();
    Ok(parts.filter(|part| part.kind == PartKind::Keeper).map(|part| (part.name.clone(), part)).collect())
}

/// Requests that a member of the store was sent by clients, as etcd itself counts them.
fn requests(lab: &Lab, plan: &LabPlan, member: &Host) -> anyhow::Result<u64> {
    let url = format!("http://{}:{}/metrics", member.address, plan.ports.etcd);
    let text = lab.at(Place::Clients, &["curl", "-sS", "--max-time", "5", &url])?;
    let counters = text.lines().filter(|line| {
        line.starts_with("grpc_server_started_total") && line.contains("grpc_service=\"etcdserverpb.")
    });
    let mut sum = 0;
    for line in counters {
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
        let count = count.with_context(|| format!("{url} says {line:?}"))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        let count = count as u64;
        sum += count;
    }
    Ok(sum)
}
