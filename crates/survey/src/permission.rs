//! What the executor may do, each really tried in a way that changes nothing.
//!
//! One refusal is enough to say so. What could not be tried makes the whole "not observed", unless something was refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use bascule_core::facts::{Fact, Permissions};
use bascule_core::observation::Observed;
use bascule_providers::Trial;

use crate::limit::Provider;
use crate::member::Answered;
use crate::network::Pool;
use crate::{Place, Scene, at, balancer, now};

/// Whether the zone may be changed.
pub(crate) async fn names(scene: &Arc<Scene>) -> Result<Trial, String> {
    scene.site.may_update.clone()?;
    let names = scene.site.names.as_ref().map_err(Clone::clone)?;
    scene.limits.look(Provider::Names, names.may_update()).await
}

/// The trials of a region.
pub(crate) fn permissions(
    place: &Place,
    members: &[Answered],
    balancer: &balancer::Looked,
    pool: &Pool,
) -> Fact<Permissions> {
    let region = place.manifest();
    let user = &place.scene.site.manifest.database.user;
    let mut trials = Trials::default();
    trials.add(&format!("PostgreSQL: log in as {user}"), all(members, |m| &m.log_in));
    trials.rights(members, user);
    trials.add("Patroni: change the cluster's settings", all(members, |m| &m.configure));
    trials.add("HAProxy: change the gate", balancer.may_change.clone());
    trials.add("PgBouncer: hold and release clients", pool.may_change.clone());
    let members: Vec<String> = members.iter().map(|m| m.at.to_string()).collect();
    trials.fact(&format!(
        "tried at {}, {}, {}",
        members.join(", "),
        region.load_balancer.admin,
        region.pool.admin
    ))
}

/// The same with the names', which are changed in one place for both regions.
pub(crate) fn with(permissions: Fact<Permissions>, update: &Result<Trial, String>) -> Fact<Permissions> {
    let name = "DNS: change the zone".to_owned();
    let Fact { from, answer } = permissions;
    let from = at(format!("{from}, and at the server of the zone"));
    match (answer, update) {
        (Observed::Seen { mut value, at }, Ok(Trial::Granted)) => {
            value.granted.insert(name);
            Fact::seen(value, at, from)
        }
        (Observed::Seen { mut value, at }, Ok(Trial::Refused { why })) => {
            value.refused.insert(format!("{name} ({why})"));
            Fact::seen(value, at, from)
        }
        (Observed::Seen { value, at }, Err(_)) if !value.refused.is_empty() => Fact::seen(value, at, from),
        (Observed::Seen { .. }, Err(why)) => Fact::not_observed(format!("{name}: {why}"), from),
        (Observed::NotObserved { .. }, Ok(Trial::Refused { why })) => {
            let refused = BTreeSet::from([format!("{name} ({why})")]);
            Fact::seen(Permissions { granted: BTreeSet::new(), refused }, now(), from)
        }
        (Observed::NotObserved { why }, Ok(Trial::Granted) | Err(_)) => Fact::not_observed(why, from),
    }
}

/// What all members together say: a refusal by one is one, and any may have to be asked in a move.
fn all(members: &[Answered], pick: fn(&Answered) -> &Result<Trial, String>) -> Result<Trial, String> {
    let mut silent = members.is_empty().then(|| "the cluster has no members".to_owned());
    for member in members {
        match pick(member) {
            Ok(Trial::Refused { why }) => {
                return Ok(Trial::Refused { why: format!("{}: {why}", member.name) });
            }
            Ok(Trial::Granted) => {}
            Err(why) => silent = silent.or_else(|| Some(format!("{}: {why}", member.name))),
        }
    }
    silent.map_or(Ok(Trial::Granted), Err)
}

#[derive(Default)]
struct Trials {
    granted: BTreeSet<String>,
    refused: BTreeSet<String>,
    untried: Vec<String>,
}

impl Trials {
    fn add(&mut self, name: &str, trial: Result<Trial, String>) {
        match trial {
            Ok(Trial::Granted) => drop(self.granted.insert(name.to_owned())),
            Ok(Trial::Refused { why }) => drop(self.refused.insert(format!("{name} ({why})"))),
            Err(why) => self.untried.push(format!("{name}: {why}")),
        }
    }

    /// Rights are the cluster's: the first member that answers speaks for all.
    fn rights(&mut self, members: &[Answered], user: &str) {
        let Some(rights) = members.iter().find_map(|m| m.rights.as_ref().ok()) else {
            // one that may not even log in was refused already
            if self.refused.is_empty() {
                let why = members.iter().find_map(|m| m.rights.as_ref().err().cloned());
                self.add("PostgreSQL: the user's rights", Err(why.unwrap_or_default()));
            }
            return;
        };
        for right in rights {
            let trial = if right.granted {
                Trial::Granted
            } else {
                Trial::Refused { why: right.remedy.replace("USER", user) }
            };
            self.add(&format!("PostgreSQL: {}", right.what), Ok(trial));
        }
    }

    fn fact(self, from: &str) -> Fact<Permissions> {
        match self.untried.first() {
            Some(why) if self.refused.is_empty() => Fact::not_observed(why, at(from)),
            Some(_) | None => {
                Fact::seen(Permissions { granted: self.granted, refused: self.refused }, now(), at(from))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(granted: &[&str], refused: &[&str]) -> Fact<Permissions> {
        let set = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
        Fact::seen(Permissions { granted: set(granted), refused: set(refused) }, now(), at("x"))
    }

    #[test]
    fn what_was_not_tried_is_not_granted_and_a_refusal_is_told_whatever_else_is_unknown() {
        let refusal = || Ok(Trial::Refused { why: "NOTAUTH".to_owned() });
        let late = || Err("late".to_owned());
        assert_eq!(with(seen(&["a"], &[]), &late()).value(), None);
        assert_eq!(with(seen(&["a"], &[]), &Ok(Trial::Granted)).value().map(|p| p.granted.len()), Some(2));
        assert_eq!(with(seen(&["a"], &["b"]), &late()).value().map(|p| p.refused.len()), Some(1));
        assert_eq!(with(seen(&["a"], &[]), &refusal()).value().map(|p| p.refused.len()), Some(1));
        let unseen = || Fact::not_observed("late", at("x"));
        assert_eq!(with(unseen(), &refusal()).value().map(|p| p.refused.len()), Some(1));
        assert_eq!(with(unseen(), &Ok(Trial::Granted)).value(), None);
    }

    #[test]
    fn trials_are_held_to_the_same() {
        let mut trials = Trials::default();
        trials.add("a", Ok(Trial::Granted));
        trials.add("b", Err("late".to_owned()));
        assert_eq!(trials.fact("x").answer.why_not(), Some("b: late"));
    }
}
