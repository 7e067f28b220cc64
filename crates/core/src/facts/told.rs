//! How a fact's value is told in a few words. Lists are cut: evidence is read by people.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ControlPlane, Destination, Drift, Fact, HealthCheck, Instance, Keeper, Member, Node, Paper, Permissions,
    Place, Quota, Skew, Targets, Voter, WayBack,
};
use crate::id::RegionName;
use crate::observation::ClusterRole;

/// Names told of a list: a cluster of three in two regions, and some more.
const NAMES_MAX: usize = 8;

/// A value that can be told.
pub(crate) trait Told {
    /// In a few words.
    fn told(&self) -> String;
}

/// The first names of a list, and how many more there are.
pub(crate) fn list<I, S>(names: I) -> String
where
    I: IntoIterator<Item = S, IntoIter: ExactSizeIterator>,
    S: AsRef<str>,
{
    let names = names.into_iter();
    // counted without walking through: the list of a region may be told once for each of its assets
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut text = String::new();
    for (index, name) in names.take(NAMES_MAX).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(name.as_ref());
    }
    match (text.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => text,
        (false, more) => format!("{text} and {more} more"),
    }
}

macro_rules! told_as {
    ($($kind:ty: $value:ident => $text:expr;)*) => {
        $(impl Told for $kind {
            fn told(&self) -> String {
                let $value = self;
                $text
            }
        })*
    };
}

told_as! {
    bool: v => (if *v { "yes" } else { "no" }).to_owned();
    u16: v => v.to_string();
    u32: v => v.to_string();
    u64: v => v.to_string();
    String: v => v.clone();
    RegionName: v => v.to_string();
    Place: v => v.to_string();
    Vec<u16>: v => list(v.iter().map(u16::to_string));
    Vec<String>: v => list(v);
    BTreeSet<String>: v => list(v);
    Vec<RegionName>: v => list(v.iter().map(RegionName::as_str));
    Vec<Place>: v => list(v.iter().map(Place::to_string));
    Vec<Instance>: v => format!("{} ({})", v.len(), list(v.iter().map(|i| &i.name)));
    Vec<Node>: v => format!("{} ({})", v.len(), list(v.iter().map(|n| &n.name)));
    Vec<Member>: v => format!("{} ({})", v.len(), list(v.iter().map(|m| &m.name)));
    Vec<Voter>: v => format!("{} ({})", v.len(), list(v.iter().map(|m| &m.name)));
    Vec<Keeper>: v => format!("{} ({})", v.len(), list(v.iter().map(|m| &m.name)));
    Destination: v => format!("{} in {}", v.bucket, v.region);
    Vec<ControlPlane>: v => list(v.iter().map(|p| &p.name));
    BTreeMap<String, Fact<String>>: v => list(v.keys());
    BTreeMap<String, Quota>: v => list(v.keys());
    Targets: v => format!("{} attached, {} healthy", v.attached, v.healthy);
    Drift: v => format!("{} resources differ", v.resources);
    Permissions: v => format!("{} granted; refused: {}", v.granted.len(), list(&v.refused));
    HealthCheck: v => format!("{} must answer {} to {}", v.path, v.passes_from, v.passes_to);
    ClusterRole: v => match v {
        ClusterRole::Primary => "primary".to_owned(),
        ClusterRole::Standby => "standby".to_owned(),
        ClusterRole::Leaderless => "no leader".to_owned(),
    };
    Skew: v => format!("{} to {}", v.least_ms, v.most_ms);
    WayBack: v => match v {
        WayBack::Rewound => "rewound".to_owned(),
        WayBack::Recreated => "created anew".to_owned(),
        WayBack::Closed => "none".to_owned(),
    };
    Paper: v => match v {
        Paper::Written(document) => format!("a document with {} plans", document.plans.len()),
        Paper::Planned => "made by the planner".to_owned(),
    };
}

impl<T: Told> Told for Option<T> {
    fn told(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Told::told)
    }
}
