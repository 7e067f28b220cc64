//! Object storage over TLS, as every cloud has it; what S3 itself answers is seen on the lab.

use std::collections::BTreeMap;
use std::fs;

use bascule_core::facts::{Bucket, Listing};
use bascule_core::id::RegionName;
use bascule_core::manifest::{AccessKey, HttpUrl, ObjectStorage, Scheme};
use bascule_providers::Secret;
use bascule_providers::patroni::http_client;
use bascule_providers::storage::{Storage, buckets};
use reqwest::{Certificate, Client};

use crate::process::{Part, folder, free_port, unprivileged};

#[tokio::test]
async fn a_storage_is_asked_over_tls_and_only_if_its_certificate_is_known() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"];
    let (subject, alternative) = ("/CN=storage.test", "subjectAltName=DNS:localhost");
    let out = [
        "-addext",
        alternative,
        "-addext",
        "basicConstraints=CA:FALSE",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    let made = unprivileged("/usr/bin/openssl").args(make).arg(subject).args(out).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let known = Certificate::from_pem(&fs::read(&certificate).unwrap()).unwrap();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let serve = ["s_server", "-accept", &address, "-cert", &certificate, "-key", &key, "-www"];
    let mut part = Part::start(folder, "/usr/bin/openssl", &serve);
    part.answers("the server", async || std::net::TcpStream::connect(&address).ok()).await;

    let why = |seen: BTreeMap<RegionName, Listing<Bucket>>| {
        seen.values().find_map(|listing| listing.answer.why_not().map(str::to_owned)).unwrap()
    };
    let stranger = why(buckets(&[storage(port)], &http_client().unwrap()).await);
    assert!(stranger.contains("certificate"), "{stranger}");
    let http = Client::builder().tls_certs_only([known]).no_proxy().build().unwrap();
    let spoken = why(buckets(&[storage(port)], &http).await);
    assert!(spoken.contains("does not answer as S3 does"), "{spoken}");
}

fn storage(port: u16) -> Storage {
    let bucket = ObjectStorage {
        name: "backups".to_owned(),
        endpoint: HttpUrl { scheme: Scheme::Https, host: "localhost".parse().unwrap(), port: Some(port) },
        access_key: AccessKey::Id("bascule".to_owned()),
        secret_key_file: "secrets/storage".into(),
        replicated_to: None,
    };
    let login = Ok(("bascule".to_owned(), Secret::new("not a secret")));
    Storage { region: "us-east-2".parse().unwrap(), bucket, login }
}
