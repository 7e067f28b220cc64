//! Other failover managers, for `bascule bench --peers`: how long PostgreSQL under each takes no writes when its
//! primary and that one's agent are killed.
//!
//! The client is kinder to them than users are to bascule: it knows every node and asks all of them for the one
//! that takes writes, twenty times a second, so no name's time to live and no load balancer is in between.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

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
        let mut config: Config = uri.parse()?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).connect_timeout(ANSWER);
        let mut client = connect(&config).await.context("it is up, and takes no session")?;
        client.batch_execute("CREATE TABLE pulse (n bigserial PRIMARY KEY)").await?;
        let steady = Instant::now() + STEADY;
        while Instant::now() < steady {
            write(&client).await.context("a write before the kill")?;
            sleep(PACE).await;
        }
        let killed = Instant::now();
        self.words.write_all(b"kill\n").await?;
        let answer = self.answer(READY).await?;
        if answer != "killed" {
            bail!("it answered {answer:?} instead of \"killed\"");
        }
        // The kill takes the script some milliseconds: a write that still went through came before it.
        let mut last = killed;
        while killed.elapsed() < BACK {
            if write(&client).await.is_ok() {
                if last.elapsed() > ANSWER {
                    return Ok(last.elapsed().as_secs_f64() * 1000.0);
                }
                last = Instant::now();
                sleep(PACE).await;
            } else if let Ok(new) = connect(&config).await {
                client = new;
            } else {
                sleep(AGAIN).await;
            }
        }
        bail!("no write within {} s of the kill", BACK.as_secs())
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
