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
    let differ = differ(&values);
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

/// Those that are not the same everywhere: between the regions, or inside one.
fn differ<'a>(values: &[Option<Values<'a>>; 2]) -> BTreeSet<&'a str> {
    let sides = values.iter().flatten();
    let inside =
        sides.clone().flat_map(|side| side.iter().filter(|(_, all)| all.len() > 1).map(|(name, _)| *name));
    let mut differ: BTreeSet<&str> = inside.collect();
    if let [Some(here), Some(there)] = values {
        let all = here.keys().chain(there.keys()).copied();
        differ.extend(all.filter(|name| here.get(name) != there.get(name)));
    }
    differ
}

/// One digest where all is the same; else each value of what differs.
fn told(values: &Values<'_>, differ: &BTreeSet<&str>) -> BTreeSet<String> {
    let tell = |name: &&str| -> Vec<String> {
        match values.get(*name) {
            Some(all) => all.iter().map(|value| format!("{name} = {value}")).collect(),
            None => vec![format!("{name} is not there")],
        }
    };
    if differ.is_empty() {
        let all: Vec<String> = values.keys().flat_map(tell).collect();
        return BTreeSet::from([digest(all.join("\n").as_bytes())]);
    }
    let mut text: BTreeSet<String> = differ.iter().take(TOLD_MAX).flat_map(tell).collect();
    if differ.len() > TOLD_MAX {
        text.insert(format!("and {} more", differ.len() - TOLD_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(values: &[&'static str]) -> Values<'static> {
        BTreeMap::from([
            ("jit", BTreeSet::from(["on"])),
            ("work_mem", values.iter().copied().collect::<BTreeSet<_>>()),
        ])
    }

    #[test]
    fn equal_parameters_are_a_digest_and_others_are_named() {
        let none = BTreeSet::new();
        assert_eq!(told(&side(&["4096"]), &none), told(&side(&["4096"]), &none));
        assert!(told(&side(&["4096"]), &none).iter().all(|one| one.starts_with("sha256:")));
        let differ = differ(&[Some(side(&["4096"])), Some(side(&["64"]))]);
        assert_eq!(told(&side(&["4096"]), &differ), BTreeSet::from(["work_mem = 4096".to_owned()]));
        assert_ne!(told(&side(&["64"]), &differ), told(&side(&["4096"]), &differ));
    }

    #[test]
    fn members_that_differ_alike_in_both_regions_have_two_values_in_each() {
        let both = || Some(side(&["32MB", "64MB"]));
        let differ = differ(&[both(), both()]);
        assert_eq!(differ, BTreeSet::from(["work_mem"]));
        assert_eq!(told(&side(&["32MB", "64MB"]), &differ).len(), 2);
    }
}
