//! Bytes as lines: UTF-8, any line ending, without byte order mark, comments, front matter and quote marks; code is marked.
//!
//! Invariant: each line keeps the number it has in the input, and what is left out is a finding with its line. A fence or
//! a comment that is never closed hides nothing. What lines are for is not known here.

use super::{MAX_LINE, MAX_LINES};
use crate::MAX_BYTES;
use crate::finding::{Code, Finding};

/// One line that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub number: usize,
    /// How many columns it is indented, within its quote.
    pub indent: usize,
    /// The rest, trimmed.
    pub text: String,
    /// Where it stands.
    pub place: Stands,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// In the text.
    Text,
    /// It opens a code fence; its text is empty.
    Fence,
    /// Within a code fence.
    Code,
}

/// The lines of a document, and what was left out.
///
/// # Errors
/// The one finding that says why the whole cannot be read.
pub(super) fn lines(bytes: &[u8]) -> Result<(Vec<Line>, Vec<Finding>), Finding> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the document has {} bytes, and {MAX_BYTES} are read", bytes.len());
        return Err(Finding::new(Code::TooLarge, 0, message, "split the document"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = split(&String::from_utf8_lossy(&bytes[..error.valid_up_to()])).len();
        Finding::new(Code::Unreadable, line, "this line is not UTF-8", "save the document as UTF-8")
    })?;
    let raw = split(text.strip_prefix('\u{feff}').unwrap_or(text));
    let used = raw.iter().filter(|line| !line.trim().is_empty()).count();
    if used > MAX_LINES {
        let message = format!("the document has {used} lines that are not blank, and {MAX_LINES} are read");
        return Err(Finding::new(Code::TooLarge, 0, message, "split the document"));
    }
    let mut source = Source { last: Last::of(&raw), raw, lines: Vec::new(), findings: Vec::new() };
    source.read();
    Ok((source.lines, source.findings))
}

/// A text's lines: CRLF, LF and CR each end one (CommonMark 0.31.2, 2.1).
fn split(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

struct Source<'t> {
    raw: Vec<&'t str>,
    last: Last,
    lines: Vec<Line>,
    findings: Vec<Finding>,
}

impl<'t> Source<'t> {
    fn read(&mut self) {
        let mut at = self.skip_front_matter();
        let mut in_comment = false;
        while at < self.raw.len() {
            let line = self.cut(at);
            let visible = self.uncomment(at, line, &mut in_comment);
            let (indent, text) = unquote(&visible);
            match Fence::opens(text) {
                Some(fence) if self.last.closes(at, fence) => {
                    at = self.fenced(at, fence);
                    continue;
                }
                Some(_) => {
                    let remedy = "close it; what follows was read as if the fence were not there";
                    self.say(Code::Unclosed, at, "a code fence is opened and never closed", remedy);
                }
                None => self.lines.push(Line {
                    number: at + 1,
                    indent,
                    text: text.to_owned(),
                    place: Stands::Text,
                }),
            }
            at += 1;
        }
    }

    fn say(&mut self, code: Code, at: usize, message: impl Into<String>, remedy: &str) {
        self.findings.push(Finding::new(code, at + 1, message, remedy));
    }

    /// The line, cut at the limit.
    fn cut(&mut self, at: usize) -> &'t str {
        let line = self.raw[at];
        if line.len() <= MAX_LINE {
            return line;
        }
        let mut end = MAX_LINE;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let message = format!("the line has {} bytes, and its first {MAX_LINE} were read", line.len());
        self.say(Code::LineCut, at, message, "split the line");
        &line[..end]
    }

    /// Leave out `---`, lines, `---` at the very beginning.
    fn skip_front_matter(&mut self) -> usize {
        let bar = |line: &&str| line.trim_end() == "---";
        if !self.raw.first().is_some_and(bar) {
            return 0;
        }
        let Some(end) = self.raw.iter().skip(1).position(bar).map(|at| at + 1) else { return 0 };
        let plain = |line: &&str| {
            line.trim().is_empty()
                || line.starts_with([' ', '#', '-'])
                || (line.contains(':') && !line.contains('|'))
        };
        if end == 1 || !self.raw[1..end].iter().all(plain) {
            return 0;
        }
        self.say(Code::NotRead, 0, format!("front matter of {} lines is not read", end - 1), "nothing");
        end + 1
    }

    /// What of the line stands outside comments.
    fn uncomment(&mut self, at: usize, line: &str, in_comment: &mut bool) -> String {
        let mut visible = String::with_capacity(line.len());
        let (mut rest, mut hidden, mut ticks) = (line, String::new(), 0);
        let closes_here = line.rfind("-->").map_or(0, |end| end + 1);
        let (mut opened, mut unclosed) = (false, false);
        loop {
            if *in_comment {
                let Some(end) = rest.find("-->") else {
                    hidden.push_str(rest);
                    break;
                };
                hidden.push_str(&rest[..end]);
                rest = &rest[end + 3..];
                *in_comment = false;
            }
            let Some(start) = rest.find("<!--") else {
                visible.push_str(rest);
                break;
            };
            visible.push_str(&rest[..start]);
            ticks += rest[..start].matches('`').count();
            rest = &rest[start + 4..];
            let closed = closes_here > line.len() - rest.len() || self.last.comment > Some(at);
            if ticks % 2 == 1 {
                visible.push_str("<!--");
            } else if closed {
                (*in_comment, opened) = (true, true);
                visible.push(' ');
            } else {
                unclosed = true;
            }
        }
        if opened {
            self.say(Code::NotRead, at, "a comment is not read", "take it out of the comment if it matters");
        }
        if unclosed {
            let remedy = "close it; what follows was read as if the comment were not there";
            self.say(Code::Unclosed, at, "a comment is opened and never closed", remedy);
        }
        if hidden.contains('|') {
            let message = format!("a row in a comment is not read: {}", shortened(&hidden));
            self.say(Code::NotRead, at, message, "take it out of the comment, or delete it");
        }
        visible
    }

    /// The lines of a fence that is closed, marked as such; returns the line after it.
    fn fenced(&mut self, opening: usize, fence: Fence) -> usize {
        let line =
            |at: usize, text: &str, place| Line { number: at + 1, indent: 0, text: text.to_owned(), place };
        self.lines.push(line(opening, "", Stands::Fence));
        let mut at = opening + 1;
        while at < self.raw.len() && !fence.closed_by(unquote(self.raw[at]).1) {
            let text = unquote(self.cut(at)).1;
            self.lines.push(line(at, text, Stands::Code));
            at += 1;
        }
        at + 1
    }
}

/// The first of a text, for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Take off quote marks and indentation.
fn unquote(line: &str) -> (usize, &str) {
    let mut line = line.trim_end();
    while let Some(quoted) = line.trim_start().strip_prefix('>') {
        line = quoted.strip_prefix(' ').unwrap_or(quoted);
    }
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}';
    let text = line.trim_start_matches(blank);
    let before = &line[..line.len() - text.len()];
    (before.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum(), text)
}

/// The mark that opened a code fence.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// CommonMark 0.31.2, 4.5: three or more of one mark; after backticks no other on the line.
    fn opens(text: &str) -> Option<Self> {
        let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let rest = text.trim_start_matches(mark);
        let length = text.len() - rest.len();
        (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some(Self { mark, length })
    }

    fn closed_by(self, text: &str) -> bool {
        text.len() >= self.length && text.chars().all(|c| c == self.mark)
    }
}

/// The last line that closes something, so that what is never closed is known without reading on each time.
struct Last {
    comment: Option<usize>,
    /// For each line the longest run of backticks, or of tildes, that stands alone on it or on a line below.
    fences: Vec<[usize; 2]>,
}

impl Last {
    fn of(raw: &[&str]) -> Self {
        let mut fences = vec![[0, 0]; raw.len() + 1];
        for (at, line) in raw.iter().enumerate().rev() {
            let text = unquote(line).1;
            let alone = |mark: char| if text.chars().all(|c| c == mark) { text.len() } else { 0 };
            fences[at] = [fences[at + 1][0].max(alone('`')), fences[at + 1][1].max(alone('~'))];
        }
        Self { comment: raw.iter().rposition(|line| line.contains("-->")), fences }
    }

    fn closes(&self, opening: usize, fence: Fence) -> bool {
        self.fences[opening + 1][usize::from(fence.mark == '~')] >= fence.length
    }
}
