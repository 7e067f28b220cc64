//! Users' writes are held no longer than was promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bascule_core::observation::GateState;
use bascule_core::plan::Kind;
use bascule_sim::drive::{self, Command, Run};
use bascule_sim::fault::{Fault, Faults};
use bascule_sim::log::Role;

use crate::stage::{Case, Trial, in_virtual_time, sleep_ms, writes_flow};

const SWITCHOVER: Case = Case { kind: Kind::Switchover, back: false };

/// Past `max_pause` come: one journal write, the gate and the pool, each a call of a few milliseconds, and
/// the users' next try. Stated, so that a slower way back is noticed.
const SLACK_MS: u64 = 100;

#[test]
fn a_switchover_nobody_disturbs_pauses_writes_for_a_blink() {
    in_virtual_time(async {
        let trial = Trial::new(SWITCHOVER, 1).await;
        let run = trial.apply(None).await;
        trial.check(&run, "undisturbed").await;
        let (pause_ms, refused) = trial.site.sim.with(|s| (s.longest_pause_ms, s.refused));
        assert!(pause_ms < 400, "{pause_ms} ms");
        assert_eq!(refused, 0, "users waited, none was refused");
    });
}

#[test]
fn replication_cut_during_the_drain_lets_writes_go_within_max_pause() {
    for seed in 0..20 {
        in_virtual_time(async {
            let trial = Trial::new(SWITCHOVER, seed).await;
            trial.site.sim.with(|s| s.lag_ms = 60);
            let apply = trial.apply(None);
            tokio::pin!(apply);
            let run = loop {
                tokio::select! {
                    run = &mut apply => break run,
                    () = sleep_ms(1) => trial.site.sim.with(|s| {
                        // Cut when the first pool holds: what was written just before has not arrived.
                        let held = s.regions.values().any(|r| r.held);
                        s.link_up &= !held;
                    }),
                }
            };
            let trace = || trial.site.sim.with(|s| s.trace.join("\n"));
            assert!(run.aborted(), "seed {seed}: {run:?}\n{}", trace());
            // The pause ends with the next write.
            sleep_ms(50).await;
            let pause_ms = trial.site.sim.with(|s| s.longest_pause_ms);
            let promised_ms = trial.plan.max_pause_ms;
            assert!(pause_ms <= promised_ms + SLACK_MS, "seed {seed}: {pause_ms} ms of {promised_ms}");
            assert!(pause_ms > promised_ms / 5, "seed {seed}: {pause_ms} ms: it hardly tried");
            trial.check(&run, "replication cut").await;
        });
    }
}

/// Every call of the drain hangs, one at a time: the way back is as long as a hung step and no longer.
#[test]
fn any_call_of_the_drain_that_hangs_lets_writes_go_within_max_pause() {
    for call in ["hold us-east-2", "hold us-west-1", "gate closed"] {
        for fault in [Fault::Hangs, Fault::SlowAnswer, Fault::Refused, Fault::LostAnswer, Fault::LostCall] {
            in_virtual_time(async {
                let trial = Trial::new(SWITCHOVER, 1).await;
                let faults = Faults::At { call: call.to_owned(), fault, times: 1 };
                trial.site.sim.with(|s| s.faults = faults);
                let run = trial.apply(None).await;
                assert!(run.aborted(), "{call} {fault:?}: {run:?}");
                trial.check(&run, &format!("{call} {fault:?}")).await;
                sleep_ms(50).await;
                let pause_ms = trial.site.sim.with(|s| s.longest_pause_ms);
                assert!(pause_ms <= trial.plan.max_pause_ms + SLACK_MS, "{call} {fault:?}: {pause_ms} ms");
            });
        }
    }
}

/// Found here: taking a step back had the step's own bound, a slice of the hold, in which a gate could not
/// come up; a short `max_pause` left the operation stuck and the gate closed.
#[test]
fn a_short_hold_does_not_shorten_the_way_back() {
    in_virtual_time(async {
        let mut trial = Trial::new(SWITCHOVER, 1).await;
        trial.site.manifest.objective.max_pause = std::time::Duration::from_millis(100);
        let assessment = drive::assess(&trial.site, Kind::Switchover, &trial.to, None).await;
        trial.plan = assessment.runnable().expect("it could run").clone();
        trial.site.sim.with(|s| (s.lag_ms, s.gate_opens_ms) = (100_000, 60));
        let run = trial.apply(None).await;
        assert!(run.aborted(), "{run:?}");
        trial.site.sim.with(|s| s.lag_ms = 20);
        trial.check(&run, "a hold of 100 ms, a gate that takes 60").await;
    });
}

#[test]
fn a_person_who_asks_it_to_stop_before_the_commit_gets_all_as_it_was() {
    for after_ms in [0, 5, 10, 20, 5_015, 5_020, 5_025, 5_030] {
        in_virtual_time(async {
            let trial = Trial::new(SWITCHOVER, 1).await;
            let stop = Arc::new(AtomicBool::new(false));
            let command = Command::Apply(Box::new(trial.plan.clone()));
            let apply = drive::control(&trial.site, &trial.id, command, None, stop.clone());
            let ask = async {
                sleep_ms(after_ms).await;
                stop.store(true, Ordering::SeqCst);
                tokio::time::Instant::now()
            };
            let ends = async { (apply.await, tokio::time::Instant::now()) };
            let ((run, ended), asked) = tokio::join!(ends, ask);
            assert!(matches!(run, Run::Ended(_)), "{run:?}");
            if run.aborted() {
                // Not after the names' old answers have run out, which takes five seconds and settles nothing any more.
                let took = ended - asked;
                assert!(
                    took < std::time::Duration::from_secs(1),
                    "asked after {after_ms} ms, it took {took:?}"
                );
            }
            trial.check(&run, &format!("asked to stop after {after_ms} ms")).await;
            assert!(writes_flow(&trial.site).await);
        });
    }
}

/// A region that comes back takes long to follow; the operation is open, so nobody else mends what users go through.
#[test]
fn a_load_balancer_restarted_while_a_region_is_waited_for_serves_again() {
    const TAKES_MS: u64 = 30_000;
    for kind in [Kind::Switchover, Kind::Reinstate] {
        in_virtual_time(async {
            let trial = Trial::new(Case { kind, back: false }, 3).await;
            let (serving, waited_for) = match kind {
                Kind::Switchover => (&trial.to, &trial.from),
                Kind::Failover | Kind::Reinstate | Kind::Restore => (&trial.from, &trial.to),
            };
            let (mut closed_ms, mut opened_ms) = (None, None);
            let apply = trial.apply(None);
            tokio::pin!(apply);
            let run = loop {
                tokio::select! {
                    run = &mut apply => break run,
                    () = sleep_ms(10) => trial.site.sim.with(|s| {
                        let now_ms = s.now_ms;
                        if closed_ms.is_some() && opened_ms.is_none() && s.takes_writes(serving) {
                            opened_ms = Some(now_ms);
                        }
                        // Before it has verified, a switchover would look for that anyway.
                        let verified = s.trace.iter().any(|line| line.contains("verify-") && line.contains(".done"));
                        let writes = s.takes_writes(serving) && (verified || kind == Kind::Reinstate);
                        if let Role::Standby { ready_ms } = &mut s.region(waited_for).log.role
                            && writes
                            && closed_ms.is_none()
                        {
                            *ready_ms = now_ms + TAKES_MS;
                            s.region(serving).gate = GateState::Closed;
                            closed_ms = Some(now_ms);
                        }
                    }),
                }
            };
            let trace = trial.site.sim.with(|s| s.trace.join("\n"));
            assert!(run.succeeded(), "{kind:?}: {run:?}\n{trace}");
            let waited_ms = opened_ms.expect("it opens") - closed_ms.expect("it was closed");
            assert!(waited_ms < 3_000, "{kind:?}: {waited_ms} ms\n{trace}");
            trial.check(&run, "a load balancer restarted").await;
        });
    }
}
