//! A disaster-recovery document: what a team wrote down, each thing with the line it stands on.
//!
//! Readers make it, checks judge it, and the document that is written from observation has the same shape.
//! Nothing here is a fact about the site: it is what somebody claimed.

use serde::{Deserialize, Serialize};

use crate::asset::{AssetKind, Protection, Quantity};

/// The document. Line numbers count from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The places under "Zones", the first being the region that is active.
    pub zones: Vec<Zone>,
    /// The rows of the table, without the template's own sample row.
    pub assets: Vec<Row>,
    /// The paragraphs under "Descriptions".
    pub descriptions: Vec<Prose>,
    /// Its plans; most have one.
    pub plans: Vec<WrittenPlan>,
}

/// A place, as it was written: it need not be a region that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub line: usize,
}

/// A paragraph or a list's item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prose {
    /// Its text, on one line.
    pub text: String,
    /// Where it begins.
    pub line: usize,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What it is; none if its words do not say.
    pub kind: Option<AssetKind>,
    /// What it is called.
    pub name: String,
    /// What it is for; empty if nothing is said.
    pub purpose: String,
    /// Its size; none if nothing, or that there is none, is said.
    pub size: Option<String>,
    /// How many; none if no number is said.
    pub quantity: Option<Quantity>,
    /// What is said of its protection.
    pub dr: DrCell,
    /// The zones that the row itself names.
    pub zones: Vec<String>,
    /// Where it stands.
    pub line: usize,
}

/// A cell of the DR column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrCell {
    /// Nothing is said: empty, a dash, or the template's own question.
    Empty,
    /// Something is said.
    Said {
        /// The words.
        text: String,
        /// What they mean; none if that can't be told.
        protection: Option<Protection>,
    },
}

/// One plan of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPlan {
    /// Its heading.
    pub title: String,
    /// Where that stands.
    pub line: usize,
    /// What is to be done beforehand.
    pub pre_steps: Vec<WrittenStep>,
    /// What is to be done when the region is lost, in order.
    pub steps: Vec<WrittenStep>,
}

/// One step of a written plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenStep {
    /// The words.
    pub text: String,
    /// What they ask for, in the order of the words; empty if that can't be told.
    pub intents: Vec<Intent>,
    /// The zones it names.
    pub zones: Vec<String>,
    /// Whoever is to do it, if that is said.
    pub owner: Option<String>,
    /// Whether it is ticked off.
    pub done: Option<bool>,
    /// Where it begins.
    pub line: usize,
}

/// What a written step asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Point names at the other region.
    MoveNames,
    /// Make the other region's database the primary.
    PromoteDatabase,
    /// Keep the old region from writing.
    Fence,
    /// Stop users' writes, or queue them.
    HoldWrites,
    /// Prove that the new region serves.
    Verify,
    /// Go back, or make the old region the standby.
    Failback,
    /// Bring an asset to a number.
    Scale {
        /// Which.
        kind: AssetKind,
        /// How many, as it is said.
        to: Quantity,
    },
    /// Create an asset in the other region, or in each.
    Deploy {
        /// Which; none for "everything", "the infrastructure".
        kind: Option<AssetKind>,
    },
    /// Restore from a backup.
    Restore,
    /// Tell people.
    Notify,
    /// Let the database or the site fail over by itself.
    AutomaticFailover,
    /// Reach the database by a name.
    NameForDatabase,
}
