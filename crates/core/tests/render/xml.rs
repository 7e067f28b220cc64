//! As much of XML as it takes to see that a text is well formed.

/// HTML's elements without an end.
const VOID: [&str; 1] = ["meta"];

/// The elements in order, with their attributes as they are written; panics if the text is not well formed.
pub fn elements(text: &str) -> Vec<(String, String)> {
    let (mut open, mut all): (Vec<&str>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        content(&rest[..start]);
        let end = rest[start..].find('>').map(|e| start + e).expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('?') || tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "elements are nested");
            continue;
        }
        let (inner, empty) = tag.strip_suffix('/').map_or((tag, false), |inner| (inner, true));
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name:?} is an element");
        assert!(attributes.matches('"').count().is_multiple_of(2), "{attributes:?} are quoted");
        content(attributes);
        all.push((name.to_owned(), attributes.to_owned()));
        if !empty && !VOID.contains(&name) {
            open.push(name);
        }
    }
    content(rest);
    assert_eq!(open, Vec::<&str>::new(), "every element ends");
    all
}

fn content(text: &str) {
    assert!(!text.contains(['<', '\u{0}', '\u{1b}']), "{text:?}");
    for part in text.split('&').skip(1) {
        let entity = part.split_once(';').map(|(e, _)| e).expect("an entity ends");
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&entity), "{entity:?}");
    }
}

#[test]
fn it_sees_what_is_not_well_formed() {
    for wrong in ["<a>", "<a><b></a></b>", "<a b=\"></a>", "a & b", "<a>&x;</a>"] {
        assert!(std::panic::catch_unwind(|| elements(wrong)).is_err(), "{wrong:?}");
    }
    assert_eq!(elements("<a b=\"c\"><d/>&amp;</a>").len(), 2);
}
