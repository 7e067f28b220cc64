//! What must hold when all that was wrong is mended, or all but one region.

use std::time::Duration;

use bascule_core::id::RegionName;
use bascule_core::plan::Kind;
use bascule_core::ports::{JournalStore as _, TenureStore as _};
use tokio::time::sleep;

use crate::drive::{self, Command};
use crate::rng::Rng;

use super::trial::Stage;
use super::trouble::Trouble;

/// Within this the healed site is whole again, in virtual milliseconds: an operation that waits twice in vain
/// for a region to follow (two minutes each), then a reinstatement with a rewind, and cool-downs.
const HEALED_WITHIN_MS: u64 = 420_000;

/// Loss that a person accepts rather than have no site, in milliseconds.
const ACCEPTED_MS: u64 = 3_600_000;

impl Stage {
    /// Everything but one region is mended, and that one stays lost: its users' site must be served by the other one,
    /// if need be after a person has accepted the loss. Then it returns after all.
    pub(super) async fn one_is_lost_for_good(&mut self, lost: usize) -> Option<String> {
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
    pub(super) async fn heal_and_judge(&mut self) -> Option<String> {
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
}
