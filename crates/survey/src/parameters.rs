//! The database's parameters of both regions: one digest where they are equal, and what differs where they are not,
//! since a digest alone helps nobody at night.

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::facts::{Fact, Region};
use bascule_core::manifest::Manifest;
use bascule_core::observation::Observed;

use crate::member::{self, Answered, nobody};
use crate::network::digest;
use crate::{at, now};

/// Differences that are told; the check itself is about all of them.
const TOLD_MAX: usize = 8;

/// Each parameter with every value it has in a region.
type Values<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Put the parameters into both regions' facts.
pub(crate) fn tell(manifest: &Manifest, home: &mut Region, away: &mut Region, members: [&Vec<Answered>; 2]) {
    let values = members.map(|members| values(members));
    let differ: BTreeSet<&str> = match &values {
        [Some(here), Some(there)] => here
            .keys()
            .chain(there.keys())
            .copied()
            .filter(|name| here.get(name) != there.get(name))
            .collect(),
        [_, _] => BTreeSet::new(),
    };
    for ((region, members), values) in [home, away].into_iter().zip(members).zip(&values) {
        let asked: Vec<String> = members.iter().map(|m| m.at.to_string()).collect();
        let silent = member::silent_one(members, |m| m.told.as_ref().err()).is_some();
        let fact = match values {
            // a difference that was seen is one, whoever is silent
            Some(values) if !differ.is_empty() || !silent => {
                Fact::seen(told(values, &differ), now(), at(format!("pg_settings at {}", asked.join(", "))))
            }
            Some(_) | None => nobody(members, |m| m.told.as_ref().err()),
        };
        if let Observed::Seen { value: databases, .. } = &mut region.database.answer
            && let Some(database) = databases.get_mut(&manifest.database.name)
        {
            database.parameters = fact;
        }
    }
}

fn values(members: &[Answered]) -> Option<Values<'_>> {
    let mut all: Values<'_> = BTreeMap::new();
    for said in members.iter().filter_map(|member| member.told.as_ref().ok()) {
        for (name, value) in &said.parameters {
            all.entry(name).or_default().insert(value);
        }
    }
    (!all.is_empty()).then_some(all)
}

fn told(values: &Values<'_>, differ: &BTreeSet<&str>) -> String {
    let tell = |name: &&str| {
        let value = values.get(*name).map(|all| all.iter().copied().collect::<Vec<_>>().join(" or "));
        format!("{name} = {}", value.unwrap_or_else(|| "not there".to_owned()))
    };
    if differ.is_empty() {
        let all: Vec<String> = values.keys().map(tell).collect();
        return digest(all.join("\n").as_bytes());
    }
    let mut text: Vec<String> = differ.iter().take(TOLD_MAX).map(tell).collect();
    if differ.len() > TOLD_MAX {
        text.push(format!("and {} more", differ.len() - TOLD_MAX));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parameters_are_a_digest_and_others_are_named() {
        let side = |value| -> Values<'static> {
            BTreeMap::from([("jit", BTreeSet::from(["on"])), ("work_mem", BTreeSet::from([value]))])
        };
        let none = BTreeSet::new();
        assert_eq!(told(&side("4096"), &none), told(&side("4096"), &none));
        assert!(told(&side("4096"), &none).starts_with("sha256:"));
        let differ = BTreeSet::from(["work_mem"]);
        assert_eq!(told(&side("4096"), &differ), "work_mem = 4096");
        assert_ne!(told(&side("64"), &differ), told(&side("4096"), &differ));
    }
}
