//! What the kernel tells about the lab's processes. `/proc` is the lab's own: every process in it is the lab's.
//!
//! The race: a process may go while it is looked at. Whatever can't be read any more is left out.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::plan::Place;

/// Length of a tick in `/proc/PID/stat`, in milliseconds (USER_HZ is 100 on Linux; proc(5)).
const TICK_MS: u64 = 10;

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id, in the lab.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// State letter: `T` is stopped, `Z` a zombie.
    pub state: char,
    /// CPU time it has used, in milliseconds.
    pub cpu_ms: u64,
}

/// Every process of the lab.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}

fn read(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; what follows the last one is numbers (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
        cpu_ms: (number(11)? + number(12)?) * TICK_MS,
    })
}

/// A process's share of memory (PSS), in bytes; nothing if it is gone.
#[must_use]
pub fn memory_bytes(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Ids of the processes in a place's network.
///
/// # Errors
/// When the place has no network.
pub fn in_place(place: Place) -> anyhow::Result<Vec<i32>> {
    let id = |path: &str| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let wanted =
        id(&format!("/run/netns/{}", place.name())).with_context(|| format!("find {}", place.name()))?;
    Ok(all()
        .into_iter()
        .filter(|process| process.state != 'Z')
        .map(|process| process.pid)
        .filter(|pid| id(&format!("/proc/{pid}/ns/net")).is_ok_and(|found| found == wanted))
        .collect())
}

/// The processes that `roots` started, directly or not, and those that work in one of the folders of `homes`
/// (Patroni's postmaster leaves its parent): each with the name it belongs to.
#[must_use]
pub fn owners(
    processes: &[Process],
    roots: &HashMap<i32, String>,
    homes: &HashMap<std::path::PathBuf, String>,
) -> HashMap<i32, String> {
    let parents: HashMap<i32, i32> = processes.iter().map(|process| (process.pid, process.parent)).collect();
    let by_root = |pid: i32| {
        let mut at = pid;
        // A chain is no longer than there are processes.
        for _ in 0..processes.len() {
            if let Some(name) = roots.get(&at) {
                return Some(name.clone());
            }
            at = *parents.get(&at)?;
        }
        None
    };
    let by_home = |pid: i32| {
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        homes.get(&cwd).cloned()
    };
    processes
        .iter()
        .filter_map(|process| Some((process.pid, by_root(process.pid).or_else(|| by_home(process.pid))?)))
        .collect()
}

/// The postmaster's id, by its own file.
///
/// # Errors
/// When PostgreSQL does not run there.
pub fn postmaster(pgdata: &Path) -> anyhow::Result<i32> {
    let path = pgdata.join("postmaster.pid");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).context("no process id in it")?;
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).context("PostgreSQL does not run")?;
    anyhow::ensure!(cwd == pgdata, "PostgreSQL does not run: process {pid} is something else");
    Ok(pid)
}

/// Sends a signal; a process that is gone is no error.
///
/// # Errors
/// When the signal is not permitted.
pub fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    let id = Pid::from_raw(pid).context("not a process id")?;
    match kill_process(id, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("signal process {pid}")),
    }
}
