//! Everything that checks, inventory and document look at, as plain data: one model for what was seen of a
//! running system and for what code that creates it says.
//!
//! Invariant: a property that somebody would have to look at is a [`Fact`]; one that nobody looked at is
//! "not observed" and never a default. There are exactly two regions. What is left out: judging (that is
//! [`crate::check`]), and how a fact is come by (observers and importers).

mod evidence;
mod fact;
mod region;
mod relation;
mod site;
pub(crate) mod told;

pub use evidence::Evidence;
pub use fact::{Fact, Listing, Source};
pub use region::{
    Bucket, Cluster, Compute, Database, Destination, HealthCheck, Instance, KeyPair, LoadBalancer, Member,
    Network, Node, Permissions, Quota, Region, Skew, Targets, WayBack,
};
pub use relation::{Copies, Reach};
pub use site::{
    Control, ControlPlane, ControlPlaneKind, Drift, Facts, Keeper, Monitoring, Paper, Place, Promise, Record,
    Repository, Voter, Wanted,
};
