//! Checks of names, and of the health checks that move them.

use super::answers::{Answers, Case, Found, judge, listed};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::told;
use crate::facts::{Fact, Facts, HealthCheck};

const KIND: AssetKind = AssetKind::Dns;
/// A quarter of the RTO may pass until the last resolver asks again. Noticing, deciding and promoting have
/// the other three.
const SHARE_OF_RTO: u64 = 4;

pub(super) fn names_managed(facts: &Facts, answers: &mut Answers) {
    let none = facts.dns.value().is_some_and(std::collections::BTreeMap::is_empty);
    if none {
        return answers.ask(Code::NamesManaged, facts.site.as_str(), |case| {
            case.note(listed(facts.site.as_str(), KIND, &facts.dns));
            judge(false, "it has no name at all")
        });
    }
    answers.each_of_site(Code::NamesManaged, facts, KIND, &facts.dns, |case, record| {
        let managed = *case.need("managed", &record.managed)?;
        judge(
            managed,
            if managed {
                "a move can change it"
            } else {
                "no move can change it: no manifest and no code has it, or it points to neither region"
            },
        )
    });
}

pub(super) fn time_to_live(facts: &Facts, answers: &mut Answers) {
    answers.each_of_site(Code::TimeToLive, facts, KIND, &facts.dns, |case, record| {
        let ttl_s = *case.need("time to live in s", &record.ttl_s)?;
        let rto = *case.need_set("RTO in ms", &facts.promise.rto_ms)?;
        let right = u64::from(ttl_s) * 1000 <= rto / SHARE_OF_RTO;
        judge(right, format!("{ttl_s} s; a quarter of the RTO is {} ms", rto / SHARE_OF_RTO))
    });
}

pub(super) fn health_check_passes(facts: &Facts, answers: &mut Answers) {
    let (code, kind) = (Code::HealthCheckPasses, AssetKind::LoadBalancer);
    answers.each(code, facts, kind, |r| &r.load_balancer, |case, _, lb| passes(case, &lb.health_check));
    answers.each_of_site(code, facts, KIND, &facts.dns, |case, record| passes(case, &record.health_check));
}

fn passes(case: &mut Case, check: &Fact<Option<HealthCheck>>) -> Option<Found> {
    let Some(check) = case.need("health check", check)? else { return judge(true, "it checks nothing") };
    let answer = *case.need(&format!("{} answers", check.path), &check.answers)?;
    let right = (check.passes_from..=check.passes_to).contains(&answer);
    let words = format!("{} answers {answer}; {} to {} pass", check.path, check.passes_from, check.passes_to);
    judge(right, words)
}

pub(super) fn standby_target(facts: &Facts, answers: &mut Answers) {
    answers.each_of_site(Code::StandbyTarget, facts, KIND, &facts.dns, |case, record| {
        let targets = case.need("targets in", &record.targets)?;
        let names = facts.regions().map(|region| &region.name);
        let lacking: Vec<&str> =
            names.into_iter().filter(|name| !targets.contains(name)).map(|name| name.as_str()).collect();
        judge(lacking.is_empty(), format!("regions without a target: {}", told::list(lacking)))
    });
}
