//! A real Knot server on a free port, with one zone, `events.test`; it dies with the test.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub struct Knot {
    /// Where it answers.
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    child: Child,
}

/// Tries when another process takes the free port first.
const PORT_TRIES: u32 = 5;
/// A start takes 50 ms; a busy machine a few times that.
const START_LIMIT: Duration = Duration::from_secs(10);

impl Knot {
    /// Starts one whose zone holds `records`.
    pub fn start(records: &str) -> Self {
        for _ in 0..PORT_TRIES {
            if let Some(knot) = Self::try_start(records) {
                return knot;
            }
        }
        panic!("knotd did not start; is Debian's package `knot` installed? try `make setup`");
    }

    fn try_start(records: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = dir.path().display();
        let user = if is_root() { "    user: root:root\n" } else { "" };
        let config = format!(
            "server:\n    listen: 127.0.0.1@{port}\n    rundir: {path}\n    pidfile: {path}/knot.pid\n{user}\
             \x20   udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
             control:\n    listen: {path}/knot.sock\n\
             database:\n    storage: {path}\n\
             zone:\n  - domain: events.test\n    file: {path}/zone\n    zonefile-sync: -1\n    journal-content: none\n",
            port = address.port(),
        );
        fs::write(dir.path().join("knot.conf"), config).unwrap();
        write_zone(dir.path(), 1, records);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/sbin/knotd", "-c"])
            .arg(dir.path().join("knot.conf"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("setpriv (util-linux) starts knotd; try `make setup`");
        let mut knot = Self { address, dir, child };
        knot.wait_until_serial(1).then_some(knot)
    }

    /// Replaces the zone's records.
    pub fn change(&self, records: &str) {
        write_zone(self.dir.path(), 2, records);
        self.control(&["-b", "zone-reload", "events.test"]).expect("the zone is reloaded");
    }

    /// Stops it at once.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait_until_serial(&mut self, serial: u32) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT && self.child.try_wait().unwrap().is_none() {
            let status = self.control(&["zone-status", "events.test", "+serial"]);
            if status.is_some_and(|status| status.contains(&format!("serial: {serial}"))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        eprintln!("knotd at {} is not there: {log}", self.address);
        false
    }

    fn control(&self, arguments: &[&str]) -> Option<String> {
        let socket = self.dir.path().join("knot.sock");
        let output = Command::new("/usr/sbin/knotc").arg("-s").arg(socket).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn write_zone(dir: &Path, serial: u32, records: &str) {
    let head = format!("$ORIGIN events.test.\n@ 60 SOA ns hostmaster {serial} 60 60 600 60\n@ 60 NS ns\n");
    fs::write(dir.join("zone"), format!("{head}ns 60 A 127.0.0.1\n{records}\n")).unwrap();
}
