//! Whether the region that an operation made active is lost: what a person's `bascule abandon` has to show.
//!
//! Invariant: lost is only what was seen to be, and each reason to doubt it is said with what to do about it. That
//! somebody could not be asked speaks neither for the region nor against it.
//!
//! Leaves out: the keepers' own abandoning, which asks the other places for their word.

use std::time::Duration;

use bascule_core::action::Action;
use bascule_core::id::{Epoch, OperationId, RegionName, Term};
use bascule_core::ports::StoreError;
use bascule_core::tenure::Tenure;
use bascule_core::tenure::timing::Timing;
use bascule_core::time::millis;
use tokio::time::{Instant, timeout};

use crate::observer;
use crate::perform::{self, Attempt, CONFIRM_WITHIN, Setting, Turning, WAITED_OUT_WITHIN};
use crate::world::World;

/// Why a region is not taken to be lost, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLost {
    /// Its keepers live.
    #[error(
        "the keepers of {region} still renew its tenure ({times} times within {ms} ms): `bascule resume` finishes the \
         operation; to give {region} up all the same, `bascule release`, then `bascule abandon` again"
    )]
    Renewed {
        /// The region.
        region: RegionName,
        /// How often, while it was looked at.
        times: u64,
        /// How long it was looked at.
        ms: u64,
    },
    /// Nobody renews on this site, and one of the two places that must see it as lost does not.
    #[error(
        "not enough places see {region} as lost ({why}): `bascule resume` finishes the operation; to give {region} up \
         all the same, stop what is left of it, then `bascule abandon` again"
    )]
    Seen {
        /// The region.
        region: RegionName,
        /// What was seen of it, and by whom.
        why: String,
    },
    /// Somebody who had to be asked did not answer.
    #[error(
        "it is unknown whether {region} is lost, since {whom} could not be asked ({why}): bring {whom} back, \
         then `bascule abandon` again"
    )]
    Unknown {
        /// The region.
        region: RegionName,
        /// Who had to be asked.
        whom: String,
        /// What is known of that.
        why: String,
    },
    /// There is nothing to abandon any more.
    #[error("{region} is not active in epoch {epoch} any more: `bascule status` says what is")]
    Over {
        /// The region that the operation made active.
        region: RegionName,
        /// In which epoch.
        epoch: Epoch,
    },
}

impl NotLost {
    /// What it means that a tenure was not seen to stand still within `waited`: `before` was read when the wait began
    /// and `now` when it was over.
    #[must_use]
    pub fn after_waiting(before: &Tenure, now: Result<Option<Tenure>, StoreError>, waited: Duration) -> Self {
        let region = before.active.clone();
        let unknown = |why| Self::Unknown { region: region.clone(), whom: "the store".to_owned(), why };
        let ms = millis(waited);
        match now {
            Err(StoreError::Unavailable(why)) => unknown(why),
            Err(error) => unknown(error.to_string()),
            Ok(Some(now)) if now.epoch == before.epoch && now.active == before.active => {
                match now.renewals.saturating_sub(before.renewals) {
                    // It stood still all the time, but was not read often enough to know.
                    0 => unknown(format!("not often enough within {ms} ms")),
                    times => Self::Renewed { region, times, ms },
                }
            }
            Ok(Some(_) | None) => Self::Over { region, epoch: before.epoch },
        }
    }
}

/// Show that the active region is lost, as a failover away from it would: its tenure stands still, or, where nobody
/// renews, nothing of it answers and it feeds nobody.
pub(crate) async fn prove(
    world: &World,
    operation: &OperationId,
    tenure: &Tenure,
    survivor: &RegionName,
) -> Result<String, NotLost> {
    let setting = Setting {
        world: world.clone(),
        operation: operation.clone(),
        term: Term(0),
        base: tenure.epoch,
        from: tenure.active.clone(),
        to: survivor.clone(),
        source: None,
        turning: Turning::NEVER,
    };
    if world.ttl.is_zero() { dark(setting).await } else { still(setting, tenure).await }
}

/// Two places have to see nothing of it: this one, and the region that it should be feeding.
async fn dark(setting: Setting) -> Result<String, NotLost> {
    let (region, survivor) = (setting.from.clone(), setting.to.clone());
    if !observer::is_dark(&setting.world, &region).await {
        return Err(NotLost::Seen { why: format!("{region} answers here"), region });
    }
    let action = Action::ConfirmLost { region: region.clone() };
    match perform::bounded(setting, action, millis(CONFIRM_WITHIN)).await {
        Attempt::Done(evidence) => Ok(evidence.note),
        Attempt::Failed(why) | Attempt::Refuted(why) | Attempt::Fenced(why) => {
            Err(NotLost::Seen { region, why })
        }
        Attempt::Unknown(why) => Err(NotLost::Unknown { region, whom: survivor.to_string(), why }),
    }
}

async fn still(setting: Setting, tenure: &Tenure) -> Result<String, NotLost> {
    let (region, epoch) = (tenure.active.clone(), tenure.epoch);
    let (world, began) = (setting.world.clone(), Instant::now());
    let still = Timing::of(world.ttl).claim_after();
    let action = Action::WaitOut { region, epoch, still_ms: millis(still) };
    match perform::bounded(setting, action, millis(still + WAITED_OUT_WITHIN)).await {
        Attempt::Done(evidence) => Ok(evidence.note),
        Attempt::Failed(_) | Attempt::Refuted(_) | Attempt::Unknown(_) | Attempt::Fenced(_) => {
            let silent = |_| Err(StoreError::Unavailable("no answer in time".to_owned()));
            let now = timeout(WAITED_OUT_WITHIN, world.tenures.tenure()).await.unwrap_or_else(silent);
            Err(NotLost::after_waiting(tenure, now, began.elapsed()))
        }
    }
}
