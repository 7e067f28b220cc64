//! What a cell of the DR column means.

use bascule_core::asset::Protection;
use bascule_core::document::DrCell;

use super::quantity::{is_nothing, number};
use super::region::region_of;
use super::template;
use super::words::{Word, has_any, words};

/// Read a cell, in a document of this first zone. Words of two meanings, or of none that is known, give no protection.
pub(super) fn read(cell: &str, home: Option<&str>) -> DrCell {
    if is_nothing(cell) || template::is_dr_question(cell) {
        return DrCell::Empty;
    }
    let protection = if is_only_home(cell, home) { None } else { meaning(cell) };
    DrCell::Said { text: cell.trim().to_owned(), protection }
}

/// Words for the region that is lost, and for where it is not.
const HOME: &[&str] = &["primary", "main", "active", "working", "home"];
const ELSEWHERE: &[&str] = &[
    "dr",
    "disaster",
    "secondary",
    "standby",
    "passive",
    "other",
    "another",
    "both",
    "each",
    "every",
    "per",
    "multiple",
    "two",
    "2",
    "second",
    "2nd",
    "replica",
    "replicated",
    "zone2",
];

/// Whether a cell says where an asset runs, and only that it is the region that is lost: "deployed in the main site".
pub(super) fn is_only_home(cell: &str, home: Option<&str>) -> bool {
    let all = words(cell);
    let mut places = all.iter().filter_map(|word| region_of(&word.text)).peekable();
    let here = match (places.peek().is_some(), home) {
        (true, Some(home)) => places.all(|place| place == home),
        (true, None) => false,
        (false, _) => has_any(&all, HOME),
    };
    here && !has_any(&all, ELSEWHERE)
        && matches!(meaning(cell), None | Some(Protection::Deployed))
        && all.iter().any(is_made)
}

/// What the words mean, if they mean one thing.
pub(super) fn meaning(cell: &str) -> Option<Protection> {
    let all = words(cell);
    let mut meanings: Vec<Protection> = Vec::new();
    for at in 0..all.len() {
        let Some(meaning) = meaning_at(&all, at) else { continue };
        // "Needs to be deployed to another region" says what is to be.
        let has_to = all[..at].windows(2).any(|pair| pair[0].is_one_of(&["has", "have"]) && pair[1].is("to"));
        if has_to || all[..at].iter().any(is_wish) {
            continue;
        }
        let from = at.saturating_sub(3);
        let denied = all[from..at].iter().any(|w| w.is_one_of(&["not", "no", "never", "without", "isnt"]));
        let meaning = if denied { Protection::OneRegionOnly } else { meaning };
        if !meanings.contains(&meaning) {
            meanings.push(meaning);
        }
    }
    if meanings.is_empty() && all.first().is_some_and(|w| w.is_one_of(&["no", "none", "not"])) {
        return Some(Protection::OneRegionOnly);
    }
    // A second availability zone is in the same region, and says nothing against another one.
    let zones = (0..all.len()).any(|at| is_zones(&all, at));
    let elsewhere = has_any(&all, ELSEWHERE_BUT_ZONES) || (0..all.len()).any(|at| is_second_region(&all, at));
    match meanings.as_slice() {
        [] if zones && !elsewhere && !all.iter().any(is_wish) => Some(Protection::OneRegionOnly),
        [Protection::Deployed | Protection::Replicated] if zones && !elsewhere && !names_regions(&all) => {
            Some(Protection::OneRegionOnly)
        }
        [one] => Some(*one),
        // What stands there and follows: the second says more.
        [Protection::Deployed, Protection::Replicated] | [Protection::Replicated, Protection::Deployed] => {
            Some(Protection::Replicated)
        }
        _ => None,
    }
}

/// Words for somewhere else that do not go with zones of one region as well ("each zone").
const ELSEWHERE_BUT_ZONES: &[&str] = &[
    "dr",
    "disaster",
    "secondary",
    "standby",
    "passive",
    "other",
    "another",
    "region",
    "site",
    "location",
    "zone2",
];

fn names_regions(all: &[Word]) -> bool {
    all.iter().any(|word| region_of(&word.text).is_some())
}

fn is_wish(word: &Word) -> bool {
    word.is_one_of_verbs(&["need", "require", "want"])
        || word.is_one_of(&["should", "must", "can", "could", "may", "might", "ideally", "would"])
}

fn is_made(word: &Word) -> bool {
    word.is_one_of_verbs(&["deploy", "create", "implement", "provision", "run", "install", "host"])
        || word.is_one_of(&["deployed", "setup", "available", "located"])
}

/// Whether zones of one region begin here: "multi AZ", "both AZs", "multiple availability zones".
fn is_zones(all: &[Word], at: usize) -> bool {
    const SEVERAL: &[&str] =
        &["multi", "multiple", "both", "two", "different", "all", "several", "each", "every", "2", "3"];
    let zone = all[at].is("az")
        || (all[at].is("zone")
            && at.checked_sub(1).is_some_and(|before| all[before].text.starts_with("avail")));
    all[at].is("multiaz") || (zone && has_any(&all[at.saturating_sub(3)..at], SEVERAL))
}

fn meaning_at(all: &[Word], at: usize) -> Option<Protection> {
    let word = &all[at];
    let next = |texts: &[&str]| all.get(at + 1).is_some_and(|next| next.is_one_of(texts));
    let near = |texts: &[&str]| has_any(&all[(at + 1).min(all.len())..(at + 4).min(all.len())], texts);
    const REPLICATED: &[&str] =
        &["replica", "replicated", "replicating", "replication", "crr", "grs", "gzrs", "georedundant"];
    const SEVERAL: &[&str] = &["both", "multiple", "two", "each", "per", "every", "different", "2"];
    let places = &["region", "location", "zone"];
    if word.is_verb("replicate") || word.is_one_of(REPLICATED) {
        return Some(Protection::Replicated);
    }
    let in_dr = word.is("dr") && at >= 2 && all[at - 1].is_one_of(&["in", "to"]);
    match number(&all[at.saturating_sub(2)]).flatten() {
        Some(0) if in_dr => return Some(Protection::OneRegionOnly),
        Some(_) if in_dr => return Some(Protection::Deployed),
        _ => {}
    }
    let several = word.is_one_of(SEVERAL) && (next(places) || (near(&["region"]) && !near(&["az"])));
    let made = is_made(word) && (word.is_verb("deploy") || is_elsewhere(&all[at + 1..]));
    if made
        || word.is_one_of(&["deployed", "standby", "activeactive", "multiregion"])
        || several
        || is_second_region(all, at)
    {
        return Some(Protection::Deployed);
    }
    if word.is_verb("copy") || word.is_one_of(&["copied", "backup", "snapshot", "cop"]) {
        return Some(Protection::Copied);
    }
    let away = &["elsewhere", "outside", "offsite", "another", "different", "separate", "seperate", "other"];
    if (word.is_one_of_verbs(&["store", "keep"]) && near(away)) || word.is("offsite") {
        return Some(Protection::StoredElsewhere);
    }
    if word.is_one_of(&["rebuilt", "recreated", "rebuild", "recreate", "redeployed", "redeploy"]) {
        return Some(Protection::RebuiltOnDemand);
    }
    // "By Terraform", and not "holds Terraform's state".
    let by = at.checked_sub(1).is_none_or(|_| {
        has_any(&all[at.saturating_sub(2)..at], &["by", "with", "via", "using", "from", "through"])
    });
    if word.is_one_of(&["terraform", "iac"]) && (by && all.len() <= 8) {
        return Some(Protection::RebuiltOnDemand);
    }
    if (word.is_one_of(&["provider", "aws", "azure", "microsoft", "google", "vendor"])
        && next(&["managed", "run"]))
        || (word.is("managed") && next(&["by", "service"]))
        || word.is("saas")
        || (word.is("global") && next(&["service"]))
    {
        return Some(Protection::ProviderManaged);
    }
    // "us-east-2 only", "only in us-east-2".
    let near = &all[at.saturating_sub(3)..(at + 4).min(all.len())];
    if word.is("only") && near.iter().any(|word| region_of(&word.text).is_some()) {
        return Some(Protection::OneRegionOnly);
    }
    if (word.is_one_of(&["one", "single", "1"])
        && next(&["region", "zone", "location"])
        && !at
            .checked_sub(1)
            .is_some_and(|before| all[before].is_one_of(&["in", "on"]) && has_any(all, &["each", "per"])))
        || word.is("singleregion")
    {
        return Some(Protection::OneRegionOnly);
    }
    word.is("unknown").then_some(Protection::Unknown)
}

/// Whether the words after a verb say that it is done somewhere else too.
fn is_elsewhere(after: &[Word]) -> bool {
    let near = &after[..after.len().min(6)];
    let near = &near[..near.iter().position(|word| word.is_one_of(&["no", "not"])).unwrap_or(near.len())];
    names_regions(near) || has_any(near, &["dr", "secondary", "standby", "passive", "other", "another"])
}

/// Whether the word names a region, and another one was named before it: what is in two regions is deployed.
fn is_second_region(all: &[Word], at: usize) -> bool {
    let Some(here) = region_of(&all[at].text) else { return false };
    all[..at]
        .iter()
        .rev()
        .filter_map(|word| region_of(&word.text))
        .next()
        .is_some_and(|before| before != here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_means_one_thing_or_nothing_that_is_known() {
        for (cell, expected) in [
            ("Deployed", Some(Protection::Deployed)),
            ("runs in both regions", Some(Protection::Deployed)),
            ("2 per region", Some(Protection::Deployed)),
            ("3 in us-east-2, 3 in us-west-1", Some(Protection::Deployed)),
            ("replicated from us-east-2 to us-east-2", Some(Protection::Replicated)),
            ("Replicated to us-west-1", Some(Protection::Replicated)),
            ("not replicated", Some(Protection::OneRegionOnly)),
            ("No", Some(Protection::OneRegionOnly)),
            ("us-east-2 only", Some(Protection::OneRegionOnly)),
            ("daily snapshots", Some(Protection::Copied)),
            ("stored elsewhere", Some(Protection::StoredElsewhere)),
            ("Rebuilt on demand", Some(Protection::RebuiltOnDemand)),
            ("provider managed", Some(Protection::ProviderManaged)),
            ("one region only", Some(Protection::OneRegionOnly)),
            ("replicated, and copied weekly", None),
            ("yes", None),
            ("Deployed in us-east-2 and replicated to us-west-1", Some(Protection::Replicated)),
            ("Multi-AZ, primary and secondary in two different regions", Some(Protection::Deployed)),
            ("Deployed in both AZs", Some(Protection::OneRegionOnly)),
            ("Spread over several availability zones", Some(Protection::OneRegionOnly)),
            ("deployed in every availability zone of two regions", Some(Protection::Deployed)),
            ("In one region. Needs to be deployed to another region", Some(Protection::OneRegionOnly)),
            ("Required for both regions", None),
            ("could be deployed in another region", None),
            ("Created in us-west-1", Some(Protection::Deployed)),
            ("Created in 2 regions", Some(Protection::Deployed)),
            ("2 in DR", Some(Protection::Deployed)),
            ("0 in DR, each bucket holds Terraform's state", Some(Protection::OneRegionOnly)),
            ("holds the Terraform state", None),
            ("built again with Terraform", Some(Protection::RebuiltOnDemand)),
            ("stored in a separate region", Some(Protection::StoredElsewhere)),
        ] {
            assert_eq!(meaning(cell), expected, "{cell}");
        }
        let only_home = |cell| is_only_home(cell, Some("us-east-2"));
        for cell in ["Deployed in us-east-2", "Created in us-east-2", "Deploy to main site"] {
            assert!(only_home(cell), "{cell}");
        }
        for cell in [
            "Deployed in us-west-1",
            "Deployed to DR",
            "Replicated from us-east-2",
            "us-east-2 only",
            "Deployed",
        ] {
            assert!(!only_home(cell), "{cell}");
        }
        for word in Protection::ALL {
            assert_eq!(meaning(word.as_str()), Some(*word), "the vocabulary's own word");
        }
    }
}
