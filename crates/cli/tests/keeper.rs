//! Keepers as real processes, over a real etcd and nothing else: a gate closes by itself, and in time.
//!
//! One member of etcd answers at three loopback addresses, which is what a manifest asks for; every other part of
//! the site is an address that refuses connections.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bascule_core::ports::TenureStore as _;
use bascule_core::tenure::Event;
use bascule_core::time::Timestamp;
use bascule_stores::{EtcdConfig, EtcdStore};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The core's golden manifest, of a site without keepers, without its lab.
const SITE: &str = include_str!("../../core/tests/manifest/right.toml");
/// What it needs to have keepers. The shortest ttl there is.
const KEEPERS: &str = r#"
[[regions.us-east-2.keepers]]
name = "us-east-2-keeper1"
address = "127.77.1.41:7300"

[[regions.us-west-1.keepers]]
name = "us-west-1-keeper1"
address = "127.77.2.41:7300"

[automatic]
mode = "observe"
ttl = "1s"

[witness]
address = "127.77.3.41:7300"
"#;
const TTL: Duration = Duration::from_secs(1);
/// From the gate's thread to this one, on a busy machine: an answer is as old as that when it is counted.
const REACTION: Duration = Duration::from_millis(200);
/// For processes to start and find each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that dies with its test, and can be stopped and continued.
struct Process(Child);

impl Process {
    fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A founded site: its folder with the manifest, and its store.
struct Site {
    etcd: Process,
    folder: TempDir,
}

impl Site {
    async fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, peer) = (free_port(), free_port());
        let endpoints: Vec<String> = (1..=3).map(|n| format!("http://127.0.0.{n}:{port}")).collect();
        let (urls, peer) = (endpoints.join(","), format!("http://127.0.0.1:{peer}"));
        let data = folder.path().join("etcd").display().to_string();
        let arguments = [
            ["--name", "one"],
            ["--data-dir", &data],
            ["--listen-client-urls", &urls],
            ["--advertise-client-urls", &endpoints[0]],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--initial-cluster", &format!("one={peer}")],
        ];
        let etcd = Process::start("etcd", arguments.as_flattened(), &[]);
        let site = Self { etcd, folder };
        site.write_manifest(&endpoints);
        let store = EtcdStore::connect(EtcdConfig::new(endpoints), &"events".parse().unwrap()).unwrap();
        let begun = Instant::now();
        let founded = Event::Founded { active: "us-east-2".parse().unwrap(), at: Timestamp(1) };
        while store.advance(founded.clone()).await.is_err() && !matches!(store.tenure().await, Ok(Some(_))) {
            assert!(begun.elapsed() < PATIENCE, "etcd does not answer");
        }
        site
    }

    fn write_manifest(&self, endpoints: &[String]) {
        let quoted: Vec<String> = endpoints.iter().map(|url| format!("{url:?}")).collect();
        let store = format!("[store]\nkind = \"etcd\"\nendpoints = [{}]\n", quoted.join(", "));
        let (site, _lab) = SITE.split_once("[lab]").unwrap();
        let site = site.replace("[store]\nkind = \"sqlite\"\npath = \"bascule.db\"\n", &store);
        let text = site.replace("\"10.77.", "\"127.77.") + KEEPERS;
        std::fs::write(self.folder.path().join("bascule.toml"), text).unwrap();
        std::fs::create_dir(self.folder.path().join("secrets")).unwrap();
        for secret in ["management", "patroni", "pool", "tsig"] {
            std::fs::write(self.folder.path().join("secrets").join(secret), "c2VjcmV0\n").unwrap();
        }
    }

    fn keeper(&self, region: &str, environment: &[(&str, &str)]) -> Keeper {
        self.keeper_of(&self.folder.path().join("bascule.toml"), region, environment)
    }

    fn keeper_of(&self, manifest: &Path, region: &str, environment: &[(&str, &str)]) -> Keeper {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let manifest = manifest.display().to_string();
        let (name, listen) = (format!("{region}-keeper1"), at.to_string());
        let arguments =
            ["--manifest", &manifest, "keeper", "--region", region, "--name", &name, "--listen", &listen];
        let process = Process::start(env!("CARGO_BIN_EXE_bascule"), &arguments, environment);
        let http = reqwest::Client::builder().timeout(TTL).no_proxy().build().unwrap();
        Keeper { process, at, http }
    }
}

struct Keeper {
    process: Process,
    at: SocketAddr,
    http: reqwest::Client,
}

impl Keeper {
    /// Whether its gate is open, and what it says; none if it does not answer.
    async fn gate(&self) -> Option<(bool, String)> {
        let answer = self.http.get(format!("http://{}/gate/db", self.at)).send().await.ok()?;
        Some((answer.status().is_success(), answer.text().await.ok()?))
    }

    async fn page(&self, path: &str) -> String {
        self.http.get(format!("http://{}{path}", self.at)).send().await.unwrap().text().await.unwrap()
    }

    async fn until(&self, what: &str, is: impl Fn(bool, &str) -> bool) {
        let begun = Instant::now();
        while !self.gate().await.is_some_and(|(open, said)| is(open, &said)) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.gate().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_gate_closes_in_time_when_the_store_is_silent_and_opens_again() {
    let site = Site::found().await;
    let (east, west) = (site.keeper("us-east-2", &[]), site.keeper("us-west-1", &[]));
    east.until("the active region's gate opens", |open, said| open && said == "open, epoch 1\n").await;
    let other = |open: bool, said: &str| !open && said == "closed: us-east-2 is active in epoch 1\n";
    west.until("the other one says who is active", other).await;
    // Three renewals on: it is kept open, not only opened.
    tokio::time::sleep(TTL).await;
    assert!(east.gate().await.unwrap().0);
    let silent = Instant::now();
    site.etcd.signal("STOP");
    let mut last_open = silent;
    while silent.elapsed() < TTL * 2 {
        if east.gate().await.is_some_and(|(open, _)| open) {
            last_open = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let open_for = last_open - silent;
    assert!(open_for <= TTL + REACTION, "open {open_for:?} after the store went silent");
    assert!(open_for >= TTL / 3, "a store that is silent for a moment closes nothing: {open_for:?}");
    let said = east.gate().await.unwrap();
    assert_eq!(said, (false, "closed: the tenure of epoch 1 was not renewed in time\n".to_owned()));
    site.etcd.signal("CONT");
    east.until("it opens again", |open, _| open).await;
}

/// As Kubernetes mounts a ConfigMap: the manifest is a link into a folder that holds nothing else, and nothing beside it can be
/// written to.
#[tokio::test]
async fn a_keeper_starts_from_a_manifest_that_is_a_link_in_a_read_only_folder() {
    let site = Site::found().await;
    let (mount, from) = (site.folder.path().join("mount"), site.folder.path());
    std::fs::create_dir_all(mount.join("..data")).unwrap();
    std::fs::rename(from.join("bascule.toml"), mount.join("..data/bascule.toml")).unwrap();
    std::fs::rename(from.join("secrets"), mount.join("secrets")).unwrap();
    std::os::unix::fs::symlink("..data/bascule.toml", mount.join("bascule.toml")).unwrap();
    std::fs::set_permissions(&mount, std::fs::Permissions::from_mode(0o555)).unwrap();
    let reports = from.join("reports").display().to_string();
    let east = site.keeper_of(&mount.join("bascule.toml"), "us-east-2", &[("BASCULE_REPORTS", &reports)]);
    east.until("it has found its secrets", |open, _| open).await;
    std::fs::set_permissions(&mount, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The threads of a process but the one that answers for the gate, held as by a debugger until this is dropped.
struct Hung(Vec<Pid>);

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.iter().for_each(|thread| ptrace::detach(*thread, None).unwrap());
    }
}

fn hang(process: &Process) -> Hung {
    let folder = format!("/proc/{}/task", process.0.id());
    let mut hung = Hung(Vec::new());
    for task in std::fs::read_dir(folder).unwrap().flatten() {
        if std::fs::read_to_string(task.path().join("comm")).unwrap().trim() == "gate" {
            continue;
        }
        let thread = Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap());
        ptrace::seize(thread, ptrace::Options::empty()).unwrap();
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        hung.0.push(thread);
    }
    hung
}

/// Its gate has closed by itself long before; this is what has it started again.
#[tokio::test]
async fn a_keeper_whose_loops_hang_says_so_although_its_gate_answers() {
    let site = Site::found().await;
    let east = site.keeper("us-east-2", &[]);
    east.until("its gate opens", |open, _| open).await;
    assert_eq!(east.page("/healthz").await, "alive\n");
    let _hung = hang(&east.process);
    let begun = Instant::now();
    while east.page("/healthz").await != "hung: it does not renew any more\n" {
        assert!(begun.elapsed() < PATIENCE * 2, "{}", east.page("/healthz").await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!east.gate().await.expect("its thread lives").0);
}

#[tokio::test]
async fn a_keeper_that_was_frozen_wakes_to_a_closed_gate() {
    let site = Site::found().await;
    let east = site.keeper("us-east-2", &[]);
    east.until("its gate opens", |open, _| open).await;
    // Its store goes too, so that nothing could open it again before it is asked.
    site.etcd.signal("STOP");
    east.process.signal("STOP");
    tokio::time::sleep(TTL + REACTION).await;
    east.process.signal("CONT");
    assert!(!east.gate().await.expect("it answers").0, "its first answer");
}

#[tokio::test]
async fn a_keeper_tells_its_service_manager_and_people() {
    let site = Site::found().await;
    let path = site.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let mut west = site.keeper("us-west-1", &environment);
    let first = std::iter::repeat_with(|| told(&socket)).find(|word| word != MORE_TIME);
    assert_eq!(first.as_deref(), Some("READY=1"), "once it knows that the other region is active");
    assert_eq!((told(&socket), told(&socket)), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
    assert_eq!(west.page("/readyz").await, "ready, closed\n");
    west.process.signal("TERM");
    let last = std::iter::repeat_with(|| told(&socket)).find(|word| word != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert!(west.process.0.wait().unwrap().success());
    // Nobody has a primary here: the active region's keeper confirms nothing.
    let mut east = site.keeper("us-east-2", &environment);
    east.until("its gate opens", |open, _| open).await;
    assert_eq!(told(&socket), MORE_TIME);
    assert_eq!(east.page("/readyz").await, "open, and no primary to confirm to was found yet\n");
    let status: serde_json::Value = serde_json::from_str(&east.page("/status").await).unwrap();
    assert_eq!((&status["place"], &status["open"]), (&"us-east-2-keeper1".into(), &1.into()));
    assert_eq!((&status["active"], &status["confirming"]), (&"us-east-2".into(), &false.into()));
    let metrics = east.page("/metrics").await;
    assert!(
        metrics.contains("\nbascule_gate_open 1\n") && metrics.contains("\nbascule_epoch 1\n"),
        "{metrics}"
    );
    assert_eq!(east.page("/healthz").await, "alive\n");
    east.process.signal("TERM");
    let last = std::iter::repeat_with(|| told(&socket)).find(|word| word != MORE_TIME);
    assert_eq!(last.as_deref(), Some("STOPPING=1"), "it never said that it was ready");
    assert!(east.process.0.wait().unwrap().success());
}

/// What it says while it waits for what it can't do without.
const MORE_TIME: &str = "EXTEND_TIMEOUT_USEC=30000000";

fn told(socket: &UnixDatagram) -> String {
    let mut word = [0; 64];
    let length = socket.recv(&mut word).unwrap();
    String::from_utf8(word[..length].to_vec()).unwrap()
}

#[test]
fn a_site_without_keepers_and_a_keeper_without_a_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bascule.toml");
    let (site, _lab) = SITE.split_once("[lab]").unwrap();
    std::fs::write(&path, site).unwrap();
    let refused = |manifest: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
        let out = command.arg("--manifest").arg(manifest).arg("keeper").args(arguments).output().unwrap();
        assert_eq!(out.status.code(), Some(2));
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(refused(&path, &["--witness"]).contains("no [automatic] section"));
    assert!(refused(&path, &["--region", "us-east-2"]).contains("--name"));
    assert!(refused(&path, &["--witness", "--region", "us-east-2"]).contains("cannot be used with"));
}
