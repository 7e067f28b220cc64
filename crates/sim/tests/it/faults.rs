//! Calls that fail, by name and by chance. A failing seed prints itself and its trace; give it a name of
//! its own here once it is understood.

use bascule_core::operation::Outcome;
use bascule_core::plan::Kind;
use bascule_engine::executor::Error;
use bascule_sim::drive::Run;
use bascule_sim::fault::{ALL, Fault, Faults};
use bascule_sim::rng::Rng;

use crate::stage::{CASES, Case, Trial, in_virtual_time, sleep_ms};

/// Every call an operation makes, as the trace of an undisturbed run names them.
async fn calls(case: Case) -> Vec<String> {
    let trial = Trial::new(case, 1).await;
    trial
        .site
        .sim
        .with(|s| s.faults = Faults::At { call: "no such call".to_owned(), fault: Fault::Refused, times: 1 });
    let run = trial.apply(None).await;
    trial.check(&run, "undisturbed").await;
    let trace = trial.site.sim.with(|s| s.trace.clone());
    let named = |line: &String| {
        let call = line.split("ms  ").nth(1)?;
        (!call.starts_with("journal:") && !call.starts_with("tenure:")).then(|| call.to_owned())
    };
    let mut calls: Vec<String> = trace.iter().filter_map(named).collect();
    calls.extend(["store commit".to_owned(), "store append".to_owned()]);
    calls.sort();
    calls.dedup();
    calls
}

/// One call fails once or twice, in every way: whoever resumes it brings the operation to an end.
#[test]
fn any_call_may_fail_in_any_way_and_the_operation_ends() {
    let mut trials = 0;
    for case in CASES.into_iter().filter(|case| !case.back) {
        for call in in_virtual_time(calls(case)) {
            for fault in ALL {
                for times in [1, 3] {
                    in_virtual_time(async {
                        let trial = Trial::new(case, 1).await;
                        let faults = Faults::At { call: call.clone(), fault, times };
                        trial.site.sim.with(|s| s.faults = faults);
                        let run = trial.apply(None).await;
                        let run = trial.finish(run).await;
                        trial.check_loosely(&run, &format!("{fault:?} of {call}, {times} times")).await;
                    });
                    trials += 1;
                }
            }
        }
    }
    assert!(trials > 200, "{trials} trials");
}

/// Found here: one journal write that was not answered ended the controller while it held users' writes.
#[test]
fn a_store_that_stumbles_during_the_hold_does_not_leave_writes_held() {
    for fault in [Fault::LostAnswer, Fault::LostCall] {
        for skip in 0..12 {
            in_virtual_time(async {
                let trial = Trial::new(Case { kind: Kind::Switchover, back: false }, 1).await;
                let apply = trial.apply(None);
                tokio::pin!(apply);
                let mut left = skip;
                let mut armed = false;
                let run = loop {
                    let appends = trial.site.store.appends();
                    tokio::select! {
                        run = &mut apply => break run,
                        () = sleep_ms(1) => {}
                    }
                    let held = trial.site.sim.with(|s| s.regions.values().any(|r| r.held));
                    left -= i32::from(held && left > 0 && trial.site.store.appends() > appends);
                    if held && left == 0 && !armed {
                        armed = true;
                        let faults = Faults::At { call: "store append".to_owned(), fault, times: 2 };
                        trial.site.sim.with(|s| s.faults = faults);
                    }
                };
                trial.check(&run, &format!("{fault:?} after {skip} appends")).await;
                let pause_ms = trial.site.sim.with(|s| s.longest_pause_ms);
                assert!(pause_ms < 1_000, "{fault:?} after {skip} appends: {pause_ms} ms");
            });
        }
    }
}

/// A step that only the new region can do fails for longer than anybody tries: the operation stops, says
/// so, and goes on once the fault has healed.
#[test]
fn a_stalled_operation_resumes_once_the_fault_has_healed() {
    let stalls = [
        (Kind::Switchover, "promote us-west-1"),
        (Kind::Switchover, "gate local in epoch 2 us-west-1"),
        (Kind::Switchover, "release us-west-1"),
        (Kind::Switchover, "name app.events.test to 10.77.2.20 for 1 s"),
        (Kind::Switchover, "store commit"),
        (Kind::Failover, "promote us-west-1"),
        (Kind::Failover, "gate local in epoch 2 us-west-1"),
        (Kind::Failover, "name db.events.test to 10.77.2.21"),
    ];
    for (kind, call) in stalls {
        for fault in [Fault::LostCall, Fault::LostAnswer, Fault::Hangs] {
            in_virtual_time(async {
                let trial = Trial::new(Case { kind, back: false }, 1).await;
                let what = format!("{fault:?} of {call} until it heals");
                let faults = Faults::At { call: call.to_owned(), fault, times: u32::MAX };
                trial.site.sim.with(|s| s.faults = faults);
                let run = trial.apply(None).await;
                assert!(matches!(run, Run::Stopped(Error::Stalled { .. })), "{what}: {run:?}");
                let run = trial.resume(None).await;
                assert!(matches!(run, Run::Stopped(Error::Stalled { .. })), "{what}: {run:?}");
                trial.site.sim.with(|s| s.faults = Faults::None);
                let run = trial.resume(None).await;
                assert!(run.succeeded(), "{what}: {run:?}");
                trial.check(&run, &what).await;
            });
        }
    }
}

/// Past the commit point a switchover gives up what it can do without, and says so; a reinstate makes up
/// for it.
#[test]
fn what_only_the_left_region_lacks_is_given_up_past_the_commit_point() {
    for call in ["stand-down us-east-2", "gate remote in epoch 2 us-east-2", "release us-east-2"] {
        in_virtual_time(async {
            let trial = Trial::new(Case { kind: Kind::Switchover, back: false }, 1).await;
            // The way back is not taken, so nothing else releases that pool.
            let faults = Faults::At { call: call.to_owned(), fault: Fault::LostCall, times: u32::MAX };
            trial.site.sim.with(|s| s.faults = faults);
            let run = trial.apply(None).await;
            assert!(matches!(run, Run::Ended(Outcome::Succeeded)), "{call}: {run:?}");
            assert!(crate::stage::writes_flow(&trial.site).await, "{call}");
            trial.site.sim.with(|s| s.faults = Faults::None);
            sleep_ms(10_000).await;
            crate::stage::succeed(&trial.site, "mend", Kind::Reinstate, &trial.from).await;
            trial.check(&run, call).await;
        });
    }
}

/// Random faults, random kills, a random direction.
async fn random(seed: u64) {
    let mut rng = Rng::new(seed);
    let case = CASES[usize::try_from(rng.below(CASES.len() as u64)).expect("a small number")];
    let trial = Trial::new(case, seed).await;
    let (per_mille, left) = (20 + rng.below(200), 1 + u32::try_from(rng.below(8)).expect("a small number"));
    trial.site.sim.with(|s| s.faults = Faults::Random { per_mille, left });
    let crash = |rng: &mut Rng| {
        let when = if rng.chance(500) { "before" } else { "after" };
        rng.chance(500).then(|| format!("{when}={}", 1 + rng.below(30)).parse().expect("a crash point"))
    };
    // The standby may be slow, and be cut off for good in the middle.
    let lag_ms = [20, 20, 60, 300, 1_500, 4_000][usize::try_from(rng.below(6)).expect("a small number")];
    let cut_ms = rng.chance(400).then(|| rng.below(5_100));
    trial.site.sim.with(|s| s.lag_ms = lag_ms);
    let first = crash(&mut rng);
    let cut = async {
        let Some(ms) = cut_ms else { return };
        sleep_ms(ms).await;
        trial.site.sim.with(|s| s.link_up = false);
    };
    let (mut run, ()) = tokio::join!(trial.apply(first), cut);
    let mut abort_refused = false;
    for _ in 0..20 {
        run = match run {
            Run::Ended(_) => break,
            Run::Stopped(Error::PastCommit { .. }) => {
                abort_refused = true;
                trial.resume(crash(&mut rng)).await
            }
            Run::Stopped(_) | Run::Died if rng.chance(200) => trial.abort(crash(&mut rng)).await,
            Run::Stopped(_) | Run::Died => trial.resume(crash(&mut rng)).await,
        };
        if trial.over().await.is_some() {
            break;
        }
    }
    // Whatever is still broken heals, and the next controller lives.
    trial.site.sim.with(|s| (s.faults, s.link_up, s.lag_ms) = (Faults::None, true, 20));
    let run = match trial.over().await {
        Some(outcome) => Run::Ended(outcome),
        None => trial.resume(None).await,
    };
    assert!(!(abort_refused && run.aborted()), "seed {seed}: past the commit point, then aborted");
    trial.check_loosely(&run, &format!("seed {seed}")).await;
}

#[test]
fn random_faults_and_kills_never_break_a_promise() {
    for seed in 0..2_000 {
        in_virtual_time(random(seed));
    }
}
