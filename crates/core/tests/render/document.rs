//! The document: its shape, its cells, and whether a committed one still matches.

use std::path::Path;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::Intent;
use bascule_core::facts::{Fact, Facts};
use bascule_core::planner::{Code, Finding};
use bascule_core::render::{Difference, LookedBack, document_markdown, document_matches, picture_svg};
use bascule_core::time::Timestamp;

use crate::sheet::Parts;
use crate::site::{self, NOW, at, backups, instances, orders, seen, sound, step, unseen};
use crate::xml::elements;

fn markdown(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = sound();
    change(&mut facts);
    Parts::of(facts).markdown()
}

/// A site with one gap, one thing not observed, and pre-steps of which one is done.
fn gaps(facts: &mut Facts) {
    backups(&mut facts.home).replication = seen(None);
    facts.away.clock_skew = unseen();
    site::plan(facts).pre_steps = vec![
        step(12, "Three nodes for the database", &[scale(AssetKind::Database, 3)], &[]),
        step(13, "Five instances of the app", &[scale(AssetKind::Compute, 5)], &[]),
    ];
}

fn scale(kind: AssetKind, to: u32) -> Intent {
    Intent::Scale { kind, to: Quantity::Total(to) }
}

#[test]
fn the_document_is_as_it_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/document.md");
    let fresh = markdown(gaps);
    if std::env::var_os("BASCULE_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &fresh).expect("the folder is there");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, fresh, "if the change is meant, run this with BASCULE_WRITE_GOLDEN=1");
    assert!(golden.lines().count() < 150);
}

#[test]
fn the_headings_are_the_ones_that_teams_use() {
    let text = markdown(|_| {});
    let headings: Vec<&str> = text.lines().filter(|l| l.starts_with('#')).collect();
    let wanted = [
        "# Infrastructure",
        "## AWS Zones",
        "## Servers and Clusters",
        "### Table 1.1 Summary",
        "### Descriptions",
        "## DR Plan",
        "### Pre-Steps",
        "## Steps",
        "## Failback",
        "## Switchover Plan",
        "### Steps",
    ];
    assert_eq!(headings, wanted);
}

#[test]
fn every_row_has_five_cells_and_none_is_empty() {
    let text = markdown(|facts| {
        let group = site::group("x");
        at(&mut facts.home.compute).insert("a|b\n# <script> [x](javascript:y)".to_owned(), group);
    });
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
    assert_eq!(rows.len(), 2 + 10, "head, rule, one row an asset");
    for row in rows {
        let cells = row.replace("\\|", "").matches('|').count() - 1;
        assert_eq!(cells, 5, "{row}");
        assert!(!row.contains("|  |") && !row.contains("<script>"), "{row}");
    }
}

#[test]
fn pre_steps_are_only_what_is_not_done() {
    let text = markdown(|_| {});
    assert!(text.contains("### Pre-Steps\n\nNothing is left to do.\n"), "{text}");
    let text = markdown(gaps);
    let open: Vec<&str> = text.lines().filter(|l| l.starts_with("- [ ]")).collect();
    assert_eq!(open.len(), 4, "{open:?}");
    assert_eq!(open[0], "- [ ] Five instances of the app");
    assert!(open[1].contains("BSC-C040") && open[3].contains("find out whether clocks agree (BSC-C050)"));
}

#[test]
fn a_written_document_that_is_read_again_adds_nothing() {
    let first = markdown(gaps);
    let second = markdown(|facts| {
        gaps(facts);
        let open = first.lines().filter_map(|line| line.strip_prefix("- [ ] "));
        let again: Vec<&str> =
            open.filter(|text| text.contains("BSC-C")).chain(["Nothing is left to do."]).collect();
        assert_eq!(again.len(), 4);
        let steps = again.iter().map(|text| step(30, text, &[Intent::Deploy { kind: None }], &[]));
        site::plan(facts).pre_steps.extend(steps);
    });
    assert_eq!(document_matches(&first, &second), []);
}

#[test]
fn a_pre_step_is_done_where_it_says_and_by_what_is_well() {
    let three = |zones: &[&str], change: fn(&mut Facts)| {
        let text = markdown(|facts| {
            let wanted = scale(AssetKind::Compute, 3);
            site::plan(facts).pre_steps = vec![step(12, "Three instances", &[wanted], zones)];
            change(facts);
        });
        text.contains("- [ ] Three instances")
    };
    assert!(!three(&[], |_| {}));
    let empty = |facts: &mut Facts| site::instances(&mut facts.away).clear();
    assert!(three(&[], empty) && three(&[site::AWAY], empty), "there are none over there");
    assert!(!three(&[site::HOME], empty));
    assert!(three(&[], |facts| site::instances(&mut facts.away)[0].alive = site::seen(false)));
}

#[test]
fn a_tick_is_no_proof_of_what_can_be_looked_at() {
    let text = markdown(|facts| {
        let mut ticked = step(12, "Five instances", &[scale(AssetKind::Compute, 5)], &[]);
        ticked.done = Some(true);
        let mut told = step(13, "Tell the on-call team", &[Intent::Notify], &[]);
        told.done = Some(true);
        site::plan(facts).pre_steps = vec![ticked, told];
    });
    assert!(text.contains("- [ ] Five instances"), "{text}");
    assert!(!text.contains("Tell the on-call team"), "what can't be looked at is believed");
}

#[test]
fn steps_come_from_the_plan_with_their_times_and_owner() {
    let text = markdown(|_| {});
    let promote = "2. Promote the database of south-1. Owner: on-call. \
                   At most: 15 s. Predicted: 900 ms. Last measured: 1.2 s.";
    assert!(text.contains(promote), "{text}");
    assert!(text.contains("At most: 20 s. Predicted: unknown. Last measured: never."), "{text}");
    assert!(text.contains("- Last rehearsal: 2026-09-20T"), "{text}");
    let parts = Parts::of(sound());
    let mut sheet = parts.sheet();
    sheet.failover = Err("the tenure was not observed");
    sheet.rehearsal = None;
    let text = document_markdown(&sheet);
    assert!(
        text.contains("No plan can be made: the tenure was not observed")
            && text.contains("rehearsal: never")
    );
    sheet.looked_back = LookedBack { timings: Some(20), moves: Some(200) };
    let text = document_markdown(&sheet);
    assert!(text.contains("rehearsal: not in the last 200 operations"), "{text}");
    assert!(text.contains("Last measured: not in the last 20 operations."), "{text}");
}

#[test]
fn a_plan_says_how_it_is_run_and_what_the_planner_warns_of() {
    let mut parts = Parts::of(sound());
    let quiet = parts.markdown();
    parts.warnings.push(Finding {
        code: Code::NotFenced,
        subject: "north-1".to_owned(),
        message: "its gate can't be reached".to_owned(),
        remedy: "be sure that it is down".to_owned(),
    });
    let text = parts.markdown();
    let warned = "- Warned: BSC-P018 north-1: its gate can't be reached; be sure that it is down\n";
    let run = "- Plan: failover from north-1 to south-1: bascule failover --to south-1\n";
    assert!(text.contains(warned) && text.contains(run), "{text}");
    assert_eq!(document_matches(&quiet, &text), [], "a warning may come and go by itself");
    assert!(parts.html().contains("Warned: BSC-P018"));
}

#[test]
fn a_document_matches_itself_on_another_day() {
    let parts = Parts::of(sound());
    let committed = parts.markdown();
    let mut later = Parts::of(sound());
    later.at = Timestamp(NOW.0 + 86_400_000);
    later.failover.prediction.write_pause_ms = Some(2_000);
    later.timings.clear();
    let fresh = later.markdown();
    assert_ne!(committed, fresh);
    assert_eq!(document_matches(&committed, &fresh), []);
    let windows = format!("\u{feff}{}", committed.replace("| --- |", "|---|").replace('\n', "  \r\n"));
    assert_eq!(document_matches(&windows, &fresh), [], "white space says nothing");
}

#[test]
fn a_document_still_matches_while_something_is_unwell_for_a_minute() {
    let committed = markdown(gaps);
    for change in [
        (|f: &mut Facts| instances(&mut f.away)[0].alive = seen(false)) as fn(&mut Facts),
        |f| orders(&mut f.away).lag_ms = seen(3_600_000),
        |f| f.home.clock_skew = unseen(),
    ] {
        let fresh = markdown(|facts| {
            gaps(facts);
            change(facts);
        });
        assert_ne!(committed, fresh, "the change is one that is seen");
        assert_eq!(document_matches(&committed, &fresh), []);
    }
    let closed = markdown(|facts| {
        gaps(facts);
        backups(&mut facts.home).encryption = seen(false);
    });
    assert_ne!(document_matches(&committed, &closed), [], "what somebody has to set is compared");
}

#[test]
fn a_document_says_how_to_move_while_all_is_well_when_all_is_lost_and_how_to_go_back() {
    let text = markdown(|_| {});
    let under =
        |heading: &str| text.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    assert!(under("\n## Steps\n").contains("1. Make sure, from more than one side, that north-1 is gone."));
    let back = under("\n## Failback\n");
    assert!(back.contains("1. Reinstate north-1") && back.contains("Last measured: 12.4 s."), "{back}");
    assert!(back.contains("2. Fail back to north-1: bascule switchover --to north-1."), "{back}");
    assert!(under("\n## Switchover Plan\n").contains("1. Hold writes in north-1."));
}

#[test]
fn a_document_does_not_match_once_the_site_has_changed() {
    let committed = markdown(|_| {});
    for change in [
        (|f: &mut Facts| f.wanted[0].quantity = Some(Quantity::PerRegion(4))) as fn(&mut Facts),
        |f| orders(&mut f.away).replica_source = seen(None),
        |f| f.promise.owner = seen(Some("somebody else".to_owned())),
        |f| f.home.key_pair = Fact::unasked(),
    ] {
        let fresh = markdown(change);
        let differences = document_matches(&committed, &fresh);
        assert!(differences.iter().any(|d| matches!(d, Difference::Stale { .. })), "{differences:?}");
        assert!(differences.iter().any(|d| matches!(d, Difference::Missing { .. })), "{differences:?}");
    }
}

#[test]
fn what_is_counted_is_shown_beside_what_is_wanted_and_not_compared() {
    let committed = markdown(|_| {});
    assert!(committed.contains("| 3 per region |"), "{committed}");
    let fresh = markdown(|facts| instances(&mut facts.away)[0].alive = seen(false));
    let row = fresh.lines().find(|line| line.starts_with("| Instances app |")).expect("a row");
    assert!(
        row.contains("| 3 per region (found: 3 of 3 well in north-1, 2 of 2 well in south-1) |"),
        "{row}"
    );
    assert_eq!(document_matches(&committed, &fresh), []);
    assert_eq!(document_matches(&fresh, &committed), []);
}

#[test]
fn steps_in_another_order_do_not_match() {
    let differences = document_matches("1. a\n\nx\ny\n", "1. a\ny\nx\n");
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0], Difference::Moved { line: 3, text: "x".to_owned() });
    assert_eq!(differences[0].to_string(), "line 3 stands in another place now: x");
}

#[test]
fn the_page_is_well_formed_and_says_what_the_document_says() {
    let mut facts = sound();
    gaps(&mut facts);
    let parts = Parts::of(facts);
    let page = parts.html();
    let all = elements(&page);
    let count = |name: &str| all.iter().filter(|(n, _)| n == name).count();
    assert_eq!((count("svg"), count("script"), count("table")), (1, 0, 4));
    let steps = [parts.failover.steps.len(), parts.switchover.steps.len(), 2];
    let rows: usize = steps.iter().map(|n| 1 + n).sum();
    assert_eq!(count("tr"), 1 + parts.items.len() + rows);
    for words in ["one region only", "Promote the database of south-1", "1.2 s", "on-call", "BSC-C040"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("src=") && !page.contains("href="), "it loads nothing");
}

#[test]
fn names_from_outside_do_not_become_markup() {
    let mut facts = sound();
    let group = site::group("\"><script>alert(1)</script>");
    at(&mut facts.home.compute).insert("</svg><img src=x onerror=y>&".to_owned(), group);
    facts.promise.owner = seen(Some("<b>&\u{0}".to_owned()));
    let all = elements(&Parts::of(facts).html());
    assert!(all.iter().all(|(n, _)| !["script", "img", "b"].contains(&n.as_str())), "{all:?}");
}

#[test]
fn the_picture_shows_which_way_data_and_names_go() {
    let draw = |change: fn(&mut Facts)| {
        let mut facts = sound();
        change(&mut facts);
        let items = bascule_core::inventory::inventory(&facts);
        picture_svg(&facts, &items)
    };
    let arrows = |svg: &str, class: &str| elements(svg).iter().filter(|(_, a)| a.contains(class)).count();
    let sound = draw(|_| {});
    assert_eq!((arrows(&sound, "class=\"replication\""), arrows(&sound, "class=\"name\"")), (1, 2));
    assert!(sound.contains("M404 ") && sound.contains("L556 "), "from home to away: {sound}");
    assert!(sound.contains("north-1: active") && sound.contains("south-1: standby"));
    assert!(sound.contains("3 of 3 well") && sound.contains("after a move"));
    let cut = draw(|f| orders(&mut f.away).replica_source = seen(None));
    assert_eq!(arrows(&cut, "class=\"replication\""), 0);
    let dark = draw(|f| f.away.database = unseen());
    assert!(dark.contains("south-1: role not observed"), "{dark}");
}

#[test]
fn ten_thousand_assets_are_written() {
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        for n in 0..10_000 {
            at(&mut region.compute).insert(format!("app-{n:05}"), site::group("x"));
        }
    }
    let parts = Parts::of(facts);
    let text = parts.markdown();
    assert!(text.lines().count() > 20_000);
    assert_eq!(document_matches(&text, &text), []);
    let page = parts.html();
    assert!(page.contains("and 9999 more"), "the picture has two of each kind");
    assert!(page.contains(">Database cluster orders: 3 of 3 well<"), "and hides no kind");
}
