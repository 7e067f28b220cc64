//! A region's database cluster: Patroni's REST API for what the cluster is told, SQL for what it did.
//!
//! What a promotion guarantees: Patroni promotes the standby cluster's leader, the member that receives
//! from the other region; its replicas cascade from it, so none can be ahead of it.

mod client;
mod divergence;
mod log;
mod look;
mod map;
mod permits;
mod rights;

pub use client::{MemberEndpoint, PatroniCluster, PatroniConfig, http_client};
pub use look::{Follows, Row, Settings};
pub use permits::Lacks;
pub use rights::Right;
