//! The document beside the code: what one says and the other does not.
//!
//! Compared kind by kind, since a row seldom names a resource. Numbers, sizes and zones are compared only where
//! both sides are known. What monitors, what keeps code and what names things is compared by being there at all:
//! "1 platform" is made of any number of charts. Left out: what a row says of its protection.

use std::collections::BTreeSet;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, Row};
use serde::Serialize;

use super::wanted::pre_step;
use super::{as_region, counted, of_kind, region_text, written_regions};
use crate::Code;
use crate::terraform::{Declared, Known, Place};

/// How many addresses an entry names; the others are counted.
const MAX_NAMED: usize = 5;

/// One thing that the document and the code do not say alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Stable; each has a page in `docs/errors/`.
    pub code: Code,
    /// Which asset; none if it is about a zone.
    pub kind: Option<AssetKind>,
    /// What differs.
    pub difference: Difference,
    /// The document's line, if it says anything.
    pub document_line: Option<usize>,
    /// The code's place, if it says anything.
    pub code_place: Option<Place>,
    /// For people, one line.
    pub message: String,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The code makes no such asset.
    OnlyInDocument,
    /// No row is about such an asset.
    OnlyInCode {
        /// Some of them.
        addresses: Vec<String>,
    },
    /// The numbers differ.
    Number {
        /// What part of the document says it.
        asked_by: AskedBy,
        /// What it says.
        document: Quantity,
        /// What the code makes, region by region.
        code: Vec<(String, u32)>,
    },
    /// The sizes differ.
    Size {
        /// Those of the document.
        document: Vec<String>,
        /// Those of the code.
        code: Vec<String>,
    },
    /// One names a region that the other does not.
    Zone {
        /// The region.
        region: String,
        /// Whether it is the document that names it.
        in_document: bool,
    },
    /// Whether they differ is unknown.
    NotComparable {
        /// Why.
        why: String,
    },
}

/// What part of a document says a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// The table, which says what there is.
    Table,
    /// A pre-step, which says what there is to be.
    PreStep,
}

/// Place a document beside the code. Asset by asset, then zone by zone.
#[must_use]
pub fn compare(document: &Document, declared: &Declared) -> Vec<Entry> {
    let mut entries = Vec::new();
    for row in document.assets.iter().filter(|row| row.kind.is_none()) {
        let why = format!("what {:?} is can't be told from its words", row.name);
        entries.push(Entry::not_comparable(None, Some(row.line), None, why));
    }
    for kind in AssetKind::ALL {
        let rows: Vec<&Row> = document.assets.iter().filter(|row| row.kind == Some(*kind)).collect();
        Side { document, declared, kind: *kind, rows }.compare(&mut entries);
    }
    zones(document, declared, &mut entries);
    entries
}

/// The entries as text, one a line.
#[must_use]
pub fn render(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let mut places = Vec::new();
        places.extend(entry.document_line.map(|line| format!("document line {line}")));
        places.extend(entry.code_place.as_ref().map(|place| format!("code {place}")));
        let places = if places.is_empty() { String::new() } else { format!(" ({})", places.join("; ")) };
        let line = format!("{} {}{places}", entry.code.as_str(), entry.message);
        // The input's own words may hold anything.
        text.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    }
    text
}

impl Entry {
    fn not_comparable(
        kind: Option<AssetKind>,
        line: Option<usize>,
        place: Option<Place>,
        why: String,
    ) -> Self {
        let what = kind.map_or(String::new(), |kind| format!("{}: ", name(kind)));
        Entry {
            code: Code::SiteNotComparable,
            kind,
            message: format!("{what}can't be compared: {why}"),
            difference: Difference::NotComparable { why },
            document_line: line,
            code_place: place,
        }
    }
}

fn name(kind: AssetKind) -> String {
    kind.as_str().replace('_', " ")
}

/// One kind of asset, on both sides.
struct Side<'a> {
    document: &'a Document,
    declared: &'a Declared,
    kind: AssetKind,
    rows: Vec<&'a Row>,
}

impl Side<'_> {
    fn compare(&self, entries: &mut Vec<Entry>) {
        let place = of_kind(self.declared, self.kind).next().map(|resource| resource.place.clone());
        match (self.rows.first(), place) {
            (None, None) => {}
            (Some(row), None) => entries.push(self.only_in_document(row.line)),
            (None, Some(place)) => entries.push(self.only_in_code(place)),
            (Some(row), Some(place)) => {
                entries.extend(self.numbers(row.line, &place));
                entries.extend(self.sizes(row.line, &place));
            }
        }
    }

    fn entry(&self, code: Code, difference: Difference, message: String) -> Entry {
        let message = format!("{}: {message}", name(self.kind));
        Entry { code, kind: Some(self.kind), difference, document_line: None, code_place: None, message }
    }

    fn only_in_document(&self, line: usize) -> Entry {
        if let Some(module) = self.declared.modules.first() {
            let why = format!("the code shows none, but what {} makes is unknown", module.address);
            return Entry::not_comparable(Some(self.kind), Some(line), Some(module.place.clone()), why);
        }
        let message = "in the document, but not in the code".to_owned();
        let entry = self.entry(Code::SiteOnlyInDocument, Difference::OnlyInDocument, message);
        Entry { document_line: Some(line), ..entry }
    }

    fn only_in_code(&self, place: Place) -> Entry {
        let all: Vec<&str> = of_kind(self.declared, self.kind).map(|r| r.address.as_str()).collect();
        let addresses: Vec<String> = all.iter().take(MAX_NAMED).map(|a| (*a).to_owned()).collect();
        let more = match all.len() - addresses.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("in the code, but not in the document: {}{more}", addresses.join(", "));
        let entry = self.entry(Code::SiteOnlyInCode, Difference::OnlyInCode { addresses }, message);
        Entry { code_place: Some(place), ..entry }
    }

    fn numbers(&self, line: usize, place: &Place) -> Vec<Entry> {
        match self.kind {
            AssetKind::Monitoring | AssetKind::Repository | AssetKind::Dns => return Vec::new(),
            AssetKind::Compute
            | AssetKind::Kubernetes
            | AssetKind::LoadBalancer
            | AssetKind::Database
            | AssetKind::ObjectStorage
            | AssetKind::KeyPair => {}
        }
        let mut said: Vec<(AskedBy, Quantity, usize)> = Vec::new();
        match self.table_number() {
            Ok(Some(quantity)) => said.push((AskedBy::Table, quantity, line)),
            Ok(None) => {}
            Err(why) => {
                return vec![Entry::not_comparable(Some(self.kind), Some(line), Some(place.clone()), why)];
            }
        }
        if let Some((quantity, line)) = pre_step(self.document, self.kind) {
            said.push((AskedBy::PreStep, quantity, line));
        }
        said.into_iter().filter_map(|said| self.number(said, place)).collect()
    }

    /// The rows of a kind together: a primary and its standby stand on two rows.
    fn table_number(&self) -> Result<Option<Quantity>, String> {
        let said: Vec<Quantity> = self.rows.iter().filter_map(|row| row.quantity).collect();
        match said[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => {
                let mut sum = 0u32;
                for quantity in said {
                    match quantity {
                        Quantity::Total(number) => sum = sum.saturating_add(number),
                        Quantity::PerRegion(_) => {
                            return Err("several rows count it, one of them per region".to_owned());
                        }
                    }
                }
                Ok(Some(Quantity::Total(sum)))
            }
        }
    }

    fn number(&self, (asked_by, quantity, line): (AskedBy, Quantity, usize), place: &Place) -> Option<Entry> {
        let counted = counted(self.declared, self.kind);
        let unknown = counted.unknown.or_else(|| {
            let module = self.declared.modules.first()?;
            Some(format!("what {} makes is unknown", module.address))
        });
        let sum = counted.regions.values().fold(0u32, |sum, number| sum.saturating_add(*number));
        let each = |wanted: u32| counted.regions.values().all(|number| *number == wanted) && sum > 0;
        let (same, less) = match (asked_by, quantity) {
            (AskedBy::Table, Quantity::Total(wanted)) => (sum == wanted, sum < wanted),
            // A pre-step seldom says whether it means each region or all.
            (AskedBy::PreStep, Quantity::Total(wanted)) => (sum == wanted || each(wanted), sum < wanted),
            (_, Quantity::PerRegion(wanted)) => (each(wanted), counted.regions.values().any(|n| *n < wanted)),
        };
        let code: Vec<(String, u32)> = counted.regions.into_iter().collect();
        let makes: Vec<String> = code.iter().map(|(r, n)| format!("{n} in {}", region_text(r))).collect();
        let makes = if makes.is_empty() { "none".to_owned() } else { makes.join(", ") };
        match unknown {
            Some(why) if same || less || code.is_empty() => {
                let why = format!("{why} (known: {makes})");
                Some(Entry::not_comparable(Some(self.kind), Some(line), Some(place.clone()), why))
            }
            _ if same => None,
            _ => {
                let who = match asked_by {
                    AskedBy::Table => "the table says",
                    AskedBy::PreStep => "a pre-step asks for",
                };
                let said = match quantity {
                    Quantity::Total(number) => format!("{number}"),
                    Quantity::PerRegion(number) => format!("{number} per region"),
                };
                let message = format!("{who} {said}; the code makes {makes}");
                let difference = Difference::Number { asked_by, document: quantity, code };
                let entry = self.entry(Code::SiteNumberDiffers, difference, message);
                Some(Entry { document_line: Some(line), code_place: Some(place.clone()), ..entry })
            }
        }
    }

    fn sizes(&self, line: usize, place: &Place) -> Option<Entry> {
        let document: BTreeSet<String> =
            self.rows.iter().filter_map(|row| row.size.as_deref()).flat_map(size_words).collect();
        if document.is_empty() {
            return None;
        }
        let mut code = BTreeSet::new();
        let relevant =
            |type_name: &str| self.kind == AssetKind::Compute && type_name == "aws_launch_template";
        for resource in &self.declared.resources {
            if resource.kind != Some(self.kind) && !relevant(&resource.type_name) {
                continue;
            }
            match resource.facts.sizes() {
                Known::Is(sizes) => code.extend(sizes),
                Known::Unknown { why } => {
                    let why = format!("{}: {why}", resource.address);
                    let place = Some(resource.place.clone());
                    return Some(Entry::not_comparable(Some(self.kind), Some(line), place, why));
                }
            }
        }
        if code == document || code.is_empty() {
            return None;
        }
        let (document, code): (Vec<_>, Vec<_>) = (document.into_iter().collect(), code.into_iter().collect());
        let message =
            format!("the table says size {}; the code says {}", document.join(", "), code.join(", "));
        let entry = self.entry(Code::SiteSizeDiffers, Difference::Size { document, code }, message);
        Some(Entry { document_line: Some(line), code_place: Some(place.clone()), ..entry })
    }
}

/// The words of a cell that are sizes: `t3.medium`, `db.t2.small`, `m5d.2xlarge`.
fn size_words(cell: &str) -> Vec<String> {
    let words = cell.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
    let is_size = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        (2..=3).contains(&parts.len())
            && parts.iter().all(|part| !part.is_empty())
            && parts.last().is_some_and(|last| {
                ["nano", "micro", "small", "medium", "large", "metal"].iter().any(|size| last.contains(size))
            })
    };
    words.map(|word| word.trim_matches('.')).filter(is_size).map(str::to_ascii_lowercase).collect()
}

/// Regions that only one of them names.
fn zones(document: &Document, declared: &Declared, entries: &mut Vec<Entry>) {
    let mut written: Vec<(String, usize)> =
        written_regions(document).into_iter().map(|(region, line)| (region.to_string(), line)).collect();
    for row in &document.assets {
        for region in row.zones.iter().filter_map(|zone| as_region(zone)) {
            if !written.iter().any(|(known, _)| known == region.as_str()) {
                written.push((region.to_string(), row.line));
            }
        }
    }
    let coded = declared.regions();
    let entry = |region: &str, in_document: bool, message: String| Entry {
        code: Code::SiteZoneDiffers,
        kind: None,
        difference: Difference::Zone { region: region.to_owned(), in_document },
        document_line: None,
        code_place: None,
        message,
    };
    let placed = |r: &&crate::terraform::Resource| r.kind.is_some() && r.region.get().is_none();
    let doubt = declared.resources.iter().find(placed);
    for (region, line) in &written {
        if coded.contains(&region.as_str()) {
            continue;
        }
        if let Some(resource) = doubt {
            let why = format!("{region} is in the document; where {} is, is unknown", resource.address);
            let place = Some(resource.place.clone());
            entries.push(Entry::not_comparable(None, Some(*line), place, why));
            continue;
        }
        if let Some(module) = declared.modules.first() {
            let why =
                format!("{region} is in the document; where what {} makes is, is unknown", module.address);
            let place = Some(module.place.clone());
            entries.push(Entry::not_comparable(None, Some(*line), place, why));
            continue;
        }
        let message = format!("{region} is in the document, but nothing in the code is there");
        entries.push(Entry { document_line: Some(*line), ..entry(region, true, message) });
    }
    for region in coded.into_iter().filter(|region| !written.iter().any(|(known, _)| known == region)) {
        let there = declared.resources.iter().find(|r| r.region.get().is_some_and(|r| r == region));
        let message = format!("{region} is in the code, but not among the document's zones");
        let code_place = there.map(|resource| resource.place.clone());
        entries.push(Entry { code_place, ..entry(region, false, message) });
    }
}
