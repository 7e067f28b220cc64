//! How the commands talk to a running lab: JSON lines over a Unix socket in its folder.
//!
//! One request a connection, answered by any number of lines of which the last is final. The socket is reached by
//! way of its folder's descriptor, since its own path may be longer than the 107 bytes a socket address holds.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::layout;
use crate::plan::Place;
use crate::status::Status;

/// Longest line: a status of some 35 parts is 12 KB.
pub const LINE_MAX: u64 = 256 * 1024;
/// Longest silence of a lab that works: the slowest request (a status with every probe timing out, in parallel) takes
/// 2 s, a start reports each part within 100 s or fails.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// What can be asked of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Tell everything about the start, until it is over.
    Watch,
    /// Tell the state of every part.
    Status,
    /// Break something.
    Break(Fault),
    /// Undo faults: all, or those that concern a region.
    Heal {
        /// The region, if not all.
        region: Option<Place>,
    },
    /// End.
    Down,
}

/// What a lab answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// A part was started.
    Started {
        /// Its name.
        part: String,
        /// Since the lab's start, in milliseconds.
        at_ms: u64,
    },
    /// A part became healthy for the first time.
    Healthy {
        /// Its name.
        part: String,
        /// Since the lab's start, in milliseconds.
        at_ms: u64,
        /// Its role, where it has one.
        role: Option<String>,
    },
    /// Something worth knowing happened.
    Note {
        /// What.
        text: String,
        /// Since the lab's start, in milliseconds.
        at_ms: u64,
    },
    /// Final: the whole lab is healthy.
    Ready {
        /// Since the lab's start, in milliseconds.
        at_ms: u64,
    },
    /// Final: the state of every part.
    Status(Box<Status>),
    /// Final: done, and what it did.
    Done(String),
    /// Final: not done, and why.
    Failed(String),
}

impl Reply {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Ready { .. } | Self::Status(_) | Self::Done(_) | Self::Failed(_) => true,
            Self::Started { .. } | Self::Healthy { .. } | Self::Note { .. } => false,
        }
    }
}

/// Connects to the lab in `dir`.
///
/// # Errors
/// When none runs there.
pub fn connect(dir: &Path) -> anyhow::Result<UnixStream> {
    let none = || format!("no lab runs in {} (start one with `bascule lab up`)", dir.display());
    let folder = std::fs::File::open(dir).with_context(none)?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), layout::CONTROL_SOCKET);
    UnixStream::connect(path).with_context(none)
}

/// Sends a request and hands every line of the answer to `each`; returns the final one.
///
/// # Errors
/// When the lab is not there, goes away, or says that it failed.
pub fn call(dir: &Path, request: &Request, mut each: impl FnMut(&Reply)) -> anyhow::Result<Reply> {
    let mut stream = connect(dir)?;
    stream.set_read_timeout(Some(SILENCE_MAX)).context("set a time-out")?;
    send(&mut stream, request)?;
    let mut reader = BufReader::new(stream);
    loop {
        let reply: Reply = receive(&mut reader)?.context("the lab ended without an answer")?;
        if let Reply::Failed(why) = reply {
            anyhow::bail!(why);
        }
        if reply.is_final() {
            return Ok(reply);
        }
        each(&reply);
    }
}

/// Writes a line.
///
/// # Errors
/// When the other side is gone.
pub fn send<T: Serialize>(stream: &mut UnixStream, message: &T) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message).context("write JSON")?;
    line.push(b'\n');
    stream.write_all(&line).context("send")
}

/// Reads a line; nothing if the other side has closed.
///
/// # Errors
/// When it is too long, too late, or not what was expected.
pub fn receive<T: serde::de::DeserializeOwned>(
    reader: &mut BufReader<UnixStream>,
) -> anyhow::Result<Option<T>> {
    let mut line = String::new();
    let n = reader.by_ref().take(LINE_MAX).read_line(&mut line).context("receive")?;
    if n == 0 {
        return Ok(None);
    }
    anyhow::ensure!(line.ends_with('\n'), "a line of the control socket is too long or cut off");
    serde_json::from_str(&line).context("read a line of the control socket").map(Some)
}
