//! What a cell of the DR column means.

use bascule_core::asset::Protection;
use bascule_core::document::DrCell;

use super::quantity::is_nothing;
use super::region::region_of;
use super::template;
use super::words::{Word, words};

/// Read a cell. Words of two meanings, or of none that is known, give no protection.
pub(super) fn read(cell: &str) -> DrCell {
    if is_nothing(cell) || template::is_dr_question(cell) {
        return DrCell::Empty;
    }
    DrCell::Said { text: cell.trim().to_owned(), protection: meaning(cell) }
}

/// What the words mean, if they mean one thing.
pub(super) fn meaning(cell: &str) -> Option<Protection> {
    let all = words(cell);
    let mut meanings: Vec<Protection> = Vec::new();
    for at in 0..all.len() {
        let Some(meaning) = meaning_at(&all, at) else { continue };
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
    match meanings.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

fn meaning_at(all: &[Word], at: usize) -> Option<Protection> {
    let word = &all[at];
    let next = |texts: &[&str]| all.get(at + 1).is_some_and(|next| next.is_one_of(texts));
    const REPLICATED: &[&str] =
        &["replica", "replicated", "replication", "crr", "grs", "gzrs", "georedundant"];
    if word.is_verb("replicate") || word.is_one_of(REPLICATED) {
        return Some(Protection::Replicated);
    }
    if word.is_verb("deploy")
        || word.is_one_of(&["deployed", "standby", "activeactive", "multiregion"])
        || (word.is_one_of(&["both", "multiple", "two", "each", "per", "every"])
            && next(&["region", "location", "zone"]))
        || is_second_region(all, at)
    {
        return Some(Protection::Deployed);
    }
    if word.is_verb("copy") || word.is_one_of(&["copied", "backup", "snapshot", "cop"]) {
        return Some(Protection::Copied);
    }
    if (word.is_verb("store") && next(&["elsewhere", "outside", "offsite"])) || word.is("offsite") {
        return Some(Protection::StoredElsewhere);
    }
    if word.is_one_of(&[
        "rebuilt",
        "recreated",
        "rebuild",
        "recreate",
        "redeployed",
        "redeploy",
        "terraform",
        "iac",
    ]) {
        return Some(Protection::RebuiltOnDemand);
    }
    // A second availability zone is in the same region.
    if (word.is("multi") && next(&["az"])) || word.is("multiaz") {
        return Some(Protection::OneRegionOnly);
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
    if (word.is_one_of(&["one", "single"]) && next(&["region", "zone", "location"]))
        || word.is("singleregion")
    {
        return Some(Protection::OneRegionOnly);
    }
    word.is("unknown").then_some(Protection::Unknown)
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
        ] {
            assert_eq!(meaning(cell), expected, "{cell}");
        }
        for word in Protection::ALL {
            assert_eq!(meaning(word.as_str()), Some(*word), "the vocabulary's own word");
        }
    }
}
