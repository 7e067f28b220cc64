//! What a load saw: the record that the oracle judges.
//!
//! It is one file, `recording.jsonl`, a line an entry, written by the [recorder](crate::recorder) while
//! the load runs and readable at any instant of it: a last line without its newline was being written
//! when the writer died and is left out; any other line that does not parse is an error, for a record
//! with a hole proves nothing. Times are those of one run's [`Clock`](crate::time::Clock).
//!
//! It leaves out successful reads (only their number is kept, at the end) and any secret.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use bascule_core::id::RegionName;
use bascule_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::At;

/// The version of the recording's format that is written.
pub const RECORDING_VERSION: u32 = 1;
/// The recording's file within its folder.
pub const RECORDING_FILE: &str = "recording.jsonl";
/// Longest line accepted: an entry has at most one free text, cut at [`DETAIL_MAX`], and names of 63.
const LINE_MAX: u64 = 4096;
/// Most characters kept of what a user saw: one line of a terminal, twice.
pub const DETAIL_MAX: usize = 200;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Entry {
    /// The first line.
    Start(Start),
    /// A write was acknowledged.
    Ack(Ack),
    /// A user's request did not succeed.
    Failure(Failure),
    /// A region was asked to take a write directly.
    Probe(Probe),
    /// The public name answered otherwise than before.
    Names(Names),
    /// Somebody named an instant.
    Mark(Mark),
    /// The last line of a load that ended in order.
    End(End),
}

/// Who recorded what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// [`RECORDING_VERSION`] at the time.
    pub version: u32,
    /// The run's name; its writes are called `w-<run>-<number>`.
    pub run: String,
    /// The wall clock when the run's clock was zero.
    pub started: Timestamp,
    /// The pace the writers keep together, in writes a second.
    pub writes_per_second: u32,
    /// The regions probed directly.
    pub probed: Vec<RegionName>,
}

/// A write that a user was told is safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// The write's number, never sent twice.
    pub number: u64,
    /// The id the application gave it.
    pub id: u64,
    /// Just before the request left.
    pub sent: At,
    /// When the whole answer had come.
    pub acked: At,
    /// `x-served-by`, if the answer named an instance.
    pub served_by: Option<String>,
}

/// What a user was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The write with this number.
    Write(u64),
    /// A read of an acknowledged write, by its number.
    Read(u64),
}

/// What went wrong, as the user could tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No server gave an address for the name.
    Resolve,
    /// No address took the connection.
    Connect,
    /// No answer within the request's time-out.
    Timeout,
    /// The connection broke before the answer was whole.
    Broken,
    /// An answer with a status that says no.
    Status(u16),
    /// A status that says yes over a body that does not.
    BadAnswer,
    /// An acknowledged write that a later read did not find.
    Vanished,
}

/// What is known of a write that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It never left, or was refused as wrong: it is not stored.
    NotDone,
    /// It may or may not be stored.
    Unknown,
}

/// An error that a user saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What the user was doing.
    pub request: Request,
    /// When the request began.
    pub sent: At,
    /// When the user knew.
    pub at: At,
    /// What went wrong.
    pub kind: FailureKind,
    /// What is known of the request's effect.
    pub outcome: Outcome,
    /// The words the user saw, cut at [`DETAIL_MAX`] characters.
    pub detail: String,
}

/// What came of asking a region for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The region committed it.
    Accepted,
    /// The region said no: no listener, a closed gate, a read-only database.
    Refused,
    /// Nothing was heard in time, or the connection broke with the write under way: it may have been taken.
    Unseen,
}

/// One or, for the same answer many times over, several probes of one region in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Whom it asked.
    pub region: RegionName,
    /// When the first of them left.
    pub sent: At,
    /// When the last of them was answered or given up.
    pub done: At,
    /// What came of each.
    pub outcome: ProbeOutcome,
    /// How many; an accepted probe always stands alone.
    pub count: u32,
    /// What the last of them was told, if it was not taken.
    pub detail: Option<String>,
}

/// What the public name answered from an instant on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// When the answer was in.
    pub at: At,
    /// The addresses it gave.
    pub addresses: Vec<String>,
}

/// A named instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// What happened.
    pub name: String,
    /// When.
    pub at: At,
}

/// How the load ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// When the load was told to stop; no write was begun after it.
    pub stopped: At,
    /// When the last answer was in.
    pub at: At,
    /// The wall clock at `at`.
    pub wall: Timestamp,
    /// How many reads succeeded.
    pub reads: u64,
    /// The public-name answers asked for, so that one can see that it was watched.
    pub resolutions: u64,
}

/// Everything one load saw, each list in the order it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Who recorded.
    pub start: Start,
    /// The writes that users were told are safe.
    pub acks: Vec<Ack>,
    /// The errors that users saw.
    pub failures: Vec<Failure>,
    /// The direct probes of the regions.
    pub probes: Vec<Probe>,
    /// The changes of the public name as a client saw them.
    pub names: Vec<Names>,
    /// The instants that were named.
    pub marks: Vec<Mark>,
    /// How it ended; `None` when the load died.
    pub end: Option<End>,
}

impl Recording {
    /// An empty recording that began as `start` says.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            start,
            acks: Vec::new(),
            failures: Vec::new(),
            probes: Vec::new(),
            names: Vec::new(),
            marks: Vec::new(),
            end: None,
        }
    }

    /// The first mark of that name.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<At> {
        self.marks.iter().find(|mark| mark.name == name).map(|mark| mark.at)
    }

    /// Where an instant of the wall clock lies in the run; before its start is its start.
    #[must_use]
    pub fn at_wall(&self, wall: Timestamp) -> At {
        At::from_ms(wall.0.saturating_sub(self.start.started.0))
    }

    /// Reads the recording in `dir`.
    ///
    /// # Errors
    /// When the file cannot be read, is of another version, or holds a whole line that is not an entry.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(RECORDING_FILE);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::read_lines(BufReader::new(file)).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes the recording to `dir`, which is made if need be, in the form [`Recording::read`] reads.
    ///
    /// # Errors
    /// When the folder or file cannot be written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(RECORDING_FILE);
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut out = BufWriter::new(file);
        for entry in self.entries() {
            serde_json::to_writer(&mut out, &entry)?;
            out.write_all(b"\n")?;
        }
        out.into_inner().context("cannot write the recording")?.sync_all()?;
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        std::iter::once(Entry::Start(self.start.clone()))
            .chain(self.acks.iter().cloned().map(Entry::Ack))
            .chain(self.failures.iter().cloned().map(Entry::Failure))
            .chain(self.probes.iter().cloned().map(Entry::Probe))
            .chain(self.names.iter().cloned().map(Entry::Names))
            .chain(self.marks.iter().cloned().map(Entry::Mark))
            .chain(self.end.iter().cloned().map(Entry::End))
    }

    fn read_lines(mut input: impl BufRead) -> anyhow::Result<Self> {
        let mut recording = None;
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let length = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            if length as u64 == LINE_MAX {
                bail!("line {number} is longer than {LINE_MAX} bytes");
            }
            if line.last() != Some(&b'\n') {
                break;
            }
            let entry =
                serde_json::from_slice(&line).with_context(|| format!("line {number} is no entry"))?;
            add(&mut recording, entry).with_context(|| format!("line {number} is out of place"))?;
        }
        recording.context("there is no first line")
    }
}

fn add(recording: &mut Option<Recording>, entry: Entry) -> anyhow::Result<()> {
    let Some(into) = recording else {
        let Entry::Start(start) = entry else { bail!("the recording does not begin with its start") };
        let version = start.version;
        ensure!(version == RECORDING_VERSION, "version {version} is not {RECORDING_VERSION}");
        *recording = Some(Recording::new(start));
        return Ok(());
    };
    ensure!(into.end.is_none(), "the recording goes on after its end");
    match entry {
        Entry::Start(_) => bail!("the recording starts twice"),
        Entry::Ack(ack) => into.acks.push(ack),
        Entry::Failure(failure) => into.failures.push(failure),
        Entry::Probe(probe) => into.probes.push(probe),
        Entry::Names(names) => into.names.push(names),
        Entry::Mark(mark) => into.marks.push(mark),
        Entry::End(end) => into.end = Some(end),
    }
    Ok(())
}

/// The name of write `number` of `run`, as the application stores it.
#[must_use]
pub fn write_name(run: &str, number: u64) -> String {
    format!("w-{run}-{number}")
}

/// The number of the write that is called `name`, if it is one of `run`.
#[must_use]
pub fn write_number(run: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix("w-")?.strip_prefix(run)?.strip_prefix('-')?;
    let number = digits.parse().ok()?;
    (write_name(run, number) == name).then_some(number)
}

/// Cuts `text` to what a recording keeps of it.
pub(crate) fn detail(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Start {
        Start {
            version: RECORDING_VERSION,
            run: "r1".into(),
            started: Timestamp(1_000_000),
            writes_per_second: 100,
            probed: vec!["us-east-2".parse().unwrap()],
        }
    }

    fn full() -> Recording {
        let mut recording = Recording::new(start());
        let ack = Ack { number: 1, id: 9, sent: At(10), acked: At(20), served_by: Some("app1.x".into()) };
        recording.acks.push(ack);
        recording.failures.push(Failure {
            request: Request::Write(2),
            sent: At(30),
            at: At(40),
            kind: FailureKind::Status(503),
            outcome: Outcome::Unknown,
            detail: "503".into(),
        });
        recording.probes.push(Probe {
            region: "us-east-2".parse().unwrap(),
            sent: At(1),
            done: At(2),
            outcome: ProbeOutcome::Refused,
            count: 3,
            detail: Some("closed".into()),
        });
        recording.names.push(Names { at: At(5), addresses: vec!["10.77.1.20".into()] });
        recording.marks.push(Mark { name: "fault".into(), at: At(50) });
        let end = End { stopped: At(60), at: At(61), wall: Timestamp(1_000_001), reads: 4, resolutions: 2 };
        recording.end = Some(end);
        recording
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        full().write(dir.path()).unwrap();
        assert_eq!(Recording::read(dir.path()).unwrap(), full());
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_torn_middle_is_an_error() {
        let start = serde_json::to_string(&Entry::Start(start())).unwrap();
        let ack = serde_json::to_string(&Entry::Ack(full().acks[0].clone())).unwrap();
        let torn = format!("{start}\n{ack}\n{}", &ack[..ack.len() / 2]);
        let read = Recording::read_lines(torn.as_bytes()).unwrap();
        assert_eq!(read.acks, full().acks);
        assert!(read.end.is_none(), "a load that died has no end");

        let holed = format!("{start}\n{}\n{ack}\n", &ack[..ack.len() / 2]);
        let error = Recording::read_lines(holed.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no entry");
    }

    #[test]
    fn another_version_is_refused() {
        let start = Start { version: 2, ..start() };
        let text = serde_json::to_string(&Entry::Start(start)).unwrap() + "\n";
        let error = Recording::read_lines(text.as_bytes()).unwrap_err();
        assert_eq!(format!("{error:#}"), "line 1 is out of place: version 2 is not 1");
    }

    #[test]
    fn the_longest_entry_fits_a_line() {
        let mut worst = full().failures[0].clone();
        worst.detail = detail(&"\u{10ffff}\\\"".repeat(DETAIL_MAX));
        let line = serde_json::to_string(&Entry::Failure(worst)).unwrap();
        assert!((line.len() as u64) < LINE_MAX, "{} bytes", line.len());
    }

    #[test]
    fn only_the_name_of_a_write_of_the_run_gives_its_number() {
        assert_eq!(write_number("r1", "w-r1-42"), Some(42));
        for other in ["w-r2-42", "w-r1-", "w-r1-042", "w-r1-+42", "w-r1-x", "r1-42", "w-r1-1-42"] {
            assert_eq!(write_number("r1", other), None, "{other}");
        }
    }
}
