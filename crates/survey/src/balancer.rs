//! A region's load balancer: where it listens, what stands behind it, and what its own checks are answered.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bascule_core::facts::{Fact, HealthCheck, LoadBalancer, Targets};
use bascule_providers::haproxy::{Connections, LookedAt};
use bascule_providers::{CONNECT, Trial};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limit::{Provider, each};
use crate::{Place, at, fact};

/// The statuses that pass unless a check says otherwise (HAProxy 2.6 configuration manual, `option httpchk`).
const PASSES: (u16, u16) = (200, 399);

/// Statuses from here on say that the server is not well (RFC 9110, section 15.6).
const UNWELL: u16 = 500;

/// A load balancer as it was seen.
pub(crate) struct Looked {
    attached: Result<Vec<LookedAt>, String>,
    listeners: Fact<Vec<u16>>,
    pub connections: Result<Connections, String>,
    pub may_change: Result<Trial, String>,
}

pub(crate) async fn look(place: &Place) -> Looked {
    let (limits, balancer) = (&place.limits, &place.parts.balancer);
    let (attached, connections, may_change, mut listeners) = tokio::join!(
        limits.look(Provider::LoadBalancer, balancer.attached()),
        limits.look(Provider::LoadBalancer, balancer.connections()),
        limits.look(Provider::LoadBalancer, balancer.may_change()),
        listeners(place),
    );
    // The kernel takes connections for one that is frozen, too.
    if let Err(why) = &connections
        && listeners.value().is_some_and(|open| !open.is_empty())
    {
        listeners = Fact::not_observed(why, at(place.manifest().load_balancer.admin));
    }
    Looked { attached, listeners, connections, may_change }
}

/// The load balancer's facts; it serves the group of this name.
pub(crate) fn listing(place: &Place, looked: &Looked, group: &str) -> LoadBalancer {
    let admin = place.manifest().load_balancer.admin;
    let instances: BTreeSet<SocketAddr> = place.manifest().compute.instances.iter().copied().collect();
    let serving: Result<Vec<&LookedAt>, String> = looked.attached.as_ref().map_err(Clone::clone).map(|all| {
        let ours = |server: &&LookedAt| server.address.parse().is_ok_and(|a| instances.contains(&a));
        all.iter().filter(ours).collect()
    });
    let from = || at(format!("show stat at {admin}"));
    LoadBalancer {
        listeners: looked.listeners.clone(),
        serves: fact(serving.clone().map(|_| group.to_owned()), from()),
        targets: fact(serving.clone().map(|servers| targets(&servers)), from()),
        health_check: fact(serving.and_then(|servers| health_check(place, &servers)), from()),
    }
}

/// An instance that is attached twice counts once.
fn targets(servers: &[&LookedAt]) -> Targets {
    let distinct = |healthy: bool| {
        let all: BTreeSet<&str> =
            servers.iter().filter(|s| s.up || !healthy).map(|s| s.address.as_str()).collect();
        u32::try_from(all.len()).unwrap_or(u32::MAX)
    };
    Targets { attached: distinct(false), healthy: distinct(true) }
}

/// What the load balancer itself asks and was answered last; none if it asks nothing by HTTP.
///
/// # Errors
/// Why nobody can tell what it asks.
fn health_check(place: &Place, servers: &[&LookedAt]) -> Result<Option<HealthCheck>, String> {
    let asked: Vec<&LookedAt> = servers.iter().copied().filter(|server| server.http == Some(true)).collect();
    let Some(first) = asked.first() else {
        return match servers.iter().find(|server| server.http.is_none()) {
            Some(server) => {
                Err(format!("its check can't connect to {}, so nothing shows what it asks", server.name))
            }
            None => Ok(None),
        };
    };
    let admin = place.manifest().load_balancer.admin;
    let mut passes = PASSES;
    let answers = match telling(&asked) {
        Ok(server) => {
            let status = server.answered.unwrap_or_default();
            if server.passed && !in_range(status) {
                // `http-check expect` asks for it
                passes = (status, status);
            }
            Fact::seen(status, crate::now(), at(format!("the check of {} by {admin}", server.name)))
        }
        Err(why) => Fact::not_observed(why, at(format!("show stat at {admin}"))),
    };
    Ok(Some(HealthCheck {
        path: format!("the check of backend {}", first.backend),
        passes_from: passes.0,
        passes_to: passes.1,
        answers,
    }))
}

/// The answer that tells whether the check can pass: one that passes shows that it can; one that asks for a login, or
/// says that there is nothing, that it can't. An instance that says that it is not well does what a check is for.
fn telling<'a>(asked: &[&'a LookedAt]) -> Result<&'a LookedAt, String> {
    let answers = || asked.iter().filter_map(|server| Some((server.answered?, *server)));
    if let Some((_, server)) = answers().find(|(_, server)| server.passed) {
        return Ok(server);
    }
    match answers().find(|(status, _)| *status < UNWELL) {
        Some((status, server)) if in_range(status) => Err(format!(
            "the check turns down the {status} of {}, which passes unless `http-check expect` says otherwise",
            server.name
        )),
        Some((_, server)) => Ok(server),
        None => Err(match answers().next() {
            Some((status, LookedAt { name, .. })) => {
                format!("no instance is well now ({name} answers {status}), so none shows that it can pass")
            }
            None => "no instance has answered it".to_owned(),
        }),
    }
}

fn in_range(status: u16) -> bool {
    (PASSES.0..=PASSES.1).contains(&status)
}

/// The ports that take connections, of those that the manifest has.
async fn listeners(place: &Place) -> Fact<Vec<u16>> {
    let region = place.manifest();
    let door = SocketAddr::new(region.load_balancer.address, place.scene.site.manifest.front_door.url.port());
    let doors = [door, region.database.ingress, region.database.replication];
    let tried = each(doors, |door| {
        let place = place.clone();
        async move {
            let knock = async {
                match timeout(CONNECT, TcpStream::connect(door)).await {
                    Ok(Ok(_)) => Ok(true),
                    // a gate that is closed hangs up on whoever knocks: somebody listens there
                    Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(true),
                    Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Ok(false),
                    Ok(Err(e)) => Err(format!("{door}: {e}")),
                    Err(_) => Err(format!("{door}: no connection within {} ms", CONNECT.as_millis())),
                }
            };
            place.limits.look(Provider::LoadBalancer, knock).await.map(|open| (door, open))
        }
    })
    .await;
    let from = at(region.load_balancer.address);
    match tried.into_iter().collect::<Result<Vec<_>, String>>() {
        Ok(doors) if doors.iter().any(|(_, open)| *open) && !doors.contains(&(door, true)) => {
            Fact::not_observed(format!("{door} refuses users, and other ports are open"), from)
        }
        Ok(doors) => {
            let open = doors.into_iter().filter(|(_, open)| *open).map(|(door, _)| door.port()).collect();
            Fact::seen(open, crate::now(), from)
        }
        Err(why) => Fact::not_observed(why, from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, up: bool) -> LookedAt {
        let answered = up.then_some(200);
        let (backend, name) = ("web".to_owned(), address.to_owned());
        LookedAt { backend, name, address: address.to_owned(), up, http: Some(true), answered, passed: up }
    }

    #[test]
    fn only_a_refusal_shows_that_a_check_can_not_pass() {
        let tells = |answers: &[Option<u16>]| {
            let all: Vec<LookedAt> = answers
                .iter()
                .map(|answered| LookedAt {
                    answered: *answered,
                    passed: *answered == Some(200),
                    ..server("a:1", false)
                })
                .collect();
            telling(&all.iter().collect::<Vec<_>>()).map(|server| server.answered.unwrap_or_default())
        };
        assert!(tells(&[Some(302)]).is_err_and(|why| why.contains("turns down")), "as HAProxy says itself");
        assert_eq!(tells(&[Some(503), Some(401), Some(200)]), Ok(200));
        assert_eq!(tells(&[Some(503), Some(401)]), Ok(401));
        assert!(
            tells(&[Some(503), None]).is_err_and(|why| why.contains("503")),
            "it may pass when they are well"
        );
        assert!(tells(&[None]).is_err());
    }

    #[test]
    fn an_instance_that_is_attached_twice_is_one_target() {
        let all = [server("a:1", true), server("a:1", false), server("b:1", false)];
        let all: Vec<&LookedAt> = all.iter().collect();
        assert_eq!(targets(&all), Targets { attached: 2, healthy: 1 });
    }
}
