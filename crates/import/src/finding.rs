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
