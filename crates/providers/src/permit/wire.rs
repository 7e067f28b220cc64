//! A session in PostgreSQL's replication protocol: logging in, and messages as they come.
//!
//! Source: PostgreSQL 15 manual, sections 55.2 (message flow), 55.4 (streaming replication) and 55.7 (formats). It
//! logs into a database (`replication=database`), so that the same rules of pg_hba.conf hold as for every other
//! session of the management user, and may ask in SQL before it streams.
//!
//! What it leaves out: TLS, and every message that a receiver of the log does not need.

use std::io;

use bascule_core::position::{Position, Timeline};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::sql::Login;
use crate::{ANSWER, CONNECT};

/// A message carries at most one piece of the log (128 KiB, `MAX_SEND_SIZE` in walsender.c) and its header; an
/// error's text is shorter. Twice that.
const MESSAGE_MAX: usize = 256 << 10;

/// A session.
pub(super) struct Wire {
    stream: TcpStream,
    inbox: BytesMut,
}

/// A message from the server.
pub(super) struct Message {
    pub tag: u8,
    pub body: Bytes,
}

impl Wire {
    /// Log in, within [`CONNECT`] and [`ANSWER`].
    pub(super) async fn open(login: &Login, application: &str) -> io::Result<Self> {
        let stream =
            timeout(CONNECT, TcpStream::connect(login.at)).await.map_err(|_| late("no connection"))??;
        // A confirmation is 39 bytes, and a user waits for it.
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, millis(ANSWER))?;
        let mut wire = Self { stream, inbox: BytesMut::new() };
        timeout(ANSWER, wire.log_in(login, application)).await.map_err(|_| late("no session"))??;
        Ok(wire)
    }

    async fn log_in(&mut self, login: &Login, application: &str) -> io::Result<()> {
        let mut out = BytesMut::new();
        let parameters = [
            ("user", login.user.as_str()),
            ("database", login.database.as_str()),
            ("replication", "database"),
            ("application_name", application),
        ];
        frontend::startup_message(parameters, &mut out)?;
        self.send(&out).await?;
        let mut scram = None;
        loop {
            let Message { tag, mut body } = self.message().await?;
            match tag {
                b'R' => self.authenticate(&mut body, &mut scram, login).await?,
                b'Z' => return Ok(()),
                // What it calls its parameters, and the key to cancel with.
                b'S' | b'K' | b'N' => {}
                other => return Err(unexpected(other)),
            }
        }
    }

    async fn authenticate(
        &mut self,
        body: &mut Bytes,
        scram: &mut Option<ScramSha256>,
        login: &Login,
    ) -> io::Result<()> {
        let mut out = BytesMut::new();
        match (take_i32(body)?, scram) {
            (0, _) => return Ok(()),
            (10, scram @ None) => {
                let password = login.password.reveal().as_bytes();
                let begun = scram.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
                frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out)?;
            }
            (11, Some(scram)) => {
                scram.update(body)?;
                frontend::sasl_response(scram.message(), &mut out)?;
            }
            (12, Some(scram)) => return scram.finish(body),
            (other, _) => {
                let why = format!("the server asks for authentication {other}; only SCRAM-SHA-256 is spoken");
                return Err(io::Error::other(why));
            }
        }
        self.send(&out).await
    }

    /// Run a statement that answers one row, within [`ANSWER`].
    pub(super) async fn ask(&mut self, sql: &str) -> io::Result<Vec<Option<String>>> {
        timeout(ANSWER, self.answer(sql)).await.map_err(|_| late("no answer"))?
    }

    async fn answer(&mut self, sql: &str) -> io::Result<Vec<Option<String>>> {
        self.query(sql).await?;
        let mut row = Vec::new();
        loop {
            let Message { tag, mut body } = self.message().await?;
            match tag {
                b'D' => row = cells(&mut body)?,
                b'Z' => return Ok(row),
                b'T' | b'C' | b'S' | b'N' => {}
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Where its log ends now.
    pub(super) async fn identify(&mut self) -> io::Result<Position> {
        let row = self.ask("IDENTIFY_SYSTEM").await?;
        let [_, Some(timeline), Some(lsn), ..] = &row[..] else {
            return Err(io::Error::other("it does not say where its log is"));
        };
        let timeline = timeline.parse().map_err(|_| io::Error::other(format!("timeline {timeline:?}")))?;
        Ok(Position { timeline: Timeline(timeline), lsn: lsn.parse().map_err(io::Error::other)? })
    }

    /// Begin to stream from a position; returns once the server does.
    pub(super) async fn stream_from(&mut self, from: Position) -> io::Result<()> {
        let Position { timeline, lsn } = from;
        self.query(&format!("START_REPLICATION PHYSICAL {lsn} TIMELINE {timeline}")).await?;
        let answer = async {
            loop {
                match self.message().await?.tag {
                    b'W' => return Ok(()),
                    b'S' | b'N' => {}
                    other => return Err(unexpected(other)),
                }
            }
        };
        timeout(ANSWER, answer).await.map_err(|_| late("no stream"))?
    }

    async fn query(&mut self, sql: &str) -> io::Result<()> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out)?;
        self.send(&out).await
    }

    /// Write a confirmation at this instant, or not at all: one that waited for room in the socket's buffer would
    /// be sent when it may be true no longer. That it finds no room is the end of the session.
    pub(super) fn send_now(&self, confirmation: &[u8]) -> io::Result<()> {
        let written = self.stream.try_write(confirmation)?;
        if written == confirmation.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the socket took only a part of a confirmation"))
    }

    async fn send(&mut self, out: &[u8]) -> io::Result<()> {
        self.stream.write_all(out).await
    }

    /// The next message. Nothing is lost if the caller stops waiting. An error of the server's is an error.
    pub(super) async fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
            }
        }
    }

    /// The next message, if it is here already. An error of the server's is an error.
    pub(super) fn buffered(&mut self) -> io::Result<Option<Message>> {
        match self.parse()? {
            Some(message) if message.tag == b'E' => Err(io::Error::other(error_text(&message.body))),
            message => Ok(message),
        }
    }

    fn parse(&mut self) -> io::Result<Option<Message>> {
        let Some(mut head) = self.inbox.get(..5) else { return Ok(None) };
        let tag = head.get_u8();
        let length = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
        if !(4..=MESSAGE_MAX).contains(&length) {
            return Err(io::Error::other(format!("a message of {length} bytes is none")));
        }
        if self.inbox.len() <= length {
            return Ok(None);
        }
        let mut whole = self.inbox.split_to(1 + length).freeze();
        whole.advance(5);
        Ok(Some(Message { tag, body: whole }))
    }
}

/// That the log is safe up to here (a "standby status update"), and whether an answer is wanted at once.
pub(super) fn confirmation(lsn: u64, answer: bool) -> BytesMut {
    let mut out = BytesMut::with_capacity(39);
    out.put_u8(b'd');
    // The length counts itself; then `r`, three positions, a time, and whether an answer is wanted.
    out.put_i32(4 + 1 + 3 * 8 + 8 + 1);
    out.put_u8(b'r');
    for _ in ["written", "flushed", "applied"] {
        out.put_u64(lsn);
    }
    // The time is shown to people only.
    out.put_i64(0);
    out.put_u8(u8::from(answer));
    out
}

/// Columns of a row, as text.
fn cells(body: &mut Bytes) -> io::Result<Vec<Option<String>>> {
    let count = body.try_get_u16().map_err(io::Error::other)?;
    (0..count)
        .map(|_| {
            let Ok(length) = usize::try_from(take_i32(body)?) else { return Ok(None) };
            if body.len() < length {
                return Err(io::Error::other("a row is cut short"));
            }
            Ok(Some(String::from_utf8_lossy(&body.split_to(length)).into_owned()))
        })
        .collect()
}

/// The message field (`M`) of an error.
fn error_text(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let message = fields.filter_map(<[u8]>::split_first).find(|(kind, _)| **kind == b'M');
    message.map_or("the server reports an error".to_owned(), |(_, text)| {
        String::from_utf8_lossy(text).into_owned()
    })
}

fn take_i32(body: &mut Bytes) -> io::Result<i32> {
    body.try_get_i32().map_err(io::Error::other)
}

fn unexpected(tag: u8) -> io::Error {
    io::Error::other(format!("the server sent {:?} where it should not", char::from(tag)))
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} in time"))
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_text_is_found_among_its_fields() {
        assert_eq!(error_text(b"SFATAL\0C57P01\0Mterminating connection\0\0"), "terminating connection");
        assert_eq!(error_text(b"\0"), "the server reports an error");
    }

    #[test]
    fn a_row_that_is_cut_short_is_an_error() {
        let mut row = Bytes::from_static(b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff");
        assert_eq!(cells(&mut row).unwrap(), [Some("ab".to_owned()), None]);
        let mut short = Bytes::from_static(b"\0\x01\0\0\0\x09ab");
        assert!(cells(&mut short).is_err());
    }
}
