//! The start of a lab: folders, network, then the parts, each as soon as what it needs is there.
//!
//! The order, and why: the first region's database leads, since the second is copied from it; load balancers and name
//! servers are there before anyone asks them; applications wait by themselves until their database answers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::assets::buckets;
use crate::control::Reply;
use crate::enter::Privilege;
use crate::layout::{self, INSIDE};
use crate::net;
use crate::part::PartKind;
use crate::plan::{LabMode, LabPlan, Place, Region};
use crate::probe::{self, Probe};
use crate::world::{Run, World};

/// A lab is healthy in 10 s on two idle cores; ten times that on a machine that builds and tests meanwhile is still a
/// start, more is a fault.
const START_MAX: Duration = Duration::from_secs(100);
/// Room for a node's data: WAL is bounded to 400 MB by configuration, the data itself is some 60 MB.
pub const NODE_DISK: &str = "768m";

/// Makes the lab's own view of the file system. Everything is in this process's mount namespace, and goes with it.
///
/// # Errors
/// When a mount is refused.
pub fn mounts(plan: &LabPlan, venv: &Path, bin: &Path, privilege: Privilege) -> anyhow::Result<()> {
    // The system's resolver file may be a link into /run, which is about to be hidden; the parts' own is put over it.
    let resolver = std::fs::canonicalize("/etc/resolv.conf").ok().filter(|path| path.starts_with("/run"));
    let mut script = String::from("set -e\n");
    // Folders are bound while /run is still the machine's, then moved into the new one.
    script.push_str("hold=$(mktemp -d)\nmount -t tmpfs -o size=1m,mode=755 bascule \"$hold\"\n");
    script.push_str("mkdir \"$hold/lab\" \"$hold/venv\" \"$hold/bin\"\n");
    script.push_str("mount --bind \"$1\" \"$hold/lab\"\nmount --bind \"$2\" \"$hold/venv\"\nmount --bind \"$3\" \"$hold/bin\"\n");
    script.push_str("mount -t tmpfs -o size=16m,mode=755 bascule /run\n");
    script.push_str(&format!("mkdir -p {INSIDE}/lab {INSIDE}/venv {INSIDE}/bin {INSIDE}/data /run/netns\n"));
    script.push_str(&format!(
        "for at in lab venv bin; do mount --bind \"$hold/$at\" {INSIDE}/$at; umount \"$hold/$at\"; done\n"
    ));
    script.push_str("umount \"$hold\"; rmdir \"$hold\"\n");
    if let Some(path) = resolver {
        script.push_str(&format!("mkdir -p \"$(dirname {0})\"; : >{0}\n", path.display()));
    }
    let _ = writeln!(script, "mount --bind {INSIDE}/lab/data {INSIDE}/data");
    for host in Place::ALL.into_iter().flat_map(|place| plan.hosts_of(place)) {
        let at = layout::data(&host);
        let at = at.display();
        match (plan.node(&host.name), privilege) {
            // Memory, so that it can be full without filling the machine's disk.
            (Ok(_), _) => {
                let owner = privilege.mount_owner();
                let options = format!("size={NODE_DISK},mode=700{owner}");
                let _ = writeln!(script, "mkdir {at}; mount -t tmpfs -o {options} bascule {at}");
            }
            (Err(_), Privilege::Root { uid, gid }) => {
                let _ = writeln!(script, "mkdir -m 700 {at}; chown {uid}:{gid} {at}");
            }
            (Err(_), Privilege::User) => {
                let _ = writeln!(script, "mkdir -m 700 {at}");
            }
        }
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .args([plan.dir.as_path(), venv, bin])
        .output()
        .context("run sh")?;
    anyhow::ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Makes the network.
///
/// # Errors
/// When a command is refused.
pub fn network(plan: &LabPlan) -> anyhow::Result<()> {
    net::feed(&["sh"], &net::setup_script(plan)).context("make the network")
}

/// Starts every part and waits until the whole lab is healthy; gives up as soon as a part ends.
///
/// # Errors
/// When a part ends, or is not healthy in time.
pub fn start(world: &Arc<World>) -> anyhow::Result<()> {
    let (sender, finished) = std::sync::mpsc::channel();
    {
        let world = Arc::clone(world);
        std::thread::spawn(move || sender.send(start_in_order(&world)));
    }
    loop {
        match finished.recv_timeout(Duration::from_millis(200)) {
            Ok(result) => return result,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => world.all_live()?,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the starting thread panicked")
            }
        }
    }
}

fn start_in_order(world: &Arc<World>) -> anyhow::Result<()> {
    let plan = &world.plan;
    let (first, second) = (&plan.regions[0], &plan.regions[1]);
    let names = |wanted: &dyn Fn(PartKind, Place) -> bool| named(world, wanted);
    let start_all = |names: Vec<String>| names.iter().try_for_each(|name| world.start(name));

    start_all(names(&|kind, _| kind == PartKind::Dcs))?;
    start_all(names(&|kind, place| kind == PartKind::Node && place == first.place))?;
    // Nothing is copied into a bucket that is still to be made.
    let later = [PartKind::Dcs, PartKind::Node, PartKind::StorageSync];
    start_all(names(&|kind, _| !later.contains(&kind)))?;
    let buckets = plan.assets.clone().map(|assets| {
        let world = Arc::clone(world);
        std::thread::spawn(move || {
            buckets::make(&world, &assets)?;
            named(&world, &|kind, _| kind == PartKind::StorageSync)
                .iter()
                .try_for_each(|name| world.start(name))
        })
    });
    let watchers = watch_all(world);

    leader(world, first)?;
    open_gates(world, first, second)?;
    world.note(format!("{} leads; its gate is open for epoch 1", first.place.name()));
    if plan.mode != LabMode::Manual {
        // The keepers wait for a tenure, and the gate for them.
        world.wait("found the site", START_MAX, || world.operate("found"))?;
        // If that was not the first attempt it set no gate.
        world.wait("set the gates", START_MAX, || world.operate("open"))?;
        world.note("the site is founded");
    }
    start_all(names(&|kind, place| kind == PartKind::Node && place == second.place))?;
    if plan.with_app {
        world.wait("create the application's tables", START_MAX, || {
            let (status, body) = probe::post(first.apps[0].address, plan.ports.app, "/init")?;
            anyhow::ensure!((200..300).contains(&status), "POST /init answers {status}: {}", body.trim());
            Ok(())
        })?;
        world.note("the application's tables are there");
    }
    if let Some(buckets) = buckets {
        buckets.join().map_err(|_| anyhow::anyhow!("the thread that makes the buckets panicked"))??;
    }
    for watcher in watchers {
        watcher.join().map_err(|_| anyhow::anyhow!("a watching thread panicked"))??;
    }
    Ok(())
}

/// Names of the parts that are wanted.
fn named(world: &World, wanted: &dyn Fn(PartKind, Place) -> bool) -> Vec<String> {
    let state = world.state();
    let chosen = state.slots.values().filter(|slot| wanted(slot.part.kind, slot.part.place));
    chosen.map(|slot| slot.part.name.clone()).collect()
}

type Watcher = std::thread::JoinHandle<anyhow::Result<()>>;

/// One thread a part, which tells when it is healthy for the first time.
fn watch_all(world: &Arc<World>) -> Vec<Watcher> {
    let parts: Vec<_> = world.state().slots.values().map(|slot| slot.part.clone()).collect();
    parts
        .into_iter()
        .map(|part| {
            let world = Arc::clone(world);
            std::thread::spawn(move || {
                let role = world.wait(&part.name, START_MAX, || {
                    // Half of these threads ask Patroni, whose answers cost CPU that the start needs.
                    let pause = if part.kind == PartKind::Node { 250 } else { 50 };
                    std::thread::sleep(Duration::from_millis(pause));
                    ask(&world, &part.name, &part.probe)
                })?;
                world.tell(Reply::Healthy { part: part.name, at_ms: world.now_ms(), role });
                Ok(())
            })
        })
        .collect()
}

fn ask(world: &World, name: &str, probe: &Probe) -> anyhow::Result<Option<String>> {
    let run = world.state().slots.get(name).map(|slot| slot.run.clone());
    match run {
        Some(Run::Running { .. }) => probe.ask(),
        Some(Run::Exited { how, .. }) => anyhow::bail!("it ended: {how} (see log/{name}.log)"),
        Some(Run::NotStarted) | None => anyhow::bail!("it has not been started"),
    }
}

/// Waits until the region's load balancer sends replication to a leader.
fn leader(world: &World, region: &Region) -> anyhow::Result<()> {
    let ports = &world.plan.ports;
    world.wait("the first region's leader", START_MAX, || {
        let answer = probe::runtime(region.lb.address, ports.haproxy_runtime, "show stat -1 4 -1")?;
        // Column 1 is the proxy, column 18 the server's state (HAProxy management guide, section 9.1).
        let up =
            answer.lines().any(|line| line.starts_with("repl,") && line.split(',').nth(17) == Some("UP"));
        anyhow::ensure!(
            up,
            "no node of {} leads (see log/{}.log)",
            region.place.name(),
            region.nodes[0].name
        );
        Ok(())
    })
}

/// Opens the first region's gate for epoch 1 and lets the second pass its clients on. Only a lab that has never been
/// used does this: any later change is an operation's.
fn open_gates(world: &World, active: &Region, standby: &Region) -> anyhow::Result<()> {
    for (region, value) in [(active, "local"), (standby, "remote")] {
        set_gate(&world.plan, region, value, 1)?;
    }
    Ok(())
}

/// Sets a region's gate and the epoch it was set for.
///
/// # Errors
/// When the load balancer does not take it.
pub fn set_gate(plan: &LabPlan, region: &Region, value: &str, epoch: u64) -> anyhow::Result<()> {
    let map = layout::data(&region.lb).join("gate.map");
    let map = map.display();
    // One connection: both keys change within the same millisecond.
    let command = format!("set map {map} epoch {epoch}; set map {map} db {value}");
    let answer = probe::runtime(region.lb.address, plan.ports.haproxy_runtime, &command)?;
    anyhow::ensure!(answer.trim().is_empty(), "set the gate of {}: {}", region.place.name(), answer.trim());
    Ok(())
}
