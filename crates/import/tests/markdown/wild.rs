//! What documents that people filled in hold besides their shape: two rows for two places, wishes, clusters, prompts.

use bascule_core::asset::Protection;
use bascule_core::document::{DrCell, Intent};
use bascule_import::Code;
use bascule_import::markdown::Imported;

use super::{fixture, imported, steps};

fn protections(imported: &Imported) -> Vec<(usize, Option<Protection>)> {
    let meant = |dr: &DrCell| match dr {
        DrCell::Said { protection, .. } => *protection,
        DrCell::Empty => None,
    };
    imported.document.assets.iter().map(|row| (row.line, meant(&row.dr))).collect()
}

fn said(imported: &Imported, code: Code) -> Vec<(usize, &str)> {
    let found = imported.findings.iter().filter(|finding| finding.code == code);
    found.map(|finding| (finding.line, finding.message.as_str())).collect()
}

#[test]
fn where_an_asset_runs_is_no_protection_and_a_second_row_is_its_other_place() {
    let imported = imported(fixture("pairs"));
    let deployed = Some(Protection::Deployed);
    let expected = [
        (8, None),
        (9, deployed),
        (10, None),
        (11, deployed),
        (12, None),
        (13, deployed),
        (14, None),
        (19, None),
        (20, None),
    ];
    assert_eq!(protections(&imported), expected);
    let unclear = said(&imported, Code::DrUnclear);
    assert_eq!(
        unclear.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [12, 14],
        "those without a second row"
    );
    assert!(unclear[0].1.contains("says where it runs"), "{unclear:?}");
    let disagree = said(&imported, Code::RowsDisagree);
    assert_eq!(disagree.len(), 1, "two places may have two protections, and one size: {disagree:?}");
}

#[test]
fn the_templates_words_are_no_answer() {
    let imported = imported(fixture("prompts"));
    let rows = &imported.document.assets;
    assert_eq!((rows[0].purpose.as_str(), rows[0].size.as_deref()), ("", Some("t3.small")));
    assert_eq!((rows[1].size.as_deref(), rows[1].line), (None, 7));
}

#[test]
fn the_region_of_zones_is_told_once_and_by_what_stands_with_it() {
    let mixed = imported(fixture("zones_mixed"));
    let found = said(&mixed, Code::ZoneShape);
    let expected = [
        (5, "`us-west-2a` is a zone of us-west-2, and stands with us-west-1"),
        (6, "`eu-wesst-1` is misspelt: the zones beside it are those of eu-west-1"),
    ];
    assert_eq!(found, expected);
    let headings = imported(fixture("zones_headings"));
    let order: Vec<_> = headings.document.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(
        order,
        ["eu-west-3", "eu-north-1", "eu-south-1"],
        "active, standby, and a third that is neither"
    );
}

#[test]
fn numbers_that_may_agree_contradict_nothing() {
    let imported = imported(fixture("clusters"));
    let found = said(&imported, Code::NumbersDisagree);
    assert_eq!(found, [(21, "the text says 7 instances; the table says 6 (line 11)")]);
}

#[test]
fn steps_in_a_table_or_a_fence_keep_their_order() {
    let imported = imported(fixture("steps_odd"));
    let first = |at: usize| imported.document.plans[at].steps.iter().flat_map(|step| step.intents.clone());
    assert_eq!(first(0).collect::<Vec<_>>(), [Intent::PromoteDatabase, Intent::MoveNames]);
    assert_eq!(first(1).collect::<Vec<_>>(), [Intent::MoveNames, Intent::PromoteDatabase]);
    assert!(imported.document.assets.is_empty(), "a table of steps lists no assets");
    assert_eq!(steps(&imported.document)[2].text, "Build the network", "its number is no part of it");
}
