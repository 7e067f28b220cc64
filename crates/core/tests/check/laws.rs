//! What every check owes.

use std::collections::BTreeSet;

use bascule_core::check::{Answer, Checked, Code, by_code, check};
use bascule_core::document::Intent;
use bascule_core::facts::{Fact, Facts, Paper, Place, Skew, Voter};

use crate::broken::{breaks, hides};
use crate::site::{self, at, orders, region, seen, set, sound, step, unseen};

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
fn a_plan_that_the_planner_makes_fences_a_region_that_is_cut_off_with_keepers_only() {
    let fenced = |change: fn(&mut Facts)| {
        let mut facts = sound();
        facts.paper = seen(Paper::Planned);
        change(&mut facts);
        let found = check(&facts).into_iter().find(|c| c.code == Code::Fenced).expect("it answers");
        (found.answer, found.message, found.remedy)
    };
    let (answer, derivation, _) = fenced(|_| ());
    assert_eq!((answer, derivation.as_str()), (Answer::Holds, "keepers close it after 3 s"));
    let (answer, why, remedy) = fenced(|f| f.control.fence = seen(None));
    assert!(answer == Answer::Fails && why.contains("goes on taking writes"), "{why}");
    assert!(remedy.contains("docs/keeper.md"), "{remedy}");
    assert_eq!(fenced(|f| f.control.fence = unseen()).0, Answer::Unknown);
}

fn answer(code: Code, change: impl Fn(&mut Facts)) -> Answer {
    let mut facts = sound();
    change(&mut facts);
    by_code(&check(&facts))[&code]
}

#[test]
fn members_that_differ_are_not_equal_where_both_regions_differ_alike() {
    let two = || seen(set(&["15.5", "15.6"]));
    let both = |put: fn(&mut Facts, [Fact<BTreeSet<String>>; 2])| move |f: &mut Facts| put(f, [two(), two()]);
    let versions = both(|f, [one, other]| {
        (orders(&mut f.home).version, orders(&mut f.away).version) = (one, other);
    });
    let parameters = both(|f, [one, other]| {
        (orders(&mut f.home).parameters, orders(&mut f.away).parameters) = (one, other);
    });
    let rules = both(|f, [one, other]| (f.home.network.rules, f.away.network.rules) = (one, other));
    assert_eq!(answer(Code::Versions, versions), Answer::Fails);
    assert_eq!(answer(Code::Parameters, parameters), Answer::Fails);
    assert_eq!(answer(Code::Rules, rules), Answer::Fails);
    let beside_a_dark_one = answer(Code::Versions, |f| {
        (orders(&mut f.home).version, orders(&mut f.away).version) = (two(), unseen());
    });
    assert_eq!(beside_a_dark_one, Answer::Fails, "what was seen suffices");
}

#[test]
fn commits_that_wait_for_nobody_are_a_setting_that_keepers_do_not_bear() {
    let off = |f: &mut Facts| {
        at(&mut orders(&mut f.home).unconfirmed).insert("synchronous_commit = off".to_owned());
    };
    assert_eq!(answer(Code::Parameters, off), Answer::Fails);
    let without_keepers = |f: &mut Facts| {
        off(f);
        f.control.fence = seen(None);
    };
    assert_eq!(answer(Code::Parameters, without_keepers), Answer::Holds);
    assert_eq!(answer(Code::Parameters, |f| orders(&mut f.away).unconfirmed = unseen()), Answer::Unknown);
}

#[test]
fn a_follower_without_a_slot_lives_on_what_is_kept_anyway() {
    let slotless = |kept_s: u64| {
        move |f: &mut Facts| {
            orders(&mut f.home).slotless = seen(set(&[site::AWAY]));
            orders(&mut f.home).retention_s = seen(kept_s);
        }
    };
    assert_eq!(answer(Code::Slots, slotless(86_400)), Answer::Holds);
    assert_eq!(answer(Code::Slots, slotless(86_399)), Answer::Fails);
    let unseen_log = |f: &mut Facts| {
        slotless(0)(f);
        orders(&mut f.home).retention_s = unseen();
    };
    assert_eq!(answer(Code::Slots, unseen_log), Answer::Unknown);
}

#[test]
fn voters_are_apart_if_a_majority_outlives_each_place() {
    let votes = |[home, away, third]: [usize; 3]| {
        move |f: &mut Facts| {
            let places = [
                (home, Place::Region(region(site::HOME))),
                (away, Place::Region(region(site::AWAY))),
                (third, Place::Elsewhere("witness".to_owned())),
            ];
            let vote = |place: &Place| Voter { name: "etcd".to_owned(), place: seen(place.clone()) };
            let all = places.iter().flat_map(|(n, place)| std::iter::repeat_n(vote(place), *n));
            f.control.voters = seen(all.collect());
        }
    };
    for (spread, wanted) in [
        ([1, 1, 1], Answer::Holds),
        ([2, 2, 1], Answer::Holds),
        ([0, 0, 1], Answer::Holds),
        ([3, 1, 1], Answer::Fails),
        ([2, 1, 1], Answer::Fails),
        ([1, 1, 0], Answer::Fails),
        ([0, 0, 0], Answer::Fails),
    ] {
        assert_eq!(answer(Code::VotersApart, votes(spread)), wanted, "{spread:?}");
    }
}

#[test]
fn clocks_agree_with_each_other_and_not_only_with_the_observers() {
    let clocks = |home: [i64; 2], away: [i64; 2]| {
        move |f: &mut Facts| {
            let skew = |[least_ms, most_ms]: [i64; 2]| seen(Skew { least_ms, most_ms });
            (f.home.clock_skew, f.away.clock_skew) = (skew(home), skew(away));
        }
    };
    assert_eq!(answer(Code::ClockSkew, clocks([-250, -250], [250, 250])), Answer::Holds);
    assert_eq!(answer(Code::ClockSkew, clocks([-251, -251], [250, 250])), Answer::Fails);
    assert_eq!(answer(Code::ClockSkew, clocks([-450, 400], [-400, -400])), Answer::Fails, "any may lead");
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
fn a_step_that_could_not_be_understood_may_be_the_one_that_promotes() {
    let mut facts = sound();
    site::plan(&mut facts).steps[1] = step(21, "Press the button on the database's page", &[], &[]);
    assert_eq!(by_code(&check(&facts))[&Code::NamesAfterDatabase], Answer::Unknown);
}

#[test]
fn names_that_follow_an_automatic_failover_do_not_come_first() {
    let mut facts = sound();
    let both = [Intent::AutomaticFailover, Intent::MoveNames];
    site::plan(&mut facts)
        .steps
        .insert(0, step(19, "The database fails over by itself, then the names", &both, &[]));
    assert_eq!(by_code(&check(&facts))[&Code::NamesAfterDatabase], Answer::Holds);
    site::plan(&mut facts).steps[0].intents.reverse();
    assert_eq!(by_code(&check(&facts))[&Code::NamesAfterDatabase], Answer::Fails);
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

#[test]
fn a_site_without_buckets_has_no_backup_and_needs_no_replication() {
    let mut facts = sound();
    facts.wanted.retain(|wanted| wanted.kind != bascule_core::asset::AssetKind::ObjectStorage);
    for region in [&mut facts.home, &mut facts.away] {
        at(&mut region.object_storage).clear();
    }
    let answers = by_code(&check(&facts));
    assert_eq!((answers[&Code::BackupAge], answers[&Code::Versioning]), (Answer::Fails, Answer::Holds));
}

#[test]
fn instances_over_two_zones_are_over_two_subnets() {
    let spread = |change: fn(&mut Facts)| by_code(&changed(change))[&Code::Spread];
    assert_eq!(
        spread(|f| site::instances(&mut f.home).iter_mut().for_each(|i| i.subnet = unseen())),
        Answer::Holds
    );
    assert_eq!(
        spread(|f| site::instances(&mut f.home)
            .iter_mut()
            .for_each(|i| i.subnet = seen(Some("one".to_owned())))),
        Answer::Fails,
        "one subnet over two zones is one network"
    );
    assert_eq!(
        spread(|f| {
            site::instances(&mut f.home).iter_mut().for_each(|i| {
                i.zone = unseen();
                i.subnet = unseen();
            });
        }),
        Answer::Unknown
    );
}

#[test]
fn what_a_line_would_make_known_has_that_line_as_its_remedy() {
    use bascule_core::facts::{Fact, Source};
    let of = |why: &str, from: Source| {
        let mut facts = sound();
        facts.repository = Fact::not_observed(why, from);
        let checked = check(&facts);
        let one = checked.into_iter().find(|one| one.code == Code::RepositoryReachable).expect("it answers");
        assert_eq!(one.answer, Answer::Unknown);
        one.remedy
    };
    let manifest = Source::Line { file: "bascule.toml".to_owned(), line: 0 };
    assert_eq!(
        of("nothing says where it is: write it into [[repository]]", manifest.clone()),
        "in bascule.toml, write it into [[repository]]; then ask again"
    );
    for (why, from) in [("late", manifest), ("late: write", Source::Address("10.1.0.1".to_owned()))] {
        assert_eq!(of(why, from), "let what was not observed answer; then ask again");
    }
}
