//! Sites with keepers on which one thing goes wrong at one known time.

use std::time::Duration;

use bascule_core::id::Epoch;
use bascule_core::ports::{ReportStore as _, StoreError, TenureStore as _};
use bascule_core::vantage::Writes;
use bascule_engine::executor::Error;
use tokio::time::sleep;

use super::trial::Stage;
use super::trouble::Trouble;
use crate::drive::Run;
use crate::rng::Rng;

/// Until a new site is settled and every place is heard, in virtual milliseconds.
const CALM_MS: u64 = 6_000;

/// What became of a site whose active region was lost while a person moved it.
#[derive(Debug)]
pub struct Relieved {
    /// From the loss until the other region served, in virtual milliseconds; none if it did not.
    pub served_after_ms: Option<u64>,
    /// Whether the person's controller was told that it is not the one any more.
    pub fenced: bool,
}

/// A person, at a place of its own, moves a site whose names live for a time before a move; the active region is lost
/// while the old answers are waited out.
#[must_use]
pub fn region_lost_during_a_switchover(name_ttl: Duration, move_ttl: Duration, within: Duration) -> Relieved {
    in_virtual_time(async {
        let mut rng = Rng::new(1);
        let mut stage = Stage::with(1, &mut rng, |manifest| {
            for record in &mut manifest.names.records {
                (record.ttl, record.move_ttl) = (name_ttl, move_ttl);
            }
        })
        .await;
        sleep(Duration::from_millis(CALM_MS)).await;
        stage.person(None);
        sleep(Duration::from_secs(3)).await;
        stage.begin(Trouble::Lose(0), &mut rng);
        let served_after_ms = stage.until_served(1, within).await;
        let run = match stage.person_ended(within).await {
            Some(run) => run,
            None => return Relieved { served_after_ms, fenced: false },
        };
        let fenced = matches!(run, Run::Stopped(Error::Store(StoreError::Fenced(_))));
        Relieved { served_after_ms, fenced }
    })
}

/// The longest time, in milliseconds, for which any place says that the new region can't write, two renewals after a
/// move to it: it never could, since its instances fell ill with the move.
#[must_use]
pub fn failing_told_after_a_move() -> u64 {
    in_virtual_time(async {
        let mut rng = Rng::new(1);
        let mut stage = Stage::with(1, &mut rng, |_| ()).await;
        sleep(Duration::from_millis(CALM_MS)).await;
        stage.begin(Trouble::Lose(0), &mut rng);
        while stage.store().tenure().await.ok().flatten().is_none_or(|tenure| tenure.epoch.0 < 2) {
            sleep(Duration::from_millis(1)).await;
        }
        stage.begin(Trouble::Ill(1), &mut rng);
        sleep(Duration::from_secs(2)).await;
        let reports = stage.store().reports().await.expect("it is in memory").heard;
        let told =
            reports.iter().filter_map(|(_, report)| match report.regions.get(stage.region(1))?.writes {
                Writes::Fail { for_ms, .. } => Some(for_ms),
                Writes::Work | Writes::NotProbed { .. } => None,
            });
        told.max().expect("somebody has looked")
    })
}

/// What keepers that only observe say half a minute after the active region was lost, and in which epoch.
#[must_use]
pub fn lost_while_only_observed() -> (Vec<String>, Epoch) {
    in_virtual_time(async {
        let mut rng = Rng::new(1);
        let mut stage = Stage::with(1, &mut rng, |_| ()).await;
        stage.observe_only();
        sleep(Duration::from_millis(CALM_MS)).await;
        stage.begin(Trouble::Lose(0), &mut rng);
        sleep(Duration::from_secs(30)).await;
        let reports = stage.store().reports().await.expect("it is in memory").heard;
        let at_west = reports.into_iter().filter(|(place, _)| place.is_in(stage.region(1)));
        let said = at_west.filter_map(|(_, report)| report.decision).collect();
        let tenure = stage.store().tenure().await.expect("it is in memory").expect("it was founded");
        (said, tenure.epoch)
    })
}

fn in_virtual_time<T>(scene: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(scene)
}
