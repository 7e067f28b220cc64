//! Checks of high availability inside a region.

use std::collections::BTreeSet;

use super::answers::{Answers, Case, Found, judge};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::{Compute, Evidence, Fact, Facts, Instance};

/// One may be lost while another is being replaced, and one still works.
const ENOUGH: usize = 3;

/// Whether enough of them are well. One that was not seen counts for neither side.
fn enough<'a>(
    case: &mut Case,
    what: &str,
    parts: impl Iterator<Item = (&'a str, &'a Fact<bool>)>,
) -> Option<Found> {
    let (mut well, mut unseen) = (0, 0);
    for (name, fact) in parts {
        case.note(Evidence::of(&format!("{name} {what}"), fact));
        match fact.value() {
            Some(true) => well += 1,
            Some(false) => {}
            None => unseen += 1,
        }
    }
    if well < ENOUGH && well + unseen >= ENOUGH {
        case.lack(format!("{well} are seen {what}, and {unseen} were not observed"));
    }
    let unseen_too = if unseen > 0 { format!(", {unseen} not observed") } else { String::new() };
    judge(well + unseen >= ENOUGH, format!("{well} are {what}{unseen_too}; wanted are {ENOUGH}"))
}

pub(super) fn database_nodes(facts: &Facts, answers: &mut Answers) {
    let kind = AssetKind::Database;
    answers.each(
        Code::DatabaseNodes,
        facts,
        kind,
        |r| &r.database,
        |case, _, database| {
            let members = case.need("members", &database.members)?;
            enough(case, "well", members.iter().map(|m| (m.name.as_str(), &m.well)))
        },
    );
}

pub(super) fn cluster_nodes(facts: &Facts, answers: &mut Answers) {
    let kind = AssetKind::Kubernetes;
    answers.sides(
        Code::ClusterNodes,
        facts,
        kind,
        |r| &r.kubernetes,
        |case, cluster| {
            let Some(cluster) = cluster else {
                return judge(false, "there is no such cluster in the region");
            };
            let nodes = case.need("nodes", &cluster.nodes)?;
            enough(case, "ready", nodes.iter().map(|n| (n.name.as_str(), &n.ready)))
        },
    );
}

pub(super) fn instances(facts: &Facts, answers: &mut Answers) {
    answers.sides(
        Code::Instances,
        facts,
        AssetKind::Compute,
        |r| &r.compute,
        |case, group| {
            let Some(group) = group else { return judge(false, "there is no such group in the region") };
            let instances = case.need("instances", &group.instances)?;
            enough(case, "alive", instances.iter().map(|i| (i.name.as_str(), &i.alive)))
        },
    );
}

pub(super) fn spread(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::Spread,
        facts,
        AssetKind::Compute,
        |r| &r.compute,
        |case, _, group| {
            let instances = case.need("instances", &group.instances)?;
            if instances.len() < 2 {
                return judge(
                    false,
                    format!("it has {} of the two instances that can be spread", instances.len()),
                );
            }
            let zones = Spread::of(case, instances, "zone", Asked::Needed, |i| &i.zone);
            // a subnet is part of one zone: over two zones there are two, though nobody says which
            let asked = if zones.names.len() < 2 { Asked::Needed } else { Asked::IfSeen };
            let subnets = Spread::of(case, instances, "subnet", asked, |i| &i.subnet);
            let words = match (zones.names.len(), subnets.names.len()) {
                (0, 0) => "its hosts are in no zones and no subnets that could be lost as one".to_owned(),
                _ => format!("its instances are in {} and {}", zones.words("zone"), subnets.words("subnet")),
            };
            judge(!zones.in_one && !subnets.in_one, words)
        },
    );
}

pub(super) fn load_balancers(facts: &Facts, answers: &mut Answers) {
    let kind = AssetKind::LoadBalancer;
    answers.pairs(
        Code::LoadBalancers,
        facts,
        kind,
        |r| &r.load_balancer,
        |case, home, away| {
            for (region, side) in facts.regions().into_iter().zip([home, away]) {
                match side {
                    Some(balancer) => {
                        let listens = case.need(&format!("{} listens on", region.name), &balancer.listeners);
                        if listens.is_some_and(Vec::is_empty) {
                            return judge(false, format!("nobody listens at the one of {}", region.name));
                        }
                    }
                    None => return judge(false, format!("{} has no such load balancer", region.name)),
                }
            }
            judge(true, "both regions have it")
        },
    );
}

pub(super) fn targets(facts: &Facts, answers: &mut Answers) {
    let kind = AssetKind::LoadBalancer;
    answers.each(
        Code::Targets,
        facts,
        kind,
        |r| &r.load_balancer,
        |case, region, balancer| {
            let targets = *case.need("targets", &balancer.targets)?;
            let serves = case.need("serves", &balancer.serves)?;
            let Some(groups) = region.compute.value() else {
                case.lack(format!("the instances of {} were not observed", region.name));
                return None;
            };
            let Some(group) = groups.get(serves) else {
                return judge(false, format!("it serves {serves}, and {} has no such group", region.name));
            };
            let wanted = case.need("instances", &group.instances).map(Vec::len)?;
            let words = format!(
                "{} of {wanted} instances are attached, {} are healthy",
                targets.attached, targets.healthy
            );
            let all = |count: u32| usize::try_from(count).is_ok_and(|count| count >= wanted);
            judge(wanted > 0 && all(targets.attached) && all(targets.healthy), words)
        },
    );
}

/// Whether it can be said to hold without this.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Needed,
    IfSeen,
}

/// The zones or subnets of a group.
struct Spread<'a> {
    names: BTreeSet<&'a String>,
    /// Whether all of the group is in the same one. An instance that was not seen, or is in none, may be elsewhere.
    in_one: bool,
    /// Whether it was not seen of one which it is in.
    unseen: bool,
}

impl<'a> Spread<'a> {
    fn of(
        case: &mut Case,
        instances: &'a [Instance],
        what: &str,
        asked: Asked,
        pick: fn(&Instance) -> &Fact<Option<String>>,
    ) -> Self {
        let mut names = BTreeSet::new();
        let (mut in_none, mut unseen) = (false, false);
        for instance in instances {
            let fact = pick(instance);
            if asked == Asked::IfSeen && fact.value().is_none() {
                unseen = true;
                continue;
            }
            match case.need(&format!("{} {what}", instance.name), fact) {
                Some(Some(name)) => drop(names.insert(name)),
                Some(None) => in_none = true,
                None => unseen = true,
            }
        }
        Self { in_one: names.len() < 2 && !in_none && !unseen, names, unseen }
    }

    /// `2 zones`; how many, as far as it was seen.
    fn words(&self, what: &str) -> String {
        match (self.names.len(), self.unseen) {
            (0, true) => format!("{what}s that were not observed"),
            (1, false) => format!("1 {what}"),
            (n, false) => format!("{n} {what}s"),
            (n, true) => format!("at least {n} {what}{}", if n == 1 { "" } else { "s" }),
        }
    }
}

/// The sizes, images or whatever else the instances of a group have; none if one was not seen.
pub(super) fn all_of<'a>(
    case: &mut Case,
    group: &'a Compute,
    what: &str,
    pick: fn(&Instance) -> &Fact<Option<String>>,
) -> Option<BTreeSet<&'a Option<String>>> {
    let instances = case.need("instances", &group.instances)?;
    let mut values = BTreeSet::new();
    for instance in instances {
        values.insert(case.need(&format!("{} {what}", instance.name), pick(instance))?);
    }
    Some(values)
}
