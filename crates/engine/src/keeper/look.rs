//! A keeper's eyes: once every renewal it writes through the active region's front door, tells the others, and reads what
//! they tell.
//!
//! It is a loop of its own beside the deciding one (`decide`): a write through a front door that is frozen hangs for a renewal's time, and
//! a decision must not.
//!
//! A site at rest costs the store, each second, a report and a read of the others' from every place.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bascule_core::decision::Vantage;
use bascule_core::id::RegionName;
use bascule_core::permit::{Permit, Told};
use bascule_core::ports::Reports;
use bascule_core::tenure::Tenure;
use bascule_core::time::{Timestamp, millis};
use bascule_core::vantage::{Freshness, Place, RegionReport, Report, Writes};
use tokio::time::{sleep, timeout};

use super::state::Loop;
use super::{Keeper, Probed};
use crate::observer;

/// How long a word about the permit stands while users' writes pass: it is asked for every 2 s, and a primary that changed is
/// found within 3 s.
const TOLD_FOR: Duration = Duration::from_secs(10);

/// Between two looks at the least: one that took longer than a renewal leaves time for others.
const BREATH: Duration = Duration::from_millis(100);

/// What the places tell.
#[derive(Debug, Default)]
pub(super) struct Heard {
    freshness: BTreeMap<Place, Freshness>,
    reports: Vec<(Place, Report)>,
    /// What was said of reports that can't be read.
    unreadable: Vec<String>,
}

impl Keeper {
    pub(super) async fn look_for_ever(&self) {
        let renew = self.policy.timing().renew;
        loop {
            let began = self.world.clock.mono();
            self.state.turned(Loop::Look, began);
            if let Some(tenure) = self.state.tenure() {
                self.probe(&tenure).await;
                self.tell(&tenure).await;
                self.listen().await;
            }
            let took = self.world.clock.mono().since(began);
            sleep(renew.saturating_sub(took).max(BREATH)).await;
        }
    }

    /// For how long the other region's tenure stands still; none if this keeper's own region is active.
    pub(super) fn still_for(&self) -> Option<Duration> {
        let tenure = self.state.tenure().filter(|tenure| !self.is_in(&tenure.active))?;
        Some(self.world.sight.still_for(&tenure, self.world.clock.mono()))
    }

    /// Whether the tenure was not renewed when it should have been.
    pub(super) fn stands_still(&self) -> bool {
        self.still_for().is_some_and(|still| still > self.policy.timing().renew * 2)
    }

    pub(super) fn is_in(&self, region: &RegionName) -> bool {
        self.place.is_in(region)
    }

    /// Write through the active region's front door.
    async fn probe(&self, tenure: &Tenure) {
        let active = &tenure.active;
        let bound = self.policy.timing().renew;
        let answer = match timeout(bound, self.probe.write_at(active)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} ms", bound.as_millis())),
        };
        let now = self.world.clock.mono();
        let before = self.state.probed().and_then(|probed| probed.failing_since);
        let probed = match answer {
            Ok(()) => Probed { writes: Writes::Work, failing_since: None, at: now },
            Err(why) => {
                let why = if self.is_in(active) { self.diagnosed(why, active).await } else { why };
                let since = before.unwrap_or(now);
                let for_ms = millis(now.since(since));
                Probed { writes: Writes::Fail { why, for_ms }, failing_since: Some(since), at: now }
            }
        };
        if self.state.tenure().is_some_and(|newest| newest.epoch != tenure.epoch) {
            // The site has moved meanwhile: it says nothing of the region that is active now.
            return;
        }
        self.state.set_probed(Some(probed));
    }

    /// How much may be lost is counted from when the region was first seen dark; one that renews lives. Beside the looks, which
    /// others wait for: parts that are frozen take all the time that they are given.
    pub(super) async fn watch_for_darkness(&self) {
        loop {
            sleep(self.policy.timing().renew).await;
            let fails = self.state.probed().is_some_and(|probed| probed.failing_since.is_some());
            if let Some(tenure) = self.state.tenure().filter(|_| fails && self.stands_still()) {
                observer::is_dark(&self.world, &tenure.active).await;
            }
        }
    }

    /// Why users can't write, with what is wrong with the parts of this keeper's own region: who reads it can begin there.
    async fn diagnosed(&self, why: String, here: &RegionName) -> String {
        let found = observer::region(&self.world, here).await.map(|seen| seen.ailments()).unwrap_or_default();
        found.iter().fold(why, |text, ailment| format!("{text}; {ailment}"))
    }

    async fn tell(&self, tenure: &Tenure) {
        let writes = match self.state.probed() {
            Some(probed) => probed.writes,
            None => Writes::NotProbed { why: "it has not looked yet".to_owned() },
        };
        let seen = RegionReport { writes, permit: self.told().filter(|told| told.epoch == tenure.epoch) };
        let report = Report {
            count: self.state.looked(),
            at: self.world.clock.now(),
            version: self.version.to_owned(),
            regions: BTreeMap::from([(tenure.active.clone(), seen)]),
            decision: self.state.decision(),
        };
        if let Err(error) = self.world.places.report(&self.place, &report).await {
            tracing::debug!(%error, "report not stored");
        }
    }

    /// What its primary told last of the permit. That stands while nobody can write; while users' writes pass, who is not
    /// told for long does not know what they need.
    fn told(&self) -> Option<Told> {
        let (told, when) = self.state.told()?;
        let writes = self.state.probed().is_some_and(|probed| probed.writes == Writes::Work);
        let silent = self.world.clock.mono().since(when);
        if !writes || silent <= TOLD_FOR {
            return Some(told);
        }
        let why = format!("its primary has not told {} for {} s", self.place, silent.as_secs());
        let at = Timestamp(told.at.0.saturating_add(millis(TOLD_FOR)));
        Some(Told { at, permit: Permit::Unknown { why }, ..told })
    }

    async fn listen(&self) {
        match self.world.places.reports().await {
            Ok(Reports { heard: reports, unreadable }) => {
                let now = self.world.clock.mono();
                let mut heard = self.heard_of();
                for (place, report) in &reports {
                    let freshness = heard.freshness.get(place).copied();
                    let next = freshness.map_or_else(|| Freshness::first(report), |f| f.saw(report, now));
                    heard.freshness.insert(place.clone(), next);
                }
                heard.reports = reports;
                if heard.unreadable != unreadable {
                    tracing::warn!(?unreadable, "reports that can't be read; their places count as silent");
                    heard.unreadable = unreadable;
                }
            }
            // What was heard before grows old by itself.
            Err(error) => tracing::debug!(%error, "reports not read"),
        }
    }

    /// What the places told before says nothing of what is now: each has to tell anew.
    pub(super) fn forget_the_places(&self) {
        self.heard_of().freshness.clear();
    }

    fn heard_of(&self) -> MutexGuard<'_, Heard> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each place says of a region; its own word is what it saw itself.
    pub(super) fn vantages(&self, region: &RegionName) -> Vec<Vantage> {
        let heard = self.heard_of();
        let now = self.world.clock.mono();
        // A report comes every `renew`, and of a region that does not answer every two: one may be missed.
        let bound = self.policy.timing().renew * 3;
        let others = heard.reports.iter().filter(|(place, _)| place != &self.place).map(|(place, report)| {
            let fresh = heard.freshness.get(place).is_some_and(|f| f.is_fresh(now, bound));
            let seen = report.regions.get(region);
            let (writes, permit) = (seen.map(|s| s.writes.clone()), seen.and_then(|s| s.permit.clone()));
            Vantage { place: place.clone(), fresh, writes, permit }
        });
        let (probed, permit) = (self.state.probed(), self.told());
        let fresh = probed.as_ref().is_some_and(|probed| now.since(probed.at) <= bound);
        let own = probed.map(|probed| probed.writes);
        let own = Vantage { place: self.place.clone(), fresh, writes: own, permit };
        others.chain([own]).collect()
    }
}
