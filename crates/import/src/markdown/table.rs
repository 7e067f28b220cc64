//! A table of assets: each line becomes an asset or a finding.

use std::collections::HashMap;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{DrCell, Row, Zone};

use super::block::{RawRow, RowMark};
use super::columns::{Column, lay, of_header};
use super::contradict::without_place;
use super::heading::{Section, announced};
use super::kind;
use super::protection;
use super::quantity::{self, Said};
use super::source::shortened;
use super::steps::places;
use super::template::{self, Left};
use super::words::words;
use crate::finding::{Code, Finding};

/// The columns of the table before, for rows that a blank line cut off from it.
pub(super) type Columns = Vec<Column>;

/// The assets of a table, in the order of its lines, and what was found on the way.
pub(super) struct Table<'z> {
    zones: &'z [Zone],
    columns: Columns,
    header: Vec<String>,
    pub rows: Vec<Row>,
    pub findings: Vec<Finding>,
}

impl<'z> Table<'z> {
    /// Read a table. `before` are the columns of the table above in the same section, if there is one.
    pub fn read(raw: &[RawRow], zones: &'z [Zone], before: Option<&Columns>) -> (Self, Columns) {
        let mut table =
            Self { zones, columns: Vec::new(), header: Vec::new(), rows: Vec::new(), findings: Vec::new() };
        let rest = table.take_header(raw, before);
        for row in rest {
            match row.mark {
                RowMark::Delimiter => {
                    table.say(Code::Delimiter, row.line, "a delimiter row among the rows", "delete it");
                }
                RowMark::NoPipe => {
                    let message =
                        format!("a line without a pipe among the rows: {}", shortened(&row.cells.join(" ")));
                    table.say(
                        Code::RowUnread,
                        row.line,
                        message,
                        "give it its cells, or move it below the table",
                    );
                }
                RowMark::Cells => table.row(row),
            }
        }
        table.only_home();
        let columns = table.columns.clone();
        (table, columns)
    }

    fn say(&mut self, code: Code, line: usize, message: impl Into<String>, remedy: &str) {
        self.findings.push(Finding::new(code, line, message, remedy));
    }

    /// Find the header, and return the lines below it.
    fn take_header<'r>(&mut self, raw: &'r [RawRow], before: Option<&Columns>) -> &'r [RawRow] {
        let leading = raw.iter().take_while(|row| row.mark == RowMark::Delimiter).count();
        for row in &raw[..leading] {
            self.say(
                Code::Delimiter,
                row.line,
                "a delimiter row above the header",
                "move it below the header",
            );
        }
        let raw = &raw[leading..];
        // A sample row above the header is no header.
        if raw.get(1).is_some_and(|row| row.mark == RowMark::Cells) && raw[0].mark == RowMark::Cells {
            let named = of_header(&raw[1].cells);
            if template::left(&raw[0].cells) == Left::All && is_header(&raw[1].cells, &named) {
                self.say(Code::SampleRow, raw[0].line, "the template's own sample row", "delete it");
                return self.take_header(&raw[1..], before);
            }
        }
        let Some(first) = raw.first() else { return raw };
        let delimited = raw.get(1).is_some_and(|row| row.mark == RowMark::Delimiter);
        let columns = of_header(&first.cells);
        match (is_header(&first.cells, &columns), before) {
            (true, _) => self.use_columns(first, columns),
            (false, Some(before)) if !delimited => {
                self.columns.clone_from(before);
                return raw;
            }
            (false, _) if delimited && !looks_like_row(&first.cells) => {
                let message =
                    "the header's words are not known; its columns were taken in the template's order";
                let remedy = "name the columns Asset, Purpose, Size, Qty, DR";
                self.say(Code::HeaderGuessed, first.line, message, remedy);
                let usual = usual(first.cells.len());
                self.use_columns(first, usual);
            }
            (false, _) => {
                let message = "the table has no header; its columns were taken in the template's order";
                self.say(
                    Code::HeaderGuessed,
                    first.line,
                    message,
                    "give it one: Asset, Purpose, Size, Qty, DR",
                );
                self.columns = usual(first.cells.len().min(Column::USUAL.len()));
                return raw;
            }
        }
        if !delimited {
            let remedy = "put a row of dashes below the header: without it this is no table to others";
            self.say(Code::Delimiter, first.line, "the table has no delimiter row", remedy);
            return &raw[1..];
        }
        let wide = raw[1].line;
        let after = raw[2..].iter().take_while(|row| row.mark == RowMark::Delimiter).count();
        for row in &raw[2..2 + after] {
            self.say(
                Code::Delimiter,
                row.line,
                format!("a second delimiter row, after line {wide}"),
                "delete it",
            );
        }
        &raw[2 + after..]
    }

    fn use_columns(&mut self, header: &RawRow, columns: Columns) {
        let unread: Vec<String> = columns
            .iter()
            .zip(&header.cells)
            .filter(|(column, cell)| **column == Column::Other && cell.contains(char::is_alphabetic))
            // These are read as promises.
            .filter(|(_, cell)| !["rpo", "rto"].iter().any(|name| cell.eq_ignore_ascii_case(name)))
            .map(|(_, cell)| format!("`{}`", shortened(cell)))
            .collect();
        if !unread.is_empty() {
            let column = if unread.len() == 1 { "column" } else { "columns" };
            let message = format!("not read: the {column} {}", unread.join(", "));
            self.say(Code::ColumnUnread, header.line, message, "nothing, if it says nothing of recovery");
        }
        for wanted in [Column::Quantity, Column::Dr] {
            if !columns.contains(&wanted) {
                let message = format!("the table has no column for {}", wanted.as_str());
                self.say(Code::ColumnMissing, header.line, message, "add the column");
            }
        }
        self.header.clone_from(&header.cells);
        self.columns = columns;
    }

    fn row(&mut self, raw: &RawRow) {
        if raw.cells.iter().all(|cell| quantity::is_nothing(cell)) {
            return self.say(Code::EmptyRow, raw.line, "a row that holds nothing", "delete it");
        }
        if !self.header.is_empty() && raw.cells == self.header {
            return self.say(Code::EmptyRow, raw.line, "the header once more", "delete it");
        }
        if lists_places(&raw.cells) {
            let remedy = "move it below the heading Zones";
            return self.say(
                Code::NotRead,
                raw.line,
                "a row of places, not an asset: read as the zones",
                remedy,
            );
        }
        if is_mixed(&raw.cells) {
            let message = format!(
                "an asset among the dashes of a delimiter row: {}",
                shortened(&raw.cells.join(" | "))
            );
            return self.say(Code::RowUnread, raw.line, message, "write them on lines of their own");
        }
        match template::left(&raw.cells) {
            Left::All => {
                return self.say(Code::SampleRow, raw.line, "the template's own sample row", "delete it");
            }
            Left::AllButName => {
                let name = raw.cells.iter().find(|cell| !cell.is_empty()).map_or("", String::as_str);
                let message =
                    format!("only the name was filled in, `{}`; the rest is the template's", shortened(name));
                return self.say(Code::RowUnread, raw.line, message, "fill in the rest, or delete the row");
            }
            Left::Some if template::is_tail(&raw.cells) => {
                return self.say(
                    Code::SampleRow,
                    raw.line,
                    "the end of the template's own sample row",
                    "delete it",
                );
            }
            Left::Some => {}
        }
        let laid = lay(&raw.cells, &self.columns);
        let cell = |wanted: Column| {
            let at = self.columns.iter().position(|column| *column == wanted)?;
            laid.cells.get(at).copied().flatten().map(|at| raw.cells[at].as_str())
        };
        let answered = |wanted: Column| match cell(wanted) {
            Some(cell) if template::is_prompt(cell) => Some(""),
            other => other.map(template::answer),
        };
        let name = cell(Column::Name).unwrap_or_default().to_owned();
        let purpose = answered(Column::Purpose).unwrap_or_default().to_owned();
        let size = answered(Column::Size).unwrap_or_default().to_owned();
        let number = answered(Column::Quantity).map(str::to_owned);
        let prompts = raw
            .cells
            .iter()
            .filter(|cell| template::is_prompt(cell) && !template::is_dr_question(cell))
            .count();
        let dr = cell(Column::Dr).unwrap_or_default().to_owned();
        let said_kind = cell(Column::Kind).unwrap_or_default().to_owned();
        if laid.moved {
            let message = format!(
                "the cells were moved to the columns that they fit: {}",
                shortened(&raw.cells.join(" | "))
            );
            self.say(Code::RowShifted, raw.line, message, "give the row one cell for each column");
        }
        if prompts > 0 {
            let message = format!("cells that still hold the template's words: {prompts}");
            self.say(Code::TemplateText, raw.line, message, "write your own, or leave them empty");
        }
        self.report_cells(raw, &laid.extra);
        let Some(name) = self.name(raw, name) else { return };
        let kind = self.kind(raw.line, &name, &said_kind, &purpose);
        let counted = kind.is_some() || kind::other(&name).or_else(|| kind::other(&purpose)).is_none();
        let quantity = self.quantity(raw.line, kind, number.as_deref(), counted);
        let dr = self.dr(raw.line, &dr);
        let zones = places(&raw.cells.join(" , "), self.zones);
        let size = (!quantity::is_nothing(&size) && !quantity::is_not_applicable(&size)).then_some(size);
        self.rows.push(Row { kind, name, purpose, size, quantity, dr, zones, line: raw.line });
    }

    /// Say which columns have no cell, and which cells no column.
    fn report_cells(&mut self, raw: &RawRow, extra: &[usize]) {
        if raw.cells.len() < self.columns.len() {
            let message = format!(
                "cells of the row: {}; columns of the table: {}",
                raw.cells.len(),
                self.columns.len()
            );
            self.say(Code::CellsMissing, raw.line, message, "give the row one cell for each column");
        }
        if !extra.is_empty() {
            let texts: Vec<String> =
                extra.iter().map(|at| format!("`{}`", shortened(&raw.cells[*at]))).collect();
            let message = format!("cells beyond the columns: {}", texts.join(", "));
            self.say(
                Code::CellsExtra,
                raw.line,
                message,
                r"give the row one cell for each column, or write \| for a pipe",
            );
        }
    }

    /// What the asset is called; a row without a name goes on with the asset above it.
    fn name(&mut self, raw: &RawRow, name: String) -> Option<String> {
        if !quantity::is_nothing(&name) {
            return Some(name);
        }
        let Some(above) = self.rows.last() else {
            let message = format!("a row that names no asset: {}", shortened(&raw.cells.join(" | ")));
            self.say(Code::RowUnread, raw.line, message, "write what it is in the first column");
            return None;
        };
        let name = above.name.clone();
        let message = format!("the row names no asset; taken for another of `{name}`, the row above");
        self.say(Code::NameAbove, raw.line, message, "write its name");
        Some(name)
    }

    fn kind(&mut self, line: usize, name: &str, said: &str, purpose: &str) -> Option<AssetKind> {
        let other = kind::other(name).or_else(|| {
            let silent = kind::of_name(name).is_none() && kind::of_name(said).is_none();
            if silent { kind::other(purpose) } else { None }
        });
        if let Some(what) = other {
            let message = format!("`{name}` is kept as a {what}, which nothing more is read of");
            self.say(Code::KindOther, line, message, "nothing");
            return None;
        }
        let (named, from) = match (kind::of_name(name), kind::of_name(said), kind::of_text(purpose)) {
            (Some(named), _, _) => (named, "name"),
            (None, Some(named), _) => (named, "kind"),
            (None, None, Some(named)) => (named, "purpose"),
            (None, None, None) => {
                let message = format!("what `{name}` is can't be told from its words");
                let remedy = "say what it is: an EC2 instance, a load balancer, an RDS cluster …";
                self.say(Code::KindUnknown, line, message, remedy);
                return None;
            }
        };
        let word = named.kind.as_str();
        if named.guessed {
            let message = format!("`{name}` is misspelt, and was read as {word}");
            self.say(Code::KindGuessed, line, message, "correct the word");
        } else if from == "purpose" {
            let message = format!("`{name}` was read as {word}, because of its purpose");
            self.say(Code::KindGuessed, line, message, "say in its name what it is");
        }
        Some(named.kind)
    }

    /// How many there are. Of what is not `counted` nothing is asked.
    fn quantity(
        &mut self,
        line: usize,
        kind: Option<AssetKind>,
        cell: Option<&str>,
        counted: bool,
    ) -> Option<Quantity> {
        // A table without that column is one matter, said once, and not one for each row.
        let cell = match cell {
            Some(cell) => cell,
            None if self.columns.contains(&Column::Quantity) => "",
            None => return None,
        };
        match quantity::read_of(kind, cell) {
            Said::Number(quantity) => return Some(quantity),
            Said::NotApplicable => {}
            Said::Nothing | Said::Unclear if !counted => {}
            Said::Nothing => {
                self.say(Code::QuantityUnread, line, "no number is said", "write how many there are")
            }
            Said::Unclear => {
                let clusters = matches!(kind, Some(AssetKind::Kubernetes | AssetKind::Database))
                    && words(cell).iter().any(|word| word.is("cluster"));
                let cell = shortened(cell);
                let (message, remedy) = match clusters {
                    true => (
                        format!("`{cell}` does not say how many nodes there are"),
                        "write how many nodes there are in all, or per region",
                    ),
                    false => (
                        format!("`{cell}` is not one number"),
                        "write how many there are in all, or per region",
                    ),
                };
                self.say(Code::QuantityUnread, line, message, remedy);
            }
        }
        None
    }

    fn dr(&mut self, line: usize, cell: &str) -> DrCell {
        let home = self.zones.first().map(|zone| zone.name.as_str());
        let read = protection::read(cell, home);
        match &read {
            // A table without that column is one matter, too.
            DrCell::Empty if !self.columns.contains(&Column::Dr) => {}
            DrCell::Empty => {
                let remedy =
                    "write what happens to it when the region is lost: deployed, replicated, copied, …";
                self.say(Code::DrEmpty, line, "the DR cell is empty", remedy);
            }
            // Said at the end, of those that have no second row elsewhere.
            DrCell::Said { text, protection: None } if protection::is_only_home(text, home) => {}
            DrCell::Said { text, protection: None } => {
                let message = format!("what `{}` means for recovery can't be told", shortened(text));
                self.say(Code::DrUnclear, line, message, "use one of: deployed, replicated, copied, stored elsewhere, rebuilt on demand, provider managed, one region only");
            }
            DrCell::Said { protection: Some(_), .. } => {}
        }
        read
    }

    /// Rows that only say that an asset runs in the region that is lost, and no other row says more of it.
    fn only_home(&mut self) {
        let home = self.zones.first().map(|zone| zone.name.as_str());
        // "Cluster1" and "Cluster2" are often the two places of one.
        let unnumbered = |word: String| word.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let named = |row: &Row| {
            let name: Vec<String> = without_place(&row.name).into_iter().map(unnumbered).collect();
            (row.kind, name)
        };
        let mut rows: HashMap<_, usize> = HashMap::new();
        self.rows.iter().for_each(|row| *rows.entry(named(row)).or_default() += 1);
        let alone = self.rows.iter().filter(|row| rows.get(&named(row)) == Some(&1)).filter_map(|row| {
            match &row.dr {
                DrCell::Said { text, .. } if protection::is_only_home(text, home) => Some((row.line, text)),
                DrCell::Said { .. } | DrCell::Empty => None,
            }
        });
        let found: Vec<_> = alone.map(|(line, text)| (line, shortened(text))).collect();
        for (line, text) in found {
            let message =
                format!("`{text}` says where it runs, and not what happens when that region is lost");
            self.say(Code::DrUnclear, line, message, "write what there is of it in the other region");
        }
    }
}

/// Whether a first line names columns, and holds no asset.
fn is_header(cells: &[String], columns: &[Column]) -> bool {
    let known = columns.iter().filter(|column| !matches!(column, Column::Other | Column::Name)).count();
    known >= 2 && !looks_like_row(cells)
}

/// Whether a row lists places, and is no asset: "AWS zones" with the regions' names.
pub(super) fn lists_places(cells: &[String]) -> bool {
    let Some(name) = cells.first() else { return false };
    let heads = announced(name).is_some_and(|found| found.section == Section::Zones);
    heads && kind::of_name(name).is_none() && places(&cells.join(" , "), &[]).len() > 1
}

/// Whether a delimiter row and an asset became one line.
fn is_mixed(cells: &[String]) -> bool {
    let mixed = |cell: &&String| cell.contains("----") && cell.contains(char::is_alphanumeric);
    cells.iter().filter(mixed).count() >= 2
}

/// The template's columns, as many as there are cells.
fn usual(cells: usize) -> Columns {
    let usual = Column::USUAL.iter().copied();
    usual.chain(std::iter::repeat(Column::Other)).take(cells.max(Column::USUAL.len())).collect()
}

/// Whether a first line holds an asset and no header: it names a kind, and a cell is a number or the template's question.
fn looks_like_row(cells: &[String]) -> bool {
    let holds = |cell: &String| {
        matches!(quantity::read(cell), Said::Number(_))
            || template::is_dr_question(cell)
            || quantity::is_not_applicable(cell)
    };
    let named = cells.first().is_some_and(|cell| kind::of_name(cell).is_some());
    (named && cells[1..].iter().any(holds)) || cells.iter().filter(|cell| holds(cell)).count() >= 2
}
