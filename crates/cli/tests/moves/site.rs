//! A site to operate on: a lab, the commands a person would type, and what must hold of it at rest.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::{Lab, eventually};

pub const EAST: &str = "us-east-2";
pub const WEST: &str = "us-west-1";

/// Longest wait for a line that a command is about to write.
const SOON: Duration = Duration::from_secs(60);
/// Names reach the last secondary within 0.1 s on idle cores, and a pool that waits reports it for a moment.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

pub struct Site {
    pub lab: Lab,
    _guard: Guard,
}

/// Which region is active, in which epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    pub region: String,
    pub epoch: u64,
}

/// What a command that ended said.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It ended with this exit code, and said this.
    #[track_caller]
    pub fn must(&self, code: i32, hint: &str) -> &Self {
        let said = self.err.contains(hint) || self.out.contains(hint);
        assert!(self.code() == Some(code) && said, "not {code} with {hint:?}: {self:#?}");
        self
    }

    /// It died by itself, as by kill -9.
    pub fn crashed(&self) -> bool {
        self.status.signal() == Some(6)
    }
}

pub fn other(region: &str) -> &'static str {
    if region == EAST { WEST } else { EAST }
}

impl Site {
    pub fn up(name: &str) -> Self {
        Self::on(Lab::up(name))
    }

    /// A site that moves by itself, ready to.
    #[track_caller]
    pub fn up_by_itself(name: &str) -> Self {
        let site = Self::up_in_mode(name, "automatic");
        site.ready();
        site
    }

    /// A site with somebody else to decide, who need not be ready to.
    pub fn up_in_mode(name: &str, mode: &str) -> Self {
        Self::on(Lab::up_in_mode(name, mode))
    }

    fn on(lab: Lab) -> Self {
        let guard = Guard::of(&lab);
        Self { lab, _guard: guard }
    }

    fn command(&self, manifest: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
        command.args(args).env("BASCULE_MANIFEST", self.lab.dir.join(manifest)).current_dir("/");
        command
    }

    /// Runs a command to its end.
    pub fn bascule(&self, args: &[&str]) -> Said {
        self.bascule_on("bascule.toml", args)
    }

    fn bascule_on(&self, manifest: &str, args: &[&str]) -> Said {
        let output = self.command(manifest, args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { status: output.status, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a command.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(self.command("bascule.toml", args))
    }

    /// Users' load, judged by [`Running::end_load`].
    pub fn load(&self, rate: u32) -> Running {
        let rate = rate.to_string();
        let mut load =
            self.start(&["drill", "load", "--for", "20m", "--until-eof", "--json", "--rate", &rate]);
        load.await_line("load is on");
        load
    }

    pub fn status(&self) -> Value {
        self.bascule(&["status", "--json"]).must(0, "").json()
    }

    /// What `history --json` lists, newest first.
    pub fn history(&self) -> Vec<Value> {
        self.bascule(&["history", "--json", "--limit", "200"]).must(0, "").json().as_array().unwrap().clone()
    }

    /// A copy of the manifest with something changed.
    pub fn manifest_with(&self, name: &'static str, change: impl FnOnce(String) -> String) -> Variant<'_> {
        let text = std::fs::read_to_string(self.lab.dir.join("bascule.toml")).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed, "{name} is no other manifest");
        std::fs::write(self.lab.dir.join(name), changed).unwrap();
        Variant { site: self, name }
    }

    /// Asserts that the site is at rest and whole: one active region, its gate alone open, no pool holding, the
    /// other one following, every name at the active region, no operation open.
    #[track_caller]
    pub fn at_rest(&self) -> Active {
        let begun = Instant::now();
        loop {
            let status = self.status();
            match rest(&status) {
                Ok(active) => return active,
                Err(why) if begun.elapsed() > SETTLED_WITHIN => panic!("{why}: {status:#}"),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Waits until the site would move by itself if its active region were lost; returns that.
    #[track_caller]
    pub fn ready(&self) -> Active {
        let mut said = None;
        let ready = eventually(|| said.insert(self.bascule(&["explain", "--json"])).code() == Some(0));
        assert!(ready, "{said:#?}");
        self.at_rest()
    }

    /// Waits until another region is active than was.
    #[track_caller]
    pub fn moves_away_from(&self, region: &str) {
        let active = || self.status()["tenure"]["seen"]["value"]["active"].as_str().map(str::to_owned);
        assert!(eventually(|| active().is_some_and(|active| active != region)), "{:#}", self.status());
    }

    /// Waits until the standby has what is written by now, and nothing forbids a move: a link that was healed or has
    /// become slow takes seconds to be in use again.
    #[track_caller]
    pub fn until_movable(&self, to: &str) {
        let position = |region: &str| {
            let lsn = format!("/regions/{region}/database/seen/value/position/lsn");
            let status = self.status();
            let (high, low) = status.pointer(&lsn)?.as_str()?.split_once('/')?;
            let part = |text| u64::from_str_radix(text, 16).ok();
            Some((part(high)?, part(low)?))
        };
        let written = position(other(to)).unwrap();
        assert!(eventually(|| position(to) >= Some(written)), "{to} does not catch up: {:#}", self.status());
        let plan = ["plan", "switchover", "--to", to];
        assert!(eventually(|| self.bascule(&plan).code() == Some(0)), "{:#?}", self.bascule(&plan));
    }

    /// Moves to a region and asserts that it did.
    #[track_caller]
    pub fn moves_to(&self, region: &str) {
        self.bascule(&["switchover", "--to", region]).must(0, "succeeded");
        assert_eq!(self.at_rest().region, region);
    }
}

/// Another manifest of the site, as long as this lives: paths in it start at the lab's folder, so it stands there.
pub struct Variant<'a> {
    site: &'a Site,
    name: &'static str,
}

impl Variant<'_> {
    pub fn bascule(&self, args: &[&str]) -> Said {
        self.site.bascule_on(self.name, args)
    }
}

impl Variant<'_> {
    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(self.site.command(self.name, args))
    }
}

impl Drop for Variant<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.site.lab.dir.join(self.name));
    }
}

/// The value of something that was observed.
fn seen<'a>(value: &'a Value, path: &str) -> Result<&'a Value, String> {
    value.pointer(&format!("{path}/seen/value")).ok_or_else(|| format!("{path} is not observed"))
}

fn rest(status: &Value) -> Result<Active, String> {
    let need = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    let tenure = seen(status, "/tenure")?;
    let active = tenure["active"].as_str().unwrap().to_owned();
    let epoch = tenure["epoch"].as_u64().unwrap();
    need(seen(status, "/open_operation")?.is_null(), "an operation is open".to_owned())?;
    for region in [EAST, WEST] {
        let part = |part: &str| seen(status, &format!("/regions/{region}/{part}"));
        let (role, gate) = if region == active { ("primary", "local") } else { ("standby", "remote") };
        let database = part("database")?;
        need(database["role"] == role, format!("{region} is {}, not {role}", database["role"]))?;
        let streams = role == "primary" || database["streaming"] == true;
        need(streams, format!("{region} does not stream"))?;
        let found = &part("gate")?["state"];
        need(found == gate, format!("the gate of {region} is {found}, not {gate}"))?;
        need(part("pool")?["held"] == false, format!("the pool of {region} holds"))?;
    }
    let subnet = if active == EAST { "10.77.1." } else { "10.77.2." };
    for (name, answers) in status["names"].as_object().unwrap() {
        for answer in answers.as_array().unwrap() {
            let addresses = &seen(answer, "/answer")?["addresses"];
            let points = addresses.as_array().unwrap();
            let there = points.len() == 1 && points[0].as_str().unwrap().starts_with(subnet);
            need(there, format!("{name} is {addresses} at {}", answer["server"]))?;
        }
    }
    Ok(Active { region: active, epoch })
}

/// A command that runs.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    err: Vec<String>,
    out: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || err.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let out = child.stdout.take().unwrap();
        let out = std::thread::spawn(move || std::io::read_to_string(out).unwrap());
        Self { input: child.stdin.take(), child, lines, err: Vec::new(), out: Some(out) }
    }

    /// Waits for a line of its error output that contains this.
    #[track_caller]
    pub fn await_line(&mut self, hint: &str) {
        let begun = Instant::now();
        while let Some(left) = SOON.checked_sub(begun.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else { break };
            self.err.push(line);
            if self.err.last().unwrap().contains(hint) {
                return;
            }
        }
        panic!("no {hint:?} in {:#?}", self.err);
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    pub fn end(mut self) -> Said {
        let status = self.child.wait().unwrap();
        let out = self.out.take().unwrap().join().unwrap();
        self.err.extend(self.lines.iter());
        Said { status, out, err: self.err.join("\n") }
    }

    /// Ends a load; what users saw.
    #[track_caller]
    pub fn end_load(mut self) -> Value {
        drop(self.input.take());
        self.end().json()
    }

    /// Ends a load during which nothing may have been lost, and nobody may have seen an error.
    #[track_caller]
    pub fn end_load_unharmed(self) -> Value {
        let report = self.end_load();
        assert_eq!(report["verdict"], "met", "{report:#}");
        for none in ["lost_writes", "errors", "double_writer_ms", "double_writer_possible_ms"] {
            assert_eq!(report[none], 0, "{none}: {report:#}");
        }
        report
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends the lab when the test is killed before it can: its end of a pipe is closed then, however it dies. Whatever
/// the test ran inside ends with the lab.
struct Guard {
    child: Child,
}

impl Guard {
    fn of(lab: &Lab) -> Self {
        let script = r#"read word || exec "$0" lab down --keep --dir "$1""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_bascule")]).arg(&lab.dir);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self { child: command.spawn().unwrap() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.stdin.take().unwrap().write_all(b"over\n");
        let _ = self.child.wait();
    }
}
