//! A region dies in the middle of an operation: at every journal write, either region, and the site has
//! a way to go on that needs no dead region.

use bascule_core::id::{Epoch, RegionName};
use bascule_core::observation::GateState;
use bascule_core::operation::Event;
use bascule_core::plan::Kind;
use bascule_core::ports::JournalStore;
use bascule_sim::drive::{self, Command, Run};

use crate::stage::{Case, Trial, in_virtual_time, sleep_ms, writes_flow};

const SWITCHOVER: Case = Case { kind: Kind::Switchover, back: false };

/// Run the operation; when it has made so many journal writes, the region is lost. Returns how it ended,
/// or none if it was over before.
async fn lose_at(trial: &Trial, region: &RegionName, writes: u64) -> Option<Run> {
    let before = trial.site.store.appends();
    let apply = trial.apply(None);
    tokio::pin!(apply);
    let mut lost = false;
    loop {
        tokio::select! {
            run = &mut apply => return lost.then_some(run),
            () = sleep_ms(1), if !lost => {
                if trial.site.store.appends() >= before + writes {
                    trial.site.sim.with(|s| s.lose(region));
                    lost = true;
                }
            }
        }
    }
}

async fn records(trial: &Trial) -> Vec<Event> {
    let journal = trial.site.store.read(&trial.id).await.expect("it is there");
    journal.entries.into_iter().map(|e| e.event).collect()
}

async fn committed(trial: &Trial) -> bool {
    let done = |e: &Event| matches!(e, Event::Done { step, .. } if step.as_str() == "commit");
    records(trial).await.iter().any(done)
}

fn no_violation(trial: &Trial, what: &str) {
    let (violations, trace) = trial.site.sim.with(|s| (s.violations.clone(), s.trace.join("\n")));
    assert!(violations.is_empty(), "{violations:?}\nin {what}\n{trace}");
}

/// Found here: taking back a switchover needed the region that had died, so its operation stayed open, and
/// an open operation forbids the failover.
#[test]
fn the_active_region_dies_at_any_write_of_a_switchover_and_the_site_moves_on() {
    let (mut aborted, mut forward) = (0, 0);
    for at in 1.. {
        let what = format!("the active region dies at write {at}");
        let over = in_virtual_time(async {
            let trial = Trial::new(SWITCHOVER, at).await;
            let Some(run) = lose_at(&trial, &trial.from, at).await else { return true };
            let trace = || trial.site.sim.with(|s| s.trace.join("\n"));
            if committed(&trial).await {
                let run = trial.finish(run).await;
                assert!(run.succeeded(), "{what}: {run:?}\n{}", trace());
                forward += 1;
            } else {
                let run = if matches!(run, Run::Ended(_)) { run } else { trial.abort(None).await };
                assert!(run.aborted(), "{what}: {run:?}\n{}", trace());
                fail_over(&trial, &what).await;
                aborted += 1;
            }
            assert!(writes_flow(&trial.site).await, "{what}\n{}", trace());
            no_violation(&trial, &what);
            come_back(&trial, &what).await;
            no_violation(&trial, &what);
            false
        });
        if over {
            break;
        }
    }
    assert!(aborted >= 5 && forward > 5, "{aborted} aborted, {forward} went forward: too few to mean much");
}

async fn fail_over(trial: &Trial, what: &str) {
    let assessment = drive::assess(&trial.site, Kind::Failover, &trial.to, Some(600_000)).await;
    let Some(plan) = assessment.runnable() else { panic!("{what}: {:?}", assessment.blocks) };
    let id = "rescue".parse().expect("an id");
    let run = drive::run(&trial.site, &id, Command::Apply(Box::new(plan.clone())), None).await;
    assert!(run.succeeded(), "{what}: the failover ended as {run:?}");
}

async fn come_back(trial: &Trial, what: &str) {
    trial.site.sim.with(|s| s.bring_back(&trial.from));
    sleep_ms(3_000).await;
    let assessment = drive::assess(&trial.site, Kind::Reinstate, &trial.from, None).await;
    let Some(plan) = assessment.runnable() else { panic!("{what}: {:?}", assessment.blocks) };
    let id = "return".parse().expect("an id");
    let run = drive::run(&trial.site, &id, Command::Apply(Box::new(plan.clone())), None).await;
    assert!(run.succeeded(), "{what}: the reinstate ended as {run:?}");
}

/// Found by a seed of sites with keepers: a keeper decided, slept, and woke with a plan of a time at which little would have
/// been lost. How much may be lost is asked again before the commit.
#[test]
fn a_plan_that_slept_while_the_standby_fell_behind_loses_nothing_that_nobody_allowed() {
    in_virtual_time(async {
        let trial = Trial::new(Case { kind: Kind::Failover, back: false }, 1).await;
        let east = &trial.from;
        trial.site.sim.with(|s| {
            s.bring_back(east);
            let region = s.region(east);
            (region.gate, region.gate_epoch) = (GateState::Local, Epoch(1));
            s.link_up = false;
        });
        // A look that finds it alive ends its darkness.
        sleep_ms(1_000).await;
        drive::assess(&trial.site, Kind::Switchover, &trial.to, None).await;
        assert!(writes_flow(&trial.site).await, "users write where nobody follows");
        sleep_ms(20_000).await;
        trial.site.sim.with(|s| s.lose(east));
        sleep_ms(1_000).await;

        let run = trial.apply(None).await;
        assert!(run.aborted(), "{run:?}");
        assert!(!committed(&trial).await);
        let told = format!("{:?}", records(&trial).await);
        assert!(told.contains("plan again"), "{told}");
        no_violation(&trial, "a plan that slept");
    });
}

/// Found here: the pool of the dead standby was released before the active region's, so its death kept
/// the active region's users waiting.
#[test]
fn the_standby_dies_before_the_commit_and_the_active_regions_users_go_on() {
    for at in 1.. {
        let over = in_virtual_time(async {
            let trial = Trial::new(SWITCHOVER, at).await;
            let Some(run) = lose_at(&trial, &trial.to, at).await else { return true };
            if committed(&trial).await {
                return true;
            }
            let trace = || trial.site.sim.with(|s| s.trace.join("\n"));
            assert!(!run.succeeded(), "at {at}: {run:?}");
            assert!(writes_flow(&trial.site).await, "at {at}: {run:?}\n{}", trace());
            let run = if run.aborted() { run } else { trial.abort(None).await };
            assert!(run.aborted(), "at {at}: {run:?}\n{}", trace());
            let pause_ms = trial.site.sim.with(|s| s.longest_pause_ms);
            // The hold may last max_pause; then each of two steps is taken back in one call.
            assert!(pause_ms <= trial.plan.max_pause_ms + 100, "at {at}: {pause_ms} ms");
            no_violation(&trial, &format!("at {at}"));
            false
        });
        if over {
            break;
        }
    }
}

/// Found here: a reinstate that could not be aborted stood in the way of the failover that was needed
/// when the active region died too.
#[test]
fn the_active_region_dies_during_a_reinstate_and_the_returned_one_can_take_over() {
    in_virtual_time(async {
        let trial = Trial::new(Case { kind: Kind::Reinstate, back: false }, 1).await;
        let following = "stand-down-us-east-2.done".to_owned();
        let crash = format!("after={following}").parse().expect("a crash point");
        let run = trial.apply(Some(crash)).await;
        assert!(matches!(run, Run::Died), "{run:?}");
        sleep_ms(10_000).await;
        trial.site.sim.with(|s| s.lose(&trial.from));
        sleep_ms(4_000).await;
        let run = trial.abort(None).await;
        assert!(run.aborted(), "{run:?}");
        fail_over(&trial, "reinstate").await;
        assert!(writes_flow(&trial.site).await);
        no_violation(&trial, "reinstate");
    });
}

/// Found here: a failover resumed after its controller died trusted a look at the region that was as old
/// as the crash.
#[test]
fn a_failover_whose_region_returned_while_nobody_looked_is_not_resumed() {
    in_virtual_time(async {
        let trial = Trial::new(Case { kind: Kind::Failover, back: false }, 1).await;
        let crash = "before=commit.intent".parse().expect("a crash point");
        assert!(matches!(trial.apply(Some(crash)).await, Run::Died));
        trial.site.sim.with(|s| {
            s.bring_back(&trial.from);
            let epoch = trial.plan.base;
            let region = s.region(&trial.from);
            (region.gate, region.gate_epoch) = (bascule_core::observation::GateState::Local, epoch);
        });
        assert!(writes_flow(&trial.site).await);
        let run = trial.resume(None).await;
        assert!(run.aborted(), "{run:?}");
        assert!(writes_flow(&trial.site).await);
        no_violation(&trial, "a returned region");
    });
}

/// A failover reports at least what was lost.
#[test]
fn the_loss_a_failover_reports_covers_every_write_it_lost() {
    for lag_ms in [5, 200, 900, 3_000] {
        in_virtual_time(async {
            let trial = Trial::new(SWITCHOVER, lag_ms).await;
            trial.site.sim.with(|s| s.lag_ms = lag_ms);
            sleep_ms(5_000).await;
            trial.site.sim.with(|s| s.lose(&trial.from));
            sleep_ms(10).await;
            fail_over(&trial, "loss").await;
            let rescue = "rescue".parse().expect("an id");
            let journal = trial.site.store.read(&rescue).await.expect("it is there");
            let report = bascule_engine::report::report(&journal).expect("a sound journal");
            let reported_ms = report.loss_ms.expect("it was measured");
            let lost_ms = trial.site.sim.with(|s| {
                let missing = s.missing_at(&trial.to);
                let first = missing.first().map_or(0, |a| a.at_ms);
                missing.last().map_or(0, |a| a.at_ms) - first
            });
            assert!(lost_ms + 100 >= lag_ms.saturating_sub(100), "{lost_ms} ms lost at a lag of {lag_ms} ms");
            assert!(reported_ms >= lost_ms, "{reported_ms} ms reported, {lost_ms} ms lost");
            no_violation(&trial, "loss");
        });
    }
}

/// Found by reading: what promoted a region was looked for among the newest operations alone, and a region that had
/// served users for long counted as one that never did.
#[test]
fn a_region_may_have_served_users_if_not_all_operations_of_its_tenure_are_looked_at() {
    /// More than are looked at.
    const OPERATIONS: u32 = 51;
    in_virtual_time(async {
        let trial = abandoned_before_its_promotion().await;
        let world = &trial.site.world;
        let last_move = async || {
            let tenure = world.tenures.tenure().await.expect("it answers").expect("founded");
            bascule_engine::observer::last_move(world, &tenure).await.expect("it answers")
        };
        assert!(last_move().await.is_unopened());
        trial.site.sim.with(|s| s.bring_back(&trial.to));
        sleep_ms(10_000).await;
        let plan = drive::assess(&trial.site, Kind::Restore, &trial.to, None).await;
        let plan = plan.runnable().expect("its gate is closed").clone();
        for number in 0..OPERATIONS {
            let id = format!("restore-{number}").parse().expect("an id");
            let apply = Command::Apply(Box::new(plan.clone()));
            drive::run(&trial.site, &id, apply, Some("after=1".parse().expect("a point"))).await;
            drive::run(&trial.site, &id, Command::Abort, None).await;
            assert!(trial.site.store.open().await.expect("it answers").is_none(), "{id} is taken back");
        }
        assert!(!last_move().await.is_unopened());
    });
}

/// A switchover whose new region was lost between its commit and its promotion.
async fn abandoned_before_its_promotion() -> Trial {
    for at in 1.. {
        let trial = Trial::new(SWITCHOVER, at).await;
        let run = lose_at(&trial, &trial.to, at).await;
        assert!(run.is_some(), "it was over before it could be lost");
        let promotes =
            |e: &Event| matches!(e, Event::Intended { step } if step.as_str().starts_with("promote"));
        if !committed(&trial).await || records(&trial).await.iter().any(promotes) {
            continue;
        }
        drive::run(&trial.site, &trial.id, Command::Abandon, None).await;
        if trial.site.store.open().await.expect("it answers").is_none() {
            return trial;
        }
    }
    unreachable!("the loop ends by returning")
}
