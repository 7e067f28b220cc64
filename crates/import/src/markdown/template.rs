//! What the template itself says: its sample row, its question in the DR column, its instructions.
//!
//! Told by a few words that stand together nowhere else, because people shorten and mend the sentences.

use super::words::{Word, has, has_all, words};

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

/// What the template's sample row says below Purpose, Size and Qty.
const PROMPTS: &[&[&str]] = &[
    &["brief", "description"],
    &["aws", "size", "eg"],
    &["size", "applicable"],
    &["number", "replica"],
    &["how", "many", "particular", "asset"],
];

/// Whether a cell was left as the template has it.
pub(super) fn is_prompt(cell: &str) -> bool {
    let all = words(cell);
    // What was written before the rest of the template's words is an answer: "t3.micro (if applicable, …)".
    let answered = cell
        .split_once("(if")
        .is_some_and(|(before, _)| !before.trim().is_empty() && !has(&words(before), "eg"));
    is_dr_question(cell) || (!answered && PROMPTS.iter().any(|mark| has_all(&all, mark)))
}

/// A cell without the template's words, if something was written before them.
pub(super) fn answer(cell: &str) -> &str {
    match cell.split_once("(if applicable") {
        Some((before, _)) if !before.trim().is_empty() => before.trim(),
        _ => cell,
    }
}

/// What a row has of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing, or what only asks for something in one of its cells.
    Some,
    /// It is the sample row.
    All,
    /// Only its name was filled in.
    AllButName,
}

/// How much of a row is the template's sample.
pub(super) fn left(cells: &[String]) -> Left {
    // The template's columns, and some that people add.
    const CELLS: usize = 8;
    let said = |cell: &&String| cell.contains(char::is_alphanumeric);
    let named = cells.iter().find(said).is_some_and(|cell| is_name(cell));
    let rest = || cells.iter().filter(said).skip(1).take(CELLS);
    let prompts = rest().filter(|cell| is_prompt(cell)).count();
    match (named, rest().count()) {
        (true, 0) => Left::All,
        (true, _) if prompts > 0 => Left::All,
        (false, count) if prompts == count && prompts >= 3 => Left::AllButName,
        _ => Left::Some,
    }
}

/// Whether a row is the end of a sample row that was broken in two.
pub(super) fn is_tail(cells: &[String]) -> bool {
    let text = cells.first().filter(|_| cells.iter().skip(1).all(String::is_empty));
    text.is_some_and(|text| {
        has_all(&words(text), &["deployed", "replicated", "multiple", "stored", "elsewhere"])
    })
}

fn is_name(cell: &str) -> bool {
    let all = words(cell);
    all.len() <= 3 && has_all(&all, &["asset", "name"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_row_is_told_from_an_asset() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let question = "Identify if this asset is deployed to DR";
        for (cells, expected) in [
            (
                row(&["Asset name", "Brief description", "AWS size eg. x", "Number of replicas", ""]),
                Left::All,
            ),
            (row(&["", "Asset name", "Brief description"]), Left::All),
            (row(&["Asset name"]), Left::All),
            (row(&["EC2 instance", "Brief description of the app", "t3.micro", "2"]), Left::Some),
            (row(&["EC2 instance", "Brief description", "AWS size eg. x", "2", question]), Left::Some),
            (
                row(&["EC2 instance", "Brief description", "AWS size eg. x", "Number of replicas", question]),
                Left::AllButName,
            ),
            (row(&["EC2 instance", "Runs the app", "t3.micro", "2", question]), Left::Some),
        ] {
            assert_eq!(left(&cells), expected, "{cells:?}");
        }
        assert_eq!(answer("t3.nano(if applicable, not all)"), "t3.nano");
        assert!(is_prompt("AWS size eg. t3.micro (if applicable, not all assets will have a size)"));
        assert!(!is_prompt("t3.nano (if applicable, not all assets will have a size)"));
    }
}
