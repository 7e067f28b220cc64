//! What the template itself says: its sample row, its question in the DR column, its instructions.
//!
//! Told by a few words that stand together nowhere else, because people shorten and mend the sentences.

use super::words::{Word, has_all, words};

/// Words that mark a sentence as one of the template's instructions.
const INSTRUCTIONS: &[&[&str]] = &[
    &["identify", "your", "zone"],
    &["identify", "your", "region"],
    &["more", "detailed", "description", "identified"],
    &["list", "step", "you", "would"],
    &["doesnt", "detailed", "suffice"],
    &["doesnt", "super", "detailed"],
    &["wont", "actually", "perform"],
    &["think", "about", "all", "piece"],
];

/// Whether a cell holds the template's question of how an asset is protected.
pub(super) fn is_dr_question(cell: &str) -> bool {
    has_all(&words(cell), &["identify", "asset", "deployed"])
}

/// Whether a sentence is one of the template's instructions.
pub(super) fn is_instruction(sentence: &[Word]) -> bool {
    INSTRUCTIONS.iter().any(|marks| has_all(sentence, marks))
}

/// Whether a row is the template's sample: at least two of its cells are the template's words.
pub(super) fn is_sample_row(cells: &[String]) -> bool {
    let marks: &[&[&str]] = &[
        &["asset", "name"],
        &["brief", "description"],
        &["aws", "size", "eg"],
        &["size", "applicable"],
        &["number", "replica"],
        &["how", "many", "particular", "asset"],
    ];
    let all: Vec<Vec<Word>> = cells.iter().take(8).map(|cell| words(cell)).collect();
    let found = all.iter().filter(|cell| marks.iter().any(|mark| has_all(cell, mark)));
    found.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_row_is_told_from_an_asset() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        assert!(is_sample_row(&row(&[
            "Asset name",
            "Brief description",
            "AWS size eg. x",
            "Number of replicas",
            ""
        ])));
        assert!(is_sample_row(&row(&["Asset name", "Brief description"])));
        assert!(!is_sample_row(&row(&["EC2 instance", "Brief description of the app", "t3.micro", "2"])));
    }
}
