//! A lab of a test's own: started by the real program, ended with the test however that ends.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for anything a lab does by itself: the slowest, a replica that is made anew, takes 10 s on idle cores.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Lab {
    pub dir: PathBuf,
    program: PathBuf,
    venv: PathBuf,
    as_nobody: bool,
    /// Identity of its process namespace, while it is up.
    pid_namespace: u64,
}

impl Lab {
    /// A healthy lab; `name` must be the test's own.
    pub fn up(name: &str) -> Self {
        Self::up_in_mode(name, "manual")
    }

    /// A healthy lab, with somebody else to decide.
    pub fn up_in_mode(name: &str, mode: &str) -> Self {
        Self::up_with(name, &["--minimal", "--mode", mode])
    }

    /// A healthy lab with these options.
    pub fn up_with(name: &str, options: &[&str]) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_bascule"));
        let target =
            program.ancestors().nth(2).expect("a program is in a folder of the target folder").to_owned();
        assert!(
            target.join("venv/bin/patroni").exists(),
            "Patroni is not in {target:?}/venv; run `make setup`"
        );
        Self::start(scratch(name), program, target.join("venv"), false, options)
    }

    /// A healthy whole lab of an ordinary user, who root becomes for it. The programs are copied to where that user can read them, wherever the
    /// build folder is.
    pub fn up_as_nobody(name: &str) -> Self {
        let base = scratch(name);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_bascule"));
        let target =
            program.ancestors().nth(2).expect("a program is in a folder of the target folder").to_owned();
        std::fs::create_dir_all(base.join("bin")).unwrap();
        for file in ["bascule", "events-app"] {
            std::fs::copy(program.with_file_name(file), base.join("bin").join(file)).unwrap();
        }
        run(Command::new("cp").arg("-rP").arg(target.join("venv")).arg(base.join("venv")));
        run(Command::new("chown").args(["-R", "nobody"]).arg(&base));
        Self::start(base.join("lab"), base.join("bin/bascule"), base.join("venv"), true, &[])
    }

    fn start(dir: PathBuf, program: PathBuf, venv: PathBuf, as_nobody: bool, options: &[&str]) -> Self {
        let mut lab = Self { dir, program, venv, as_nobody, pid_namespace: 0 };
        let venv = lab.venv.display().to_string();
        let up = lab.command(&[&["up", "--venv", &venv], options].concat()).output().unwrap();
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let outermost = lab.outermost();
        let namespace = format!("/proc/{outermost}/ns/pid_for_children");
        lab.pid_namespace = std::fs::metadata(namespace).unwrap().ino();
        assert!(lab.processes() > 50, "a lab has more than {} processes", lab.processes());
        lab
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = if self.as_nobody {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.arg("lab").arg(args[0]).arg("--dir").arg(&self.dir).args(&args[1..]).current_dir("/");
        command
    }

    /// Process id of the lab's outermost process.
    pub fn outermost(&self) -> i32 {
        let text = std::fs::read_to_string(self.dir.join("lab.pid")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    /// Kills the lab's outermost process, which it cannot feel coming.
    pub fn kill_outermost(&self) {
        run(Command::new("kill").arg("-KILL").arg(self.outermost().to_string()));
    }

    /// How many processes the lab has, counted from outside.
    pub fn processes(&self) -> usize {
        self.pids().count()
    }

    /// Process ids of the lab's processes, as seen from outside.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let namespace = |pid: &str| std::fs::metadata(format!("/proc/{pid}/ns/pid")).map(|meta| meta.ino());
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(move |pid| namespace(pid).is_ok_and(|inode| inode == self.pid_namespace))
            .filter_map(|pid| pid.parse().ok())
    }

    /// Runs `bascule lab …` and returns what it said.
    pub fn lab(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `bascule lab …`, which must succeed.
    pub fn does(&self, args: &[&str]) -> String {
        let output = self.lab(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command at a place; `Err` is what it wrote to its error output.
    pub fn at(&self, place: &str, command: &[&str]) -> Result<String, String> {
        let output = self.lab(&[&["exec", "--at", place, "--"], command].concat());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// SQL through the pool that the public name points to.
    pub fn sql(&self, sql: &str) -> Result<String, String> {
        self.sql_at("clients", "db.events.test", sql)
    }

    /// SQL through a pool.
    pub fn sql_at(&self, place: &str, pool: &str, sql: &str) -> Result<String, String> {
        let password = std::fs::read_to_string(self.dir.join("secrets/app")).unwrap();
        let password = format!("PGPASSWORD={password}");
        let psql =
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", pool, "-U", "events", "-c", sql, "events"];
        self.at(place, &[&["env", &password, "PGCONNECT_TIMEOUT=5", "timeout", "20"], &psql[..]].concat())
    }

    /// An HTTP answer's status and body.
    pub fn http(&self, place: &str, url: &str, options: &[&str]) -> Result<(u16, String), String> {
        let curl = ["curl", "-sS", "--max-time", "3", "-w", "\n%{http_code}"];
        let text = self.at(place, &[&curl[..], options, &[url]].concat())?;
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
        Ok((status.parse().unwrap(), body.to_owned()))
    }

    /// Every part's health, by name: `healthy`, `unhealthy`, `frozen`, `exited`.
    pub fn health(&self) -> HashMap<String, String> {
        let status = self.status();
        let parts = status["parts"].as_array().unwrap();
        let word = |health: &Value| match health {
            Value::String(word) => word.clone(),
            other => other.as_object().unwrap().keys().next().unwrap().clone(),
        };
        parts.iter().map(|part| (part["name"].as_str().unwrap().to_owned(), word(&part["health"]))).collect()
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.does(&["status", "--json"])).unwrap()
    }

    /// The healthy part of a region whose role begins with `role`.
    pub fn with_role(&self, region: &str, role: &str) -> Option<String> {
        let status = self.status();
        let parts = status["parts"].as_array().unwrap();
        let found = parts.iter().find(|part| {
            part["place"] == region
                && part["health"]["healthy"]["role"].as_str().is_some_and(|text| text.starts_with(role))
        });
        found.map(|part| part["name"].as_str().unwrap().to_owned())
    }

    /// Waits until every part is healthy.
    pub fn until_healthy(&self) {
        let mut last = HashMap::new();
        let healthy = eventually(|| {
            last = self.health();
            last.values().all(|health| health == "healthy")
        });
        last.retain(|_, health| health != "healthy");
        assert!(healthy, "not healthy: {last:?}");
    }

    /// Whether a datagram sent at one place arrives at a host of another.
    pub fn arrives(&self, from: &str, to: &str, address: &str) -> bool {
        const RECEIVE: &str = "import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((sys.argv[1],9)); s.settimeout(1.5); s.recv(9)";
        const SEND: &str = "import socket,sys,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
for _ in range(25):
  s.sendto(b'x',(sys.argv[1],9)); time.sleep(0.05)";
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| self.at(to, &["/usr/bin/python3", "-c", RECEIVE, address]).is_ok());
            // A sender's error (no way there) is the same to the receiver.
            let _ = self.at(from, &["/usr/bin/python3", "-c", SEND, address]);
            receiver.join().unwrap()
        })
    }

    /// Whether a TCP connection can be made.
    pub fn connects(&self, from: &str, address: &str, port: u16) -> bool {
        let script = format!("exec 3<>/dev/tcp/{address}/{port}");
        self.at(from, &["timeout", "1", "bash", "-c", &script]).is_ok()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.dir.join("lab.json").exists() {
            let logs = std::thread::panicking();
            let _ = self.command(if logs { &["down", "--keep"] } else { &["down"] }).status();
            if logs {
                eprintln!("the lab's logs are in {}", self.dir.join("log").display());
            }
        }
        if self.as_nobody && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(self.dir.parent().unwrap_or(Path::new("/nowhere")));
        }
    }
}

/// Asks until the answer is yes, or patience ends.
pub fn eventually(mut ask: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if ask() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("bascule-test-{name}-{}", std::process::id()));
    assert!(!dir.exists(), "{} is there already", dir.display());
    dir
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
