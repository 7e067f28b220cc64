//! What a heading announces, told by its words and not by its level or its number.

use bascule_core::document::Intent;

use super::words::{Word, has_any, words};

/// What stands under a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// The places.
    Zones,
    /// The table of assets.
    Table,
    /// What is said of the assets.
    Descriptions,
    /// A plan, its steps to follow.
    Plan,
    /// What is to be done beforehand.
    PreSteps,
    /// What is to be done when the region is lost.
    Steps,
}

/// A heading that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub section: Section,
    /// Whether a word says so that means nothing else ("steps", not "failover").
    pub sure: bool,
    /// What everything under it asks for: a heading "Failback".
    pub intent: Option<Intent>,
}

/// A heading has few words; a sentence in its place is none.
const MAX_WORDS: usize = 10;

/// What a heading of this text announces; none if that is nothing that is known.
pub(super) fn announced(text: &str) -> Option<Announced> {
    let all = words(text);
    let number = |word: &Word| word.text.starts_with(|c: char| c.is_ascii_digit());
    let start = all.iter().position(|word| !number(word)).unwrap_or(all.len());
    let all = &all[start..];
    if all.is_empty() || all.len() > MAX_WORDS {
        return None;
    }
    let (section, sure) = section(all)?;
    let intent = match section {
        Section::Steps => intent(all),
        Section::Zones | Section::Table | Section::Descriptions | Section::Plan | Section::PreSteps => None,
    };
    Some(Announced { section, sure, intent })
}

fn section(all: &[Word]) -> Option<(Section, bool)> {
    const EARLIER: &[&str] =
        &["failover", "step", "condition", "work", "flight", "disaster", "migration", "check"];
    let earlier = |word: &Word| word.text.strip_prefix("pre").is_some_and(|rest| EARLIER.contains(&rest));
    let before = all[0].is("before") || (all[0].is("pre") && all.len() > 1);
    if before || all.iter().any(earlier) || has_any(all, &["prerequisite", "preparation", "prepare", "prep"])
    {
        return Some((Section::PreSteps, true));
    }
    if has_any(all, &["step", "procedure", "runbook", "playbook", "instruction", "checklist", "action"]) {
        return Some((Section::Steps, true));
    }
    let places = ["zone", "region", "location"];
    let ends = [&all[0], &all[all.len() - 1]];
    if ends.iter().any(|word| word.is_one_of(&places)) && !has_any(all, &["to", "plan", "table"]) {
        return Some((Section::Zones, true));
    }
    if has_any(all, &["table", "inventory", "asset"]) && !has_any(all, &["plan", "description"]) {
        return Some((Section::Table, true));
    }
    if has_any(all, &["plan", "strategy"]) {
        // Below the steps a strategy is a part of them.
        return Some((Section::Plan, has_any(all, &["plan"])));
    }
    if has_any(all, &["description", "detail", "overview"]) {
        return Some((Section::Descriptions, true));
    }
    if has_any(all, &["server", "cluster", "resource", "component", "service", "summary"]) {
        return Some((Section::Table, false));
    }
    if (all[0].is("disaster") && has_any(all, &["recovery"]))
        || (all[0].is("dr") && all.len() <= 3 && !has_any(all, &["site"]))
    {
        return Some((Section::Plan, false));
    }
    const MOVES: &[&str] = &[
        "failover",
        "switchover",
        "cutover",
        "failback",
        "rollback",
        "execution",
        "recovery",
        "verification",
    ];
    let moves = has_any(all, MOVES) || has_any(all, &["verify", "validation", "testing"]);
    moves.then_some((Section::Steps, false))
}

fn intent(all: &[Word]) -> Option<Intent> {
    if has_any(all, &["failback", "rollback"]) {
        return Some(Intent::Failback);
    }
    has_any(all, &["verification", "verify", "validation", "testing"]).then_some(Intent::Verify)
}

/// Headings that are known without any mark that makes a heading of them, as words.
const BARE: &[&str] = &[
    "zone",
    "aws zone",
    "region",
    "aws region",
    "availability zone",
    "description",
    "dr plan",
    "disaster recovery plan",
    "prestep",
    "prerequisite",
    "step",
    "failover step",
    "table",
    "asset",
    "server and cluster",
    "server",
];

/// A line that is a heading although nothing marks it: one of a few phrases alone, or with a colon and what stands under
/// it. Returns the heading and the rest.
pub(super) fn bare(line: &str) -> Option<(&str, &str)> {
    // The longest of the phrases, with room for a typo.
    const LONGEST: usize = 30;
    let (heading, rest) = line.split_once(':').unwrap_or((line, ""));
    if heading.len() > LONGEST {
        return None;
    }
    let all: Vec<String> = words(heading).into_iter().map(|word| word.text).collect();
    BARE.contains(&all.join(" ").as_str()).then(|| (heading.trim(), rest.trim()))
}

/// What a heading such as "Step 2: point the names" says after its number, and whether it says "step"; none if it is
/// another heading.
pub(super) fn numbered(text: &str) -> Option<(bool, &str)> {
    let text = text.trim();
    let lower = text.get(..5).map(str::to_ascii_lowercase).unwrap_or_default();
    let (word, step) = match lower.as_str() {
        "step " => (5, true),
        "phase" | "stage" => (5, false),
        _ => return None,
    };
    let rest = text[word..].trim_start();
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if after.len() == rest.len() {
        return None;
    }
    Some((step, after.trim_start_matches(|c: char| !c.is_alphanumeric())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_told_by_their_words() {
        for (text, expected) in [
            ("AWS Zones", Some(Section::Zones)),
            ("Regions we use", Some(Section::Zones)),
            ("2. Availability zones:", Some(Section::Zones)),
            ("Table 1.1 Summary", Some(Section::Table)),
            ("Servers and Clusters", Some(Section::Table)),
            ("Asset inventory", Some(Section::Table)),
            ("Descriptions", Some(Section::Descriptions)),
            ("Asset descripitons", Some(Section::Descriptions)),
            ("DR Plan", Some(Section::Plan)),
            ("Disaster Recovery Plan", Some(Section::Plan)),
            ("Pre-Steps:", Some(Section::PreSteps)),
            ("Presteps", Some(Section::PreSteps)),
            ("Prerequisites", Some(Section::PreSteps)),
            ("Before the failover", Some(Section::PreSteps)),
            ("Steps:", Some(Section::Steps)),
            ("Failover steps", Some(Section::Steps)),
            ("Failover to the other region", Some(Section::Steps)),
            ("Failback", Some(Section::Steps)),
            ("Infrastructure", None),
            ("Contacts", None),
        ] {
            assert_eq!(announced(text).map(|a| a.section), expected, "{text}");
        }
        assert_eq!(announced("Failback").and_then(|a| a.intent), Some(Intent::Failback));
    }

    #[test]
    fn a_few_phrases_are_headings_without_a_mark() {
        assert_eq!(bare("Pre steps"), Some(("Pre steps", "")));
        assert_eq!(bare("AWS Zones: us-east-2"), Some(("AWS Zones", "us-east-2")));
        assert_eq!(bare("Follow the steps"), None);
        assert_eq!(bare("Note: the steps"), None);
    }

    #[test]
    fn a_numbered_heading_is_a_step() {
        assert_eq!(numbered("Step 2: point the names"), Some((true, "point the names")));
        assert_eq!(numbered("Phase 1 - Preparation"), Some((false, "Preparation")));
        assert_eq!(numbered("Steps"), None);
    }
}
