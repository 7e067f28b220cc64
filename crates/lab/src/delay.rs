//! The slow link: a proxy that passes every byte on, a fixed time later.
//!
//! It adds latency and leaves throughput alone: bytes carry the time at which they are due, and many wait at once.
//! It runs inside the region it slows, so that it dies and freezes with it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Chunks that may wait in each direction of a connection: 16 MiB at most, which is a second (the longest delay) at
/// 128 Mbit/s in full chunks; after that the sender feels the link is full, as on a real one.
const CHUNKS_MAX: usize = 256;
/// Connections at once: both pools' and replication's, many times over.
const CONNECTIONS_MAX: usize = 512;
/// The load balancer in the same region answers at once or not at all.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// From where to where, written `from=to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it listens.
    pub from: SocketAddr,
    /// Where it connects to.
    pub to: SocketAddr,
}

impl std::str::FromStr for Route {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (from, to) = text.split_once('=').context("a route is written from=to")?;
        let parse = |part: &str| part.parse().with_context(|| format!("{part:?} is no address with a port"));
        Ok(Self { from: parse(from)?, to: parse(to)? })
    }
}

/// Listens on every route, until killed.
///
/// # Errors
/// When a route can't be listened on.
pub fn run(delay: Duration, routes: &[Route]) -> anyhow::Result<()> {
    let mut threads = Vec::new();
    for route in routes.iter().copied() {
        let listener = TcpListener::bind(route.from).with_context(|| format!("listen on {}", route.from))?;
        threads.push(std::thread::spawn(move || accept(&listener, route.to, delay)));
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a route's thread panicked"))?;
    }
    Ok(())
}

fn accept(listener: &TcpListener, to: SocketAddr, delay: Duration) {
    let open = std::sync::Arc::new(());
    for client in listener.incoming().flatten() {
        // Each connection's four threads share one count.
        if std::sync::Arc::strong_count(&open) > CONNECTIONS_MAX {
            continue;
        }
        let token = std::sync::Arc::clone(&open);
        std::thread::spawn(move || {
            // A connection that can't be passed on is closed, which is what its client would have seen without a proxy.
            let _ = pass(client, to, delay);
            drop(token);
        });
    }
}

fn pass(client: TcpStream, to: SocketAddr, delay: Duration) -> anyhow::Result<()> {
    let server = TcpStream::connect_timeout(&to, CONNECT_MAX).context("connect")?;
    client.set_nodelay(true).context("set an option")?;
    server.set_nodelay(true).context("set an option")?;
    let there = one_way(client.try_clone().context("share")?, server.try_clone().context("share")?, delay);
    let back = one_way(server, client, delay);
    for thread in there.into_iter().chain(back) {
        let _ = thread.join();
    }
    Ok(())
}

type Chunk = (Instant, Vec<u8>);

fn one_way(from: TcpStream, to: TcpStream, delay: Duration) -> [std::thread::JoinHandle<()>; 2] {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    [std::thread::spawn(move || read(from, delay, &sender)), std::thread::spawn(move || write(to, &receiver))]
}

fn read(mut from: TcpStream, delay: Duration, sender: &SyncSender<Chunk>) {
    let mut buffer = vec![0_u8; CHUNK];
    loop {
        // The end travels as late as the bytes: an empty chunk.
        let n = from.read(&mut buffer).unwrap_or(0);
        if sender.send((Instant::now() + delay, buffer[..n].to_vec())).is_err() || n == 0 {
            return;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<Chunk>) {
    while let Ok((due, chunk)) = receiver.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if chunk.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&chunk).is_err() {
            // The reader of the other direction sees the end as well.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives_in_order_and_no_earlier_than_the_delay() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = echo.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut copy = stream.try_clone().unwrap();
            std::io::copy(&mut stream, &mut copy).unwrap();
            copy.shutdown(Shutdown::Write).unwrap();
        });
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = proxy.local_addr().unwrap();
        let delay = Duration::from_millis(40);
        std::thread::spawn(move || accept(&proxy, to, delay));
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let begun = Instant::now();
        let mut stream = TcpStream::connect(at).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let copy = sent.clone();
        std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert_eq!(received, sent);
        assert!(begun.elapsed() >= 2 * delay, "{:?}", begun.elapsed());
    }
}
