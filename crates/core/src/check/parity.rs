//! Checks that both regions are alike.

use std::collections::BTreeSet;

use super::answers::{Answers, Case, Found, judge, one_value};
use super::availability::all_of;
use super::cidr::{self, Range};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::told::{self, Told as _};
use crate::facts::{Fact, Facts, Instance, Region};

fn instances_alike(
    code: Code,
    facts: &Facts,
    answers: &mut Answers,
    what: &str,
    pick: fn(&Instance) -> &Fact<Option<String>>,
) {
    answers.compare(
        code,
        facts,
        AssetKind::Compute,
        |r| &r.compute,
        |case, home, away| {
            let left = all_of(case, home, what, pick);
            let right = all_of(case, away, what, pick);
            let (left, right) = (left?, right?);
            if left.is_empty() || right.is_empty() {
                case.lack("one side has no instances: there is nothing to compare");
                return None;
            }
            let tell = |side: &BTreeSet<&Option<String>>| told::list(side.iter().map(|value| value.told()));
            judge(left == right, format!("{what}: {} and {}", tell(&left), tell(&right)))
        },
    );
}

pub(super) fn sizes(facts: &Facts, answers: &mut Answers) {
    instances_alike(Code::Sizes, facts, answers, "size", |i| &i.size);
}

pub(super) fn images(facts: &Facts, answers: &mut Answers) {
    instances_alike(Code::Images, facts, answers, "image", |i| &i.image);
}

pub(super) fn key_pairs(facts: &Facts, answers: &mut Answers) {
    answers.pairs(
        Code::KeyPairs,
        facts,
        AssetKind::KeyPair,
        |r| &r.key_pair,
        |case, home, away| {
            let (Some(home), Some(away)) = (home, away) else {
                return judge(false, "it is in one region only");
            };
            let left = case.need("home fingerprint", &home.fingerprint);
            let right = case.need("away fingerprint", &away.fingerprint);
            let (left, right) = (left?, right?);
            judge(left == right, format!("fingerprints: {left} and {right}"))
        },
    );
}

pub(super) fn secrets(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::Secrets, facts.site.as_str(), |case| {
        let [here, there] = facts.regions();
        let left = case.need(&format!("{} secrets", here.name), &here.secrets);
        let right = case.need(&format!("{} secrets", there.name), &there.secrets);
        let (left, right) = (left?, right?);
        let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        let mut differ = Vec::new();
        for name in names {
            let sides = [(here, left.get(name)), (there, right.get(name))];
            match sides.map(|(region, side)| side.map(|fact| digest(case, region, name, fact))) {
                [Some(Some(left)), Some(Some(right))] if left == right => {}
                // what was not seen may be equal
                [Some(None), Some(_)] | [Some(_), Some(None)] => {}
                _ => differ.push(name),
            }
        }
        judge(
            differ.is_empty(),
            format!("secrets that differ or are in one region only: {}", told::list(differ)),
        )
    });
}

/// What was made of a secret. It is not told: that of a short one can be found by trying.
fn digest<'a>(case: &mut Case, region: &Region, name: &str, fact: &'a Fact<String>) -> Option<&'a String> {
    case.need(&format!("{} secret {name}", region.name), &fact.clone().map(|_| "read".to_owned()))?;
    fact.value()
}

pub(super) fn rules(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::Rules, facts.site.as_str(), |case| {
        one_value(case, facts, "rules", facts.regions().map(|region| &region.network.rules))
    });
}

pub(super) fn quotas(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::Quotas, facts.site.as_str(), |case| {
        let [here, there] = facts.regions();
        let left = case.need(&format!("{} quotas", here.name), &here.network.quotas);
        let right = case.need(&format!("{} quotas", there.name), &there.network.quotas);
        for (region, limits, uses) in [(here, left, right), (there, right, left)] {
            let (Some(limits), Some(uses)) = (limits, uses) else { continue };
            for (name, quota) in uses {
                let Some(limit) = limits.get(name).map(|q| q.limit) else {
                    case.lack(format!("{name} in {}: not observed", region.name));
                    continue;
                };
                if limit < quota.used {
                    let used = quota.used;
                    return judge(
                        false,
                        format!("{} allows {limit} of {name}; the other uses {used}", region.name),
                    );
                }
            }
        }
        judge(true, "each region allows what the other uses")
    });
}

pub(super) fn address_ranges(facts: &Facts, answers: &mut Answers) {
    answers.ask(Code::AddressRanges, facts.site.as_str(), |case| {
        let mut sides: Vec<Vec<Range>> = Vec::new();
        for region in facts.regions() {
            let mut ranges = Vec::new();
            for text in
                case.need(&format!("{} ranges", region.name), &region.network.ranges).into_iter().flatten()
            {
                match Range::parse(text) {
                    Some(range) => ranges.push(range),
                    None => case.lack(format!("{text:?} in {} is no address range", region.name)),
                }
            }
            sides.push(ranges);
        }
        let [home, away] = sides.as_slice() else { return None };
        overlap(home, away)
    });
}

fn overlap(home: &[Range], away: &[Range]) -> Option<Found> {
    match cidr::first_overlap(home, away) {
        Some((left, right)) => judge(false, format!("{left} and {right} overlap")),
        None => judge(true, "no range is in both"),
    }
}
