//! A `.tf` file, parsed in parts.
//!
//! hcl-edit refuses what is nested deeper than 64 levels. But it looks each key of an object up among those before
//! it, so that one object of 100,000 keys takes it 80 seconds. Therefore it never gets more than [`MAX_PART`] keys
//! at once: a file is cut after lines that are a lone `}`. Where such a line is not the end of a block but part of
//! a text, what was cut off does not parse, and is tried again together with what follows.

use hcl_edit::Span as _;
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{Block, Body, Structure};

use super::model::Place;
use crate::{Code, Finding};

/// The most code that is read of one folder: 10,000 resources of 600 bytes. hcl-edit takes up to 80 bytes for each.
pub(super) const MAX_CODE: usize = 6 * 1024 * 1024;
/// The most keys of one file: 10,000 resources of 20 attributes.
const MAX_KEYS: usize = 200_000;
/// The most keys that are parsed at once: a tenth of a second, if they are all in one object.
const MAX_PART: usize = 4000;
/// A part ends where it can after so many: four tries fit into [`MAX_PART`].
const PART: usize = MAX_PART / 4;

/// What to do with too large a file.
const SPLIT: &str = "split the file, or hand over a state or a plan instead";

/// A file that was parsed.
pub(super) struct File {
    pub name: String,
    parts: Vec<Part>,
}

struct Part {
    body: Body,
    /// Its lines' ends, from its beginning.
    ends: Vec<usize>,
    /// How many lines stand before it.
    before: usize,
}

impl File {
    /// Parse a file.
    ///
    /// # Errors
    /// Why it can't be read.
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self, Finding> {
        if bytes.len() > MAX_CODE {
            let message = format!("{} bytes; at most {MAX_CODE} of code are read", bytes.len());
            return Err(Finding::new(Code::TooLarge, 0, message, SPLIT));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            let remedy = "save it as UTF-8, which is what Terraform reads";
            return Err(Finding::new(Code::Unreadable, 0, "it is not UTF-8", remedy));
        };
        let all = keys(text);
        if all > MAX_KEYS {
            let message = format!("{all} equals signs and colons; at most {MAX_KEYS} are read");
            return Err(Finding::new(Code::TooLarge, 0, message, SPLIT));
        }
        Ok(File { name: name.to_owned(), parts: parts(text)? })
    }

    /// What stands in it, outside of all blocks.
    pub(super) fn structures(&self) -> impl Iterator<Item = (&Structure, Place)> {
        self.parts.iter().flat_map(move |part| part.body.iter().map(move |s| (s, self.place(part, s.span()))))
    }

    /// Its blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.parts.iter().flat_map(|part| part.body.iter()).filter_map(Structure::as_block)
    }

    /// Its attributes outside of all blocks: the values of a file of variables.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &hcl_edit::structure::Attribute> {
        self.parts.iter().flat_map(|part| part.body.attributes())
    }

    fn place(&self, part: &Part, span: Option<std::ops::Range<usize>>) -> Place {
        let at = span.map_or(0, |span| span.start);
        let line = part.before + part.ends.partition_point(|end| *end < at) + 1;
        Place { file: self.name.clone(), line }
    }
}

/// How many keys a text can have at most.
fn keys(text: &str) -> usize {
    text.bytes().filter(|b| matches!(b, b'=' | b':')).count()
}

fn parts(text: &str) -> Result<Vec<Part>, Finding> {
    let (mut parts, mut begin, mut before) = (Vec::new(), 0, 0);
    let (mut at, mut found, mut tried, mut mistake) = (0, 0, 0, None);
    for line in text.split_inclusive('\n') {
        at += line.len();
        found += keys(line);
        let last = at == text.len();
        if found > MAX_PART {
            if let Some(mistake) = mistake {
                return Err(mistake);
            }
            let message =
                format!("more than {MAX_PART} equals signs and colons without a line that is a lone `}}`");
            return Err(Finding::new(Code::TooLarge, before + 1, message, SPLIT));
        }
        let ends_block = line.strip_prefix('}').is_some_and(|rest| rest.trim().is_empty());
        if !(last || ends_block && found >= tried + PART) {
            continue;
        }
        match part(&text[begin..at], before) {
            Ok(part) => {
                before += part.ends.len();
                parts.push(part);
                (begin, found, tried, mistake) = (at, 0, 0, None);
            }
            Err(error) if last => return Err(error),
            Err(error) => (tried, mistake) = (found, Some(error)),
        }
    }
    Ok(parts)
}

fn part(text: &str, before: usize) -> Result<Part, Finding> {
    let body = parse_body(text).map_err(|error| {
        // The error's own text shows the line, which may hold a secret: only what was expected is told.
        let (line, message) = (before + error.location().line(), error.message());
        if message.contains("nesting depth") || message.contains("chained binary operators") {
            return Finding::new(Code::TooLarge, line, format!("it is nested too deep: {message}"), SPLIT);
        }
        let message = format!("not Terraform's language: {message}");
        Finding::new(Code::TerraformSyntax, line, message, "mend it: `terraform validate` shows the place")
    })?;
    let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
    Ok(Part { body, ends, before })
}

#[cfg(test)]
mod tests {
    use super::{File, MAX_PART};
    use crate::Code;

    #[test]
    fn a_file_in_parts_is_the_file_even_where_a_text_looks_like_the_end_of_a_block() {
        let block = |i: usize| format!("a \"b{i}\" {{\n  x = <<EOT\n{{\n}}\nEOT\n  y = 1\n  z = 2\n}}\n");
        let number = MAX_PART;
        let text: String = (0..number).map(block).collect();
        let file = File::parse("x.tf", text.as_bytes()).expect("its parts are small");
        assert!(file.parts.len() > 2);
        let lines: Vec<usize> = file.structures().map(|(_, place)| place.line).collect();
        assert_eq!(lines, (0..number).map(|i| 1 + 8 * i).collect::<Vec<_>>());
    }

    #[test]
    fn a_mistake_is_told_where_it_is_whichever_part_it_is_in() {
        let good = "a {\n  x = 1\n}\n".repeat(2 * MAX_PART);
        for (text, line) in [
            (format!("{good}oops"), 6 * MAX_PART + 1),
            (format!("{good}a {{\n  x = 1\n"), 6 * MAX_PART + 2),
            (format!("{good}a {{\n  x = ,\n}}\n{good}"), 6 * MAX_PART + 2),
        ] {
            let Err(error) = File::parse("x.tf", text.as_bytes()) else { panic!() };
            assert_eq!((error.code, error.line), (Code::TerraformSyntax, line), "{error:?}");
        }
    }
}
