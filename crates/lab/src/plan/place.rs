//! Where something runs, and who decides there.

use std::str::FromStr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Where something runs: each place is a network namespace behind the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The first region; active when a lab is new.
    #[serde(rename = "us-east-2")]
    UsEast2,
    /// The second region.
    #[serde(rename = "us-west-1")]
    UsWest1,
    /// The third site: a vote and the hidden primary of the names, no data.
    #[serde(rename = "witness")]
    Witness,
    /// Where users and the operator are.
    #[serde(rename = "clients")]
    Clients,
}

impl Place {
    /// Every place, in the order of their addresses.
    pub const ALL: [Self; 4] = [Self::UsEast2, Self::UsWest1, Self::Witness, Self::Clients];
    /// The two regions.
    pub const REGIONS: [Self; 2] = [Self::UsEast2, Self::UsWest1];

    /// The name users type, which is also the network namespace's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsEast2 => "us-east-2",
            Self::UsWest1 => "us-west-1",
            Self::Witness => "witness",
            Self::Clients => "clients",
        }
    }

    /// Third octet of the place's network.
    #[must_use]
    pub const fn index(self) -> u8 {
        match self {
            Self::UsEast2 => 1,
            Self::UsWest1 => 2,
            Self::Witness => 3,
            Self::Clients => 9,
        }
    }

    /// Name of the router's end of the place's link (15 characters at most, by the kernel's IFNAMSIZ).
    #[must_use]
    pub fn link(self) -> String {
        format!("to-{}", self.name())
    }

    /// The other region; `None` for what is not a region.
    #[must_use]
    pub const fn other_region(self) -> Option<Self> {
        match self {
            Self::UsEast2 => Some(Self::UsWest1),
            Self::UsWest1 => Some(Self::UsEast2),
            Self::Witness | Self::Clients => None,
        }
    }

    /// The place of that name.
    ///
    /// # Errors
    /// When no place has the name: the message lists those that exist.
    pub fn parse(name: &str) -> anyhow::Result<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name).with_context(|| {
            format!("{name:?} is no place of the lab; places are {}", Self::ALL.map(Self::name).join(", "))
        })
    }

    /// The region of that name.
    ///
    /// # Errors
    /// When no region has the name: the message lists those that exist.
    pub fn parse_region(name: &str) -> anyhow::Result<Self> {
        Self::REGIONS.into_iter().find(|place| place.name() == name).with_context(|| {
            format!(
                "{name:?} is no region of the lab; regions are {}",
                Self::REGIONS.map(Self::name).join(", ")
            )
        })
    }
}

/// Who decides on a move; with anything but `manual` keepers hold the gates ("guarded").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabMode {
    /// A person; there are no keepers, and the store is a file.
    #[default]
    Manual,
    /// A person; keepers hold the gates, and say what they would do.
    Observe,
    /// The keepers.
    Automatic,
}

impl LabMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Observe, Self::Automatic];

    /// The word users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Observe => "observe",
            Self::Automatic => "automatic",
        }
    }
}

impl FromStr for LabMode {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == word);
        found.with_context(|| {
            format!("{word:?} is no mode; modes are {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
