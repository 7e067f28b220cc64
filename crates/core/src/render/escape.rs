//! Words from outside, made harmless for where they land.

/// On one line, without control characters (a terminal would obey them) and without the characters that turn
/// the direction of writing round (Unicode's bidirectional controls), which hide what is said.
pub(super) fn plain(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// Text of XML 1.0 or HTML, in an element or a quoted attribute. What XML can't hold at all is replaced.
pub(super) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text within a line or a table's cell of Markdown (CommonMark, and GitHub's tables).
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text.trim()).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What [`markdown`] was given, but for its control characters.
pub(super) fn unmarkdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let entity =
            [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')].into_iter().find(|(e, _)| rest.starts_with(e));
        let (length, meant) = match (c, entity) {
            (_, Some((entity, meant))) => (entity.len(), meant),
            ('\\', None) => match rest[1..].chars().next().filter(char::is_ascii_punctuation) {
                Some(next) => (2, next),
                None => (1, c),
            },
            (c, None) => (c.len_utf8(), c),
        };
        plain.push(meant);
        rest = &rest[length..];
    }
    plain
}

/// A path as a relative URI reference (RFC 3986, section 2.1).
pub(super) fn uri(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_stays_within_its_place() {
        assert_eq!(xml("<a b='c'>&\"\u{1b}"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;\u{fffd}");
        assert_eq!(markdown("a|b\n# c <img> [x](y)"), "a\\|b \\# c &lt;img&gt; \\[x\\](y)");
        let hard = "a|b\\ # <img> &amp; \\| [x](y)";
        assert_eq!(unmarkdown(&markdown(hard)), hard);
        assert_eq!(plain("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(uri("a b/ü.tf:1"), "a%20b/%C3%BC.tf%3A1");
    }
}
