//! What watches the site, over Prometheus's HTTP API: how many targets it has, and how many answer it.
//!
//! Where it runs is what the manifest says: a monitor does not know its own place.

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::facts::{Fact, Listing, Monitoring, Place, Source};
use bascule_core::manifest;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::now;

/// Largest answer that is read: ten thousand targets with 2 kB of labels each.
const ANSWER_MAX: usize = 20 << 20;

/// Everything that watches, those of one name taken together. `file` is the manifest as it was named.
pub async fn monitoring(
    monitors: &[manifest::Monitoring],
    file: &str,
    http: &reqwest::Client,
) -> Listing<Monitoring> {
    let mut asks = JoinSet::new();
    for (order, monitor) in monitors.iter().enumerate() {
        // Prometheus, "HTTP API", "Targets": without the dropped ones, whose number has no limit.
        let url = format!("{}/api/v1/targets?state=active", monitor.url);
        let (monitor, http) = (monitor.clone(), http.clone());
        asks.spawn(async move {
            let answer = ask(&http, &url).await;
            (order, One { name: monitor.name, place: monitor.place, url, answer })
        });
    }
    let mut found: BTreeMap<String, BTreeMap<usize, One>> = BTreeMap::new();
    for (order, one) in asks.join_all().await {
        found.entry(one.name.clone()).or_default().insert(order, one);
    }
    let said = Source::Line { file: file.to_owned(), line: 0 };
    let together = found.into_iter().map(|(name, group)| {
        let group: Vec<One> = group.into_values().collect();
        (name, together(&group, &said))
    });
    Fact::seen(together.collect(), now(), said.clone())
}

/// What one of them said.
struct One {
    name: String,
    place: Option<Place>,
    url: String,
    answer: Result<Count, String>,
}

/// Targets are added up; one that does not answer leaves their number unknown, and is no place where the site is watched.
fn together(group: &[One], said: &Source) -> Monitoring {
    let answering = group.iter().filter(|one| one.answer.is_ok());
    let places: Option<BTreeSet<Place>> = answering.map(|one| one.place.clone()).collect();
    let places = match places {
        Some(places) if places.is_empty() => Fact::not_observed("none of it answers", said.clone()),
        Some(places) => Fact::seen(places.into_iter().collect(), now(), said.clone()),
        None => Fact::not_observed("the manifest does not say where it runs: add `place`", said.clone()),
    };
    let all: Vec<_> = group.iter().map(|one| one.url.as_str()).collect();
    let silent = group.iter().find_map(|one| one.answer.as_ref().err().map(|why| (&one.url, why)));
    let count = |pick: fn(&Count) -> u32| match silent {
        Some((url, why)) => Fact::not_observed(why, Source::Address(url.clone())),
        None => {
            let sum = group.iter().filter_map(|one| one.answer.as_ref().ok()).map(pick);
            Fact::seen(sum.fold(0, u32::saturating_add), now(), Source::Address(all.join(", ")))
        }
    };
    Monitoring { places, targets: count(|c| c.targets), targets_up: count(|c| c.targets_up) }
}

async fn ask(http: &reqwest::Client, url: &str) -> Result<Count, String> {
    let body = crate::web::get(http, url, ANSWER_MAX).await?;
    count(&body)
}

/// How many targets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    targets: u32,
    targets_up: u32,
}

// Prometheus's answers have much that is not asked for here, and get more with each version.
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    active_targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    health: String,
}

/// `up` is the only health that counts: `unknown` is a target that was not asked yet.
fn count(body: &[u8]) -> Result<Count, String> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|e| format!("it does not answer as Prometheus does: {e}"))?;
    let targets = answer.data.active_targets;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let up = targets.iter().filter(|target| target.health == "up").count();
    Ok(Count { targets: number(targets.len()), targets_up: number(up) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_up_counts_as_up() {
        let body = br#"{"status":"success","data":{"activeTargets":[
            {"labels":{"job":"a"},"health":"up"},{"health":"down"},{"health":"unknown"}],"droppedTargets":[]}}"#;
        assert_eq!(count(body), Ok(Count { targets: 3, targets_up: 1 }));
    }

    #[test]
    fn another_answer_is_an_error_that_says_so() {
        for body in ["", "<html>", "{}", r#"{"data":{}}"#] {
            let why = count(body.as_bytes()).unwrap_err();
            assert!(why.starts_with("it does not answer as Prometheus does: "), "{why}");
        }
    }

    #[test]
    fn those_that_watch_together_are_one_and_a_silent_one_is_not_counted_as_well() {
        let one = |place: &str, answer| One {
            name: "graphs".to_owned(),
            place: Some(Place::Elsewhere(place.to_owned())),
            url: format!("http://{place}"),
            answer,
        };
        let count = |targets_up| Ok(Count { targets: 3, targets_up });
        let both = together(&[one("a", count(3)), one("b", count(2))], &Source::Nowhere);
        assert_eq!((both.targets.value(), both.targets_up.value()), (Some(&6), Some(&5)));
        assert_eq!(both.places.value().map(Vec::len), Some(2));
        let dead = |place| one(place, Err("refused".to_owned()));
        let silent = together(&[one("a", count(3)), dead("b")], &Source::Nowhere);
        assert_eq!(silent.places.value().map(Vec::len), Some(1), "where it is dead nothing is watched");
        assert_eq!(together(&[dead("a"), dead("b")], &Source::Nowhere).places.value(), None);
        assert_eq!(silent.targets_up.answer.why_not(), Some("refused"));
        assert_eq!(silent.targets_up.from, Source::Address("http://b".to_owned()));
    }
}
