//! Whether the region that is to be left was guarded.
//!
//! What counts is the last word that its primary gave to a keeper of its own in this epoch, however old: a region that
//! is lost says no more, and what was in force then is what its commits need when it wakes. A word of an earlier epoch
//! is about another time; no word at all is unknown, and unknown is unguarded (I7).

use super::{Refusal, Situation};
use crate::observation::LastMove;
use crate::permit::{Permit, Told};

/// Why nobody may take over by itself: the region, if it wakes, might acknowledge writes that no permit holds back.
pub(super) fn unguarded(s: &Situation<'_>) -> Option<Refusal> {
    if s.last_move.is_some_and(LastMove::is_unopened) {
        // It took no write in this epoch, and its gates are closed.
        return None;
    }
    let own = s.vantages.iter().filter(|vantage| vantage.place.is_in(&s.tenure.active));
    let told = own.filter_map(|vantage| vantage.permit.as_ref()).filter(|told| told.epoch == s.tenure.epoch);
    let why = match told.max_by_key(|told| (told.at, told.permit != Permit::InForce)) {
        Some(Told { permit: Permit::InForce, .. }) => return None,
        Some(Told { permit: Permit::NotInForce { why } | Permit::Unknown { why }, .. }) => why.clone(),
        None => format!("no keeper of {} has told in epoch {}", s.tenure.active, s.tenure.epoch),
    };
    Some(Refusal::Unguarded { why })
}
