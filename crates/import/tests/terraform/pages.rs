//! Each code has its page. Whether each page has its code is told where all codes are.

use std::path::Path;

use bascule_import::Code;

#[test]
fn each_code_of_this_half_has_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mine =
        Code::ALL.iter().map(|code| code.as_str()).filter(|code| ("BSC-I050".."BSC-I100").contains(code));
    for code in mine {
        let text = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap_or_default();
        assert!(text.starts_with(&format!("# {code}: ")), "{code}: its title");
        for part in ["## Example", "## How to mend it"] {
            assert!(text.contains(part), "{code} lacks {part}");
        }
        assert!(text.lines().count() < 40, "{code} is short");
    }
}
