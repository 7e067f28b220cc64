//! Whom the databases of both regions let in: their `pg_hba.conf`, which both have alike, since either's members must let
//! the other's in. One digest where all members agree, and what is not everywhere where they do not.

use std::collections::{BTreeMap, BTreeSet};

use bascule_core::facts::{Fact, Region};

use crate::member::{Answered, Rule, nobody};
use crate::network::digest;
use crate::{at, now};

/// Rules that are told of a member; the check itself is about all of them.
const TOLD_MAX: usize = 8;
/// Characters told of a digest beside rules: it only has to differ where the order does.
const DIGEST_MAX: usize = "sha256:".len() + 12;

/// Put the rules into both regions' facts. A member that did not answer may differ.
pub(crate) fn tell(home: &mut Region, away: &mut Region, members: [&Vec<Answered>; 2]) {
    let everywhere = everywhere(members);
    for (region, members) in [home, away].into_iter().zip(members) {
        let seen = || members.iter().filter_map(|m| m.rules.as_ref().ok());
        let distinct: BTreeMap<String, &Vec<Rule>> = seen().map(|rules| (whole(rules), rules)).collect();
        region.network.rules = if distinct.is_empty() || distinct.len() < 2 && seen().count() < members.len()
        {
            nobody(members, |m| m.rules.as_ref().err())
        } else {
            let asked: Vec<String> = members.iter().map(|m| m.at.to_string()).collect();
            let told = distinct.iter().map(|(digest, rules)| told(digest, rules, everywhere.as_ref()));
            Fact::seen(told.collect(), now(), at(format!("pg_hba_file_rules at {}", asked.join(", "))))
        };
    }
}

/// The rules that every member has; none if all that was seen is the same, order included.
fn everywhere(members: [&Vec<Answered>; 2]) -> Option<BTreeSet<&Rule>> {
    let all: Vec<&Vec<Rule>> = members.into_iter().flatten().filter_map(|m| m.rules.as_ref().ok()).collect();
    let first: &Vec<Rule> = all.first()?;
    if all.iter().all(|rules| *rules == first) {
        return None;
    }
    Some(first.iter().filter(|rule| all.iter().all(|rules| rules.contains(rule))).collect())
}

fn whole(rules: &[Rule]) -> String {
    let lines: Vec<&str> = rules.iter().map(|rule| rule.whole.as_str()).collect();
    digest(lines.join("\n").as_bytes())
}

/// A member's rules. What is not shown (options, the order) still makes two of them differ.
fn told(digest: &str, rules: &[Rule], everywhere: Option<&BTreeSet<&Rule>>) -> String {
    let Some(everywhere) = everywhere else { return digest.to_owned() };
    let own: Vec<&str> =
        rules.iter().filter(|rule| !everywhere.contains(rule)).map(|rule| rule.shown.as_str()).collect();
    let mut text = match own.as_slice() {
        [] => "no rule that is not everywhere".to_owned(),
        own => own.iter().take(TOLD_MAX).copied().collect::<Vec<_>>().join("; "),
    };
    if own.len() > TOLD_MAX {
        text += &format!("; and {} more", own.len() - TOLD_MAX);
    }
    format!("{text} ({})", &digest[..DIGEST_MAX.min(digest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::silent;

    fn member(rules: &[(&str, &str)]) -> Answered {
        let rule =
            |(whole, shown): &(&str, &str)| Rule { whole: (*whole).to_owned(), shown: (*shown).to_owned() };
        Answered {
            rules: Ok(rules.iter().map(rule).collect()),
            ..silent(&"east-db1".parse().expect("a name"), "10.77.1.11:5432".parse().expect("one"), "x")
        }
    }

    fn tell(members: [&Vec<Answered>; 2]) -> [Vec<String>; 2] {
        let everywhere = everywhere(members);
        members.map(|members| {
            let rules = members.iter().filter_map(|m| m.rules.as_ref().ok());
            rules.map(|rules| told(&whole(rules), rules, everywhere.as_ref())).collect()
        })
    }

    #[test]
    fn rules_that_are_the_same_are_a_digest_and_others_are_shown_without_their_options() {
        let (local, ldap) = (("local all", "local all"), ("host all ldap pw=hunter2", "host all ldap"));
        let [east, west] = tell([&vec![member(&[local, ldap])], &vec![member(&[local, ldap])]]);
        assert!(east == west && east[0].starts_with("sha256:"), "{east:?}");
        let [east, west] = tell([&vec![member(&[local, ldap])], &vec![member(&[local])]]);
        assert!(east[0].starts_with("host all ldap (sha256:") && !east[0].contains("hunter2"), "{east:?}");
        assert!(west[0].starts_with("no rule that is not everywhere (sha256:"), "{west:?}");
        let [east, west] = tell([&vec![member(&[local, ldap])], &vec![member(&[ldap, local])]]);
        assert_ne!(east, west, "the first that fits counts");
    }
}
