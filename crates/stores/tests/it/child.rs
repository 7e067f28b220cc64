//! A second process: this same program, running the same test, which finds that it is the child.

use std::env;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{self, ChildStderr, ChildStdin, Command, Stdio};

const ROLE: &str = "BASCULE_STORES_CHILD";

/// What this process was started for, if it is a child.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Answer the parent. On stderr, since the test harness writes to stdout. If the parent is gone this panics, and
/// the child ends.
pub fn say(words: &str) {
    let mut line = words.to_owned();
    line.push('\n');
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A child; killed at the latest when it is dropped.
pub struct Child {
    process: process::Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStderr>>,
}

impl Child {
    /// `test` is the path of the test that calls this.
    pub fn start(test: &str, role: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, orders, answers }
    }

    pub fn order(&mut self, words: &str) {
        writeln!(self.orders, "{words}").unwrap();
    }

    /// The next answer; none once it is dead.
    pub fn answer(&mut self) -> Option<String> {
        self.answers.next().map(Result::unwrap)
    }

    /// All it still has to say, once no order will follow.
    pub fn last_words(&mut self) -> Vec<String> {
        self.kill();
        std::iter::from_fn(|| self.answer()).collect()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be dead and waited for already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
