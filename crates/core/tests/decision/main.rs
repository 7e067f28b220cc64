//! What a keeper decides by itself, and everything that must keep it from deciding.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bascule_core::decision::{self, Act, Decision, Look, Open, Refusal, Rest, Situation, Stage, Vantage};
use bascule_core::id::{Epoch, RegionName};
use bascule_core::manifest::{Automatic, Impaired, MaxDataLoss, Mode};
use bascule_core::observation::LastMove;
use bascule_core::permit::{Permit, Told};
use bascule_core::plan::Kind;
use bascule_core::planner::{Assessment, Code, Finding};
use bascule_core::tenure::challenge::Sight;
use bascule_core::tenure::{Release, Tenure};
use bascule_core::time::{Mono, Timestamp};
use bascule_core::vantage::{Pause, Place, Writes};

fn east() -> RegionName {
    "east".parse().expect("valid")
}
fn west() -> RegionName {
    "west".parse().expect("valid")
}
fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}
fn fails(for_s: u64) -> Option<Writes> {
    Some(Writes::Fail { why: "no answer".to_owned(), for_ms: for_s * 1000 })
}
fn keeper(region: RegionName, n: u32) -> Place {
    Place::Keeper { name: format!("{region}-keeper{n}").parse().expect("valid"), region }
}
fn vantage(place: Place, writes: Option<Writes>) -> Vantage {
    Vantage { place, fresh: true, writes, permit: None }
}
/// What its primary told a keeper of the active region, which says nothing any more.
fn primary_told(n: u32, epoch: u64, at: u64, permit: Permit) -> Vantage {
    let told = Told { epoch: Epoch(epoch), at: Timestamp(at), permit };
    Vantage { place: keeper(east(), n), fresh: false, writes: None, permit: Some(told) }
}
fn not_in_force() -> Permit {
    Permit::NotInForce { why: "nobody's confirmation is waited for".to_owned() }
}

/// Everything a situation borrows. East is active and was lost 10 s ago; west and the witness see it.
#[derive(Clone)]
struct Scene {
    policy: Automatic,
    here: RegionName,
    rank: u32,
    tenure: Tenure,
    still_for: Duration,
    settled_for: Duration,
    vantages: Vec<Vantage>,
    pause: Result<Option<Pause>, String>,
    open: Option<Open>,
    last_move: Option<LastMove>,
    failover: Option<Assessment>,
    reinstate: Option<Assessment>,
    restore_due: bool,
    restore: Option<Assessment>,
    restored: Option<Timestamp>,
}

fn clear() -> Assessment {
    // What matters here is that nothing blocks; that a plan is drawn then is the planner's law.
    Assessment { plan: None, blocks: Vec::new(), warnings: Vec::new() }
}

fn blocked(code: Code) -> Assessment {
    let finding = Finding {
        code,
        subject: "west".to_owned(),
        message: "is not as it should be".to_owned(),
        remedy: "mend it".to_owned(),
    };
    Assessment { blocks: vec![finding], ..clear() }
}

fn lost() -> Scene {
    Scene {
        policy: Automatic {
            mode: Mode::Automatic,
            ttl: seconds(3),
            cool_down: seconds(60),
            impaired_after: seconds(10),
            impaired: Impaired::Release,
            max_data_loss: MaxDataLoss::Unlimited,
        },
        here: west(),
        rank: 0,
        tenure: Tenure {
            epoch: Epoch(4),
            active: east(),
            since: Timestamp(0),
            by: Some("op".parse().expect("valid")),
            renewals: 9,
            settled: true,
            released: None,
        },
        still_for: seconds(10),
        settled_for: seconds(3),
        vantages: vec![
            vantage(keeper(west(), 1), fails(9)),
            vantage(keeper(west(), 2), fails(9)),
            vantage(Place::Witness, fails(9)),
            primary_told(1, 4, 900_000, Permit::InForce),
        ],
        pause: Ok(None),
        open: None,
        last_move: Some(LastMove::Finished),
        failover: Some(clear()),
        reinstate: None,
        restore_due: false,
        restore: None,
        restored: None,
    }
}

fn decide(scene: &Scene) -> Decision {
    let sight =
        Sight { epoch: scene.tenure.epoch, renewals: scene.tenure.renewals, since: Mono(seconds(100)) };
    decision::decide(&Situation {
        policy: &scene.policy,
        here: &scene.here,
        rank: scene.rank,
        tenure: &scene.tenure,
        sight: &sight,
        now: Mono(seconds(100)).plus(scene.still_for),
        wall: Timestamp(1_000_000),
        settled_for: scene.settled_for,
        vantages: &scene.vantages,
        pause: scene.pause.as_ref().map(Option::as_ref).map_err(String::as_str),
        open: scene.open.as_ref(),
        last_move: scene.last_move,
        failover: scene.failover.as_ref(),
        reinstate: scene.reinstate.as_ref(),
        restore_due: scene.restore_due,
        restore: scene.restore.as_ref(),
        restored: scene.restored,
    })
}

fn with(change: impl FnOnce(&mut Scene)) -> Decision {
    let mut scene = lost();
    change(&mut scene);
    decide(&scene)
}

fn refused(decision: Decision) -> Vec<&'static str> {
    let Decision::Refuse(refusals) = &decision else { panic!("not refused: {decision:?}") };
    assert!(decision.to_string().starts_with("nothing is done: BSC-"), "{decision}");
    refusals.iter().map(Refusal::code).collect()
}

#[test]
fn a_lost_region_is_failed_away_from() {
    assert_eq!(decide(&lost()), Decision::Act(Act::FailOver));
}

#[test]
fn nothing_is_done_before_every_gate_of_the_holder_is_closed() {
    let wait = lost().policy.timing().claim_after();
    let just = with(|s| s.still_for = wait.checked_sub(Duration::from_millis(1)).expect("valid"));
    assert_eq!(just, Decision::Rest(Rest::NotYet { left_ms: 1 }));
    assert_eq!(with(|s| s.still_for = wait), Decision::Act(Act::FailOver));
    let second = with(|s| (s.still_for, s.rank) = (wait, 1));
    assert_eq!(second, Decision::Rest(Rest::NotYet { left_ms: 1000 }), "the other keeper goes first");
    assert_eq!(with(|s| s.still_for = seconds(1)), Decision::Rest(Rest::Renewed));
    assert_eq!(with(|s| (s.still_for, s.failover) = (wait, None)), Decision::Look(Look::Failover));
}

#[test]
fn each_thing_that_is_not_well_refuses() {
    let pause = Pause { by: "ada".to_owned(), why: "a migration".to_owned(), since: Timestamp(0) };
    assert_eq!(refused(with(|s| s.pause = Ok(Some(pause)))), ["BSC-D001"]);
    assert_eq!(refused(with(|s| s.pause = Err("no answer".to_owned()))), ["BSC-D002"]);
    assert_eq!(refused(with(|s| s.tenure.since = Timestamp(999_000))), ["BSC-D003"]);
    assert_eq!(refused(with(|s| s.tenure.settled = false)), ["BSC-D004"]);
    for code in Code::ALL {
        assert_eq!(refused(with(|s| s.failover = Some(blocked(*code)))), [code.as_str()]);
    }
}

#[test]
fn a_site_that_was_never_moved_has_nothing_to_cool_down_from() {
    let founded = with(|s| (s.tenure.by, s.tenure.since) = (None, Timestamp(999_000)));
    assert_eq!(founded, Decision::Act(Act::FailOver));
}

/// A region that acknowledges without a permit may do so when it wakes, whoever has taken over.
#[test]
fn a_region_that_was_last_known_unguarded_is_not_failed_away_from() {
    let words = |words: &[Vantage]| {
        with(|s| {
            s.vantages.retain(|v| v.permit.is_none());
            s.vantages.extend_from_slice(words);
        })
    };
    let in_force = |n, at| primary_told(n, 4, at, Permit::InForce);
    let unknown = Permit::Unknown { why: "it has not told for 11 s".to_owned() };
    assert_eq!(refused(words(&[])), ["BSC-D007"], "nobody said");
    assert_eq!(refused(words(&[primary_told(1, 3, 9, Permit::InForce)])), ["BSC-D007"], "of another epoch");
    assert_eq!(refused(words(&[in_force(1, 8), primary_told(2, 4, 9, not_in_force())])), ["BSC-D007"]);
    assert_eq!(refused(words(&[in_force(1, 8), primary_told(1, 4, 9, unknown)])), ["BSC-D007"]);
    assert_eq!(
        refused(words(&[in_force(1, 9), primary_told(2, 4, 9, not_in_force())])),
        ["BSC-D007"],
        "at once"
    );
    let since = words(&[primary_told(1, 4, 8, not_in_force()), in_force(2, 9)]);
    assert_eq!(since, Decision::Act(Act::FailOver), "it was guarded since, and one keeper died before");
    assert_eq!(words(&[in_force(1, 9)]), Decision::Act(Act::FailOver), "however long ago");
    let foreign = Vantage { place: keeper(west(), 1), ..in_force(1, 9) };
    assert_eq!(refused(words(&[foreign])), ["BSC-D007"], "only its own keepers have asked its primary");
}

#[test]
fn one_window_is_not_enough() {
    let two = |s: &mut Scene| drop(s.vantages.remove(2));
    assert_eq!(refused(with(two)), ["BSC-D005"], "two keepers, one region");
    assert_eq!(refused(with(|s| s.vantages[2].fresh = false)), ["BSC-D005"], "an old word");
    assert_eq!(refused(with(|s| s.vantages[2].writes = None)), ["BSC-D005"], "no word");
    let untried = Some(Writes::NotProbed { why: "starting".to_owned() });
    assert_eq!(refused(with(|s| s.vantages[2].writes = untried)), ["BSC-D005"], "no attempt");
    let own = refused(with(|s| s.vantages[2].place = keeper(east(), 1)));
    assert_eq!(own, ["BSC-D005"], "the region's own keeper can't tell its death from its isolation");
}

#[test]
fn whoever_can_still_write_outvotes_everybody() {
    assert_eq!(refused(with(|s| s.vantages[0].writes = Some(Writes::Work))), ["BSC-D006"]);
    let old =
        with(|s| s.vantages.push(Vantage { fresh: false, ..vantage(keeper(west(), 3), Some(Writes::Work)) }));
    assert_eq!(old, Decision::Act(Act::FailOver), "what it could once says nothing of now");
}

fn switchover(silent_s: u64) -> Open {
    let id = "switchover-1".parse().expect("valid");
    let (silent_for, led_for) = (seconds(silent_s), seconds(silent_s));
    Open { id, silent_for, led_for, kind: Kind::Switchover, stage: Some(Stage::Forward) }
}

#[test]
fn a_live_controller_whose_operation_needs_the_lost_region_never_stands_in_the_way() {
    let id = || "switchover-1".parse().expect("valid");
    let live = |kind, stage| with(|s| s.open = Some(Open { kind, stage, ..switchover(0) }));
    for kind in [Kind::Switchover, Kind::Reinstate, Kind::Restore] {
        assert_eq!(live(kind, Some(Stage::Forward)), Decision::Act(Act::Abort(id())), "{kind:?}");
        // Whoever takes it back already is let: two that took it from each other would never end.
        for stage in [Some(Stage::TurnedBack), Some(Stage::PastCommit), None] {
            assert_eq!(live(kind, stage), Decision::Rest(Rest::AtWork(id())), "{kind:?} {stage:?}");
        }
    }
    let leaves = live(Kind::Failover, Some(Stage::Forward));
    assert_eq!(leaves, Decision::Rest(Rest::AtWork(id())), "it does without the lost region");
    let doubted = with(|s| {
        s.open = Some(switchover(0));
        s.vantages[0].writes = Some(Writes::Work);
    });
    assert_eq!(doubted, Decision::Rest(Rest::AtWork(id())), "only if the region is lost");
    // It waits for what the region that it made active must do. Whoever has just taken it over abandons it.
    let moved = |led_s| {
        with(|s| {
            let stage = Some(Stage::PastCommit);
            s.open = Some(Open { led_for: seconds(led_s), stage, ..switchover(0) });
            s.tenure.by = Some(id());
        })
    };
    assert_eq!(moved(2), Decision::Rest(Rest::AtWork(id())));
    assert_eq!(moved(3), Decision::Act(Act::Abandon(id())));
}

#[test]
fn a_dead_controller_never_stands_in_the_way() {
    let open = |silent_s, past_commit| {
        let stage = if past_commit { Stage::PastCommit } else { Stage::TurnedBack };
        Some(Open { stage: Some(stage), ..switchover(silent_s) })
    };
    let id: bascule_core::id::OperationId = "switchover-1".parse().expect("valid");
    let at_work = Decision::Rest(Rest::AtWork(id.clone()));
    assert_eq!(with(|s| s.open = open(1, false)), at_work);
    assert_eq!(with(|s| s.open = open(9, false)), Decision::Act(Act::Abort(id.clone())));
    assert_eq!(with(|s| s.open = open(9, true)), Decision::Act(Act::Resume(id.clone())));
    // What it made active is lost: it can neither go on nor turn back, and must not bar the way.
    let moved = |s: &mut Scene| (s.open, s.tenure.by) = (open(9, true), Some(id.clone()));
    assert_eq!(
        with(|s| {
            moved(s);
        }),
        Decision::Act(Act::Abandon(id.clone()))
    );
    let early = with(|s| {
        moved(s);
        s.vantages[0].writes = Some(Writes::Work);
    });
    assert_eq!(refused(early), ["BSC-D006"], "only if it is lost");
    // While the active region lives its own keepers go on, whatever the point.
    let holder =
        |past_commit| with(|s| (s.open, s.here, s.still_for) = (open(9, past_commit), east(), seconds(0)));
    assert_eq!(holder(false), Decision::Act(Act::Resume(id.clone())));
    assert_eq!(holder(true), Decision::Act(Act::Resume(id)));
}

#[test]
fn a_region_that_was_never_opened_need_not_have_been_followed() {
    let unsettled = |last_move| with(|s| (s.tenure.settled, s.last_move) = (false, last_move));
    for known in [None, Some(LastMove::Finished), Some(LastMove::Unfinished { opened: true })] {
        assert_eq!(refused(unsettled(known)), ["BSC-D004"], "{known:?}");
    }
    let unopened = Some(LastMove::Unfinished { opened: false });
    let unguarded = with(|s| {
        s.last_move = unopened;
        s.vantages.retain(|v| v.permit.is_none());
    });
    assert_eq!(unguarded, Decision::Act(Act::FailOver), "it had no primary that could have told");
    assert_eq!(unsettled(Some(LastMove::Unfinished { opened: false })), Decision::Act(Act::FailOver));
}

#[test]
fn an_unsettled_move_looks_for_its_standby() {
    let holder = |change: fn(&mut Scene)| {
        with(|s| {
            (s.here, s.still_for, s.tenure.settled) = (east(), seconds(0), false);
            s.vantages.clear();
            change(s);
        })
    };
    assert_eq!(holder(|_| ()), Decision::Look(Look::Reinstate));
    let not_back = holder(|s| s.reinstate = Some(blocked(Code::NotObserved)));
    assert_eq!(not_back, Decision::Rest(Rest::Renewed));
}

#[test]
fn gates_and_pools_are_held_against_the_tenure_when_it_is_time() {
    let holder = |change: fn(&mut Scene)| {
        with(|s| {
            (s.here, s.still_for) = (east(), seconds(0));
            s.vantages.clear();
            change(s);
        })
    };
    assert_eq!(holder(|s| s.restore_due = true), Decision::Look(Look::Restore));
    let well = holder(|s| (s.restore_due, s.restore) = (true, Some(blocked(Code::NothingToRestore))));
    assert_eq!(well, Decision::Rest(Rest::Renewed));
    let standby = with(|s| (s.restore_due, s.still_for) = (true, seconds(0)));
    assert_eq!(standby, Decision::Rest(Rest::Renewed), "only the active region's keepers do it");
}

#[test]
fn a_region_that_cannot_write_lets_go_only_if_it_is_told_to_and_two_agree() {
    let impaired = |change: fn(&mut Scene)| {
        with(|s| {
            (s.here, s.still_for) = (east(), seconds(0));
            let guarded = primary_told(1, 4, 900_000, Permit::InForce).permit;
            s.vantages = vec![
                Vantage { permit: guarded, ..vantage(keeper(east(), 1), fails(11)) },
                vantage(Place::Witness, fails(11)),
                vantage(keeper(west(), 1), fails(1)),
            ];
            change(s);
        })
    };
    assert!(matches!(impaired(|_| ()), Decision::Act(Act::Release { .. })));
    let rest = Decision::Rest(Rest::Renewed);
    let told = impaired(|s| s.policy.impaired = Impaired::Report);
    assert!(matches!(told, Decision::Rest(Rest::Impaired { for_ms: 11_000, .. })), "{told:?}");
    let cured = impaired(|s| s.restored = Some(Timestamp(1_000_000 - 9_999)));
    assert!(
        matches!(cured, Decision::Rest(Rest::Impaired { .. })),
        "setting its gates anew may help: {cured:?}"
    );
    let in_vain = impaired(|s| s.restored = Some(Timestamp(1_000_000 - 10_000)));
    assert!(matches!(in_vain, Decision::Act(Act::Release { .. })), "{in_vain:?}");
    let unguarded = impaired(|s| s.vantages[0].permit = primary_told(1, 4, 900_000, not_in_force()).permit);
    assert_eq!(refused(unguarded), ["BSC-D007"], "nobody would take over");
    let nobody = impaired(|s| s.vantages.retain(|v| v.place != keeper(west(), 1)));
    assert_eq!(refused(nobody), ["BSC-D005"], "the other region would not take over");
    assert_eq!(impaired(|s| s.vantages[1].writes = Some(Writes::Work)), rest);
    assert_eq!(impaired(|s| s.vantages[1].writes = fails(9)), rest, "not for long enough");
    assert_eq!(impaired(|s| s.vantages.truncate(1)), rest, "its own window alone");
    let unsettled = impaired(|s| (s.tenure.settled, s.reinstate) = (false, Some(blocked(Code::NotObserved))));
    assert_eq!(refused(unsettled), ["BSC-D004"], "nobody could take over");
    for policy in [Impaired::Report, Impaired::Release] {
        let alone = with(|s| {
            (s.here, s.still_for, s.tenure.settled) = (east(), seconds(0), false);
            s.policy.impaired = policy;
            s.vantages = vec![vantage(keeper(east(), 1), fails(11)), vantage(Place::Witness, fails(11))];
        });
        assert_eq!(alone, Decision::Look(Look::Reinstate), "a standby is looked for all the same");
    }
    assert_eq!(impaired(|s| s.failover = None), Decision::Look(Look::Failover));
    let alone = impaired(|s| s.failover = Some(blocked(Code::NotStandby)));
    assert_eq!(refused(alone), ["BSC-P007"], "nobody could take over");
}

fn release(for_a_while: bool) -> Release {
    Release { by: "ada".to_owned(), why: "ill".to_owned(), at: Timestamp(1), for_a_while }
}

fn taking_over(silent_s: u64) -> Open {
    Open { id: "op".parse().expect("valid"), kind: Kind::Failover, ..switchover(silent_s) }
}

#[test]
fn a_region_that_let_go_waits_for_the_other_one_and_is_kept_if_nobody_comes() {
    let released = |for_a_while: bool, still_s: u64, change: fn(&mut Scene)| {
        with(|s| {
            (s.here, s.still_for) = (east(), seconds(still_s));
            s.tenure.released = Some(release(for_a_while));
            change(s);
        })
    };
    let rests = |decision| matches!(decision, Decision::Rest(Rest::Released(_)));
    assert!(rests(released(true, 29, |_| ())), "a takeover takes its time");
    let keep = Decision::Act(Act::Keep { release: release(true) });
    assert_eq!(released(true, 30, |_| ()), keep);
    assert!(rests(released(true, 30, |s| s.rank = 1)), "the second keeper later");
    assert!(rests(released(false, 3_000, |_| ())), "what a person asked for, a person takes back");
    assert!(rests(released(true, 60, |s| s.open = Some(taking_over(0)))), "somebody takes over");
    let lost = released(true, 60, |s| s.open = Some(taking_over(60)));
    assert_eq!(lost, keep, "whoever began to take over is lost itself");
}

#[test]
fn what_has_just_been_settled_is_believed_a_tenures_length_later() {
    assert_eq!(refused(with(|s| s.settled_for = seconds(2))), ["BSC-D004"]);
    assert_eq!(with(|s| s.settled_for = seconds(3)), Decision::Act(Act::FailOver));
}

#[test]
fn a_manual_site_decides_nothing_but_sees_when_the_other_region_follows() {
    let manual = |settled| {
        with(|s| {
            s.policy.mode = Mode::Manual;
            (s.here, s.tenure.settled) = (east(), settled);
        })
    };
    assert_eq!(manual(false), Decision::Look(Look::Reinstate));
    assert_eq!(manual(true), Decision::Rest(Rest::Manual));
    assert_eq!(with(|s| s.policy.mode = Mode::Manual), Decision::Rest(Rest::Manual));
    assert_eq!(with(|s| s.policy.mode = Mode::Observe), Decision::Act(Act::FailOver), "but says so");
}

#[test]
fn each_refusal_has_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let files = std::fs::read_dir(&folder).expect("the folder is there").flatten();
    let names = files.filter_map(|f| f.file_name().into_string().ok());
    let pages: BTreeSet<String> =
        names.filter(|n| n.starts_with("BSC-D")).map(|n| n.trim_end_matches(".md").to_owned()).collect();
    let codes: BTreeSet<String> = (1..=7).map(|n| format!("BSC-D00{n}")).collect();
    assert_eq!(pages, codes);
    for code in codes {
        let text = std::fs::read_to_string(folder.join(format!("{code}.md"))).expect("a page");
        assert!(text.starts_with(&format!("# {code}: ")), "{code}: its title");
        for part in ["## Example", "## How to mend it"] {
            assert!(text.contains(part), "{code} lacks {part}");
        }
    }
}
