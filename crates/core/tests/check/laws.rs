//! What every check owes.

use std::collections::BTreeSet;

use bascule_core::check::{Answer, Checked, Code, by_code, check};
use bascule_core::document::Intent;
use bascule_core::facts::{Facts, Paper};

use crate::broken::{breaks, hides};
use crate::site::{self, at, orders, region, seen, sound, step, unseen};

fn with(answer: Answer, checked: &[Checked]) -> BTreeSet<Code> {
    by_code(checked).into_iter().filter(|(_, a)| *a == answer).map(|(code, _)| code).collect()
}

fn changed(change: fn(&mut Facts)) -> Vec<Checked> {
    let mut facts = sound();
    change(&mut facts);
    check(&facts)
}

#[test]
fn on_a_sound_site_every_check_holds() {
    let checked = check(&sound());
    let wrong: Vec<&Checked> = checked.iter().filter(|c| c.answer != Answer::Holds).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(by_code(&checked).len(), Code::ALL.len(), "each check answers");
}

#[test]
fn what_is_broken_fails_its_own_check_and_no_other() {
    for code in Code::ALL {
        let fails = with(Answer::Fails, &changed(breaks(*code)));
        assert_eq!(fails, BTreeSet::from([*code]), "{code:?}");
    }
}

#[test]
fn what_is_not_seen_is_unknown_and_nothing_fails() {
    for code in Code::ALL {
        let checked = changed(hides(*code));
        assert!(with(Answer::Unknown, &checked).contains(code), "{code:?} is not unknown");
        assert_eq!(with(Answer::Fails, &checked), BTreeSet::new(), "{code:?}");
    }
}

#[test]
fn a_dark_region_makes_nothing_green_that_needs_it() {
    let mut facts = sound();
    let dark = &mut facts.away;
    dark.compute = unseen();
    dark.kubernetes = unseen();
    dark.load_balancer = unseen();
    dark.database = unseen();
    dark.object_storage = unseen();
    dark.key_pair = unseen();
    let by_code = by_code(&check(&facts));
    for (code, answer) in &by_code {
        let needs_the_region =
            [Code::Instances, Code::Images, Code::LagInObjective, Code::BucketReplication, Code::KeyPairs];
        if needs_the_region.contains(code) {
            assert_eq!(*answer, Answer::Unknown, "{code:?}");
        }
        assert_ne!(*answer, Answer::Fails, "{code:?}");
    }
}

#[test]
fn every_answer_has_evidence_or_says_what_was_not_seen() {
    for code in Code::ALL {
        for checked in [check(&sound()), changed(breaks(*code)), changed(hides(*code))].concat() {
            assert!(!checked.message.is_empty() && !checked.subject.is_empty(), "{checked:?}");
            assert_eq!(checked.remedy.is_empty(), checked.answer == Answer::Holds, "{checked:?}");
            if checked.answer == Answer::Unknown {
                assert!(!checked.message.contains("what it needs"), "it says what is missing: {checked:?}");
            }
            if checked.answer == Answer::Fails {
                assert!(!checked.evidence.is_empty(), "{checked:?}");
            }
        }
    }
}

#[test]
fn an_asset_that_is_not_there_is_evidence_too() {
    for change in [
        (|f: &mut Facts| at(&mut f.home.load_balancer).clear()) as fn(&mut Facts),
        |f| at(&mut f.home.compute).clear(),
        |f| at(&mut f.home.database).clear(),
        |f| at(&mut f.home.key_pair).clear(),
        |f| at(&mut f.dns).clear(),
        |f| {
            site::backups(&mut f.home).newest_backup_age_s = seen(None);
            site::backups(&mut f.away).newest_backup_age_s = seen(None);
        },
    ] {
        let checked = changed(change);
        let fails: Vec<&Checked> = checked.iter().filter(|c| c.answer == Answer::Fails).collect();
        assert!(!fails.is_empty());
        for one in fails {
            assert!(one.evidence.iter().any(|e| e.at.is_some()), "{one:?}");
        }
    }
}

#[test]
fn nothing_to_ask_about_is_unknown_where_something_is_wanted() {
    let mut facts = sound();
    at(&mut facts.home.database).clear();
    at(&mut facts.away.database).clear();
    assert_eq!(by_code(&check(&facts))[&Code::Versions], Answer::Unknown, "a database is wanted");
    facts.wanted.clear();
    assert_eq!(by_code(&check(&facts))[&Code::Versions], Answer::Holds, "nobody expects a database");
}

#[test]
fn a_plan_that_the_planner_makes_holds() {
    let mut facts = sound();
    facts.paper = seen(Paper::Planned);
    assert_eq!(with(Answer::Holds, &check(&facts)).len(), Code::ALL.len());
}

#[test]
fn a_document_without_a_plan_fails() {
    let mut facts = sound();
    facts.paper = seen(Paper::Written(bascule_core::document::Document::default()));
    let fails = with(Answer::Fails, &check(&facts));
    assert!(fails.contains(&Code::Fenced) && fails.contains(&Code::NamesAfterDatabase), "{fails:?}");
}

#[test]
fn names_and_database_in_one_step_go_by_the_order_of_its_words() {
    let both = [Intent::MoveNames, Intent::PromoteDatabase];
    let mut facts = sound();
    site::plan(&mut facts).steps[1] = step(21, "Point the names there and promote", &both, &[]);
    site::plan(&mut facts).steps.remove(2);
    assert_eq!(by_code(&check(&facts))[&Code::NamesAfterDatabase], Answer::Fails);
    site::plan(&mut facts).steps[1].intents.reverse();
    assert_eq!(by_code(&check(&facts))[&Code::NamesAfterDatabase], Answer::Holds);
}

#[test]
fn names_that_move_while_nothing_is_promoted_fail() {
    let mut facts = sound();
    site::plan(&mut facts).steps.remove(1);
    assert_eq!(with(Answer::Fails, &check(&facts)), BTreeSet::from([Code::NamesAfterDatabase]));
}

#[test]
fn the_way_back_may_promote_and_need_the_old_region() {
    let mut facts = sound();
    let back = step(25, "Promote the old region again", &[Intent::PromoteDatabase], &[site::HOME]);
    site::plan(&mut facts).steps.push(back);
    assert_eq!(with(Answer::Holds, &check(&facts)).len(), Code::ALL.len());
}

#[test]
fn a_fence_and_a_proof_count_where_they_stand() {
    let answers = |change: fn(&mut Vec<bascule_core::document::WrittenStep>)| {
        let mut facts = sound();
        change(&mut site::plan(&mut facts).steps);
        by_code(&check(&facts))
    };
    // 0 fences, 1 promotes, 2 moves the names, 3 verifies
    let late = answers(|steps| steps.swap(0, 1));
    assert_eq!((late[&Code::Fenced], late[&Code::Verified]), (Answer::Fails, Answer::Holds));
    let early = answers(|steps| steps.swap(2, 3));
    assert_eq!((early[&Code::Fenced], early[&Code::Verified]), (Answer::Holds, Answer::Fails));
    let back = answers(|steps| {
        let fence = steps.remove(0);
        steps.push(step(24, "Fail back", &[Intent::Failback], &[]));
        steps.push(fence);
    });
    assert_eq!(back[&Code::Fenced], Answer::Fails, "on the way back is too late");
}

#[test]
fn a_step_about_the_lost_region_that_nobody_understands_is_not_green() {
    let mut facts = sound();
    site::plan(&mut facts).steps.insert(1, step(20, "Fetch the secrets from its vault", &[], &[site::HOME]));
    assert_eq!(by_code(&check(&facts))[&Code::LostRegionUnneeded], Answer::Unknown);
}

#[test]
fn a_load_balancer_that_listens_nowhere_is_none() {
    let mut facts = sound();
    site::web(&mut facts.away).listeners = seen(Vec::new());
    assert_eq!(by_code(&check(&facts))[&Code::LoadBalancers], Answer::Fails);
}

#[test]
fn replication_that_was_turned_round_by_a_move_holds() {
    let mut facts = sound();
    let (home, away) = (site::database(site::HOME, Some(site::AWAY)), site::database(site::AWAY, None));
    *orders(&mut facts.home) = home;
    *orders(&mut facts.away) = away;
    assert_eq!(with(Answer::Holds, &check(&facts)).len(), Code::ALL.len());
}

#[test]
fn an_address_in_any_shape_is_not_a_name() {
    for host in ["127.0.0.1", "::1", "[fd00::1]", "localhost", "LOCALHOST", "/run/postgresql", ""] {
        let mut facts = sound();
        orders(&mut facts.home).reached_by = site::text(host);
        assert_eq!(by_code(&check(&facts))[&Code::ReachedByName], Answer::Fails, "{host:?}");
    }
}

#[test]
fn a_bucket_that_holds_no_backup_is_not_asked_for_its_age_unless_none_does() {
    let mut facts = sound();
    site::backups(&mut facts.home).newest_backup_age_s = seen(None);
    assert_eq!(by_code(&check(&facts))[&Code::BackupAge], Answer::Holds);
    site::backups(&mut facts.away).newest_backup_age_s = seen(None);
    assert_eq!(by_code(&check(&facts))[&Code::BackupAge], Answer::Fails);
}

#[test]
fn commits_of_a_site_that_a_person_moves_need_no_permit() {
    let mut facts = sound();
    orders(&mut facts.home).commits_wait_for = seen(site::set(&[""]));
    assert_eq!(with(Answer::Fails, &check(&facts)), BTreeSet::from([Code::PermitInForce]));
    let mut manual = facts.clone();
    manual.control.keepers = seen(Vec::new());
    assert_eq!(by_code(&check(&manual))[&Code::PermitInForce], Answer::Holds, "nobody would confirm");
    orders(&mut facts.home).commits_wait_for = seen(site::set(&["ANY 1 (bascule_a, bascule_b)"]));
    facts.control.keepers = unseen();
    assert_eq!(
        by_code(&check(&facts))[&Code::PermitInForce],
        Answer::Unknown,
        "whether it has keepers is not seen"
    );
}

#[test]
fn code_in_both_regions_outlives_either() {
    let mut facts = sound();
    let both = [site::HOME, site::AWAY].map(|r| bascule_core::facts::Place::Region(region(r))).to_vec();
    site::code(&mut facts).places = seen(both);
    assert_eq!(by_code(&check(&facts))[&Code::RepositoryElsewhere], Answer::Holds);
}

#[test]
fn facts_and_answers_survive_being_stored() {
    let facts = sound();
    let text = serde_json::to_string(&facts).expect("facts are JSON");
    assert_eq!(serde_json::from_str::<Facts>(&text).expect("they are read back"), facts);
    let checked = check(&facts);
    let text = serde_json::to_string(&checked).expect("answers are JSON");
    assert_eq!(serde_json::from_str::<Vec<Checked>>(&text).expect("they are read back"), checked);
}
