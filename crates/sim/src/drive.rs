//! Starts controllers on a site, kills them at a journal write, and lets others take over.
//!
//! A controller that dies stops where it is: its task is dropped, its calls that are under way arrive all
//! the same, and nobody cleans up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bascule_core::id::{OperationId, RegionName};
use bascule_core::operation::{Outcome, event_name};
use bascule_core::plan::{Kind, Plan};
use bascule_core::planner::{self, Assessment, Request};
use bascule_core::ports::Entry;
use bascule_engine::crash::{CrashPoint, CrashingStore};
use bascule_engine::executor::{self, Control, Error};
use bascule_engine::observer;
use bascule_engine::world::World;
use tokio::sync::Notify;

use crate::site::{Sim, Site};

/// Between a controller's death and the next one's start: calls that were under way have arrived.
/// A person who types the next command needs longer.
const TAKEOVER: Duration = Duration::from_millis(200);

/// How a controller's run ended.
#[derive(Debug)]
pub enum Run {
    /// The operation reached its end.
    Ended(Outcome),
    /// The controller stopped with an error; the operation is open, or never began.
    Stopped(Error),
    /// The controller was killed.
    Died,
}

impl Run {
    /// Whether every step was done.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self, Run::Ended(Outcome::Succeeded))
    }

    /// Whether all was taken back.
    #[must_use]
    pub fn aborted(&self) -> bool {
        matches!(self, Run::Ended(Outcome::Aborted { .. }))
    }
}

/// What a controller is asked to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Execute a plan.
    Apply(Box<Plan>),
    /// Go on.
    Resume,
    /// Turn back.
    Abort,
    /// End it, if the region that it made active is lost.
    Abandon,
}

/// Look at the site and draw a plan.
pub async fn assess(site: &Site, kind: Kind, to: &RegionName, accept_loss_ms: Option<u64>) -> Assessment {
    let observation = observer::observe(&site.world).await;
    let request = Request {
        kind,
        to: to.clone(),
        accept_loss_ms,
        accept_unsaved: false,
        measured_pauses_ms: Vec::new(),
    };
    planner::plan(&site.manifest, &observation, &request)
}

/// Run one controller until it ends, stops or dies. `stop` asks it to end early.
pub async fn control(
    site: &Site,
    id: &OperationId,
    command: Command,
    crash: Option<CrashPoint>,
    stop: Arc<AtomicBool>,
) -> Run {
    let died = Arc::new(Notify::new());
    let world = mortal(&site.world, crash, &died);
    let control = Control { watch: watcher(&site.sim), stop };
    let run = async {
        match command {
            Command::Apply(plan) => executor::begin(&world, id.clone(), *plan, control).await,
            Command::Resume => executor::resume(&world, id.clone(), control).await,
            Command::Abandon => executor::abandon_if_lost(&world, id.clone(), control).await,
            Command::Abort => executor::abort(&world, id.clone(), "a person asked".to_owned(), control).await,
        }
    };
    let run = tokio::select! {
        result = run => match result {
            Ok(outcome) => Run::Ended(outcome),
            Err(error) => Run::Stopped(error),
        },
        () = died.notified() => Run::Died,
    };
    if matches!(run, Run::Died) {
        site.sim.say("the controller dies");
        tokio::time::sleep(TAKEOVER).await;
    }
    run
}

/// [`control`] without a wish to stop.
pub async fn run(site: &Site, id: &OperationId, command: Command, crash: Option<CrashPoint>) -> Run {
    control(site, id, command, crash, Arc::new(AtomicBool::new(false))).await
}

fn mortal(world: &World, crash: Option<CrashPoint>, died: &Arc<Notify>) -> World {
    let Some(point) = crash else { return world.clone() };
    let (died, dead) = (died.clone(), AtomicBool::new(false));
    let die = move || {
        if !dead.swap(true, Ordering::SeqCst) {
            died.notify_one();
        }
    };
    let journals = CrashingStore::new(world.journals.clone(), point, Box::new(die));
    World { journals: Arc::new(journals), ..world.clone() }
}

fn watcher(sim: &Arc<Sim>) -> Arc<dyn Fn(&Entry) + Send + Sync> {
    let sim = sim.clone();
    Arc::new(move |entry: &Entry| sim.say(format!("journal: {}", describe(entry))))
}

/// A journal's record in a line.
#[must_use]
pub fn describe(entry: &Entry) -> String {
    use bascule_core::operation::Event;
    let name = event_name(&entry.event);
    match &entry.event {
        Event::Intended { step } | Event::UndoIntended { step } => format!("{step}.{name}"),
        Event::Done { step, evidence } | Event::UndoDone { step, evidence } => {
            format!("{step}.{name}: {}", evidence.note)
        }
        Event::Failed { step, why }
        | Event::Refuted { step, why }
        | Event::Unknown { step, why }
        | Event::UndoFailed { step, why } => {
            format!("{step}.{name}: {why}")
        }
        Event::AbortBegan { why } => format!("operation.{name}: {why}"),
        Event::Ended { outcome } => format!("operation.{name}: {outcome}"),
    }
}
