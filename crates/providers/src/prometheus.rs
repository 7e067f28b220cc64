//! What watches the site, over Prometheus's HTTP API: how many targets it has, and how many answer it.
//!
//! Where it runs is what the manifest says: a monitor does not know its own place.

use std::collections::BTreeMap;

use bascule_core::facts::{Fact, Listing, Monitoring, Source};
use bascule_core::manifest;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::now;

/// Largest answer that is read: ten thousand targets with 2 kB of labels each.
const ANSWER_MAX: usize = 20 << 20;

/// Every monitor that the manifest, `file`, names.
pub async fn monitoring(
    monitors: &[manifest::Monitoring],
    file: &str,
    http: &reqwest::Client,
) -> Listing<Monitoring> {
    let mut asks = JoinSet::new();
    for monitor in monitors {
        // Prometheus, "HTTP API", "Targets": without the dropped ones, whose number has no limit.
        let url = format!("{}/api/v1/targets?state=active", monitor.url);
        let (name, http) = (monitor.name.clone(), http.clone());
        asks.spawn(async move {
            let answer = ask(&http, &url).await;
            (name, url, answer)
        });
    }
    let said = || Source::Line { file: file.to_owned(), line: 0 };
    let mut found = BTreeMap::new();
    while let Some(joined) = asks.join_next().await {
        let Ok((name, url, answer)) = joined else { continue };
        let place = monitors.iter().find(|m| m.name == name).and_then(|m| m.place.clone());
        let places = match place {
            Some(place) => Fact::seen(vec![place], now(), said()),
            None => Fact::not_observed("the manifest does not say where it runs", said()),
        };
        let from = Source::Address(url);
        let count = |pick: fn(&Count) -> u32| match &answer {
            Ok(count) => Fact::seen(pick(count), now(), from.clone()),
            Err(why) => Fact::not_observed(why, from.clone()),
        };
        let monitor =
            Monitoring { places, targets: count(|c| c.targets), targets_up: count(|c| c.targets_up) };
        found.insert(name, monitor);
    }
    Fact::seen(found, now(), said())
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
}
