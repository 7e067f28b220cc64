//! The running lab: its parts' processes, its faults, and what has happened since it started.
//!
//! Invariant: a process is only ever started by [`World::start`], and every exit is recorded by the thread that waits
//! for it. The race: a part may be started again while the thread of its former process still has to record that
//! exit; generations tell them apart.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::control::Reply;
use crate::enter::{Privilege, Tmp, part_command};
use crate::fault::Fault;
use crate::layout;
use crate::part::{Part, PartKind, prepare};
use crate::plan::{LabPlan, Place};

/// Most events kept: two for each of 31 parts at the start, and room for a long day of faults.
const EVENTS_MAX: usize = 4096;

/// What a part's process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// Not started yet.
    NotStarted,
    /// It runs.
    Running {
        /// Its process id, in the lab.
        pid: i32,
    },
    /// It ended.
    Exited {
        /// How.
        how: String,
        /// When, since the lab's start, in milliseconds.
        at_ms: u64,
    },
}

/// A part and its process.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The part.
    pub part: Part,
    /// Its process.
    pub run: Run,
    generation: u64,
}

/// What changes.
#[derive(Default)]
pub struct State {
    /// Parts, by name.
    pub slots: BTreeMap<String, Slot>,
    /// Faults in force, in the order they were made.
    pub faults: Vec<Fault>,
    /// What happened, oldest first.
    pub events: Vec<Reply>,
    /// CPU time of each part when it was last reported, and when that was.
    pub last_cpu: Option<(Instant, HashMap<String, u64>)>,
}

/// A running lab.
pub struct World {
    /// Its plan.
    pub plan: LabPlan,
    /// Whose rights it has.
    pub privilege: Privilege,
    /// When it started.
    pub started: Instant,
    /// Held while faults are made or undone, so that they do not interleave.
    pub breaking: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
}

impl World {
    /// A lab with none of its parts started.
    #[must_use]
    pub fn new(plan: LabPlan, privilege: Privilege, parts: Vec<Part>, started: Instant) -> Arc<Self> {
        let slot = |part: Part| (part.name.clone(), Slot { part, run: Run::NotStarted, generation: 0 });
        let state = State { slots: parts.into_iter().map(slot).collect(), ..State::default() };
        Arc::new(Self {
            plan,
            privilege,
            started,
            breaking: Mutex::new(()),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Milliseconds since the lab's start.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What changes. A thread that panicked left it whole: every change is one assignment.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event and wakes whoever waits for one.
    pub fn tell(&self, event: Reply) {
        let mut state = self.state();
        if state.events.len() < EVENTS_MAX {
            state.events.push(event);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Records a remark.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Reply::Note { text: text.into(), at_ms: self.now_ms() });
    }

    /// Events after the first `seen`; waits up to `patience` for one.
    #[must_use]
    pub fn events_after(&self, seen: usize, patience: Duration) -> Vec<Reply> {
        let state = self.state();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| state.events.len() <= seen)
            .unwrap_or_else(PoisonError::into_inner);
        state.events.get(seen..).unwrap_or_default().to_vec()
    }

    /// Adds a part that is not always there.
    pub fn add(&self, part: Part) {
        let slot = Slot { part, run: Run::NotStarted, generation: 0 };
        self.state().slots.insert(slot.part.name.clone(), slot);
    }

    /// Forgets a part whose process has ended.
    pub fn remove(&self, name: &str) {
        self.state().slots.remove(name);
    }

    /// Starts a part's process, unless it runs.
    ///
    /// # Errors
    /// When there is no such part, or its program can't be started.
    pub fn start(self: &Arc<Self>, name: &str) -> anyhow::Result<()> {
        let mut state = self.state();
        let slot = state.slots.get_mut(name).with_context(|| format!("no part {name}"))?;
        if matches!(slot.run, Run::Running { .. }) {
            return Ok(());
        }
        let part = slot.part.clone();
        prepare(&part, self.privilege)?;
        let mut child = self.command(&part)?.spawn().with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("a process id is positive")?;
        slot.generation += 1;
        slot.run = Run::Running { pid };
        let generation = slot.generation;
        drop(state);
        let world = Arc::clone(self);
        let waiter = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            world.exited(&part.name, generation, how);
        });
        waiter.context("start a thread")?;
        self.tell(Reply::Started { part: name.to_owned(), at_ms: self.now_ms() });
        Ok(())
    }

    fn exited(&self, name: &str, generation: u64, how: String) {
        let at_ms = self.now_ms();
        let text = format!("{name} ended: {how}");
        {
            let mut state = self.state();
            let Some(slot) = state.slots.get_mut(name) else { return };
            if slot.generation != generation {
                return;
            }
            slot.run = Run::Exited { how, at_ms };
        }
        self.tell(Reply::Note { text, at_ms });
    }

    fn command(&self, part: &Part) -> anyhow::Result<Command> {
        let log = layout::lab().join("log").join(format!("{}.log", part.name));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let argv = part_command(self.privilege, part.place, part.kind.tmp(), &part.command);
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", layout::data(&part.host))
            .envs(part.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log);
        Ok(command)
    }

    /// Run this program for the site that the lab is, at the operator's place, to its end.
    ///
    /// # Errors
    /// When it fails: what it said.
    pub fn operate(&self, command: &str) -> anyhow::Result<()> {
        let manifest = layout::lab().join(crate::manifest::FILE);
        let program = [layout::bin("bascule"), PathBuf::from("--manifest"), manifest, PathBuf::from(command)];
        let program: Vec<String> = program.iter().map(|word| word.display().to_string()).collect();
        let argv = part_command(self.privilege, Place::Clients, Tmp::Shared, &program);
        let output = Command::new(&argv[0])
            .args(&argv[1..])
            .env(layout::INSIDE_LAB, layout::lab())
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run `bascule {command}`"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`bascule {command}`: {}", said.trim());
        Ok(())
    }

    /// Process ids of running parts, with their names.
    #[must_use]
    pub fn roots(&self) -> HashMap<i32, String> {
        self.state()
            .slots
            .values()
            .filter_map(|slot| match slot.run {
                Run::Running { pid } => Some((pid, slot.part.name.clone())),
                Run::NotStarted | Run::Exited { .. } => None,
            })
            .collect()
    }

    /// PostgreSQL's data directories, with the names of their parts.
    #[must_use]
    pub fn homes(&self) -> HashMap<PathBuf, String> {
        self.state()
            .slots
            .values()
            .filter(|slot| slot.part.kind == PartKind::Node)
            .map(|slot| (layout::pgdata(&slot.part.host), slot.part.name.clone()))
            .collect()
    }

    /// Fails if a part has ended.
    ///
    /// # Errors
    /// The first part that has, and how.
    pub fn all_live(&self) -> anyhow::Result<()> {
        for slot in self.state().slots.values() {
            if let Run::Exited { how, .. } = &slot.run {
                anyhow::bail!("{0} ended: {how} (see log/{0}.log)", slot.part.name);
            }
        }
        Ok(())
    }

    /// Waits until a condition holds, asking each 20 ms (a fiftieth of the fastest thing waited for).
    ///
    /// # Errors
    /// When it does not within `limit`: what was waited for, and the last reason why not.
    pub fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            match ask() {
                Ok(value) => return Ok(value),
                Err(why) if Instant::now() >= deadline => {
                    return Err(why.context(format!("{what}: not within {} s", limit.as_secs())));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}
