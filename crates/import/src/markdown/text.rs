//! Prose as pieces: sentences, and lines that stand for themselves.

/// The longest sentence, in bytes: 150 words. A longer one is divided, so that looking at each word beside the others of
/// its sentence stays linear in the text.
const MAX_SENTENCE: usize = 1000;

/// The longest piece that lines are joined to, in bytes: four such sentences.
pub(super) const MAX_PIECE: usize = 4 * MAX_SENTENCE;

/// The sentences of a text: they end in a mark that a capital, a digit or a bracket follows.
pub(super) fn sentences(text: &str) -> Vec<&str> {
    const SHORT: &[&str] =
        &["eg", "e.g", "ie", "i.e", "etc", "vs", "no", "approx", "incl", "resp", "st", "n", "mr", "ms"];
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == ' ' && at - start > MAX_SENTENCE {
            sentences.push(text[start..at].trim());
            start = at;
        }
        if !matches!(c, '.' | '!' | '?' | ';') || !chars.peek().is_some_and(|(_, next)| next.is_whitespace())
        {
            continue;
        }
        let next = text[at + 1..].trim_start().chars().next();
        let begins = next.is_some_and(|next| c == ';' || !next.is_lowercase());
        let last = text[start..at].rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
        if begins && !SHORT.iter().any(|short| last.eq_ignore_ascii_case(short)) {
            sentences.push(text[start..=at].trim());
            start = at + 1;
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// The lines of a paragraph as pieces: a line that goes on with the last sentence is part of it.
pub(super) fn pieces(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut pieces: Vec<(usize, String)> = Vec::new();
    for (line, text) in lines {
        match pieces.last_mut() {
            Some((_, before)) if before.len() < MAX_PIECE && goes_on(before, text) => {
                before.push(' ');
                before.push_str(text);
            }
            _ => pieces.push((*line, text.clone())),
        }
    }
    pieces
}

/// Whether a line that was broken off goes on in the next.
fn goes_on(before: &str, next: &str) -> bool {
    const OPEN: &[&str] = &[
        "the", "a", "an", "to", "of", "and", "in", "for", "with", "on", "from", "or", "our", "by", "is",
        "are", "at", "as", "that", "then", "it", "be", "will", "into",
    ];
    // Words that begin a step, for those who write without capitals.
    const STEPS: &[&str] = &[
        "make", "change", "failover", "point", "promote", "update", "create", "deploy", "use", "stop",
        "start", "verify", "run", "scale", "notify", "switch", "restore", "test", "check", "redirect",
        "setup",
    ];
    if before.ends_with(['.', '!', '?', ':', ';']) {
        return false;
    }
    let last = before.rsplit(' ').next().unwrap_or_default();
    let begins = next.split(' ').next().is_some_and(|word| STEPS.contains(&word));
    let open = before.ends_with(',') || OPEN.iter().any(|word| last.eq_ignore_ascii_case(word));
    open || (!begins && next.starts_with(|c: char| c.is_lowercase() || c == '('))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_another_begins() {
        assert_eq!(
            sentences("One, eg. this. Two at 1.5 s! Three"),
            ["One, eg. this.", "Two at 1.5 s!", "Three"]
        );
    }

    #[test]
    fn a_wrapped_line_is_one_piece_and_two_statements_are_two() {
        let lines = |texts: &[&str]| {
            texts.iter().enumerate().map(|(n, t)| (n + 1, (*t).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(pieces(&lines(&["Point the names at the", "Ohio region"])).len(), 1);
        assert_eq!(pieces(&lines(&["Point the names", "Promote the database"])).len(), 2);
        assert_eq!(pieces(&lines(&["Point the names at Ohio", "and wait"])).len(), 1);
    }
}
