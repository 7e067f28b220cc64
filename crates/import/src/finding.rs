//! What a reader could not use, or what contradicts something else, with its place.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something is missing, or was read only by a guess.
    Warning,
    /// Something is wrong.
    Error,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable; each has a page in `docs/errors/`.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// Which line of the input, from 1; 0 if it is about the whole.
    pub line: usize,
    /// What is the matter, one line.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// The kinds of finding. A number never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The input is larger than a reader takes, or nested deeper.
    TooLarge = "BSC-I001", Error;
    /// The input is not what it was taken for.
    Unreadable = "BSC-I002", Error;

    // BSC-I003 to BSC-I049: a disaster-recovery document.

    /// The template's own sample row was left in.
    SampleRow = "BSC-I003", Note;
    /// The template's own instructions were left in.
    TemplateText = "BSC-I004", Note;
    /// Nothing is said in the DR column.
    DrEmpty = "BSC-I005", Warning;
    /// What is said in the DR column means nothing that is known, or two things.
    DrUnclear = "BSC-I006", Warning;
    /// What kind of asset a row is can't be told.
    KindUnknown = "BSC-I007", Warning;
    /// What kind of asset a row is was guessed.
    KindGuessed = "BSC-I008", Warning;
    /// A number is missing, or is not one number.
    QuantityUnread = "BSC-I009", Warning;
    /// A row has fewer cells than its table has columns.
    CellsMissing = "BSC-I010", Warning;
    /// A row has cells that belong to no column.
    CellsExtra = "BSC-I011", Warning;
    /// A row's cells were moved to the columns that they fit.
    RowShifted = "BSC-I012", Warning;
    /// A row that is not an asset, and nothing else that is known.
    RowUnread = "BSC-I013", Warning;
    /// A row that holds nothing.
    EmptyRow = "BSC-I014", Note;
    /// A table's columns were taken in the template's order.
    HeaderGuessed = "BSC-I015", Warning;
    /// A delimiter row is missing, or stands where none belongs.
    Delimiter = "BSC-I016", Note;
    /// A column that is not read.
    ColumnUnread = "BSC-I017", Note;
    /// Text that is not read.
    NotRead = "BSC-I018", Note;
    /// A code fence or a comment is never closed.
    Unclosed = "BSC-I019", Warning;
    /// A part of the document is not there.
    SectionMissing = "BSC-I020", Warning;
    /// A place that is not shaped like a region.
    ZoneShape = "BSC-I021", Warning;
    /// A place that is listed twice.
    ZoneAgain = "BSC-I022", Note;
    /// A line was longer than is read.
    LineCut = "BSC-I023", Warning;
    /// A row without a name goes on with the asset above.
    NameAbove = "BSC-I024", Warning;
    /// What a step asks for can't be told.
    StepUnclear = "BSC-I025", Note;
    /// A column that a table of assets should have is not there.
    ColumnMissing = "BSC-I026", Warning;
    /// An asset of no kind that is judged.
    KindOther = "BSC-I027", Note;
    /// A heading that stands in a row of a table.
    HeadingInTable = "BSC-I028", Note;
    /// Two places of the document say different numbers of an asset.
    NumbersDisagree = "BSC-I030", Error;
    /// An asset is named after a service that has no such thing.
    KindConfused = "BSC-I031", Error;
    /// A size that its provider has retired.
    SizeRetired = "BSC-I032", Warning;
    /// Two rows of the same asset disagree.
    RowsDisagree = "BSC-I033", Error;
    /// An asset stands on two rows.
    TwoRows = "BSC-I034", Note;
    /// A step names a place that is not one of the zones.
    ZoneUnlisted = "BSC-I035", Error;
    /// An asset that the text names is not in the table.
    NotInTable = "BSC-I036", Warning;
    /// Steps that nobody is named for.
    NoOwner = "BSC-I037", Warning;
    /// A size of another kind of asset.
    SizeMisplaced = "BSC-I038", Warning;

    // BSC-I050 to BSC-I099: Terraform, and the document beside it.

    /// A state or plan of a format that is not read.
    TerraformFormat = "BSC-I050", Error;
    /// Terraform's own state file.
    TerraformRawState = "BSC-I051", Error;
    /// A part of a state, plan or code is not of its shape.
    TerraformShape = "BSC-I052", Error;
    /// Code that does not parse.
    TerraformSyntax = "BSC-I053", Error;
    /// A module hides what it makes.
    TerraformModule = "BSC-I054", Warning;
    /// The region of assets is not told.
    TerraformNoRegion = "BSC-I055", Warning;
    /// The number of an asset is not told.
    TerraformNoCount = "BSC-I056", Warning;
    /// The same resource stands twice.
    TerraformTwice = "BSC-I057", Warning;
    /// A file is not read.
    TerraformNotRead = "BSC-I058", Warning;
    /// Resources of a type of which nothing is kept.
    TerraformUnknownType = "BSC-I059", Note;
    /// Blocks that make nothing.
    TerraformIdle = "BSC-I060", Note;
    /// Not two regions are named.
    SiteZones = "BSC-I061", Warning;
    /// A number that a manifest can't have.
    SiteNumber = "BSC-I062", Warning;
    /// A database that is not PostgreSQL.
    SiteEngine = "BSC-I063", Warning;
    /// An asset is in the document, but not in the code.
    SiteOnlyInDocument = "BSC-I070", Warning;
    /// An asset is in the code, but not in the document.
    SiteOnlyInCode = "BSC-I071", Warning;
    /// The document and the code say different numbers.
    SiteNumberDiffers = "BSC-I072", Warning;
    /// The document and the code say different sizes.
    SiteSizeDiffers = "BSC-I073", Warning;
    /// Only one of the document and the code names a region.
    SiteZoneDiffers = "BSC-I074", Warning;
    /// Whether the document and the code differ can't be told.
    SiteNotComparable = "BSC-I075", Note;
}

impl Finding {
    /// A finding of its code's severity.
    #[must_use]
    pub fn new(code: Code, line: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), line, message: message.into(), remedy: remedy.into() }
    }
}
