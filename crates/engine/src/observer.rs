//! Looks at everything at once. A part that does not answer is recorded as not observed, with the reason;
//! the bound on each look is its port's.

use std::collections::BTreeMap;

use bascule_core::id::{OperationId, RegionName};
use bascule_core::observation::{LastMove, NameAnswer, Observation, Observed, RegionObservation};
use bascule_core::operation::{Course, Operation, Outcome};
use bascule_core::plan::Kind;
use bascule_core::ports::StoreError;
use bascule_core::tenure::Tenure;
use bascule_core::time::{Timestamp, millis};
use tokio::task::JoinSet;

use crate::world::{RegionPorts, World};

/// Look at the whole site, side by side.
pub async fn observe(world: &World) -> Observation {
    let (regions, names) = tokio::join!(regions(world), names(world));
    let at = world.clock.now();
    let tenure = match world.tenures.tenure().await {
        Ok(Some(value)) => Observed::Seen { value, at },
        Ok(None) => Observed::NotObserved { why: "the site has not been founded".to_owned() },
        Err(error) => Observed::NotObserved { why: error.to_string() },
    };
    let open_operation = match open_operation(world).await {
        Ok(value) => Observed::Seen { value, at },
        Err(error) => Observed::NotObserved { why: error.to_string() },
    };
    let last_move = match &tenure {
        Observed::Seen { value, .. } => match last_move(world, value).await {
            Ok(value) => Observed::Seen { value, at },
            Err(error) => Observed::NotObserved { why: error.to_string() },
        },
        Observed::NotObserved { why } => Observed::NotObserved { why: why.clone() },
    };
    Observation { at, tenure, open_operation, last_move, regions, names }
}

/// The operation that has not ended, if there is one.
///
/// # Errors
/// The store's.
pub async fn open_operation(world: &World) -> Result<Option<OperationId>, StoreError> {
    // The newest is the only one that can be open: a second is refused while one is.
    let newest = world.journals.list(1).await?;
    Ok(newest.into_iter().find(|(_, open)| *open).map(|(header, _)| header.id))
}

/// Operations of one tenure that are looked through: restores and reinstatements that were tried again. What lies
/// before them is not read, and may have promoted.
const OPERATIONS_MAX: u32 = 50;

/// How the move that made a region active came out, in all operations of its tenure.
///
/// # Errors
/// The store's.
pub async fn last_move(world: &World, tenure: &Tenure) -> Result<LastMove, StoreError> {
    // One that was founded is what it was; one that was followed is whole.
    let Some(by) = tenure.by.as_ref().filter(|_| !tenure.settled) else { return Ok(LastMove::Finished) };
    let mut opened = false;
    let newest = world.journals.list(OPERATIONS_MAX).await?.into_iter().map(|(header, _)| header.id);
    let until = newest.take_while(|id| id != by).collect::<Vec<_>>();
    for id in until.iter().chain([by]) {
        let journal = world.journals.read(id).await?;
        let events = journal.entries.iter().map(|entry| &entry.event);
        let state = Operation::replay(journal.header.plan, events)
            .map_err(|error| StoreError::Damaged(format!("the journal of {id}: {error}")))?;
        opened |= state.may_have_promoted();
        let succeeded = state.course == Course::Ended { outcome: Outcome::Succeeded };
        if succeeded && state.may_have_promoted() {
            return Ok(LastMove::Finished);
        }
    }
    opened |= until.len() >= OPERATIONS_MAX as usize;
    Ok(LastMove::Unfinished { opened })
}

/// When gates and pools were first set anew since `since`; none if they were not.
///
/// # Errors
/// The store's.
pub async fn restored(world: &World, since: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let newest = world.journals.list(OPERATIONS_MAX).await?.into_iter().map(|(header, _)| header);
    let restores = newest.filter(|header| header.plan.kind == Kind::Restore && header.begun >= since);
    Ok(restores.map(|header| header.begun).min())
}

/// One region, as it is at this moment; none if the manifest has no such region.
pub async fn region(world: &World, region: &RegionName) -> Option<RegionObservation> {
    let ports = world.regions.get(region)?;
    let ((database, gate, pool), compute) = tokio::join!(parts(ports), world.front_door.compute(region));
    Some(RegionObservation { database, gate, pool, compute, lost_since: None })
}

/// Whether no part of a region answers at this moment; the sighting is recorded.
pub async fn is_dark(world: &World, region: &RegionName) -> bool {
    let Some(seen) = self::region(world, region).await else { return false };
    let dark = seen.is_dark();
    if let Err(error) = world.tenures.sight(region, dark, world.clock.now()).await {
        // A later look is recorded instead; until then more loss is assumed than there was.
        tracing::warn!(%region, %error, "sighting not recorded");
    }
    dark
}

async fn regions(world: &World) -> BTreeMap<RegionName, RegionObservation> {
    let mut looks = JoinSet::new();
    for (name, ports) in &world.regions {
        let (name, ports, front_door) = (name.clone(), ports.clone(), world.front_door.clone());
        looks.spawn(async move {
            let (seen, compute) = tokio::join!(parts(&ports), front_door.compute(&name));
            (name, seen, compute)
        });
    }
    let mut regions = BTreeMap::new();
    while let Some(joined) = looks.join_next().await {
        let Ok((name, (database, gate, pool), compute)) = joined else { continue };
        let mut region = RegionObservation { database, gate, pool, compute, lost_since: None };
        let sighted = world.tenures.sight(&name, region.is_dark(), world.clock.now()).await;
        region.lost_since = match sighted {
            Ok(since) => since.map(|since| gone_since(world, since)),
            Err(error) => {
                // Without the store no plan is made at all, so the missing instant misleads nobody.
                tracing::warn!(region = %name, %error, "sighting not recorded");
                None
            }
        };
        regions.insert(name, region);
    }
    regions
}

/// A region that was seen dark may let writes pass until its last renewal, which came before, runs out.
#[must_use]
pub fn gone_since(world: &World, dark_since: Timestamp) -> Timestamp {
    Timestamp(dark_since.0.saturating_add(millis(world.ttl)))
}

async fn parts(
    ports: &RegionPorts,
) -> (
    Observed<bascule_core::observation::DatabaseObservation>,
    Observed<bascule_core::observation::GateObservation>,
    Observed<bascule_core::observation::PoolObservation>,
) {
    tokio::join!(ports.database.observe(), ports.gate.observe(), ports.pool.observe())
}

async fn names(world: &World) -> BTreeMap<bascule_core::id::DnsName, Vec<NameAnswer>> {
    let mut looks = JoinSet::new();
    for name in world.records.keys() {
        let (name, names) = (name.clone(), world.names.clone());
        looks.spawn(async move {
            let answers = names.observe(&name).await;
            (name, answers)
        });
    }
    let mut all = BTreeMap::new();
    while let Some(joined) = looks.join_next().await {
        if let Ok((name, answers)) = joined {
            all.insert(name, answers);
        }
    }
    all
}
