//! From each fault to the last write that the region acknowledges: within the bound that its keepers print.
//!
//! Nobody takes over here (mode `observe`), so that the region stops for its own sake and not for another's.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bascule_core::tenure::timing::Timing;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::rig::eventually;
use crate::site::{EAST, Site};

/// Writes a second: the last one is known to 10 ms.
const RATE: u32 = 100;
const KEEPERS: [&str; 2] = ["us-east-2-keeper1", "us-east-2-keeper2"];
/// The lab's tenure, as its manifest has it.
const TTL: Duration = Duration::from_secs(3);

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Users write while `fault` strikes and until `heal`; `fault` answers when it began. The time from there to the last
/// write that was acknowledged before the pause is under the bound, and nothing moved or was lost.
fn is_closed_within_the_bound(site: &Site, what: &str, fault: impl FnOnce() -> u64, heal: impl FnOnce()) {
    let bound = Timing::of(TTL).claim_after();
    let load = site.load(RATE);
    std::thread::sleep(Duration::from_secs(1));
    let begun = fault();
    std::thread::sleep(bound * 2);
    let healed = now_ms();
    heal();
    let writes = || site.lab.sql("create temp table written()").is_ok();
    assert!(eventually(writes), "{what}: nobody writes after it was healed");
    std::thread::sleep(Duration::from_secs(2));
    let report = load.end_load();
    let pause = report["write_pause_ms"].as_u64().unwrap();
    let last = report["started"].as_u64().unwrap() + report["write_pause_at_ms"].as_u64().unwrap();
    assert!(last + pause >= healed, "{what}: users wrote before it was healed: {report:#}");
    assert_eq!(report["lost_writes"], 0, "{what}: {report:#}");
    assert_eq!(report["double_writer_ms"], 0, "{what}: {report:#}");
    let after = last.saturating_sub(begun);
    eprintln!("{what}: the last write was acknowledged {after} ms after it began, the bound is {bound:?}");
    assert!(u128::from(after) < bound.as_millis(), "{what}: {after} ms, the bound is {bound:?}: {report:#}");
    assert_eq!(site.at_rest().region, EAST, "{what}: nothing moved");
}

fn breaks(site: &Site, faults: &[&[&str]]) -> u64 {
    let mut last = 0;
    for fault in faults {
        last = now_ms();
        site.lab.does(&[&["break"], *fault].concat());
    }
    // It is whole only with the last of them.
    last
}

/// Loops of a keeper that hang, while the process and the thread that confirms commits live on: every other thread of it
/// is stopped, as a debugger would.
struct Hung {
    threads: Vec<Pid>,
}

impl Hung {
    fn all(site: &Site) -> Self {
        let threads: Vec<_> = KEEPERS.iter().flat_map(|keeper| loops(site, keeper)).collect();
        for thread in &threads {
            ptrace::seize(*thread, ptrace::Options::empty()).unwrap();
            ptrace::interrupt(*thread).unwrap();
            waitpid(*thread, Some(WaitPidFlag::__WALL)).unwrap();
        }
        Self { threads }
    }

    fn release(self) {
        for thread in self.threads {
            ptrace::detach(thread, None).unwrap();
        }
    }
}

/// The threads of a keeper but the one that confirms commits and answers for the gate.
fn loops(site: &Site, keeper: &str) -> Vec<Pid> {
    let is_it = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["keeper", keeper].iter().all(|word| line.split('\0').any(|found| found == *word))
    };
    let pid = site.lab.pids().find(is_it).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let name = |task: &std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap();
    let (gate, loops): (Vec<_>, Vec<_>) = tasks.partition(|task| name(task).trim() == "gate");
    assert_eq!(gate.len(), 1, "the gate has a thread of its own");
    loops.iter().map(|task| Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap())).collect()
}

/// A keeper that runs in place of the lab's own, by a wall clock that can be stepped.
struct Stepped<'a> {
    site: &'a Site,
    library: PathBuf,
    keepers: Vec<Child>,
}

/// Debian's package libfaketime: what a program is told of the wall clock is changed, and of no other clock.
fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = found.map(|architecture| architecture.path().join("faketime/libfaketime.so.1"));
    found.find(|file| file.exists()).expect("libfaketime is not installed: run `make setup`")
}

impl<'a> Stepped<'a> {
    /// One keeper after the other is replaced, so users notice nothing.
    fn instead(site: &'a Site) -> Self {
        let mut stepped = Self { site, library: library(), keepers: Vec::new() };
        stepped.step("+0");
        for keeper in KEEPERS {
            site.lab.does(&["break", "part-loss", keeper]);
            let child = stepped.start(keeper);
            let maps = format!("/proc/{}/maps", child.id());
            stepped.keepers.push(child);
            std::thread::sleep(TTL);
            let maps = std::fs::read_to_string(maps).unwrap();
            assert!(maps.contains("libfaketime"), "its clock can be stepped");
        }
        stepped
    }

    fn clock(&self) -> PathBuf {
        self.site.lab.dir.join("clock")
    }

    fn start(&self, keeper: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
        command.args(["lab", "exec", "--at", EAST, "--dir"]).arg(&self.site.lab.dir).arg("--");
        command.args(["env", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
        command.arg(format!("LD_PRELOAD={}", self.library.display()));
        command.arg(format!("BASCULE_INSIDE_LAB={}", self.site.lab.dir.display()));
        command.arg(format!("FAKETIME_TIMESTAMP_FILE={}", self.clock().display()));
        command.arg(format!("BASCULE_MANIFEST={}", self.site.lab.dir.join("bascule.toml").display()));
        command.arg(env!("CARGO_BIN_EXE_bascule")).args(["keeper", "--region", EAST, "--name", keeper]);
        let log = std::fs::File::create(self.site.lab.dir.join(format!("log/{keeper}-stepped.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Set both keepers' wall clocks to this much before or after the true time.
    fn step(&self, offset: &str) {
        let new = self.site.lab.dir.join("clock.new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(new, self.clock()).unwrap();
    }

    fn killed(&mut self) {
        for keeper in &mut self.keepers {
            keeper.kill().unwrap();
            keeper.wait().unwrap();
        }
    }
}

impl Drop for Stepped<'_> {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            // Ended already, unless the test failed.
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        // No part of the lab: it would not go down over it.
        let _ = std::fs::remove_file(self.clock());
    }
}

/// What time a keeper's clock shows means nothing to it: an hour forward and two back, and users notice nothing.
fn a_stepped_clock_is_nobodys_business(site: &Site) {
    let mut stepped = Stepped::instead(site);
    let load = site.load(RATE);
    for offset in ["+1h", "-1h", "+0"] {
        stepped.step(offset);
        std::thread::sleep(TTL * 2);
    }
    let report = load.end_load_unharmed();
    assert!(report["write_pause_ms"].as_u64().is_some_and(|ms| ms < 1_000), "{report:#}");

    let heal = || drop(site.lab.does(&["heal"]));
    let fault = || {
        stepped.step("-1h");
        let begun = now_ms();
        stepped.killed();
        begun
    };
    is_closed_within_the_bound(site, "keepers whose clocks stepped back an hour, killed", fault, heal);
}

#[test]
fn every_fault_ends_a_regions_writes_within_the_bound() {
    let site = Site::up_in_mode("closes", "observe");
    site.at_rest();
    let heal = || drop(site.lab.does(&["heal"]));
    let parts = |fault: &'static str, parts: [&'static str; 2]| parts.map(|part| [fault, part]);
    for (what, faults) in [
        ("keepers killed", parts("part-loss", KEEPERS)),
        ("keepers frozen", parts("part-freeze", KEEPERS)),
        (
            "cut off from the store's other members",
            parts("partition", ["us-east-2:us-west-1", "us-east-2:witness"]),
        ),
        ("the store's other members killed", parts("part-loss", ["us-west-1-store", "witness-store"])),
        ("the store's other members frozen", parts("part-freeze", ["us-west-1-store", "witness-store"])),
    ] {
        let faults: Vec<&[&str]> = faults.iter().map(<[&str; 2]>::as_slice).collect();
        is_closed_within_the_bound(&site, what, || breaks(&site, &faults), heal);
    }
    let hung = std::cell::Cell::new(None);
    let hang = || {
        let begun = now_ms();
        hung.set(Some(Hung::all(&site)));
        begun
    };
    is_closed_within_the_bound(&site, "keepers' loops hung", hang, || hung.take().unwrap().release());
    a_stepped_clock_is_nobodys_business(&site);
}
