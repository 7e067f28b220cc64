//! The durable record: what is not on the disk was not acknowledged.
//!
//! One thread owns the file. It takes what has been sent to it, writes it, syncs the data (fdatasync),
//! and only then counts it: whatever [`Recorder::durable`] shows is in the file, whenever the process or
//! the machine dies. Entries are committed in groups, so that a hundred writes a second cost the disk,
//! which the databases under test share, twenty syncs and not a hundred.
//!
//! The instants within an entry are taken by whoever saw it, so the group's delay is in no measurement.
//! An error of the disk ends the recorder; everyone who waits on it hears of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use tokio::sync::{mpsc, watch};

use crate::recording::{Ack, Entry, Mark, RECORDING_FILE};
use crate::time::At;

/// Shortest time between two syncs: 20 a second, far below what any disk does, and a drill that waits
/// for a count to be reached waits at most this much longer.
const GROUP: Duration = Duration::from_millis(50);
/// Entries that wait for the disk: ten seconds of 100 writes and 100 probes a second. After that whoever
/// records waits, and the load slows down instead of growing.
const QUEUE: usize = 2048;
/// Marks of one run: an operation has about ten phases, each with two ends; three times that.
const MARKS_MAX: usize = 64;

/// What is on the disk, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durable {
    /// Writes acknowledged to users.
    pub acks: u64,
    /// Errors that users saw.
    pub failures: u64,
    /// Entries of any kind.
    pub entries: u64,
    /// For each mark, when it was and the first acknowledged write that was *sent* after it.
    pub marks: BTreeMap<String, MarkSeen>,
    /// Why nothing more is recorded, if the disk failed.
    pub broken: Option<String>,
}

/// A mark and what followed it.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkSeen {
    /// The marked instant.
    pub at: At,
    /// The first acknowledged write sent after it, once there is one.
    pub first_ack: Option<Ack>,
}

/// The way to the recording thread. Dropping every sender ends the thread once all is written.
#[derive(Debug)]
pub struct Recorder {
    thread: JoinHandle<anyhow::Result<()>>,
    sender: Sender,
    durable: watch::Receiver<Durable>,
}

/// A handle that records.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::Sender<Entry>);

impl Sender {
    /// Hands `entry` to the recording thread; waits while its queue is full.
    ///
    /// # Errors
    /// When the recorder has ended.
    pub async fn record(&self, entry: Entry) -> anyhow::Result<()> {
        self.0.send(entry).await.map_err(|_| anyhow!("the recorder has ended"))
    }
}

impl Recorder {
    /// Creates `recording.jsonl` in `dir` and starts the thread. A file that is there already is never
    /// written over.
    ///
    /// # Errors
    /// When the file exists or cannot be made.
    pub fn create(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(RECORDING_FILE);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        // The file's name must survive a crash as well as its content.
        File::open(dir)?.sync_all().with_context(|| format!("cannot sync {}", dir.display()))?;
        let (sender, entries) = mpsc::channel(QUEUE);
        let (shown, durable) = watch::channel(Durable::default());
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || {
            let result = run(file, entries, &shown);
            if let Err(error) = &result {
                shown.send_modify(|durable| durable.broken = Some(format!("{error:#}")));
            }
            result
        })?;
        Ok(Self { thread, sender: Sender(sender), durable })
    }

    /// A handle that records.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// What is on the disk; changes as more is.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Waits until everything sent is on the disk, and ends the thread. Other senders must be gone.
    ///
    /// # Errors
    /// When the disk failed.
    pub async fn finish(self) -> anyhow::Result<()> {
        drop(self.sender);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        joined.map_err(|_| anyhow!("the recorder panicked"))?
    }
}

fn run(
    mut file: File,
    mut entries: mpsc::Receiver<Entry>,
    shown: &watch::Sender<Durable>,
) -> anyhow::Result<()> {
    let mut group = Vec::new();
    let mut bytes = Vec::new();
    while let Some(first) = entries.blocking_recv() {
        let begun = Instant::now();
        group.push(first);
        while group.len() < QUEUE {
            match entries.try_recv() {
                Ok(entry) => group.push(entry),
                Err(_) => break,
            }
        }
        for entry in &group {
            serde_json::to_writer(&mut bytes, entry)?;
            bytes.push(b'\n');
        }
        file.write_all(&bytes).context("cannot write the recording")?;
        file.sync_data().context("cannot sync the recording")?;
        let mut refused = Ok(());
        shown.send_modify(|durable| refused = group.drain(..).try_for_each(|entry| count(durable, entry)));
        refused?;
        bytes.clear();
        if !entries.is_closed() {
            std::thread::sleep(GROUP.saturating_sub(begun.elapsed()));
        }
    }
    Ok(())
}

fn count(durable: &mut Durable, entry: Entry) -> anyhow::Result<()> {
    durable.entries += 1;
    match entry {
        Entry::Ack(ack) => {
            durable.acks += 1;
            for mark in durable.marks.values_mut() {
                let earlier = mark.first_ack.as_ref().is_none_or(|first| ack.acked < first.acked);
                if ack.sent >= mark.at && earlier {
                    mark.first_ack = Some(ack.clone());
                }
            }
        }
        Entry::Failure(_) => durable.failures += 1,
        Entry::Mark(Mark { name, at }) => {
            ensure!(durable.marks.len() < MARKS_MAX, "more than {MARKS_MAX} marks in one run");
            durable.marks.entry(name).or_insert(MarkSeen { at, first_ack: None });
        }
        Entry::Start(_) | Entry::Probe(_) | Entry::Names(_) | Entry::End(_) => {}
    }
    Ok(())
}
