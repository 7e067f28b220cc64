//! Which cell of a row belongs to which column.
//!
//! Headers use other words, and rows lose or gain cells and shift. A row is laid onto the columns as it stands unless
//! another way, in the same order, fits what the cells hold clearly better. Invariant: a cell that is laid onto no column
//! is named, so that it can be reported.

use bascule_core::asset::Protection;

use super::kind;
use super::protection;
use super::quantity::{self, Said};
use super::region::place;
use super::template;
use super::words::{Word, has_any, words};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Kind,
    Purpose,
    Size,
    Quantity,
    Dr,
    Zone,
    /// Something that is not read.
    Other,
}

impl Column {
    /// The template's columns, for a table whose header says nothing.
    pub const USUAL: [Column; 5] = [Self::Name, Self::Purpose, Self::Size, Self::Quantity, Self::Dr];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "asset",
            Self::Kind => "kind",
            Self::Purpose => "purpose",
            Self::Size => "size",
            Self::Quantity => "quantity",
            Self::Dr => "DR",
            Self::Zone => "zone",
            Self::Other => "other",
        }
    }
}

/// The columns that a header names. A second column of the same meaning is not read.
pub(super) fn of_header(cells: &[String]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        // A first column of this name counts the rows, and not the assets.
        let numbers = at > 0 && matches!(cell.trim(), "#" | "No." | "Nr." | "No");
        let column = if numbers { Column::Quantity } else { named(&words(cell)) };
        columns.push(if columns.contains(&column) { Column::Other } else { column });
    }
    // "Service | Asset": the template's own word is surer than others for a name.
    let own = cells.iter().position(|cell| words(cell).first().is_some_and(|word| word.is("asset")));
    if let (Some(own), Some(other)) = (own, columns.iter().position(|column| *column == Column::Name))
        && own != other
        && columns[own] == Column::Other
    {
        columns.swap(own, other);
    }
    // "Type" alone says what the asset is; beside no other name it is the name.
    if !columns.contains(&Column::Name)
        && let Some(first) = columns.iter_mut().find(|column| matches!(column, Column::Kind | Column::Other))
    {
        *first = Column::Name;
    }
    columns
}

/// Whether these columns are a table of assets: it names them, and says something more.
pub(super) fn is_assets(header: &[String]) -> bool {
    let named: Vec<Column> = header.iter().map(|cell| named(&words(cell))).collect();
    let count = |wanted: &[Column]| wanted.iter().filter(|column| named.contains(column)).count();
    let about = count(&[Column::Size, Column::Quantity, Column::Dr]);
    let all = about + count(&[Column::Name, Column::Kind, Column::Purpose, Column::Zone]);
    about >= 1 && all >= 2
}

/// Whether a table among the steps lists assets: only what has a size or a number is none of them.
pub(super) fn is_counted(header: &[String]) -> bool {
    let counted = |cell: &String| matches!(named(&words(cell)), Column::Size | Column::Quantity);
    is_assets(header) && header.iter().any(counted)
}

fn named(all: &[Word]) -> Column {
    // A header is a few words: a cell with more is one of a row.
    if all.len() > 6 {
        return Column::Other;
    }
    let any = |texts: &[&str]| has_any(all, texts);
    let instance_type = any(&["instance", "machine", "server", "vm"]) && any(&["type", "class", "size"]);
    if any(&["qty", "quantity", "count", "amount", "number", "many", "qnty", "quanity", "replica", "node"]) {
        Column::Quantity
    } else if any(&[
        "dr",
        "disaster",
        "recovery",
        "protection",
        "protected",
        "redundancy",
        "failover",
        "replicated",
        "replication",
    ]) {
        Column::Dr
    } else if instance_type
        || any(&["size", "sku", "flavor", "flavour", "spec", "class", "sizing", "capacity"])
    {
        Column::Size
    } else if any(&["zone", "region", "location", "where", "site"]) {
        Column::Zone
    } else if any(&["purpose", "description", "use", "usage", "function", "role", "what", "detail", "why"]) {
        Column::Purpose
    } else if any(&[
        "name",
        "asset",
        "resource",
        "component",
        "item",
        "service",
        "system",
        "element",
        "assset",
    ]) {
        Column::Name
    } else if any(&["type", "kind", "category"]) {
        Column::Kind
    } else if any(&["instance", "instances"]) {
        Column::Quantity
    } else {
        Column::Other
    }
}

/// A row laid onto columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Laid {
    /// For each column the cell that belongs there.
    pub cells: Vec<Option<usize>>,
    /// Whether they stand elsewhere than where they were written.
    pub moved: bool,
    /// The cells that hold something and belong nowhere.
    pub extra: Vec<usize>,
}

/// How much better another way of laying a row must fit: more than one cell's doubt.
const MARGIN: i32 = 3;

/// Lay a row's cells onto the columns.
pub(super) fn lay(cells: &[String], columns: &[Column]) -> Laid {
    let looks: Vec<Look> = cells.iter().map(|cell| Look::of(cell)).collect();
    let as_written: Vec<Option<usize>> =
        (0..columns.len()).map(|at| (at < cells.len()).then_some(at)).collect();
    let fit = |laid: &[Option<usize>]| -> i32 {
        let on: i32 =
            laid.iter().zip(columns).filter_map(|(at, column)| at.map(|at| looks[at].fits(*column))).sum();
        let used: Vec<usize> = laid.iter().flatten().copied().collect();
        let left = (0..cells.len()).filter(|at| !used.contains(at)).map(|at| looks[at].left_over());
        on + left.sum::<i32>()
    };
    let best = best(&looks, columns);
    // A row that has a cell for each column may say odd things, but has hardly shifted.
    let whole = cells.len() == columns.len() && !looks.contains(&Look::Blank);
    let margin = if whole { 2 * MARGIN } else { MARGIN };
    let moved = fit(&best) >= fit(&as_written) + margin;
    let laid = if moved { best } else { as_written };
    let extra =
        (0..cells.len()).filter(|at| !laid.contains(&Some(*at)) && looks[*at] != Look::Blank).collect();
    Laid { cells: laid, moved, extra }
}

/// The way that fits best: cells in order onto columns in order, either may be passed over. Both are bounded by the cells
/// of a line.
fn best(looks: &[Look], columns: &[Column]) -> Vec<Option<usize>> {
    let (n, m) = (looks.len(), columns.len());
    let mut score = vec![vec![0_i32; m + 1]; n + 1];
    for i in (0..n).rev() {
        score[i][m] = score[i + 1][m] + looks[i].left_over();
    }
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let on = score[i + 1][j + 1] + looks[i].fits(columns[j]);
            let pass_cell = score[i + 1][j] + looks[i].left_over();
            score[i][j] = on.max(pass_cell).max(score[i][j + 1]);
        }
    }
    let mut laid = vec![None; m];
    let (mut i, mut j) = (0, 0);
    while i < n && j < m {
        if score[i][j] == score[i + 1][j + 1] + looks[i].fits(columns[j]) {
            laid[j] = Some(i);
            (i, j) = (i + 1, j + 1);
        } else if score[i][j] == score[i][j + 1] {
            j += 1;
        } else {
            i += 1;
        }
    }
    laid
}

/// What a cell looks like by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Blank,
    NotApplicable,
    /// `t3.medium`, `4 vCPU`, `16 GB`.
    Size,
    /// `2`, `2 instances`.
    Number,
    /// `1 in each region`: a number, and a word on protection.
    Each,
    /// The template's question, or that there is no protection.
    Dr,
    /// Words of protection: what a purpose may be, too ("keeps backups").
    Protection,
    Place,
    /// Names a kind of asset.
    Kind,
    Text,
}

impl Look {
    fn of(cell: &str) -> Self {
        let all = words(cell);
        if quantity::is_nothing(cell) {
            Self::Blank
        } else if quantity::is_not_applicable(cell) {
            Self::NotApplicable
        } else if template::is_dr_question(cell) {
            Self::Dr
        } else if all.len() <= 4 && all.iter().any(is_size) {
            Self::Size
        } else if starts_as_number(&all) && protection::meaning(cell) == Some(Protection::Deployed) {
            Self::Each
        } else if protection::meaning(cell) == Some(Protection::OneRegionOnly) {
            // "Multi-AZ VPC" is the name of one.
            if kind::other(cell).is_some() { Self::Kind } else { Self::Dr }
        } else if all.len() <= 6 && starts_as_number(&all) && matches!(quantity::read(cell), Said::Number(_))
        {
            Self::Number
        } else if all.len() <= 3 && all.iter().any(|word| place(&word.text).is_some()) {
            Self::Place
        } else if kind::of_name(cell).is_some() || kind::other(cell).is_some() {
            Self::Kind
        } else if protection::meaning(cell).is_some() {
            Self::Protection
        } else {
            Self::Text
        }
    }

    /// How well it fits a column; below 0: it does not.
    fn fits(self, column: Column) -> i32 {
        match (self, column) {
            (Self::Blank, _) | (_, Column::Other) => 0,
            (Self::Size, Column::Size)
            | (Self::Number | Self::Each, Column::Quantity)
            | (Self::Each, Column::Dr)
            | (Self::Dr | Self::Protection, Column::Dr)
            | (Self::Place, Column::Zone) => 4,
            (Self::Kind, Column::Name | Column::Kind) => 3,
            (Self::NotApplicable, Column::Size | Column::Quantity) => 1,
            (Self::NotApplicable, Column::Name | Column::Purpose | Column::Kind) => -1,
            (Self::NotApplicable, Column::Dr | Column::Zone) => 0,
            (Self::Text, Column::Name | Column::Purpose)
            | (Self::Kind | Self::Protection, Column::Purpose) => 2,
            (Self::Text, Column::Dr | Column::Size) | (Self::Kind | Self::Place, Column::Dr) => 0,
            (Self::Dr, Column::Purpose) => 0,
            (Self::Text, Column::Kind | Column::Zone | Column::Quantity) => -1,
            (Self::Place, Column::Name | Column::Purpose) => 0,
            (Self::Number | Self::Each | Self::Size, Column::Name | Column::Purpose) => -2,
            (
                Self::Dr | Self::Protection,
                Column::Name | Column::Kind | Column::Size | Column::Quantity | Column::Zone,
            )
            | (Self::Kind | Self::Place, Column::Size | Column::Quantity)
            | (Self::Kind, Column::Zone)
            | (Self::Place, Column::Kind)
            | (Self::Number, Column::Size | Column::Kind | Column::Dr | Column::Zone)
            | (Self::Each, Column::Size | Column::Kind | Column::Zone)
            | (Self::Size, Column::Quantity | Column::Kind | Column::Dr | Column::Zone) => -3,
        }
    }

    /// What it costs to lay it onto no column.
    fn left_over(self) -> i32 {
        match self {
            Self::Blank => 0,
            Self::NotApplicable => -1,
            Self::Size
            | Self::Number
            | Self::Each
            | Self::Dr
            | Self::Protection
            | Self::Place
            | Self::Kind
            | Self::Text => -3,
        }
    }
}

fn starts_as_number(all: &[Word]) -> bool {
    all.first().is_some_and(|word| quantity::number(word).is_some())
}

/// Whether a word is a machine's size: `t3.medium`, `db.r6g.xlarge`, `16gb`, `vcpu`.
fn is_size(word: &Word) -> bool {
    const SIZES: &[&str] = &["nano", "micro", "small", "medium", "large", "xlarge", "metal"];
    const UNITS: &[&str] = &["gb", "gib", "tb", "tib", "mb", "vcpu", "cpu", "core"];
    let last = word.text.rsplit('.').next().unwrap_or_default();
    let name = last.trim_start_matches(|c: char| c.is_ascii_digit());
    (word.text.contains('.') && SIZES.contains(&name)) || UNITS.contains(&name) || word.is_one_of(SIZES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(cells: &[&str]) -> Vec<Option<usize>> {
        let cells: Vec<String> = cells.iter().map(|c| (*c).to_owned()).collect();
        lay(&cells, &Column::USUAL).cells
    }

    #[test]
    fn headers_are_told_by_their_words() {
        use Column::{Dr, Kind, Name, Other, Purpose, Quantity, Size, Zone};
        for (header, expected) in [
            (vec!["Asset", "Purpose", "Size", "Qty", "DR"], vec![Name, Purpose, Size, Quantity, Dr]),
            (
                vec!["Resource", "What for", "Instance type", "How many", "Disaster recovery"],
                vec![Name, Purpose, Size, Quantity, Dr],
            ),
            (vec!["Name", "Type", "Region", "#", "Notes"], vec![Name, Kind, Zone, Quantity, Other]),
            (vec!["Type", "Description", "Count"], vec![Name, Purpose, Quantity]),
            (vec!["#", "Asset", "Count"], vec![Other, Name, Quantity]),
        ] {
            let header: Vec<String> = header.into_iter().map(str::to_owned).collect();
            assert_eq!(of_header(&header), expected, "{header:?}");
        }
    }

    #[test]
    fn a_row_stays_as_written_unless_its_cells_say_otherwise() {
        let here = |cells: &[usize]| cells.iter().map(|at| Some(*at)).collect::<Vec<_>>();
        assert_eq!(
            laid(&["EC2 instance", "Runs the app", "t3.medium", "2", "deployed"]),
            here(&[0, 1, 2, 3, 4])
        );
        // The size is missing, and what follows has shifted left.
        assert_eq!(laid(&["EC2 instance", "Runs the app", "2", "deployed", ""])[3], Some(2));
        assert_eq!(laid(&["EC2 instance", "t3.medium", "2"]), vec![Some(0), None, Some(1), Some(2), None]);
        // One cell too many in the middle.
        assert_eq!(laid(&["EC2 instance", "Runs", "the app", "t3.medium", "2", "deployed"])[2], Some(3));
        assert_eq!(laid(&["Widget", "", "", "", ""]), here(&[0, 1, 2, 3, 4]));
        assert_eq!(
            laid(&["Multi-AZ VPC", "Network", "2", "1 VPC per region"]),
            vec![Some(0), Some(1), None, Some(2), Some(3)]
        );
        // A number in each region is a number, too.
        assert_eq!(laid(&["ALB", "Runs the app", "NA", "One in each region", ""])[3], Some(3));
        // What a bucket is for is no word on how it is protected.
        assert_eq!(laid(&["S3 bucket", "keeps backups", "", "", ""]), here(&[0, 1, 2, 3, 4]));
        assert_eq!(laid(&["S3 bucket", "keeps backups"])[4], None);
    }
}
