//! The names against real Knot servers.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bascule_core::observation::AddressRecord;
use bascule_core::ports::{Names as _, PortError, Record};
use bascule_providers::Secret;
use bascule_providers::dns::{DnsConfig, DnsNames};

use crate::knot::{Servers, local, name};
use crate::process::free_port;

const OLD: &str = "app A 10.0.0.1";

fn record(address: &str, ttl_s: u32) -> Record {
    Record { address: address.parse().unwrap(), ttl_s }
}

/// What each server answers.
async fn answers(names: &DnsNames) -> Vec<Option<AddressRecord>> {
    let answers = names.observe(&name()).await;
    answers.into_iter().map(|answer| answer.answer.seen().cloned()).collect()
}

fn all(address: &str, ttl_s: u32) -> Vec<Option<AddressRecord>> {
    let addresses: Vec<IpAddr> = vec![address.parse().unwrap()];
    vec![Some(AddressRecord { addresses, ttl_s }); 2]
}

#[tokio::test]
async fn a_moved_name_is_answered_by_every_server_when_it_returns() {
    let servers = Servers::start(OLD).await;
    let names = servers.names();
    names.replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 1)).await.unwrap();
    assert_eq!(answers(&names).await, all("10.0.0.2", 1));
}

#[tokio::test]
async fn two_names_may_move_side_by_side() {
    let servers = Servers::start("app A 10.0.0.1\ndb A 10.0.0.1").await;
    let names = servers.names();
    let (app, db) = (name(), "db.events.test".parse().unwrap());
    let (from, to) = (record("10.0.0.1", 5), record("10.0.0.2", 5));
    let moved = tokio::join!(names.replace(&app, &from, &to), names.replace(&db, &from, &to));
    assert_eq!(moved, (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_change_of_the_time_to_live_alone_is_a_change() {
    let servers = Servers::start(OLD).await;
    let names = servers.names();
    names.replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.1", 30)).await.unwrap();
    assert_eq!(answers(&names).await, all("10.0.0.1", 30));
}

#[tokio::test]
async fn moving_a_name_twice_changes_nothing() {
    let servers = Servers::start(OLD).await;
    let names = servers.names();
    let (from, to) = (record("10.0.0.1", 5), record("10.0.0.2", 5));
    names.replace(&name(), &from, &to).await.unwrap();
    names.replace(&name(), &from, &to).await.expect("done already");
    assert_eq!(answers(&names).await, all("10.0.0.2", 5));
}

#[tokio::test]
async fn a_name_that_points_elsewhere_is_left_and_named() {
    let servers = Servers::start("app A 10.0.0.3").await;
    let names = servers.names();
    let refused = names.replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 5)).await;
    assert!(matches!(refused, Err(PortError::Refused(ref why)) if why.contains("10.0.0.3")), "{refused:?}");
    assert_eq!(answers(&names).await, all("10.0.0.3", 5));
}

#[tokio::test]
async fn a_name_with_a_second_address_is_not_as_expected() {
    let servers = Servers::start("app A 10.0.0.1\napp A 10.0.0.9").await;
    let names = servers.names();
    let refused = names.replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 5)).await;
    assert!(matches!(refused, Err(PortError::Refused(ref why)) if why.contains("10.0.0.9")), "{refused:?}");
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let servers = Servers::start(OLD).await;
    let wrong = DnsConfig { tsig_secret: Secret::new("d3Jvbmc="), ..servers.config() };
    let refused =
        DnsNames::new(&wrong).unwrap().replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 5)).await;
    assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
    assert_eq!(answers(&servers.names()).await, all("10.0.0.1", 5));
}

#[tokio::test]
async fn a_server_that_is_gone_is_not_waited_for() {
    let mut servers = Servers::start(OLD).await;
    servers.second.stop();
    let names = servers.names();
    names.replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 5)).await.unwrap();
    let begun = Instant::now();
    let seen = answers(&names).await;
    assert!(seen[0].is_some() && seen[1].is_none(), "{seen:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_update_server_that_is_gone_has_changed_nothing() {
    let servers = Servers::start(OLD).await;
    let gone = DnsConfig { update_server: local(free_port()), ..servers.config() };
    let refused =
        DnsNames::new(&gone).unwrap().replace(&name(), &record("10.0.0.1", 5), &record("10.0.0.2", 5)).await;
    assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn an_answer_too_long_for_a_datagram_is_asked_for_again_over_tcp() {
    let records: Vec<_> = (1..=60).map(|n| format!("app A 10.0.1.{n}")).collect();
    let servers = Servers::start(&records.join("\n")).await;
    for seen in answers(&servers.names()).await {
        assert_eq!(seen.expect("it answers").addresses.len(), 60);
    }
}
