//! What a lab says of itself: every part's process, health, memory and CPU time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::part::PartKind;
use crate::plan::Place;
use crate::proc;
use crate::world::{Run, Slot, World};

/// A part's condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It runs and answers as it should.
    Healthy {
        /// Its role, where it has one.
        role: Option<String>,
    },
    /// It runs and does not answer as it should.
    Unhealthy {
        /// Why.
        why: String,
    },
    /// Its process is stopped.
    Frozen,
    /// Its process ended.
    Exited {
        /// How.
        how: String,
        /// Since the lab's start, in milliseconds.
        at_ms: u64,
    },
    /// It was never started.
    NotStarted,
}

/// A part, as reported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub kind: PartKind,
    /// Its process id in the lab; none if it does not run.
    pub pid: Option<i32>,
    /// Its condition.
    pub health: Health,
    /// Processes it consists of.
    pub processes: usize,
    /// Their share of memory (PSS), in bytes.
    pub memory_bytes: u64,
    /// CPU time they have used, in milliseconds; a process that ended takes its own along.
    pub cpu_ms: u64,
    /// CPU they used since the status before this (or the lab's start), in percent of one core; none if that was
    /// less than a second ago, too short for a clock of 10 ms.
    pub cpu_percent: Option<f64>,
}

/// A lab, as reported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Since its start, in milliseconds.
    pub up_ms: u64,
    /// Faults in force.
    pub faults: Vec<String>,
    /// Its parts.
    pub parts: Vec<PartStatus>,
    /// All processes, with the supervisor's own.
    pub processes: usize,
    /// Their share of memory (PSS), in bytes.
    pub memory_bytes: u64,
    /// Used room of the nodes' memory disks, in bytes: the part of it that is mapped is in `memory_bytes` too.
    pub disk_bytes: u64,
    /// CPU all used since the status before this, in percent of one core.
    pub cpu_percent: Option<f64>,
}

/// Looks at everything; the probes run side by side, so this takes as long as the slowest, 2 s at most.
#[must_use]
pub fn observe(world: &Arc<World>) -> Status {
    let slots: Vec<Slot> = world.state().slots.values().cloned().collect();
    let probes: Vec<_> = slots
        .iter()
        .map(|slot| {
            let probe = slot.part.probe.clone();
            matches!(slot.run, Run::Running { .. }).then(|| std::thread::spawn(move || probe.ask()))
        })
        .collect();
    let processes = proc::all();
    let owners = proc::owners(&processes, &world.roots(), &world.homes());
    let frozen: HashMap<i32, bool> = processes.iter().map(|p| (p.pid, p.state == 'T')).collect();
    let mut parts: Vec<PartStatus> = Vec::new();
    for (slot, probe) in slots.into_iter().zip(probes) {
        let own: Vec<_> = processes.iter().filter(|p| owners.get(&p.pid) == Some(&slot.part.name)).collect();
        let health = match (&slot.run, probe.map(std::thread::JoinHandle::join)) {
            (Run::NotStarted, _) => Health::NotStarted,
            (Run::Exited { how, at_ms }, _) => Health::Exited { how: how.clone(), at_ms: *at_ms },
            (Run::Running { pid }, _) if frozen.get(pid) == Some(&true) => Health::Frozen,
            (Run::Running { .. }, Some(Ok(Ok(role)))) => Health::Healthy { role },
            (Run::Running { .. }, Some(Ok(Err(why)))) => Health::Unhealthy { why: format!("{why:#}") },
            (Run::Running { .. }, Some(Err(_)) | None) => Health::Unhealthy { why: "not asked".to_owned() },
        };
        parts.push(PartStatus {
            pid: match slot.run {
                Run::Running { pid } => Some(pid),
                Run::NotStarted | Run::Exited { .. } => None,
            },
            health,
            processes: own.len(),
            memory_bytes: own.iter().map(|p| proc::memory_bytes(p.pid)).sum(),
            cpu_ms: own.iter().map(|p| p.cpu_ms).sum(),
            cpu_percent: None,
            name: slot.part.name,
            place: slot.part.place,
            kind: slot.part.kind,
        });
    }
    let cpu_percent = add_cpu_percent(world, &mut parts);
    let unowned =
        processes.iter().filter(|p| !owners.contains_key(&p.pid)).map(|p| proc::memory_bytes(p.pid));
    let state = world.state();
    Status {
        name: world.plan.name.clone(),
        up_ms: world.now_ms(),
        faults: state.faults.iter().map(crate::fault::Fault::describe).collect(),
        processes: processes.len(),
        memory_bytes: parts.iter().map(|part| part.memory_bytes).sum::<u64>() + unowned.sum::<u64>(),
        disk_bytes: disk_bytes(&parts),
        cpu_percent,
        parts,
    }
}

/// Shortest time over which CPU use is told: a hundred ticks.
const CPU_WINDOW_MIN: Duration = Duration::from_secs(1);

#[expect(clippy::cast_precision_loss, reason = "milliseconds of CPU time stay far below 2^52")]
fn add_cpu_percent(world: &World, parts: &mut [PartStatus]) -> Option<f64> {
    let now = Instant::now();
    let mut state = world.state();
    let (since, before) = state.last_cpu.clone().unwrap_or_else(|| (world.started, HashMap::new()));
    if now - since < CPU_WINDOW_MIN {
        return None;
    }
    state.last_cpu = Some((now, parts.iter().map(|part| (part.name.clone(), part.cpu_ms)).collect()));
    drop(state);
    let elapsed_ms = (now - since).as_secs_f64() * 1000.0;
    let mut total = 0.0;
    for part in &mut *parts {
        // Less than before: a process that had used it has ended.
        let spent = part.cpu_ms.saturating_sub(before.get(&part.name).copied().unwrap_or(0));
        let percent = spent as f64 / elapsed_ms * 100.0;
        part.cpu_percent = Some(percent);
        total += percent;
    }
    Some(total)
}

fn disk_bytes(parts: &[PartStatus]) -> u64 {
    parts
        .iter()
        .filter(|part| part.kind == PartKind::Node)
        .filter_map(|part| {
            let at = std::path::Path::new(crate::layout::INSIDE).join("data").join(&part.name);
            let disk = rustix::fs::statvfs(at).ok()?;
            Some((disk.f_blocks - disk.f_bfree) * disk.f_frsize)
        })
        .sum()
}
