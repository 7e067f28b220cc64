//! The resolver against a real name server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::knot::Knot;
use bascule_core::id::DnsName;
use bascule_drill::resolver::Resolver;

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

async fn resolve(resolver: &Resolver) -> Vec<Ipv4Addr> {
    resolver.resolve().await.unwrap().addresses.clone()
}

#[tokio::test]
async fn an_answer_is_believed_for_its_ttl_and_no_longer() {
    let knot = Knot::start("app 1 A 10.77.1.20");
    let resolver = Resolver::new(&name("app.events.test"), vec![knot.address]).unwrap();
    let asked = Instant::now();
    let first = resolver.resolve().await.unwrap();
    assert_eq!(first.addresses, ["10.77.1.20".parse::<Ipv4Addr>().unwrap()]);
    assert!(first.expires <= Instant::now() + Duration::from_secs(1));
    assert!(first.expires >= asked + Duration::from_secs(1));

    knot.change("app 1 A 10.77.2.20");
    let mut questions = 1;
    while Instant::now() < first.expires - Duration::from_millis(50) {
        let addresses = resolve(&resolver).await;
        if Instant::now() < first.expires {
            assert_eq!(addresses, first.addresses, "its TTL still runs");
            questions = resolver.questions();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(questions, 1, "the cache answered");
    tokio::time::sleep_until(first.expires.into()).await;
    assert_eq!(resolve(&resolver).await, ["10.77.2.20".parse::<Ipv4Addr>().unwrap()]);
    assert_eq!(resolver.questions(), 2);
}

#[tokio::test]
async fn a_crowd_asks_one_question() {
    let knot = Knot::start("app 60 A 10.77.1.20");
    let resolver = std::sync::Arc::new(Resolver::new(&name("app.events.test"), vec![knot.address]).unwrap());
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let resolver = std::sync::Arc::clone(&resolver);
        crowd.spawn(async move { resolve(&resolver).await });
    }
    while let Some(addresses) = crowd.join_next().await {
        assert_eq!(addresses.unwrap().len(), 1);
    }
    assert_eq!(resolver.questions(), 1);
}

#[tokio::test]
async fn a_silent_server_costs_its_time_out_once() {
    // Bound and never answered.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let knot = Knot::start("app 0 A 10.77.1.20");
    let servers = vec![silent.local_addr().unwrap(), knot.address];
    let resolver = Resolver::new(&name("app.events.test"), servers).unwrap();
    let begun = Instant::now();
    resolve(&resolver).await;
    let first = begun.elapsed();
    assert!(first >= Duration::from_millis(300), "{first:?}");
    assert_eq!(resolver.questions(), 2);
    resolve(&resolver).await;
    assert_eq!(resolver.questions(), 3, "TTL 0 is asked for again, of the server that answered");
}

#[tokio::test]
async fn a_name_without_an_answer_fails_and_nothing_stale_is_used() {
    let mut knot = Knot::start("app 1 A 10.77.1.20");
    let resolver = Resolver::new(&name("app.events.test"), vec![knot.address]).unwrap();
    let first = resolver.resolve().await.unwrap();
    knot.stop();
    tokio::time::sleep_until(first.expires.into()).await;
    let error = resolver.resolve().await.unwrap_err().to_string();
    assert!(error.starts_with("no answer for app.events.test.: 127.0.0.1:"), "{error}");
    assert_eq!(*resolver.latest().borrow(), Some(first), "what is known of the past remains known");
}

#[tokio::test]
async fn names_that_are_not_there_or_have_no_address_fail() {
    let knot = Knot::start("app 60 A 10.77.1.20\ntext 60 TXT hello\nalias 60 CNAME app");
    let ask = async |text: &str| {
        let resolver = Resolver::new(&name(text), vec![knot.address]).unwrap();
        resolver.resolve().await.map(|answer| answer.addresses.clone()).map_err(|error| error.to_string())
    };
    assert!(ask("nothing.events.test").await.unwrap_err().contains("Non-Existent Domain"));
    assert!(ask("text.events.test").await.unwrap_err().contains("the name has no address"));
    assert!(ask("elsewhere.test").await.unwrap_err().contains("Query Refused"));
    assert_eq!(ask("alias.events.test").await.unwrap(), ["10.77.1.20".parse::<Ipv4Addr>().unwrap()]);
}

#[test]
fn no_server_is_no_resolver() {
    assert!(Resolver::new(&name("app.events.test"), Vec::<SocketAddr>::new()).is_err());
}
