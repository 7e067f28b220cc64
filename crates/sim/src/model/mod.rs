//! The protocol as a model that is checked state by state, over core's own functions.
//!
//! Two regions, each with its keepers, its clock, its controller, its map and its database; three voters,
//! folded into a store that is linearizable and that any message may fail to reach. A step of the model is
//! the smallest thing that a process does between two instants at which it may sleep, die or be cut off, so
//! a pause is any number of ticks between two steps, and a partition is a message that is not delivered.
//! A look at the store is one step: an answer that comes late makes a challenger's count begin later,
//! never earlier, and a claim is held against the store anew.
//!
//! What it leaves out: how long a call to a gate may be under way after its controller was relieved (see
//! [`Mutation::LateGateCalls`]), lag (the simulation has it), and everything inside a region.

mod controller;
mod finish;
mod keeper;
pub mod state;
pub mod table;

use std::time::Duration;

use bascule_core::id::{Epoch, OperationId, RegionName};
use bascule_core::tenure;
use bascule_core::tenure::timing::Timing;
use bascule_core::time::{Mono, Timestamp};
use stateright::{Checker as _, HasDiscoveries, Model, Property};

use finish::Ends;
use state::{Move, Place, State};
use table::{Record, Tables};

/// The protocol, broken in one place: each must be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A challenger does not wait for the old gate.
    NoWait,
    /// It waits as if clocks did not drift.
    NoDrift,
    /// A keeper counts from when the answer to its renewal came.
    DeadlineFromAnswer,
    /// A renewal is admitted whatever its epoch.
    RenewalWithoutEpoch,
    /// An append is admitted whatever its grip.
    AppendWithoutGrip,
    /// A voter that is cut off from the two others answers alone.
    ClaimWithoutQuorum,
    /// A claim does not ask whether the tenure was renewed meanwhile.
    ClaimWithoutCompare,
    /// A commit is admitted from a controller that was relieved.
    CommitWithoutTerm,
    /// A region that was let go is claimed at once, as if all its keepers had heard of it.
    ReleaseWithoutWait,
    /// Not a fault of the protocol but of an assumption: a call that sets a gate's map arrives although its
    /// controller was relieved, and waited for, long ago.
    LateGateCalls,
}

/// How far the model goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// A tenure's length, in a clock's units; a slow clock makes 2 of them in a tick, a fast one 4.
    pub ttl: u8,
    /// Keepers a region.
    pub keepers: usize,
    /// Operations that may begin.
    pub operations: u8,
    /// Times that an operation may be taken over.
    pub takeovers: u8,
    /// Times that the active region may be let go; each may be taken back.
    pub releases: u8,
}

/// By how much the model's clocks drift: 2 and 4 units a tick are 3 less and more a third. Core rounds up.
const DRIFT_PPM: u32 = 333_333;
/// Units that a clock makes in a tick.
const SLOW: u8 = 2;
const FAST: u8 = 4;
/// What every clock shows: times are kept relative to now.
const NOW: Mono = Mono(Duration::from_secs(1));

/// The model.
pub struct Protocol {
    bound: Bound,
    mutation: Option<Mutation>,
    tables: Tables,
    ends: Ends,
    regions: [RegionName; 2],
    operations: Vec<OperationId>,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time goes on.
    Tick,
    /// A user's write reaches a region and is confirmed by this keeper.
    Write(usize),
    /// A keeper reads its clock and sends a renewal.
    Send(usize),
    /// A renewal reaches the store. Its answer is on its way, or lost.
    Deliver(usize, Delivery),
    /// The answer is there.
    Receive(usize),
    /// A keeper dies, and another starts in its place.
    Restart(usize),
    /// A region's challenger looks at the tenure.
    Look(Place),
    /// A region's controller begins an operation.
    Begin(Place, Move, u8),
    /// It takes the open one over: to go on, or to turn it back.
    TakeOver(Place, Wish),
    /// It writes the outcome that is in, if one is, and what follows from it, as one.
    Append(Place, Option<Record>),
    /// It performs what it has intended.
    Perform(Place, Way),
    /// It dies, with all that its process saw.
    Die(Place),
    /// The active region is let go, or that is taken back. Its keepers hear of it by their next renewal's answer, or never:
    /// hearing sooner only closes sooner.
    LetGo(bool),
    /// The west voter is cut off, and answers alone (a mutation).
    CutOff,
}

/// What becomes of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is carried out and answered.
    Answered,
    /// It is carried out; the answer is lost.
    Unanswered,
    /// It is carried out, and will arrive again.
    Repeated,
}

/// Why an operation is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To go on.
    Resume,
    /// To turn back.
    Abort,
    /// To end it, since the region that it made active is lost.
    Abandon,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is done.
    Done,
    /// It is done; the answer is lost.
    Unanswered,
    /// It is refused: nothing changed.
    Refused,
    /// It is lost.
    Lost,
}

impl Protocol {
    /// The protocol as it is, or broken in one place.
    ///
    /// # Panics
    /// If the built-in manifest is wrong.
    #[must_use]
    pub fn new(bound: Bound, mutation: Option<Mutation>) -> Self {
        let tables = Tables::new();
        let plan = &tables.of(Move::Switchover.kind()).plan;
        let regions = [plan.from.clone(), plan.to.clone()];
        let id = |n: u8| format!("operation-{n}").parse().expect("an id");
        let operations = (0..=bound.operations).map(id).collect();
        let ends = Ends::new(&tables);
        Self { bound, mutation, tables, ends, regions, operations }
    }

    fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// As core derives it.
    fn timing(&self) -> Timing {
        let units = |n: u8| Duration::from_millis(u64::from(n));
        let reaction = Duration::ZERO;
        Timing { ttl: units(self.bound.ttl), renew: units(1), drift_ppm: DRIFT_PPM, reaction }
    }

    /// What a challenger goes by.
    fn challengers(&self) -> Timing {
        let timing = self.timing();
        if self.mutated(Mutation::NoWait) {
            Timing { ttl: Duration::ZERO, ..timing }
        } else if self.mutated(Mutation::NoDrift) {
            Timing { drift_ppm: 0, ..timing }
        } else {
            timing
        }
    }

    /// Units after which a challenger need not count on.
    fn still_max(&self) -> u8 {
        let whole = self.timing().claim_after().as_nanos().div_ceil(1_000_000);
        u8::try_from(whole).expect("a small bound")
    }

    fn tenure(&self, tenure: state::Tenure) -> tenure::Tenure {
        let by = (tenure.by > 0).then(|| self.operations[usize::from(tenure.by)].clone());
        tenure::Tenure {
            epoch: Epoch(u64::from(tenure.epoch)),
            active: self.regions[usize::from(tenure.active)].clone(),
            since: Timestamp(0),
            by,
            renewals: u64::from(tenure.renewals),
            settled: true,
            released: tenure.released.then(release),
        }
    }

    /// Core's own step of a tenure.
    fn advance(&self, tenure: state::Tenure, event: tenure::Event) -> Result<state::Tenure, tenure::Illegal> {
        let next = tenure::next(Some(self.tenure(tenure)), event)?;
        let by = self.operations.iter().position(|id| Some(id) == next.by.as_ref());
        Ok(state::Tenure {
            epoch: u8::try_from(next.epoch.0).expect("few operations"),
            active: u8::from(next.active == self.regions[1]),
            renewals: u8::try_from(next.renewals).expect("a rank and one"),
            by: by.map_or(0, |n| u8::try_from(n).expect("few operations")),
            released: next.released.is_some(),
        })
    }

    /// A message to the store like any other: from when it was sent nothing follows.
    fn let_go(&self, state: &mut State, go: bool) -> bool {
        let epoch = Epoch(u64::from(state.store.tenure.epoch));
        let spent = go && state.store.releases >= self.bound.releases;
        if spent || state.store.tenure.released == go {
            return false;
        }
        let release = release();
        let event = if go {
            tenure::Event::Released { epoch, release }
        } else {
            tenure::Event::Kept { epoch, release }
        };
        let Ok(next) = self.advance(state.store.tenure, event) else { return false };
        state.store.tenure = next;
        state.store.releases += u8::from(go);
        true
    }

    fn tick(&self, state: &mut State) {
        let keepers = state.keepers.len();
        for number in 0..keepers {
            let rate = state.rates[state.place_of(number)];
            let keeper = &mut state.keepers[number];
            if let Some((_, left)) = &mut keeper.hold {
                *left = left.saturating_sub(rate);
            }
            if let Some(asked) = &mut keeper.asked {
                asked.age = (asked.age + rate).min(self.bound.ttl);
            }
        }
        for (sight, rate) in state.sights.iter_mut().zip(state.rates) {
            if let Some(sight) = sight {
                sight.still = (sight.still + rate).min(self.still_max());
            }
        }
    }

    fn cut_off(&self, state: &mut State) -> bool {
        let may = self.mutated(Mutation::ClaimWithoutQuorum) && state.minority.is_none();
        if may {
            state.minority = Some(state.store);
        }
        may
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    /// The two worst pairs of clocks, one for each direction; every other lies between them, and what must
    /// hold is linear in the rates.
    fn init_states(&self) -> Vec<State> {
        let worst = [[SLOW, FAST], [FAST, SLOW]];
        // Without a second move nobody claims from west.
        let directions = usize::from(self.bound.operations).min(worst.len());
        worst[..directions].iter().map(|rates| State::founded(*rates, self.bound.keepers)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        self.keeper_actions(state, actions);
        for place in [0, 1] {
            self.controller_actions(state, place, actions);
        }
        if self.bound.releases > 0 {
            actions.extend([true, false].map(Action::LetGo));
        }
        if self.mutated(Mutation::ClaimWithoutQuorum) {
            actions.push(Action::CutOff);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let moved = match action {
            Action::Tick => {
                self.tick(&mut state);
                true
            }
            Action::Write(keeper) => self.write(&mut state, keeper),
            Action::Send(keeper) => self.send(&mut state, keeper),
            Action::Deliver(keeper, delivery) => self.deliver(&mut state, keeper, delivery),
            Action::Receive(keeper) => self.receive(&mut state, keeper),
            Action::Restart(keeper) => {
                state.keepers[keeper] = state::Keeper::default();
                true
            }
            Action::Look(place) => self.look(&mut state, place),
            Action::Begin(place, what, to) => self.begin(&mut state, place, what, to),
            Action::TakeOver(place, wish) => self.take_over(&mut state, place, wish),
            Action::Append(place, record) => self.append(&mut state, place, record),
            Action::Perform(place, way) => self.perform(&mut state, place, way),
            Action::Die(place) => {
                (state.runs[place], state.sights[place]) = (None, None);
                true
            }
            Action::LetGo(go) => self.let_go(&mut state, go),
            Action::CutOff => self.cut_off(&mut state),
        };
        state.canonical();
        (moved && state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(I1, |m: &Self, s: &State| m.is_one_writer(s)),
            Property::always(I2, |_, s: &State| !s.flaws.left_behind),
            Property::always(I4, |_, s: &State| !s.flaws.fenced_effect),
            Property::always(I5, |m: &Self, s: &State| m.ends.is_no_dead_end(&s.store)),
            Property::sometimes("a switchover succeeds", |m: &Self, s| m.has_done(s, Move::Switchover)),
            Property::sometimes("a failover succeeds", |m: &Self, s| m.has_done(s, Move::Failover)),
            Property::sometimes("an operation is taken back", |m: &Self, s| m.has_turned_back(s)),
            Property::sometimes("writes flow after a move", |m: &Self, s| {
                m.writes(s, s.keepers.len() / 2).is_some()
            }),
        ];
        if self.bound.takeovers > 0 {
            let abandoned = |m: &Self, s: &State| m.has_been_abandoned(s);
            properties.push(Property::sometimes("an operation is abandoned", abandoned));
        }
        if self.bound.releases > 0 {
            let kept = |_: &Self, s: &State| {
                s.store.releases > 0 && !s.store.tenure.released && s.store.tenure.epoch == 1
            };
            let left = |m: &Self, s: &State| s.store.left && m.has_done(s, Move::Failover);
            properties.push(Property::sometimes("a region that was let go is kept", kept));
            properties.push(Property::sometimes("one that was let go is left", left));
        }
        properties
    }
}

/// The only one there is: whoever takes one back takes back this one.
fn release() -> tenure::Release {
    tenure::Release { by: String::new(), why: String::new(), at: Timestamp(0), for_a_while: false }
}

/// What a run of the checker found.
#[derive(Debug)]
pub struct Verdict {
    /// States looked at, each once.
    pub states: usize,
    /// Steps of the longest history.
    pub depth: usize,
    /// Whether every state within the bound was looked at.
    pub complete: bool,
    /// Which promise was broken, and by which history, shortest first found.
    pub broken: Option<(&'static str, Vec<Action>)>,
    /// What should have happened at least once, and did not.
    pub never: Vec<&'static str>,
}

/// Check the protocol, or a mutation of it, by as many threads; stop at the first promise that is broken.
#[must_use]
pub fn check(bound: Bound, mutation: Option<Mutation>, threads: usize) -> Verdict {
    let model = Protocol::new(bound, mutation);
    let checker =
        model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found = checker.discoveries();
    let (promises, events): (Vec<_>, Vec<_>) =
        checker.model().properties().into_iter().partition(|p| p.expectation.discovery_is_failure());
    let never = events.iter().map(|p| p.name).filter(|name| !found.contains_key(name)).collect();
    let broken = promises.iter().find_map(|p| Some((p.name, found.remove(p.name)?.into_actions())));
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    Verdict { states, depth, complete: broken.is_none() && checker.is_done(), broken, never }
}

/// I1, and more: no write in an epoch that is over.
pub const I1: &str = "I1: one writer, in the epoch that is";
/// I2.
pub const I2: &str = "I2: a switchover leaves no write behind";
/// I4.
pub const I4: &str = "I4: a fenced controller changes nothing";
/// I5.
pub const I5: &str = "I5: no dead end";
