//! For each check, what makes it fail, and what makes it unknown. A fixture changes one thing on the baseline.

use std::collections::BTreeMap;

use bascule_core::check::Code;
use bascule_core::document::Intent;
use bascule_core::facts::*;

use crate::site::*;

/// A change of the baseline.
pub type Change = fn(&mut Facts);

/// What breaks a check: exactly that one fails.
pub fn breaks(code: Code) -> Change {
    match code {
        Code::NamesAfterDatabase => |f| plan(f).steps.swap(1, 2),
        Code::Fenced => |f| drop(plan(f).steps.remove(0)),
        Code::Verified => |f| drop(plan(f).steps.remove(3)),
        Code::Failback => |f| drop(plan(f).steps.pop()),
        Code::Owner => |f| f.promise.owner = seen(None),
        Code::LossObjective => |f| f.promise.rpo_ms = seen(None),
        Code::TimeObjective => |f| f.promise.rto_ms = seen(None),
        Code::LostRegionUnneeded => |f| plan(f).steps[3].zones = vec![HOME.to_owned()],
        Code::ControlSurvives => |f| {
            at(&mut f.control.planes)[0].places = seen(vec![Place::Region(region(HOME))]);
        },
        Code::AnotherRegion => |f| plan(f).steps[1].intents = vec![Intent::AutomaticFailover],
        Code::RegionsKnown => |f| plan(f).steps[1].zones = vec!["south-2".to_owned()],
        Code::DatabaseNodes => |f| drop(at(&mut orders(&mut f.away).members).pop()),
        Code::ClusterNodes => |f| at(&mut watch(&mut f.home).nodes)[0].ready = seen(false),
        Code::Instances => |f| instances(&mut f.away)[1].alive = seen(false),
        Code::Spread => |f| instances(&mut f.home).iter_mut().for_each(|i| i.zone = text("zone-1").map(Some)),
        Code::LoadBalancers => |f| at(&mut f.away.load_balancer).clear(),
        Code::Targets => |f| web(&mut f.away).targets = seen(Targets { attached: 2, healthy: 2 }),
        Code::CrossRegionReplica => |f| orders(&mut f.away).replica_source = seen(None),
        Code::AutomaticFailover => |f| orders(&mut f.away).automatic_failover = seen(false),
        Code::Retention => |f| orders(&mut f.home).retention_s = seen(3_600),
        Code::LagInObjective => |f| orders(&mut f.away).lag_ms = seen(5_001),
        Code::MemberNames => |f| at(&mut orders(&mut f.away).members)[0].name = format!("{HOME}-db1"),
        Code::Slots => |f| at(&mut orders(&mut f.home).slots).clear(),
        Code::Parameters => |f| orders(&mut f.away).parameters = seen(set(&["sha256:b0"])),
        Code::Versions => |f| orders(&mut f.away).version = seen(set(&["16.3"])),
        Code::ReachedByName => |f| orders(&mut f.home).reached_by = text("10.1.0.20"),
        Code::WayBack => |f| orders(&mut f.home).way_back = seen(WayBack::Closed),
        Code::NamesManaged => |f| www(f).managed = seen(false),
        Code::TimeToLive => |f| www(f).ttl_s = seen(16),
        Code::HealthCheckPasses => |f| answers(&mut www(f).health_check, seen(401)),
        Code::StandbyTarget => |f| drop(at(&mut www(f).targets).pop()),
        Code::Sizes => |f| instances(&mut f.away)[0].size = text("t3.small").map(Some),
        Code::Images => |f| instances(&mut f.away)[0].image = text("sha256:a0").map(Some),
        Code::KeyPairs => |f| key(f).fingerprint = text("SHA256:c0"),
        Code::Secrets => {
            |f| drop(at(&mut f.away.secrets).insert("db_password".to_owned(), text("sha256:e0")))
        }
        Code::Rules => |f| f.away.network.rules = seen(set(&["sha256:d0"])),
        Code::Quotas => |f| quota(f).limit = 5,
        Code::AddressRanges => |f| at(&mut f.away.network.ranges).push("10.1.128.0/20".to_owned()),
        Code::Versioning => |f| backups(&mut f.home).versioning = seen(false),
        Code::BucketReplication => |f| to_itself(f),
        Code::Encryption => |f| backups(&mut f.away).encryption = seen(false),
        Code::NotPublic => |f| backups(&mut f.home).public = seen(true),
        Code::BackupAge => |f| backups(&mut f.home).newest_backup_age_s = seen(Some(6)),
        Code::RepositoryReachable => |f| code_of(f).reachable = seen(false),
        Code::RepositoryElsewhere => |f| code_of(f).places = seen(vec![Place::Region(region(AWAY))]),
        Code::NoDrift => |f| code_of(f).drift = seen(Drift { resources: 2 }),
        Code::Permissions => |f| at(&mut f.away.permissions).refused.extend(set(&["promote"])),
        Code::VotersApart => |f| at(&mut f.control.voters)[2].place = seen(Place::Region(region(HOME))),
        Code::KeeperVersions => |f| at(&mut f.control.keepers)[0].version = text("0.9.0"),
        Code::ClockSkew => |f| f.away.clock_skew = seen(Skew { least_ms: -501, most_ms: -400 }),
        Code::PermitInForce => |f| orders(&mut f.away).commits_wait_for = seen(set(&["south-1-db2"])),
    }
}

/// What leaves a check open: nothing fails.
pub fn hides(code: Code) -> Change {
    match code {
        Code::NamesAfterDatabase
        | Code::Fenced
        | Code::Verified
        | Code::Failback
        | Code::LostRegionUnneeded
        | Code::AnotherRegion
        | Code::RegionsKnown => |f| f.paper = unseen(),
        Code::Owner => |f| f.promise.owner = unseen(),
        Code::LossObjective => |f| f.promise.rpo_ms = unseen(),
        Code::TimeObjective => |f| f.promise.rto_ms = unseen(),
        Code::ControlSurvives => |f| at(&mut f.control.planes)[0].places = unseen(),
        Code::DatabaseNodes => |f| at(&mut orders(&mut f.away).members)[2].well = unseen(),
        Code::ClusterNodes => |f| at(&mut watch(&mut f.home).nodes)[0].ready = unseen(),
        Code::Instances => |f| instances(&mut f.away)[1].alive = unseen(),
        Code::Spread => |f| instances(&mut f.home)[0].zone = unseen(),
        Code::LoadBalancers => |f| f.away.load_balancer = unseen(),
        Code::Targets => |f| web(&mut f.away).targets = unseen(),
        Code::CrossRegionReplica => |f| orders(&mut f.away).replica_source = unseen(),
        Code::AutomaticFailover => |f| orders(&mut f.away).automatic_failover = unseen(),
        Code::Retention => |f| orders(&mut f.home).retention_s = unseen(),
        Code::LagInObjective => |f| orders(&mut f.away).lag_ms = unseen(),
        Code::MemberNames => |f| orders(&mut f.away).members = unseen(),
        Code::Slots => |f| orders(&mut f.home).slots = unseen(),
        Code::Parameters => |f| orders(&mut f.away).parameters = unseen(),
        Code::Versions => |f| orders(&mut f.away).version = unseen(),
        Code::ReachedByName => |f| orders(&mut f.home).reached_by = unseen(),
        Code::WayBack => |f| orders(&mut f.home).way_back = unseen(),
        Code::NamesManaged => |f| www(f).managed = unseen(),
        Code::TimeToLive => |f| www(f).ttl_s = unseen(),
        Code::HealthCheckPasses => |f| answers(&mut www(f).health_check, unseen()),
        Code::StandbyTarget => |f| www(f).targets = unseen(),
        Code::Sizes => |f| instances(&mut f.away)[0].size = unseen(),
        Code::Images => |f| instances(&mut f.away)[0].image = unseen(),
        Code::KeyPairs => |f| key(f).fingerprint = unseen(),
        Code::Secrets => |f| drop(at(&mut f.away.secrets).insert("db_password".to_owned(), unseen())),
        Code::Rules => |f| f.away.network.rules = unseen(),
        Code::Quotas => |f| f.home.network.quotas = seen(BTreeMap::new()),
        Code::AddressRanges => |f| f.away.network.ranges = unseen(),
        Code::Versioning => |f| backups(&mut f.home).versioning = unseen(),
        Code::BucketReplication => |f| backups(&mut f.home).replication = unseen(),
        Code::Encryption => |f| backups(&mut f.away).encryption = unseen(),
        Code::NotPublic => |f| backups(&mut f.home).public = unseen(),
        Code::BackupAge => |f| backups(&mut f.home).newest_backup_age_s = unseen(),
        Code::RepositoryReachable => |f| code_of(f).reachable = unseen(),
        Code::RepositoryElsewhere => |f| code_of(f).places = unseen(),
        Code::NoDrift => |f| code_of(f).drift = unseen(),
        Code::Permissions => |f| f.away.permissions = unseen(),
        Code::VotersApart => |f| at(&mut f.control.voters)[2].place = unseen(),
        Code::KeeperVersions => |f| at(&mut f.control.keepers)[0].version = unseen(),
        Code::ClockSkew => |f| f.away.clock_skew = unseen(),
        Code::PermitInForce => |f| orders(&mut f.away).commits_wait_for = unseen(),
    }
}

fn answers(check: &mut Fact<Option<HealthCheck>>, answer: Fact<u16>) {
    at(check).as_mut().expect("the baseline checks").answers = answer;
}

fn key(facts: &mut Facts) -> &mut KeyPair {
    at(&mut facts.away.key_pair).get_mut("admin").expect("the baseline has it")
}

fn quota(facts: &mut Facts) -> &mut Quota {
    at(&mut facts.away.network.quotas).get_mut("instances").expect("the baseline has it")
}

fn code_of(facts: &mut Facts) -> &mut Repository {
    crate::site::code(facts)
}

fn to_itself(facts: &mut Facts) {
    let own = Destination { region: region(HOME), bucket: "older".to_owned() };
    backups(&mut facts.home).replication = seen(Some(own));
}
