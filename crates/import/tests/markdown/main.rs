//! The reader of Markdown documents: a document for each ragged shape, hostile input, and the pages of the codes.

mod hostile;
mod runbooks;
mod shapes;
mod wild;

use std::path::Path;

use bascule_core::asset::Quantity;
use bascule_core::document::{Document, WrittenStep};
use bascule_import::Code;
use bascule_import::markdown::{Imported, read};

/// A fixture's bytes.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/markdown").join(format!("{name}.md"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all fixtures.
fn fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/markdown");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the fixtures")
        .filter_map(|entry| entry.expect("a file").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn imported(text: impl AsRef<[u8]>) -> Imported {
    read(text.as_ref()).expect("the document is read")
}

/// The assets, one a text: line, kind, number, name.
fn assets(document: &Document) -> Vec<String> {
    let number = |quantity: Option<Quantity>| match quantity {
        None => "-".to_owned(),
        Some(Quantity::Total(n)) => n.to_string(),
        Some(Quantity::PerRegion(n)) => format!("{n}/region"),
    };
    let kind = |row: &bascule_core::document::Row| row.kind.map_or("-", |kind| kind.as_str());
    document
        .assets
        .iter()
        .map(|row| format!("{} {} {} {}", row.line, kind(row), number(row.quantity), row.name))
        .collect()
}

/// The findings, one a text: the code's number and the line; without those about sections that a short fixture leaves out.
fn findings(imported: &Imported) -> Vec<String> {
    let wanted = imported.findings.iter().filter(|finding| finding.code != Code::SectionMissing);
    wanted.map(|finding| format!("{} {}", &finding.code.as_str()[4..], finding.line)).collect()
}

/// Every step of every plan, those beforehand first.
fn steps(document: &Document) -> Vec<&WrittenStep> {
    document.plans.iter().flat_map(|plan| plan.pre_steps.iter().chain(&plan.steps)).collect()
}

#[test]
fn every_code_has_its_page() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in Code::ALL {
        let page = pages.join(format!("{}.md", code.as_str()));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.starts_with(&format!("# {}: ", code.as_str())), "{} begins otherwise", page.display());
        assert!(text.contains("## How to mend it"), "{} says no way out", page.display());
    }
}

#[test]
fn assets_and_findings_are_printed_with_their_lines() {
    let text = serde_json::to_value(imported(fixture("sample_row"))).expect("it is data");
    assert_eq!(text["document"]["assets"][0]["line"], 5);
    for key in ["line", "code", "message"] {
        assert!(
            text["findings"].as_array().expect("a list").iter().all(|finding| !finding[key].is_null()),
            "{key}"
        );
    }
}
