//! One seed: a site with keepers, and faults at random times (`trouble`); `judge` says what must hold when they have healed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_core::manifest::{Impaired, Manifest};
use bascule_core::permit::Permit;
use bascule_core::ports::TenureStore as _;
use bascule_core::vantage::Place;
use bascule_engine::keeper::{Keeper, Settings};
use bascule_engine::world::{SharedSight, World};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::store::PlacedStore;
use super::trouble::{FAULTS_MS, LASTS_MS, Trouble, trouble};
use super::{Clocks, FakeProbe, Guard, Process, WITNESS};
use crate::drive::Run;
use crate::model::table::automatic;
use crate::rng::Rng;
use crate::site::{MANIFEST, Site, world};
use crate::store::FaultyStore;

/// Two keepers in each region, and the witness' prober.
pub(super) const PROCESSES: usize = 5;
/// Sites of which a region stays lost while everything else is mended.
const FOR_GOOD_PER_MILLE: u64 = 300;
/// No second move by itself within this, in seconds. Shorter than the default, so that seeds see two.
const COOL_DOWN_S: u64 = 10;
/// Clocks run true, or at either end of what the timing allows.
const DRIFTS_PPM: [i64; 3] = [-1_000, 0, 1_000];

/// Every write of the simulation asks a keeper's hold: its primaries say so.
async fn permits(keeper: &Keeper) {
    loop {
        keeper.found(Permit::InForce);
        sleep(Duration::from_millis(500)).await;
    }
}

/// What a seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
    /// Epochs that began after the first.
    pub moves: u64,
    /// Writes that users were told are safe.
    pub acknowledged: usize,
}

impl Played {
    /// The seed, what is wrong, and the trace, for a person.
    #[must_use]
    pub fn told(&self, seed: u64) -> String {
        let wrong = self.wrong.as_deref().unwrap_or("nothing is wrong");
        format!("seed {seed}: {wrong}\n{}\nseed {seed}: {wrong}", self.trace.join("\n"))
    }
}

/// Play a seed from its beginning to its end.
#[must_use]
pub fn play(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(trial(seed))
}

async fn trial(seed: u64) -> Played {
    let mut rng = Rng::new(seed ^ 0xBA5C_01E5);
    let mut stage = Stage::new(seed, &mut rng).await;
    sleep(Duration::from_millis(3_000 + rng.below(2_000))).await;
    let count = 1 + rng.below(4);
    let mut troubles: Vec<(u64, u64, Trouble)> =
        (0..count).map(|_| (rng.below(FAULTS_MS), 100 + rng.below(LASTS_MS), trouble(&mut rng))).collect();
    // Streams of their own: what a seed was found to do before stays what it does.
    if lets_go(seed) {
        let mut more = Rng::new(seed ^ 0x1E75_0017);
        for _ in 0..=more.below(2) {
            let ill = more.chance(600).then(|| Trouble::Ill(usize::from(more.chance(300))));
            let (at, lasts) = (more.below(FAULTS_MS), 100 + more.below(2 * LASTS_MS));
            troubles.push((at, lasts, ill.unwrap_or(Trouble::LetGo)));
        }
    }
    troubles.sort_by_key(|(at, _, _)| *at);
    stage.play(&troubles, &mut rng).await;
    let mut wrong = None;
    let mut last = Rng::new(seed ^ 0x0F0F_60D5);
    if last.chance(FOR_GOOD_PER_MILLE) {
        wrong = stage.one_is_lost_for_good(usize::from(last.chance(500))).await;
    }
    if wrong.is_none() {
        wrong = stage.heal_and_judge().await;
    }
    stage.end(wrong).await
}

/// Whether regions of this site let go: by themselves when they can't write, or since a person says so.
fn lets_go(seed: u64) -> bool {
    seed % 4 == 1
}

pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) manifest: Arc<Manifest>,
    pub(super) regions: [RegionName; 2],
    tasks: Vec<JoinHandle<()>>,
    pub(super) people: Vec<JoinHandle<Run>>,
    /// Whether its keepers only say what they would do.
    observe_only: bool,
}

impl Stage {
    async fn new(seed: u64, rng: &mut Rng) -> Self {
        Self::with(seed, rng, |_| ()).await
    }

    /// A stage whose manifest was changed.
    pub(super) async fn with(seed: u64, rng: &mut Rng, change: impl FnOnce(&mut Manifest)) -> Self {
        let mut manifest = Manifest::parse(MANIFEST).expect("the built-in manifest is right");
        change(&mut manifest);
        let mut policy = automatic();
        policy.cool_down = Duration::from_secs(COOL_DOWN_S);
        if lets_go(seed) {
            policy.impaired = Impaired::Release;
        }
        manifest.automatic = Some(policy);
        let site = Site::of(manifest.clone(), seed).await;
        let regions = [site.home(), site.away()];
        let process = |number: usize| Process {
            place: [0, 0, 1, 1, WITNESS][number],
            alive: true,
            frozen_ms: 0,
            clocks: Arc::new(Clocks::new(
                &site.sim,
                DRIFTS_PPM[usize::try_from(rng.below(3)).unwrap_or(0)],
                1_000 + rng.below(1_000_000),
            )),
            hold: None,
        };
        let processes: Vec<Process> = (0..PROCESSES).map(process).collect();
        let rpo_ms = u64::try_from(manifest.objective.rpo.as_millis()).unwrap_or(u64::MAX);
        site.sim.with(|s| {
            let mut guard = Guard::new(regions.clone(), processes);
            guard.rpo_ms = rpo_ms;
            s.guard = Some(guard);
        });
        let (tasks, people, observe_only) = (Vec::new(), Vec::new(), false);
        let mut stage = Self { site, manifest: Arc::new(manifest), regions, tasks, people, observe_only };
        for number in 0..PROCESSES {
            let task = stage.start(number);
            stage.tasks.push(task);
        }
        stage
    }

    /// Every process is started again as one that only observes.
    pub(super) fn observe_only(&mut self) {
        self.observe_only = true;
        for number in 0..PROCESSES {
            self.restart(number);
        }
    }

    /// Start a process anew: it knows nothing of what the one before it knew.
    fn start(&self, number: usize) -> JoinHandle<()> {
        let sim = self.site.sim.clone();
        let guard = |s: &mut crate::state::State| s.guard.as_ref().map(|g| g.processes[number].clone());
        let process = sim.with(guard).expect("the stage has processes");
        let store = Arc::new(PlacedStore::new(self.site.store.clone(), sim.clone(), number));
        let world = World {
            tenures: store.clone(),
            watch: store.clone(),
            journals: store.clone(),
            places: store,
            clock: process.clocks.clone(),
            sight: SharedSight::default(),
            ..world(&self.manifest, &sim, &self.site.store, Some(number))
        };
        let place = match self.regions.get(process.place) {
            None => Place::Witness,
            Some(region) => {
                let name = format!("keeper{}-{region}", number % 2 + 1).parse().expect("a name");
                Place::Keeper { region: region.clone(), name }
            }
        };
        let keeper = Keeper::new(Settings {
            world,
            manifest: self.manifest.clone(),
            policy: self.manifest.automatic.clone().expect("the stage has set it"),
            place,
            rank: u32::from(process.place != WITNESS && number % 2 == 1),
            observe_only: self.observe_only,
            probe: Arc::new(FakeProbe::new(sim.clone(), number)),
            version: "simulated",
        });
        let hold = (process.place != WITNESS).then(|| keeper.hold());
        self.guard(|g| {
            let process = &mut g.processes[number];
            (process.alive, process.frozen_ms, process.hold) = (true, 0, hold);
        });
        tokio::spawn(async move {
            tokio::join!(keeper.run(), permits(&keeper));
        })
    }

    pub(super) fn kill(&mut self, number: usize) {
        self.tasks[number].abort();
        self.site.sim.with(|s| {
            if let Some(guard) = &mut s.guard {
                guard.processes[number].alive = false;
            }
        });
    }

    pub(super) fn restart(&mut self, number: usize) {
        self.kill(number);
        self.tasks[number] = self.start(number);
    }

    async fn play(&mut self, troubles: &[(u64, u64, Trouble)], rng: &mut Rng) {
        let mut agenda: Vec<(u64, bool, Trouble)> = Vec::new();
        for (at, lasts, trouble) in troubles {
            agenda.push((*at, true, *trouble));
            agenda.push((at + lasts, false, *trouble));
        }
        agenda.sort_by_key(|(at, _, _)| *at);
        let mut now = 0;
        for (at, begins, trouble) in agenda {
            sleep(Duration::from_millis(at - now)).await;
            now = at;
            let word = if begins { "BEGINS" } else { "ends" };
            self.site.sim.say(format!("{word} {trouble:?}"));
            if begins { self.begin(trouble, rng) } else { self.mend(trouble) }
        }
    }

    pub(super) fn guard(&self, change: impl FnOnce(&mut Guard)) {
        self.site.sim.with(|s| s.guard.as_mut().map(change));
    }

    /// How the last person's switchover came out, if it does within a time.
    pub(super) async fn person_ended(&mut self, within: Duration) -> Option<Run> {
        timeout(within, self.people.pop()?).await.ok()?.ok()
    }

    /// How long it takes until a region serves its own users, in virtual milliseconds.
    pub(super) async fn until_served(&self, place: usize, within: Duration) -> Option<u64> {
        let began = Instant::now();
        let region = &self.regions[place];
        while self.site.sim.with(|s| s.attempt(region).as_ref() != Some(region)) {
            if began.elapsed() >= within {
                return None;
            }
            sleep(Duration::from_millis(10)).await;
        }
        u64::try_from(began.elapsed().as_millis()).ok()
    }

    /// What the keepers share.
    pub(super) fn store(&self) -> &FaultyStore {
        &self.site.store
    }

    /// The region of a place.
    pub(super) fn region(&self, place: usize) -> &RegionName {
        &self.regions[place]
    }

    async fn end(mut self, wrong: Option<String>) -> Played {
        for task in &self.tasks {
            task.abort();
        }
        for person in self.people.drain(..) {
            person.abort();
        }
        let tenure = self.site.store.tenure().await.ok().flatten();
        let mut wrong = wrong;
        if let Some(text) = &mut wrong {
            let _ = write!(text, " (tenure {tenure:?})");
        }
        self.site.sim.with(|s| Played {
            trace: std::mem::take(&mut s.trace),
            wrong,
            moves: tenure.map_or(0, |t| t.epoch.0.saturating_sub(1)),
            acknowledged: s.acks.len(),
        })
    }
}
