//! Real Knot servers: a primary that takes signed updates, and a secondary that users ask. The primary tells
//! nobody of a change, so what reaches the secondary was told by whoever made it.

use std::net::SocketAddr;

use bascule_core::id::DnsName;
use bascule_core::ports::Names as _;
use bascule_providers::Secret;
use bascule_providers::dns::{DnsConfig, DnsNames};
use tempfile::TempDir;

use crate::process::{Part, folder, free_port, write};

/// The key, in base64: 32 bytes of nothing secret.
const KEY: &str = "bm90IGEgc2VjcmV0LCBqdXN0IGEgdGVzdCBvZiBUU0k=";

/// A primary with one secondary.
pub struct Servers {
    pub primary: SocketAddr,
    pub secondary: SocketAddr,
    pub second: Part,
    _first: Part,
}

impl Servers {
    /// Both, with the zone's records on both.
    pub async fn start(records: &str) -> Self {
        let (primary, secondary) = (local(free_port()), local(free_port()));
        let first_folder = folder();
        let zone = first_folder.path().join("zone");
        // A refresh each 60 s: none comes within a test.
        let head = "$ORIGIN events.test.\n$TTL 5\n@ 60 SOA ns hostmaster 1 60 1 600 5\n@ 60 NS ns\n";
        write(&zone, &format!("{head}ns 60 A 127.0.0.1\n{records}\n"));
        let other = |id: &str, at: SocketAddr| {
            format!("remote:\n  - id: {id}\n    address: {}@{}\n    key: bascule\n", at.ip(), at.port())
        };
        let first = server(
            first_folder,
            primary,
            &other("second", secondary),
            "[update, transfer]",
            "    journal-content: all\n    zonefile-load: difference-no-serial\n",
        );
        let second = server(
            folder(),
            secondary,
            &other("first", primary),
            "[notify, transfer]",
            "    master: first\n    zonefile-load: none\n    journal-content: all\n",
        );
        let mut servers = Self { primary, secondary, second, _first: first };
        let names = servers.names();
        let ready = async || {
            let answers = names.observe(&name()).await;
            answers.iter().all(|answer| answer.answer.seen().is_some()).then_some(())
        };
        servers.second.answers("the secondary", ready).await;
        servers
    }

    pub fn config(&self) -> DnsConfig {
        DnsConfig {
            zone: "events.test".parse().unwrap(),
            update_server: self.primary,
            servers: vec![self.primary, self.secondary],
            tsig_name: "bascule".parse().unwrap(),
            tsig_algorithm: "hmac-sha256".to_owned(),
            tsig_secret: Secret::new(KEY),
            like: [127, 0, 0, 1].into(),
        }
    }

    pub fn names(&self) -> DnsNames {
        DnsNames::new(&self.config()).unwrap()
    }
}

/// The name that moves.
pub fn name() -> DnsName {
    "app.events.test".parse().unwrap()
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn server(folder: TempDir, at: SocketAddr, remote: &str, may: &str, zone: &str) -> Part {
    let path = folder.path().display().to_string();
    let config = format!(
        "server:\n    listen: 127.0.0.1@{port}\n    rundir: {path}\n    udp-workers: 1\n    tcp-workers: 1\n\
         \x20   background-workers: 1\ndatabase:\n    storage: {path}\nlog:\n  - target: stderr\n    any: info\n\
         key:\n  - id: bascule\n    algorithm: hmac-sha256\n    secret: {KEY}\n{remote}\
         acl:\n  - id: key\n    key: bascule\n    action: {may}\n\
         zone:\n  - domain: events.test\n    file: {path}/zone\n    zonefile-sync: -1\n    acl: key\n{zone}",
        port = at.port(),
    );
    let file = folder.path().join("knot.conf");
    write(&file, &config);
    Part::start(folder, "/usr/sbin/knotd", &["-c", &file.display().to_string()])
}
