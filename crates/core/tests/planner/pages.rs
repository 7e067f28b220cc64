//! Each code has its page, and each page its code.

use std::collections::BTreeSet;
use std::path::Path;

use bascule_core::planner::Code;

#[test]
fn each_code_has_a_page_and_each_page_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let files = std::fs::read_dir(&folder).expect("the folder is there").flatten();
    let names = files.filter_map(|f| f.file_name().into_string().ok());
    let pages: BTreeSet<String> =
        names.filter(|n| n.starts_with("BSC-P")).map(|n| n.trim_end_matches(".md").to_owned()).collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(pages, codes);
    for code in Code::ALL {
        let text = std::fs::read_to_string(folder.join(format!("{}.md", code.as_str()))).expect("a page");
        assert!(text.starts_with(&format!("# {}: ", code.as_str())), "{}: its title", code.as_str());
        for part in ["## Example", "## How to mend it"] {
            assert!(text.contains(part), "{} lacks {part}", code.as_str());
        }
        assert!(text.lines().count() < 40, "{} is short", code.as_str());
    }
}
