//! What a keeper knows, for its own loops, for people and for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bascule_core::permit::Told;
use bascule_core::tenure::Tenure;
use bascule_core::time::Mono;
use bascule_core::vantage::Writes;

/// What its own probes found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Whether the active region took the last write.
    pub writes: Writes,
    /// Since when it does not.
    pub failing_since: Option<Mono>,
    /// When that was found.
    pub at: Mono,
}

#[derive(Debug, Default)]
struct Known {
    tenure: Option<Tenure>,
    probed: Option<Probed>,
    decision: Option<String>,
    told: Option<(Told, Mono)>,
    /// When each loop last began a turn.
    turns: BTreeMap<Loop, Mono>,
}

/// What a keeper does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loop {
    Renew,
    Look,
    Decide,
}

/// No turn takes so long: a decision asks the store and both regions' parts some twelve times, at 1 s each while nobody
/// answers, and a renewal takes `renew`. Twice that, since being started again too early costs more than being late.
const STALLED: Duration = Duration::from_secs(30);

/// A keeper's knowledge.
#[derive(Debug, Default)]
pub struct State {
    known: Mutex<Known>,
    renewals: AtomicU64,
    looks: AtomicU64,
    acts: AtomicU64,
    acting: AtomicBool,
}

/// Something done by itself is under way.
pub(super) struct Acting<'a>(&'a State);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.acting.store(false, Ordering::SeqCst);
    }
}

impl State {
    /// One whose loops begin now.
    pub(super) fn begun(now: Mono) -> Self {
        let state = Self::default();
        state.known().turns = BTreeMap::from([(Loop::Renew, now), (Loop::Look, now), (Loop::Decide, now)]);
        state
    }

    pub(super) fn turned(&self, which: Loop, now: Mono) {
        self.known().turns.insert(which, now);
    }

    /// What it does not do any more; a place in neither region only looks.
    pub(super) fn stalled(&self, now: Mono, keeps: bool) -> Option<&'static str> {
        let hangs = |which| self.known().turns.get(&which).is_none_or(|turned| now.since(*turned) > STALLED);
        if keeps && hangs(Loop::Renew) {
            return Some("renew");
        }
        // An operation of its own is a part of a decision, and each of its steps has a bound of its own.
        if keeps && hangs(Loop::Decide) && !self.is_acting() {
            return Some("decide");
        }
        hangs(Loop::Look).then_some("look")
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest tenure heard of.
    #[must_use]
    pub fn tenure(&self) -> Option<Tenure> {
        self.known().tenure.clone()
    }

    /// Take a tenure in; returns the one before, and whether this one is newer.
    pub(super) fn heard(&self, tenure: &Tenure) -> (Option<Tenure>, bool) {
        let mut known = self.known();
        let before = known.tenure.clone();
        let order = |t: &Tenure| (t.epoch, t.renewals, t.settled);
        let newer = before.as_ref().is_none_or(|before| order(tenure) > order(before));
        if newer {
            known.tenure = Some(tenure.clone());
        }
        (before, newer)
    }

    /// What its own probes found last.
    #[must_use]
    pub fn probed(&self) -> Option<Probed> {
        self.known().probed.clone()
    }

    pub(super) fn set_probed(&self, probed: Option<Probed>) {
        self.known().probed = probed;
    }

    /// What its region's primary told last of the permit, and when by the clock that never steps.
    #[must_use]
    pub fn told(&self) -> Option<(Told, Mono)> {
        self.known().told.clone()
    }

    /// Take in what its region's primary told.
    pub(super) fn set_told(&self, told: Told, when: Mono) {
        self.known().told = Some((told, when));
    }

    /// What it decided last, in words.
    #[must_use]
    pub fn decision(&self) -> Option<String> {
        self.known().decision.clone()
    }

    /// Put a decision down.
    pub(super) fn decided(&self, decision: String) {
        self.known().decision = Some(decision);
    }

    pub(super) fn renewed(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn looked(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// It acts until this is dropped.
    pub(super) fn acting(&self) -> Acting<'_> {
        self.acts.fetch_add(1, Ordering::Relaxed);
        self.acting.store(true, Ordering::SeqCst);
        Acting(self)
    }

    /// Whether an operation of its own is under way.
    #[must_use]
    pub fn is_acting(&self) -> bool {
        self.acting.load(Ordering::SeqCst)
    }

    /// Renewals, looks and acts so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.renewals), of(&self.looks), of(&self.acts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_told_by_its_name() {
        let at = |s: u64| Mono(Duration::from_secs(s));
        let state = State::begun(at(100));
        assert_eq!(state.stalled(at(130), true), None);
        assert_eq!(state.stalled(at(131), true), Some("renew"));
        assert_eq!(state.stalled(at(131), false), Some("look"), "the witness only looks");
        state.turned(Loop::Renew, at(131));
        assert_eq!(state.stalled(at(131), true), Some("decide"));
        let acting = state.acting();
        assert_eq!(state.stalled(at(131), true), Some("look"), "an operation takes as long as its steps may");
        state.turned(Loop::Look, at(131));
        assert_eq!(state.stalled(at(131), true), None);
        assert_eq!(state.stalled(at(162), true), Some("renew"), "and the other loops go on meanwhile");
        drop(acting);
        state.turned(Loop::Decide, at(132));
        assert_eq!(state.stalled(at(132), true), None);
    }
}
