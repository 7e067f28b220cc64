//! What only people know of a site, as an older document has it: which assets there are beside those that are seen, what
//! each is for, what is wanted of it, and what they noted.
//!
//! Invariant: what a document that was written here holds of this is read back from it as it was, so that writing it
//! again changes nothing. There only what is marked counts ([`WANTED`], [`words::COUNTED`], [`NOTED`]): all else in it was seen, not asked
//! for. Nothing is left out in silence: what is not taken over is told. Linear in the rows and assets.

use std::collections::{BTreeMap, HashMap};

use super::document::{COLUMNS, NOT_SAID};
use super::escape::unmarkdown;
use super::matches::{LAST_REHEARSAL, OBSERVED};
use super::words;
use crate::asset::{AssetKind, Quantity};
use crate::document::{Document, DrCell, Prose, Row};
use crate::facts::{Source, Wanted};
use crate::id::RegionName;
use crate::inventory::Item;

/// What a paragraph that people wrote begins with, in a document that is written here.
pub(super) const NOTED: &str = "Noted, not observed: ";
/// What comes between what was seen and what somebody wants, in a cell; a bracket ends it.
pub(super) const WANTED: &str = " (wanted: ";

/// What an older document says that nobody can look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its rows; once they are taken over, those whose kind can't be told, so that nobody can look for them.
    pub rows: Vec<Row>,
    /// Its descriptions.
    pub notes: Vec<Prose>,
    /// Whether it was written here.
    ours: bool,
}

/// Something of a line that is not as one might expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The line, from 1.
    pub line: usize,
    /// What is the matter, and what can be done.
    pub what: String,
}

impl Kept {
    /// What `text` holds of it, if it is a document that was written here.
    #[must_use]
    pub fn again(text: &str) -> Option<Self> {
        let mut kept = Self { ours: true, ..Self::default() };
        let (mut header, mut observed, mut rehearsal, mut in_table) = (false, false, false, false);
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            let bare = line.strip_prefix("- ").unwrap_or(line);
            observed |= bare.starts_with(OBSERVED);
            rehearsal |= bare.starts_with(LAST_REHEARSAL);
            if let Some(note) = bare.strip_prefix(NOTED) {
                kept.notes.push(Prose { text: unmarkdown(note), line: number });
            }
            in_table &= line.starts_with('|');
            match cells(line) {
                Some(cells) if cells == COLUMNS => (header, in_table) = (true, true),
                Some(cells) if in_table && !is_rule(&cells) => kept.rows.push(row(number, cells)),
                Some(_) | None => {}
            }
        }
        (header && observed && rehearsal).then_some(kept)
    }

    /// What people wrote by hand.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        Self { rows: document.assets.clone(), notes: document.descriptions.clone(), ours: false }
    }

    /// Whether the document was written here, and not by hand.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Put into `wanted` what the rows say. `items` is what there is without them.
    ///
    /// A row stands for an asset of its kind that it names, or for the only one, or, if it is the kind's only row and
    /// says as many as there are, for all of them. A row that stands for none is wanted by itself.
    pub fn take_over(
        &mut self,
        wanted: &mut Vec<Wanted>,
        items: &[Item],
        regions: &[RegionName],
        file: &str,
    ) -> Vec<Told> {
        let there = There::of(items, self.ours);
        let mut rows_of: BTreeMap<AssetKind, usize> = BTreeMap::new();
        for kind in self.rows.iter().filter_map(|row| row.kind) {
            *rows_of.entry(kind).or_default() += 1;
        }
        let mut at: HashMap<(AssetKind, String), usize> = HashMap::new();
        for (index, asset) in wanted.iter().enumerate() {
            at.entry((asset.kind, asset.name.clone())).or_insert(index);
        }
        let mut told = Vec::new();
        let mut strange = Vec::new();
        for row in std::mem::take(&mut self.rows) {
            let Some(kind) = row.kind else {
                told.push(Told { line: row.line, what: not_looked_for(&row) });
                strange.push(row);
                continue;
            };
            let alone = rows_of.get(&kind) == Some(&1);
            let mut names = there.names(&row, kind, alone, regions);
            // of a row for one region, or for several assets, it can't be said whose number it has
            let whole = there.count(kind) <= 1 && (alone || row.zones.is_empty());
            let number = self.ours || names.is_empty() || whole;
            if names.is_empty() {
                let name =
                    words::titled(&words::title(kind, &row.name)).map_or("", |(_, name)| name).to_owned();
                if at.contains_key(&(kind, name.clone())) {
                    let what = format!("{} stands there twice; this row is left out: join the two", row.name);
                    told.push(Told { line: row.line, what });
                    continue;
                }
                let what = format!(
                    "{}: nothing of this site is it; its row stays, as unknown, until somebody deletes it",
                    row.name
                );
                told.push(Told { line: row.line, what });
                names.push(name);
            }
            for name in names {
                let index = *at.entry((kind, name.clone())).or_insert_with(|| {
                    let from = Source::Line { file: file.to_owned(), line: row.line };
                    let purpose = String::new();
                    wanted.push(Wanted { kind, name, purpose, size: None, quantity: None, from });
                    wanted.len() - 1
                });
                say(&mut wanted[index], &row, number);
            }
        }
        self.rows = strange;
        told
    }
}

/// What people say of an asset's purpose goes before what a manifest's section says of its kind; what the manifest says
/// of its size and number goes before what they say.
fn say(asset: &mut Wanted, row: &Row, number: bool) {
    if !row.purpose.is_empty() && row.purpose != NOT_SAID {
        asset.purpose.clone_from(&row.purpose);
    }
    asset.size = asset.size.take().or_else(|| row.size.clone());
    if number {
        asset.quantity = asset.quantity.or(row.quantity);
    }
}

fn not_looked_for(row: &Row) -> String {
    format!(
        "{}: its kind can't be told, so nobody looked for it; its row stays, as unknown: name its kind, or delete it",
        row.name
    )
}

/// The names of what is there.
struct There {
    of_kind: BTreeMap<AssetKind, Vec<String>>,
    /// By what rows call them: in a document of ours by their titles, else by their names.
    called: HashMap<(AssetKind, String), String>,
    ours: bool,
}

impl There {
    fn of(items: &[Item], ours: bool) -> Self {
        let mut there = Self { of_kind: BTreeMap::new(), called: HashMap::new(), ours };
        for item in items {
            there.of_kind.entry(item.kind).or_default().push(item.name.clone());
            let called = if ours { words::asset(item) } else { item.name.clone() };
            there.called.insert((item.kind, called), item.name.clone());
        }
        there
    }

    fn count(&self, kind: AssetKind) -> usize {
        self.of_kind.get(&kind).map_or(0, Vec::len)
    }

    /// The assets that a row stands for.
    fn names(&self, row: &Row, kind: AssetKind, alone: bool, regions: &[RegionName]) -> Vec<String> {
        if let Some(name) = self.named(&row.name, kind) {
            return vec![name.clone()];
        }
        let Some(names) = self.of_kind.get(&kind).filter(|_| !self.ours) else { return Vec::new() };
        let several = row.quantity == u32::try_from(names.len()).ok().map(Quantity::Total);
        // "web servers (us-east-2)", "web servers (us-west-1)": the same asset, a row for each region
        let a_side =
            !row.zones.is_empty() && row.zones.iter().all(|z| regions.iter().any(|r| r.as_str() == z));
        let stands = if names.len() == 1 { alone || a_side } else { alone && several };
        if stands { names.clone() } else { Vec::new() }
    }

    /// Written by hand a name may stand after other words: "Bucket backups".
    fn named(&self, name: &str, kind: AssetKind) -> Option<&String> {
        let from = std::iter::once(0).chain(name.match_indices(' ').map(|(at, _)| at + 1));
        let from = from.take(if self.ours { 1 } else { usize::MAX });
        from.filter_map(|at| self.called.get(&(kind, name[at..].to_owned()))).next()
    }
}

/// The cells of a table's row, unless the line is none.
fn cells(line: &str) -> Option<[String; 5]> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in inner.chars() {
        match cells.last_mut() {
            Some(cell) if c != '|' || escaped => cell.push(c),
            Some(_) | None => cells.push(String::new()),
        }
        escaped = c == '\\' && !escaped;
    }
    let cells: Vec<String> = cells.iter().map(|cell| unmarkdown(cell.trim())).collect();
    cells.try_into().ok()
}

/// Whether it is what stands below a table's header.
fn is_rule(cells: &[String]) -> bool {
    cells.iter().all(|cell| cell.contains('-') && cell.chars().all(|c| matches!(c, '-' | ':')))
}

fn row(line: usize, [name, purpose, size, quantity, _]: [String; 5]) -> Row {
    Row {
        kind: words::titled(&name).map(|(kind, _)| kind),
        name,
        purpose,
        size: wanted(&size).map(str::to_owned),
        quantity: quantity.split_once(words::COUNTED).and_then(|(wanted, _)| words::read_quantity(wanted)),
        dr: DrCell::Empty,
        zones: Vec::new(),
        line,
    }
}

/// What a cell says that somebody wants.
fn wanted(cell: &str) -> Option<&str> {
    let (_, wanted) = cell.split_once(WANTED)?;
    wanted.strip_suffix(')')
}
