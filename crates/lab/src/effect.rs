//! Faults made and undone, in the running lab.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;

use crate::boot::NODE_DISK;
use crate::fault::Fault;
use crate::layout;
use crate::net;
use crate::part::{PartKind, slow_link};
use crate::plan::{Host, Place, Region};
use crate::probe;
use crate::proc;
use crate::world::{Run, World};

/// A process that forks while it is looked at is met in the next round, and a killed one is collected within milliseconds;
/// this is for a machine with much else to do.
const EXIT_MAX: Duration = Duration::from_secs(5);

/// Makes a fault. A fault that is in force already is made again.
///
/// # Errors
/// When it can't be made; then it is not in force, but for what the message says.
pub fn make(world: &Arc<World>, fault: &Fault) -> anyhow::Result<String> {
    let _one = world.breaking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let told = match fault {
        Fault::RegionLoss { region } => lose_region(world, *region)?,
        Fault::RegionFreeze { region } => freeze_region(*region)?,
        Fault::NodeLoss { node } => lose_part(world, node)?,
        Fault::PartLoss { part } => lose_part(world, part)?,
        Fault::PartFreeze { part } => {
            let n = signal_part(world, part, Signal::STOP, &['T', 'Z'])?;
            format!("{n} processes stopped")
        }
        Fault::DbCrash { region } => crash_leader(world, *region)?,
        Fault::Partition(_) => {
            let mut faults = world.state().faults.clone();
            faults.push(fault.clone());
            net::load_rules(None, &net::router_rules(&world.plan, &faults))?;
            "packets are dropped".to_owned()
        }
        Fault::SlowLink { delay_ms } => slow_down(world, *delay_ms)?,
        Fault::DiskFull { node } => fill_disk(world, node)?,
    };
    let mut state = world.state();
    if let Fault::SlowLink { .. } = fault {
        state.faults.retain(|other| !matches!(other, Fault::SlowLink { .. }));
    }
    // A crash is over when it has happened: there is nothing to undo.
    if !matches!(fault, Fault::DbCrash { .. }) && !state.faults.contains(fault) {
        state.faults.push(fault.clone());
    }
    drop(state);
    world.note(format!("fault: {}", fault.describe()));
    Ok(format!("{}: {told}", fault.describe()))
}

/// Undoes all faults, or those that concern `region`; starts again what they ended. A region that was lost comes back
/// with its gate closed.
///
/// # Errors
/// When one can't be undone; those before it in the order they were made are.
pub fn heal(world: &Arc<World>, region: Option<Place>) -> anyhow::Result<String> {
    let _one = world.breaking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (undo, keep): (Vec<_>, Vec<_>) = world
        .state()
        .faults
        .clone()
        .into_iter()
        .partition(|fault| region.is_none_or(|place| fault.concerns(place)));
    if undo.is_empty() {
        return Ok("there was nothing to heal".to_owned());
    }
    net::load_rules(None, &net::router_rules(&world.plan, &keep))?;
    for fault in &undo {
        match fault {
            Fault::RegionLoss { region } => {
                net::set_link(*region, true)?;
                restart(world, |_, place| place == *region)?;
            }
            Fault::RegionFreeze { region } => {
                for pid in proc::in_place(*region)? {
                    proc::signal(pid, Signal::CONT)?;
                }
            }
            Fault::NodeLoss { node: part } | Fault::PartLoss { part } => {
                restart(world, |name, _| name == part)?;
            }
            Fault::PartFreeze { part } => {
                for process in processes_of(world, part) {
                    proc::signal(process.pid, Signal::CONT)?;
                }
            }
            Fault::SlowLink { .. } => speed_up(world)?,
            Fault::DiskFull { node } => {
                let (_, host) = world.plan.node(node)?;
                resize(host, NODE_DISK)?;
            }
            // Their rules were loaded above; a crash is undone by Patroni.
            Fault::Partition(_) | Fault::DbCrash { .. } => {}
        }
        world.state().faults.retain(|other| other != fault);
    }
    let healed: Vec<_> = undo.iter().map(Fault::describe).collect();
    world.note(format!("healed: {}", healed.join(", ")));
    Ok(format!("healed: {}", healed.join(", ")))
}

/// Signals processes until a round meets `left` none that do not heed it yet.
fn signal_all(
    what: &str,
    signal: Signal,
    left: impl Fn() -> anyhow::Result<Vec<i32>>,
) -> anyhow::Result<usize> {
    let mut met = std::collections::HashSet::new();
    let begun = Instant::now();
    let mut all = || -> anyhow::Result<()> {
        while begun.elapsed() < EXIT_MAX {
            let left = left()?;
            if left.is_empty() {
                return Ok(());
            }
            for pid in left {
                proc::signal(pid, signal)?;
                met.insert(pid);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        anyhow::bail!("processes of {what} do not take the signal")
    };
    let heeded = all();
    // What is not recorded is not healed.
    if heeded.is_err() && signal == Signal::STOP {
        met.iter().try_for_each(|pid| proc::signal(*pid, Signal::CONT))?;
    }
    heeded.map(|()| met.len())
}

/// The line first: no peer may hear a connection being closed, as none does when a region loses its power.
fn lose_region(world: &World, region: Place) -> anyhow::Result<String> {
    net::set_link(region, false)?;
    let n = signal_all(region.name(), Signal::KILL, || proc::in_place(region))?;
    names(world, |_, place| place == region).iter().try_for_each(|name| wait_exit(world, name))?;
    Ok(format!("{n} processes killed, the line is cut"))
}

fn freeze_region(region: Place) -> anyhow::Result<String> {
    let n = signal_all(region.name(), Signal::STOP, || {
        let running: Vec<_> = proc::all().into_iter().filter(|process| process.state != 'T').collect();
        let of_region = proc::in_place(region)?.into_iter();
        Ok(of_region.filter(|pid| running.iter().any(|process| process.pid == *pid)).collect())
    })?;
    Ok(format!("{n} processes stopped"))
}

/// A part and all that it started.
fn processes_of(world: &World, part: &str) -> Vec<proc::Process> {
    let mut processes = proc::all();
    let owners = proc::owners(&processes, &world.roots(), &world.homes());
    processes.retain(|process| owners.get(&process.pid).is_some_and(|owner| owner == part));
    processes
}

/// Signals a part until none of its processes is in a state but these.
fn signal_part(world: &World, part: &str, signal: Signal, heeded: &[char]) -> anyhow::Result<usize> {
    signal_all(part, signal, || {
        let processes = processes_of(world, part).into_iter();
        Ok(processes.filter(|process| !heeded.contains(&process.state)).map(|process| process.pid).collect())
    })
}

fn lose_part(world: &World, part: &str) -> anyhow::Result<String> {
    let n = signal_part(world, part, Signal::KILL, &['Z'])?;
    wait_exit(world, part)?;
    Ok(format!("{n} processes killed"))
}

fn crash_leader(world: &World, region: Place) -> anyhow::Result<String> {
    let region = world.plan.region(region)?;
    let node = leader_of(world, region)?;
    let pid = proc::postmaster(&layout::pgdata(node))?;
    proc::signal(pid, Signal::KILL)?;
    Ok(format!("postmaster {pid} of {} killed", node.name))
}

fn leader_of<'a>(world: &World, region: &'a Region) -> anyhow::Result<&'a Host> {
    region
        .nodes
        .iter()
        .find(|node| {
            probe::get(node.address, world.plan.ports.patroni, "/leader")
                .is_ok_and(|(status, _)| status == 200)
        })
        .with_context(|| format!("no node of {} leads", region.place.name()))
}

fn slow_down(world: &Arc<World>, delay_ms: u64) -> anyhow::Result<String> {
    speed_up(world)?;
    for region in &world.plan.regions {
        let part = slow_link(&world.plan, region, delay_ms);
        let name = part.name.clone();
        world.add(part);
        world.start(&name)?;
        let ask = world.state().slots.get(&name).map(|slot| slot.part.probe.clone());
        if let Some(probe) = ask {
            world.wait(&name, EXIT_MAX, || probe.ask())?;
        }
        net::load_rules(Some(region.place), &net::slow_rules(&world.plan, region))?;
    }
    Ok(format!("{delay_ms} ms more each way on replication and on clients passed on"))
}

fn speed_up(world: &Arc<World>) -> anyhow::Result<()> {
    for region in &world.plan.regions {
        net::load_rules(Some(region.place), net::FAST_RULES)?;
    }
    let proxies: Vec<_> = {
        let state = world.state();
        state.slots.values().filter(|slot| slot.part.kind == PartKind::SlowLink).cloned().collect()
    };
    for slot in proxies {
        if let Run::Running { pid } = slot.run {
            proc::signal(pid, Signal::KILL)?;
        }
        wait_exit(world, &slot.part.name)?;
        world.remove(&slot.part.name);
    }
    Ok(())
}

fn fill_disk(world: &World, node: &str) -> anyhow::Result<String> {
    let (_, host) = world.plan.node(node)?;
    // Shrunk to what is used: full without writing anything. The node may write meanwhile, then it is tried again.
    let used = world.wait("shrink the disk", EXIT_MAX, || {
        let disk = rustix::fs::statvfs(layout::data(host)).context("look at the disk")?;
        let used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
        resize(host, &used.to_string())?;
        Ok(used)
    })?;
    Ok(format!("its disk ends at the {used} bytes it has used"))
}

fn resize(host: &Host, size: &str) -> anyhow::Result<()> {
    let at = layout::data(host);
    let output = Command::new("mount")
        // With the source named, mount(8) adds none of the old options: among them is an owner's number, which means
        // nothing in a user namespace.
        .args(["-o", &format!("remount,size={size}"), "bascule"])
        .arg(&at)
        .output()
        .context("run mount")?;
    anyhow::ensure!(
        output.status.success(),
        "resize the disk of {}: {}",
        host.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Starts what ended.
fn restart(world: &Arc<World>, wanted: impl Fn(&str, Place) -> bool) -> anyhow::Result<()> {
    names(world, wanted).iter().try_for_each(|name| world.start(name))
}

/// Waits until the supervisor knows of an exit that was caused, so that whoever asks next is told of it.
fn wait_exit(world: &World, name: &str) -> anyhow::Result<()> {
    world.wait(name, EXIT_MAX, || {
        let running =
            world.state().slots.get(name).is_some_and(|slot| matches!(slot.run, Run::Running { .. }));
        anyhow::ensure!(!running, "its exit is not recorded yet");
        Ok(())
    })
}

/// Names of the parts that are wanted.
fn names(world: &World, wanted: impl Fn(&str, Place) -> bool) -> Vec<String> {
    let state = world.state();
    let chosen = state.slots.values().filter(|slot| wanted(&slot.part.name, slot.part.place));
    chosen.map(|slot| slot.part.name.clone()).collect()
}
