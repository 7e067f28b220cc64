//! Whether users are served, and serving them again.
//!
//! The race it handles: a controller that slept wakes here after another one took its operation over, ended it, and a switchover has
//! closed the gate. So the store is asked whether this controller is still the one before each call, not only what the tenure is. What is left is a sleep
//! between that answer and the call, as with any other call.

use std::time::Duration;

use bascule_core::action::Evidence;
use bascule_core::id::RegionName;
use bascule_core::observation::GateState;
use bascule_core::ports::PortError;
use bascule_core::tenure;
use tokio::time::{sleep, timeout};

use super::waits::SLOW_POLL;
use super::{Attempt, Setting};

/// Each call to a gate or a pool takes at most the provider's two time-outs; a look costs some 10 ms.
const WITHIN: Duration = Duration::from_secs(2);
/// As long as a request to the store may take.
const BEAT_WITHIN: Duration = Duration::from_secs(1);

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
    match timeout(WITHIN, open_again(setting, region)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%region, %error, "not opened again; tried at the next look"),
        Err(_) => tracing::debug!(%region, "not opened again in time; tried at the next look"),
    }
}

/// A load balancer that was restarted since it was opened is closed, and a late call may have the pool hold. While
/// the operation is open nobody else mends either, and users would wait for its end. It is what the journal says
/// of this region already, so it is no step of its own: the region must be active by this operation, or in an operation that moves
/// nothing.
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
        still_ours(setting).await?;
        ports.gate.set(GateState::Local, tenure.epoch).await?;
    }
    if held {
        still_ours(setting).await?;
        ports.pool.release().await?;
    }
    Ok(())
}

/// As before a step's call, whose intent is appended first: a controller that was relieved makes none. An answer that took long
/// may have been overtaken while this process slept.
async fn still_ours(setting: &Setting) -> Result<(), PortError> {
    let clock = &setting.world.clock;
    let asked = clock.mono();
    let beat = setting.world.journals.beat(&setting.operation, setting.term).await;
    beat.map_err(|error| PortError::Refused(error.to_string()))?;
    let took = clock.mono().since(asked);
    if took > BEAT_WITHIN {
        return Err(PortError::Refused(format!("the store's answer took {} ms", took.as_millis())));
    }
    Ok(())
}
