//! What is one for the whole site.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fact::{Fact, Listing, Source};
use super::region::{HealthCheck, Region};
use crate::asset::{AssetKind, Quantity};
use crate::document::Document;
use crate::id::{RegionName, SiteName};

/// Everything that is known of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The site.
    pub site: SiteName,
    /// The region it runs in: the one that is lost in its plans.
    pub home: Region,
    /// The region it moves to.
    pub away: Region,
    /// What was promised of it.
    pub promise: Promise,
    /// The assets that somebody says it has.
    pub wanted: Vec<Wanted>,
    /// How it is to be moved.
    pub paper: Fact<Paper>,
    /// Its names.
    pub dns: Listing<Record>,
    /// Where the servers of those names are.
    pub name_servers: Fact<Vec<Place>>,
    /// What watches it.
    pub monitoring: Listing<Monitoring>,
    /// Where its code is kept.
    pub repository: Listing<Repository>,
    /// What decides and acts for it.
    pub control: Control,
}

impl Facts {
    /// Both regions, home first.
    #[must_use]
    pub fn regions(&self) -> [&Region; 2] {
        [&self.home, &self.away]
    }

    /// Whether somebody says that the site has such an asset.
    #[must_use]
    pub fn wants(&self, kind: AssetKind) -> bool {
        self.wanted.iter().any(|w| w.kind == kind)
    }
}

/// What was promised. A seen "none" says that the place where it belongs is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Who answers for a move.
    pub owner: Fact<Option<String>>,
    /// Recovery point objective, in milliseconds.
    pub rpo_ms: Fact<Option<u64>>,
    /// How old the newest backup may be, in milliseconds.
    pub backup_rpo_ms: Fact<Option<u64>>,
    /// Recovery time objective, in milliseconds.
    pub rto_ms: Fact<Option<u64>>,
    /// How far back a restore must be able to reach, in seconds.
    pub retention_s: Fact<Option<u64>>,
}

/// An asset that a manifest, a document or code names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What it is.
    pub kind: AssetKind,
    /// Its name, as listings have it.
    pub name: String,
    /// What it is for; empty if nobody says.
    pub purpose: String,
    /// Its size, if one is said.
    pub size: Option<String>,
    /// How many, if a number is said.
    pub quantity: Option<Quantity>,
    /// Who says so.
    pub from: Source,
}

/// How a site is to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paper {
    /// By people who follow a document.
    Written(Document),
    /// By plans that the planner makes from a manifest.
    Planned,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// One of the site's regions, or another one.
    Region(RegionName),
    /// Neither region: a third place, or a provider that is in many.
    Elsewhere(String),
}

impl Place {
    /// Whether it is that region.
    #[must_use]
    pub fn is(&self, region: &RegionName) -> bool {
        match self {
            Place::Region(name) => name == region,
            Place::Elsewhere(_) => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Region(region) => region.fmt(f),
            Place::Elsewhere(place) => f.write_str(place),
        }
    }
}

/// A name that users or the application resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Whether a move can change it: it is in code or in the manifest.
    pub managed: Fact<bool>,
    /// How long an answer may be kept, in seconds.
    pub ttl_s: Fact<u32>,
    /// The regions that it has an address for.
    pub targets: Fact<Vec<RegionName>>,
    /// What decides which address is answered; none if nothing does.
    pub health_check: Fact<Option<HealthCheck>>,
}

/// Something that watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Where it runs.
    pub places: Fact<Vec<Place>>,
    /// How many targets it has.
    pub targets: Fact<u32>,
    /// How many of them answer it.
    pub targets_up: Fact<u32>,
}

/// A repository of the code that creates the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Whether it can be read.
    pub reachable: Fact<bool>,
    /// Where it and its mirrors are kept.
    pub places: Fact<Vec<Place>>,
    /// How what runs differs from what it says.
    pub drift: Fact<Drift>,
}

/// How what runs differs from what code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// How many resources differ.
    pub resources: u32,
}

/// What decides and acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The members of the store, each with its vote.
    pub voters: Fact<Vec<Voter>>,
    /// The keepers of both regions; none where a person moves the site.
    pub keepers: Fact<Vec<Keeper>>,
    /// What a move calls beside the regions themselves.
    pub planes: Fact<Vec<ControlPlane>>,
    /// What stops a region that is cut off but runs, and when; none where nothing does.
    pub fence: Fact<Option<String>>,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Fact<Place>,
}

/// A keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeper {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: RegionName,
    /// Its version.
    pub version: Fact<String>,
}

/// What a control plane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlPlaneKind {
    /// Where the code that creates things remembers what it created.
    StateStore,
    /// Who may log in.
    Identity,
    /// Where names are changed.
    Names,
    /// Where tenure and journals are kept.
    Tenure,
}

impl ControlPlaneKind {
    /// The words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ControlPlaneKind::StateStore => "state store",
            ControlPlaneKind::Identity => "identity",
            ControlPlaneKind::Names => "names",
            ControlPlaneKind::Tenure => "tenure",
        }
    }
}

/// Something a move calls that is in no region's part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlPlane {
    /// What it is for.
    pub kind: ControlPlaneKind,
    /// Its name.
    pub name: String,
    /// Where it runs: any one of them is enough.
    pub places: Fact<Vec<Place>>,
}
