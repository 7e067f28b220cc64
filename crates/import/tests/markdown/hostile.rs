//! Input that is large, broken, or made to be slow: it is answered, and nothing panics.

use std::collections::BTreeSet;

use bascule_core::asset::AssetKind;
use bascule_import::markdown::{Imported, MAX_CELLS, MAX_LINE, MAX_LINES, read};
use bascule_import::{Code, MAX_BYTES};

use super::{fixture, fixtures, imported, steps};

const HEADER: &str = "## Table\n| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n";

#[test]
fn ten_thousand_rows_are_read() {
    let mut text = HEADER.to_owned();
    for n in 0..10_000 {
        text.push_str(&format!(
            "| EC2 instance {n} | Worker of pool {n} | t3.small | {} | deployed |\n",
            n % 7 + 1
        ));
    }
    let imported = imported(text);
    assert_eq!(imported.document.assets.len(), 10_000);
    assert!(
        imported
            .document
            .assets
            .iter()
            .all(|row| row.kind == Some(AssetKind::Compute) && row.quantity.is_some())
    );
    assert_eq!(imported.document.assets.last().map(|row| row.line), Some(10_003));
    assert!(imported.findings.iter().all(|finding| finding.line == 0), "{:?}", imported.findings.first());
}

#[test]
fn too_much_is_refused_whole() {
    let wrong = read(&vec![b'x'; MAX_BYTES + 1]).expect_err("too many bytes");
    assert_eq!(wrong.code, Code::TooLarge);
    let wrong = read("- x\n".repeat(MAX_LINES + 1).as_bytes()).expect_err("too many lines");
    assert_eq!(wrong.code, Code::TooLarge);
    assert!(read("- x\n\n".repeat(MAX_LINES).as_bytes()).is_ok(), "blank lines are free");
}

#[test]
fn a_text_that_is_not_utf_8_is_refused_with_its_line() {
    let wrong = read(b"## Zones\r\nus-east-1\r\n\xff\xfe\n").expect_err("not UTF-8");
    assert_eq!((wrong.code, wrong.line), (Code::Unreadable, 3));
}

#[test]
fn a_line_past_the_limit_is_read_in_part_and_said() {
    let text = format!("{HEADER}| EC2 instance | Web | t3.small | 2 | {} |\n", "é".repeat(MAX_LINE));
    let imported = imported(text);
    assert_eq!(imported.document.assets.len(), 1);
    assert!(imported.findings.iter().any(|finding| finding.code == Code::LineCut && finding.line == 4));
}

#[test]
fn a_row_past_the_limit_of_cells_is_read_and_said() {
    let text =
        format!("{HEADER}| EC2 instance | Web | t3.small | 2 | deployed |{}\n", "x|".repeat(MAX_CELLS));
    let imported = imported(text);
    assert_eq!(imported.document.assets.len(), 1);
    assert!(imported.findings.iter().any(|finding| finding.code == Code::CellsExtra && finding.line == 4));
}

#[test]
fn lines_made_to_be_slow_are_read() {
    for part in [
        "[](",
        "<!--",
        "`",
        "| ",
        "promote ",
        "from 1 db to ",
        "auto failover ",
        "](",
        "&",
        "<b",
        "\\",
        "> ",
        "#",
        "* ",
    ] {
        let line = part.repeat(15_000 / part.len());
        let text = format!("## Steps\n{line}\n{line}\n");
        drop(imported(text));
    }
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).expect("less than a usize")
    }
}

/// One change to a text: bytes or lines taken out, doubled, swapped, or pieces put in that mean something.
fn mutate(bytes: &mut Vec<u8>, random: &mut Xorshift) {
    const PIECES: &[&str] = &[
        "|",
        "||",
        "\n",
        "\r",
        "\r\n",
        "`",
        "```\n",
        "<!--",
        "-->",
        "#",
        "## Steps\n",
        "\n---\n",
        "\u{feff}",
        "é",
        "\\",
        "- ",
        "- [x] ",
        "> ",
        "99999999999999999999",
        "us-east-2",
        " per region ",
        "0",
        "|---|---|\n",
        "S3 ",
        "\u{0}",
        "\t",
        "([",
        "))",
        "promote ",
        "from 2 nodes to 3 ",
        "** ",
        "&amp;",
        "<br>",
        "…",
        "\u{130}",
        "ß",
        "\u{1f600}",
    ];
    let at = random.next(bytes.len() + 1);
    let until = (at + random.next(40)).min(bytes.len());
    match random.next(6) {
        0 => drop(bytes.drain(at..until)),
        1 => {
            let piece = PIECES[random.next(PIECES.len())].bytes();
            drop(bytes.splice(at..at, piece));
        }
        2 => {
            let copy = bytes[at..until].to_vec();
            let to = random.next(bytes.len() + 1);
            drop(bytes.splice(to..to, copy));
        }
        3 => bytes.truncate(at),
        4 => {
            let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (a, b) = (random.next(lines.len()), random.next(lines.len()));
            lines.swap(a, b);
            *bytes = lines.join(&b'\n');
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(random.next(256)).expect("less than 256");
            }
        }
    }
}

/// Of each run of lines that begin with a pipe, at most its header is neither read nor found fault with.
fn nothing_dropped(bytes: &[u8], imported: &Imported, name: &str) {
    let document = &imported.document;
    let mut accounted: BTreeSet<usize> = imported.findings.iter().map(|finding| finding.line).collect();
    accounted.extend(document.assets.iter().map(|row| row.line));
    accounted.extend(document.zones.iter().map(|zone| zone.line));
    accounted.extend(document.descriptions.iter().map(|prose| prose.line));
    accounted.extend(steps(document).iter().map(|step| step.line));
    let text = String::from_utf8(bytes.to_vec()).expect("it was read");
    let mut silent = 0;
    for (at, line) in text.replace("\r\n", "\n").replace('\r', "\n").split('\n').enumerate() {
        // A heading in a row begins another table, with a header of its own.
        let heading = line.trim_start_matches(['|', ' ']).starts_with('#');
        let row = line.starts_with('|') && !heading;
        let held = line.contains(char::is_alphanumeric) && !accounted.contains(&(at + 1));
        silent = if row { silent + usize::from(held) } else { 0 };
        assert!(silent <= 1, "{name}: line {} is dropped:\n{text}", at + 1);
    }
}

#[test]
fn no_change_to_a_document_makes_the_reader_panic_or_name_a_line_that_is_not_there() {
    let mut random = Xorshift(0x5eed_ba5c_u64);
    for name in fixtures() {
        let original = fixture(&name);
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..=random.next(4) {
                mutate(&mut bytes, &mut random);
            }
            let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            match read(&bytes) {
                Ok(imported) => {
                    nothing_dropped(&bytes, &imported, &name);
                    assert!(imported.findings.iter().all(|finding| finding.line <= lines), "{name}");
                    assert!(
                        imported.document.assets.iter().all(|row| (1..=lines).contains(&row.line)),
                        "{name}"
                    );
                }
                Err(wrong) => assert!(wrong.line <= lines, "{name}"),
            }
        }
    }
}
