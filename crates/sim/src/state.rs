//! The fake world itself: what is, how it goes on by itself, and what must never be.
//!
//! It is advanced lazily, in ticks of [`TICK_MS`], whenever somebody looks or acts; on each tick the
//! standby receives and every region's users try one write. Invariants are checked on each tick and each
//! effect, and what they find is kept in [`State::violations`].

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::id::{DnsName, Epoch, RegionName};
use bascule_core::observation::GateState;

use crate::fault::Faults;
use crate::guard::Guard;
use crate::log::{Content, Log, Role};
use crate::rng::Rng;

/// Users of each region try one write in each tick, in virtual milliseconds.
pub const TICK_MS: u64 = 20;
/// The same on a site with keepers, whose trials last minutes.
pub const GUARDED_TICK_MS: u64 = 100;
/// A line that carries nothing looks connected for so long.
const RECEIVER_TIMEOUT_MS: u64 = 3_000;
/// A database that stops cleanly and starts again as a standby.
const RESTART_MS: u64 = 1_500;
/// The same, with a rewind first.
const REWIND_MS: u64 = 6_000;
/// Lines of the trace that are kept; a trial has a few hundred.
const TRACE_MAX: usize = 5_000;

/// One region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Whether its machines run.
    pub alive: bool,
    /// Whether the controller reaches it.
    pub reachable: bool,
    /// Until when it is frozen, all of it at once, in virtual milliseconds.
    pub frozen_ms: u64,
    /// What its load balancer does with writes.
    pub gate: GateState,
    /// The epoch the gate was set for.
    pub gate_epoch: Epoch,
    /// When users' sessions were last cut, in virtual milliseconds.
    pub cut_ms: u64,
    /// When the last of them to be gone has its last write taken, if it still has.
    pub straggler_ms: Option<u64>,
    /// Whether its pool holds.
    pub held: bool,
    /// Whether its instances answer nobody, while all else there is well.
    pub ill: bool,
    /// Its database.
    pub log: Log,
    /// When its standby last heard from the other region, in virtual milliseconds.
    pub heard_ms: u64,
    /// Whether its log is known to be a beginning of the other's.
    pub is_prefix: bool,
}

impl Region {
    /// Whether its machines run at this moment.
    #[must_use]
    pub fn is_up(&self, now_ms: u64) -> bool {
        self.alive && self.frozen_ms <= now_ms
    }

    /// Whether a write would come through its gate to a primary, where no keeper guards it.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.alive && self.gate == GateState::Local && self.log.is_primary()
    }
}

/// A write that a user was told is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Its number.
    pub number: u64,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// Where.
    pub region: RegionName,
    /// In which epoch.
    pub epoch: Epoch,
}

/// Where a name points, as a region, and for how long the answer may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The region.
    pub at: RegionName,
    /// Its time to live, in seconds.
    pub ttl_s: u32,
}

/// The world.
pub struct State {
    /// Up to when it has gone on, in virtual milliseconds.
    pub now_ms: u64,
    /// Both regions.
    pub regions: BTreeMap<RegionName, Region>,
    /// The names, as their servers answer.
    pub names: BTreeMap<DnsName, Name>,
    /// Whether the regions' databases reach each other.
    pub link_up: bool,
    /// How long a record takes to the other region, in milliseconds.
    pub lag_ms: u64,
    /// How long a gate takes to pass writes once it is set, in milliseconds.
    pub gate_opens_ms: u64,
    /// What users were promised.
    pub acks: Vec<Ack>,
    /// Writes that were refused.
    pub refused: u64,
    /// Whether the users are there.
    pub users: bool,
    /// The longest time between two promises, in milliseconds, since it was last set to 0.
    pub longest_pause_ms: u64,
    /// Writes that were saved as a file for people to read.
    pub saved: BTreeSet<u64>,
    /// What must never be, and was.
    pub violations: Vec<String>,
    /// What happened, for a person.
    pub trace: Vec<String>,
    /// The keepers and what lies between the places, where the site has keepers.
    pub guard: Option<Guard>,
    /// What goes wrong.
    pub faults: Faults,
    /// Chance.
    pub rng: Rng,
}

impl State {
    /// The other region.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn other(&self, region: &RegionName) -> RegionName {
        self.regions.keys().find(|r| *r != region).cloned().expect("the world has two regions")
    }

    /// A region.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn region(&mut self, region: &RegionName) -> &mut Region {
        self.regions.get_mut(region).expect("callers name one of the two regions")
    }

    /// Write a line of the trace.
    pub fn say(&mut self, what: impl AsRef<str>) {
        if self.trace.len() < TRACE_MAX {
            self.trace.push(format!("{:>7} ms  {}", self.now_ms, what.as_ref()));
        }
    }

    /// Let time go on.
    pub fn advance(&mut self, to_ms: u64) {
        let tick_ms = if self.guard.is_some() { GUARDED_TICK_MS } else { TICK_MS };
        let mut tick = (self.now_ms / tick_ms + 1) * tick_ms;
        if tick > to_ms {
            self.stragglers(to_ms);
            self.now_ms = self.now_ms.max(to_ms);
            return;
        }
        let names: Vec<RegionName> = self.regions.keys().cloned().collect();
        while tick <= to_ms {
            self.stragglers(tick);
            self.now_ms = tick;
            self.replicate(&names);
            if self.users {
                for region in &names {
                    self.attempt(region);
                }
            }
            self.check();
            tick += tick_ms;
        }
        self.stragglers(to_ms);
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// Sessions that came past the pool and were being cut may have written until they were gone.
    fn stragglers(&mut self, to_ms: u64) {
        let due = |(name, region): (&RegionName, &Region)| {
            region.straggler_ms.filter(|at_ms| *at_ms <= to_ms).map(|at_ms| (name.clone(), at_ms))
        };
        let due: Vec<(RegionName, u64)> = self.regions.iter().filter_map(due).collect();
        for (name, at_ms) in due {
            self.now_ms = self.now_ms.max(at_ms);
            let region = self.region(&name);
            region.straggler_ms = None;
            let there = &self.regions[&name];
            let open = self.guard.as_ref().is_none_or(|guard| guard.permits(&name, self.now_ms));
            if self.users && there.is_up(self.now_ms) && there.log.is_primary() && open {
                self.take(&name);
            }
        }
    }

    /// Where a write that is made in a region's pool arrives, if it is taken. A held pool answers later,
    /// which is neither.
    fn route(&self, from: &RegionName) -> Option<RegionName> {
        let region = &self.regions[from];
        if !region.is_up(self.now_ms) || region.held {
            return None;
        }
        match region.gate {
            GateState::Closed => None,
            GateState::Local => self.takes_writes(from).then(|| from.clone()),
            GateState::Remote => {
                let other = self.other(from);
                (self.link_up && self.takes_writes(&other)).then_some(other)
            }
        }
    }

    /// Whether a write that comes through a region's gate would be acknowledged at this moment.
    #[must_use]
    pub fn takes_writes(&self, name: &RegionName) -> bool {
        let region = &self.regions[name];
        let permitted = || self.guard.as_ref().is_none_or(|guard| guard.permits(name, self.now_ms));
        region.is_up(self.now_ms) && region.takes_writes() && permitted()
    }

    /// One user's write, made in a region. Returns where it was taken.
    pub fn attempt(&mut self, from: &RegionName) -> Option<RegionName> {
        if self.regions[from].ill {
            self.refused += 1;
            return None;
        }
        let Some(at) = self.route(from) else {
            let region = &self.regions[from];
            if region.alive && !region.held {
                self.refused += 1;
            }
            self.strand(from);
            return None;
        };
        self.take(&at);
        Some(at)
    }

    /// A write that waits for a permit is in the log all the same, and nobody was told that it is safe.
    fn strand(&mut self, at: &RegionName) {
        let now_ms = self.now_ms;
        let Some(guard) = &mut self.guard else { return };
        let region = self.regions.get_mut(at).expect("callers name one of the two regions");
        if region.is_up(now_ms) && region.takes_writes() && !region.held {
            region.log.write(Content::Write(guard.next_stranded()), now_ms);
        }
    }

    /// A region's database takes a user's write, and the user is told so.
    fn take(&mut self, at: &RegionName) {
        let (number, now_ms) = (self.acks.len() as u64 + 1, self.now_ms);
        let region = self.region(at);
        region.log.write(Content::Write(number), now_ms);
        let epoch = region.gate_epoch;
        if let Some(last) = self.acks.last() {
            self.longest_pause_ms = self.longest_pause_ms.max(now_ms - last.at_ms);
            if epoch < last.epoch || epoch == last.epoch && *at != last.region {
                let what = format!(
                    "I1: {at} took write {number} in epoch {epoch} after {} took one in epoch {}",
                    last.region, last.epoch
                );
                self.violate(what);
            }
        }
        self.acks.push(Ack { number, at_ms: now_ms, region: at.clone(), epoch });
    }

    pub(crate) fn violate(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.say(format!("VIOLATION {what}"));
            self.violations.push(what);
        }
    }

    /// What must hold at every instant.
    pub fn check(&mut self) {
        let writers: Vec<&str> =
            self.regions.keys().filter(|name| self.takes_writes(name)).map(RegionName::as_str).collect();
        if writers.len() > 1 {
            let what = format!("I1: {} take writes at the same time", writers.join(" and "));
            self.violate(what);
        }
    }

    /// Every promised write that a region's database has not.
    #[must_use]
    pub fn missing_at(&self, region: &RegionName) -> Vec<&Ack> {
        let has: BTreeSet<u64> = self.regions[region]
            .log
            .records
            .iter()
            .filter_map(|r| if let Content::Write(number) = r.content { Some(number) } else { None })
            .collect();
        self.acks.iter().filter(|ack| !has.contains(&ack.number)).collect()
    }

    fn replicate(&mut self, names: &[RegionName]) {
        for name in names {
            if self.regions[name].log.is_primary() {
                continue;
            }
            let other = self.other(name);
            let mut standby = self.regions[name].standby();
            let leader = &self.regions[&other];
            let ready = matches!(standby.role, Role::Standby { ready_ms } if ready_ms <= self.now_ms);
            let stopped = leader.log.records.last().is_some_and(|r| r.content == Content::Shutdown);
            let up = self.regions[name].is_up(self.now_ms) && leader.is_up(self.now_ms);
            let feeds = up && self.link_up && ready;
            if !feeds || !(leader.log.is_primary() || stopped) {
                continue;
            }
            if !standby.is_prefix {
                standby.common = Some(self.regions[name].log.common(&leader.log));
            }
            let (timeline, fork) = (leader.log.timeline, leader.log.fork);
            let have = standby.common.unwrap_or(standby.count);
            let due = self.now_ms.saturating_sub(self.lag_ms);
            let arrived: Vec<_> =
                leader.log.records[have..].iter().take_while(|r| r.at_ms <= due).copied().collect();
            let (is_primary, now_ms) = (leader.log.is_primary(), self.now_ms);
            if let Some(common) = standby.common {
                self.rewind(name, common);
            }
            let region = self.region(name);
            region.is_prefix = true;
            region.log.records.extend(arrived);
            region.log.timeline = timeline;
            region.log.fork = fork;
            if is_primary {
                region.heard_ms = now_ms;
            }
        }
    }

    /// Cut a standby's log back to what it shares with its leader. What only it had must have been saved.
    fn rewind(&mut self, name: &RegionName, common: usize) {
        let cut = self.region(name).log.records.split_off(common);
        let unsaved: Vec<u64> = cut
            .iter()
            .filter_map(|r| if let Content::Write(number) = r.content { Some(number) } else { None })
            .filter(|number| !self.saved.contains(number))
            .collect();
        if !cut.is_empty() {
            self.say(format!("{name} is rewound by {} records", cut.len()));
        }
        if !unsaved.is_empty() {
            self.violate(format!("{name} was rewound over writes that nobody saved: {unsaved:?}"));
        }
    }

    /// Whether a standby believes that it is fed, and for how long it has heard nothing.
    #[must_use]
    pub fn feed(&self, name: &RegionName) -> (bool, u64) {
        let region = &self.regions[name];
        let silent_ms = self.now_ms - region.heard_ms.min(self.now_ms);
        let standby = matches!(region.log.role, Role::Standby { ready_ms } if ready_ms <= self.now_ms);
        (standby && region.is_prefix && silent_ms < RECEIVER_TIMEOUT_MS, silent_ms)
    }

    /// A region's cluster stops cleanly and follows the other.
    pub fn stand_down(&mut self, name: &RegionName) {
        let (now_ms, other) = (self.now_ms, self.other(name));
        let (diverged, seen) = {
            let (ours, theirs) = (&self.regions[name].log, &self.regions[&other].log);
            let diverged = ours.common(theirs) < ours.records.len().min(theirs.records.len());
            (diverged, ours.timeline != theirs.timeline || !theirs.is_primary())
        };
        if diverged && !seen {
            self.violate(format!("{name} follows on a timeline of the same number, and is not rewound"));
        }
        let region = self.region(name);
        if !region.log.is_primary() {
            return;
        }
        region.log.write(Content::Shutdown, now_ms);
        let pause_ms = if diverged { REWIND_MS } else { RESTART_MS };
        region.log.role = Role::Standby { ready_ms: now_ms + pause_ms };
        region.is_prefix = false;
    }

    /// A region's cluster becomes a primary.
    pub fn promote(&mut self, name: &RegionName) -> bascule_core::position::Position {
        let (now_ms, other) = (self.now_ms, self.other(name));
        self.region(&other).is_prefix = false;
        if self.guard.is_some() && !self.regions[name].log.is_primary() {
            self.check_loss(name);
        }
        self.region(name).log.promote(now_ms)
    }

    /// A region's primary rises above the other's timeline by switchovers inside it.
    pub fn renumber(&mut self, name: &RegionName) -> bascule_core::position::Timeline {
        let (now_ms, other) = (self.now_ms, self.other(name));
        let floor = self.regions[&other].log.timeline;
        let log = &mut self.region(name).log;
        while log.is_primary() && log.timeline == floor {
            log.branch(now_ms);
        }
        log.timeline
    }

    /// A region's machines stop, all at once.
    pub fn lose(&mut self, name: &RegionName) {
        self.region(name).alive = false;
        self.say(format!("{name} is lost"));
    }

    /// A lost region starts again, as it was: its gate closed, its database in the role it had.
    pub fn bring_back(&mut self, name: &RegionName) {
        let now_ms = self.now_ms;
        let region = self.region(name);
        if region.alive {
            return;
        }
        region.alive = true;
        (region.gate, region.gate_epoch, region.held) = (GateState::Closed, Epoch(0), false);
        match &mut region.log.role {
            Role::Standby { ready_ms } => *ready_ms = now_ms + RESTART_MS,
            // Its own cluster manager knows nothing of the other region, and promotes it again.
            Role::Primary => region.log.branch(now_ms),
        }
        self.say(format!("{name} is back, its gate closed"));
    }
}

/// What `replicate` needs of a standby without copying its log.
struct Standby {
    role: Role,
    is_prefix: bool,
    count: usize,
    common: Option<usize>,
}

impl Region {
    fn standby(&self) -> Standby {
        Standby {
            role: self.log.role,
            is_prefix: self.is_prefix,
            count: self.log.records.len(),
            common: None,
        }
    }
}
