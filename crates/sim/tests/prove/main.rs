//! The protocol, checked state by state at a bound that takes seconds; `make prove` goes further. And the
//! protocol broken on purpose: a mutation that nothing catches fails here.

use bascule_sim::model::{Action, Bound, I1, I4, Mutation, Verdict, check};

/// The machine's cores are shared by all tests that run at the same time.
const THREADS: usize = 2;

/// A tenure of two ticks by a slow clock and one by a fast one: the shortest in which drift shows.
const ONE_MOVE: Bound = Bound { ttl: 4, keepers: 1, operations: 1, takeovers: 0, releases: 0 };
/// Let go once, and perhaps taken back.
const LET_GO: Bound = Bound { releases: 1, ..ONE_MOVE };
const TAKEN_OVER: Bound = Bound { takeovers: 1, ..ONE_MOVE };

fn holds(bound: Bound) {
    let verdict = check(bound, None, THREADS);
    println!("{bound:?}: {} states, {} steps deep", verdict.states, verdict.depth);
    assert!(verdict.broken.is_none(), "{}", told(&verdict));
    assert!(verdict.complete, "{verdict:?}");
    assert!(verdict.never.is_empty(), "it proves nothing: never happened: {:?}", verdict.never);
}

fn told(verdict: &Verdict) -> String {
    let Some((promise, history)) = &verdict.broken else { return "nothing is broken".to_owned() };
    let steps: Vec<String> = history.iter().map(|step| format!("  {step:?}")).collect();
    format!("{promise}\n{}", steps.join("\n"))
}

/// The mutation is caught, by one of these promises; returns the history that broke it.
fn caught(mutation: Mutation, bound: Bound, promises: &[&str]) -> Vec<Action> {
    let verdict = check(bound, Some(mutation), THREADS);
    println!("{mutation:?}: {} states, {}", verdict.states, told(&verdict));
    let (promise, history) = verdict.broken.unwrap_or_else(|| panic!("{mutation:?} was not caught"));
    assert!(promises.contains(&promise), "{mutation:?} broke {promise}");
    history
}

#[test]
fn the_protocol_holds_for_a_move_whose_controller_dies_and_is_relieved() {
    holds(TAKEN_OVER);
}

#[test]
fn the_protocol_holds_for_two_moves_one_after_the_other() {
    holds(Bound { operations: 2, ..ONE_MOVE });
}

#[test]
fn the_protocol_holds_for_a_region_that_is_let_go() {
    holds(LET_GO);
}

#[test]
fn a_region_that_is_let_go_and_not_waited_for_is_caught() {
    caught(Mutation::ReleaseWithoutWait, LET_GO, &[I1]);
}

#[test]
fn a_challenger_that_does_not_wait_is_caught() {
    caught(Mutation::NoWait, ONE_MOVE, &[I1]);
}

#[test]
fn a_challenger_that_waits_as_if_clocks_were_true_is_caught() {
    caught(Mutation::NoDrift, ONE_MOVE, &[I1]);
}

#[test]
fn a_deadline_counted_from_the_answer_is_caught() {
    caught(Mutation::DeadlineFromAnswer, ONE_MOVE, &[I1]);
}

#[test]
fn a_renewal_that_is_not_asked_for_its_epoch_is_caught() {
    caught(Mutation::RenewalWithoutEpoch, ONE_MOVE, &[I1]);
}

#[test]
fn an_append_that_is_not_asked_for_its_grip_is_caught() {
    caught(Mutation::AppendWithoutGrip, TAKEN_OVER, &[I4]);
}

#[test]
fn a_claim_without_a_quorum_is_caught() {
    let history = caught(Mutation::ClaimWithoutQuorum, ONE_MOVE, &[I1]);
    assert!(history.contains(&Action::CutOff), "only a minority that answers alone breaks it");
}

#[test]
fn a_claim_that_does_not_compare_renewals_is_caught() {
    caught(Mutation::ClaimWithoutCompare, ONE_MOVE, &[I1]);
}

#[test]
fn a_commit_of_a_relieved_controller_is_caught() {
    caught(Mutation::CommitWithoutTerm, TAKEN_OVER, &[I4]);
}

/// Not a fault of the protocol but the edge of what it assumes: a call to a gate's map that is still under
/// way when the controller that made it was relieved, its undo done again by another, and a second move
/// begun. The engine waits such calls out; a controller that sleeps between its intent and its call is
/// not bound by that, and this is what it could do within a tenure's length.
#[test]
fn a_call_to_a_gate_that_outlives_its_controller_is_why_calls_are_waited_out() {
    let bound = Bound { operations: 2, ..TAKEN_OVER };
    let history = caught(Mutation::LateGateCalls, bound, &[I1]);
    assert!(history.iter().any(|step| matches!(step, Action::TakeOver(..))), "{history:?}");
}
