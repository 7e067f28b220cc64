//! Steps: from items, prose, and tables of steps; who is to do them, and what places they name.

use bascule_core::document::{Intent, WrittenStep, Zone};

use super::block::{RawRow, RowMark};
use super::intent;
use super::region::region_of;
use super::words::{has_any, words};

/// A step of this text.
pub(super) fn step(
    line: usize,
    text: &str,
    done: Option<bool>,
    zones: &[Zone],
    under: Option<Intent>,
) -> WrittenStep {
    let mut intents = intent::intents(text);
    if let Some(under) = under.filter(|under| !intents.contains(under)) {
        intents.insert(0, under);
    }
    WrittenStep { text: text.to_owned(), intents, zones: places(text, zones), owner: owner(text), done, line }
}

/// The places that a text names: what is shaped like a region, and the document's own zones of any shape.
pub(super) fn places(text: &str, zones: &[Zone]) -> Vec<String> {
    let all = words(text);
    let mut places: Vec<String> = Vec::new();
    let mut add = |place: String| {
        if !places.contains(&place) && places.len() < MAX_PLACES {
            places.push(place);
        }
    };
    all.iter().filter_map(|word| region_of(&word.text)).for_each(&mut add);
    for zone in zones.iter().filter(|zone| region_of(&zone.name).is_none()) {
        let name = words(&zone.name);
        if !name.is_empty() && all.windows(name.len()).any(|window| window == name) {
            add(zone.name.clone());
        }
    }
    places
}

/// The most places that one text names: a document has few zones, and this is more than any provider has regions.
pub(super) const MAX_PLACES: usize = 64;

/// Who is to do it: "owner: NAME", "(responsible: NAME)", "@name".
pub(super) fn owner(text: &str) -> Option<String> {
    const MARKS: &[&str] =
        &["owner", "owners", "owned by", "responsible", "assignee", "assigned to", "dri", "who"];
    let lower = text.to_ascii_lowercase();
    for mark in MARKS {
        for (at, _) in lower.match_indices(mark).take(4) {
            let starts = lower[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            let after = &text[at + mark.len()..];
            let separated = after.trim_start().strip_prefix([':', '=']);
            let after = match separated {
                Some(after) => after,
                None if mark.contains(' ') && after.starts_with(' ') => after,
                None => continue,
            };
            let name = after.split([',', ';', ')', ']', '|', '.']).next().unwrap_or_default().trim();
            if starts && is_name(name) {
                return Some(name.to_owned());
            }
        }
    }
    text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '[' | ']'))
        .filter_map(|word| word.strip_prefix('@'))
        .map(|name| name.trim_end_matches(['.', ':', ';']))
        .find(|name| is_name(name))
        .map(|name| format!("@{name}"))
}

/// A line that only says who does the steps below it.
pub(super) fn only_owner(text: &str) -> Option<String> {
    let first = words(text);
    let marked =
        first.first().is_some_and(|word| word.is_one_of(&["owner", "responsible", "assignee", "dri"]));
    if marked && first.len() <= 8 { owner(text) } else { None }
}

fn is_name(name: &str) -> bool {
    const NOBODY: &[&str] = &["tbd", "todo", "none", "na", "n/a", "?", "-", "unknown", "nobody"];
    // A name is a few words; a whole clause is not.
    const LONGEST: usize = 60;
    !name.is_empty()
        && name.len() <= LONGEST
        && name.contains(char::is_alphanumeric)
        && !NOBODY.iter().any(|nobody| name.eq_ignore_ascii_case(nobody))
}

/// What a column of a table of steps holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Number,
    Text,
    Owner,
    Status,
    Other,
}

/// A table of steps as steps; its other lines as `(line, what they are)`.
pub(super) fn from_table(
    rows: &[RawRow],
    zones: &[Zone],
    under: Option<Intent>,
) -> (Vec<WrittenStep>, Vec<(usize, &'static str)>) {
    let header = rows.iter().find(|row| row.mark == RowMark::Cells);
    let columns: Vec<Column> =
        header.map(|row| row.cells.iter().map(|cell| column(cell)).collect()).unwrap_or_default();
    let delimited = rows.get(1).is_some_and(|row| row.mark == RowMark::Delimiter);
    let is_header =
        delimited || columns.iter().any(|c| matches!(c, Column::Text | Column::Owner | Column::Number));
    let (mut steps, mut rest) = (Vec::new(), Vec::new());
    let (mut seen_header, mut seen_delimiter) = (!is_header, false);
    for row in rows {
        match row.mark {
            RowMark::Delimiter if seen_delimiter => rest.push((row.line, "a second delimiter row")),
            RowMark::Delimiter => seen_delimiter = true,
            RowMark::Cells if !seen_header => seen_header = true,
            RowMark::Cells | RowMark::NoPipe => {
                match from_row(row, if is_header { &columns } else { &[] }, zones, under) {
                    Some(step) => steps.push(step),
                    None => rest.push((row.line, "a row that holds nothing")),
                }
            }
        }
    }
    (steps, rest)
}

fn column(header: &str) -> Column {
    let all = words(header);
    if has_any(&all, &["owner", "responsible", "who", "assignee", "dri", "team", "person"]) {
        Column::Owner
    } else if has_any(&all, &["statu", "status", "done", "complete", "completed"]) {
        Column::Status
    } else if has_any(&all, &["action", "task", "description", "what", "activity", "instruction", "detail"]) {
        Column::Text
    } else if header.trim() == "#" || has_any(&all, &["step", "no", "nr", "number", "order", "id"]) {
        Column::Number
    } else {
        Column::Other
    }
}

fn from_row(row: &RawRow, columns: &[Column], zones: &[Zone], under: Option<Intent>) -> Option<WrittenStep> {
    let (mut parts, mut owner, mut done): (Vec<&str>, _, _) = (Vec::new(), None, None);
    for (at, cell) in row.cells.iter().enumerate() {
        let cell = cell.as_str();
        match columns.get(at).copied().unwrap_or(Column::Other) {
            _ if cell.is_empty() => {}
            Column::Owner if is_name(cell) => owner = Some(cell.to_owned()),
            Column::Owner => {}
            Column::Status => done = ticked(cell),
            // "Step" heads numbers in one table, and the words themselves in another.
            Column::Number if cell.chars().all(|c| !c.is_alphabetic()) => {}
            Column::Number | Column::Text | Column::Other => parts.push(cell),
        }
    }
    // A row of numbers and dashes says nothing.
    if !parts.iter().any(|part| part.contains(char::is_alphabetic)) {
        return None;
    }
    let mut step = step(row.line, &parts.join(" - "), done, zones, under);
    step.owner = owner.or(step.owner);
    Some(step)
}

fn ticked(cell: &str) -> Option<bool> {
    let all = words(cell);
    if has_any(&all, &["not", "no", "open", "pending", "todo", "planned"])
        || matches!(cell, "☐" | "[ ]" | "✗" | "❌")
    {
        return Some(false);
    }
    let yes = has_any(&all, &["done", "yes", "complete", "completed", "x", "ok"]);
    (yes || matches!(cell, "✓" | "✔" | "✅" | "☑" | "[x]")).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_who_is_named_as_such() {
        for (text, expected) in [
            ("Promote the replica (owner: Ana Ruiz)", Some("Ana Ruiz")),
            ("Owner: platform team", Some("platform team")),
            ("Point the names, assigned to Lee, at Ohio", Some("Lee")),
            ("Promote @dba.", Some("@dba")),
            ("Tell mail@example.org", None),
            ("Owner: TBD", None),
            ("Whoever sees it first", None),
        ] {
            assert_eq!(owner(text).as_deref(), expected, "{text}");
        }
    }
}
