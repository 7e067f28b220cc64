//! I5: the controller is killed before and after every journal write of every operation, and its
//! successor too; whoever comes last ends the operation, one way or the other.

use bascule_core::ports::StoreError;
use bascule_engine::crash::CrashPoint;
use bascule_engine::executor::Error;
use bascule_sim::drive::Run;

use crate::stage::{CASES, Case, Trial, in_virtual_time, writes_flow};

fn point(before_or_after: &str, write: u64) -> CrashPoint {
    format!("{before_or_after}={write}").parse().expect("a crash point")
}

fn points(writes: u64) -> impl Iterator<Item = (String, CrashPoint)> {
    (1..=writes).flat_map(|write| {
        ["before", "after"].map(|when| (format!("{when} write {write}"), point(when, write)))
    })
}

/// How many journal writes an undisturbed run makes.
fn writes(case: Case) -> u64 {
    in_virtual_time(async {
        let trial = Trial::new(case, 1).await;
        let earlier = trial.site.store.appends();
        let run = trial.apply(None).await;
        assert!(run.succeeded(), "{run:?}");
        trial.check(&run, "no crash").await;
        trial.site.store.appends() - earlier
    })
}

#[test]
fn undisturbed_operations_succeed() {
    for case in CASES {
        assert!(writes(case) > 3, "{case:?}");
    }
}

#[test]
fn a_kill_at_any_journal_write_is_survived() {
    for case in CASES {
        for (what, crash) in points(writes(case)) {
            in_virtual_time(async {
                let trial = Trial::new(case, 1).await;
                let run = trial.apply(Some(crash)).await;
                assert!(matches!(run, Run::Died), "{case:?} was not killed {what}: {run:?}");
                let run = trial.resume(None).await;
                // Killed after the last write: it had ended, and there is nothing to resume.
                if !ended_already(&trial, &run).await {
                    trial.check(&run, &what).await;
                }
            });
        }
    }
}

/// An intent that was lost with its machine may have been followed by a call that nobody takes back, such as a shortened time to
/// live. But nobody writes twice, nothing is lost, users are served, and the operation has an end.
#[test]
fn a_machine_that_dies_at_any_journal_write_and_loses_the_last_one_is_survived() {
    for case in CASES {
        for (what, crash) in points(writes(case)) {
            in_virtual_time(async {
                let trial = Trial::new(case, 1).await;
                let run = trial.apply(Some(crash)).await;
                assert!(matches!(run, Run::Died), "{case:?} was not killed {what}: {run:?}");
                trial.site.store.loses_its_last_write().await;
                let run = trial.resume(None).await;
                let trace = trial.site.sim.with(|s| s.trace.join("\n"));
                let what = format!("{case:?} {what}, and the last write is lost: {run:?}\n{trace}");
                let begun = !matches!(run, Run::Stopped(Error::Store(StoreError::NoSuchOperation(_))));
                assert!(!begun || trial.over().await.is_some(), "it has no end: {what}");
                // A failover that had not begun leaves the site as it was: without its region.
                assert!(
                    !begun || writes_flow(&trial.site).await || run.aborted(),
                    "nobody is served: {what}"
                );
                trial.site.sim.with(|s| assert!(s.violations.is_empty(), "{:?}: {what}", s.violations));
            });
        }
    }
}

#[test]
fn a_second_kill_at_any_write_of_the_successor_is_survived() {
    for case in CASES.into_iter().filter(|case| !case.back) {
        for (first, crash) in points(writes(case)) {
            // The successor of one killed at its first writes has as many to make as the first had.
            for write in 1.. {
                let mut more = false;
                for when in ["before", "after"] {
                    let what = format!("{first}, then {when} write {write}");
                    more |= in_virtual_time(second_kill(case, crash.clone(), point(when, write), &what));
                }
                if !more {
                    break;
                }
            }
        }
    }
}

/// Whether the successor lived long enough to be killed.
async fn second_kill(case: Case, first: CrashPoint, second: CrashPoint, what: &str) -> bool {
    let trial = Trial::new(case, 1).await;
    let _ = trial.apply(Some(first)).await;
    let run = trial.resume(Some(second)).await;
    let killed = matches!(run, Run::Died);
    let run = if killed { trial.resume(None).await } else { run };
    if !ended_already(&trial, &run).await {
        trial.check(&run, what).await;
    }
    killed
}

#[test]
fn abort_after_any_kill_leaves_all_as_it_was_or_is_refused() {
    let mut refused = 0;
    for case in CASES {
        for (what, crash) in points(writes(case)) {
            refused += in_virtual_time(async {
                let trial = Trial::new(case, 1).await;
                let _ = trial.apply(Some(crash)).await;
                match trial.abort(None).await {
                    Run::Stopped(Error::PastCommit { .. }) => {
                        let run = trial.resume(None).await;
                        trial.check(&run, &format!("{what}, abort refused, resumed")).await;
                        assert!(run.succeeded(), "{what}: past the commit point it only goes forward");
                        1
                    }
                    run => {
                        if !ended_already(&trial, &run).await {
                            assert!(run.aborted(), "{case:?} {what}: {run:?}");
                            trial.check(&run, &format!("{what}, aborted")).await;
                        }
                        0
                    }
                }
            });
        }
    }
    assert!(refused > 20, "only {refused} kills were past the commit point");
}

/// The last write ended the operation: a successor is told so, and all is as after any end.
async fn ended_already(trial: &Trial, run: &Run) -> bool {
    use bascule_core::operation::{Course, Operation};
    use bascule_core::ports::JournalStore;
    if !matches!(run, Run::Stopped(Error::Store(StoreError::Fenced(_)))) {
        return false;
    }
    let journal = trial.site.store.read(&trial.id).await.expect("it is there");
    let events = journal.entries.iter().map(|e| &e.event);
    let state = Operation::replay(journal.header.plan, events).expect("a sound journal");
    let Course::Ended { outcome } = state.course else { return false };
    trial.check(&Run::Ended(outcome), "it had ended").await;
    true
}
