//! The model's state: small numbers, so that millions of states fit, and two states that differ in nothing
//! that matters are one.
//!
//! Times are kept as what is left or has passed, never as instants, and renewals as ranks among those that
//! anybody remembers: core compares them and adds one, and nothing else.

use bascule_core::plan::Kind;

use super::table::Record;

/// East is 0, west is 1: they number regions, their clocks and their controllers alike.
pub type Place = usize;

/// Who is active, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// The epoch.
    pub epoch: u8,
    /// The region.
    pub active: u8,
    /// Its renewals, as a rank.
    pub renewals: u8,
    /// The operation that made it; 0: none.
    pub by: u8,
    /// Whether its region was let go.
    pub released: bool,
}

/// What an operation is for. (Core's `Kind` can't be hashed.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    /// A planned move.
    Switchover,
    /// A move after loss.
    Failover,
    /// The left region becomes a standby.
    Reinstate,
}

impl Move {
    /// All of them.
    pub const ALL: [Move; 3] = [Move::Switchover, Move::Failover, Move::Reinstate];

    /// As core calls it.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Move::Switchover => Kind::Switchover,
            Move::Failover => Kind::Failover,
            Move::Reinstate => Kind::Reinstate,
        }
    }
}

/// Which operation: what its plan says beyond its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Which {
    /// Its number, from 1.
    pub number: u8,
    /// What it is for.
    pub what: Move,
    /// Where to.
    pub to: u8,
    /// The epoch it was planned on.
    pub base: u8,
}

/// The open operation, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Open {
    /// Which.
    pub which: Which,
    /// Its controller's term.
    pub term: u8,
    /// What its journal leads to.
    pub at: u16,
    /// The renewals that the journal says stood still.
    pub claim: Option<u8>,
}

/// The store: three voters, folded into one that is linearizable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Store {
    /// Who is active.
    pub tenure: Tenure,
    /// The operation that is open.
    pub open: Option<Open>,
    /// Operations begun so far.
    pub begun: u8,
    /// Operations taken over so far.
    pub taken_over: u8,
    /// Times that a region was let go so far.
    pub releases: u8,
    /// Whether one was left while it was let go.
    pub left: bool,
}

/// A renewal that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asked {
    /// How long ago its keeper read its clock for it, by that clock; at most `ttl`.
    pub age: u8,
    /// The epoch it is for.
    pub epoch: u8,
    /// The store's answer, once it has one.
    pub answer: Option<Answer>,
}

/// The store's answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Renewed.
    Renewed,
    /// This epoch has begun.
    Over(u8),
    /// The region was let go.
    Released,
}

/// A keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Keeper {
    /// Its hold: the epoch, and how long it still lasts by its own clock.
    pub hold: Option<(u8, u8)>,
    /// Its renewal under way.
    pub asked: Option<Asked>,
}

/// A tenure as a challenger sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Its epoch.
    pub epoch: u8,
    /// Its renewals, as a rank.
    pub renewals: u8,
    /// For how long it stood still, by the challenger's clock; at most `claim_after`.
    pub still: u8,
}

/// Where a controller is between two writes of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It is about to write what follows.
    Ready,
    /// It has written its intent and is about to perform this step.
    Act(u8),
    /// It is about to take this step back.
    Undo(u8),
    /// It has an outcome to write.
    Say(Record),
}

/// A controller at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// The operation.
    pub which: Which,
    /// Its own term.
    pub term: u8,
    /// The epoch it believes in.
    pub epoch: u8,
    /// What the journal leads to, as far as it knows.
    pub at: u16,
    /// The renewals that stood still, as far as it knows.
    pub claim: Option<u8>,
    /// What it is about to do.
    pub stage: Stage,
}

/// A region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// Whether its map passes writes to its own database.
    pub local: bool,
    /// The epoch its map was set for.
    pub map_epoch: u8,
    /// Whether its database is a primary.
    pub primary: bool,
    /// Whether it may have taken a write since the end of its log was read for the open switchover.
    pub unread: bool,
}

/// What must never happen, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flaws {
    /// I2: a switchover left a write behind.
    pub left_behind: bool,
    /// I4: a fenced controller changed the tenure or the journal.
    pub fenced_effect: bool,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// How far each region's clock goes in a tick.
    pub rates: [u8; 2],
    /// The store.
    pub store: Store,
    /// The minority's copy, where a mutation lets a minority answer.
    pub minority: Option<Store>,
    /// The keepers: those of east first.
    pub keepers: Vec<Keeper>,
    /// What each region's challenger sees.
    pub sights: [Option<Sight>; 2],
    /// Each region's controller.
    pub runs: [Option<Run>; 2],
    /// The regions.
    pub regions: [Region; 2],
    /// What must never happen.
    pub flaws: Flaws,
}

impl State {
    /// East is active in epoch 1, west follows; nobody has renewed yet.
    #[must_use]
    pub fn founded(rates: [u8; 2], keepers: usize) -> Self {
        let region = |home| Region { local: home, map_epoch: 1, primary: home, unread: true };
        Self {
            rates,
            store: Store {
                tenure: Tenure { epoch: 1, active: 0, renewals: 0, by: 0, released: false },
                open: None,
                begun: 0,
                taken_over: 0,
                releases: 0,
                left: false,
            },
            minority: None,
            keepers: vec![Keeper::default(); 2 * keepers],
            sights: [None; 2],
            runs: [None; 2],
            regions: [region(true), region(false)],
            flaws: Flaws::default(),
        }
    }

    /// The region of a keeper.
    #[must_use]
    pub fn place_of(&self, keeper: usize) -> Place {
        keeper / (self.keepers.len() / 2)
    }

    /// The store as a place reaches it.
    #[must_use]
    pub fn store_at(&self, place: Place) -> &Store {
        match &self.minority {
            Some(copy) if place == 1 => copy,
            Some(_) | None => &self.store,
        }
    }

    /// The same, to change it.
    pub fn store_at_mut(&mut self, place: Place) -> &mut Store {
        match &mut self.minority {
            Some(copy) if place == 1 => copy,
            Some(_) | None => &mut self.store,
        }
    }

    /// One state for all that differ in nothing that matters.
    pub fn canonical(&mut self) {
        let newest = self.store.tenure.epoch;
        if self.minority.is_none() {
            // An older sight is replaced by the next look, as none would be.
            for sight in &mut self.sights {
                *sight = sight.filter(|s| s.epoch == newest);
            }
            // What stood still in an epoch that is over is not asked for any more.
            if let Some(open) = self.store.open.as_mut().filter(|open| open.which.base != newest) {
                open.claim = None;
            }
            for run in self.runs.iter_mut().flatten().filter(|run| run.which.base != newest) {
                run.claim = None;
            }
            self.forget_ends();
        }
        let mut ranks: Vec<u8> = Vec::with_capacity(8);
        self.renewals(|n| ranks.push(*n));
        ranks.sort_unstable();
        ranks.dedup();
        let rank = |n: &mut u8| *n = ranks.iter().position(|r| r == n).map_or(0, |i| i as u8);
        self.renewals(rank);
        // Keepers of one region are alike: any order of them is the same state.
        let half = self.keepers.len() / 2;
        let (east, west) = self.keepers.split_at_mut(half);
        for region in [east, west] {
            region.sort_by_key(|k| (k.hold, k.asked.map(|a| (a.age, a.epoch, a.answer.map(answer_rank)))));
        }
    }

    /// An end that was read matters to the switchover that read it, until it commits.
    fn forget_ends(&mut self) {
        let asks = |open: &Open| open.which.what == Move::Switchover;
        let open = self.store.open.filter(asks).filter(|open| open.which.base == self.store.tenure.epoch);
        if open.is_none() {
            for region in &mut self.regions {
                region.unread = true;
            }
        }
    }

    fn renewals(&mut self, mut see: impl FnMut(&mut u8)) {
        see(&mut self.store.tenure.renewals);
        let stores = [Some(&mut self.store), self.minority.as_mut()];
        for open in stores.into_iter().flatten().filter_map(|s| s.open.as_mut()) {
            open.claim.as_mut().map(&mut see);
        }
        if let Some(copy) = &mut self.minority {
            see(&mut copy.tenure.renewals);
        }
        for sight in self.sights.iter_mut().flatten() {
            see(&mut sight.renewals);
        }
        for run in self.runs.iter_mut().flatten() {
            run.claim.as_mut().map(&mut see);
        }
    }
}

fn answer_rank(answer: Answer) -> u8 {
    match answer {
        Answer::Renewed => 0,
        Answer::Over(epoch) => epoch,
        Answer::Released => u8::MAX,
    }
}
