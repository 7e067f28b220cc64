//! One seed: a site with keepers, faults at random times, and what must hold when they have healed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_core::manifest::{Impaired, Manifest};
use bascule_core::permit::Permit;
use bascule_core::plan::Kind;
use bascule_core::ports::{JournalStore as _, TenureStore as _};
use bascule_core::tenure::{Event, Release};
use bascule_core::time::Timestamp;
use bascule_core::vantage::Place;
use bascule_engine::crash::CrashPoint;
use bascule_engine::keeper::{Keeper, Settings};
use bascule_engine::world::{SharedSight, World};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::store::PlacedStore;
use super::{Clocks, FakeProbe, Guard, PLACES, Process, WITNESS};
use crate::drive::{self, Command, Run};
use crate::fault::Faults;
use crate::model::table::automatic;
use crate::rng::Rng;
use crate::site::{MANIFEST, Site, world};
use crate::store::FaultyStore;

/// Two keepers in each region, and the witness' prober.
const PROCESSES: usize = 5;
/// The last fault begins before this, in virtual milliseconds.
const FAULTS_MS: u64 = 40_000;
/// The longest a fault lasts: longer than a failover with everything that it waits for.
const LASTS_MS: u64 = 20_000;
/// Within this the healed site is whole again, in virtual milliseconds: an operation that waits twice in vain
/// for a region to follow (two minutes each), then a reinstatement with a rewind, and cool-downs.
const HEALED_WITHIN_MS: u64 = 420_000;
/// Sites of which a region stays lost while everything else is mended.
const FOR_GOOD_PER_MILLE: u64 = 300;
/// Loss that a person accepts rather than have no site, in milliseconds.
const ACCEPTED_MS: u64 = 3_600_000;
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

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A region's machines stop, and come back.
    Lose(usize),
    /// They all sleep, and wake.
    Freeze(usize),
    /// A process sleeps.
    Sleep(usize),
    /// A process dies; another starts in its place.
    Kill(usize),
    /// A place is cut off from both others.
    Isolate(usize),
    /// Messages from one place to another are lost.
    OneWay(usize, usize),
    /// Messages between two places are lost.
    Cut(usize, usize),
    /// Messages to and from the store are lost or made twice.
    StoreLoses,
    /// The store answers late.
    StoreSlow,
    /// A process' wall clock is set.
    WallStep(usize),
    /// Probes say the contrary of what they saw.
    Lies,
    /// Calls to parts fail, and journal writes.
    Calls,
    /// The standby falls behind.
    Lag,
    /// A person moves the site, and may be killed meanwhile.
    Switchover,
    /// A region's instances answer nobody.
    Ill(usize),
    /// A person has the active region let go, and takes it back.
    LetGo,
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

fn trouble(rng: &mut Rng) -> Trouble {
    let place = |rng: &mut Rng, of: usize| usize::try_from(rng.below(of as u64)).unwrap_or(0);
    let pair = |rng: &mut Rng| {
        let a = place(rng, PLACES);
        (a, (a + 1 + place(rng, PLACES - 1)) % PLACES)
    };
    match rng.below(16) {
        0 | 1 => Trouble::Lose(place(rng, 2)),
        2 | 3 => Trouble::Freeze(place(rng, 2)),
        4 => Trouble::Sleep(place(rng, PROCESSES)),
        5 => Trouble::Kill(place(rng, PROCESSES)),
        6 => Trouble::Isolate(place(rng, PLACES)),
        7 => {
            let (a, b) = pair(rng);
            Trouble::OneWay(a, b)
        }
        8 => {
            let (a, b) = pair(rng);
            Trouble::Cut(a, b)
        }
        9 => Trouble::StoreLoses,
        10 => Trouble::StoreSlow,
        11 => Trouble::WallStep(place(rng, PROCESSES)),
        12 => Trouble::Lies,
        13 => Trouble::Calls,
        14 => Trouble::Lag,
        _ => Trouble::Switchover,
    }
}

pub(super) struct Stage {
    site: Site,
    manifest: Arc<Manifest>,
    regions: [RegionName; 2],
    tasks: Vec<JoinHandle<()>>,
    people: Vec<JoinHandle<Run>>,
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
        let mut stage =
            Self { site, manifest: Arc::new(manifest), regions, tasks: Vec::new(), people: Vec::new() };
        for number in 0..PROCESSES {
            let task = stage.start(number);
            stage.tasks.push(task);
        }
        stage
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
            observe_only: false,
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

    fn kill(&mut self, number: usize) {
        self.tasks[number].abort();
        self.site.sim.with(|s| {
            if let Some(guard) = &mut s.guard {
                guard.processes[number].alive = false;
            }
        });
    }

    fn restart(&mut self, number: usize) {
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

    pub(super) fn begin(&mut self, trouble: Trouble, rng: &mut Rng) {
        let sim = self.site.sim.clone();
        match trouble {
            Trouble::Lose(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.lose(&region));
                self.kill(2 * place);
                self.kill(2 * place + 1);
            }
            Trouble::Freeze(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.region(&region).frozen_ms = u64::MAX);
            }
            Trouble::Sleep(number) => self.guard(|g| g.processes[number].frozen_ms = u64::MAX),
            Trouble::Kill(number) => self.kill(number),
            Trouble::Isolate(place) => self.links(place, None, false),
            Trouble::OneWay(from, to) => sim.with(|s| s.set_link(from, to, false)),
            Trouble::Cut(a, b) => self.links(a, Some(b), false),
            Trouble::StoreLoses => {
                let loss = 50 + rng.below(400);
                self.guard(|g| g.loss_per_mille = loss);
            }
            Trouble::StoreSlow => {
                let slow = 100 + rng.below(1_500);
                self.guard(|g| g.store_slow_ms = slow);
            }
            Trouble::WallStep(number) => {
                let step = i64::try_from(rng.below(7_200_000)).unwrap_or(0) - 3_600_000;
                self.guard(|g| g.processes[number].clocks.step_wall(step));
            }
            Trouble::Lies => {
                let lies = 100 + rng.below(900);
                self.guard(|g| g.lies_per_mille = lies);
            }
            Trouble::Calls => {
                let (per_mille, left) = (20 + rng.below(200), 1 + u32::try_from(rng.below(8)).unwrap_or(0));
                sim.with(|s| s.faults = Faults::Random { per_mille, left });
            }
            Trouble::Lag => {
                let lag_ms = 100 + rng.below(9_000);
                sim.with(|s| s.lag_ms = lag_ms);
            }
            Trouble::Switchover => {
                let when = if rng.chance(500) { "before" } else { "after" };
                let crash =
                    rng.chance(600).then(|| format!("{when}={}", 1 + rng.below(25)).parse().ok()).flatten();
                self.person(crash);
            }
            Trouble::Ill(place) => self.ill(place, true),
            Trouble::LetGo => self.let_go(true),
        }
    }

    fn mend(&mut self, trouble: Trouble) {
        let sim = self.site.sim.clone();
        match trouble {
            Trouble::Lose(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.bring_back(&region));
                self.restart(2 * place);
                self.restart(2 * place + 1);
            }
            Trouble::Freeze(place) => {
                let region = self.regions[place].clone();
                sim.with(|s| s.region(&region).frozen_ms = 0);
            }
            Trouble::Sleep(number) => self.guard(|g| g.processes[number].frozen_ms = 0),
            Trouble::Kill(number) => self.restart(number),
            Trouble::Isolate(place) => self.links(place, None, true),
            Trouble::OneWay(from, to) => sim.with(|s| s.set_link(from, to, true)),
            Trouble::Cut(a, b) => self.links(a, Some(b), true),
            Trouble::StoreLoses => self.guard(|g| g.loss_per_mille = 0),
            Trouble::StoreSlow => self.guard(|g| g.store_slow_ms = 0),
            Trouble::WallStep(number) => self.guard(|g| g.processes[number].clocks.step_wall(0)),
            Trouble::Lies => self.guard(|g| g.lies_per_mille = 0),
            Trouble::Calls => sim.with(|s| s.faults = Faults::None),
            Trouble::Lag => sim.with(|s| s.lag_ms = crate::site::LAG_MS),
            Trouble::Switchover => {}
            Trouble::Ill(place) => self.ill(place, false),
            Trouble::LetGo => self.let_go(false),
        }
    }

    fn ill(&self, place: usize, ill: bool) {
        let region = self.regions[place].clone();
        self.site.sim.with(|s| s.region(&region).ill = ill);
    }

    /// A person tries it, and takes it back until that is done.
    fn let_go(&self, on: bool) {
        let (store, sim) = (self.site.store.clone(), self.site.sim.clone());
        tokio::spawn(async move {
            loop {
                if let Ok(Some(tenure)) = store.tenure().await {
                    let (epoch, at) = (tenure.epoch, Timestamp(sim.now_ms()));
                    let release = Release {
                        by: "a person".to_owned(),
                        why: "a trial".to_owned(),
                        at,
                        for_a_while: false,
                    };
                    let event = match tenure.released {
                        _ if on => Event::Released { epoch, release },
                        Some(release) => Event::Kept { epoch, release },
                        None => return sim.say("a person: nothing was let go"),
                    };
                    match store.advance(event).await {
                        Ok(tenure) => {
                            return sim.say(format!("a person: let go = {}", tenure.released.is_some()));
                        }
                        Err(error) => sim.say(format!("a person is told: {error}")),
                    }
                }
                if on {
                    return;
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
    }

    fn guard(&self, change: impl FnOnce(&mut Guard)) {
        self.site.sim.with(|s| s.guard.as_mut().map(change));
    }

    fn links(&self, place: usize, other: Option<usize>, up: bool) {
        self.site.sim.with(|s| {
            for far in (0..PLACES).filter(|far| *far != place && other.is_none_or(|o| o == *far)) {
                s.set_link(place, far, up);
                s.set_link(far, place, up);
            }
        });
    }

    /// A person asks for a switchover, and may be gone at any journal write.
    pub(super) fn person(&mut self, crash: Option<CrashPoint>) {
        let site = Site {
            manifest: (*self.manifest).clone(),
            sim: self.site.sim.clone(),
            store: self.site.store.clone(),
            world: self.site.world.clone(),
        };
        let id = format!("person-{}", self.people.len()).parse().expect("an id");
        self.people.push(tokio::spawn(async move {
            let Ok(Some(tenure)) = site.store.tenure().await else { return Run::Died };
            let to = site.manifest.other(&tenure.active).clone();
            let assessment = drive::assess(&site, Kind::Switchover, &to, None).await;
            let Some(plan) = assessment.runnable().cloned() else {
                site.sim.say("the person is refused");
                return Run::Died;
            };
            drive::run(&site, &id, Command::Apply(Box::new(plan)), crash).await
        }));
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

    /// Everything but one region is mended, and that one stays lost: its users' site must be served by the other one,
    /// if need be after a person has accepted the loss. Then it returns after all.
    async fn one_is_lost_for_good(&mut self, lost: usize) -> Option<String> {
        let (gone, left) = (self.regions[lost].clone(), self.regions[1 - lost].clone());
        self.begin(Trouble::Lose(lost), &mut Rng::new(0));
        if self.site.sim.with(|s| !s.regions[&left].alive) {
            self.mend(Trouble::Lose(1 - lost));
        }
        self.site.sim.say(format!("{gone} is lost for good, all else is mended"));
        for _ in 0..HEALED_WITHIN_MS / 1_000 {
            let violations = self.site.sim.with(|s| s.violations.clone());
            if !violations.is_empty() {
                return Some(violations.join("; "));
            }
            if self.site.sim.with(|s| s.attempt(&left).as_ref() == Some(&left)) {
                self.mend(Trouble::Lose(lost));
                return None;
            }
            self.person_fails_over(&left).await;
            sleep(Duration::from_millis(1_000)).await;
        }
        Some(format!("with {gone} lost for good nobody serves"))
    }

    /// A person sees that the keepers refuse, and accepts whatever is lost.
    async fn person_fails_over(&mut self, to: &RegionName) {
        let Ok(Some(tenure)) = self.site.store.tenure().await else { return };
        let refuses = self.site.store.open().await.is_ok_and(|open| open.is_none());
        if &tenure.active == to || !refuses {
            return;
        }
        let assessment = drive::assess(&self.site, Kind::Failover, to, Some(ACCEPTED_MS)).await;
        let Some(plan) = assessment.runnable().cloned() else {
            let blocks: Vec<_> = assessment.blocks.iter().map(|b| b.code.as_str()).collect();
            self.site.sim.say(format!("the person can't fail over: {blocks:?}"));
            return;
        };
        self.guard(|g| g.rpo_ms = ACCEPTED_MS);
        let id = format!("accepted-{}", self.site.sim.now_ms()).parse().expect("an id");
        drive::run(&self.site, &id, Command::Apply(Box::new(plan)), None).await;
    }

    /// All that was wrong is mended; the site must become whole without a person.
    async fn heal_and_judge(&mut self) -> Option<String> {
        for place in 0..2 {
            let lost = self.site.sim.with(|s| !s.regions[&self.regions[place]].alive);
            if lost {
                self.mend(Trouble::Lose(place));
            }
        }
        self.site.sim.say("all is mended");
        let mut left_ms = HEALED_WITHIN_MS;
        loop {
            let wrong = self.not_whole().await;
            let violations = self.site.sim.with(|s| s.violations.clone());
            if !violations.is_empty() {
                return Some(violations.join("; "));
            }
            wrong.as_ref()?;
            if left_ms == 0 {
                return wrong;
            }
            left_ms -= 1_000;
            sleep(Duration::from_millis(1_000)).await;
        }
    }

    /// What is still missing, in a sentence.
    async fn not_whole(&self) -> Option<String> {
        let tenure = self.site.store.tenure().await.ok().flatten();
        let Some(tenure) = tenure else { return Some("there is no tenure".to_owned()) };
        if let Ok(Some(open)) = self.site.store.open().await {
            return Some(format!("{} is open", open.header.id));
        }
        let other = self.manifest.other(&tenure.active).clone();
        let (serves, follows) = self.site.sim.with(|s| {
            let serves = s.attempt(&tenure.active).as_ref() == Some(&tenure.active)
                && s.attempt(&other).as_ref() == Some(&tenure.active);
            (serves, s.feed(&other).0 && !s.regions[&other].log.is_primary())
        });
        if !serves {
            return Some(format!("users of both regions are not served by {}", tenure.active));
        }
        if !follows {
            return Some(format!("{other} does not follow"));
        }
        (!tenure.settled).then(|| "the move is not settled".to_owned())
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
