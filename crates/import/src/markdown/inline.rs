//! What stands on a line: a row's cells, and text without its marks.

use super::MAX_CELLS;

/// A row's cells. Pipes that are escaped, or within a code span, do not divide. Cells past the limit stay in the last.
pub(super) fn cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    let mut ends = pipes(inner);
    if !ends.last().is_some_and(|end| inner[end + 1..].trim().is_empty()) {
        ends.push(inner.len());
    }
    let mut cells = Vec::new();
    let mut start = 0;
    for (at, end) in ends.iter().enumerate() {
        if at + 1 == MAX_CELLS {
            cells.push(plain(&inner[start..]));
            return cells;
        }
        cells.push(plain(&inner[start..*end]));
        start = (*end + 1).min(inner.len());
    }
    cells
}

/// Where the pipes are that divide cells.
pub(super) fn pipes(line: &str) -> Vec<usize> {
    let spans = code_spans(line);
    let mut span = spans.iter().peekable();
    let mut pipes = Vec::new();
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        while span.peek().is_some_and(|(_, end)| *end <= at) {
            span.next();
        }
        let in_code = span.peek().is_some_and(|(start, _)| *start <= at);
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'|' if !escaped && !in_code => pipes.push(at),
            _ => {}
        }
        escaped = false;
    }
    pipes
}

/// Code spans: a run of backticks up to the next run of the same length (CommonMark 0.31.2, 6.1).
fn code_spans(line: &str) -> Vec<(usize, usize)> {
    let bytes = line.as_bytes();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while at < bytes.len() && bytes[at] == b'`' {
            at += 1;
        }
        if at > start {
            runs.push((start, at));
        } else {
            at += 1;
        }
    }
    let mut spans = Vec::new();
    // The next run of each length, found from the back, so that no run is looked at twice.
    let mut next_of: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
    let mut partner = vec![None; runs.len()];
    for (index, (start, end)) in runs.iter().enumerate().rev() {
        partner[index] = next_of.insert(end - start, index);
    }
    let mut index = 0;
    while index < runs.len() {
        match partner[index] {
            Some(close) => {
                spans.push((runs[index].0, runs[close].1));
                index = close + 1;
            }
            None => index += 1,
        }
    }
    spans
}

/// A text without emphasis, code marks, escapes, links' addresses, line breaks and the commonest entities; blanks in one.
pub(super) fn plain(text: &str) -> String {
    let text = unlinked(text);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let before = text[..at].chars().next_back();
        match c {
            '\\' => match chars.peek() {
                Some((_, next)) if next.is_ascii_punctuation() => {
                    out.push(*next);
                    chars.next();
                }
                _ => out.push(c),
            },
            '`' => {}
            '~' if before == Some('~') || chars.peek().is_some_and(|(_, next)| *next == '~') => {}
            '*' => {
                // A single star between blanks is a word of its own ("2 * 3").
                let next = chars.peek().map(|(_, next)| *next);
                if before.is_none_or(char::is_whitespace) && next.is_none_or(char::is_whitespace) {
                    out.push(c);
                }
            }
            '_' => {
                // Within a word it is part of the word.
                let next = chars.peek().map(|(_, next)| *next);
                let within = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                if within(before) && within(next) {
                    out.push(c);
                }
            }
            '<' => match tag(&text[at..]) {
                Some(length) => {
                    out.push(' ');
                    while chars.peek().is_some_and(|(next, _)| *next < at + length) {
                        chars.next();
                    }
                }
                None => out.push(c),
            },
            '&' => match entity(&text[at..]) {
                Some((length, meant)) => {
                    out.push(meant);
                    while chars.peek().is_some_and(|(next, _)| *next < at + length) {
                        chars.next();
                    }
                }
                None => out.push(c),
            },
            _ => out.push(c),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of an HTML tag such as `<br/>` or `<span style="color:red">`.
fn tag(text: &str) -> Option<usize> {
    // With a style or two; `a < b` is no tag, because a name follows at once.
    const LONGEST: usize = 120;
    let end = text.bytes().take(LONGEST).position(|b| b == b'>')?;
    let inside = text[1..end].trim_start_matches('/').trim_end_matches(['/', ' ']);
    let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (named && (attributes.is_empty() || attributes.contains('='))).then_some(end + 1)
}

fn entity(text: &str) -> Option<(usize, char)> {
    let known =
        [("&amp;", '&'), ("&nbsp;", ' '), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#124;", '|')];
    known.iter().find(|(entity, _)| text.starts_with(entity)).map(|(entity, meant)| (entity.len(), *meant))
}

/// `[text](address)` as `text`.
fn unlinked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(middle) = rest.find("](") {
        let (before, after) = (&rest[..middle], &rest[middle + 2..]);
        let Some(close) = after.find(')') else { break };
        let Some(open) = before.rfind('[') else {
            out.push_str(&rest[..middle + 2]);
            rest = after;
            continue;
        };
        out.push_str(before[..open].strip_suffix('!').unwrap_or(&before[..open]));
        out.push_str(&before[open + 1..]);
        rest = &after[close + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_that_are_escaped_or_code_do_not_divide() {
        for (line, expected) in [
            ("| a | b |", vec!["a", "b"]),
            ("a | b", vec!["a", "b"]),
            (r"| a \| b | c |", vec!["a | b", "c"]),
            ("| `a | b` | c |", vec!["a | b", "c"]),
            ("| `a | b | c |", vec!["a", "b", "c"]),
            ("| a || c |", vec!["a", "", "c"]),
            ("| a |  |", vec!["a", ""]),
            ("|a", vec!["a"]),
            ("|", vec![""]),
        ] {
            assert_eq!(cells(line), expected, "{line}");
        }
    }

    #[test]
    fn a_row_has_no_more_cells_than_the_limit() {
        let cells = cells(&"|x".repeat(1000));
        assert_eq!(cells.len(), MAX_CELLS);
    }

    #[test]
    fn marks_are_no_part_of_a_text() {
        for (text, expected) in [
            ("**EC2** _instance_", "EC2 instance"),
            ("`t3.medium`<br/>x2", "t3.medium x2"),
            ("[Runbook](http://a.example/x) here", "Runbook here"),
            ("my_db_name &amp; more", "my_db_name & more"),
            ("2 * 3 < 7", "2 * 3 < 7"),
            ("<span style=\"color:red\">1</span> a <b and c> d", "1 a <b and c> d"),
            ("~~old~~ new", "old new"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
