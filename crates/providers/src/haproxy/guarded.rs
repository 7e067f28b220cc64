//! The gate of a region whose commits wait for a keeper's permit.
//!
//! A commit that waits for a permit which will not come keeps its session in the database, and HAProxy keeps its
//! side of it open until the database has hung up. So whoever closes this gate also has the database end those
//! sessions. Their clients are told nothing (the commit stands in this region's log alone) and the rows are
//! set aside when the region is reinstated.

use async_trait::async_trait;
use bascule_core::id::Epoch;
use bascule_core::observation::{GateObservation, GateState, Observed};
use bascule_core::ports::{Gate, PortError};

use super::HaproxyGate;
use crate::patroni::PatroniCluster;

/// A gate and the database behind it.
pub struct GuardedGate {
    gate: HaproxyGate,
    cluster: PatroniCluster,
}

impl GuardedGate {
    /// Both.
    #[must_use]
    pub fn new(gate: HaproxyGate, cluster: PatroniCluster) -> Self {
        Self { gate, cluster }
    }
}

#[async_trait]
impl Gate for GuardedGate {
    async fn observe(&self) -> Observed<GateObservation> {
        self.gate.observe().await
    }

    async fn set(&self, state: GateState, epoch: Epoch) -> Result<(), PortError> {
        match state {
            GateState::Local => self.gate.set(state, epoch).await,
            GateState::Closed | GateState::Remote => {
                let (set, ended) = tokio::join!(self.gate.set(state, epoch), self.cluster.end_waiting());
                if let Err(error) = ended {
                    // A database that can't be asked holds no session open; if it does, the gate says so.
                    tracing::debug!(%error, "sessions that wait for a permit were not ended");
                }
                set
            }
        }
    }
}
