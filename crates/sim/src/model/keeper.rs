//! The model's keepers and the writes they confirm.

use std::time::Duration;

use bascule_core::id::Epoch;
use bascule_core::tenure::challenge;
use bascule_core::tenure::hold::{Event, Hold};
use bascule_core::tenure::{self, Illegal};
use bascule_core::time::Mono;

use super::state::{Answer, Asked, Place, Sight, State};
use super::{Action, Delivery, Mutation, NOW, Protocol};

fn units(n: u8) -> Duration {
    Duration::from_millis(u64::from(n))
}

/// The instant so many units ago.
fn ago(n: u8) -> Mono {
    Mono(NOW.0 - units(n))
}

fn hold(kept: Option<(u8, u8)>) -> Hold {
    match kept {
        None => Hold::Closed,
        Some((epoch, left)) => Hold::Open { epoch: Epoch(u64::from(epoch)), until: NOW.plus(units(left)) },
    }
}

fn kept(hold: Hold) -> Option<(u8, u8)> {
    match hold {
        Hold::Closed => None,
        Hold::Open { epoch, until } => {
            let left = until.since(NOW).as_millis();
            Some((small(epoch), u8::try_from(left).expect("at most ttl")))
        }
    }
}

fn small(epoch: Epoch) -> u8 {
    u8::try_from(epoch.0).expect("few operations")
}

impl Protocol {
    pub(super) fn keeper_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, keeper) in state.keepers.iter().enumerate() {
            if !state.regions[state.place_of(number)].unread {
                actions.push(Action::Write(number));
            }
            match keeper.asked {
                None => actions.push(Action::Send(number)),
                Some(Asked { answer: Some(_), .. }) => actions.push(Action::Receive(number)),
                Some(Asked { answer: None, .. }) => {
                    let ways = [Delivery::Answered, Delivery::Unanswered, Delivery::Repeated];
                    actions.extend(ways.map(|way| Action::Deliver(number, way)));
                }
            }
            actions.push(Action::Restart(number));
        }
    }

    /// Whether a write that reaches a keeper's region is acknowledged at this instant: the map passes it, the
    /// database is a primary, and the keeper's hold is open by its own clock. Then in which epoch: the map's.
    /// A hold of an earlier epoch of the same region is as good: nobody claims before it is over.
    pub(super) fn writes(&self, state: &State, keeper: usize) -> Option<(u8, Place)> {
        let place = state.place_of(keeper);
        let region = state.regions[place];
        let open = hold(state.keepers[keeper].hold).is_open(NOW).is_some();
        (open && region.local && region.primary).then_some((region.map_epoch, place))
    }

    /// I1, and more: whatever is acknowledged at this instant is so in the epoch and the region that the store
    /// says; epochs only grow, so no write of an older one follows one of a newer.
    pub(super) fn is_one_writer(&self, state: &State) -> bool {
        let stores = [Some(&state.store), state.minority.as_ref()];
        let newest = stores.into_iter().flatten().map(|s| s.tenure).max_by_key(|t| t.epoch);
        let tenure = newest.expect("there is always the store");
        (0..state.keepers.len())
            .filter_map(|keeper| self.writes(state, keeper))
            .all(|(epoch, place)| epoch == tenure.epoch && place == usize::from(tenure.active))
    }

    /// A write: it matters to a switchover that has read the log's end.
    pub(super) fn write(&self, state: &mut State, keeper: usize) -> bool {
        let Some((_, place)) = self.writes(state, keeper) else { return false };
        state.regions[place].unread = true;
        true
    }

    /// A keeper renews where it has seen its region active. Between reading its clock and the request's
    /// arrival anything may happen.
    pub(super) fn send(&self, state: &mut State, keeper: usize) -> bool {
        let place = state.place_of(keeper);
        let tenure = state.store_at(place).tenure;
        if usize::from(tenure.active) != place {
            return false;
        }
        state.keepers[keeper].asked = Some(Asked { age: 0, epoch: tenure.epoch, answer: None });
        true
    }

    pub(super) fn deliver(&self, state: &mut State, keeper: usize, delivery: Delivery) -> bool {
        let place = state.place_of(keeper);
        let Some(mut asked) = state.keepers[keeper].asked.filter(|a| a.answer.is_none()) else {
            return false;
        };
        let region = self.regions[place].clone();
        let event = tenure::Event::Renewed { epoch: Epoch(u64::from(asked.epoch)), region };
        let store = state.store_at_mut(place);
        let answer = match self.advance(store.tenure, event) {
            Ok(next) => {
                store.tenure = next;
                Answer::Renewed
            }
            Err(_) if self.mutated(Mutation::RenewalWithoutEpoch) => Answer::Renewed,
            Err(Illegal::Over { current, .. }) => Answer::Over(small(current.epoch)),
            Err(Illegal::Released(_)) => Answer::Released,
            Err(other) => unreachable!("a renewal is admitted, over, or let go: {other}"),
        };
        asked.answer = Some(answer);
        state.keepers[keeper].asked = match delivery {
            Delivery::Answered => Some(asked),
            Delivery::Unanswered => None,
            Delivery::Repeated => Some(Asked { answer: None, ..asked }),
        };
        true
    }

    pub(super) fn receive(&self, state: &mut State, keeper: usize) -> bool {
        let keeper = &mut state.keepers[keeper];
        let Some(Asked { age, epoch, answer: Some(answer) }) = keeper.asked.take() else { return false };
        let age = if self.mutated(Mutation::DeadlineFromAnswer) { 0 } else { age };
        let event = match answer {
            Answer::Renewed => Event::Renewed { epoch: Epoch(u64::from(epoch)), sent: ago(age) },
            Answer::Over(epoch) => Event::Over { epoch: Epoch(u64::from(epoch)) },
            Answer::Released => Event::Released,
        };
        keeper.hold = kept(hold(keeper.hold).next(event, &self.timing()));
        true
    }

    /// A challenger looks at the tenure.
    pub(super) fn look(&self, state: &mut State, place: Place) -> bool {
        let tenure = self.tenure(state.store_at(place).tenure);
        let sight = match state.sights[place] {
            None => challenge::Sight::first(&tenure, NOW),
            Some(sight) => seen(sight).saw(&tenure, NOW),
        };
        state.sights[place] = Some(Sight {
            epoch: small(sight.epoch),
            renewals: u8::try_from(sight.renewals).expect("a rank"),
            still: u8::try_from(sight.still_for(NOW).as_millis()).expect("at most claim_after"),
        });
        true
    }

    /// The renewals at which a challenger may claim.
    pub(super) fn claimable(&self, state: &State, place: Place) -> Option<u8> {
        let sight = seen(state.sights[place]?);
        let let_go = self.mutated(Mutation::ReleaseWithoutWait) && state.store_at(place).tenure.released;
        let renewals = if let_go { sight.renewals } else { sight.claimable(NOW, &self.challengers())? };
        Some(u8::try_from(renewals).expect("a rank"))
    }
}

fn seen(sight: Sight) -> challenge::Sight {
    challenge::Sight {
        epoch: Epoch(u64::from(sight.epoch)),
        renewals: u64::from(sight.renewals),
        since: ago(sight.still),
    }
}
