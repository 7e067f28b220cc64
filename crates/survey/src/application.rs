//! The application's instances in a region, and where they are told that their database is.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bascule_core::facts::{Compute, Fact, Instance};
use bascule_providers::application::{self, Said};

use crate::limit::{Provider, each};
use crate::{Place, at, fact};

/// A region's application.
pub(crate) struct Looked {
    pub group: Compute,
    /// The host that its instances are told to find their database at.
    pub database_host: Fact<String>,
}

pub(crate) async fn compute(place: &Place) -> Looked {
    let seen = each(place.manifest().compute.instances.clone(), |address| {
        let place = place.clone();
        async move {
            let looking = async { Ok(application::look(&place.scene.site.http, address).await) };
            (address, place.limits.look(Provider::Application, looking).await)
        }
    })
    .await;
    let host = database_host(&seen);
    let asked: Vec<SocketAddr> = seen.iter().map(|(address, _)| *address).collect();
    let from = at(format!("{}, and /healthz of {}", place.scene.site.file, told(&asked)));
    let instances = seen.into_iter().map(|(address, seen)| instance(place, address, seen)).collect();
    // which keys open a host is not asked of it: `authorized_keys` says it of the pair
    let keys = place.scene.unsaid("hosts are not asked for their keys");
    Looked {
        group: Compute { instances: Fact::seen(instances, crate::now(), from), keys },
        database_host: host,
    }
}

/// Addresses that are named where instances were asked; more of them tell nobody more.
const TOLD_MAX: usize = 3;

fn told(asked: &[SocketAddr]) -> String {
    let names: Vec<String> = asked.iter().take(TOLD_MAX).map(ToString::to_string).collect();
    match asked.len().saturating_sub(TOLD_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn instance(place: &Place, address: SocketAddr, seen: Result<application::Instance, String>) -> Instance {
    let from = |path: &str| at(format!("http://{address}{path}"));
    let (name, alive, ready, said) = match seen {
        Ok(seen) => (seen.name, seen.alive, seen.ready, seen.said),
        Err(why) => (None, Err(why.clone()), Err(why.clone()), Err(why)),
    };
    let says = |pick: fn(Said) -> Option<String>, what: &str| {
        let unsaid = || format!("its metrics have no series {what}");
        said.clone().and_then(|said| pick(said).map(Some).ok_or_else(unsaid))
    };
    let image = says(|said| said.image, "…build_info that says its image or version");
    let size = says(|said| said.size, "…machine_info that says its size");
    let zone = place.manifest().compute.zones.iter().find(|zone| zone.instances.contains(&address));
    let in_its = |what: &str, said: Option<&String>| match said {
        Some(name) => place.scene.said(Some(name.clone())),
        None => place.scene.unsaid(format!(
            "nothing says which {what} it is in: write it into [[regions.{}.compute.zones]]",
            place.name
        )),
    };
    Instance {
        name: name.unwrap_or_else(|| address.to_string()),
        size: fact(size, from("/metrics")),
        image: fact(image, from("/metrics")),
        zone: in_its("zone", zone.map(|zone| &zone.name)),
        subnet: in_its("subnet", zone.and_then(|zone| zone.subnet.as_ref())),
        alive: fact(alive, from("/healthz")),
        ready: fact(ready, from("/readyz")),
    }
}

/// An address among names counts; one that does not say may have an address, too.
fn database_host(seen: &[(SocketAddr, Result<application::Instance, String>)]) -> Fact<String> {
    let mut hosts = BTreeSet::new();
    let (mut asked, mut why) = (Vec::new(), None);
    for (address, seen) in seen {
        let said = match seen {
            Ok(seen) => seen.said.as_ref(),
            Err(why) => Err(why),
        };
        match said {
            Ok(Said { database_host: Some(host), .. }) => {
                hosts.insert(host.clone());
                asked.push(address.to_string());
            }
            Ok(Said { database_host: None, .. }) => {
                why = Some("its metrics have no series …database_info that says the host".to_owned());
            }
            Err(said) => why = why.or(Some(said.clone())),
        }
    }
    let from = at(format!(
        "/metrics of {}",
        if asked.is_empty() { "its instances".to_owned() } else { asked.join(", ") }
    ));
    let by_address = |host: &&String| {
        host.parse::<std::net::IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || host.starts_with('/')
    };
    let worst = hosts.iter().find(by_address).or(hosts.first());
    match (worst, why) {
        (Some(host), why) if why.is_none() || by_address(&host) => {
            Fact::seen(host.clone(), crate::now(), from)
        }
        (_, Some(why)) => Fact::not_observed(why, from),
        (_, None) => Fact::not_observed("it has no instances", from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_that_connects_to_an_address_is_enough_to_say_so() {
        let says = |host: Option<&str>| {
            let said = Said { database_host: host.map(str::to_owned), ..Said::default() };
            Ok(application::Instance { name: None, alive: Ok(true), ready: Ok(true), said: Ok(said) })
        };
        let at = "10.77.1.31:8080".parse().expect("an address");
        let host = |all: &[Result<application::Instance, String>]| {
            let seen: Vec<_> = all.iter().map(|seen| (at, seen.clone())).collect();
            database_host(&seen)
        };
        let silent = host(&[says(Some("db.events.test")), Err("late".to_owned())]);
        assert_eq!(silent.answer.why_not(), Some("late"), "it may connect to an address");
        let mixed = host(&[says(Some("db.events.test")), says(Some("10.77.1.20")), Err("late".to_owned())]);
        assert_eq!(mixed.value().map(String::as_str), Some("10.77.1.20"));
        let local = host(&[says(Some("db.events.test")), says(Some("localhost"))]);
        assert_eq!(local.value().map(String::as_str), Some("localhost"));
        assert_eq!(host(&[Err("late".to_owned())]).answer.why_not(), Some("late"));
        assert!(host(&[says(None)]).answer.why_not().is_some_and(|why| why.contains("database_info")));
    }
}
