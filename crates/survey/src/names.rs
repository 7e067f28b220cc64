//! The site's names: what every server answers for them, and where those servers are.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bascule_core::facts::{Fact, Listing, Place, Record, Source};
use bascule_core::id::RegionName;
use bascule_core::manifest::{Manifest, NameRecord};
use bascule_core::observation::{NameAnswer, Observed};
use bascule_core::ports::Names as _;

use crate::limit::{Provider, each};
use crate::{Scene, address, at};

/// Every name that the manifest has, and where the servers are that answer for them.
pub(crate) async fn look(scene: &Arc<Scene>) -> (Listing<Record>, Fact<Vec<Place>>) {
    let found = each(scene.site.manifest.names.records.clone(), |record| {
        let scene = Arc::clone(scene);
        async move {
            // each is asked of all servers at once, within 0.2 s
            let names = scene.site.names.as_ref().map_err(Clone::clone);
            let asking = async { Ok(names?.observe(&record.name).await) };
            let answers = scene.limits.look(Provider::Names, asking).await;
            let answering = answers.iter().flatten().filter(|a| a.answer.seen().is_some());
            let answering: Vec<String> = answering.map(|a| a.server.clone()).collect();
            ((record.name.to_string(), read(&scene, &record, answers)), answering)
        }
    })
    .await;
    let (found, answering): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    (scene.said(found.into_iter().collect()), servers(scene, &answering.concat()))
}

/// Where the servers are that users ask, those of them that answer.
fn servers(scene: &Scene, answering: &[String]) -> Fact<Vec<Place>> {
    let manifest = &scene.site.manifest;
    let all = manifest.names.servers.iter().filter(|server| answering.contains(&server.to_string()));
    let places: Result<BTreeSet<Place>, String> =
        all.map(|server| address::place(manifest, server.ip())).collect();
    match places {
        Ok(places) if places.is_empty() => scene.unsaid("no server answers for the site's names"),
        Ok(places) => scene.said(places.into_iter().collect()),
        Err(why) => scene.unsaid(why),
    }
}

fn read(scene: &Scene, record: &NameRecord, answers: Result<Vec<NameAnswer>, String>) -> Record {
    let asked = |answers: &[NameAnswer]| {
        let said = |a: &NameAnswer| match &a.answer {
            Observed::Seen { .. } => a.server.clone(),
            Observed::NotObserved { why } => format!("{} ({why})", a.server),
        };
        let servers: Vec<String> = answers.iter().map(said).collect();
        at(format!("{} at {}", record.name, servers.join(", ")))
    };
    let (heard, from) = match answers {
        Ok(answers) => (heard(&answers), asked(&answers)),
        Err(why) => (Heard::Nothing(why), at(&record.name)),
    };
    let manifest = &scene.site.manifest;
    Record {
        managed: managed(manifest, record, &heard, &from),
        ttl_s: match &heard {
            Heard::Answers { silent: Some(why), .. } => Fact::not_observed(why, from.clone()),
            Heard::Answers { ttl_s, .. } => Fact::seen(*ttl_s, crate::now(), from.clone()),
            Heard::NoRecord | Heard::Denied => {
                Fact::not_observed("there is no such record at a server", from.clone())
            }
            Heard::Nothing(why) => Fact::not_observed(why, from.clone()),
        },
        targets: targets(manifest, record, &heard, &from),
        // nothing but a move changes what is answered
        health_check: scene.said(None),
    }
}

/// What the servers say together. Their worst counts: the longest time to live, and every address.
enum Heard {
    Answers {
        addresses: BTreeSet<IpAddr>,
        ttl_s: u32,
        /// Why one of them did not answer: it may say something else.
        silent: Option<String>,
    },
    /// All that answered say that there is none.
    NoRecord,
    /// One says that there is none, and another answers: it depends on whom a user asks.
    Denied,
    Nothing(String),
}

fn heard(answers: &[NameAnswer]) -> Heard {
    let (mut addresses, mut ttl_s, mut why) = (BTreeSet::new(), None, Vec::new());
    for answer in answers {
        match &answer.answer {
            Observed::Seen { value, .. } => {
                addresses.extend(value.addresses.iter().copied());
                ttl_s = ttl_s.max(Some(value.ttl_s));
            }
            Observed::NotObserved { why: said } => why.push(said.as_str()),
        }
    }
    let denied = |said: &str| {
        said.contains("NXDomain") || said.contains("Non-Existent") || said.contains("no address")
    };
    if let Some(ttl_s) = ttl_s {
        let split = why.iter().any(|said| denied(said));
        let silent = why.first().map(|why| format!("a server did not say it: {why}"));
        return if split { Heard::Denied } else { Heard::Answers { addresses, ttl_s, silent } };
    }
    if why.iter().any(|said| denied(said))
        && why.iter().all(|said| denied(said) || said.contains("no answer within"))
    {
        return Heard::NoRecord;
    }
    Heard::Nothing(why.first().map_or_else(|| "nobody was asked".to_owned(), |said| (*said).to_owned()))
}

/// A move replaces the address of one region by that of the other: what points elsewhere it leaves alone.
fn managed(manifest: &Manifest, record: &NameRecord, heard: &Heard, from: &Source) -> Fact<bool> {
    let ours = |address: &IpAddr| manifest.regions.keys().any(|r| manifest.address(record, r) == *address);
    match heard {
        Heard::Answers { addresses, silent, .. } => match (addresses.iter().all(ours), silent) {
            (true, Some(why)) => Fact::not_observed(why, from.clone()),
            (known, _) => Fact::seen(known, crate::now(), from.clone()),
        },
        Heard::NoRecord => Fact::not_observed("there is no such record", from.clone()),
        Heard::Denied => Fact::seen(false, crate::now(), from.clone()),
        Heard::Nothing(why) => Fact::not_observed(why, from.clone()),
    }
}

/// The regions it can be pointed at: both that the manifest has an address in, as long as the record is there.
fn targets(manifest: &Manifest, record: &NameRecord, heard: &Heard, from: &Source) -> Fact<Vec<RegionName>> {
    match heard {
        Heard::Answers { .. } => {
            let told = |r: &RegionName| format!("{r}: {}", manifest.address(record, r));
            let told: Vec<String> = manifest.regions.keys().map(told).collect();
            let from = at(format!("{from}; the manifest has {}", told.join(", ")));
            Fact::seen(manifest.regions.keys().cloned().collect(), crate::now(), from)
        }
        Heard::NoRecord | Heard::Denied => Fact::seen(Vec::new(), crate::now(), from.clone()),
        Heard::Nothing(why) => Fact::not_observed(why, from.clone()),
    }
}

#[cfg(test)]
mod tests {
    use bascule_core::observation::AddressRecord;
    use bascule_core::time::Timestamp;

    use super::*;

    fn answer(said: Result<(&str, u32), &str>) -> NameAnswer {
        let answer = match said {
            Ok((address, ttl_s)) => Observed::Seen {
                value: AddressRecord { addresses: vec![address.parse().expect("an address")], ttl_s },
                at: Timestamp(0),
            },
            Err(why) => Observed::NotObserved { why: why.to_owned() },
        };
        NameAnswer { server: "10.77.1.53:53".to_owned(), answer }
    }

    #[test]
    fn the_longest_time_to_live_counts_and_a_silent_server_is_no_denial() {
        let both =
            heard(&[answer(Ok(("10.77.1.20", 1))), answer(Ok(("10.77.1.20", 300))), answer(Err("late"))]);
        assert!(matches!(both, Heard::Answers { ttl_s: 300, silent: Some(_), .. }));
        let silent = "no answer within 200 ms";
        assert!(matches!(heard(&[answer(Err(silent))]), Heard::Nothing(_)));
        let gone = [answer(Err("has no address for it")), answer(Err(silent))];
        assert!(matches!(heard(&gone), Heard::NoRecord));
        let split = [answer(Ok(("10.77.1.20", 1))), answer(Err("has no address for it"))];
        assert!(matches!(heard(&split), Heard::Denied));
        assert!(matches!(heard(&[answer(Err("answers Server Failure"))]), Heard::Nothing(_)));
    }

    #[test]
    fn a_name_that_points_elsewhere_is_not_moved() {
        let manifest = Manifest::parse(include_str!("../../core/tests/manifest/right.toml")).expect("right");
        let record = &manifest.names.records[0];
        let (from, now) = (at("x"), |a: &str| heard(&[answer(Ok((a, 1)))]));
        assert_eq!(managed(&manifest, record, &now("10.77.2.20"), &from).value(), Some(&true));
        assert_eq!(managed(&manifest, record, &now("192.0.2.1"), &from).value(), Some(&false));
        let silent = |a: &str| heard(&[answer(Ok((a, 1))), answer(Err("no answer within 200 ms"))]);
        assert_eq!(managed(&manifest, record, &silent("10.77.2.20"), &from).value(), None);
        assert_eq!(managed(&manifest, record, &silent("192.0.2.1"), &from).value(), Some(&false));
        let gone = heard(&[answer(Err("has no address for it"))]);
        assert_eq!(targets(&manifest, record, &gone, &from).value().map(Vec::len), Some(0));
    }
}
