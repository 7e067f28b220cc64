//! `explain` says what the keepers would do, in one word and one sentence.

use std::time::Duration;

use bascule_core::decision::Vantage;
use bascule_core::explain::{self, Explanation, Known, Readiness, Said};
use bascule_core::id::Epoch;
use bascule_core::manifest::{Automatic, Impaired, Manifest, MaxDataLoss, Mode};
use bascule_core::observation::{
    ClusterRole, ComputeObservation, GateObservation, GateState, Observation, Observed, RegionObservation,
};
use bascule_core::permit::{Permit, Told};
use bascule_core::time::Timestamp;
use bascule_core::vantage::{Pause, Place, Writes};

use crate::{east, healthy, manifest, seen, unseen, west};

struct Scene {
    mode: Option<Mode>,
    observation: Observation,
    places: Vec<Vantage>,
    renewed: Option<bool>,
    pause: Option<Pause>,
    impaired: Impaired,
    said: Vec<Said>,
}

fn vantage(place: Place, writes: Writes) -> Vantage {
    Vantage { place, fresh: true, writes: Some(writes), permit: None }
}

/// A keeper of the active region, whose primary told it this.
fn guarded(permit: Permit) -> Vantage {
    let place = Place::Keeper { region: east(), name: "us-east-2-keeper1".parse().expect("a name") };
    let told = Told { epoch: Epoch(1), at: Timestamp(0), permit };
    Vantage { permit: Some(told), ..vantage(place, Writes::Work) }
}

fn explain(change: impl FnOnce(&mut Scene)) -> Explanation {
    let keeper = Place::Keeper { region: west(), name: "us-west-1-keeper1".parse().expect("a name") };
    let mut scene = Scene {
        mode: Some(Mode::Automatic),
        observation: healthy(),
        places: vec![
            vantage(keeper, Writes::Work),
            vantage(Place::Witness, Writes::Work),
            guarded(Permit::InForce),
        ],
        renewed: Some(true),
        pause: None,
        impaired: Impaired::Report,
        said: Vec::new(),
    };
    change(&mut scene);
    let automatic = scene.mode.map(|mode| Automatic {
        mode,
        ttl: Duration::from_secs(3),
        cool_down: Duration::from_secs(60),
        impaired_after: Duration::from_secs(10),
        impaired: scene.impaired,
        max_data_loss: MaxDataLoss::Unlimited,
    });
    let manifest = Manifest { automatic, ..manifest().clone() };
    let known = Known {
        manifest: &manifest,
        observation: &scene.observation,
        places: &scene.places,
        renewed: scene.renewed,
        still_for: Duration::from_millis(1_500),
        said: &scene.said,
        pause: Ok(scene.pause.as_ref()),
    };
    explain::explain(&known).expect("the tenure is known")
}

#[test]
fn a_healthy_site_says_when_and_at_what_cost_it_would_move() {
    let ready = explain(|_| ());
    assert_eq!(
        (ready.readiness, ready.loss_ms),
        (Readiness::Ready, Some(3_040)),
        "its hold may last for 3 s"
    );
    assert_eq!(
        ready.to_string(),
        "us-east-2 is active since 1970-01-01T00:00:00.000Z (epoch 1, since it was founded). If it were lost now \
         us-west-1 would take over by itself, 3206 ms after the last renewal; writes of up to 3040 ms might be lost."
    );
}

#[test]
fn each_obstacle_has_its_word() {
    let word = |change: fn(&mut Scene)| {
        let explained = explain(change);
        let text = explained.to_string();
        let stands = text.contains(explained.readiness.as_str()) && !explained.reasons.is_empty();
        assert!(stands, "{text}");
        explained.readiness
    };
    assert_eq!(word(|s| s.places[1].fresh = false), Readiness::Unobserved);
    assert_eq!(word(|s| s.renewed = Some(false)), Readiness::NotRenewed);
    let unguarded = |s: &mut Scene| {
        s.places[2] = guarded(Permit::NotInForce { why: "synchronous_standby_names is \"\"".to_owned() });
    };
    assert_eq!(word(unguarded), Readiness::Blocked);
    assert!(explain(unguarded).to_string().contains("BSC-D007 its commits may need no keeper's permit"));
    assert_eq!(
        word(|s| s.observation.open_operation = seen(Some("op-1".parse().expect("an id")))),
        Readiness::AtWork
    );
    assert_eq!(
        word(|s| {
            let west = s.observation.regions.get_mut(&west()).expect("it is there");
            if let Observed::Seen { value, .. } = &mut west.database {
                value.newest_replayed_age_ms = Some(600_000);
            }
        }),
        Readiness::TargetOverLagLimit
    );
    assert_eq!(
        word(|s| {
            let west = s.observation.regions.get_mut(&west()).expect("it is there");
            if let Observed::Seen { value, .. } = &mut west.database {
                value.role = ClusterRole::Leaderless;
            }
        }),
        Readiness::Blocked
    );
    assert_eq!(
        word(
            |s| s.pause = Some(Pause { by: "ada".to_owned(), why: "a test".to_owned(), since: Timestamp(0) })
        ),
        Readiness::Paused
    );
    let tenure = |s: &mut Scene, change: fn(&mut bascule_core::tenure::Tenure)| {
        if let Observed::Seen { value, .. } = &mut s.observation.tenure {
            change(value);
        }
    };
    assert_eq!(explain(|s| tenure(s, |t| t.settled = false)).readiness, Readiness::NotSettled);
    let moved = |t: &mut bascule_core::tenure::Tenure| {
        (t.by, t.since) = (Some("op-1".parse().expect("an id")), Timestamp(990_000));
    };
    assert_eq!(explain(|s| tenure(s, moved)).readiness, Readiness::CoolingDown);
}

#[test]
fn a_region_that_cannot_write_for_as_long_as_the_manifest_says_is_impaired() {
    let own = Place::Keeper { region: east(), name: "us-east-2-keeper1".parse().expect("a name") };
    let ill = |for_s: u64, open: bool| {
        explain(|s| {
            let fails = Writes::Fail { why: "no answer".to_owned(), for_ms: for_s * 1000 };
            s.places = vec![vantage(own.clone(), fails.clone()), vantage(Place::Witness, fails)];
            if open {
                s.observation.open_operation = seen(Some("op-1".parse().expect("an id")));
            }
        })
    };
    let said = ill(10, false);
    assert_eq!(said.readiness, Readiness::Impaired);
    assert!(said.to_string().contains("Users can't write there, for 10 s: no answer."), "{said}");
    assert_ne!(ill(9, false).readiness, Readiness::Impaired, "it may pass");
    assert_eq!(ill(10, true).readiness, Readiness::AtWork, "an operation is about to change that");
}

#[test]
fn a_region_that_can_write_no_more_says_why_its_keepers_do_not_let_it_go() {
    let other = Place::Keeper { region: west(), name: "us-west-1-keeper1".parse().expect("a name") };
    let ill = |change: fn(&mut Scene)| {
        explain(|s| {
            let fails = Writes::Fail { why: "no answer".to_owned(), for_ms: 11_000 };
            s.impaired = Impaired::Release;
            let own = Vantage { writes: Some(fails.clone()), ..guarded(Permit::InForce) };
            s.places = vec![own, vantage(other.clone(), fails.clone()), vantage(Place::Witness, fails)];
            change(s);
        })
        .to_string()
    };
    let goes = ill(|_| ());
    assert!(goes.contains("its keepers let it go for us-west-1, and 10 s after"), "{goes}");
    let alone = ill(|s| s.places.truncate(2));
    assert!(alone.contains("its keepers do not let it go (BSC-D005 "), "{alone}");
}

#[test]
fn a_tenure_that_is_not_renewed_says_what_it_leads_to_and_what_the_keepers_say() {
    let lost = |change: fn(&mut Scene)| {
        explain(|s| {
            s.renewed = Some(false);
            for place in &mut s.places {
                place.writes = Some(Writes::Fail { why: "no answer".to_owned(), for_ms: 900 });
            }
            change(s);
        })
        .to_string()
    };
    let moves = lost(|_| ());
    let end = "Its tenure is not renewed: its gate is closed, or about to; unless it is renewed within 1706 ms the keepers \
               of us-west-1 fail over: the active region is lost, and its gate is closed. If us-west-1 takes over \
               writes of up to 1540 ms might be lost.";
    assert!(moves.ends_with(end), "{moves}");
    let refused = lost(|s| {
        s.places[0].writes = Some(Writes::Work);
        let decision = "nothing is done: BSC-D006".to_owned();
        s.said = vec![Said { place: "us-west-1-keeper1".to_owned(), decision }];
    });
    assert!(refused.contains("; BSC-D006 us-west-1-keeper1 can still write"), "{refused}");
    assert!(refused.ends_with("\nus-west-1-keeper1 says: nothing is done: BSC-D006"), "{refused}");
    let late = lost(|s| {
        let west = s.observation.regions.get_mut(&west()).expect("it is there");
        if let Observed::Seen { value, .. } = &mut west.database {
            value.newest_replayed_age_ms = Some(600_000);
        }
        s.observation.regions.get_mut(&east()).expect("it is there").database = unseen();
    });
    assert!(late.contains("BSC-P014"), "{late}");
}

#[test]
fn what_a_hold_may_still_acknowledge_counts_against_the_objective() {
    let aged = |age_ms: u64| {
        explain(|s| {
            let west = s.observation.regions.get_mut(&west()).expect("it is there");
            if let Observed::Seen { value, .. } = &mut west.database {
                value.newest_replayed_age_ms = Some(age_ms);
            }
        })
    };
    assert_eq!(aged(2_000).readiness, Readiness::Ready);
    assert_eq!(aged(2_001).readiness, Readiness::TargetOverLagLimit, "5 s may be lost, of which 3 are ahead");
}

#[test]
fn where_a_person_decides_it_says_what_to_type() {
    for mode in [None, Some(Mode::Manual)] {
        let explained = explain(|s| (s.mode, s.renewed) = (mode, None));
        assert_eq!(explained.readiness, Readiness::Manual);
        assert!(explained.to_string().contains("bascule failover --to us-west-1"), "{explained}");
    }
    assert_eq!(explain(|s| s.mode = Some(Mode::Observe)).readiness, Readiness::Observing);
}

#[test]
fn what_is_not_known_is_not_explained_away() {
    let manifest = manifest();
    let mut observation = healthy();
    observation.tenure = unseen();
    let known = Known {
        manifest,
        observation: &observation,
        places: &[],
        renewed: None,
        still_for: Duration::ZERO,
        said: &[],
        pause: Ok(None),
    };
    assert_eq!(explain::explain(&known), Err("no answer within 1000 ms".to_owned()));
}

#[test]
fn what_ails_an_active_region_is_told_part_by_part() {
    let ailments = |change: fn(&mut RegionObservation)| {
        let mut region = healthy().regions.remove(&crate::east()).expect("a region");
        change(&mut region);
        region.ailments()
    };
    assert!(ailments(|_| ()).is_empty(), "{:?}", ailments(|_| ()));
    assert_eq!(ailments(|r| r.database = unseen()), ["database not observed (no answer within 1000 ms)"]);
    let value = ComputeObservation { alive: 2, ready: 0, wanted: 3 };
    let mut region = healthy().regions.remove(&crate::east()).expect("a region");
    region.compute = seen(value);
    assert_eq!(region.ailments(), ["2 of 3 instances run, 0 can write"]);
    region.gate = seen(GateObservation { state: GateState::Closed, epoch: Epoch(1), servers_up: 0 });
    assert_eq!(region.ailments()[0], "load balancer's gate closed");
}
