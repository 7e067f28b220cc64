//! Answers of checks for a person at a terminal.

use std::fmt::Write as _;

use super::escape::plain;
use crate::check::{Answer, Checked, Code, by_code};
use crate::facts::{Evidence, Source};

/// What is said of checks that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Each by its code.
    Listed,
    /// Their number.
    Counted,
}

/// What fails first, then what is unknown, then what holds, each by its code; at last the sums.
#[must_use]
pub fn checks_text(checked: &[Checked], holding: Held) -> String {
    let mut out = String::new();
    for answer in [Answer::Fails, Answer::Unknown] {
        let mut last: Option<Code> = None;
        for one in checked.iter().filter(|c| c.answer == answer) {
            if last != Some(one.code) {
                heading(&mut out, answer, one.code);
                last = Some(one.code);
            }
            entry(&mut out, one);
        }
    }
    let mut held: Vec<(Code, usize)> = Vec::new();
    // a check holds if it holds for all that it was asked of
    let worst = by_code(checked);
    let holds = |one: &&Checked| worst.get(&one.code) == Some(&Answer::Holds);
    for one in checked.iter().filter(holds) {
        match held.last_mut() {
            Some((code, times)) if *code == one.code => *times += 1,
            Some(_) | None => held.push((one.code, 1)),
        }
    }
    match holding {
        Held::Listed => {}
        Held::Counted => held.clear(),
    }
    for (code, times) in held {
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        let _ = writeln!(out, "{:<8} {} {}{times}", Answer::Holds.as_str(), code.as_str(), code.title());
    }
    let count = |answer| checked.iter().filter(|c| c.answer == answer).count();
    let (hold, fail, unknown) = (count(Answer::Holds), count(Answer::Fails), count(Answer::Unknown));
    let _ = writeln!(out, "{hold} hold, {fail} fail, {unknown} unknown");
    out
}

/// What was seen, where and when. What was not seen says so itself.
pub(super) fn seen(evidence: &Evidence) -> String {
    let (what, from) = (plain(&evidence.what), plain(&evidence.from.to_string()));
    match (&evidence.at, &evidence.from) {
        (Some(at), _) => format!("seen: {what} ({from}, {at})"),
        (None, Source::Nowhere) => what,
        (None, Source::Address(_) | Source::Line { .. }) => format!("{what} ({from})"),
    }
}

fn heading(out: &mut String, answer: Answer, code: Code) {
    let (name, severity) = (code.as_str(), code.severity().as_str());
    let _ = writeln!(out, "{:<8} {name} {} [{severity}]", answer.as_str(), code.title());
}

fn entry(out: &mut String, one: &Checked) {
    let _ = writeln!(out, "  {}: {}", plain(&one.subject), plain(&one.message));
    for evidence in &one.evidence {
        let _ = writeln!(out, "    {}", seen(evidence));
    }
    let _ = writeln!(out, "    do: {}", plain(&one.remedy));
}
