//! `found` and `guard` as people type them, on a site of which most is gone: each part is an address that refuses
//! connections, but for those that a test listens at.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

/// The core's golden manifest, without its lab.
const SITE: &str = include_str!("../../core/tests/manifest/right.toml");
/// The Patroni of us-west-1's only member, and the load balancer of the home region, in that manifest.
const PATRONI: &str = "10.77.2.11:8008";
const ADMIN: &str = "10.77.1.20:9999";

fn site(stand_ins: &[(&str, SocketAddr)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut site, _lab) = SITE.split_once("[lab]").map(|(site, lab)| (site.to_owned(), lab)).unwrap();
    for (part, address) in stand_ins {
        assert!(site.contains(part), "the manifest names {part}");
        site = site.replace(part, &address.to_string());
    }
    std::fs::write(folder.path().join("bascule.toml"), site.replace("\"10.77.", "\"127.77.")).unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for secret in ["management", "patroni", "pool", "tsig"] {
        std::fs::write(folder.path().join("secrets").join(secret), "c2VjcmV0\n").unwrap();
    }
    folder
}

fn bascule(site: &TempDir, arguments: &[&str]) -> Output {
    let manifest = site.path().join("bascule.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.arg("--manifest").arg(manifest).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Answers each connection once, and keeps what it was asked.
fn stand_in(answer: impl Fn(&str) -> String + Send + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let request = read(&mut stream);
            let answer = answer(&request);
            kept.lock().unwrap().push(request);
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (at, asked)
}

/// Enough of a request: its head, and a body of JSON.
fn read(stream: &mut TcpStream) -> String {
    let (mut request, mut piece) = (String::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).unwrap_or(0);
        request.push_str(text(&piece[..length]));
        let whole = match request.split_once("\r\n\r\n") {
            Some((head, body)) => !head.starts_with("PATCH") || body.ends_with('}'),
            None => false,
        };
        if length == 0 || whole {
            return request;
        }
    }
}

#[test]
fn permits_are_set_in_each_region_that_can_be_reached() {
    let (patroni, asked) = stand_in(|request| {
        let members = r#"[{"name": "us-west-1-db1", "role": "leader", "state": "running"}]"#;
        let body =
            if request.starts_with("GET") { format!(r#"{{"members": {members}}}"#) } else { "{}".to_owned() };
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    let site = site(&[(PATRONI, patroni)]);
    let out = bascule(&site, &["guard", "--off"]);
    assert_eq!(out.status.code(), Some(1), "one region was not reached");
    assert_eq!(text(&out.stdout), "", "what no member shows is not said to be so");
    let said = text(&out.stderr);
    assert!(said.contains("us-west-1: its cluster manager was told that commits need not"), "{said}");
    assert!(said.contains("  what us-west-1-db1 shows is unknown: "), "{said}");
    assert!(said.contains("us-east-2: nothing was changed: no member's Patroni answers"), "{said}");
    assert!(said.contains("not done in us-east-2 and us-west-1: `bascule guard --off` again"), "{said}");
    let changes = asked.lock().unwrap().iter().filter(|request| request.starts_with("PATCH /config")).count();
    assert_eq!(changes, 1);
}

#[test]
fn a_site_is_founded_once_and_nothing_is_set_by_trying_again() {
    let (admin, asked) = stand_in(|_| "\n".to_owned());
    let site = site(&[(ADMIN, admin)]);
    let first = bascule(&site, &["found"]);
    assert_eq!(first.status.code(), Some(1), "the other region's gate can't be set");
    assert!(text(&first.stderr).contains("`bascule open`"), "{}", text(&first.stderr));
    let touched = asked.lock().unwrap().len();
    assert!(touched > 0, "the first gate was set");
    let again = bascule(&site, &["found"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let said = text(&again.stdout);
    assert!(
        said.starts_with("nothing was changed, since the site is founded: us-east-2 is active since 2"),
        "{said}"
    );
    assert!(said.ends_with("(epoch 1); `bascule open` sets the gates to that\n"), "{said}");
    assert_eq!(asked.lock().unwrap().len(), touched, "no gate is touched");
}
