//! What can be broken on purpose. Every name is checked here, before anything is touched.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::plan::{LabPlan, Place};

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The region's line is cut and every process in it killed at once; nothing is closed politely.
    RegionLoss {
        /// Which region.
        region: Place,
    },
    /// Every process of the region is stopped, and wakes up at `heal` believing no time has passed.
    RegionFreeze {
        /// Which region.
        region: Place,
    },
    /// Patroni and PostgreSQL of a node are killed.
    NodeLoss {
        /// The node's name.
        node: String,
    },
    /// A part and all that it started are killed: a keeper, a member of the store, a load balancer.
    PartLoss {
        /// The part's name.
        part: String,
    },
    /// A part and all that it started are stopped, and wake up at `heal`.
    PartFreeze {
        /// The part's name.
        part: String,
    },
    /// The postmaster of the region's leader is killed; Patroni lives on.
    DbCrash {
        /// Which region.
        region: Place,
    },
    /// Packets are dropped without a word.
    Partition(Cut),
    /// Database traffic between the regions is late.
    SlowLink {
        /// By how many milliseconds, in each direction.
        delay_ms: u64,
    },
    /// A node's data has no room left.
    DiskFull {
        /// The node's name.
        node: String,
    },
}

/// Which packets a partition drops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// All from and to a place.
    Place(Place),
    /// All between two places.
    Between(Place, Place),
    /// Those that go one way.
    OneWay {
        /// Where they come from.
        from: Place,
        /// Where they do not arrive.
        to: Place,
    },
    /// The database's ports between the regions: replication, and clients passed on.
    DatabaseLink,
}

/// Longest delay of a slow link: a second each way is worse than any line between regions (half the earth's
/// circumference takes 0.1 s in glass), and bounds what the proxy holds.
const DELAY_MAX_MS: u64 = 1000;

impl Fault {
    /// A region's loss.
    ///
    /// # Errors
    /// When there is no such region.
    pub fn region_loss(region: &str) -> anyhow::Result<Self> {
        Ok(Self::RegionLoss { region: Place::parse_region(region)? })
    }

    /// A region's freeze.
    ///
    /// # Errors
    /// When there is no such region.
    pub fn region_freeze(region: &str) -> anyhow::Result<Self> {
        Ok(Self::RegionFreeze { region: Place::parse_region(region)? })
    }

    /// A crash of a region's leading database.
    ///
    /// # Errors
    /// When there is no such region.
    pub fn db_crash(region: &str) -> anyhow::Result<Self> {
        Ok(Self::DbCrash { region: Place::parse_region(region)? })
    }

    /// A node's loss.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node_loss(plan: &LabPlan, node: &str) -> anyhow::Result<Self> {
        Ok(Self::NodeLoss { node: plan.node(node)?.1.name.clone() })
    }

    /// A part's loss.
    ///
    /// # Errors
    /// When there is no such part: the message lists those that exist.
    pub fn part_loss(plan: &LabPlan, part: &str) -> anyhow::Result<Self> {
        Ok(Self::PartLoss { part: known_part(plan, part)? })
    }

    /// A part's freeze.
    ///
    /// # Errors
    /// When there is no such part: the message lists those that exist.
    pub fn part_freeze(plan: &LabPlan, part: &str) -> anyhow::Result<Self> {
        Ok(Self::PartFreeze { part: known_part(plan, part)? })
    }

    /// A full disk.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn disk_full(plan: &LabPlan, node: &str) -> anyhow::Result<Self> {
        Ok(Self::DiskFull { node: plan.node(node)?.1.name.clone() })
    }

    /// A slow link.
    ///
    /// # Errors
    /// When the delay is zero or over a second.
    pub fn slow_link(delay_ms: u64) -> anyhow::Result<Self> {
        anyhow::ensure!(
            (1..=DELAY_MAX_MS).contains(&delay_ms),
            "a slow link is 1 to {DELAY_MAX_MS} ms slow in each direction, not {delay_ms}"
        );
        Ok(Self::SlowLink { delay_ms })
    }

    /// A partition: of a place (`R`), between two (`A:B`), one way (`--one-way from:to`) or of the database's link.
    ///
    /// # Errors
    /// When not exactly one of them is asked for, or a place does not exist.
    pub fn partition(whole: Option<&str>, one_way: Option<&str>, db_link: bool) -> anyhow::Result<Self> {
        let cut = match (whole, one_way, db_link) {
            (Some(text), None, false) => match text.split_once(':') {
                None => Cut::Place(Place::parse(text)?),
                Some(_) => {
                    let (a, b) = pair(text)?;
                    Cut::Between(a, b)
                }
            },
            (None, Some(text), false) => {
                let (from, to) = pair(text)?;
                Cut::OneWay { from, to }
            }
            (None, None, true) => Cut::DatabaseLink,
            _ => anyhow::bail!("say one of: a place, two places as A:B, --one-way FROM:TO, --db-link"),
        };
        Ok(Self::Partition(cut))
    }

    /// Whether `heal REGION` undoes it.
    #[must_use]
    pub fn concerns(&self, region: Place) -> bool {
        match self {
            Self::RegionLoss { region: of }
            | Self::RegionFreeze { region: of }
            | Self::DbCrash { region: of } => *of == region,
            Self::NodeLoss { node: name }
            | Self::DiskFull { node: name }
            | Self::PartLoss { part: name }
            | Self::PartFreeze { part: name } => name.starts_with(region.name()),
            Self::Partition(Cut::Place(place)) => *place == region,
            Self::Partition(Cut::Between(a, b)) => *a == region || *b == region,
            Self::Partition(Cut::OneWay { from, to }) => *from == region || *to == region,
            Self::Partition(Cut::DatabaseLink) | Self::SlowLink { .. } => true,
        }
    }

    /// One line for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::RegionLoss { region } => format!("region-loss {}", region.name()),
            Self::RegionFreeze { region } => format!("region-freeze {}", region.name()),
            Self::NodeLoss { node } => format!("node-loss {node}"),
            Self::PartLoss { part } => format!("part-loss {part}"),
            Self::PartFreeze { part } => format!("part-freeze {part}"),
            Self::DbCrash { region } => format!("db-crash {}", region.name()),
            Self::Partition(Cut::Place(place)) => format!("partition {}", place.name()),
            Self::Partition(Cut::Between(a, b)) => format!("partition {}:{}", a.name(), b.name()),
            Self::Partition(Cut::OneWay { from, to }) => {
                format!("partition --one-way {}:{}", from.name(), to.name())
            }
            Self::Partition(Cut::DatabaseLink) => "partition --db-link".to_owned(),
            Self::SlowLink { delay_ms } => format!("slow-link {delay_ms}"),
            Self::DiskFull { node } => format!("disk-full {node}"),
        }
    }
}

fn known_part(plan: &LabPlan, part: &str) -> anyhow::Result<String> {
    let parts = crate::part::parts(plan);
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    anyhow::ensure!(names.contains(&part), "{part:?} is no part of the lab; parts are {}", names.join(", "));
    Ok(part.to_owned())
}

fn pair(text: &str) -> anyhow::Result<(Place, Place)> {
    let (a, b) = text.split_once(':').with_context(|| format!("{text:?} is not two places as A:B"))?;
    let (a, b) = (Place::parse(a)?, Place::parse(b)?);
    anyhow::ensure!(a != b, "{} is not two places", a.name());
    Ok((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> LabPlan {
        LabPlan::new("lab", std::path::Path::new("/somewhere"))
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let told = |result: anyhow::Result<Fault>| result.unwrap_err().to_string();
        assert!(told(Fault::region_loss("mars")).ends_with("regions are us-east-2, us-west-1"));
        assert!(told(Fault::region_freeze("witness")).ends_with("regions are us-east-2, us-west-1"));
        assert!(told(Fault::db_crash("")).ends_with("regions are us-east-2, us-west-1"));
        assert!(told(Fault::node_loss(&plan(), "db1")).contains("nodes are us-east-2-db1, us-east-2-db2"));
        assert!(told(Fault::disk_full(&plan(), "us-east-2-lb")).contains("nodes are us-east-2-db1"));
        assert!(told(Fault::part_loss(&plan(), "keeper")).contains("parts are us-east-2-dcs"));
        assert!(told(Fault::part_freeze(&plan(), "us-east-2-keeper1")).contains("us-east-2-lb"));
        assert!(Fault::part_loss(&plan(), "witness-store").is_ok());
        assert!(told(Fault::partition(Some("mars"), None, false)).contains("places are us-east-2"));
        assert!(told(Fault::partition(Some("witness:witness"), None, false)).contains("not two places"));
        assert!(told(Fault::partition(Some("us-east-2"), None, true)).contains("say one of"));
        assert!(told(Fault::slow_link(1001)).contains("1 to 1000 ms"));
    }

    #[test]
    fn a_node_has_two_names() {
        assert_eq!(
            Fault::node_loss(&plan(), "db2.us-west-1").unwrap(),
            Fault::node_loss(&plan(), "us-west-1-db2").unwrap()
        );
    }

    #[test]
    fn a_region_is_healed_of_what_concerns_it_only() {
        let between = Fault::partition(Some("us-east-2:witness"), None, false).unwrap();
        assert!(between.concerns(Place::UsEast2) && !between.concerns(Place::UsWest1));
        let node = Fault::disk_full(&plan(), "us-west-1-db1").unwrap();
        assert!(node.concerns(Place::UsWest1) && !node.concerns(Place::UsEast2));
    }
}
