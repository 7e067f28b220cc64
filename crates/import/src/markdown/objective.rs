//! What a document promises: RPO, RTO and how far back backups reach, wherever they stand.
//!
//! Read from lines, because a document has no agreed place for them. Several numbers of one kind, such as one a tier,
//! give the strictest. A promise whose number can't be read is unknown, and one that is still to be decided is none.

use serde::Serialize;

use super::inline::{cells, pipes};
use super::quantity::is_nothing;
use super::source::{Line, Stands};

/// One promise of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// It is a number, in milliseconds.
    Set {
        /// How long.
        ms: u64,
        /// Where it stands.
        line: usize,
    },
    /// It is spoken of, and no number with a unit follows.
    Unread {
        /// Where it stands.
        line: usize,
    },
    /// Nothing is said of it, or that it is still to be decided.
    Missing,
}

/// What a document promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// What may be lost.
    pub rpo: Objective,
    /// How long users may be without the site.
    pub rto: Objective,
}

/// How far behind its name a number is looked for, in words: "RTO (recovery time objective) for tier 1 is 4 hours".
const REACH: usize = 12;

/// The promises of a document.
pub(super) fn objectives(lines: &[Line]) -> Objectives {
    let mut found = Objectives { rpo: Objective::Missing, rto: Objective::Missing };
    // The columns of the table above that hold promises.
    let mut columns: Vec<(usize, Kind)> = Vec::new();
    for line in lines.iter().filter(|line| line.place == Stands::Text) {
        let all = tokens(&line.text);
        let row = !pipes(&line.text).is_empty();
        if !row {
            columns.clear();
        } else if columns.is_empty() {
            columns = header(&line.text);
            if !columns.is_empty() {
                continue;
            }
        } else {
            let cells = cells(&line.text);
            for (at, kind) in &columns {
                let Some(cell) = cells.get(*at) else { continue };
                let all = tokens(cell);
                if !all.is_empty() && !is_nothing(cell) {
                    found.take(*kind, values(&all).first().copied(), line.number);
                }
            }
            continue;
        }
        in_line(&all, line.number, &mut found);
    }
    found
}

/// The columns of a table's header that are called by a promise's name alone.
fn header(text: &str) -> Vec<(usize, Kind)> {
    let cells = cells(text);
    let named = cells.iter().enumerate().filter_map(|(at, cell)| {
        let all = tokens(cell);
        names(&all).next().filter(|_| values(&all).is_empty()).map(|(_, kind)| (at, kind))
    });
    let found: Vec<_> = named.collect();
    // "| RPO | 5 min |" is a row and no header.
    if cells.iter().any(|cell| !values(&tokens(cell)).is_empty()) { Vec::new() } else { found }
}

/// The promises that a line names, each with what follows.
fn in_line(all: &[String], line: usize, found: &mut Objectives) {
    // The names are gathered until something is said: "RPO / RTO: 5 min / 1 h" says it of both, in their order.
    let mut waiting: Vec<Kind> = Vec::new();
    let mut names = names(all).peekable();
    while let Some((at, kind)) = names.next() {
        waiting.push(kind);
        let next = names.peek().map_or(all.len(), |(next, _)| *next);
        let mut said = values(&all[at + 1..next.min(at + 1 + REACH)]).into_iter();
        if said.len() == 0 && next < all.len() && next <= at + 2 {
            continue;
        }
        let same = waiting.windows(2).all(|pair| pair[0] == pair[1]);
        let mut last = said.next();
        for (index, kind) in waiting.drain(..).enumerate() {
            if index > 0 && !same {
                last = said.next().or(last);
            }
            found.take(kind, last, line);
        }
    }
}

impl Objectives {
    fn take(&mut self, kind: Kind, said: Option<Said>, line: usize) {
        let place = match kind {
            Kind::Loss => &mut self.rpo,
            Kind::Time => &mut self.rto,
        };
        *place = stricter(place, said, line);
    }

    /// Whether one of them was read on this line.
    pub(super) fn stand_on(&self, wanted: usize) -> bool {
        [&self.rpo, &self.rto].into_iter().any(|objective| match objective {
            Objective::Set { line, .. } => *line == wanted,
            Objective::Unread { .. } | Objective::Missing => false,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loss,
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Number(u64),
    /// It is still to be decided.
    Open,
}

fn stricter(before: &Objective, said: Option<Said>, line: usize) -> Objective {
    match (before, said) {
        (Objective::Set { ms: strict, .. }, Some(Said::Number(ms))) if *strict <= ms => before.clone(),
        (_, Some(Said::Number(ms))) => Objective::Set { ms, line },
        (Objective::Missing, None) => Objective::Unread { line },
        (_, Some(Said::Open) | None) => before.clone(),
    }
}

/// Words in lower case: letters, digits with a point; a number and its unit are two.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars().flat_map(char::to_lowercase) {
        let starts = c.is_alphanumeric()
            && !(last.is_alphanumeric() && last.is_ascii_digit() == c.is_ascii_digit() || last == '.');
        if starts {
            tokens.push(String::new());
        }
        match tokens.last_mut() {
            Some(token) if c.is_alphanumeric() => token.push(c),
            Some(token) if c == '.' && last.is_ascii_digit() => token.push(c),
            _ => {}
        }
        last = c;
    }
    tokens.iter_mut().for_each(|token| token.truncate(token.trim_end_matches('.').len()));
    tokens
}

/// Where a promise is named.
fn names(all: &[String]) -> impl Iterator<Item = (usize, Kind)> {
    (0..all.len()).filter_map(|at| {
        let long = |middle: &str| {
            at >= 2 && all[at].starts_with("objective") && all[at - 1] == middle && all[at - 2] == "recovery"
        };
        match all[at].as_str() {
            "rpo" | "rpos" => Some((at, Kind::Loss)),
            "rto" | "rtos" => Some((at, Kind::Time)),
            _ if long("point") => Some((at, Kind::Loss)),
            _ if long("time") => Some((at, Kind::Time)),
            _ => None,
        }
    })
}

/// The numbers with a unit, or that there is none yet; a bare zero needs no unit.
fn values(all: &[String]) -> Vec<Said> {
    let mut found = Vec::new();
    for at in 0..all.len() {
        if ["tbd", "todo", "tbc", "none", "undefined"].contains(&all[at].as_str()) {
            found.push(Said::Open);
        }
        let Ok(number) = all[at].parse::<f64>() else { continue };
        if let Some(unit) = all.get(at + 1).and_then(|unit| unit_ms(unit)) {
            // Past what fits, a promise is as good as none: the cast saturates.
            found.push(Said::Number((number * unit) as u64));
        } else if number == 0.0 {
            found.push(Said::Number(0));
        }
    }
    found
}

fn unit_ms(unit: &str) -> Option<f64> {
    match unit {
        "ms" | "millisecond" | "milliseconds" => Some(1.0),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1e3),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60e3),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3_600e3),
        "d" | "day" | "days" => Some(86_400e3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<u64>, Option<u64>) {
        let line = |(at, text): (usize, &str)| Line {
            number: at + 1,
            indent: 0,
            text: text.to_owned(),
            place: Stands::Text,
        };
        let lines: Vec<Line> = text.lines().enumerate().map(line).collect();
        let found = objectives(&lines);
        let seconds = |objective| match objective {
            Objective::Set { ms, .. } => Some(ms / 1000),
            Objective::Unread { .. } | Objective::Missing => None,
        };
        (seconds(found.rpo), seconds(found.rto))
    }

    #[test]
    fn a_promise_is_a_name_and_a_number_with_its_unit() {
        for (text, expected) in [
            ("RPO: 5 minutes", (Some(300), None)),
            ("RPO 5m, RTO 1h", (Some(300), Some(3600))),
            ("| RTO | 1.5 hours |", (None, Some(5400))),
            ("RPO / RTO: 30 s / 1 h", (Some(30), Some(3600))),
            ("**Recovery time objective (RTO)** for tier 1 is 4 hours.", (None, Some(14_400))),
            ("RPO = 0", (Some(0), None)),
            ("RPO: 5 min (was 1 h)", (Some(300), None)),
            ("RPO: TBD", (None, None)),
            (
                "| Tier | RTO | RPO |\n|---|---|---|\n| 1 | 1 h | 5 min |\n| 2 | 1 d | n/a |",
                (Some(300), Some(3600)),
            ),
            ("| What | Value |\n|---|---|\n| RPO | 5 min |\n| RTO | 1 h |", (Some(300), Some(3600))),
            ("RPO of fifteen minutes", (None, None)),
            ("We lost 5 minutes", (None, None)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
