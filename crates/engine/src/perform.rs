//! What each action does to the world.
//!
//! Every one is idempotent and looks before it acts; a port that can't say whether it acted makes the
//! step unknown, and the next attempt looks again.

use std::time::Duration;

use bascule_core::action::{Action, Evidence};
use bascule_core::id::{DnsName, Epoch, OperationId, RegionName, StepId, Term};
use bascule_core::observation::{ClusterRole, GateState};
use bascule_core::operation::Operation;
use bascule_core::plan::Step;
use bascule_core::planner;
use bascule_core::ports::{Divergence, PortError, Record, StoreError};
use bascule_core::position::Position;
use bascule_core::tenure;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::observer;
use crate::world::{RegionPorts, World};

/// Pause between two questions inside a write pause. Each takes about 1 ms on a warm connection: more of
/// them would take from the database, on two cores, what they are waiting for.
const POLL: Duration = Duration::from_millis(5);
/// Pause between two looks at a cluster that restarts, outside the pause: a fraction of a Patroni loop.
const SLOW_POLL: Duration = Duration::from_millis(250);
/// Between two looks whether users are served while a region is waited for: each asks a gate and a pool, some 10 ms of work.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// Pause between two looks at a tenure that is waited out: a tenth of the shortest time between renewals.
const WAIT_POLL: Duration = Duration::from_millis(100);
/// A region that feeds its standby is not lost. A feed in use is never silent for so long: it carries the
/// readiness probes' writes, several a second, and a lost packet is sent again after 200 ms (Linux
/// `TCP_RTO_MIN`).
const SILENCE: Duration = Duration::from_millis(400);

/// Looks at a lost region and at the one it fed: each takes at most the provider's 1 s, and a feed twice [`SILENCE`].
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
        Action::ReadEnd { region } => read_end(setting.region(region)?).await,
        Action::AwaitReplay { region, within_ms, .. } => {
            await_replay(setting.region(region)?, setting.position()?, *within_ms).await
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
            wait_out(setting, region, *epoch, Duration::from_millis(*still_ms)).await
        }
        Action::StandDown { region, follow } => {
            let leader = setting.region(follow)?.replication;
            setting.region(region)?.database.stand_down(leader).await?;
            Ok(Evidence::note(format!("its cluster manager was told to follow {follow} at {leader}")))
        }
        Action::AwaitShutdownRecord { region, within_ms, .. } => {
            await_shutdown_record(setting.region(region)?, setting.position()?, *within_ms).await
        }
        Action::Promote { region } => {
            let position = setting.region(region)?.database.promote().await?;
            Ok(Evidence::at(position, format!("takes writes from {position}")))
        }
        Action::MoveName { name, from, to, ttl_s } => move_name(setting, name, from, to, *ttl_s).await,
        Action::AwaitFollowing { region, within_ms } => {
            await_following(setting, region, *within_ms).await
        }
        Action::VerifyWrite { region } => verify(setting, region).await,
        Action::ConfirmLost { region } => confirm_lost(setting, region).await,
        Action::ReadFork { region, at_most_ms } => read_fork(setting, region, *at_most_ms).await,
        Action::Renumber { region } => {
            let timeline = setting.region(region)?.database.renumber().await?;
            Ok(Evidence::note(format!(
                "its history is on timeline {timeline}, which no other one can be taken for"
            )))
        }
        Action::SaveDivergence { region, active, accept_unsaved } => {
            save_divergence(setting, region, active, *accept_unsaved).await
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

async fn read_end(region: &RegionPorts) -> Result<Evidence, Attempt> {
    // Sessions that were cut take a moment to be gone; the step's bound ends the wait.
    loop {
        let end = region.log.end().await?;
        if end.clients == 0 {
            return Ok(Evidence::at(
                end.position,
                format!("nobody is connected; the log ends at {}", end.position),
            ));
        }
        sleep(POLL).await;
    }
}

async fn await_replay(region: &RegionPorts, position: Position, within_ms: u64) -> Result<Evidence, Attempt> {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    loop {
        let progress = region.log.progress().await?;
        if progress.replayed.covers(position) {
            return Ok(Evidence::at(
                progress.replayed,
                format!("replayed {}, {position} included", progress.replayed),
            ));
        }
        if Instant::now() >= deadline {
            return Err(Attempt::Failed(format!(
                "replayed only {} of {position} within {within_ms} ms",
                progress.replayed
            )));
        }
        sleep(POLL).await;
    }
}

async fn await_shutdown_record(
    region: &RegionPorts,
    end: Position,
    within_ms: u64,
) -> Result<Evidence, Attempt> {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    loop {
        let late = Instant::now() >= deadline;
        match region.log.shutdown_record(end.lsn).await {
            Ok(Some(last)) => {
                let note = format!("replayed the old primary's shutdown checkpoint, which ends at {last}");
                return Ok(Evidence::at(last, note));
            }
            Ok(None) => {}
            Err(PortError::Refused(why)) => return Err(Attempt::Failed(why)),
            Err(PortError::Unknown(why)) if late => return Err(Attempt::Unknown(why)),
            Err(PortError::Unknown(_)) => {}
        }
        if late {
            return Ok(Evidence::note(format!(
                "no shutdown checkpoint within {within_ms} ms; every user's write up to {end} is here, \
                 and the old region will be rewound"
            )));
        }
        sleep(POLL).await;
    }
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

/// A region that is rewound takes minutes to follow; users are served by the other one meanwhile.
async fn await_following(
    setting: &Setting,
    region: &RegionName,
    within_ms: u64,
) -> Result<Evidence, Attempt> {
    let ports = setting.region(region)?;
    let serving = if region == &setting.from { &setting.to } else { &setting.from };
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    let mut reopened = Instant::now();
    loop {
        let seen = ports.database.observe().await;
        let state = match seen.seen() {
            Some(database) => {
                let (well, all) = database.well();
                if database.role == ClusterRole::Standby && database.streaming && well == all {
                    return Ok(Evidence::note(format!("follows; {well} of {all} members are well")));
                }
                format!("{:?}, {well} of {all} members well", database.role)
            }
            None => seen.why_not().unwrap_or_default().to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(Attempt::Failed(format!("does not follow within {within_ms} ms: {state}")));
        }
        if reopened.elapsed() >= REOPEN_AFTER {
            reopened = Instant::now();
            serve_again(setting, serving).await;
        }
        sleep(SLOW_POLL).await;
    }
}

/// Answers may be cached for a moment, and instances reconnect: ask until the step's bound.
async fn verify(setting: &Setting, region: &RegionName) -> Result<Evidence, Attempt> {
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

async fn serve_again(setting: &Setting, region: &RegionName) {
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

/// Two vantages: this controller, which has looked once before it made the plan and looks again here,
/// and the standby that the region should be feeding.
async fn confirm_lost(setting: &Setting, region: &RegionName) -> Result<Evidence, Attempt> {
    let lost = setting.region(region)?;
    let survivor = setting.region(&setting.to)?;
    let (database, own) = tokio::join!(lost.database.observe(), survivor.database.observe());
    if database.seen().is_some_and(|d| d.role == ClusterRole::Primary) {
        return Err(Attempt::Failed(format!("{region} answers, and its database is a primary")));
    }
    let silent = match own.seen().map(|d| d.role) {
        Some(ClusterRole::Primary) => format!("{} is a primary, which nobody feeds", setting.to),
        Some(ClusterRole::Standby | ClusterRole::Leaderless) | None => await_silence(survivor).await?,
    };
    Ok(Evidence::note(format!("{region} does not answer here, and {silent}")))
}

/// What this process saw of the tenure before counts: a keeper that decided has waited already.
async fn wait_out(
    setting: &Setting,
    region: &RegionName,
    epoch: Epoch,
    still: Duration,
) -> Result<Evidence, Attempt> {
    let began = setting.world.clock.mono();
    let mut first = None;
    loop {
        let Some(tenure) = setting.world.tenures.tenure().await? else {
            return Err(Attempt::Failed("the site has no tenure".to_owned()));
        };
        if tenure.epoch != epoch || &tenure.active != region {
            return Err(Attempt::Failed(format!(
                "{} is active in epoch {}: the tenure that was to be waited out is over",
                tenure.active, tenure.epoch
            )));
        }
        // Read after the answer: the renewal that it shows was sent before.
        let now = setting.world.clock.mono();
        let sight = setting.world.sight.saw(&tenure, now);
        let stood = sight.still_for(now);
        if stood >= still {
            let note = format!(
                "{region} has not renewed its tenure for {} ms; whatever could let a write pass there is closed",
                stood.as_millis()
            );
            return Ok(Evidence { renewals: Some(sight.renewals), ..Evidence::note(note) });
        }
        // One that has stood still for half of it may have been lost while this was waited for.
        let renews = *first.get_or_insert(sight.renewals) != sight.renewals && stood < still / 2;
        if renews && now.since(began) >= still {
            return Err(Attempt::Failed(format!(
                "{region} renews its tenure, so it is not lost; if users can't write there all the same, `bascule \
                 release` has it let go first"
            )));
        }
        setting.turning.or_sleep((still - stood).min(WAIT_POLL)).await?;
    }
}

/// The feed must have been silent for [`SILENCE`]; it is waited for, since the command may come sooner.
async fn await_silence(survivor: &RegionPorts) -> Result<String, Attempt> {
    let deadline = Instant::now() + 2 * SILENCE;
    loop {
        let progress = survivor.log.progress().await?;
        if !progress.streaming {
            return Ok("feeds its standby no more".to_owned());
        }
        if let Some(ms) = progress.silent_ms
            && Duration::from_millis(ms) >= SILENCE
        {
            return Ok(format!("its standby has heard nothing for {ms} ms"));
        }
        if Instant::now() >= deadline {
            return Err(Attempt::Failed("it still feeds its standby".to_owned()));
        }
        sleep(POLL).await;
    }
}

async fn read_fork(setting: &Setting, region: &RegionName, at_most_ms: u64) -> Result<Evidence, Attempt> {
    let world = &setting.world;
    let Some(tenure) = world.tenures.tenure().await? else {
        return Err(Attempt::Failed("the site has no tenure".to_owned()));
    };
    let here = setting.region(region)?;
    let dark_since = world.tenures.sight(&setting.from, true, world.clock.now()).await?;
    let never_stood_down =
        here.database.observe().await.seen().is_some_and(|d| d.role == ClusterRole::Primary);
    // Read before the standby is asked: what its answer takes only makes the loss look larger.
    let now = world.clock.now();
    let dark_for = dark_since.map_or(Duration::ZERO, |since| now.since(observer::gone_since(world, since)));
    // Whoever has waited its tenure out knows that it acknowledges nothing, however long it has looked dark.
    let mono = world.clock.mono();
    let waited = world.sight.saw(&tenure, mono).still_for(mono);
    let over_for = if world.ttl.is_zero() { Duration::ZERO } else { waited.saturating_sub(world.ttl) };
    let dark_for = dark_for.max(over_for);
    let (at, newest_age_ms) = if never_stood_down {
        // A session that was cut may still be told of a commit: not in the new epoch.
        let end = read_end(here).await?.position;
        let end = end.ok_or_else(|| Attempt::Failed("the end of its log is not known".to_owned()))?;
        (end, Some(millis(now.since(tenure.since))))
    } else {
        let progress = here.log.progress().await?;
        // What was received is replayed before promotion, so the histories part there.
        (progress.received, progress.newest_age_ms)
    };
    if observer::last_move(world, &tenure).await?.is_unopened() {
        let note = format!("{} took no write in epoch {}: nothing is lost", setting.from, tenure.epoch);
        return Ok(Evidence { loss_ms: Some(0), ..Evidence::at(at, note) });
    }
    let told = newest_age_ms.map(|age| planner::loss_ms(age, millis(dark_for)));
    let loss_ms = match told {
        Some(ms) if ms <= at_most_ms => Some(ms),
        _ => told.into_iter().chain(seen_loss_ms(setting, here).await).min(),
    };
    match loss_ms {
        Some(ms) if ms <= at_most_ms => {
            let note = format!("the histories part at {at}; writes of at most {ms} ms may be lost");
            Ok(Evidence { loss_ms, ..Evidence::at(at, note) })
        }
        Some(ms) => Err(Attempt::Failed(format!(
            "writes of up to {ms} ms may be lost, over the {at_most_ms} ms that this plan allows: plan again"
        ))),
        None => Err(Attempt::Failed("how much would be lost is not known: plan again".to_owned())),
    }
}

/// See [`planner::seen_loss_ms`]; of a region that does not answer this takes as long as a question to it may.
async fn seen_loss_ms(setting: &Setting, here: &RegionPorts) -> Option<u64> {
    let ttl = Some(setting.world.ttl).filter(|ttl| !ttl.is_zero())?;
    let old = setting.region(&setting.from).ok()?.database.observe().await;
    let new = here.database.observe().await;
    planner::seen_loss_ms(ttl, old.seen()?, new.seen()?)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn save_divergence(
    setting: &Setting,
    region: &RegionName,
    active: &RegionName,
    accept_unsaved: bool,
) -> Result<Evidence, Attempt> {
    let returned = setting.region(region)?;
    let already_follows = returned.database.observe().await;
    if already_follows.seen().is_some_and(|d| d.role == ClusterRole::Standby) {
        return Ok(Evidence::note("its cluster is a standby already; it took no writes of its own"));
    }
    // A region that took over as the primary that it had stayed began no timeline: then the other one did.
    let fork = match setting.region(active)?.log.fork().await? {
        Some(fork) => Some(fork),
        None => returned.log.fork().await?,
    };
    let Some(fork) = fork else {
        let why = format!("{active} and {region} are on their first timelines: the histories never parted");
        return Err(Attempt::Failed(why));
    };
    let folder = setting.world.reports.join(setting.operation.as_str());
    let file = format!("divergence-{region}.jsonl");
    let saved = returned.log.save_divergence(fork, &folder.join(&file)).await?;
    if !accept_unsaved && let Some(why) = unsaved(&saved, region) {
        return Err(Attempt::Failed(why));
    }
    Ok(Evidence { file: saved.file.map(|_| file), ..Evidence::at(fork, saved.note) })
}

/// Why a region must not be rewound, if a person has not given up what could not be saved of it.
fn unsaved(saved: &Divergence, region: &RegionName) -> Option<String> {
    let (what, code) = (saved.unsaved.as_ref()?, planner::Code::Unsaved.as_str());
    let rest = saved.file.as_ref().map(|file| format!(" ({} rows are in {file})", saved.rows));
    Some(format!(
        "{code} not all can be saved of what only {region} has, and a rewind would destroy it: {what}{}; `bascule \
         reinstate {region} --accept-unsaved` gives it up",
        rest.unwrap_or_default()
    ))
}

/// The word for a gate's undo in the journal is its state; nothing else about it is decided here.
pub(crate) fn describe(action: &Action) -> String {
    match action {
        Action::ReleaseWrites { region } => format!("release {region}"),
        Action::SetGate { region, state: GateState::Local, .. } => format!("open {region}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_can_not_be_saved_whole_is_not_rewound_unasked() {
        let saved = |unsaved: Option<&str>| Divergence {
            file: Some("reports/op/divergence-east.jsonl".to_owned()),
            rows: 7,
            note: String::new(),
            unsaved: unsaved.map(str::to_owned),
        };
        let east: RegionName = "east".parse().expect("a name");
        assert_eq!(unsaved(&saved(None), &east), None);
        let why = unsaved(&saved(Some("its log is gone")), &east).expect("it stops");
        for part in
            ["BSC-P022", "its log is gone", "7 rows are in reports", "reinstate east --accept-unsaved"]
        {
            assert!(why.contains(part), "{why}");
        }
    }
}
