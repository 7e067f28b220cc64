//! Whether users are served, and serving them again.

use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::RegionName;
use bascule_core::observation::GateState;
use bascule_core::ports::PortError;
use bascule_core::tenure;
use tokio::time::sleep;

use super::waits::SLOW_POLL;
use super::{Attempt, Setting};

/// Between two looks whether users are served while a region is waited for: each asks a gate and a pool, some 10 ms of work.
pub(super) const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// Answers may be cached for a moment, and instances reconnect: ask until the step's bound.
pub(super) async fn verify(setting: &Setting, region: &RegionName) -> Result<Evidence, Attempt> {
    loop {
        if let Ok(served_by) = setting.world.front_door.write().await
            && served_by == region.as_str()
        {
            return Ok(Evidence::note(format!("wrote, read back and removed a row, served by {served_by}")));
        }
        serve_again(setting, region).await;
        sleep(SLOW_POLL).await;
    }
}

pub(super) async fn serve_again(setting: &Setting, region: &RegionName) {
    if let Err(error) = open_again(setting, region).await {
        tracing::debug!(%region, %error, "not opened again; tried at the next look");
    }
}

/// A load balancer that was restarted since it was opened is closed, and a late call may have the pool hold. While
/// the operation is open nobody else mends either, and users would wait for its end. It is what the journal says
/// of this region already, so it is no step of its own. The tenure is asked for before each call, as before any other to a gate:
/// the region must be active by this operation, or in an operation that moves nothing.
async fn open_again(setting: &Setting, region: &RegionName) -> Result<(), PortError> {
    let Some(ports) = setting.world.regions.get(region) else { return Ok(()) };
    let (gate, pool) = tokio::join!(ports.gate.observe(), ports.pool.observe());
    let closed = gate.seen().is_some_and(|gate| gate.state == GateState::Closed);
    let held = pool.seen().is_some_and(|pool| pool.held);
    if !closed && !held {
        return Ok(());
    }
    let tenure =
        setting.world.tenures.tenure().await.map_err(|error| PortError::Refused(error.to_string()))?;
    let own = |tenure: &tenure::Tenure| {
        let by_this = tenure.by.as_ref() == Some(&setting.operation);
        &tenure.active == region && (by_this || tenure.epoch == setting.base)
    };
    let Some(tenure) = tenure.filter(own) else { return Ok(()) };
    if closed {
        ports.gate.set(GateState::Local, tenure.epoch).await?;
    }
    if held {
        ports.pool.release().await?;
    }
    Ok(())
}
