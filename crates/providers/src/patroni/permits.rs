//! Whose confirmation a cluster's commits wait for: told to its manager, and then seen at its members.
//!
//! Invariant: that the manager took the change is not taken for its effect. Under `synchronous_mode` it keeps the
//! setting for itself, and a member reads it only in its manager's next round.

use std::time::Duration;

use bascule_core::id::MemberName;
use bascule_core::permit;
use bascule_core::ports::PortError;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::client::PatroniCluster;
use super::look::Settings;
use crate::ANSWER;

/// Between two questions to a member.
const POLL: Duration = Duration::from_millis(50);

/// A member that does not show the setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacks {
    /// Which.
    pub member: MemberName,
    /// What it shows; `Err` is why it could not be asked.
    pub shows: Result<String, String>,
}

impl PatroniCluster {
    /// Have every commit wait until a keeper has confirmed it, or no longer: on all members, through the cluster
    /// manager, which without `synchronous_mode` leaves the setting as it is given.
    ///
    /// # Errors
    /// The manager's.
    pub async fn require_permits(&self, required: bool) -> Result<(), PortError> {
        let names = required.then(permit::setting);
        let parameters = json!({ "synchronous_standby_names": names });
        self.configure(&json!({ "postgresql": { "parameters": parameters } })).await
    }

    /// Wait until every member that answers shows that, and name those that do not: and how long was waited.
    pub async fn await_permits(&self, required: bool) -> (Vec<Lacks>, Duration) {
        let within = match self.settings().await {
            Ok((_, settings)) => round(&settings),
            Err(_) => round(&Settings::default()),
        };
        let begun = Instant::now();
        loop {
            let lacking = self.lacking(required).await;
            if lacking.iter().all(|one| one.shows.is_err()) || begun.elapsed() >= within {
                return (lacking, begun.elapsed());
            }
            sleep(POLL).await;
        }
    }

    async fn lacking(&self, required: bool) -> Vec<Lacks> {
        let mut lacking = Vec::new();
        for member in &self.config().members {
            let rows = self.ask(&member.name, "SHOW synchronous_standby_names").await;
            let shows = rows.map(|rows| rows.into_iter().flatten().flatten().next().unwrap_or_default());
            if shows.as_ref().is_ok_and(|names| permit::is_required_by(names) == required) {
                continue;
            }
            lacking.push(Lacks { member: member.name.clone(), shows });
        }
        lacking
    }
}

/// How long a member may take: its manager's round that is under way may wait for the cluster's own store, then it sleeps;
/// then the server reads its files anew, and is asked.
fn round(settings: &Settings) -> Duration {
    settings.retry_timeout + settings.loop_wait + 2 * ANSWER
}
