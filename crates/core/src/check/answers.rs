//! How a check is asked: what it needs is recorded while it looks, and its answer is held to I7.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::told::{self, Told};
use crate::facts::{Evidence, Fact, Facts, Listing, Region, Source};

/// Evidence kept of one answer: a group of ten with two facts each, and the listing. Past that the count of
/// what is left out says enough.
const EVIDENCE_MAX: usize = 21;

/// A check's answer, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is so: everything that was needed was seen.
    Holds,
    /// Something that was needed was not seen.
    Unknown,
    /// It is not so.
    Fails,
}

impl Answer {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Holds => "holds",
            Answer::Unknown => "unknown",
            Answer::Fails => "fails",
        }
    }
}

/// One answer of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Which check.
    pub code: Code,
    /// What it was asked about.
    pub subject: String,
    /// The answer.
    pub answer: Answer,
    /// What the answer rests on.
    pub evidence: Vec<Evidence>,
    /// The answer in one sentence.
    pub message: String,
    /// What to do about it; empty if it holds.
    pub remedy: String,
}

/// What a check makes of what it saw.
pub(super) enum Found {
    /// It is so.
    Holds(String),
    /// It is not so.
    Fails(String),
}

/// It holds if `right`; either way in the given words.
pub(super) fn judge(right: bool, words: impl Into<String>) -> Option<Found> {
    Some(if right { Found::Holds(words.into()) } else { Found::Fails(words.into()) })
}

/// It holds if both regions have one value, and the same: members that differ inside a region make it fail, also where the
/// other region's differ alike.
pub(super) fn one_value(
    case: &mut Case,
    facts: &Facts,
    what: &str,
    sides: [&Fact<BTreeSet<String>>; 2],
) -> Option<Found> {
    let [here, there] = facts.regions();
    let left = case.need(&format!("{} {what}", here.name), sides[0]);
    let right = case.need(&format!("{} {what}", there.name), sides[1]);
    let several = |side: Option<&BTreeSet<String>>| side.is_some_and(|values| values.len() > 1);
    match (left, right) {
        (Some(left), Some(right)) if left != right => {
            judge(false, format!("{}: {}; {}: {}", here.name, left.told(), there.name, right.told()))
        }
        (Some(values), _) if several(left) => {
            judge(false, format!("{} alone has several: {}", here.name, values.told()))
        }
        (_, Some(values)) if several(right) => {
            judge(false, format!("{} alone has several: {}", there.name, values.told()))
        }
        (Some(left), Some(_)) => judge(true, format!("both regions: {}", left.told())),
        (Some(_) | None, _) => None,
    }
}

/// One question, while it is asked.
#[derive(Default)]
pub(super) struct Case {
    evidence: Vec<Evidence>,
    left_out: usize,
    missing: Vec<String>,
    mends: BTreeSet<Mend>,
}

/// What would make known what is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mend {
    /// A line that is not in a file, in the words of whoever read it.
    Write { what: String, file: String },
    /// An answer.
    Answer,
}

/// What a reader puts before the line that a file lacks.
const WRITE: &str = ": write ";

impl Mend {
    fn of(why: &str, from: &Source) -> Self {
        let Source::Line { file, .. } = from else { return Mend::Answer };
        match why.split_once(WRITE) {
            Some((_, what)) => Mend::Write { what: what.to_owned(), file: file.clone() },
            None => Mend::Answer,
        }
    }
}

/// What to do so that the question can be answered.
fn remedy(mends: &BTreeSet<Mend>) -> String {
    let mut lines = mends.iter().filter_map(|mend| match mend {
        Mend::Write { what, file } => Some(format!("in {file}, write {what}")),
        Mend::Answer => None,
    });
    let answer = (mends.is_empty() || mends.contains(&Mend::Answer))
        .then(|| "let what was not observed answer".to_owned());
    let first = lines.next();
    let more = match lines.count() {
        0 => None,
        more => Some(format!("and {more} more lines that are not there")),
    };
    let parts: Vec<String> = [first, more, answer].into_iter().flatten().collect();
    format!("{}; then ask again", parts.join("; "))
}

impl Case {
    /// The value of a fact. One that was not seen makes "unknown" of an answer that would hold.
    pub(super) fn need<'a, T: Told>(&mut self, what: &str, fact: &'a Fact<T>) -> Option<&'a T> {
        let evidence = Evidence::of(what, fact);
        if let Some(why) = fact.answer.why_not() {
            self.missing.push(evidence.what.clone());
            self.mends.insert(Mend::of(why, &fact.from));
        }
        self.note(evidence);
        fact.value()
    }

    /// The value inside a fact whose "none" also leaves the question open.
    pub(super) fn need_set<'a, T>(&mut self, what: &str, fact: &'a Fact<Option<T>>) -> Option<&'a T>
    where
        Option<T>: Told,
    {
        let value = self.need(what, fact)?.as_ref();
        if value.is_none() {
            self.lack(format!("{what}: none is set"));
        }
        value
    }

    /// Something without which it can't be said to hold.
    pub(super) fn lack(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }

    /// Something that was seen without being a fact of its own.
    pub(super) fn note(&mut self, evidence: Evidence) {
        if self.evidence.len() < EVIDENCE_MAX {
            self.evidence.push(evidence);
        } else {
            self.left_out += 1;
        }
    }

    fn close(mut self, code: Code, subject: String, found: Option<Found>) -> Checked {
        let (answer, message) = match found {
            Some(Found::Fails(message)) => (Answer::Fails, message),
            Some(Found::Holds(message)) if self.missing.is_empty() => (Answer::Holds, message),
            Some(Found::Holds(_)) | None => (Answer::Unknown, unknown(&self.missing)),
        };
        if self.left_out > 0 {
            let what = format!("and {} more", self.left_out);
            self.evidence.push(Evidence { what, from: Source::Nowhere, at: None });
        }
        let remedy = match answer {
            Answer::Holds => String::new(),
            Answer::Unknown => remedy(&self.mends),
            Answer::Fails => code.remedy().to_owned(),
        };
        Checked { code, subject, answer, evidence: self.evidence, message, remedy }
    }
}

/// The first of what is missing, and how much more there is.
fn unknown(missing: &[String]) -> String {
    match missing {
        [] => "what it needs was not observed".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    }
}

/// The answers so far.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) done: Vec<Checked>,
}

impl Answers {
    /// Ask one check about one subject. A question that returns nothing is unknown.
    pub(super) fn ask(
        &mut self,
        code: Code,
        subject: impl Into<String>,
        question: impl FnOnce(&mut Case) -> Option<Found>,
    ) {
        let mut case = Case::default();
        let found = question(&mut case);
        self.done.push(case.close(code, subject.into(), found));
    }

    /// Ask about each asset of a kind in each region.
    pub(super) fn each<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        pick: fn(&Region) -> &Listing<T>,
        mut question: impl FnMut(&mut Case, &Region, &T) -> Option<Found>,
    ) {
        let before = self.done.len();
        for region in facts.regions() {
            let Some(assets) = self.listing(code, region.name.as_str(), kind, pick(region)) else { continue };
            for (name, asset) in assets {
                self.ask(code, format!("{} {name}", region.name), |case| question(case, region, asset));
            }
        }
        self.at_least_one_in(code, facts, kind, before, pick);
    }

    /// Ask each region about each asset of a kind that either region has.
    pub(super) fn sides<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        pick: fn(&Region) -> &Listing<T>,
        mut question: impl FnMut(&mut Case, Option<&T>) -> Option<Found>,
    ) {
        let before = self.done.len();
        let seen = facts.regions().into_iter().filter_map(|region| pick(region).value());
        let names: BTreeSet<&String> = seen.flat_map(BTreeMap::keys).collect();
        for region in facts.regions() {
            let Some(assets) = self.listing(code, region.name.as_str(), kind, pick(region)) else { continue };
            for name in &names {
                self.ask(code, format!("{} {name}", region.name), |case| {
                    let side = assets.get(*name);
                    if side.is_none() {
                        case.note(listed(region.name.as_str(), kind, pick(region)));
                    }
                    question(case, side)
                });
            }
        }
        self.at_least_one_in(code, facts, kind, before, pick);
    }

    /// Ask about each asset of a kind that either region has, with both regions' side of it.
    pub(super) fn pairs<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        pick: fn(&Region) -> &Listing<T>,
        mut question: impl FnMut(&mut Case, Option<&T>, Option<&T>) -> Option<Found>,
    ) {
        let before = self.done.len();
        let home = self.listing(code, facts.home.name.as_str(), kind, pick(&facts.home));
        let away = self.listing(code, facts.away.name.as_str(), kind, pick(&facts.away));
        if let (Some(home), Some(away)) = (home, away) {
            for name in home.keys().chain(away.keys()).collect::<BTreeSet<_>>() {
                self.ask(code, name.as_str(), |case| {
                    let sides = [home.get(name), away.get(name)];
                    for (region, side) in facts.regions().into_iter().zip(sides) {
                        if side.is_none() {
                            case.note(listed(region.name.as_str(), kind, pick(region)));
                        }
                    }
                    question(case, sides[0], sides[1])
                });
            }
        }
        self.at_least_one_in(code, facts, kind, before, pick);
    }

    /// As [`Answers::pairs`], where one side alone leaves nothing to compare.
    pub(super) fn compare<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        pick: fn(&Region) -> &Listing<T>,
        mut question: impl FnMut(&mut Case, &T, &T) -> Option<Found>,
    ) {
        self.pairs(code, facts, kind, pick, |case, home, away| match (home, away) {
            (Some(home), Some(away)) => question(case, home, away),
            (Some(_), None) | (None, Some(_)) | (None, None) => {
                case.lack("it is in one region only: there is nothing to compare it with");
                None
            }
        });
    }

    /// Ask about each asset of a kind that belongs to no region.
    pub(super) fn each_of_site<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        listing: &Listing<T>,
        mut question: impl FnMut(&mut Case, &T) -> Option<Found>,
    ) {
        let before = self.done.len();
        let Some(assets) = self.listing(code, facts.site.as_str(), kind, listing) else { return };
        for (name, asset) in assets {
            self.ask(code, name.as_str(), |case| question(case, asset));
        }
        let seen = vec![listed(facts.site.as_str(), kind, listing)];
        self.at_least_one(code, facts, kind, before, seen);
    }

    /// What a listing has; if it was not seen, the check is unknown for the place.
    pub(super) fn listing<'a, T>(
        &mut self,
        code: Code,
        place: &str,
        kind: AssetKind,
        listing: &'a Listing<T>,
    ) -> Option<&'a BTreeMap<String, T>> {
        if listing.value().is_none() {
            let subject = format!("{place} {}", kind.as_str());
            self.ask(code, subject, |case| {
                let evidence = listed(place, kind, listing);
                case.lack(&*evidence.what);
                case.mends.extend(listing.answer.why_not().map(|why| Mend::of(why, &listing.from)));
                case.note(evidence);
                None
            });
        }
        listing.value()
    }

    /// Nothing to ask about is fine only where nobody expects something.
    fn at_least_one(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        before: usize,
        seen: Vec<Evidence>,
    ) {
        if self.done.len() > before {
            return;
        }
        self.ask(code, facts.site.as_str(), |case| {
            case.evidence = seen;
            if facts.wants(kind) {
                case.lack(format!("{} is wanted and none was found", kind.as_str()));
            }
            Some(Found::Holds(format!("the site has no {}", kind.as_str())))
        });
    }

    /// As [`Answers::at_least_one`], for a kind that is in regions.
    pub(super) fn at_least_one_in<T>(
        &mut self,
        code: Code,
        facts: &Facts,
        kind: AssetKind,
        before: usize,
        pick: fn(&Region) -> &Listing<T>,
    ) {
        let seen = facts.regions().map(|region| listed(region.name.as_str(), kind, pick(region)));
        self.at_least_one(code, facts, kind, before, seen.to_vec());
    }
}

/// What a listing says of how many there are.
pub(super) fn listed<T>(place: &str, kind: AssetKind, listing: &Listing<T>) -> Evidence {
    let kind = kind.as_str();
    let what = match (listing.value(), listing.answer.why_not()) {
        (Some(assets), _) => format!("{kind} in {place}: {}", told::list(assets.keys())),
        (None, why) => format!("{kind} in {place}: not observed: {}", why.unwrap_or_default()),
    };
    Evidence { what, from: listing.from.clone(), at: listing.at() }
}
