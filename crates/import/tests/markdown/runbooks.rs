//! Documents as people keep them: wide tables, commands under steps, a title above it all, a third place.

use bascule_core::asset::{AssetKind, Protection, Quantity};
use bascule_core::document::{DrCell, Intent};
use bascule_import::markdown::Objective;

use super::{findings, fixture, imported, steps};

#[test]
fn of_a_wide_table_the_column_called_asset_names_the_asset() {
    let imported = imported(fixture("wide"));
    let names: Vec<_> = imported.document.assets.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["EC2 instances", "Aurora PostgreSQL", "ALB", "RDS for reports"]);
    assert_eq!(
        imported.objectives.rpo,
        Objective::Set { ms: 60_000, line: 11 },
        "the strictest of the column"
    );
    assert_eq!(imported.objectives.rto, Objective::Set { ms: 1_800_000, line: 11 });
    let reports = &imported.document.assets[3].dr;
    let one_region = matches!(reports, DrCell::Said { protection: Some(Protection::OneRegionOnly), .. });
    assert!(one_region, "several zones are one region: {reports:?}");
}

#[test]
fn commands_under_a_step_say_what_it_does() {
    let imported = imported(fixture("steps_code"));
    let intents: Vec<_> = steps(&imported.document).iter().map(|step| step.intents.clone()).collect();
    assert_eq!(intents, [vec![Intent::PromoteDatabase], vec![Intent::MoveNames], vec![Intent::Verify]]);
    assert_eq!(steps(&imported.document)[0].zones, ["us-west-2"]);
    let said: Vec<_> = findings(&imported).into_iter().filter(|f| f.starts_with("I018")).collect();
    assert_eq!(said, ["I018 21", "I018 25"], "a row in code and code below no step are not read");
}

#[test]
fn below_a_title_each_heading_begins_a_section_of_its_own() {
    let imported = imported(fixture("titled"));
    let zones: Vec<_> = imported.document.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(zones, ["us-east-1", "us-west-2"], "neither the provider nor the witness");
    assert_eq!(imported.objectives.rto, Objective::Set { ms: 600_000, line: 10 });
    let all = steps(&imported.document);
    let owners: Vec<_> = all.iter().filter_map(|step| step.owner.as_deref()).collect();
    assert_eq!((all.len(), owners.len()), (7, 7), "the owner above answers for all steps");
    let intents: Vec<_> = all.iter().flat_map(|step| step.intents.clone()).collect();
    let scale = Intent::Scale { kind: AssetKind::Database, to: Quantity::PerRegion(3) };
    let deploy = Intent::Deploy { kind: Some(AssetKind::LoadBalancer) };
    let moves = [Intent::Fence, Intent::PromoteDatabase, Intent::MoveNames, Intent::Verify, Intent::Failback];
    assert_eq!(intents, [&[scale, deploy][..], &moves].concat());
}

#[test]
fn pointing_a_host_name_moves_names() {
    let imported = imported(fixture("three_zones"));
    let intents: Vec<_> = steps(&imported.document).iter().map(|step| step.intents.clone()).collect();
    assert_eq!(intents, [vec![Intent::PromoteDatabase], vec![Intent::MoveNames]]);
}
