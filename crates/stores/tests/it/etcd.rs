//! A real cluster of three members on loopback, which dies with its test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bascule_core::ports::TenureStore as _;
use bascule_stores::{EtcdConfig, EtcdStore};
use etcd_client::{Client, ConnectOptions};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::site::name;

/// By when a cluster that can answer does: starting and electing take two seconds, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates for TLS: a folder with `ca`, `member` and `client`, each `.pem` and `.key`.
pub struct Certificates(pub PathBuf);

impl Certificates {
    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.0.join(file)).unwrap()
    }
}

/// A loopback address that no other test has, in this process or another. Its ports can be fixed, and lie below
/// those that clients are given: a member that dials another before it listens may be given just that one's port
/// (connections within a machine come from the address they go to), which it then can't bind any more.
pub fn loopback() -> Ipv4Addr {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    // Eight clusters a process, and processes by the lower bits of their numbers: those that run at the same time
    // were started one after another.
    let number = std::process::id() * 8 + CLUSTERS.fetch_add(1, Ordering::Relaxed) % 8;
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, 64 + a % 64, b, c)
}

struct Member {
    client: SocketAddr,
    peer: SocketAddr,
    process: Child,
}

impl Member {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may be dead and waited for already. SIGKILL also ends one that is stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Three members.
pub struct Cluster {
    members: Vec<Member>,
    certificates: Option<Certificates>,
    folder: TempDir,
}

impl Cluster {
    /// Members without TLS, ready to answer.
    pub async fn start() -> Self {
        let cluster = Self::start_unready(loopback(), None);
        cluster.until_ready(EtcdConfig::new(cluster.endpoints())).await;
        cluster
    }

    /// Members that may not answer yet.
    pub fn start_unready(address: Ipv4Addr, certificates: Option<Certificates>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let peers = [0, 1, 2].map(|number| SocketAddr::from((address, 2380 + 100 * number)));
        let start = |number: usize| {
            let peer = peers[number];
            let client = SocketAddr::new(peer.ip(), peer.port() - 1);
            let process = spawn(folder.path(), number, client, &peers, certificates.as_ref());
            Member { client, peer, process }
        };
        let members = (0..3).map(start).collect();
        Self { members, certificates, folder }
    }

    pub fn endpoints(&self) -> Vec<String> {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        self.members.iter().map(|member| format!("{scheme}://{}", member.client)).collect()
    }

    /// A store with a connection of its own, which asks the members in this order, for a second.
    pub fn store(&self, order: [usize; 3]) -> EtcdStore {
        let endpoints = self.endpoints();
        let config = EtcdConfig::new(order.map(|number| endpoints[number].clone()).to_vec());
        EtcdStore::connect(config, &name()).unwrap()
    }

    /// Until each member answers, so that a test knows which one it speaks to.
    pub async fn until_ready(&self, config: EtcdConfig) {
        for url in &config.endpoints {
            let alone = EtcdConfig { endpoints: vec![url.clone()], ..config.clone() };
            let store = EtcdStore::connect(alone, &name()).unwrap();
            until("the member answers", async || store.tenure().await.is_ok()).await;
        }
    }

    /// The number of the member that leads.
    pub async fn leader(&self) -> usize {
        let begun = Instant::now();
        loop {
            for (number, url) in self.endpoints().iter().enumerate() {
                let options = ConnectOptions::new().with_timeout(Duration::from_secs(1));
                let mut client = Client::connect([url], Some(options)).await.unwrap();
                let Ok(status) = client.status().await else { continue };
                if status.leader() != 0 && status.header().unwrap().member_id() == status.leader() {
                    return number;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "nobody leads");
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, number: usize) {
        self.members[number].process.kill().unwrap();
        self.members[number].process.wait().unwrap();
    }

    /// Start one that was killed, with what it had.
    pub fn restart(&mut self, number: usize) {
        let peers: Vec<_> = self.members.iter().map(|member| member.peer).collect();
        let member = &mut self.members[number];
        let certificates = self.certificates.as_ref();
        member.process = spawn(self.folder.path(), number, member.client, &peers, certificates);
    }

    /// Cut it off: connections to it stay, and nothing comes back.
    /// Returns when it has stopped: on a busy machine it may answer for a while after the signal was sent.
    pub fn freeze(&self, number: usize) {
        let member = &self.members[number];
        member.signal(Signal::STOP);
        // The status stays, so that its end can still be waited for.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(member.pid()), stopped).unwrap();
    }

    pub fn thaw(&self, number: usize) {
        self.members[number].signal(Signal::CONT);
    }
}

/// Wait for what will be so.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn spawn(
    folder: &Path,
    number: usize,
    client: SocketAddr,
    peers: &[SocketAddr],
    certificates: Option<&Certificates>,
) -> Child {
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let client = format!("{scheme}://{client}");
    let peer = |number: usize| format!("http://{}", peers[number]);
    let all: Vec<_> = (0..peers.len()).map(|number| format!("m{number}={}", peer(number))).collect();
    let log =
        fs::File::options().create(true).append(true).open(folder.join(format!("{number}.log"))).unwrap();
    // Dies with the test, however that ends.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "etcd", "--name", &format!("m{number}"), "--data-dir"])
        .arg(folder.join(number.to_string()))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer(number), "--initial-advertise-peer-urls", &peer(number)])
        .args(["--initial-cluster", &all.join(","), "--logger", "zap", "--log-level", "warn"]);
    if let Some(Certificates(folder)) = certificates {
        command.arg("--cert-file").arg(folder.join("member.pem"));
        command.arg("--key-file").arg(folder.join("member.key"));
        command.arg("--trusted-ca-file").arg(folder.join("ca.pem")).arg("--client-cert-auth");
    }
    let log = (log.try_clone().unwrap(), log);
    command
        .stdin(Stdio::null())
        .stdout(log.0)
        .stderr(log.1)
        .spawn()
        .expect("etcd is installed by `make setup`")
}
