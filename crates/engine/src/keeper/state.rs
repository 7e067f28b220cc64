//! What a keeper knows, for its own loops, for people and for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

#[derive(Debug, Default)]
struct Known {
    tenure: Option<Tenure>,
    probed: Option<Probed>,
    decision: Option<String>,
}

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
