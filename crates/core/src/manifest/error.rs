//! What can be wrong with a manifest: the code, the place, and what to write instead.
//!
//! Invariant: no error's text, nor the text that is shown beside it, holds a secret that was written
//! into the manifest by mistake.

use std::fmt;
use std::ops::Range;

use super::reader::is_secret;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        /// A kind of mistake. Its number never changes; `docs/errors/` has a page for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, in order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code, for example `BSC-M001`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $code,)*
                }
            }

            /// What the code means, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $title,)*
                }
            }
        }
    };
}

error_codes! {
    /// The file is not TOML.
    Syntax = "BSC-M001", "the file is not TOML";
    /// The format has another version.
    Version = "BSC-M002", "another version of the format";
    /// The file is larger than a manifest can be.
    TooLarge = "BSC-M003", "the file is too large";
    /// A key that the format does not have.
    UnknownKey = "BSC-M004", "unknown key";
    /// A key or a section that must be there.
    Missing = "BSC-M005", "something is missing";
    /// A text where a number belongs, and the like.
    WrongType = "BSC-M006", "a value of the wrong type";
    /// A secret that stands in the manifest.
    Secret = "BSC-M007", "a secret in the manifest";
    /// A name that breaks the rules for its kind.
    InvalidName = "BSC-M008", "not a valid name";
    /// A duration that can't be read.
    InvalidDuration = "BSC-M009", "not a duration";
    /// An address, with or without a port, that can't be read or used.
    InvalidAddress = "BSC-M010", "not an address";
    /// A value that is not one of those allowed.
    InvalidChoice = "BSC-M011", "not one of the choices";
    /// A text that is empty, too long, or has characters that can't stand there.
    InvalidText = "BSC-M012", "a text that cannot stand there";
    /// A front door that is not a plain address of a web site.
    InvalidUrl = "BSC-M013", "not a front door's address";
    /// A list that must have something in it.
    EmptyList = "BSC-M014", "an empty list";
    /// A duration outside its limits.
    DurationRange = "BSC-M015", "a duration outside its limits";
    /// More or fewer regions than two.
    RegionCount = "BSC-M016", "not exactly two regions";
    /// The home is not one of the regions.
    UnknownHome = "BSC-M017", "home is not one of the regions";
    /// Two members of the same name.
    DuplicateMember = "BSC-M018", "two members of the same name";
    /// An address used for two things.
    AddressReused = "BSC-M019", "one address for two things";
    /// The two regions' addresses for a target are of different families.
    MixedFamilies = "BSC-M020", "IPv4 in one region, IPv6 in the other";
    /// The recovery time is shorter than the pause.
    RtoBelowPause = "BSC-M021", "rto is shorter than max_pause";
    /// The time to live for a move is longer than the usual one.
    MoveTtlAboveTtl = "BSC-M022", "move_ttl is longer than ttl";
    /// A record that is not in the zone.
    OutsideZone = "BSC-M023", "a record outside the zone";
    /// Two records of the same name.
    DuplicateRecord = "BSC-M024", "two records of the same name";
    /// No record points at a target.
    NoRecordFor = "BSC-M025", "no record for a target";
    /// The front door's host does not move with the load balancer.
    FrontDoorHost = "BSC-M026", "the front door does not move";
    /// Not the address of a member of etcd.
    InvalidEndpoint = "BSC-M027", "not an endpoint of etcd";
    /// A key without the one that it belongs to.
    HalfAPair = "BSC-M028", "one of two that belong together";
    /// TLS is half there, or where it can't be.
    StoreTls = "BSC-M029", "the store's TLS does not fit its endpoints";
    /// A site that has no third place is to decide by itself.
    TwoPlaces = "BSC-M030", "two places cannot vote";
    /// Too few members of the store, or an even number.
    StoreMembers = "BSC-M031", "the store has no good majority";
    /// A region that nobody keeps.
    NoKeeper = "BSC-M032", "a region without a keeper";
    /// The recovery time is shorter than a failover by itself takes.
    RtoBelowClaim = "BSC-M033", "rto is shorter than a failover";
    /// Not a size.
    InvalidSize = "BSC-M034", "not a size";
    /// Not the address of something that answers HTTP.
    InvalidService = "BSC-M035", "not the address of a service";
    /// Not something that git can be asked for.
    InvalidRepository = "BSC-M036", "not a repository's URL";
    /// Two keys of which one is meant.
    TwoForOne = "BSC-M037", "two keys for one thing";
    /// Replication into a bucket that the other region does not have.
    UnknownBucket = "BSC-M038", "replicated to no bucket of the other region";
    /// Two assets of the same name.
    DuplicateAsset = "BSC-M039", "two assets of the same name";
    /// No loss of a region would ever be within the recovery point.
    RpoBelowHold = "BSC-M040", "rpo is shorter than a hold lasts";
    /// A kind of asset that the site is said to be without, and that is described.
    Contradiction = "BSC-M041", "described and said not to be there";
    /// An instance of a zone that is none of the region's, or is in two zones.
    ZoneInstance = "BSC-M042", "a zone's instance is not in one place";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One mistake in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message} ({help})")]
pub struct ManifestError {
    /// Its kind.
    pub code: ErrorCode,
    /// The bytes of the text to underline. Empty where something should be and is not.
    pub span: Range<usize>,
    /// What is wrong, one line, lower-case.
    pub message: String,
    /// A few words to stand under the place.
    pub label: String,
    /// What to write instead.
    pub help: String,
    /// A second place that has to do with it.
    pub also: Option<Also>,
}

/// A second place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Also {
    /// The bytes of the text to underline.
    pub span: Range<usize>,
    /// A few words to stand under it.
    pub label: String,
}

/// Every mistake found in a manifest, in the order of the text; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors {
    errors: Vec<ManifestError>,
    shown: String,
}

impl ManifestErrors {
    /// `secrets` are the places of literal secrets.
    pub(super) fn new(mut errors: Vec<ManifestError>, text: &str, secrets: &[Range<usize>]) -> Self {
        errors.sort_by_key(|error| (error.span.start, error.code));
        Self { errors, shown: mask(text, secrets) }
    }

    /// The mistakes.
    #[must_use]
    pub fn errors(&self) -> &[ManifestError] {
        &self.errors
    }

    /// The manifest's text to show beside the mistakes: every byte where it was, so that spans fit,
    /// but literal secrets written over with asterisks.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.errors.len() == 1 { "" } else { "s" };
        write!(f, "the manifest has {} error{plural}", self.errors.len())?;
        self.errors.iter().try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl std::error::Error for ManifestErrors {}

/// Write asterisks over the secrets that were found, and, since a text that is not TOML has no values yet,
/// over what follows `password =` and the like on a line, and over the login in an address.
fn mask(text: &str, secrets: &[Range<usize>]) -> String {
    let mut hidden = secrets.to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let secret = line.match_indices('=').find(|(at, _)| {
            let key = line[..*at].trim_end().trim_end_matches(['"', '\'']);
            is_secret(key)
        });
        hidden.extend(secret.map(|(at, _)| start + at + 1..end));
        if let (Some(from), Some(to)) = (line.find("://"), line.rfind('@')) {
            hidden.push(start + from + 3..start + to);
        }
        start = end;
    }
    let mut covered = vec![false; text.len()];
    for span in hidden {
        if let Some(bytes) = covered.get_mut(span) {
            bytes.fill(true);
        }
    }
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if covered[at] && c != '\n' {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}
