//! What the commands do: start a lab and watch it, ask it, break it, end it.

use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::control::{Reply, Request, call, connect};
use crate::layout;
use crate::plan::{LabMode, LabPlan};

/// How long the supervisor may take to listen: it does so before anything else.
const LISTEN_MAX: Duration = Duration::from_secs(10);
/// How long the kernel may take to end a hundred processes.
const END_MAX: Duration = Duration::from_secs(10);

/// What a new lab is to be.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// Its folder; made if it is not there.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// The Python environment with Patroni.
    pub venv: PathBuf,
    /// Whether the application runs.
    pub with_app: bool,
    /// Who decides on a move.
    pub mode: LabMode,
    /// Whether the site is whole: with object storage, monitoring, the repository and key pairs.
    pub whole: bool,
}

/// Starts a lab and returns its plan when it is healthy; `each` is told what happens meanwhile.
///
/// # Errors
/// When one runs there already, something is not installed, or it does not become healthy; what was started is ended.
pub fn up(options: &UpOptions, mut each: impl FnMut(&Reply)) -> anyhow::Result<LabPlan> {
    check_installed(options)?;
    let dir = make_folder(&options.dir)?;
    let plan = LabPlan { with_app: options.with_app, ..LabPlan::new(&options.name, &dir) };
    let plan = plan.decided_by(options.mode);
    let plan = if options.whole { plan.whole() } else { plan };
    let text = serde_json::to_string_pretty(&plan).context("write lab.json")?;
    std::fs::write(dir.join("lab.json"), text + "\n").context("write lab.json")?;
    spawn(&dir, &options.venv)?;
    let begun = Instant::now();
    while connect(&dir).is_err() {
        if begun.elapsed() > LISTEN_MAX || !alive(&dir) {
            let log = std::fs::read_to_string(dir.join("log/supervisor.log")).unwrap_or_default();
            down(&dir, true)?;
            anyhow::bail!("the lab did not start: {}", log.trim());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    match call(&dir, &Request::Watch, &mut each) {
        Ok(ready) => {
            each(&ready);
            Ok(plan)
        }
        Err(error) => {
            down(&dir, true)?;
            Err(error
                .context(format!("the lab did not become healthy; its logs are in {}/log", dir.display())))
        }
    }
}

fn check_installed(options: &UpOptions) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    let app = own.with_file_name("events-app");
    anyhow::ensure!(
        !options.with_app || app.exists(),
        "{} is not there; build it with `cargo build -p events-app`",
        app.display()
    );
    let tool = |name: &str| options.venv.join("bin").join(name);
    let mut needed: Vec<PathBuf> = [
        "/usr/lib/postgresql/15/bin/postgres",
        "/usr/bin/etcd",
        "/usr/sbin/haproxy",
        "/usr/sbin/pgbouncer",
        "/usr/sbin/knotd",
        "/usr/sbin/nft",
        "/usr/bin/nsenter",
    ]
    .map(PathBuf::from)
    .into();
    needed.push(tool("patroni"));
    if options.whole {
        let programs =
            ["/usr/bin/prometheus", "/usr/lib/git-core/git-daemon", "/usr/bin/ssh-keygen", "/usr/bin/curl"];
        needed.extend(programs.map(PathBuf::from));
        needed.push(tool("weed"));
    }
    let missing: Vec<_> = needed.into_iter().filter(|path| !path.exists()).collect();
    anyhow::ensure!(
        missing.is_empty(),
        "not installed: {missing:?}; `make setup` installs what the lab needs"
    );
    Ok(())
}

/// An empty folder for the lab; what a dead one left there is removed.
fn make_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o755).create(dir).with_context(|| format!("make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
    if alive(&dir) {
        anyhow::bail!("a lab runs in {} already (end it with `bascule lab down`)", dir.display());
    }
    if dir.join("lab.json").exists() {
        remove_files(&dir)?;
    } else {
        let empty = std::fs::read_dir(&dir).context("read the folder")?.next().is_none();
        anyhow::ensure!(empty, "{} is not empty and no lab's folder", dir.display());
    }
    for (folder, mode) in [("conf", 0o711), ("secrets", 0o711), ("log", 0o755), ("data", 0o711)] {
        builder.mode(mode).create(dir.join(folder)).with_context(|| format!("make {folder}"))?;
    }
    Ok(dir)
}

/// Starts the supervisor, in a session of its own and in namespaces of its own.
fn spawn(dir: &Path, venv: &Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    let venv = venv.canonicalize().with_context(|| format!("find {}", venv.display()))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(dir.join("log/supervisor.log"))
        .context("open the supervisor's log")?;
    let rootless = !rustix::process::geteuid().is_root();
    let mut command = Command::new("setsid");
    command.args(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    if rootless {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--").arg(own).args(["lab", "supervise", "--dir"]).arg(dir).arg("--venv").arg(venv);
    if rootless {
        command.arg("--rootless");
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the log")?)
        .stderr(log)
        .current_dir(dir)
        .spawn()
        .context("run setsid")?;
    let start = start_time(child.id()).context("the supervisor ended at once; see log/supervisor.log")?;
    std::fs::write(dir.join(layout::PID_FILE), format!("{} {start}\n", child.id()))
        .context("write the pid file")?;
    // It is this process's child until this process ends; nobody waits for it, and `alive` knows zombies.
    drop(child);
    Ok(())
}

/// The start time of a process, which together with its id names it for good (proc(5), field 22).
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The outermost process of the lab in `dir`, if it lives.
fn outermost(dir: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(dir.join(layout::PID_FILE)).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    let pid: u32 = pid.parse().ok()?;
    let start: u64 = start.parse().ok()?;
    if start_time(pid)? != start {
        return None;
    }
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether a lab runs in `dir`.
#[must_use]
pub fn alive(dir: &Path) -> bool {
    outermost(dir).is_some()
}

/// Ends the lab in `dir`, and removes its files unless `keep`. A lab that is dead already leaves only its files.
///
/// # Errors
/// When there is none, or its processes do not end.
pub fn down(dir: &Path, keep: bool) -> anyhow::Result<()> {
    LabPlan::load(dir)?;
    let dir = &dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
    if let Some(pid) = outermost(dir) {
        let lab = pidfd_open(pid, PidfdFlags::empty()).context("find the lab's process")?;
        let visitors = visitors(dir);
        if call(dir, &Request::Down, |_| {}).is_err() {
            // It does not answer: the kernel ends every process of the lab with the outermost one.
            pidfd_send_signal(&lab, Signal::KILL).context("end the lab")?;
        }
        wait_end(dir)?;
        for visitor in visitors {
            // Gone already, most likely.
            let _ = pidfd_send_signal(&visitor, Signal::KILL);
        }
    }
    if keep {
        for file in [layout::CONTROL_SOCKET, layout::PID_FILE] {
            let _ = std::fs::remove_file(dir.join(file));
        }
        return Ok(());
    }
    remove_files(dir)?;
    std::fs::remove_dir(dir).with_context(|| format!("remove {} (what a lab writes is gone)", dir.display()))
}

fn wait_end(dir: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    while alive(dir) {
        anyhow::ensure!(begun.elapsed() < END_MAX, "the lab's processes do not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Processes that entered the lab's places from outside (`lab exec`), which the kernel does not end with it.
fn visitors(dir: &Path) -> Vec<rustix::fd::OwnedFd> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let Ok(socket) = connect(dir) else { return Vec::new() };
    let Ok(peer) = rustix::net::sockopt::socket_peercred(socket.as_fd()) else { return Vec::new() };
    let root = format!("/proc/{}/root/run/netns", peer.pid.as_raw_nonzero());
    let Ok(places) = std::fs::read_dir(root) else { return Vec::new() };
    let networks: Vec<u64> =
        places.flatten().filter_map(|entry| Some(entry.metadata().ok()?.ino())).collect();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|net| networks.contains(&net.ino()))
        })
        .filter_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok())
        .collect()
}

/// What a lab and the operations on it write: the plan last, since it marks the folder as a lab's.
const FOLDERS: [&str; 5] = ["conf", "secrets", "log", "data", "reports"];
const FILES: [&str; 7] = [
    layout::CONTROL_SOCKET,
    layout::PID_FILE,
    "bascule.toml",
    "bascule.db",
    "bascule.db-wal",
    "bascule.db-shm",
    "lab.json",
];

/// Removes what a lab wrote, and nothing else: a folder given by mistake keeps what is in it.
fn remove_files(dir: &Path) -> anyhow::Result<()> {
    let folders = FOLDERS.iter().map(|name| (name, std::fs::remove_dir_all(dir.join(name))));
    let files = FILES.iter().map(|name| (name, std::fs::remove_file(dir.join(name))));
    for (name, result) in folders.chain(files) {
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {name}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
