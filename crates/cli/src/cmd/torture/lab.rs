//! A lab that moves by itself, asked and broken through the commands that a person would type.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bascule_drill::Objective;
use bascule_lab::plan::{LabPlan, Place};
use serde::Deserialize;

use crate::cmd::drill;
use crate::cmd::load::LoadReport;

/// A new lab's first standby is followed within this, at the slowest.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between two questions whether it has recovered.
const AGAIN: Duration = Duration::from_secs(1);

/// What `bascule explain --json` says, as far as it is asked here.
#[derive(Debug, Deserialize)]
pub struct Explained {
    /// The region that takes writes.
    pub active: String,
    /// The one that would take over.
    pub standby: String,
    /// The active one's epoch.
    pub epoch: u64,
    /// Whether it would move by itself.
    pub readiness: Word,
}

/// What it answers in one word.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "core's own words")]
pub enum Word {
    Ready,
    Manual,
    Observing,
    Paused,
    CoolingDown,
    NotSettled,
    TargetOverLagLimit,
    Unobserved,
    NotRenewed,
    Impaired,
    AtWork,
    Blocked,
}

/// What a member of the store says of itself.
#[derive(Deserialize)]
struct MemberStatus {
    header: MemberHeader,
    #[serde(default)]
    leader: String,
}

#[derive(Deserialize)]
struct MemberHeader {
    member_id: String,
}

/// A lab that moves by itself.
pub struct Lab {
    exe: PathBuf,
    dir: PathBuf,
    manifest: PathBuf,
}

impl Lab {
    /// A new one, ready to move.
    pub fn up(dir: &Path) -> anyhow::Result<Self> {
        let manifest = dir.join(bascule_lab::manifest::FILE);
        let lab = Self { exe: std::env::current_exe()?, dir: dir.to_owned(), manifest };
        lab.show(&["lab", "up", "--minimal", "--mode", "automatic", "--dir", &lab.dir()])?;
        lab.recovered(READY_WITHIN)?.context("the new lab does not become ready")?;
        Ok(lab)
    }

    /// Its end.
    pub fn down(&self) -> anyhow::Result<()> {
        self.show(&["lab", "down", "--dir", &self.dir()])
    }

    /// Its folder.
    pub fn dir(&self) -> String {
        self.dir.display().to_string()
    }

    /// Its parts, and what they use.
    pub fn status(&self) -> anyhow::Result<bascule_lab::status::Status> {
        let output = self.command(&["lab", "status", "--json", "--dir", &self.dir()]).output()?;
        serde_json::from_slice(&output.stdout).context("`bascule lab status`")
    }

    /// What a command at one of its places says.
    pub fn at(&self, place: Place, argv: &[&str]) -> anyhow::Result<String> {
        let dir = self.dir();
        let exec = ["lab", "exec", "--dir", &dir, "--at", place.name(), "--"];
        let output = self.command(&[&exec[..], argv].concat()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` at {} ended with {}: {}", argv.join(" "), place.name(), output.status, said.trim());
        }
        String::from_utf8(output.stdout).context("its output is no text")
    }

    fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command.args(argv).env("BASCULE_MANIFEST", &self.manifest);
        command
    }

    /// A command, done or an error.
    pub fn show(&self, argv: &[&str]) -> anyhow::Result<()> {
        let output = self.command(argv).stdout(Stdio::null()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`bascule {}` ended with {}: {}", argv.join(" "), output.status, said.trim());
        }
        Ok(())
    }

    /// Start a command, whose output nobody reads.
    pub fn start(&self, argv: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command(argv);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("start `bascule {}`", argv.join(" ")))
    }

    /// Start a command whose output is read.
    pub fn piped(&self, argv: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command(argv);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().with_context(|| format!("start `bascule {}`", argv.join(" ")))
    }

    /// The member that leads the store now; an election is waited for.
    pub fn store_leader(&self) -> anyhow::Result<String> {
        let plan = LabPlan::load(&self.dir)?;
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(leader) = self.leads(&plan)? {
                return Ok(leader);
            }
            std::thread::sleep(AGAIN);
        }
        bail!("the store has no leader")
    }

    fn leads(&self, plan: &LabPlan) -> anyhow::Result<Option<String>> {
        for member in plan.stores() {
            let url = format!("http://{}:{}/v3/maintenance/status", member.address, plan.ports.etcd);
            let argv = ["curl", "-sS", "--max-time", "2", "-X", "POST", "-d", "{}", &url];
            // One that does not answer does not lead.
            let Ok(said) = self.at(Place::Clients, &argv) else { continue };
            let said: MemberStatus = serde_json::from_str(&said).with_context(|| format!("read {said:?}"))?;
            if said.leader == said.header.member_id {
                return Ok(Some(member.name.clone()));
            }
        }
        Ok(None)
    }

    /// What `bascule explain` says.
    pub fn explain(&self) -> anyhow::Result<Explained> {
        let output = self.command(&["explain", "--json"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        serde_json::from_slice(&output.stdout).with_context(|| format!("`bascule explain`: {said}"))
    }

    /// The newest operations, newest first.
    pub fn history(&self) -> anyhow::Result<Vec<bascule_engine::report::Report>> {
        let output = self.command(&["history", "--json", "--limit", "5"]).output()?;
        serde_json::from_slice(&output.stdout).context("`bascule history`")
    }

    /// Wait until the site could move again; none if that takes too long.
    pub fn recovered(&self, within: Duration) -> anyhow::Result<Option<Explained>> {
        let began = Instant::now();
        while began.elapsed() < within {
            // The store may have no leader at this moment.
            if let Ok(found) = self.explain()
                && found.readiness == Word::Ready
            {
                return Ok(Some(found));
            }
            std::thread::sleep(AGAIN);
        }
        Ok(None)
    }

    /// Users' load, for so long at most.
    pub fn load(&self, at_most: &str, rate: u64) -> anyhow::Result<Child> {
        let rate = rate.to_string();
        let argv = ["drill", "load", "--json", "--until-eof", "--for", at_most, "--rate", &rate];
        let mut command = self.command(&argv);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().context("start the load")
    }

    /// The load's end, and what users saw.
    pub fn end(&self, mut load: Child) -> anyhow::Result<LoadReport> {
        drop(load.stdin.take());
        let output = load.wait_with_output()?;
        serde_json::from_slice(&output.stdout).context("the load's report")
    }

    /// What the manifest asks of a move.
    pub fn objective(&self) -> anyhow::Result<Objective> {
        Ok(drill::objective(&crate::site::Site::load(Path::new(&self.manifest), None)?.manifest))
    }
}
