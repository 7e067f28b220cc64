//! Checks of the code and of what decides and acts.

use std::collections::BTreeMap;

use super::answers::{Answers, Case, Found, judge};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::told;
use crate::facts::{Facts, Place};
use crate::permit;

const REPOSITORY: AssetKind = AssetKind::Repository;
/// The skew at which lag, a difference of two clocks, is off by half of the smallest RPO that is spoken of, one
/// second. Synchronised hosts are within 100 ms of each other even over the internet.
const MAX_SKEW_MS: u64 = 500;

fn told_places(places: &[Place]) -> String {
    told::list(places.iter().map(Place::to_string))
}

pub(super) fn control_survives(facts: &Facts, answers: &mut Answers) {
    let planes = match facts.control.planes.value() {
        Some(planes) if !planes.is_empty() => planes,
        Some(_) | None => {
            return answers.ask(Code::ControlSurvives, facts.site.as_str(), |case| {
                case.need("control planes", &facts.control.planes)?;
                judge(true, "a move calls nothing beside the regions")
            });
        }
    };
    for plane in planes {
        let subject = format!("{} {}", plane.kind.as_str(), plane.name);
        answers.ask(Code::ControlSurvives, subject, |case| {
            let places = case.need("runs in", &plane.places)?;
            judge(facts.outlives_either(places), format!("it runs in: {}", told_places(places)))
        });
    }
}

pub(super) fn repository_reachable(facts: &Facts, answers: &mut Answers) {
    answers.each_of_site(
        Code::RepositoryReachable,
        facts,
        REPOSITORY,
        &facts.repository,
        |case, repository| {
            let reachable = *case.need("reachable", &repository.reachable)?;
            judge(reachable, if reachable { "it can be read" } else { "it can't be read" })
        },
    );
}

pub(super) fn repository_elsewhere(facts: &Facts, answers: &mut Answers) {
    answers.each_of_site(
        Code::RepositoryElsewhere,
        facts,
        REPOSITORY,
        &facts.repository,
        |case, repository| {
            let places = case.need("kept in", &repository.places)?;
            judge(facts.outlives_either(places), format!("it is kept in: {}", told_places(places)))
        },
    );
}

pub(super) fn no_drift(facts: &Facts, answers: &mut Answers) {
    answers.each_of_site(Code::NoDrift, facts, REPOSITORY, &facts.repository, |case, repository| {
        let drift = case.need("drift", &repository.drift)?.resources;
        judge(drift == 0, format!("{drift} resources are not what the code says"))
    });
}

pub(super) fn permissions(facts: &Facts, answers: &mut Answers) {
    for region in facts.regions() {
        answers.ask(Code::Permissions, region.name.as_str(), |case| {
            let may = case.need("permissions", &region.permissions)?;
            if may.granted.is_empty() && may.refused.is_empty() {
                case.lack("no permission was tried");
            }
            judge(may.refused.is_empty(), format!("refused: {}", told::list(&may.refused)))
        });
    }
}

/// Whether a majority is left when any one place is lost. A single vote needs none: where it is kept is another check's
/// question.
pub(super) fn voters_apart(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::VotersApart, facts.site.as_str(), |case| {
        let voters = case.need("voters", &facts.control.voters)?;
        if voters.is_empty() {
            return judge(false, "nobody has a vote");
        }
        let mut places: BTreeMap<&Place, usize> = BTreeMap::new();
        for voter in voters {
            if let Some(place) = case.need(&voter.name, &voter.place) {
                *places.entry(place).or_default() += 1;
            }
        }
        let (all, majority) = (voters.len(), voters.len() / 2 + 1);
        if all == 1 {
            return judge(true, "there is one vote, and no majority to lose");
        }
        if let Some((place, votes)) = places.iter().find(|(_, votes)| all - **votes < majority) {
            let left = all - votes;
            return judge(
                false,
                format!("without {place} {left} of {all} votes are left; {majority} are needed"),
            );
        }
        judge(
            true,
            format!(
                "{all} votes in {} places: without any one of them at least {majority} are left",
                places.len()
            ),
        )
    });
}

pub(super) fn keeper_versions(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::KeeperVersions, facts.site.as_str(), |case| keepers(case, facts));
}

fn keepers(case: &mut Case, facts: &Facts) -> Option<Found> {
    let keepers = case.need("keepers", &facts.control.keepers)?;
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    for keeper in keepers {
        if let Some(version) = case.need(&format!("{} version", keeper.name), &keeper.version) {
            versions.insert(version, &keeper.name);
        }
    }
    let told = told::list(versions.iter().map(|(version, keeper)| format!("{version} ({keeper})")));
    judge(versions.len() <= 1, format!("versions: {told}"))
}

/// Of both regions: the standby's setting is what its commits need as soon as it is promoted.
pub(super) fn permit_in_force(facts: &Facts, answers: &mut Answers) {
    let code = Code::PermitInForce;
    if facts.control.keepers.value().is_some_and(Vec::is_empty) {
        return answers.ask(code, facts.site.as_str(), |case| {
            case.need("keepers", &facts.control.keepers)?;
            judge(true, "a person moves it, and no keeper would confirm: no permit is needed")
        });
    }
    answers.each(
        code,
        facts,
        AssetKind::Database,
        |r| &r.database,
        |case, _, database| {
            case.need("keepers", &facts.control.keepers);
            let wait_for = case.need("commits wait for", &database.commits_wait_for)?;
            let wrong: Vec<&String> = wait_for.iter().filter(|one| !permit::is_required_by(one)).collect();
            let words = match wrong.first() {
                None => format!("commits wait for {}", told::list(wait_for)),
                Some(one) if one.is_empty() => "commits wait for nobody".to_owned(),
                Some(one) => format!("commits wait for {one}; wanted is {}", permit::setting()),
            };
            judge(wrong.is_empty() && !wait_for.is_empty(), words)
        },
    );
}

pub(super) fn clock_skew(facts: &Facts, answers: &mut Answers) {
    for region in facts.regions() {
        answers.ask(Code::ClockSkew, region.name.as_str(), |case| {
            let skew = case.need("clock skew in ms", &region.clock_skew)?;
            let off = skew.least_ms.unsigned_abs().max(skew.most_ms.unsigned_abs());
            judge(off <= MAX_SKEW_MS, format!("{off} ms off; allowed are {MAX_SKEW_MS} ms"))
        });
    }
    // A standby dates with its own clock what the primary has stamped. One that was not seen is unknown above.
    let [Some(home), Some(away)] = facts.regions().map(|r| r.clock_skew.value()) else { return };
    answers.ask(Code::ClockSkew, facts.site.as_str(), |case| {
        for region in facts.regions() {
            case.need(&format!("{} clock skew in ms", region.name), &region.clock_skew)?;
        }
        let apart = (home.most_ms.abs_diff(away.least_ms)).max(away.most_ms.abs_diff(home.least_ms));
        judge(apart <= MAX_SKEW_MS, format!("{apart} ms apart; allowed are {MAX_SKEW_MS} ms"))
    });
}
