//! Checks: questions about a site's facts, each with three answers, its evidence and what to do.
//!
//! Invariant (I7, unknown is not green): a check answers [`Answer::Holds`] only if every fact it needed was
//! seen; the engine enforces it, whatever the check itself returns. A check may fail on what was seen alone.
//! Each code answers at least once. Every check is linear in the number of assets.
//! What is left out: looking (observers), and deciding whether a move may go on (the planner asks for itself).

mod answers;
mod availability;
mod cidr;
mod code;
mod control;
mod database;
mod names;
mod parity;
mod plan;
mod storage;

pub use answers::{Answer, Checked};
pub use code::{Category, Code, Severity};

use std::collections::BTreeMap;

use crate::facts::Facts;
use answers::Answers;

/// Ask every check. The answers come in the order of the codes.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Checked> {
    let mut answers = Answers::default();
    for code in Code::ALL {
        ask(*code, facts, &mut answers);
    }
    answers.done
}

/// One answer for each code: the worst of its answers.
#[must_use]
pub fn by_code(checked: &[Checked]) -> BTreeMap<Code, Answer> {
    let mut worst = BTreeMap::new();
    for one in checked {
        let answer = worst.entry(one.code).or_insert(one.answer);
        *answer = one.answer.max(*answer);
    }
    worst
}

fn ask(code: Code, facts: &Facts, answers: &mut Answers) {
    match code {
        Code::NamesAfterDatabase => plan::names_after_database(facts, answers),
        Code::Fenced => plan::fenced(facts, answers),
        Code::Verified => plan::verified(facts, answers),
        Code::Failback => plan::failback(facts, answers),
        Code::Owner => plan::owner(facts, answers),
        Code::LossObjective => plan::loss_objective(facts, answers),
        Code::TimeObjective => plan::time_objective(facts, answers),
        Code::LostRegionUnneeded => plan::lost_region_unneeded(facts, answers),
        Code::ControlSurvives => control::control_survives(facts, answers),
        Code::AnotherRegion => plan::another_region(facts, answers),
        Code::RegionsKnown => plan::regions_known(facts, answers),
        Code::DatabaseNodes => availability::database_nodes(facts, answers),
        Code::ClusterNodes => availability::cluster_nodes(facts, answers),
        Code::Instances => availability::instances(facts, answers),
        Code::Spread => availability::spread(facts, answers),
        Code::LoadBalancers => availability::load_balancers(facts, answers),
        Code::Targets => availability::targets(facts, answers),
        Code::CrossRegionReplica => database::cross_region_replica(facts, answers),
        Code::AutomaticFailover => database::automatic_failover(facts, answers),
        Code::Retention => database::retention(facts, answers),
        Code::LagInObjective => database::lag_in_objective(facts, answers),
        Code::MemberNames => database::member_names(facts, answers),
        Code::Slots => database::slots(facts, answers),
        Code::Parameters => database::parameters(facts, answers),
        Code::Versions => database::versions(facts, answers),
        Code::ReachedByName => database::reached_by_name(facts, answers),
        Code::WayBack => database::way_back(facts, answers),
        Code::NamesManaged => names::names_managed(facts, answers),
        Code::TimeToLive => names::time_to_live(facts, answers),
        Code::HealthCheckPasses => names::health_check_passes(facts, answers),
        Code::StandbyTarget => names::standby_target(facts, answers),
        Code::Sizes => parity::sizes(facts, answers),
        Code::Images => parity::images(facts, answers),
        Code::KeyPairs => parity::key_pairs(facts, answers),
        Code::Secrets => parity::secrets(facts, answers),
        Code::Rules => parity::rules(facts, answers),
        Code::Quotas => parity::quotas(facts, answers),
        Code::AddressRanges => parity::address_ranges(facts, answers),
        Code::Versioning => storage::versioning(facts, answers),
        Code::BucketReplication => storage::bucket_replication(facts, answers),
        Code::Encryption => storage::encryption(facts, answers),
        Code::NotPublic => storage::not_public(facts, answers),
        Code::BackupAge => storage::backup_age(facts, answers),
        Code::RepositoryReachable => control::repository_reachable(facts, answers),
        Code::RepositoryElsewhere => control::repository_elsewhere(facts, answers),
        Code::NoDrift => control::no_drift(facts, answers),
        Code::Permissions => control::permissions(facts, answers),
        Code::VotersApart => control::voters_apart(facts, answers),
        Code::KeeperVersions => control::keeper_versions(facts, answers),
        Code::ClockSkew => control::clock_skew(facts, answers),
        Code::PermitInForce => control::permit_in_force(facts, answers),
    }
}
