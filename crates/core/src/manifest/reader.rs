//! Walking the parsed TOML: sections and fields with their places, unknown and missing keys.
//!
//! The tree is walked by hand rather than through serde, because serde stops at the first mistake. What
//! serde's `deny_unknown_fields` would do is done by [`Reader::open`] for every section.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Also, ErrorCode, ManifestError};
use super::rules::Facts;

/// The keys of a section, each with an example of its value as it is written in TOML; the example of a
/// section is empty.
pub(super) type Keys = &'static [(&'static str, &'static str)];

/// A section that is being read.
pub(super) struct Section<'t> {
    path: String,
    /// Its heading in the text.
    pub span: Range<usize>,
    in_list: bool,
    table: &'t DeTable<'t>,
    keys: Keys,
    /// Keys that are missing because an unknown one stands for them: that was said already.
    misspelt: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// As a heading: `[site]`, `[[names.records]]`.
    fn heading(&self) -> String {
        if self.path.is_empty() { "the manifest".to_owned() } else { heading(&self.path, self.in_list) }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the key is there, whatever it holds.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A text in a section below this one, before that section is read.
    pub fn text_within(&self, section: &str, key: &str) -> Option<&'t str> {
        let DeValue::Table(table) = self.table.get(section)?.get_ref() else { return None };
        match table.get(key)?.get_ref() {
            DeValue::String(text) => Some(text),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        }
    }

    /// Every key that is there, with its place, and what it holds. The order is that of the alphabet.
    pub fn entries(&self) -> impl Iterator<Item = (Spanned<&'t str>, &'t Spanned<DeValue<'t>>)> + use<'t> {
        let table = self.table;
        table.iter().map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
    }
}

/// One value, and what should stand there.
pub(super) struct Field<'t> {
    /// Where it belongs, for messages: `names.zone`.
    pub path: String,
    /// Its place.
    pub span: Range<usize>,
    /// What is there.
    pub value: &'t DeValue<'t>,
    /// What could be there.
    pub example: &'static str,
    key: Option<&'static str>,
}

impl Field<'_> {
    /// The field as it should be written with this value: `rpo = "5s"`, or `"5s"` alone within a list.
    pub fn with(&self, value: &str) -> String {
        match self.key {
            Some(key) => format!("{key} = {value}"),
            None => value.to_owned(),
        }
    }
}

/// Collects what was read, and every mistake.
pub(super) struct Reader {
    /// The mistakes so far.
    pub errors: Vec<ManifestError>,
    /// What the rules look at.
    pub facts: Facts,
    /// The places of literal secrets.
    pub secrets: Vec<Range<usize>>,
    end: usize,
}

impl Reader {
    /// A reader of this text that has read nothing yet.
    pub fn new(text: &str) -> Self {
        Self { errors: Vec::new(), facts: Facts::default(), secrets: Vec::new(), end: text.trim_end().len() }
    }

    /// Note a mistake.
    pub fn error(
        &mut self,
        code: ErrorCode,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors.push(ManifestError {
            code,
            span: span.clone(),
            message: message.into(),
            label: label.into(),
            help: help.into(),
            also: None,
        });
    }

    /// Add a second place to the mistake that was noted last.
    pub fn note(&mut self, span: Range<usize>, label: &str) {
        if let Some(error) = self.errors.last_mut() {
            error.also = Some(Also { span, label: label.to_owned() });
        }
    }

    /// Note the places of all literal secrets, also where no section is known.
    pub fn find_secrets(&mut self, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.find_secrets_in(table),
            DeValue::Array(list) => list.iter().for_each(|item| self.find_secrets(item.get_ref())),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    /// As [`Self::find_secrets`]; the parser bounds the depth.
    pub fn find_secrets_in(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            if is_secret(key.get_ref()) {
                self.secrets.push(value.span());
            }
            self.find_secrets(value.get_ref());
        }
    }

    /// Note that a value is of the wrong type.
    pub fn wrong_type(&mut self, field: &Field<'_>, wanted: &str) {
        let found = kind(field.value);
        self.error(
            ErrorCode::WrongType,
            &field.span,
            format!("`{}` must be {wanted}, and is {found}", field.path),
            format!("this is {found}"),
            format!("write, for example: {}", field.with(field.example)),
        );
    }

    /// The whole file as a section. What is missing from it is missing at its end.
    pub fn root<'t>(&mut self, table: &'t DeTable<'t>, keys: Keys) -> Section<'t> {
        let span = self.end..self.end;
        self.open(Section { path: String::new(), span, in_list: false, table, keys, misspelt: Vec::new() })
    }

    /// A section that must be there.
    pub fn section<'t>(&mut self, parent: &Section<'t>, key: &str, keys: Keys) -> Option<Section<'t>> {
        let found = self.optional_section(parent, key, keys);
        if !parent.table.contains_key(key) {
            let title = heading(&parent.path_of(key), false);
            let help = format!("add a section {title} with {}", names(keys));
            self.missing(parent, key, format!("the manifest has no {title}"), help);
        }
        found
    }

    /// A section that may be there.
    pub fn optional_section<'t>(
        &mut self,
        parent: &Section<'t>,
        key: &str,
        keys: Keys,
    ) -> Option<Section<'t>> {
        let value = parent.table.get(key)?;
        self.value_as_section(parent.path_of(key), value, keys, false)
    }

    /// A list of sections that must be there and have something in it.
    pub fn sections<'t>(&mut self, parent: &Section<'t>, key: &str, keys: Keys) -> Vec<Section<'t>> {
        let path = parent.path_of(key);
        let title = heading(&path, true);
        let help = format!("add at least one {title} with {}", names(keys));
        let Some(value) = parent.table.get(key) else {
            self.missing(parent, key, format!("the manifest has no {title}"), help);
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(list) if list.is_empty() => {
                self.error(ErrorCode::EmptyList, &value.span(), format!("`{path}` is empty"), "empty", help);
                Vec::new()
            }
            DeValue::Array(list) => {
                list.iter().filter_map(|v| self.value_as_section(path.clone(), v, keys, true)).collect()
            }
            other => {
                let found = kind(other);
                self.error(
                    ErrorCode::WrongType,
                    &value.span(),
                    format!("`{path}` must be a list of sections, and is {found}"),
                    format!("this is {found}"),
                    format!("write {title} above each of them"),
                );
                Vec::new()
            }
        }
    }

    /// A value that must be a section.
    pub fn value_as_section<'t>(
        &mut self,
        path: String,
        value: &'t Spanned<DeValue<'t>>,
        keys: Keys,
        in_list: bool,
    ) -> Option<Section<'t>> {
        let span = value.span();
        if let DeValue::Table(table) = value.get_ref() {
            return Some(self.open(Section { path, span, in_list, table, keys, misspelt: Vec::new() }));
        }
        let (title, found) = (heading(&path, in_list), kind(value.get_ref()));
        self.error(
            ErrorCode::WrongType,
            &span,
            format!("`{path}` must be a section, and is {found}"),
            format!("this is {found}"),
            if keys.is_empty() {
                format!("write {title}")
            } else {
                format!("write {title}, and below it: {}", names(keys))
            },
        );
        None
    }

    /// A field that must be there.
    pub fn field<'t>(&mut self, section: &Section<'t>, key: &'static str) -> Option<Field<'t>> {
        let field = optional_field(section, key);
        if field.is_none() {
            let help = format!("add: {key} = {}", example(section.keys, key));
            self.missing(section, key, format!("{} has no `{key}`", section.heading()), help);
        }
        field
    }

    /// A field that must be there, read.
    pub fn read<'t, T>(
        &mut self,
        section: &Section<'t>,
        key: &'static str,
        read: impl FnOnce(&mut Self, &Field<'t>) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let field = self.field(section, key)?;
        read(self, &field).map(|value| Spanned::new(field.span, value))
    }

    /// A field that may be there, read. The outer `None` is a mistake.
    pub fn read_optional<'t, T>(
        &mut self,
        section: &Section<'t>,
        key: &'static str,
        read: impl FnOnce(&mut Self, &Field<'t>) -> Option<T>,
    ) -> Option<Option<Spanned<T>>> {
        match optional_field(section, key) {
            None => Some(None),
            Some(field) => read(self, &field).map(|value| Some(Spanned::new(field.span, value))),
        }
    }

    /// A list that must be there and have something in it; `None` if any of it can't be read.
    pub fn read_list<'t, T>(
        &mut self,
        section: &Section<'t>,
        key: &'static str,
        read: impl Fn(&mut Self, &Field<'t>) -> Option<T>,
    ) -> Option<Vec<Spanned<T>>> {
        let field = self.field(section, key)?;
        let DeValue::Array(list) = field.value else {
            self.wrong_type(&field, "a list in [ ]");
            return None;
        };
        if list.is_empty() {
            let help = format!("write at least one, for example: {}", field.with(field.example));
            let message = format!("`{}` is empty", field.path);
            self.error(ErrorCode::EmptyList, &field.span, message, "empty", help);
            return None;
        }
        let item = field.example.trim_matches(['[', ']']);
        let read_one = |value: &'t Spanned<DeValue<'t>>| {
            let (path, span) = (field.path.clone(), value.span());
            let one = Field { path, span, value: value.get_ref(), example: item, key: None };
            read(self, &one).map(|value| Spanned::new(one.span, value))
        };
        let read: Vec<_> = list.iter().map(read_one).collect();
        read.into_iter().collect()
    }

    fn missing(&mut self, section: &Section<'_>, key: &str, message: String, help: String) {
        if !section.misspelt.contains(&key) {
            let label = format!("`{key}` is missing");
            self.error(ErrorCode::Missing, &section.span, message, label, help);
        }
    }

    /// Refuse the keys that the section does not have. A section without keys takes any.
    fn open<'t>(&mut self, mut section: Section<'t>) -> Section<'t> {
        let known = |name: &str| section.keys.is_empty() || section.keys.iter().any(|(key, _)| *key == name);
        let unknown: Vec<_> = section.entries().filter(|(key, _)| !known(key.get_ref())).collect();
        for (key, _) in unknown {
            let meant = if is_secret(key.get_ref()) {
                self.secret(&section, &key)
            } else {
                self.unknown_key(&section, &key)
            };
            section.misspelt.extend(meant);
        }
        section
    }

    /// Refuse a literal secret; returns the key of the file that should hold it.
    fn secret(&mut self, section: &Section<'_>, key: &Spanned<&str>) -> Option<&'static str> {
        let (name, heading) = (*key.get_ref(), section.heading());
        let form = section.keys.iter().find(|(known, _)| known.strip_suffix("_file") == Some(name));
        let help = match form {
            Some((file, example)) => {
                format!("put the secret into a file, and name the file: {file} = {example}")
            }
            None => format!("delete it: {heading} needs no secret"),
        };
        let message = format!("{heading} holds a secret, `{name}`");
        let label = "a secret must not stand in the manifest";
        self.error(ErrorCode::Secret, &key.span(), message, label, help);
        form.map(|(file, _)| *file)
    }

    /// Refuse an unknown key; returns the one that was probably meant.
    fn unknown_key(&mut self, section: &Section<'_>, key: &Spanned<&str>) -> Option<&'static str> {
        let (name, heading) = (*key.get_ref(), section.heading());
        let absent = section.keys.iter().map(|(known, _)| *known).filter(|k| !section.table.contains_key(*k));
        let meant = closest(name, absent);
        let (label, advice) = match meant {
            Some(meant) => (format!("did you mean `{meant}`?"), format!("write `{meant}`")),
            None => ("unknown key".to_owned(), "delete it".to_owned()),
        };
        let help = format!("{advice}; the keys of {heading} are {}", names(section.keys));
        self.error(ErrorCode::UnknownKey, &key.span(), format!("{heading} has no key `{name}`"), label, help);
        meant
    }
}

fn optional_field<'t>(section: &Section<'t>, key: &'static str) -> Option<Field<'t>> {
    let value = section.table.get(key)?;
    Some(Field {
        path: section.path_of(key),
        span: value.span(),
        value: value.get_ref(),
        example: example(section.keys, key),
        key: Some(key),
    })
}

fn example(keys: Keys, key: &str) -> &'static str {
    keys.iter().find(|(known, _)| *known == key).map_or("", |(_, example)| example)
}

fn heading(path: &str, in_list: bool) -> String {
    if in_list { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn names(keys: Keys) -> String {
    keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// Whether a key of this name would hold a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token", "_key"].iter().any(|end| key.ends_with(end))
}

/// The candidate that was probably meant: at most a third of its letters differ.
pub(super) fn closest<'c>(given: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(given, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, changed, or swapped with their neighbour (optimal string
/// alignment). Both are one line of a bounded file; a given text past 64 letters is no near miss.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_swapped_neighbours_once() {
        for (a, b, expected) in [("", "rpo", 3), ("rpo", "rpo", 0), ("rop", "rpo", 1), ("zones", "zone", 1)] {
            assert_eq!(distance(a, b), expected, "{a} to {b}");
        }
    }

    #[test]
    fn only_near_misses_are_suggested() {
        let keys = ["rpo", "rto", "max_pause"];
        assert_eq!(closest("max_puase", keys.into_iter()), Some("max_pause"));
        assert_eq!(closest("rop", keys.into_iter()), Some("rpo"));
        assert_eq!(closest("availability", keys.into_iter()), None);
    }

    #[test]
    fn the_file_forms_are_no_secrets() {
        for key in ["password", "patroni_password", "tsig_secret", "token", "API_TOKEN", "tsig_key"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["password_file", "tsig_secret_file", "tsig_name", "user"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
