//! Other failover managers, for `bascule bench --peers`: how long PostgreSQL under each takes no writes when its
//! primary and that one's agent are killed; and the same client on a site that moves by itself.
//!
//! The client is kinder than users' names are: it knows every node (of a site, the ingress of each region) and asks them in
//! turn for the one that takes writes, twenty times a second, so no name's time to live is in between.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

use crate::cmd::block_on;
use crate::cmd::torture::Lab;
use crate::site::Site;

/// Each manager, and its settings.
pub const PEERS: [(&str, &str); 4] = [
    ("patroni", "defaults"),
    ("patroni", "tightest"),
    ("pg_auto_failover", "defaults"),
    ("pg_auto_failover", "tightest"),
];

/// Its first port; it takes ten.
const PORT: &str = "7100";
/// The script gives each of its own waits 60 s, and has three of them.
const READY: Duration = Duration::from_secs(200);
/// A manager at its defaults took 51 s; three times that.
const BACK: Duration = Duration::from_secs(150);
/// Writes before the kill, so that what is measured is a failover of something in use.
const STEADY: Duration = Duration::from_secs(2);
/// Between two writes.
const PACE: Duration = Duration::from_millis(10);
/// One write, and one attempt to connect to all nodes.
const ANSWER: Duration = Duration::from_millis(500);
/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(50);

/// From the kill to the first write acknowledged afterwards, in milliseconds.
pub async fn measure(script: &Path, kind: &str, settings: &str, folder: &Path) -> anyhow::Result<f64> {
    let mut peer = Peer::start(script, kind, settings, folder)?;
    let outage = peer.outage().await.with_context(|| format!("{kind} ({settings})"));
    peer.end().await?;
    outage
}

struct Peer {
    child: Child,
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(script: &Path, kind: &str, settings: &str, folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(script)
            .args([kind, settings])
            .arg(folder)
            .arg(PORT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", script.display()))?;
        let words = child.stdin.take().context("its input is piped")?;
        let answers = child.stdout.take().context("its output is piped")?;
        Ok(Self { child, words, answers: BufReader::new(answers).lines() })
    }

    async fn outage(&mut self) -> anyhow::Result<f64> {
        let uri = self.answer(READY).await?;
        let Some(uri) = uri.strip_prefix("uri ") else { bail!("it answered {uri:?} instead of its URI") };
        let mut pulse = Pulse::begin(uri.parse()?).await?;
        // The kill takes the script some milliseconds: a write that still goes through came before it.
        self.words.write_all(b"kill\n").await?;
        let answer = self.answer(READY).await?;
        if answer != "killed" {
            bail!("it answered {answer:?} instead of \"killed\"");
        }
        pulse.outage().await
    }

    async fn answer(&mut self, within: Duration) -> anyhow::Result<String> {
        let line = timeout(within, self.answers.next_line()).await.context("it says nothing")??;
        line.context("it ended; its words are above")
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.words);
        timeout(READY, self.child.wait()).await.context("it does not end")??;
        Ok(())
    }
}

/// The client.
struct Pulse {
    config: Config,
    client: Client,
    last: Instant,
}

impl Pulse {
    /// Write for a while: what fails afterwards was in use.
    async fn begin(mut config: Config) -> anyhow::Result<Self> {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).connect_timeout(ANSWER);
        let client = connect(&config).await.context("it is up, and takes no session")?;
        client.batch_execute("CREATE TABLE IF NOT EXISTS pulse (n bigserial PRIMARY KEY)").await?;
        let steady = Instant::now() + STEADY;
        while Instant::now() < steady {
            write(&client).await.context("a write before the failure")?;
            sleep(PACE).await;
        }
        Ok(Self { config, client, last: Instant::now() })
    }

    /// The next time without a write, in milliseconds.
    async fn outage(&mut self) -> anyhow::Result<f64> {
        let began = Instant::now();
        while began.elapsed() < BACK {
            if write(&self.client).await.is_ok() {
                if self.last.elapsed() > ANSWER {
                    return Ok(self.last.elapsed().as_secs_f64() * 1000.0);
                }
                self.last = Instant::now();
                sleep(PACE).await;
            } else if let Ok(new) = connect(&self.config).await {
                self.client = new;
            } else {
                sleep(AGAIN).await;
            }
        }
        bail!("no outage that ended within {} s", BACK.as_secs())
    }
}

/// What the client says once it writes.
const STEADY_WORD: &str = "steady";

/// `bascule pulse`: the client at the ingress of every region. It says that it writes, and then how long it could not.
pub fn pulse(site: &Site) -> anyhow::Result<ExitCode> {
    let lab = bascule_lab::LabPlan::load(&site.folder)?;
    let mut config = Config::new();
    config.user(&lab.names.app_role).dbname(&lab.names.database);
    config.password(site.secret(&lab.secret_path(bascule_lab::Secret::App))?);
    for region in site.manifest.regions.values() {
        let ingress = region.database.ingress;
        config.host(ingress.ip().to_string()).port(ingress.port());
    }
    let mut out = std::io::stdout();
    block_on(async {
        let mut pulse = Pulse::begin(config).await?;
        writeln!(out, "{STEADY_WORD}")?;
        let outage = pulse.outage().await?;
        writeln!(out, "{outage}")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `bascule pulse` beside a site that is about to lose a region.
pub struct Beside {
    child: std::process::Child,
    says: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Beside {
    /// It writes when this returns.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let mut child = lab.piped(&["pulse"])?;
        let out = child.stdout.take().context("its output is piped")?;
        let mut beside = Self { child, says: std::io::BufReader::new(out).lines() };
        let word = beside.line()?;
        anyhow::ensure!(word == STEADY_WORD, "it says {word:?} instead of {STEADY_WORD:?}");
        Ok(beside)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        self.says.next().context("the client beside it ended")?.context("read what the client beside it says")
    }

    /// How long it could not write, in milliseconds.
    pub fn outage(mut self) -> anyhow::Result<f64> {
        let line = self.line()?;
        self.child.wait()?;
        line.parse().with_context(|| format!("read {line:?}"))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = timeout(2 * ANSWER, config.connect(NoTls)).await??;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

async fn write(client: &Client) -> anyhow::Result<()> {
    let insert = client.batch_execute("INSERT INTO pulse DEFAULT VALUES");
    timeout(ANSWER, insert).await??;
    Ok(())
}
