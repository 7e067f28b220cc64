//! A write through one region's own load balancer: what a keeper and the witness look with.
//!
//! It asks for `/readyz`, which an instance answers only after it has written to the database. So the load
//! balancer, an instance, the pool, the gate and the database must all do their part, and no row of a
//! user's is touched.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{DnsName, RegionName};
use bascule_core::ports::Probe;

/// Regions' front doors.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    /// The name that the load balancer is asked for.
    host: DnsName,
    doors: BTreeMap<RegionName, SocketAddr>,
    within: Duration,
    http: reqwest::Client,
}

impl HttpProbe {
    /// A probe that waits for an answer as long as `within`.
    #[must_use]
    pub fn new(
        host: DnsName,
        doors: BTreeMap<RegionName, SocketAddr>,
        within: Duration,
        http: reqwest::Client,
    ) -> Self {
        Self { host, doors, within, http }
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn write_at(&self, region: &RegionName) -> Result<(), String> {
        let Some(door) = self.doors.get(region) else {
            return Err(format!("the manifest has no region {region}"));
        };
        let request = self.http.get(format!("http://{door}/readyz")).header("host", self.host.as_str());
        match request.timeout(self.within).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{door} answers {}", answer.status())),
            Err(error) if error.is_timeout() => {
                Err(format!("{door}: no answer within {} ms", self.within.as_millis()))
            }
            Err(error) if error.is_connect() => Err(format!("{door}: no connection")),
            Err(error) => Err(format!("{door}: {error}")),
        }
    }
}
