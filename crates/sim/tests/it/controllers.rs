//! Two controllers at once: the one that was there first is fenced, and nothing is done twice.

use bascule_core::operation::{Event, Operation};
use bascule_core::plan::Kind;
use bascule_core::ports::{JournalStore, StoreError};
use bascule_engine::executor::Error;
use bascule_sim::drive::{self, Command, Run};

use crate::stage::{CASES, Case, Trial, in_virtual_time, sleep_ms};

fn fenced(run: &Run) -> bool {
    matches!(run, Run::Stopped(Error::Store(StoreError::Fenced(_))))
}

/// The second controller begins so many milliseconds after the first; both run on, side by side.
async fn together(trial: &Trial, after_ms: u64, second: Command) -> (Run, Run) {
    let late = async {
        sleep_ms(after_ms).await;
        drive::run(&trial.site, &trial.id, second, None).await
    };
    tokio::join!(trial.apply(None), late)
}

async fn journal_is_sound(trial: &Trial) {
    let journal = trial.site.store.read(&trial.id).await.expect("it is there, and replays");
    let commits = journal
        .entries
        .iter()
        .filter(|e| matches!(&e.event, Event::Done { step, .. } if step.as_str() == "commit"))
        .count();
    assert!(commits <= 1, "committed {commits} times");
    let events = journal.entries.iter().map(|e| &e.event);
    Operation::replay(journal.header.plan.clone(), events).expect("a sound journal");
}

/// Instants spread over each operation: its beginning, the whole of the hold, and what comes after.
fn instants() -> impl Iterator<Item = u64> {
    (0..40).chain((5_005..5_130).step_by(3)).chain([300, 6_000, 7_000])
}

#[test]
fn the_controller_that_was_there_first_is_fenced_and_the_operation_ends_once() {
    let mut fences = 0;
    for case in CASES.into_iter().filter(|case| !case.back) {
        for after_ms in instants() {
            fences += in_virtual_time(async {
                let trial = Trial::new(case, after_ms).await;
                let (first, second) = together(&trial, after_ms, Command::Resume).await;
                let what = format!("a second controller after {after_ms} ms: {first:?}, {second:?}");
                journal_is_sound(&trial).await;
                // Whoever was last brought it to its end; if the first had ended it, the second is told.
                let (ended, other) = if fenced(&first) { (&second, &first) } else { (&first, &second) };
                assert!(matches!(ended, Run::Ended(_)), "{what}");
                assert!(fenced(other), "{what}");
                trial.check(ended, &what).await;
                u32::from(fenced(&first))
            });
        }
    }
    assert!(fences > 60, "only {fences} were taken over in the middle");
}

#[test]
fn an_abort_by_a_second_controller_fences_the_first_or_is_refused() {
    for case in CASES.into_iter().filter(|case| !case.back) {
        for after_ms in instants() {
            in_virtual_time(async {
                let trial = Trial::new(case, after_ms).await;
                let (first, second) = together(&trial, after_ms, Command::Abort).await;
                let what = format!("an abort after {after_ms} ms: {first:?}, {second:?}");
                journal_is_sound(&trial).await;
                match second {
                    // The one that asked was too late, but it has fenced the first all the same.
                    Run::Stopped(Error::PastCommit { .. }) => {
                        let run = trial.finish(first).await;
                        assert!(run.succeeded(), "{what}");
                        trial.check(&run, &what).await;
                    }
                    Run::Ended(_) => {
                        assert!(fenced(&first), "{what}");
                        trial.check(&second, &what).await;
                    }
                    Run::Stopped(_) | Run::Died => trial.check(&first, &what).await,
                }
            });
        }
    }
}

#[test]
fn one_operation_is_open_at_a_time() {
    in_virtual_time(async {
        let trial = Trial::new(Case { kind: Kind::Switchover, back: false }, 1).await;
        let other = async {
            sleep_ms(10).await;
            let id = "other".parse().expect("an id");
            drive::run(&trial.site, &id, Command::Apply(Box::new(trial.plan.clone())), None).await
        };
        let (first, second) = tokio::join!(trial.apply(None), other);
        assert!(matches!(second, Run::Stopped(Error::Store(StoreError::Busy(_)))), "{second:?}");
        trial.check(&first, "a second operation").await;
    });
}

#[test]
fn a_plan_of_an_epoch_that_is_over_never_begins() {
    in_virtual_time(async {
        let trial = Trial::new(Case { kind: Kind::Switchover, back: false }, 1).await;
        let run = trial.apply(None).await;
        trial.check(&run, "the first").await;
        let id = "stale".parse().expect("an id");
        let run = drive::run(&trial.site, &id, Command::Apply(Box::new(trial.plan.clone())), None).await;
        assert!(fenced(&run), "{run:?}");
    });
}
