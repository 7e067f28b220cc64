//! Numbers in descriptions and steps beside those of the table.

use std::collections::{HashMap, HashSet};

use bascule_core::asset::{AssetKind, Protection, Quantity};
use bascule_core::document::{Document, DrCell, Intent, Row, WrittenPlan, WrittenStep};

use super::contradict::noun;
use super::counts::{about, counts};
use super::kind;
use super::text::sentences;
use crate::finding::{Code, Finding};

/// The most numbers of one line that are found fault with: there are nine kinds, each with a number before and after.
const MAX_OF_LINE: usize = 18;

/// A number that a text says.
struct SaidNumber {
    kind: AssetKind,
    quantity: Quantity,
    line: usize,
    from: bool,
    /// Whether a step asks for it: what is to be, and not what is.
    asked: bool,
    /// Whether there may be more.
    or_more: bool,
}

/// Numbers in descriptions and steps beside the table's.
pub(super) fn numbers(document: &Document, findings: &mut Vec<Finding>) {
    let mut table: HashMap<AssetKind, Vec<&Row>> = HashMap::new();
    for row in &document.assets {
        if let (Some(kind), true) = (row.kind, row.quantity.is_some()) {
            table.entry(kind).or_default().push(row);
        }
    }
    // A row whose kind can't be told may be the one that is meant.
    let untold: HashSet<u64> = document
        .assets
        .iter()
        .filter(|row| row.kind.is_none() && kind::other(&row.name).is_none())
        .filter_map(|row| row.quantity.map(amount))
        .collect();
    // A site has two regions; a third place is for something else, or a mistake.
    let zones = document.zones.len().min(2);
    let known: HashMap<AssetKind, Known<'_>> =
        table.iter().map(|(kind, rows)| (*kind, Known::of(rows, zones))).collect();
    let numbers = said_numbers(document);
    // "3 for the web and 2 for the tools in each region": the parts of what the table says in one number.
    let mut sums: HashMap<(AssetKind, usize), u64> = HashMap::new();
    for number in numbers.iter().filter(|number| !number.from) {
        let sum = sums.entry((number.kind, number.line)).or_default();
        *sum = sum.saturating_add(amount(number.quantity));
    }
    let mut said: HashSet<(AssetKind, u64, usize)> = HashSet::new();
    let mut on_line: HashMap<usize, usize> = HashMap::new();
    for number in numbers {
        let Some(known) = known.get(&number.kind) else { continue };
        let parts = sums.get(&(number.kind, number.line)).copied().unwrap_or_default();
        let n = amount(number.quantity);
        let agrees = known.agrees(n)
            || (number.or_more && known.numbers.iter().any(|known| *known >= n))
            || (!number.asked && (known.agrees(parts) || untold.contains(&n)));
        if agrees || !said.insert((number.kind, n, number.line)) {
            continue;
        }
        let count = on_line.entry(number.line).or_default();
        *count += 1;
        if *count <= MAX_OF_LINE {
            findings.push(disagrees(&number, known));
        }
    }
}

fn disagrees(number: &SaidNumber, known: &Known<'_>) -> Finding {
    let (table, line) = (known.shown(), known.rows[0].line);
    let what = noun(number.kind);
    let text = shown(number.quantity);
    let (message, remedy) = if number.from {
        (
            format!("this starts from {text} {what}; the table says {table} (line {line})"),
            "count them, and write the same number in both places",
        )
    } else if number.asked {
        (
            format!("a step asks for {text} {what}; the table says {table} (line {line})"),
            "if the step is done, write its number in the table; if not, it is still to be done",
        )
    } else {
        (
            format!("the text says {text} {what}; the table says {table} (line {line})"),
            "count them, and write the same number in both places",
        )
    };
    Finding::new(Code::NumbersDisagree, number.line, message, remedy)
}

/// The numbers that the table says of one kind.
struct Known<'r> {
    numbers: HashSet<u64>,
    rows: &'r [&'r Row],
}

impl<'r> Known<'r> {
    /// A number of the table may be of both regions or of each, and so may one of the text: only what agrees neither with
    /// a row's number, nor with that of all regions, nor with all rows together, contradicts it.
    fn of(rows: &'r [&'r Row], zones: usize) -> Self {
        let zones = zones as u64;
        let mut numbers = HashSet::new();
        let mut sum = 0_u64;
        for row in rows {
            let Some(quantity) = row.quantity else { continue };
            let n = amount(quantity);
            sum = sum.saturating_add(n);
            numbers.insert(n);
            let one_region = matches!(
                row.dr,
                DrCell::Said { protection: Some(Protection::OneRegionOnly), .. } | DrCell::Empty
            );
            let spread = zones > 1 && (!one_region || matches!(quantity, Quantity::PerRegion(_)));
            if spread {
                numbers.insert(n.saturating_mul(zones));
                numbers.extend(Some(n / zones).filter(|_| n.is_multiple_of(zones)));
            }
        }
        numbers.insert(sum);
        numbers
            .extend(Some(sum / zones.max(1)).filter(|_| rows.len() > 1 && sum.is_multiple_of(zones.max(1))));
        Self { numbers, rows }
    }

    fn agrees(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    fn shown(&self) -> String {
        // The first rows are enough for a message.
        const SHOWN: usize = 3;
        let quantities = self.rows.iter().filter_map(|row| row.quantity);
        let texts: Vec<String> = quantities.take(SHOWN).map(shown).collect();
        let more = if self.rows.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", texts.join(", "))
    }
}

fn amount(quantity: Quantity) -> u64 {
    match quantity {
        Quantity::Total(n) | Quantity::PerRegion(n) => u64::from(n),
    }
}

pub(super) fn shown(quantity: Quantity) -> String {
    match quantity {
        Quantity::Total(n) => n.to_string(),
        Quantity::PerRegion(n) => format!("{n} per region"),
    }
}

fn said_numbers(document: &Document) -> Vec<SaidNumber> {
    let mut said = Vec::new();
    let mut from_text = |text: &str, line: usize, only_from: bool| {
        let (text, about) = (unnumbered(text), about(text));
        for sentence in sentences(text) {
            for count in counts(sentence, about).into_iter().filter(|count| !only_from || count.from) {
                said.push(SaidNumber {
                    kind: count.kind,
                    quantity: count.quantity,
                    line,
                    from: count.from,
                    asked: false,
                    or_more: count.or_more,
                });
            }
        }
    };
    document.descriptions.iter().for_each(|prose| from_text(&prose.text, prose.line, false));
    steps(document).for_each(|step| from_text(&step.text, step.line, true));
    for step in steps(document) {
        for intent in &step.intents {
            if let Intent::Scale { kind, to } = intent {
                said.push(SaidNumber {
                    kind: *kind,
                    quantity: *to,
                    line: step.line,
                    from: false,
                    asked: true,
                    or_more: false,
                });
            }
        }
    }
    said
}

/// "3 Buckets:" heads the third part of the text, and counts nothing.
fn unnumbered(text: &str) -> &str {
    match text.split_once(':') {
        Some((head, "")) => head.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '),
        _ => text,
    }
}

pub(super) fn steps(document: &Document) -> impl Iterator<Item = &WrittenStep> {
    document.plans.iter().flat_map(|plan: &WrittenPlan| plan.pre_steps.iter().chain(&plan.steps))
}
