//! Each check has its page, and each page its check.

use std::collections::BTreeSet;
use std::path::Path;

use bascule_core::check::Code;

#[test]
fn each_check_has_a_page_and_each_page_a_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    let files = std::fs::read_dir(&folder).expect("the folder is there").flatten();
    let names = files.filter_map(|f| f.file_name().into_string().ok());
    let pages: BTreeSet<String> =
        names.filter(|n| n.starts_with("BSC-C")).map(|n| n.trim_end_matches(".md").to_owned()).collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(pages, codes);
}

#[test]
fn a_page_says_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    for code in Code::ALL {
        let name = code.as_str();
        let text = std::fs::read_to_string(folder.join(format!("{name}.md"))).expect("a page");
        assert!(text.starts_with(&format!("# {name}: {}\n", code.title())), "{name}: its title");
        let sort = format!("Severity {}, category {}.", code.severity().as_str(), code.category().as_str());
        for part in [sort.as_str(), "## Why", "## What to do", "## Evidence"] {
            assert!(text.contains(part), "{name} lacks {part}");
        }
        let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unwrapped.contains(code.remedy()), "{name}: its remedy");
        assert!(text.lines().count() < 40, "{name} is short");
    }
}

#[test]
fn the_index_has_every_check_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks/README.md");
    let text = std::fs::read_to_string(path).expect("the index");
    for code in Code::ALL {
        let (name, title, severity) = (code.as_str(), code.title(), code.severity().as_str());
        let line = format!("- [{name}]({name}.md) {title} ({severity})\n");
        assert_eq!(text.matches(&line).count(), 1, "{line}");
    }
}
