//! Checks of the plan itself. A plan that the planner makes has what they ask for by construction; one that
//! people wrote is judged by what its steps ask for.

use super::answers::{Answers, Case, Found, judge};
use super::code::Code;
use crate::document::{Document, Intent, WrittenPlan, WrittenStep};
use crate::facts::told;
use crate::facts::{Evidence, Fact, Facts, Paper, Source};

/// What a written plan is asked for, in its document.
type Ask = fn(&mut Case, &Facts, &Document, &WrittenPlan) -> Option<Found>;

/// Ask each plan of the document that moves something; if none does, the first.
fn each_plan(code: Code, facts: &Facts, answers: &mut Answers, ask: Ask) {
    plans(code, facts, answers, usize::MAX, ask);
}

/// Ask once, of the document as a whole. It is given the first plan.
fn the_document(code: Code, facts: &Facts, answers: &mut Answers, ask: Ask) {
    plans(code, facts, answers, 1, ask);
}

fn plans(code: Code, facts: &Facts, answers: &mut Answers, at_most: usize, ask: Ask) {
    let site = facts.site.as_str();
    let document = match facts.paper.value() {
        None => return answers.ask(code, site, |case| case.need("plan", &facts.paper).and(None)),
        Some(Paper::Planned) => {
            return answers.ask(code, site, |case| {
                case.need("plan", &facts.paper)?;
                match code {
                    Code::Fenced => fenced_by_keepers(case, facts),
                    _ => judge(true, "the planner makes the plan, and puts this in by construction"),
                }
            });
        }
        Some(Paper::Written(document)) => document,
    };
    let mut moving: Vec<&WrittenPlan> = document.plans.iter().filter(|p| moves(p)).collect();
    if moving.is_empty() {
        moving = document.plans.iter().take(1).collect();
    }
    if moving.is_empty() {
        return answers.ask(code, site, |case| {
            case.need("plan", &facts.paper)?;
            judge(false, "the document has no plan at all")
        });
    }
    for plan in moving.into_iter().take(at_most) {
        let subject = if plan.title.is_empty() { site } else { plan.title.as_str() };
        answers.ask(code, subject, |case| {
            case.note(at_line(facts, plan.line, &format!("plan of {} steps", plan.steps.len())));
            ask(case, facts, document, plan)
        });
    }
}

/// Whether following it moves the site to the other region: a plan that only goes back does not.
fn moves(plan: &WrittenPlan) -> bool {
    leaving(plan).any(|s| s.intents.iter().any(|i| matches!(i, Intent::MoveNames | Intent::PromoteDatabase)))
}

/// The steps before the way back begins.
fn leaving(plan: &WrittenPlan) -> impl Iterator<Item = &WrittenStep> {
    plan.steps.iter().take_while(|s| !s.intents.contains(&Intent::Failback))
}

/// A line of the document as evidence.
fn at_line(facts: &Facts, line: usize, what: &str) -> Evidence {
    let from = match &facts.paper.from {
        Source::Line { file, .. } => Source::Line { file: file.clone(), line },
        Source::Address(_) | Source::Nowhere => facts.paper.from.clone(),
    };
    Evidence { what: format!("line {line}: {what}"), from, at: facts.paper.at() }
}

fn note_step(case: &mut Case, facts: &Facts, step: &WrittenStep) {
    case.note(at_line(facts, step.line, &step.text));
}

pub(super) fn names_after_database(facts: &Facts, answers: &mut Answers) {
    each_plan(Code::NamesAfterDatabase, facts, answers, |case, facts, _, plan| {
        let asked = |intent| leaving(plan).any(|step| step.intents.contains(&intent));
        // whether automatic failover is enough is another check's question: here the order counts
        let promotion =
            if asked(Intent::PromoteDatabase) { Intent::PromoteDatabase } else { Intent::AutomaticFailover };
        let mut names: Option<&WrittenStep> = None;
        for step in leaving(plan) {
            let mut follows = false;
            for intent in &step.intents {
                if *intent == Intent::MoveNames {
                    note_step(case, facts, step);
                    // "the database fails over by itself, and then the name": they do not come first
                    names = names.or(Some(step).filter(|_| !follows));
                } else if *intent == promotion {
                    note_step(case, facts, step);
                    let Some(first) = names else { return judge(true, "the database is promoted first") };
                    let (first, then) = (first.line, step.line);
                    let words = format!(
                        "names move (line {first}) before the database is promoted (line {then}): users reach a \
                         database that refuses their writes"
                    );
                    return judge(false, words);
                }
                follows |= *intent == Intent::AutomaticFailover;
            }
        }
        let unread = leaving(plan).filter(|step| step.intents.is_empty()).count();
        if unread > 0 {
            // one of them may be the one
            case.lack(format!(
                "no step that was understood promotes the other region's database; {unread} could not be understood"
            ));
            return None;
        }
        judge(false, "no step promotes the other region's database")
    });
}

/// Whether one of these steps asks for something. That some steps could not be understood is said.
fn has(
    case: &mut Case,
    facts: &Facts,
    steps: &[&WrittenStep],
    intent: Intent,
    [has, lacks]: [&str; 2],
) -> Option<Found> {
    if let Some(step) = steps.iter().find(|s| s.intents.contains(&intent)) {
        note_step(case, facts, step);
        return judge(true, format!("line {} {has}", step.line));
    }
    match steps.iter().filter(|s| s.intents.is_empty()).count() {
        0 => judge(false, lacks),
        unread => judge(false, format!("{lacks}; {unread} of its steps could not be understood")),
    }
}

/// What stands in the way of the new region must be out of it before its database is promoted.
pub(super) fn fenced(facts: &Facts, answers: &mut Answers) {
    each_plan(Code::Fenced, facts, answers, |case, facts, _, plan| {
        let steps: Vec<&WrittenStep> = leaving(plan).collect();
        let promotes = steps.iter().position(|s| s.intents.contains(&Intent::PromoteDatabase));
        // one step may say both
        let before = &steps[..promotes.map_or(steps.len(), |at| at + 1)];
        let late = steps[before.len()..].iter().find(|s| s.intents.contains(&Intent::Fence));
        if let (Some(late), false) = (late, before.iter().any(|s| s.intents.contains(&Intent::Fence))) {
            note_step(case, facts, late);
            let words = "keeps the old region from writing only after the database was promoted";
            return judge(false, format!("line {} {words}", late.line));
        }
        let words = ["keeps the old region from writing", "nothing keeps the old region from writing"];
        has(case, facts, before, Intent::Fence, words)
    });
}

/// A plan can close a region that answers. One that is cut off from here but runs is stopped only by what holds its
/// commits from inside; whether they wait for it is [`Code::PermitInForce`]'s question.
fn fenced_by_keepers(case: &mut Case, facts: &Facts) -> Option<Found> {
    let Some(fence) = case.need("what stops a region that is cut off", &facts.control.fence)? else {
        let words = "without keepers a region that is cut off but runs goes on taking writes: a plan closes a gate that it \
                     reaches, and nothing here can stop one behind a broken network";
        return judge(false, words);
    };
    judge(true, fence)
}

/// What proves that the new region serves comes after all that makes it serve.
pub(super) fn verified(facts: &Facts, answers: &mut Answers) {
    each_plan(Code::Verified, facts, answers, |case, facts, _, plan| {
        let steps: Vec<&WrittenStep> = leaving(plan).collect();
        let makes = |s: &&WrittenStep| {
            s.intents.iter().any(|i| matches!(i, Intent::MoveNames | Intent::PromoteDatabase))
        };
        let last = steps.iter().rposition(makes).unwrap_or(0);
        let early = steps[..last].iter().find(|s| s.intents.contains(&Intent::Verify));
        let after = &steps[last.min(steps.len())..];
        if let (Some(early), false) = (early, after.iter().any(|s| s.intents.contains(&Intent::Verify))) {
            note_step(case, facts, early);
            let words = "verifies before the new region serves, and nothing does afterwards";
            return judge(false, format!("line {} {words}", early.line));
        }
        has(
            case,
            facts,
            after,
            Intent::Verify,
            ["proves that the new region serves", "nothing proves that the new region serves"],
        )
    });
}

pub(super) fn failback(facts: &Facts, answers: &mut Answers) {
    the_document(Code::Failback, facts, answers, |case, facts, document, plan| {
        let back =
            document.plans.iter().find(|p| p.steps.iter().any(|s| s.intents.contains(&Intent::Failback)));
        let steps: Vec<&WrittenStep> = back.unwrap_or(plan).steps.iter().collect();
        has(case, facts, &steps, Intent::Failback, ["says how to go back", "nothing says how to go back"])
    });
}

pub(super) fn another_region(facts: &Facts, answers: &mut Answers) {
    each_plan(Code::AnotherRegion, facts, answers, |case, facts, _, plan| {
        let counts_on = |s: &&WrittenStep| s.intents.contains(&Intent::AutomaticFailover);
        let Some(step) = plan.steps.iter().chain(&plan.pre_steps).find(counts_on) else {
            return judge(true, "it does not count on automatic failover");
        };
        note_step(case, facts, step);
        let promotes = leaving(plan).any(|s| s.intents.contains(&Intent::PromoteDatabase));
        if promotes {
            return judge(true, "the other region's database is promoted beside it");
        }
        let words =
            "automatic failover moves the database inside its region; nothing promotes the other region's";
        judge(false, format!("{words} (line {})", step.line))
    });
}

pub(super) fn lost_region_unneeded(facts: &Facts, answers: &mut Answers) {
    each_plan(Code::LostRegionUnneeded, facts, answers, |case, facts, document, plan| {
        let lost = document.zones.first().map_or(facts.home.name.as_str(), |z| z.name.as_str());
        for step in leaving(plan) {
            let works = step.intents.iter().any(works_in_its_region);
            let there = !step.zones.is_empty() && step.zones.iter().all(|z| z == lost);
            if there && step.intents.is_empty() {
                note_step(case, facts, step);
                case.lack(format!("line {} is about {lost}, and could not be understood", step.line));
            }
            if works && there {
                note_step(case, facts, step);
                return judge(
                    false,
                    format!("line {} works in {lost}, which is the region that is lost", step.line),
                );
            }
        }
        judge(true, format!("no step works in {lost} alone"))
    });
}

/// Whether what a step asks for is done in the region it names. Fencing and holding writes are about the old
/// region and may be given up; names are changed elsewhere.
fn works_in_its_region(intent: &Intent) -> bool {
    match intent {
        Intent::PromoteDatabase
        | Intent::Verify
        | Intent::Scale { .. }
        | Intent::Deploy { .. }
        | Intent::Restore
        | Intent::NameForDatabase => true,
        Intent::MoveNames
        | Intent::Fence
        | Intent::HoldWrites
        | Intent::Failback
        | Intent::Notify
        | Intent::AutomaticFailover => false,
    }
}

pub(super) fn regions_known(facts: &Facts, answers: &mut Answers) {
    the_document(Code::RegionsKnown, facts, answers, |case, facts, document, _| {
        let known = |zone: &str| {
            let [home, away] = facts.regions();
            zone == home.name.as_str() || zone == away.name.as_str()
        };
        if let Some(zone) = document.zones.iter().find(|z| !known(&z.name)) {
            case.note(at_line(facts, zone.line, &zone.name));
            return judge(false, format!("line {} names {}, which is neither region", zone.line, zone.name));
        }
        for step in document.plans.iter().flat_map(|p| p.steps.iter().chain(&p.pre_steps)) {
            if let Some(zone) = step.zones.iter().find(|z| !known(z)) {
                note_step(case, facts, step);
                return judge(false, format!("line {} names {zone}, which is neither region", step.line));
            }
        }
        if document.zones.len() < facts.regions().len() {
            case.lack(format!("the document lists {} of the two regions", document.zones.len()));
        }
        let [home, away] = facts.regions();
        judge(true, format!("they are {}", told::list([home.name.as_str(), away.name.as_str()])))
    });
}

fn promised<T>(
    code: Code,
    facts: &Facts,
    answers: &mut Answers,
    what: &str,
    unit: &str,
    fact: &Fact<Option<T>>,
) where
    Option<T>: told::Told,
{
    answers.ask(code, facts.site.as_str(), |case| {
        let set = case.need(&format!("{what}{unit}"), fact)?.is_some();
        judge(set, if set { format!("the {what} is set") } else { format!("no {what} is set") })
    });
}

pub(super) fn owner(facts: &Facts, answers: &mut Answers) {
    promised(Code::Owner, facts, answers, "owner", "", &facts.promise.owner);
}

pub(super) fn loss_objective(facts: &Facts, answers: &mut Answers) {
    promised(Code::LossObjective, facts, answers, "RPO", " in ms", &facts.promise.rpo_ms);
}

pub(super) fn time_objective(facts: &Facts, answers: &mut Answers) {
    promised(Code::TimeObjective, facts, answers, "RTO", " in ms", &facts.promise.rto_ms);
}
