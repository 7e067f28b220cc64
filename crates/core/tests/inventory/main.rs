//! The inventory: protection is what was seen, and never what somebody claims.

#[path = "../check/site.rs"]
#[allow(dead_code, reason = "the baseline is shared; this test breaks fewer of its parts")]
mod site;

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::asset::{AssetKind, Protection, Quantity};
use bascule_core::facts::{Bucket, Fact, Facts, Place, Source, Wanted};
use bascule_core::inventory::{Count, Item, inventory};

use site::{AWAY, HOME, app, at, backups, instances, orders, region, seen, set, sound, text, unseen, web};

fn item(facts: &Facts, kind: AssetKind) -> Item {
    let of_kind: Vec<Item> = inventory(facts).into_iter().filter(|i| i.kind == kind).collect();
    assert_eq!(of_kind.len(), 1, "{of_kind:#?}");
    of_kind.into_iter().next().expect("one")
}

fn protection(kind: AssetKind, change: impl FnOnce(&mut Facts)) -> Protection {
    let mut facts = sound();
    change(&mut facts);
    item(&facts, kind).protection
}

#[test]
fn every_kind_of_asset_of_a_sound_site_is_protected() {
    let items = inventory(&sound());
    let by_kind: BTreeMap<AssetKind, Protection> = items.iter().map(|i| (i.kind, i.protection)).collect();
    let wanted = BTreeMap::from([
        (AssetKind::Compute, Protection::Deployed),
        (AssetKind::Kubernetes, Protection::Deployed),
        (AssetKind::LoadBalancer, Protection::Deployed),
        (AssetKind::Database, Protection::Replicated),
        (AssetKind::ObjectStorage, Protection::Replicated),
        (AssetKind::KeyPair, Protection::Copied),
        (AssetKind::Monitoring, Protection::Deployed),
        (AssetKind::Repository, Protection::StoredElsewhere),
        (AssetKind::Dns, Protection::Deployed),
    ]);
    assert_eq!(by_kind, wanted);
    assert_eq!(items.len(), AssetKind::ALL.len());
}

#[test]
fn every_item_says_what_was_seen_where_and_when() {
    for item in inventory(&sound()) {
        assert!(!item.why.is_empty() && !item.evidence.is_empty(), "{item:#?}");
        assert!(item.evidence.iter().any(|e| e.at.is_some() && e.from != Source::Nowhere), "{item:#?}");
    }
}

#[test]
fn an_asset_in_one_region_is_a_gap_and_in_an_unseen_one_unknown() {
    type Change = fn(&mut Facts);
    let cases: [(AssetKind, Change, Change); 5] = [
        (AssetKind::Compute, |f| at(&mut f.away.compute).clear(), |f| f.away.compute = unseen()),
        (AssetKind::Kubernetes, |f| at(&mut f.away.kubernetes).clear(), |f| f.away.kubernetes = unseen()),
        (
            AssetKind::LoadBalancer,
            |f| at(&mut f.away.load_balancer).clear(),
            |f| f.away.load_balancer = unseen(),
        ),
        (AssetKind::Database, |f| at(&mut f.away.database).clear(), |f| f.away.database = unseen()),
        (AssetKind::KeyPair, |f| at(&mut f.away.key_pair).clear(), |f| f.away.key_pair = unseen()),
    ];
    for (kind, gone, dark) in cases {
        assert_eq!(protection(kind, gone), Protection::OneRegionOnly, "{kind:?}");
        assert_eq!(protection(kind, dark), Protection::Unknown, "{kind:?}");
    }
}

#[test]
fn two_databases_that_do_not_follow_each_other_are_a_gap() {
    let kind = AssetKind::Database;
    assert_eq!(
        protection(kind, |f| orders(&mut f.away).replica_source = seen(None)),
        Protection::OneRegionOnly
    );
    assert_eq!(protection(kind, |f| orders(&mut f.away).replica_source = unseen()), Protection::Unknown);
    let unseen_primary = protection(kind, |f| orders(&mut f.home).replica_source = unseen());
    assert_eq!(unseen_primary, Protection::Replicated, "the standby's side is enough");
}

#[test]
fn a_group_without_instances_is_rebuilt_on_demand() {
    let kind = AssetKind::Compute;
    assert_eq!(protection(kind, |f| instances(&mut f.away).clear()), Protection::RebuiltOnDemand);
    assert_eq!(protection(kind, |f| app(&mut f.away).instances = unseen()), Protection::Unknown);
}

#[test]
fn what_somebody_names_and_nobody_saw_run_is_not_deployed() {
    let kind = AssetKind::Compute;
    let each = |f: &mut Facts, alive: fn() -> Fact<bool>| {
        instances(&mut f.away).iter_mut().for_each(|instance| instance.alive = alive());
    };
    assert_eq!(protection(kind, |f| each(f, unseen)), Protection::Unknown);
    assert_eq!(protection(kind, |f| each(f, || seen(false))), Protection::OneRegionOnly);
    let kind = AssetKind::LoadBalancer;
    assert_eq!(protection(kind, |f| web(&mut f.away).listeners = unseen()), Protection::Unknown);
    assert_eq!(
        protection(kind, |f| web(&mut f.away).listeners = seen(Vec::new())),
        Protection::OneRegionOnly
    );
}

#[test]
fn a_bucket_is_replicated_under_whatever_name_its_copy_has() {
    let change = |facts: &mut Facts| {
        at(&mut backups(&mut facts.home).replication).as_mut().expect("it has one").bucket =
            "copy".to_owned();
        let copy: Bucket = backups(&mut facts.away).clone();
        let away = at(&mut facts.away.object_storage);
        away.clear();
        away.insert("copy".to_owned(), copy);
    };
    let mut facts = sound();
    change(&mut facts);
    let buckets: Vec<Item> =
        inventory(&facts).into_iter().filter(|i| i.kind == AssetKind::ObjectStorage).collect();
    assert_eq!(buckets.len(), 2);
    assert!(buckets.iter().all(|b| b.protection == Protection::Replicated), "{buckets:#?}");
    backups(&mut facts.home).replication = seen(None);
    for bucket in inventory(&facts).iter().filter(|i| i.kind == AssetKind::ObjectStorage) {
        assert_eq!(bucket.protection, Protection::OneRegionOnly, "{bucket:#?}");
    }
    backups(&mut facts.home).replication = unseen();
    for bucket in inventory(&facts).iter().filter(|i| i.kind == AssetKind::ObjectStorage) {
        assert_eq!(bucket.protection, Protection::Unknown, "{bucket:#?}");
    }
}

#[test]
fn where_something_is_kept_decides_how_it_is_protected() {
    let here = || seen(vec![Place::Region(region(HOME))]);
    let provider = || seen(vec![Place::Elsewhere("provider".to_owned())]);
    let both = || seen(vec![Place::Region(region(HOME)), Place::Region(region(AWAY))]);
    let repository = |places| protection(AssetKind::Repository, |f| site::code(f).places = places);
    assert_eq!(repository(here()), Protection::OneRegionOnly);
    assert_eq!(repository(both()), Protection::Copied);
    assert_eq!(repository(unseen()), Protection::Unknown);
    let dns = |places| protection(AssetKind::Dns, |f| f.name_servers = places);
    assert_eq!(dns(provider()), Protection::ProviderManaged);
    assert_eq!(dns(here()), Protection::OneRegionOnly);
}

#[test]
fn a_key_by_the_same_name_that_is_another_key_is_a_gap() {
    let change = |f: &mut Facts| {
        at(&mut f.away.key_pair).get_mut("admin").expect("it is there").fingerprint = text("SHA256:other");
    };
    assert_eq!(protection(AssetKind::KeyPair, change), Protection::OneRegionOnly);
}

#[test]
fn what_is_wanted_and_not_there_is_an_item_too() {
    let mut facts = sound();
    facts.wanted.push(Wanted {
        kind: AssetKind::Compute,
        name: "worker".to_owned(),
        purpose: "sends mail".to_owned(),
        size: Some("t3.small".to_owned()),
        quantity: Some(Quantity::Total(2)),
        from: Source::Nowhere,
    });
    let items = inventory(&facts);
    let worker = items.iter().find(|i| i.name == "worker").expect("it is wanted");
    assert_eq!(worker.protection, Protection::Unknown);
    assert_eq!(worker.as_wanted(), Some(false));
    assert_eq!(worker.found.iter().map(|f| f.count.total()).collect::<Vec<_>>(), [Some(0), Some(0)]);
    assert_eq!((worker.size.as_deref(), worker.wanted_size.as_deref()), (None, Some("t3.small")));
}

#[test]
fn found_is_counted_and_what_is_not_well_is_said() {
    let mut facts = sound();
    instances(&mut facts.away)[0].alive = seen(false);
    instances(&mut facts.away)[1].size = text("t3.small").map(Some);
    let item = item(&facts, AssetKind::Compute);
    assert_eq!(item.found[0].count, Count::Seen { total: 3, well: Some(3) });
    assert_eq!(item.found[1].count, Count::Seen { total: 2, well: Some(2) }, "two of them live");
    assert_eq!(item.size.as_deref(), Some("t3.medium / t3.small"));
    assert_eq!(item.as_wanted(), Some(false));
    facts.away.compute = unseen();
    let dark = inventory(&facts).into_iter().find(|i| i.kind == AssetKind::Compute).expect("home has it");
    assert_eq!(dark.as_wanted(), None, "one region was not counted");
}

fn asked_in_vain<T>() -> Fact<T> {
    Fact::not_observed("late", Source::Address("10.2.0.1:80".to_owned()))
}

#[test]
fn a_list_of_what_there_should_be_is_no_count() {
    let count = |change: fn(&mut Facts)| {
        let mut facts = sound();
        change(&mut facts);
        let items = inventory(&facts);
        let of = |kind| {
            let item = items.iter().find(|i| i.kind == kind).expect("the baseline has it");
            (item.found[1].count.clone(), item.as_wanted())
        };
        (of(AssetKind::Compute), of(AssetKind::LoadBalancer).0)
    };
    let (compute, balancer) = count(|f| {
        instances(&mut f.away).iter_mut().for_each(|instance| instance.alive = seen(false));
        web(&mut f.away).listeners = seen(Vec::new());
    });
    let none = Count::Seen { total: 0, well: Some(0) };
    assert_eq!((compute, balancer), ((none.clone(), Some(false)), none), "all of it is stopped");
    let (compute, balancer) = count(|f| {
        instances(&mut f.away)[0].alive = asked_in_vain();
        web(&mut f.away).listeners = asked_in_vain();
    });
    let unseen = Count::NotObserved { why: "late".to_owned() };
    assert_eq!((compute, balancer), ((unseen.clone(), None), unseen));
    let mut facts = sound();
    let on_paper = || Fact::not_observed("papers", Source::Line { file: "main.tf".to_owned(), line: 3 });
    instances(&mut facts.away).iter_mut().for_each(|instance| instance.alive = on_paper());
    let listed = item(&facts, AssetKind::Compute);
    assert_eq!(listed.found[1].count, Count::Seen { total: 3, well: None }, "nobody asked them");
}

#[test]
fn nobody_looked_makes_everything_unknown_and_nothing_protected() {
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        region.compute = Fact::unasked();
        region.kubernetes = Fact::unasked();
        region.load_balancer = Fact::unasked();
        region.database = Fact::unasked();
        region.object_storage = Fact::unasked();
        region.key_pair = Fact::unasked();
    }
    facts.dns = Fact::unasked();
    facts.monitoring = Fact::unasked();
    facts.repository = Fact::unasked();
    let items = inventory(&facts);
    assert_eq!(items.len(), facts.wanted.len(), "what is wanted is listed");
    let found: BTreeSet<Protection> = items.iter().map(|i| i.protection).collect();
    assert_eq!(found, BTreeSet::from([Protection::Unknown]));
}

#[test]
fn ten_thousand_assets_are_ten_thousand_items() {
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        for n in 0..10_000 {
            let group = site::group("x");
            at(&mut region.compute).insert(format!("app-{n:05}"), group);
        }
        at(&mut region.compute).get_mut("app-00007").expect("it is there").keys = seen(set(&["other"]));
    }
    let items = inventory(&facts);
    assert_eq!(items.len(), 10_000 + AssetKind::ALL.len());
    assert!(items.iter().all(|i| i.protection != Protection::Unknown));
}
