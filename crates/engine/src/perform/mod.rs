//! What each action does to the world.
//!
//! Every one is idempotent and looks before it acts; a port that can't say whether it acted makes the
//! step unknown, and the next attempt looks again.

mod parted;
mod serve;
mod waits;

use std::time::Duration;

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{DnsName, Epoch, OperationId, RegionName, StepId, Term};
use bascule_core::observation::GateState;
use bascule_core::operation::Operation;
use bascule_core::plan::Step;
use bascule_core::ports::{PortError, Record, StoreError};
use bascule_core::position::Position;
use bascule_core::tenure;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::world::{RegionPorts, World};

/// Looks at a lost region and at the one it fed: each takes at most the provider's 1 s, and a feed twice [`waits::SILENCE`].
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// Past the wait itself: a few questions to the store.
pub(crate) const WAITED_OUT_WITHIN: Duration = Duration::from_secs(1);

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    Done(Box<Evidence>),
    Failed(String),
    /// Not done, in no attempt: see [`bascule_core::operation::Event::Refuted`].
    Refuted(String),
    Unknown(String),
    /// Somebody newer is in charge.
    Fenced(String),
}

impl From<PortError> for Attempt {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Refused(why) => Attempt::Failed(why),
            PortError::Unknown(why) => Attempt::Unknown(why),
        }
    }
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(why) => Attempt::Fenced(why),
            // The holder lives after all. Every attempt claims at the renewals in the journal, and renewals
            // only grow: none can have succeeded, and none will. The operation turns back.
            StoreError::Tenure(why @ tenure::Illegal::Renewed { .. }) => Attempt::Refuted(why.to_string()),
            StoreError::Tenure(why) => Attempt::Fenced(why.to_string()),
            StoreError::Busy(_)
            | StoreError::NoSuchOperation(_)
            | StoreError::Conflict { .. }
            | StoreError::Damaged(_) => Attempt::Failed(error.to_string()),
            StoreError::Unavailable(_) => Attempt::Unknown(error.to_string()),
        }
    }
}

/// What an action may use of its operation.
#[derive(Clone)]
pub(crate) struct Setting {
    pub world: World,
    pub operation: OperationId,
    pub term: Term,
    /// The epoch that its plan was made in.
    pub base: Epoch,
    pub from: RegionName,
    pub to: RegionName,
    /// What an earlier step read, if this one needs it.
    pub source: Option<Evidence>,
    /// Whether the operation is about to turn back.
    pub turning: Turning,
}

/// Whether an operation is about to turn back: a wait that settles nothing then ends.
#[derive(Clone)]
pub(crate) struct Turning(Option<watch::Receiver<bool>>);

impl Turning {
    /// It is not, and nobody would say so: what takes back is not cut short.
    pub(crate) const NEVER: Self = Self(None);

    /// As the executor says.
    pub(crate) fn of(sender: &watch::Sender<bool>) -> Self {
        Self(Some(sender.subscribe()))
    }

    /// Sleep, unless it turns back: whatever was done before that is taken back.
    async fn or_sleep(&self, wait: Duration) -> Result<(), Attempt> {
        let turned = async {
            let turns = match self.0.clone() {
                Some(mut turning) => turning.wait_for(|turns| *turns).await.is_ok(),
                None => false,
            };
            if !turns {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = sleep(wait) => Ok(()),
            () = turned => Err(Attempt::Unknown("its wait was cut short: the operation turns back".to_owned())),
        }
    }
}

impl Setting {
    pub(crate) fn new(
        world: &World,
        id: &OperationId,
        term: Term,
        state: &Operation,
        action: &Action,
    ) -> Self {
        let source: Option<&StepId> = match action {
            Action::AwaitReplay { position_of, .. } | Action::AwaitShutdownRecord { position_of, .. } => {
                Some(position_of)
            }
            Action::Commit { claims, .. } => claims.as_ref(),
            Action::Checkpoint { .. }
            | Action::SetTtl { .. }
            | Action::HoldWrites { .. }
            | Action::ReleaseWrites { .. }
            | Action::SetGate { .. }
            | Action::ReadEnd { .. }
            | Action::WaitOut { .. }
            | Action::StandDown { .. }
            | Action::Promote { .. }
            | Action::MoveName { .. }
            | Action::AwaitFollowing { .. }
            | Action::VerifyWrite { .. }
            | Action::ConfirmLost { .. }
            | Action::ReadFork { .. }
            | Action::Renumber { .. }
            | Action::SaveDivergence { .. } => None,
        };
        Self {
            world: world.clone(),
            operation: id.clone(),
            term,
            base: state.plan.base,
            from: state.plan.from.clone(),
            to: state.plan.to.clone(),
            source: source.and_then(|step| state.evidence(step)).cloned(),
            turning: Turning::NEVER,
        }
    }

    fn region(&self, region: &RegionName) -> Result<&RegionPorts, Attempt> {
        self.world
            .regions
            .get(region)
            .ok_or_else(|| Attempt::Failed(format!("the manifest has no region {region} any more")))
    }

    fn position(&self) -> Result<Position, Attempt> {
        let position = self.source.as_ref().and_then(|evidence| evidence.position);
        position.ok_or_else(|| Attempt::Failed("the journal holds no position to wait for".to_owned()))
    }

    fn address(&self, name: &DnsName, region: &RegionName) -> Result<std::net::IpAddr, Attempt> {
        let address = self.world.records.get(name).and_then(|by_region| by_region.get(region));
        address
            .copied()
            .ok_or_else(|| Attempt::Failed(format!("the manifest has no record {name} for {region}")))
    }
}

/// Perform a step, within its bound.
pub(crate) async fn step(setting: Setting, step: Step) -> Attempt {
    bounded(setting, step.action, step.bound_ms).await
}

/// Perform an action, within a bound.
pub(crate) async fn bounded(setting: Setting, action: Action, bound_ms: u64) -> Attempt {
    match timeout(Duration::from_millis(bound_ms), act(&setting, &action)).await {
        Ok(Ok(evidence)) => Attempt::Done(Box::new(evidence)),
        Ok(Err(attempt)) => attempt,
        Err(_) => Attempt::Unknown(format!("not finished within {bound_ms} ms")),
    }
}

async fn act(setting: &Setting, action: &Action) -> Result<Evidence, Attempt> {
    match action {
        Action::Checkpoint { region } => {
            setting.region(region)?.database.checkpoint().await?;
            Ok(Evidence::note("dirty pages are on disk"))
        }
        Action::SetTtl { name, ttl_s, settle_ms } => set_ttl(setting, name, *ttl_s, *settle_ms).await,
        Action::HoldWrites { region } => {
            setting.region(region)?.pool.hold().await?;
            Ok(Evidence::note("the pool holds; no transaction is under way"))
        }
        Action::ReleaseWrites { region } => {
            setting.region(region)?.pool.release().await?;
            Ok(Evidence::note("the pool lets its clients go on"))
        }
        Action::SetGate { region, state, epoch } => {
            setting.region(region)?.gate.set(*state, *epoch).await?;
            Ok(Evidence::note(format!("the gate is {} for epoch {epoch}", state.as_str())))
        }
        Action::ReadEnd { region } => waits::read_end(setting.region(region)?).await,
        Action::AwaitReplay { region, within_ms, .. } => {
            waits::await_replay(setting.region(region)?, setting.position()?, *within_ms).await
        }
        Action::Commit { base, active, claims } => {
            let unrenewed = setting.source.as_ref().and_then(|evidence| evidence.renewals);
            if claims.is_some() && unrenewed.is_none() {
                return Err(Attempt::Failed(
                    "the journal does not say where the tenure stood still".to_owned(),
                ));
            }
            let event = tenure::Event::Committed {
                by: setting.operation.clone(),
                term: setting.term,
                base: *base,
                active: active.clone(),
                at: setting.world.clock.now(),
                unrenewed,
            };
            let tenure = setting.world.tenures.advance(event).await?;
            Ok(Evidence::note(format!("{} is active in epoch {}", tenure.active, tenure.epoch)))
        }
        Action::WaitOut { region, epoch, still_ms } => {
            waits::wait_out(setting, region, *epoch, Duration::from_millis(*still_ms)).await
        }
        Action::StandDown { region, follow } => {
            let leader = setting.region(follow)?.replication;
            setting.region(region)?.database.stand_down(leader).await?;
            Ok(Evidence::note(format!("its cluster manager was told to follow {follow} at {leader}")))
        }
        Action::AwaitShutdownRecord { region, within_ms, .. } => {
            waits::await_shutdown_record(setting.region(region)?, setting.position()?, *within_ms).await
        }
        Action::Promote { region } => {
            let position = setting.region(region)?.database.promote().await?;
            Ok(Evidence::at(position, format!("takes writes from {position}")))
        }
        Action::MoveName { name, from, to, ttl_s } => move_name(setting, name, from, to, *ttl_s).await,
        Action::AwaitFollowing { region, within_ms } => {
            waits::await_following(setting, region, *within_ms).await
        }
        Action::VerifyWrite { region } => serve::verify(setting, region).await,
        Action::ConfirmLost { region } => waits::confirm_lost(setting, region).await,
        Action::ReadFork { region, at_most_ms } => parted::read_fork(setting, region, *at_most_ms).await,
        Action::Renumber { region } => {
            let timeline = setting.region(region)?.database.renumber().await?;
            Ok(Evidence::note(format!(
                "its history is on timeline {timeline}, which no other one can be taken for"
            )))
        }
        Action::SaveDivergence { region, active, accept_unsaved } => {
            parted::save_divergence(setting, region, active, *accept_unsaved).await
        }
    }
}

async fn set_ttl(setting: &Setting, name: &DnsName, ttl_s: u32, settle_ms: u64) -> Result<Evidence, Attempt> {
    let answers = setting.world.names.observe(name).await;
    let seen = answers.iter().find_map(|a| a.answer.seen());
    let Some(seen) = seen else {
        return Err(Attempt::Failed(format!("no server answers for {name}")));
    };
    let [address] = seen.addresses[..] else {
        return Err(Attempt::Failed(format!("{name} has {} addresses, not one", seen.addresses.len())));
    };
    let from = Record { address, ttl_s: seen.ttl_s };
    setting.world.names.replace(name, &from, &Record { address, ttl_s }).await?;
    setting.turning.or_sleep(Duration::from_millis(settle_ms)).await?;
    Ok(Evidence::note(format!("{name} may be kept for {ttl_s} s; older answers have run out")))
}

async fn move_name(
    setting: &Setting,
    name: &DnsName,
    from: &RegionName,
    to: &RegionName,
    ttl_s: u32,
) -> Result<Evidence, Attempt> {
    let (old, new) = (setting.address(name, from)?, setting.address(name, to)?);
    let old = Record { address: old, ttl_s };
    setting.world.names.replace(name, &old, &Record { address: new, ttl_s }).await?;
    Ok(Evidence::note(format!("{name} points at {new} ({to})")))
}

/// The word for a gate's undo in the journal is its state; nothing else about it is decided here.
pub(crate) fn describe(action: &Action) -> String {
    match action {
        Action::ReleaseWrites { region } => format!("release {region}"),
        Action::SetGate { region, state: GateState::Local, .. } => format!("open {region}"),
        other => format!("{other:?}"),
    }
}
