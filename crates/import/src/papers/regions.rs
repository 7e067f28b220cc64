//! Which two regions papers are about, and which of them is lost in their plan.

use bascule_core::document::{Document, Intent};
use bascule_core::id::RegionName;

use super::Papers;
use crate::site::as_region;

/// The two regions, the one that is lost first.
pub(super) fn regions(papers: &Papers<'_>) -> [RegionName; 2] {
    let document = papers.document.map(|(_, imported)| &imported.document);
    let target = document.and_then(target);
    let listed: Vec<RegionName> =
        document.iter().flat_map(|document| &document.zones).filter_map(|zone| slug(&zone.name)).collect();
    // From the surest to the least sure: the list, what rows and steps name, where the code makes things.
    let mut named = listed.clone();
    if let Some(document) = document {
        let steps = document.plans.iter().flat_map(|plan| plan.pre_steps.iter().chain(&plan.steps));
        let zones =
            document.assets.iter().flat_map(|row| &row.zones).chain(steps.flat_map(|step| &step.zones));
        named.extend(zones.filter_map(|zone| slug(zone)));
    }
    named.extend(papers.declared.iter().flat_map(|d| d.regions()).filter_map(as_region));
    let placeholder = |taken: Option<&RegionName>| {
        let mut names = ["region-a", "region-b"].map(|name| name.parse().expect("a label")).into_iter();
        names.find(|name| Some(name) != taken).expect("only one is taken")
    };
    let not_target = || named.iter().find(|region| Some(*region) != target.as_ref());
    let home = listed.first().or_else(not_target).cloned();
    let away = target.filter(|target| Some(target) != home.as_ref());
    let away = away.or_else(|| named.iter().find(|region| Some(*region) != home.as_ref()).cloned());
    let home = home.unwrap_or_else(|| placeholder(away.as_ref()));
    let away = away.unwrap_or_else(|| placeholder(Some(&home)));
    [home, away]
}

/// The region that the document moves to: the first that is not on its list's top, of those its moving steps name.
fn target(document: &Document) -> Option<RegionName> {
    let first = document.zones.first().and_then(|zone| slug(&zone.name));
    let steps = document.plans.iter().flat_map(|plan| &plan.steps);
    let moving = steps.filter(|step| {
        let moves = |intent: &Intent| matches!(intent, Intent::MoveNames | Intent::PromoteDatabase);
        step.intents.iter().any(moves) && !step.intents.contains(&Intent::Failback)
    });
    let mut zones = moving.flat_map(|step| &step.zones).filter_map(|zone| slug(zone));
    let known = |zone: &RegionName| document.zones.iter().any(|z| slug(&z.name).as_ref() == Some(zone));
    zones.find(|zone| Some(zone) != first.as_ref() && (document.zones.len() < 2 || known(zone)))
}

/// The document with its places named as regions are, so that they can be compared.
pub(super) fn renamed(document: &Document) -> Document {
    let mut document = document.clone();
    let rename = |name: &mut String| {
        if let Some(region) = slug(name) {
            *name = region.to_string();
        }
    };
    document.zones.iter_mut().for_each(|zone| rename(&mut zone.name));
    document.assets.iter_mut().flat_map(|row| &mut row.zones).for_each(rename);
    for plan in &mut document.plans {
        let steps = plan.pre_steps.iter_mut().chain(&mut plan.steps);
        steps.flat_map(|step| &mut step.zones).for_each(rename);
    }
    document
}

/// A place as a region: as it is, or its letters and digits with hyphens between them.
fn slug(name: &str) -> Option<RegionName> {
    as_region(name).or_else(|| {
        let lower = name.to_ascii_lowercase();
        let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        as_region(&parts.collect::<Vec<_>>().join("-"))
    })
}
