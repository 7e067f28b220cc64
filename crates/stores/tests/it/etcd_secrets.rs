//! Certificates and passwords.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use bascule_core::ports::{StoreError, TenureStore as _};
use bascule_stores::{EtcdClient, EtcdConfig, EtcdConfigError, EtcdLogin, EtcdStore, EtcdTls};
use etcd_client::{Client, Permission};

use crate::etcd::{Certificates, Cluster, loopback, until};
use crate::site::{founded, name, renewed};

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl").current_dir(folder).args(args.split_whitespace()).output();
    let output = output.expect("openssl is installed by `make setup`");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority of that name, a member's certificate for its address, and a client's.
fn certificates(folder: &Path, authority: &str, address: Ipv4Addr) -> Certificates {
    let folder = folder.join(authority);
    std::fs::create_dir(&folder).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN={authority}"));
    let usage = "extendedKeyUsage=serverAuth,clientAuth";
    for (who, subject) in [("member", format!("IP:{address}")), ("client", "DNS:bascule".to_owned())] {
        openssl(&folder, &format!("req -new {key} -keyout {who}.key -out {who}.csr -subj /CN={who}"));
        std::fs::write(folder.join("extensions"), format!("subjectAltName={subject}\n{usage}\n")).unwrap();
        let sign = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions";
        openssl(&folder, &format!("{sign} -in {who}.csr -out {who}.pem"));
    }
    Certificates(folder)
}

fn secure(endpoints: Vec<String>, ca: &Certificates, client: Option<&Certificates>) -> EtcdConfig {
    let mut config = EtcdConfig::new(endpoints);
    let client =
        client.map(|own| EtcdClient { cert_pem: own.read("client.pem"), key_pem: own.read("client.key") });
    config.tls = Some(EtcdTls { ca_pem: ca.read("ca.pem"), client });
    config
}

async fn refused(config: EtcdConfig) -> String {
    match EtcdStore::connect(config, &name()).unwrap().tenure().await {
        Err(StoreError::Unavailable(text)) => text,
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn only_whom_the_authority_knows_is_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let address = loopback();
    let [ours, others] = ["ours", "others"].map(|name| certificates(folder.path(), name, address));
    let cluster = Cluster::start_unready(address, Some(Certificates(ours.0.clone())));
    let endpoints = cluster.endpoints();
    let right = secure(endpoints.clone(), &ours, Some(&ours));
    cluster.until_ready(right.clone()).await;
    let store = EtcdStore::connect(right, &name()).unwrap();
    store.advance(founded()).await.unwrap();
    assert_eq!(store.advance(renewed(1, "east")).await.unwrap().renewals, 1);

    // A client without a certificate, one with another authority's, and members that another authority vouches for.
    for (wrong, word) in [
        (secure(endpoints.clone(), &ours, None), "https://127."),
        (secure(endpoints.clone(), &ours, Some(&others)), "https://127."),
        (secure(endpoints.clone(), &others, Some(&ours)), "invalid peer certificate"),
    ] {
        let said = refused(wrong).await;
        assert!(said.contains(word), "{said}");
    }
}

/// A root, and a user that may read and write under /bascule/events/ only.
async fn enable_users(cluster: &Cluster) {
    let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
    client.user_add("root", "toor", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("bascule").await.unwrap();
    let permission = Permission::read_write("/bascule/events/").with_prefix();
    client.role_grant_permission("bascule", permission).await.unwrap();
    client.user_add("bascule", "right", None).await.unwrap();
    client.user_grant_role("bascule", "bascule").await.unwrap();
    client.auth_enable().await.unwrap();
}

fn as_user(cluster: &Cluster, password: &str) -> EtcdConfig {
    let mut config = EtcdConfig::new(cluster.endpoints());
    config.login = Some(EtcdLogin { name: "bascule".to_owned(), password: password.to_owned() });
    config
}

#[tokio::test]
async fn only_a_known_user_is_answered_and_only_about_its_site() {
    let mut cluster = Cluster::start().await;
    enable_users(&cluster).await;
    let store = EtcdStore::connect(as_user(&cluster, "right"), &name()).unwrap();
    store.advance(founded()).await.unwrap();
    assert_eq!(store.advance(renewed(1, "east")).await.unwrap().renewals, 1);

    let nobody = EtcdConfig::new(vec!["http://127.0.0.1:1".to_owned()]);
    assert!(refused(nobody).await.contains("Connection refused"));
    assert!(refused(as_user(&cluster, "wrong")).await.contains("authentication failed"));
    assert!(refused(EtcdConfig::new(cluster.endpoints())).await.contains("user name is empty"));
    let other = EtcdStore::connect(as_user(&cluster, "right"), &"shop".parse().unwrap()).unwrap();
    let answer = other.tenure().await;
    assert!(
        matches!(&answer, Err(StoreError::Unavailable(text)) if text.contains("permission denied")),
        "{answer:?}"
    );

    // Members forget who has logged in when they are restarted.
    for member in 0..3 {
        cluster.kill(member);
        cluster.restart(member);
        let renewing = async || store.advance(renewed(1, "east")).await.is_ok();
        until("the store logs in again", renewing).await;
    }
}

#[test]
fn what_could_never_work_is_refused_before_it_is_tried() {
    let connect = |config| EtcdStore::connect(config, &name()).map(drop);
    assert_eq!(connect(EtcdConfig::new(vec![])), Err(EtcdConfigError::NoEndpoint));
    let url = "https://127.0.0.1:2379".to_owned();
    let scheme = EtcdConfigError::Scheme { url: url.clone(), scheme: "http://" };
    assert_eq!(connect(EtcdConfig::new(vec![url.clone()])), Err(scheme));
    let mut config = EtcdConfig::new(vec![url]);
    config.tls = Some(EtcdTls { ca_pem: b"nonsense".to_vec(), client: None });
    assert_eq!(connect(config), Err(EtcdConfigError::NotPem("the authority's certificate")));
}

#[test]
fn a_password_is_never_printed() {
    let login = EtcdLogin { name: "bascule".to_owned(), password: "hunter2".to_owned() };
    let mut config = EtcdConfig::new(vec!["http://127.0.0.1:2379".to_owned()]);
    config.login = Some(login);
    assert!(!format!("{config:?}").contains("hunter2"));
    let store = EtcdStore::connect(config, &name()).unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
}
