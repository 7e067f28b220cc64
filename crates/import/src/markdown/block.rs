//! Lines as blocks: headings, tables, list items, text.
//!
//! A parser of GFM drops a row's extra cells and takes a table with a broken delimiter row for prose. Here every line
//! of a table is a row, and what it is worth is decided later. Invariant: each line that is not blank is in one block,
//! save a rule (`---`) that divides nothing.

use super::columns;
use super::heading::{announced, bare};
use super::inline::{cells, pipes, plain};
use super::region::place;
use super::source::{Line, Stands};
use super::text::MAX_PIECE;
use super::words::words;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading, and whether it stands in a row of a table.
    Heading { line: usize, level: usize, text: String, row: bool },
    /// A table.
    Table(Vec<RawRow>),
    /// An item of a list.
    Item { line: usize, text: String, done: Option<bool> },
    /// A line of a table in HTML.
    Html { line: usize, text: String },
    /// The lines of a code fence, and the one that opens it.
    Code { line: usize, lines: Vec<(usize, String)> },
    /// Lines of text that stand together.
    Text(Vec<(usize, String)>),
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawRow {
    pub line: usize,
    pub cells: Vec<String>,
    pub mark: RowMark,
}

/// What a line of a table is by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowMark {
    /// Cells.
    Cells,
    /// `|---|---|`, or what is left of it.
    Delimiter,
    /// A line without a pipe between rows.
    NoPipe,
}

/// The blocks of the lines.
pub(super) fn blocks(lines: &[Line]) -> Vec<Block> {
    let mut blocks = Blocks { lines, at: 0, level: 1, out: Vec::new(), text: Vec::new() };
    while blocks.at < lines.len() {
        blocks.next();
    }
    blocks.end_text();
    blocks.out
}

struct Blocks<'l> {
    lines: &'l [Line],
    at: usize,
    /// The level of the last heading.
    level: usize,
    out: Vec<Block>,
    text: Vec<(usize, String)>,
}

impl Blocks<'_> {
    fn next(&mut self) {
        let line = &self.lines[self.at];
        let text = line.text.as_str();
        if line.place != Stands::Text {
            self.code();
            return;
        }
        if text.is_empty() {
            self.end_text();
        } else if let Some((level, heading)) = hashed(text) {
            self.heading(line.number, level, plain(heading));
        } else if is_html(text) {
            self.end_text();
            self.out.push(Block::Html { line: line.number, text: text.to_owned() });
        } else if self.begins_table() {
            self.table();
            return;
        } else if self.begins_tabbed() {
            self.tabbed();
            return;
        } else if let Some(level) = underline(text) {
            self.underlined(level);
        } else if let Some((done, item)) = item(text) {
            self.end_text();
            // "- ### text": a heading within an item is its text.
            let text = plain(item.trim_start_matches('#').trim_end_matches('#'));
            self.out.push(Block::Item { line: line.number, text, done });
        } else if let Some((heading, rest)) = bare(text).filter(|_| self.begins_paragraph()) {
            let (heading, rest) = (plain(heading), plain(rest));
            self.heading(line.number, self.level + 1, heading);
            if !rest.is_empty() {
                self.text.push((line.number, rest));
            }
        } else if let Some(heading) = stands_alone(text) {
            self.heading(line.number, self.level + 1, heading);
        } else if !self.continues_item(line) {
            self.text.push((line.number, plain(text)));
        }
        self.at += 1;
    }

    /// A code fence: the line that opens it, and those up to the next that is not in it.
    fn code(&mut self) {
        self.end_text();
        let line = self.lines[self.at].number;
        self.at += 1;
        let rest = self.lines[self.at..].iter().take_while(|line| line.place == Stands::Code);
        let lines: Vec<_> = rest.map(|line| (line.number, line.text.clone())).collect();
        self.at += lines.len();
        self.out.push(Block::Code { line, lines });
    }

    /// Whether this line does not go on with the one above, which may be a list's last item, or a line that says
    /// everything.
    fn begins_paragraph(&self) -> bool {
        let before = self.at.checked_sub(1).map_or("", |before| self.lines[before].text.as_str());
        let next = self.lines.get(self.at + 1).map_or("", |next| next.text.as_str());
        underline(next).is_none() && !before.ends_with(',')
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.out.push(Block::Text(std::mem::take(&mut self.text)));
        }
    }

    fn heading(&mut self, line: usize, level: usize, text: String) {
        let row = self.lines[self.at].text.starts_with('|');
        self.end_text();
        // A heading that only looks like one (bold, a colon) is below the last real one, once.
        if level <= self.level || hashed(&self.lines[self.at].text).is_some() {
            self.level = level;
        }
        self.out.push(Block::Heading { line, level, text, row });
    }

    /// `===` or `---` under a line that can be a heading; else a rule, which ends a paragraph.
    fn underlined(&mut self, level: usize) {
        let can_be = |text: &str| {
            let place = words(text).iter().any(|word| place(&word.text).is_some());
            announced(text).is_some() || (!place && !text.ends_with('.'))
        };
        let heading = if level > 0 && (self.text.len() == 1 || level == 1) {
            self.text.pop_if(|(_, text)| can_be(text))
        } else {
            None
        };
        match heading {
            Some((line, text)) => {
                self.end_text();
                self.level = level;
                self.out.push(Block::Heading { line, level, text, row: false });
            }
            None => self.end_text(),
        }
    }

    /// A line that is indented, or goes on in lower case, right after an item is part of it.
    fn continues_item(&mut self, line: &Line) -> bool {
        let touches = self.at > 0 && !self.lines[self.at - 1].text.is_empty();
        let lower = line.text.starts_with(char::is_lowercase);
        if !(touches && self.text.is_empty() && (line.indent > 1 || lower)) {
            return false;
        }
        let Some(Block::Item { text, .. }) = self.out.last_mut() else { return false };
        if text.len() > MAX_PIECE {
            return false;
        }
        text.push(' ');
        text.push_str(&plain(&line.text));
        true
    }

    fn begins_table(&self) -> bool {
        let text = &self.lines[self.at].text;
        if is_delimiter(text) {
            return text.contains(['|', '+']);
        }
        let found = pipes(text).len();
        if text.starts_with('|') {
            return true;
        }
        let next = self.lines.get(self.at + 1).map_or("", |line| line.text.as_str());
        let next_is_table = next.contains('|') && (is_delimiter(next) || next.starts_with('|'));
        item(text).is_none() && (found >= 2 || (found == 1 && next_is_table))
    }

    /// Whether a table whose cells tabs divide begins: only a header that names assets is sure enough.
    fn begins_tabbed(&self) -> bool {
        let text = &self.lines[self.at].text;
        text.matches('\t').count() >= 2 && columns::is_assets(&tabbed(text))
    }

    /// Such a table goes up to a line without a tab, and a delimiter row has only marks.
    fn tabbed(&mut self) {
        self.end_text();
        let rest = self.lines[self.at..].iter().take_while(|line| line.text.contains('\t'));
        let rows: Vec<RawRow> = rest
            .map(|line| match is_delimiter(&line.text) {
                true => {
                    RawRow { line: line.number, cells: vec![plain(&line.text)], mark: RowMark::Delimiter }
                }
                false => RawRow { line: line.number, cells: tabbed(&line.text), mark: RowMark::Cells },
            })
            .collect();
        self.at += rows.len();
        self.out.push(Block::Table(rows));
    }

    fn table(&mut self) {
        self.end_text();
        let from = self.at;
        let mut rows: Vec<RawRow> = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let text = line.text.as_str();
            if text.is_empty() || hashed(text).is_some() {
                break;
            }
            // A whole document within a table: its headings are rows, and begin another table.
            if let Some((level, heading)) = heading_row(text) {
                if !rows.is_empty() {
                    self.out.push(Block::Table(std::mem::take(&mut rows)));
                }
                self.heading(line.number, level, heading);
                self.at += 1;
                continue;
            }
            let piped = !pipes(text).is_empty();
            let next_piped = self.lines.get(self.at + 1).is_some_and(|next| !pipes(&next.text).is_empty());
            let mark = if is_delimiter(text) && (piped || text.contains('+') || rows.len() == 1 || next_piped)
            {
                RowMark::Delimiter
            } else if piped && (item(text).is_none() || text.starts_with('|')) {
                RowMark::Cells
            } else if next_piped && item(text).is_none() && !rows.is_empty() {
                RowMark::NoPipe
            } else {
                break;
            };
            let cells = if mark == RowMark::Cells { cells(text) } else { vec![plain(text)] };
            rows.push(RawRow { line: line.number, cells, mark });
            self.at += 1;
        }
        // Not reached by a line that begins a table; a line is never looked at twice.
        if self.at == from {
            self.at += 1;
        }
        if !rows.is_empty() {
            self.out.push(Block::Table(rows));
        }
    }
}

/// The cells of a row that tabs divide.
fn tabbed(text: &str) -> Vec<String> {
    text.split('\t').take(super::MAX_CELLS).map(plain).collect()
}

/// `| ## Heading | | |`: a row that holds a heading and nothing else.
fn heading_row(text: &str) -> Option<(usize, String)> {
    let first = text.strip_prefix('|')?.trim_start();
    if !first.starts_with('#') {
        return None;
    }
    let cells = cells(text);
    let (level, heading) = hashed(&cells[0]).filter(|_| cells[1..].iter().all(String::is_empty))?;
    Some((level, heading.to_owned()))
}

/// `## Heading ##`, and `##Heading` if its words are known.
fn hashed(text: &str) -> Option<(usize, &str)> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    if level == 0 {
        return None;
    }
    let heading = rest.trim().trim_end_matches('#').trim_end();
    let spaced = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (spaced || announced(heading).is_some()).then_some((level.min(6), heading))
}

/// A line of its own that is bold or ends in a colon, and whose words are a heading's.
fn stands_alone(text: &str) -> Option<String> {
    const MAX_WORDS: usize = 4;
    let bold = ["**", "__"].iter().any(|mark| text.starts_with(mark) && text.ends_with(mark));
    let bold = bold || (text.ends_with("**:") && text.starts_with("**"));
    let plain = plain(text);
    let named = bold || text.ends_with(':');
    let sure = || announced(&plain).is_some_and(|announced| announced.sure);
    (named && words(&plain).len() <= MAX_WORDS && sure()).then_some(plain)
}

/// A line that opens or closes a part of a table in HTML.
fn is_html(text: &str) -> bool {
    const PARTS: &[&str] =
        &["<table", "</table", "<tr", "</tr", "<td", "<th", "<tbody", "</tbody", "</thead"];
    PARTS.iter().any(|part| text.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part)))
}

/// The level of the heading that a line of marks makes of the line above; 0 if it can only be a rule.
fn underline(text: &str) -> Option<usize> {
    let all = |mark: char| text.len() >= 3 && text.chars().all(|c| c == mark);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        (all('*') || all('_')).then_some(0)
    }
}

/// Whether a line is made of a delimiter row's marks.
fn is_delimiter(text: &str) -> bool {
    let marks = |c: char| matches!(c, '|' | '+' | ':' | '-' | '=' | '–' | '—' | ' ' | '\t');
    text.contains(['-', '=', '–', '—']) && text.chars().all(marks)
}

/// A list's item: whether it is ticked off, and its text.
pub(super) fn item(text: &str) -> Option<(Option<bool>, &str)> {
    let bullet = text
        .strip_prefix(['-', '*', '+', '•', '–', '◦', '・', '·'])
        .filter(|rest| rest.starts_with(char::is_whitespace));
    let boxed = text.starts_with(['☐', '☑', '✅', '☒']).then_some(text);
    let rest = bullet.or(boxed).or_else(|| ordinal(text))?.trim_start();
    for (marks, done) in
        [(["[ ]", "☐", "[]"], false), (["[x]", "☑", "✅"], true), (["[X]", "☒", "[✓]"], true)]
    {
        if let Some(rest) = marks.iter().find_map(|mark| rest.strip_prefix(mark)) {
            let rest = rest.trim_start();
            return Some((Some(done), ordinal(rest).map_or(rest, str::trim_start)));
        }
    }
    Some((None, rest))
}

/// `1. text`, `2) text`, `3] text`, `4- text`, `a) text`, `Step 3: text`, and `5.Text` of those who forget the blank.
fn ordinal(text: &str) -> Option<&str> {
    let lettered =
        text.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && text.as_bytes().get(1) == Some(&b')');
    if lettered {
        return text[2..].starts_with(' ').then(|| &text[2..]);
    }
    let step = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("step "));
    let number = if step { &text[5..] } else { text };
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = number.len() - rest.len();
    if !(1..=9).contains(&digits) {
        return None;
    }
    // `1\.` is how some editors save "1.".
    let rest = rest.strip_prefix('\\').unwrap_or(rest);
    if !step && let Some(after) = rest.trim_start().strip_prefix('-') {
        // "3 - 5 nodes" is a range, "2-node" a word.
        let begins = after.starts_with(char::is_whitespace)
            && after.trim_start().starts_with(|c: char| c.is_uppercase() || c == '*');
        return begins.then_some(after);
    }
    let rest = rest.strip_prefix(if step { &[':', '.', ')', '-'][..] } else { &['.', ')', ']'][..] })?;
    rest.starts_with(|c: char| c.is_whitespace() || c.is_uppercase()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_told_with_their_ticks() {
        for (text, expected) in [
            ("- one", Some((None, "one"))),
            ("- [ ] one", Some((Some(false), "one"))),
            ("* [x] one", Some((Some(true), "one"))),
            ("12) one", Some((None, "one"))),
            ("Step 3: one", Some((None, "one"))),
            ("- [ ] 3. one", Some((Some(false), "one"))),
            ("☑ one", Some((Some(true), "one"))),
            ("3] one", Some((None, "one"))),
            ("4- One", Some((None, "One"))),
            ("5 - One", Some((None, "One"))),
            ("6.One", Some((None, "One"))),
            (r"7\. one", Some((None, "one"))),
            ("3 - 5 nodes", None),
            ("2-node cluster", None),
            ("2 nodes", None),
            ("-one", None),
            ("1.5 GB", None),
        ] {
            assert_eq!(item(text), expected, "{text}");
        }
    }

    #[test]
    fn a_delimiter_row_may_be_broken() {
        for text in ["|---|---|", "--- | :-:", "| - |", "|----", "+---+---+", "|——|——|"] {
            assert!(is_delimiter(text), "{text}");
        }
        for text in ["| a | - |", "||", "a"] {
            assert!(!is_delimiter(text), "{text}");
        }
    }
}
