//! The keeper: renews its region's tenure, holds its gate, looks at the active region, and decides.
//!
//! Invariant: whatever it does about the gate follows from [`SharedHold`] alone. Renewing, watching, looking and
//! deciding are loops that share what they know; one that hangs on the store can only make the hold
//! end.
//!
//! The race it handles: both keepers of a region, and a person, begin a move at the same time. The store
//! admits one; the others see it open and rest.
//!
//! What it leaves out: the permit and the HTTP answers, which stand in threads of their own and ask the hold.

mod decide;
mod gate;
mod look;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_core::manifest::{Automatic, Manifest};
use bascule_core::permit::{Permit, Told};
use bascule_core::ports::{Probe, StoreError};
use bascule_core::tenure::{self, Tenure, hold};
use bascule_core::vantage::Place;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use gate::SharedHold;
use look::Heard;
use state::Loop;
pub use state::{Probed, State};

use crate::world::World;

/// After an answer of the store that was none: a third of the time that one of its requests may take.
const AGAIN: Duration = Duration::from_millis(300);

/// A keeper, or the witness' prober.
#[derive(Clone)]
pub struct Keeper {
    world: World,
    manifest: Arc<Manifest>,
    policy: Automatic,
    place: Place,
    /// Its place among its region's keepers, from 0.
    rank: u32,
    /// It decides, and only says so.
    observe_only: bool,
    hold: SharedHold,
    probe: Arc<dyn Probe>,
    state: Arc<State>,
    places: Arc<Mutex<Heard>>,
    /// Somebody has heard of a new tenure: renew at once.
    renew_now: Arc<Notify>,
    /// It is about to end, and begins nothing any more.
    stopping: Arc<AtomicBool>,
    version: &'static str,
}

/// What a keeper is made of.
pub struct Settings {
    /// Everything it can reach.
    pub world: World,
    /// The site.
    pub manifest: Arc<Manifest>,
    /// How it decides.
    pub policy: Automatic,
    /// Where it stands.
    pub place: Place,
    /// Its place among its region's keepers, from 0.
    pub rank: u32,
    /// Whether it only says what it would do.
    pub observe_only: bool,
    /// How it writes through a region's front door.
    pub probe: Arc<dyn Probe>,
    /// The program's version, for its reports.
    pub version: &'static str,
}

impl Keeper {
    /// A keeper that has heard of nothing: its gate is closed.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { world, manifest, policy, place, rank, observe_only, probe, version } = settings;
        let (hold, now) = (SharedHold::new(world.clock.clone(), policy.timing()), world.clock.mono());
        Self {
            world,
            manifest,
            policy,
            place,
            rank,
            observe_only,
            hold,
            probe,
            state: Arc::new(State::begun(now)),
            places: Arc::default(),
            renew_now: Arc::new(Notify::new()),
            stopping: Arc::new(AtomicBool::new(false)),
            version,
        }
    }

    /// What its gate is asked.
    #[must_use]
    pub fn hold(&self) -> SharedHold {
        self.hold.clone()
    }

    /// What it knows, for people and metrics.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// Which of its loops hangs, as what it does not do any more; none if all turn. Whether the store answers them does
    /// not matter: being started again would not help.
    #[must_use]
    pub fn stalled(&self) -> Option<&'static str> {
        let keeps = matches!(self.place, Place::Keeper { .. });
        self.state.stalled(self.world.clock.mono(), keeps)
    }

    /// Take in what the region's primary has just told of the permit; of use only while writes may pass.
    pub fn found(&self, permit: Permit) {
        let Some(epoch) = self.hold.is_open() else { return };
        let clock = &self.world.clock;
        self.state.set_told(Told { epoch, at: clock.now(), permit }, clock.mono());
    }

    /// Begin nothing any more by itself; what is under way goes on, as do renewals and looks.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Keep, for as long as this is polled.
    pub async fn run(&self) {
        let renew = async {
            match &self.place {
                Place::Keeper { region, .. } => self.renew_for_ever(region).await,
                Place::Witness => std::future::pending().await,
            }
        };
        let decide = async {
            match &self.place {
                Place::Keeper { region, .. } => self.decide_for_ever(region).await,
                Place::Witness => std::future::pending().await,
            }
        };
        tokio::join!(renew, self.watch_for_ever(), self.look_for_ever(), self.watch_for_darkness(), decide);
    }

    /// Take a tenure in that the store has just answered.
    fn heard(&self, tenure: &Tenure) {
        let now = self.world.clock.mono();
        self.world.sight.saw(tenure, now);
        let (before, newer) = self.state.heard(tenure);
        if !newer {
            return;
        }
        self.hold.apply(hold::Event::Over { epoch: tenure.epoch });
        if tenure.released.is_some() {
            self.hold.apply(hold::Event::Released);
        }
        let same = before.as_ref().filter(|before| before.epoch == tenure.epoch);
        if same.is_some_and(|before| before.released != tenure.released) {
            tracing::warn!(released = ?tenure.released, "let go, or kept");
            // What was found while the gate was closed says nothing.
            self.state.set_probed(None);
            if tenure.released.is_none() {
                self.forget_the_places();
            }
            self.renew_now.notify_one();
        }
        if before.is_none_or(|before| before.epoch != tenure.epoch) {
            tracing::info!(epoch = %tenure.epoch, active = %tenure.active, "tenure");
            // What was found of the region that was left says nothing of this one.
            self.state.set_probed(None);
            self.renew_now.notify_one();
        }
    }

    async fn watch_for_ever(&self) {
        loop {
            let known = self.state.tenure();
            match self.world.watch.changed(known.as_ref()).await {
                Ok(Some(tenure)) => self.heard(&tenure),
                Ok(None) => sleep(AGAIN).await,
                Err(error) => {
                    tracing::debug!(%error, "the store does not tell");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// Both keepers of a region renew; the second half a turn after the first, so that they seldom meet.
    async fn renew_for_ever(&self, region: &RegionName) {
        let timing = self.policy.timing();
        let mut next = Instant::now() + timing.renew / 2 * self.rank;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(next) => {}
                () = self.renew_now.notified() => {}
            }
            next = Instant::now() + timing.renew;
            self.state.turned(Loop::Renew, self.world.clock.mono());
            let held = self.state.tenure().filter(|tenure| &tenure.active == region);
            let Some(tenure) = held.filter(|tenure| tenure.released.is_none()) else { continue };
            // Before the sending: what the answer takes only shortens the hold.
            let sent = self.world.clock.mono();
            let renewed = tenure::Event::Renewed { epoch: tenure.epoch, region: region.clone() };
            let answer = timeout(timing.renew, self.world.tenures.advance(renewed)).await;
            match answer {
                Ok(Ok(renewed)) => {
                    self.hold.apply(hold::Event::Renewed { epoch: renewed.epoch, sent });
                    if self.state.tenure().is_some_and(|tenure| tenure.released.is_some()) {
                        // It was let go while the answer was under way.
                        self.hold.apply(hold::Event::Released);
                    }
                    self.state.renewed();
                    self.heard(&renewed);
                }
                Ok(Err(StoreError::Tenure(
                    tenure::Illegal::Over { current, .. } | tenure::Illegal::Released(current),
                ))) => self.heard(&current),
                Ok(Err(error)) => {
                    tracing::warn!(%error, left_ms = self.left_ms(), "tenure not renewed");
                    next = Instant::now() + AGAIN;
                }
                Err(_) => {
                    tracing::warn!(left_ms = self.left_ms(), "tenure not renewed: no answer in time");
                    next = Instant::now();
                }
            }
        }
    }

    fn left_ms(&self) -> u64 {
        self.hold.left().map_or(0, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }
}
