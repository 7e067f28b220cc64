//! The supervisor: process 1 of the lab's own process namespace, and its one child that does the work.
//!
//! Process 1 only collects the dead and ends when its child does; when it ends, however it ends, the kernel kills
//! every process of the namespace, also postmasters that Patroni let go. The child so is free to wait for its own
//! children by the ordinary means.

use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{WaitOptions, wait};

use crate::assets::keys;
use crate::config::{self, hosts};
use crate::control::{Reply, Request, receive, send};
use crate::effect;
use crate::enter::Privilege;
use crate::layout;
use crate::part;
use crate::plan::{LabPlan, Place};
use crate::secrets::{Secrets, write_private};
use crate::world::World;
use crate::{boot, status};

/// Requests served side by side; a person has one, a test a few.
const REQUESTS_MAX: usize = 32;
/// A request is one line, sent at once.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// A log that grows over this is emptied: an hour of the chattiest part is under 1 MB.
const LOG_MAX: u64 = 32 * 1024 * 1024;

/// Process 1 of the lab in `dir`: starts this program again as its child and collects the dead.
///
/// # Errors
/// When the child can't be started.
pub fn init(dir: &Path, venv: &Path, rootless: bool) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(own);
    command.args(["lab", "supervise", "--child", "--dir"]).arg(dir).arg("--venv").arg(venv);
    if rootless {
        command.arg("--rootless");
    }
    let child = command.spawn().context("start the supervisor")?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get().cast_unsigned() == child.id() => {
                let code = status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                return Ok(ExitCode::from(code));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the supervisor"),
        }
    }
}

/// The supervisor proper: starts the lab, serves its control socket, returns when it is told to end.
///
/// # Errors
/// When the lab can't even be prepared; a start that fails later is told to whoever watches.
pub fn supervise(dir: &Path, venv: &Path, rootless: bool) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let plan = LabPlan::load(dir)?;
    let privilege = Privilege::detect(rootless)?;
    // Bound before anything slow, so that whoever started the lab can watch; the folder is the current one, since the
    // socket's whole path may be too long for an address.
    std::env::set_current_dir(dir).context("enter the lab's folder")?;
    let listener = UnixListener::bind(layout::CONTROL_SOCKET).context("bind the control socket")?;
    let world = World::new(plan.clone(), privilege, part::parts(&plan), started);
    let (end, ended) = std::sync::mpsc::channel();
    {
        let world = Arc::clone(&world);
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || serve(&world, &listener, &end))
            .context("start a thread")?;
    }
    let result = prepare(&plan, venv, privilege).and_then(|()| boot::start(&world));
    match result {
        Ok(()) => world.tell(Reply::Ready { at_ms: world.now_ms() }),
        Err(error) => {
            eprintln!("the lab did not start: {error:#}");
            world.tell(Reply::Failed(format!("{error:#}")));
        }
    }
    loop {
        match ended.recv_timeout(Duration::from_secs(10)) {
            Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(ExitCode::SUCCESS),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => bound_logs(),
        }
    }
}

fn prepare(plan: &LabPlan, venv: &Path, privilege: Privilege) -> anyhow::Result<()> {
    write_files(plan, privilege)?;
    let keys = plan.assets.as_ref().map(keys::make).transpose()?;
    let own = std::env::current_exe().context("find this program")?;
    let bin = own.parent().context("this program has no folder")?;
    boot::mounts(plan, venv, bin, privilege)?;
    if let Some(public) = keys {
        keys::install(plan, &public, privilege)?;
    }
    boot::network(plan)
}

fn write_files(plan: &LabPlan, privilege: Privilege) -> anyhow::Result<()> {
    let secrets = Secrets::draw()?;
    let (conf, private) = (plan.dir.join("conf"), plan.dir.join("secrets"));
    secrets.write(&private)?;
    for secret in crate::plan::Secret::ALL {
        privilege.give(&plan.secret_path(secret))?;
    }
    for place in Place::REGIONS {
        let copy = private.join(layout::app_secret_file(place));
        write_private(&copy, secrets.get(crate::plan::Secret::App))?;
        privilege.give(&copy)?;
    }
    let manifest = crate::manifest::manifest(plan)?.to_toml();
    std::fs::write(plan.dir.join(crate::manifest::FILE), manifest).context("write the manifest")?;
    // A keeper that moves the site by itself leaves its reports there.
    let reports = plan.dir.join("reports");
    std::fs::create_dir_all(&reports).context("make the folder of reports")?;
    privilege.give(&reports)?;
    let mut files = config::files(plan, &secrets);
    for place in Place::ALL {
        let text = hosts::resolv_conf(plan, place);
        files.push(config::ConfFile { name: format!("resolv-{}", place.name()), text });
    }
    for file in files {
        let path = conf.join(&file.name);
        write_private(&path, &file.text)?;
        let mode = match file.name.as_str() {
            // Read by every process of a place, whoever it runs as.
            name if name == "hosts" || name.starts_with("resolv-") => 0o644,
            "bootstrap.sh" => 0o700,
            _ => 0o600,
        };
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))
            .with_context(|| format!("set the mode of {}", path.display()))?;
        privilege.give(&path)?;
    }
    Ok(())
}

fn serve(world: &Arc<World>, listener: &UnixListener, end: &std::sync::mpsc::Sender<()>) {
    let active = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if active.fetch_add(1, Ordering::SeqCst) >= REQUESTS_MAX {
            active.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (world, end, counter) = (Arc::clone(world), end.clone(), Arc::clone(&active));
        std::thread::spawn(move || {
            // Whoever asked may be gone before the answer; then there is nobody to tell.
            let _ = answer(&world, stream, &end);
            counter.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn answer(world: &Arc<World>, stream: UnixStream, end: &std::sync::mpsc::Sender<()>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(REQUEST_PATIENCE)).context("set a time-out")?;
    stream.set_write_timeout(Some(REQUEST_PATIENCE)).context("set a time-out")?;
    let mut reader = BufReader::new(stream.try_clone().context("share the socket")?);
    let mut stream = stream;
    let Some(request) = receive::<Request>(&mut reader)? else { return Ok(()) };
    let reply = match request {
        Request::Watch => return watch(world, &mut stream),
        Request::Status => Reply::Status(Box::new(status::observe(world))),
        Request::Break(fault) => outcome(effect::make(world, &fault)),
        Request::Heal { region } => outcome(effect::heal(world, region)),
        Request::Down => {
            send(&mut stream, &Reply::Done("ending".to_owned()))?;
            return end.send(()).context("end");
        }
    };
    send(&mut stream, &reply)
}

fn outcome(result: anyhow::Result<String>) -> Reply {
    result.map_or_else(|error| Reply::Failed(format!("{error:#}")), Reply::Done)
}

/// Sends every event so far and to come, up to the one that ends the start.
fn watch(world: &World, stream: &mut UnixStream) -> anyhow::Result<()> {
    let mut seen = 0;
    loop {
        let events = world.events_after(seen, Duration::from_secs(1));
        seen += events.len();
        for event in events {
            send(stream, &event)?;
            if event.is_final() {
                return Ok(());
            }
        }
    }
}

/// Every log is opened for appending, so emptying it is safe while its part writes.
fn bound_logs() {
    let Ok(entries) = std::fs::read_dir("log") else { return };
    for entry in entries.flatten() {
        if entry.metadata().is_ok_and(|meta| meta.len() > LOG_MAX) {
            let _ = std::fs::File::options().write(true).truncate(true).open(entry.path());
        }
    }
}
