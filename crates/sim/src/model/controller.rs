//! The model's controllers: they do what the engine's executor does, one write or one call at a time.

use bascule_core::action::Action as Deed;
use bascule_core::id::{Epoch, Term};
use bascule_core::observation::GateState;
use bascule_core::tenure::{self, Illegal};
use bascule_core::time::Timestamp;

use super::state::{Move, Open, Place, Run, Stage, State, Store, Which};
use super::table::{Node, Record};
use super::{Action, Mutation, Protocol, Way, Wish};

/// How a call came out.
enum Came {
    /// With this record to write.
    Out(Record),
    /// Somebody newer is in charge.
    Fenced,
    /// Not at all yet: it goes on waiting.
    Waits,
}

impl Protocol {
    fn node(&self, what: Move, at: u16) -> &Node {
        &self.tables.of(what.kind()).nodes[usize::from(at)]
    }

    pub(super) fn controller_actions(&self, state: &State, place: Place, actions: &mut Vec<Action>) {
        let Some(run) = state.runs[place] else {
            self.idle_actions(state, place, actions);
            return;
        };
        actions.push(Action::Die(place));
        match run.stage {
            Stage::Say(record) => {
                let next = self.node(run.which.what, run.at).next.get(&record);
                let Some(next) = next else { return };
                let choices = &self.node(run.which.what, *next).choices;
                actions.extend(choices.iter().map(|record| Action::Append(place, Some(*record))));
                if choices.is_empty() {
                    actions.push(Action::Append(place, None));
                }
            }
            Stage::Ready => {
                let choices = self.node(run.which.what, run.at).choices.iter();
                actions.extend(choices.map(|record| Action::Append(place, Some(*record))));
            }
            Stage::Act(step) => {
                let deed = &self.tables.of(run.which.what.kind()).plan.steps[usize::from(step)].action;
                if matches!(deed, Deed::WaitOut { .. }) {
                    actions.push(Action::Look(place));
                }
                let ways = [Way::Done, Way::Unanswered, Way::Refused, Way::Lost];
                actions.extend(ways.map(|way| Action::Perform(place, way)));
            }
            Stage::Undo(_) => {
                actions.extend([Way::Done, Way::Unanswered].map(|way| Action::Perform(place, way)));
            }
        }
    }

    fn idle_actions(&self, state: &State, place: Place, actions: &mut Vec<Action>) {
        let store = state.store_at(place);
        if usize::from(store.tenure.active) != place {
            actions.push(Action::Look(place));
        }
        match store.open {
            Some(_) if store.taken_over < self.bound.takeovers => {
                let wishes = [Wish::Resume, Wish::Abort, Wish::Abandon];
                actions.extend(wishes.map(|wish| Action::TakeOver(place, wish)));
            }
            None if store.begun < self.bound.operations => {
                actions.extend(Move::ALL.map(|what| Action::Begin(place, what, 1 - store.tenure.active)));
            }
            Some(_) | None => {}
        }
    }

    /// A keeper fails over to its own region; the rest is anybody's. What the planner forbids is not tried: a
    /// switchover's target must be a standby, a failover's is one unless the move before it was abandoned, and a
    /// reinstated region is a primary.
    pub(super) fn begin(&self, state: &mut State, place: Place, what: Move, to: u8) -> bool {
        let (from, target) = (1 - usize::from(to), usize::from(to));
        let [old, new] = [state.regions[from], state.regions[target]];
        let may = match what {
            Move::Switchover => old.primary && old.local && !new.primary,
            Move::Failover => place == target,
            Move::Reinstate => old.primary && new.primary,
        };
        let store = state.store_at_mut(place);
        if !may || store.open.is_some() || store.begun >= self.bound.operations {
            return false;
        }
        store.begun += 1;
        let base = store.tenure.epoch;
        let which = Which { number: store.begun, what, to, base };
        store.open = Some(Open { which, term: 1, at: 0, claim: None });
        let stage = Stage::Ready;
        state.runs[place] = Some(Run { which, term: 1, epoch: base, at: 0, claim: None, stage });
        self.forget(state, place);
        true
    }

    /// What a controller saw of the tenure matters only to a failover that has not claimed yet.
    fn forget(&self, state: &mut State, place: Place) {
        let Some(run) = state.runs[place] else { return };
        if run.which.what != Move::Failover || run.claim.is_some() || run.epoch != run.which.base {
            state.sights[place] = None;
        }
    }

    pub(super) fn take_over(&self, state: &mut State, place: Place, wish: Wish) -> bool {
        let store = state.store_at_mut(place);
        let Some(open) = store.open.as_mut() else { return false };
        let node = self.node(open.which.what, open.at);
        let says = match wish {
            Wish::Resume => node.on_takeover,
            Wish::Abort if node.past_return => return false,
            Wish::Abort => Some(Record::AbortBegan).filter(|record| node.next.contains_key(record)),
            // Whether the region is lost is not asked: nothing may depend on it but that users are served.
            Wish::Abandon if place == usize::from(open.which.to) => return false,
            Wish::Abandon if node.next.contains_key(&Record::Abandoned) => Some(Record::Abandoned),
            Wish::Abandon => return false,
        };
        open.term += 1;
        let (which, term, at, claim) = (open.which, open.term, open.at, open.claim);
        store.taken_over += 1;
        let stage = says.map_or(Stage::Ready, Stage::Say);
        let epoch = epoch_of(store, which);
        state.runs[place] = Some(Run { which, term, epoch, at, claim, stage });
        self.forget(state, place);
        true
    }

    /// As `rules::may_append` of the stores: the term, the epoch, that it is open, the journal's length.
    /// An outcome and the intent that follows from it are one write, as the executor makes them.
    pub(super) fn append(&self, state: &mut State, place: Place, then: Option<Record>) -> bool {
        let Some(mut run) = state.runs[place] else { return false };
        let what = run.which.what;
        let said = match run.stage {
            Stage::Say(record) => Some(record),
            Stage::Ready => None,
            Stage::Act(_) | Stage::Undo(_) => return false,
        };
        let mut next = run.at;
        for record in said.into_iter().chain(then) {
            let Some(follows) = self.node(what, next).next.get(&record) else { return false };
            next = *follows;
        }
        let store = state.store_at(place);
        let own = store.open.filter(|open| open.which.number == run.which.number);
        let admitted = store.tenure.epoch == run.epoch
            && own.is_some_and(|open| open.term == run.term && open.at == run.at);
        let mutated = self.mutated(Mutation::AppendWithoutGrip) && own.is_some();
        if !admitted && !mutated {
            // Fenced, or a conflict: it stops at once.
            state.runs[place] = None;
            return true;
        }
        state.flaws.fenced_effect |= !admitted;
        run.at = next;
        let ended = self.node(what, next).ended;
        let store = state.store_at_mut(place);
        store.open = store.open.map(|open| Open { at: next, claim: run.claim, ..open }).filter(|_| !ended);
        // Nothing follows: it is over, or it stops and asks for a person.
        state.runs[place] = then.filter(|_| !ended).map(|record| Run { stage: stage_after(record), ..run });
        self.forget(state, place);
        true
    }

    /// Whether a controller has nothing left but to record an end of this kind.
    pub(super) fn has_done(&self, state: &State, what: Move) -> bool {
        let open = state.store.open.filter(|open| open.which.what == what);
        open.is_some_and(|open| self.is_about_to(state, open, Record::Succeeded))
    }

    /// Whether an operation was taken back as a whole.
    pub(super) fn has_turned_back(&self, state: &State) -> bool {
        state.store.open.is_some_and(|open| self.is_about_to(state, open, Record::Aborted))
    }

    /// Whether a controller is about to end an operation that made a region active which is lost.
    pub(super) fn has_been_abandoned(&self, state: &State) -> bool {
        state.runs.iter().flatten().any(|run| run.stage == Stage::Say(Record::Abandoned))
    }

    fn is_about_to(&self, state: &State, open: Open, record: Record) -> bool {
        state.runs.iter().flatten().any(|run| {
            let Stage::Say(said) = run.stage else { return false };
            let next = self.node(run.which.what, run.at).next.get(&said);
            run.which == open.which
                && run.term == open.term
                && next.is_some_and(|n| self.node(run.which.what, *n).choices == [record])
        })
    }

    pub(super) fn perform(&self, state: &mut State, place: Place, way: Way) -> bool {
        let Some(run) = state.runs[place] else { return false };
        let came = match run.stage {
            Stage::Act(step) => self.act(state, place, &run, step, way),
            Stage::Undo(step) => self.undo(state, place, &run, step, way),
            Stage::Ready | Stage::Say(_) => return false,
        };
        match came {
            Came::Waits => return false,
            Came::Fenced => state.runs[place] = None,
            Came::Out(record) => {
                if let Some(run) = &mut state.runs[place] {
                    run.stage = Stage::Say(record);
                }
            }
        }
        true
    }

    fn act(&self, state: &mut State, place: Place, run: &Run, step: u8, way: Way) -> Came {
        let plan = &self.tables.of(run.which.what.kind()).plan;
        let deed = &plan.steps[usize::from(step)].action;
        match way {
            Way::Refused => return Came::Out(Record::Failed(step)),
            Way::Lost => return self.after_commit(state, place, deed, Record::Unknown(step)),
            Way::Done | Way::Unanswered => {}
        }
        let done = match deed {
            Deed::WaitOut { .. } => return self.wait_out(state, place, run, step, way),
            Deed::Commit { claims, .. } => {
                return self.commit(state, place, run, step, way, claims.is_some());
            }
            Deed::ReadEnd { .. } => self.read_end(state, place, run),
            Deed::SetGate { region, state: gate, epoch } => {
                let at = self.side(run, plan.to == *region);
                let epoch = run.which.base + u8::from(*epoch != plan.base);
                self.set_gate(state, place, run, at, *gate == GateState::Local, epoch)
            }
            Deed::StandDown { region, .. } => {
                state.regions[self.side(run, plan.to == *region)].primary = false;
                Some(true)
            }
            Deed::Promote { region } => {
                state.regions[self.side(run, plan.to == *region)].primary = true;
                Some(true)
            }
            other => unreachable!("the model keeps no such step: {other:?}"),
        };
        match (done, way) {
            (None, _) => Came::Waits,
            (Some(false), _) => Came::Out(Record::Failed(step)),
            (Some(true), Way::Unanswered) => Came::Out(Record::Unknown(step)),
            (Some(true), Way::Done | Way::Refused | Way::Lost) => Came::Out(Record::Done(step)),
        }
    }

    fn undo(&self, state: &mut State, place: Place, run: &Run, step: u8, way: Way) -> Came {
        let plan = &self.tables.of(run.which.what.kind()).plan;
        let Some(Deed::SetGate { region, state: gate, .. }) = &plan.steps[usize::from(step)].undo else {
            unreachable!("only gates are taken back here");
        };
        let at = self.side(run, plan.to == *region);
        let local = *gate == GateState::Local;
        match (self.set_gate(state, place, run, at, local, run.which.base), way) {
            // Refused or unanswered: it is tried again.
            (Some(true), Way::Done) => Came::Out(Record::UndoDone(step)),
            (Some(true), Way::Unanswered | Way::Refused | Way::Lost) | (Some(false) | None, _) => Came::Waits,
        }
    }

    /// The region that a plan's `to` or `from` is in this operation.
    fn side(&self, run: &Run, to: bool) -> Place {
        let target = usize::from(run.which.to);
        if to { target } else { 1 - target }
    }

    fn read_end(&self, state: &mut State, place: Place, run: &Run) -> Option<bool> {
        let current = is_current(state.store_at(place), run);
        let region = &mut state.regions[self.side(run, false)];
        if !region.primary {
            return Some(false);
        }
        if region.local {
            return None;
        }
        // What a relieved controller read is in no journal.
        region.unread &= !current;
        Some(true)
    }

    /// None: the call of a controller that was relieved does not arrive any more.
    fn set_gate(
        &self,
        state: &mut State,
        place: Place,
        run: &Run,
        at: Place,
        local: bool,
        epoch: u8,
    ) -> Option<bool> {
        if !is_current(state.store_at(place), run) && !self.mutated(Mutation::LateGateCalls) {
            return None;
        }
        let region = &mut state.regions[at];
        if epoch < region.map_epoch || local && !region.primary {
            return Some(false);
        }
        (region.local, region.map_epoch) = (local, epoch);
        Some(true)
    }

    /// It looks, and waits until what it saw has stood still for long enough.
    fn wait_out(&self, state: &mut State, place: Place, run: &Run, step: u8, way: Way) -> Came {
        self.look(state, place);
        let tenure = state.store_at(place).tenure;
        if tenure.epoch != run.which.base {
            return Came::Out(Record::Failed(step));
        }
        let Some(claim) = self.claimable(state, place) else { return Came::Waits };
        if way == Way::Unanswered {
            return Came::Out(Record::Unknown(step));
        }
        if let Some(run) = &mut state.runs[place] {
            run.claim = Some(claim);
        }
        Came::Out(Record::Done(step))
    }

    /// The compare-and-set, as a store admits it.
    fn commit(&self, state: &mut State, place: Place, run: &Run, step: u8, way: Way, claims: bool) -> Came {
        let store = *state.store_at(place);
        let current = is_current(&store, run);
        if claims && run.claim.is_none() && store.tenure.by != run.which.number {
            return Came::Out(Record::Failed(step));
        }
        let made = store.tenure.by == run.which.number;
        if !current && !made && !self.mutated(Mutation::CommitWithoutTerm) {
            return Came::Fenced;
        }
        let claim = run.claim.filter(|_| claims && !self.mutated(Mutation::ClaimWithoutCompare));
        let event = tenure::Event::Committed {
            by: self.operations[usize::from(run.which.number)].clone(),
            term: Term(u64::from(run.term)),
            base: Epoch(u64::from(run.which.base)),
            active: self.regions[usize::from(run.which.to)].clone(),
            at: Timestamp(0),
            unrenewed: claim.map(u64::from),
        };
        match self.advance(store.tenure, event) {
            Ok(next) => {
                if next != store.tenure {
                    state.flaws.fenced_effect |= !current;
                    let from = &state.regions[self.side(run, false)];
                    state.flaws.left_behind |= run.which.what == Move::Switchover && from.unread;
                }
                let store_now = state.store_at_mut(place);
                store_now.left |= next != store.tenure && store.tenure.released;
                store_now.tenure = next;
                let record = if way == Way::Done { Record::Done(step) } else { Record::Unknown(step) };
                self.believe(state, place);
                Came::Out(record)
            }
            Err(Illegal::Renewed { .. }) => {
                self.believe(state, place);
                Came::Out(Record::Refuted(step))
            }
            Err(_) => Came::Fenced,
        }
    }

    /// After a commit whose outcome is not known, a controller asks which epoch holds now.
    fn after_commit(&self, state: &mut State, place: Place, deed: &Deed, record: Record) -> Came {
        if deed.is_commit() {
            self.believe(state, place);
        }
        Came::Out(record)
    }

    fn believe(&self, state: &mut State, place: Place) {
        let store = *state.store_at(place);
        if let Some(run) = &mut state.runs[place] {
            run.epoch = epoch_of(&store, run.which);
        }
    }
}

fn stage_after(record: Record) -> Stage {
    match record {
        Record::Intended(step) => Stage::Act(step),
        Record::UndoIntended(step) => Stage::Undo(step),
        Record::Done(_)
        | Record::Waived(_)
        | Record::Failed(_)
        | Record::Refuted(_)
        | Record::Unknown(_)
        | Record::AbortBegan
        | Record::UndoDone(_)
        | Record::Succeeded
        | Record::Aborted
        | Record::Abandoned => Stage::Ready,
    }
}

/// The epoch an operation may write in: the one it was planned on, or its own once it has committed.
fn epoch_of(store: &Store, which: Which) -> u8 {
    if store.tenure.by == which.number { which.base + 1 } else { which.base }
}

/// Whether a controller is still the one in charge.
fn is_current(store: &Store, run: &Run) -> bool {
    store.open.is_some_and(|open| open.which.number == run.which.number && open.term == run.term)
}
