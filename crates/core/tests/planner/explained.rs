//! `explain` says what the keepers would do, in one word and one sentence.

use std::time::Duration;

use bascule_core::decision::Vantage;
use bascule_core::explain::{self, Explanation, Known, Readiness};
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
    };
    change(&mut scene);
    let automatic = scene.mode.map(|mode| Automatic {
        mode,
        ttl: Duration::from_secs(3),
        cool_down: Duration::from_secs(60),
        impaired_after: Duration::from_secs(10),
        impaired: Impaired::Report,
        max_data_loss: MaxDataLoss::Unlimited,
    });
    let manifest = Manifest { automatic, ..manifest().clone() };
    let known = Known {
        manifest: &manifest,
        observation: &scene.observation,
        places: &scene.places,
        renewed: scene.renewed,
        pause: Ok(scene.pause.as_ref()),
    };
    explain::explain(&known).expect("the tenure is known")
}

#[test]
fn a_healthy_site_says_when_and_at_what_cost_it_would_move() {
    let ready = explain(|_| ());
    assert_eq!((ready.readiness, ready.loss_ms), (Readiness::Ready, Some(40)));
    assert_eq!(
        ready.to_string(),
        "us-east-2 is active since 1970-01-01T00:00:00.000Z (epoch 1, since it was founded). If it were lost now \
         us-west-1 would take over by itself, 3206 ms after the last renewal; writes of up to 40 ms might be lost."
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
    let known = Known { manifest, observation: &observation, places: &[], renewed: None, pause: Ok(None) };
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
