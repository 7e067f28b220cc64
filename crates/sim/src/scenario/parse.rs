//! Reading scripts. Every mistake is told with its line, and with what to write instead.

use bascule_core::id::{Epoch, RegionName};
use bascule_core::observation::GateState;
use bascule_core::plan::Kind;
use bascule_core::planner::Code;

use super::{Ending, Expectation, Line, Verb};

/// Verbs, as they are listed when one is not known.
const VERBS: &str = "observe, plan, apply, crash, rival, resume, abort, abandon, break, return, partition, lag, heal, \
                     wait, expect";
/// Expectations, likewise.
const EXPECTATIONS: &str = "succeeded, aborted, abandoned, refused, died, stalled, fenced, past-commit, rival, runnable, blocked, \
                            warned, active, gate, pools, names, writes, lost, saved, follows, pause";

/// A line that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}\n    {text}\n  write {remedy}")]
pub struct InvalidScript {
    /// Its number, from 1.
    pub line: usize,
    /// As it was written.
    pub text: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// What is wrong, and what to write instead.
type Wrong = (String, String);

fn wrong<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Wrong> {
    Err((what.into(), remedy.into()))
}

/// Read a script.
///
/// # Errors
/// The first line that can't be read.
pub fn parse(script: &str) -> Result<Vec<Line>, InvalidScript> {
    let mut lines = Vec::new();
    for (index, raw) in script.lines().enumerate() {
        let text = raw.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some((first, rest)) = words.split_first() else { continue };
        let number = index + 1;
        match verb(first, rest) {
            Ok(verb) => lines.push(Line { number, text: words.join(" "), verb }),
            Err((what, remedy)) => {
                return Err(InvalidScript { line: number, text: text.to_owned(), what, remedy });
            }
        }
    }
    Ok(lines)
}

fn verb(first: &str, rest: &[&str]) -> Result<Verb, Wrong> {
    Ok(match (first, rest) {
        ("observe", []) => Verb::Observe,
        ("plan", [kind, rest @ ..]) => plan(kind, rest)?,
        ("apply", []) => Verb::Apply,
        ("crash", [point]) => match point.parse() {
            Ok(point) => Verb::Crash(point),
            Err(_) => {
                return wrong(
                    format!("{point:?} is not a crash point"),
                    "crash after=STEP.intent, crash before=STEP.done, or crash after=3 for the third journal write",
                );
            }
        },
        ("rival", [what @ ("resume" | "abort"), at]) => {
            Verb::Rival { abort: *what == "abort", at_ms: instant(at)? }
        }
        ("resume", []) => Verb::Resume,
        ("abort", []) => Verb::Abort,
        ("abandon", []) => Verb::Abandon,
        ("break", ["region-loss", at, rest @ ..]) => {
            Verb::RegionLoss { region: region(at)?, at_ms: optional_instant(rest)? }
        }
        ("return", [at]) => Verb::Return(region(at)?),
        ("partition", ["replication", rest @ ..]) => Verb::CutReplication { at_ms: optional_instant(rest)? },
        ("partition", ["controller", at]) => Verb::CutController(region(at)?),
        ("lag", [ms]) => Verb::Lag(millis(ms)?),
        ("heal", []) => Verb::Heal,
        ("wait", [ms]) => Verb::Wait(millis(ms)?),
        ("expect", [what, rest @ ..]) => Verb::Expect(expectation(what, rest)?),
        (known, _) => return wrong(format!("{known:?} can't be read like that"), usage(known)),
    })
}

fn usage(verb: &str) -> String {
    let usage = match verb {
        "plan" => "plan switchover --to REGION; also failover, reinstate, restore",
        "crash" => "crash after=STEP.intent, on a line before apply, resume or abort",
        "rival" => "rival resume at=20ms or rival abort at=20ms, on a line before apply",
        "break" => "break region-loss REGION, or break region-loss REGION at=20ms",
        "return" => "return REGION",
        "partition" => "partition replication, partition replication at=20ms or partition controller REGION",
        "lag" => "lag 20ms",
        "wait" => "wait 5s",
        "expect" => return format!("expect and one of: {EXPECTATIONS}"),
        "observe" | "apply" | "resume" | "abort" | "heal" => return format!("{verb} alone on its line"),
        _ => return format!("one of: {VERBS}"),
    };
    usage.to_owned()
}

fn plan(kind: &str, rest: &[&str]) -> Result<Verb, Wrong> {
    let kind = match kind {
        "switchover" => Kind::Switchover,
        "failover" => Kind::Failover,
        "reinstate" => Kind::Reinstate,
        "restore" => Kind::Restore,
        other => return wrong(format!("{other:?} is not an operation"), usage("plan")),
    };
    let (to, accept_loss_ms) = match rest {
        ["--to", to] => (region(to)?, None),
        ["--to", to, "--accept-data-loss", loss] => (region(to)?, Some(millis(loss)?)),
        _ => return wrong("the region to move to is missing", usage("plan")),
    };
    Ok(Verb::Plan { kind, to, accept_loss_ms })
}

fn region(text: &str) -> Result<RegionName, Wrong> {
    text.parse().or_else(|error: bascule_core::id::InvalidId| {
        wrong(error.to_string(), "a region of the site: us-east-2 or us-west-1")
    })
}

/// Milliseconds from `250ms`, `5s` or `2m`.
fn millis(text: &str) -> Result<u64, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    match (number.parse::<u64>().ok(), factor) {
        (Some(number), Some(factor)) => Ok(number.saturating_mul(factor)),
        _ => wrong(format!("{text:?} is not a duration"), "a number and a unit: 250ms, 5s or 2m"),
    }
}

fn instant(text: &str) -> Result<u64, Wrong> {
    match text.strip_prefix("at=") {
        Some(ms) => millis(ms),
        None => {
            wrong(format!("{text:?} is not an instant"), "at=20ms, counted from when the controller begins")
        }
    }
}

fn optional_instant(rest: &[&str]) -> Result<Option<u64>, Wrong> {
    match rest {
        [] => Ok(None),
        [at] => instant(at).map(Some),
        [_, more, ..] => wrong(format!("{more:?} is one word too many"), "at=20ms or nothing at the end"),
    }
}

fn ending(text: &str) -> Option<Ending> {
    Some(match text {
        "succeeded" => Ending::Succeeded,
        "aborted" => Ending::Aborted,
        "abandoned" => Ending::Abandoned,
        "refused" => Ending::Refused,
        "died" => Ending::Died,
        "stalled" => Ending::Stalled,
        "fenced" => Ending::Fenced,
        "past-commit" => Ending::PastCommit,
        _ => return None,
    })
}

fn code(text: &str) -> Result<String, Wrong> {
    if Code::ALL.iter().any(|code| code.as_str() == text) {
        Ok(text.to_owned())
    } else {
        wrong(format!("{text:?} is no code of a plan"), "a code as docs/errors has it: BSC-P014")
    }
}

fn expectation(what: &str, rest: &[&str]) -> Result<Expectation, Wrong> {
    if let (Some(ending), []) = (ending(what), rest) {
        return Ok(Expectation::Ending(ending));
    }
    let yes_no = |word: &str, yes: &str, no: &str| match word {
        w if w == yes => Ok(true),
        w if w == no => Ok(false),
        w => wrong(
            format!("{w:?} is neither {yes} nor {no}"),
            format!("expect {what} {yes} or expect {what} {no}"),
        ),
    };
    Ok(match (what, rest) {
        ("rival", [word]) => match ending(word) {
            Some(ending) => Expectation::Rival(ending),
            None => return wrong(format!("{word:?} is no ending"), "expect rival fenced"),
        },
        ("runnable", []) => Expectation::Runnable,
        ("blocked", [text]) => Expectation::Blocked(code(text)?),
        ("warned", [text]) => Expectation::Warned(code(text)?),
        ("active", [at, epoch]) => match epoch.strip_prefix("epoch=").and_then(|n| n.parse().ok()) {
            Some(epoch) => Expectation::Active { region: region(at)?, epoch: Epoch(epoch) },
            None => return wrong(format!("{epoch:?} is no epoch"), "expect active us-west-1 epoch=2"),
        },
        ("gate", [at, state]) => Expectation::Gate { region: region(at)?, state: gate(state)? },
        ("pools", [word]) => Expectation::Held(yes_no(word, "held", "free")?),
        ("names", [at]) => Expectation::Names(region(at)?),
        ("writes", [word]) => Expectation::Writes { flow: yes_no(word, "flow", "stop")? },
        ("lost", [word]) => Expectation::Lost(yes_no(word, "some", "none")?),
        ("saved", [word]) => Expectation::Saved(yes_no(word, "some", "none")?),
        ("follows", [at]) => Expectation::Follows(region(at)?),
        ("pause", [most]) => match most.strip_prefix("<=") {
            Some(ms) => Expectation::PauseAtMost(millis(ms)?),
            None => return wrong(format!("{most:?} is no bound"), "expect pause <=400ms"),
        },
        (other, _) => return wrong(format!("{other:?} can't be expected like that"), usage("expect")),
    })
}

fn gate(text: &str) -> Result<GateState, Wrong> {
    Ok(match text {
        "closed" => GateState::Closed,
        "local" => GateState::Local,
        "remote" => GateState::Remote,
        other => return wrong(format!("{other:?} is no state of a gate"), "closed, local or remote"),
    })
}
