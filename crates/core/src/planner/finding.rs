//! What forbids a plan, or should be known of it.

use serde::Serialize;

/// One thing found, in words for a person, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code; each has a page in `docs/errors/`.
    pub code: Code,
    /// What it is about: a region, a name, an operation.
    pub subject: String,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    pub(super) fn new(
        code: Code,
        subject: impl ToString,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { code, subject: subject.to_string(), message: message.into(), remedy: remedy.into() }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name,)* }
        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];
            /// The code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Who is active is not known.
    TenureUnknown = "BSC-P001",
    /// Another operation has not ended.
    OperationOpen = "BSC-P002",
    /// The site has no such region.
    NoSuchRegion = "BSC-P003",
    /// The target is active already.
    AlreadyActive = "BSC-P004",
    /// A part that the move needs did not answer.
    NotObserved = "BSC-P005",
    /// The active region's database is not a primary.
    NotPrimary = "BSC-P006",
    /// The target's database is not a standby.
    NotStandby = "BSC-P007",
    /// The two databases are not copies of each other.
    NotSameDatabase = "BSC-P008",
    /// The standby is not receiving from the active region, or is on another timeline.
    NotStreaming = "BSC-P009",
    /// The standby is too far behind to catch up within the hold.
    TooFarBehind = "BSC-P010",
    /// A gate does not do what the tenure says it should.
    GateMismatch = "BSC-P011",
    /// A name can't be moved: it is not observed, or points somewhere unexpected.
    NameMismatch = "BSC-P012",
    /// No application instance could take users in the target.
    NoInstances = "BSC-P013",
    /// More may be lost than the objective allows, or how much is unknown.
    LossOverObjective = "BSC-P014",
    /// The region that would be failed away from is there.
    RegionNotGone = "BSC-P015",
    /// The region follows already.
    NothingToReinstate = "BSC-P016",
    /// Fewer members or instances are well than there are.
    Degraded = "BSC-P017",
    /// Nothing can stop a region that runs but can't be reached.
    NotFenced = "BSC-P018",
    /// Writes to the pool are held at this moment, by nobody's operation.
    HeldAlready = "BSC-P019",
    /// Writes wait for the other region.
    WritesWait = "BSC-P021",
    /// Gates and pools are what the tenure says.
    NothingToRestore = "BSC-P020",
    /// What a returned region has, and can't be saved, is lost by its reinstatement.
    Unsaved = "BSC-P022",
}
