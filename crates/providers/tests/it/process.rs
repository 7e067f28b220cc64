//! Processes that live as long as a test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// For a part to start: initdb and PostgreSQL take 2 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running part; it is killed with the test, however that ends.
pub struct Part {
    child: Child,
    pub folder: TempDir,
}

impl Part {
    /// Start a program in a folder, which holds its files and takes its log.
    pub fn start(folder: TempDir, program: &str, arguments: &[&str]) -> Self {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = unprivileged(program)
            .args(arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Poll until the part gives an answer.
    pub async fn answers<T>(&mut self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: it ended with {status}: {}", log());
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}: {}", log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Send it a signal, and wait until it has ended.
    pub async fn end(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it did not end within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// It and all that it started stand still, until the answer is dropped; the kernel still takes in what it is sent.
    pub fn freeze(&self) -> Frozen {
        let frozen = Frozen { pid: self.child.id() };
        frozen.send("STOP");
        frozen
    }

    /// End it at once.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A part that stands still; it goes on when this is dropped.
pub struct Frozen {
    pid: u32,
}

impl Frozen {
    /// The parent first: once it stands still it starts no more children.
    fn send(&self, signal: &str) {
        let send = |pids: &[String]| {
            let sent =
                Command::new("kill").arg(format!("-{signal}")).args(pids).stderr(Stdio::null()).status();
            assert!(sent.is_ok(), "kill runs");
        };
        send(&[self.pid.to_string()]);
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        send(&children.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.send("CONT");
    }
}

/// A program that dies with this thread, as the user `postgres` when this is root (PostgreSQL and PgBouncer
/// refuse root).
pub fn unprivileged(program: &str) -> Command {
    assert!(Path::new(program).exists(), "{program} is missing: run `make setup`, which installs it");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg(program).stdin(Stdio::null());
    command
}

/// A folder that such a program may write to.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    give(folder.path());
    folder
}

/// A file that such a program may read.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    give(path);
}

fn give(path: &Path) {
    if is_root() {
        chown(path, Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
    }
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

fn id(arguments: &[&str]) -> u32 {
    let out = Command::new("id").args(arguments).output().expect("id runs");
    let text = String::from_utf8(out.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("id {arguments:?}: run `make setup`"))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
