//! The places under "Zones": lines, items, rows or prose, the active region first.

use bascule_core::document::Zone;

use super::block::{RawRow, RowMark};
use super::region::{Place, is_near, place, region_of};
use super::source::shortened;
use super::template;
use super::words::{Word, has_any, words};
use crate::finding::{Code, Finding};

/// The most places, and the most findings of one line: a site has two regions and a witness, and more than this is no list
/// of a site's places.
const MAX_ZONES: usize = 16;

/// The most words of a line that is a place's name and not prose: "Ohio, US East (primary)".
const MAX_NAME: usize = 5;

/// A place that was read.
struct Read {
    zone: Zone,
    role: Role,
    /// Whether it is misspelt.
    near: bool,
    /// Whether zones of it were named.
    zones: bool,
    /// What is said of it if nothing names the region itself.
    only_zones: Option<Finding>,
}

/// A line such as "Zone 1" or "DR site:", which says what the lines below it are.
struct Label {
    line: usize,
    text: String,
    role: Option<Role>,
    /// Whether a place stands below it.
    used: bool,
}

/// The places read so far.
#[derive(Default)]
pub(super) struct Zones {
    read: Vec<Read>,
    label: Option<Label>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Active,
    NotSaid,
    Standby,
}

impl Zones {
    /// The places, the active one first.
    pub fn finish(&mut self) -> Vec<Zone> {
        self.end_label();
        let mut read = std::mem::take(&mut self.read);
        self.findings.extend(read.iter_mut().filter_map(|read| read.only_zones.take()));
        // Beside the active and the standby region a third one is neither; without an active one the first that is no
        // standby is it. What is not shaped like a place may be none: it goes last among its like.
        let active = read.iter().any(|read| read.role == Role::Active);
        let rank = |role| match role {
            Role::Active => 0,
            Role::NotSaid => 1 + i32::from(active),
            Role::Standby => 2 - i32::from(active),
        };
        read.sort_by_key(|read| (rank(read.role), place(&read.zone.name).is_none()));
        read.into_iter().map(|read| read.zone).collect()
    }

    /// What is below a label is what it says; one below which nothing stands says too little.
    fn end_label(&mut self) {
        let Some(label) = self.label.take().filter(|label| !label.used) else { return };
        let message = format!("`{}` names no region", shortened(&label.text));
        self.say(
            Code::ZoneShape,
            label.line,
            message,
            "write the provider's name for it, for example us-east-2",
        );
    }

    /// A line that only says what those below it are; none is forgotten, but of several in a row the first is told.
    fn label(&mut self, line: usize, text: &str, role: Option<Role>) {
        match &mut self.label {
            Some(label) if !label.used => label.role = role.or(label.role),
            _ => {
                self.label =
                    Some(Label { line, text: text.trim_end_matches(':').to_owned(), role, used: false })
            }
        }
    }

    /// A table of places.
    pub fn table(&mut self, rows: &[RawRow]) {
        let cells: Vec<&RawRow> = rows.iter().filter(|row| row.mark != RowMark::Delimiter).collect();
        let delimited = rows.get(1).is_some_and(|row| row.mark == RowMark::Delimiter);
        for (at, row) in cells.into_iter().enumerate() {
            let text = row.cells.join(", ");
            let header = at == 0 && (delimited || has_any(&words(&text), &["zone", "region", "location"]));
            let names_one = words(&text).iter().any(|word| place(&word.text).is_some());
            if header && !names_one {
                continue;
            }
            let before = (self.read.len(), self.findings.len());
            match row.cells.iter().find(|cell| cell.contains(char::is_alphabetic)) {
                _ if names_one => self.line(row.line, &text, true),
                Some(name) => self.line(row.line, name, true),
                None => self.say(Code::EmptyRow, row.line, "a row without a place", "delete it"),
            }
            // A row of a table is never dropped in silence.
            if before == (self.read.len(), self.findings.len()) {
                self.say(Code::ZoneAgain, row.line, "a row that names no further region", "nothing");
            }
        }
    }

    /// A heading among the places; one that is about something else says nothing of them.
    pub fn heading(&mut self, line: usize, text: &str) {
        let all = words(text);
        if about_places(&all) || all.iter().any(|word| place(&word.text).is_some()) {
            self.line(line, text, true);
        }
    }

    /// A line, or an item of a list.
    pub fn line(&mut self, line: usize, text: &str, listed: bool) {
        let all = words(text);
        if template::is_instruction(&all) {
            return self.say(Code::TemplateText, line, "the template's own instruction", "delete it");
        }
        let named: Vec<usize> = (0..all.len()).filter(|&at| place(&all[at].text).is_some()).collect();
        // "primary: us-east-2" or "us-east-2 (primary)": the first of a line shows which.
        let role_first = named.first().is_some_and(|&first| role(&all[..first]).is_some());
        for (index, &at) in named.iter().enumerate() {
            let Some(place) = place(&all[at].text) else { continue };
            let before = index.checked_sub(1).map_or(0, |last| named[last] + 1);
            let next = named.get(index + 1).copied();
            let before = &all[before..at];
            let after = &all[at + 1..next.unwrap_or(all.len())];
            let role = match (role_first, next) {
                (true, Some(_)) => role(before),
                (true, None) => role(before).or_else(|| role(after)),
                (false, _) => role(after),
            };
            let near = &all[at.saturating_sub(2)..next.unwrap_or(all.len())];
            if near.iter().any(|word| word.is_one_of(WITNESS)) {
                let message =
                    format!("`{}` is taken for a witness, not for a region of the site", all[at].text);
                self.say(
                    Code::NotRead,
                    line,
                    message,
                    "say primary or standby beside it if the site runs there",
                );
                continue;
            }
            let role = role.or(self.label.as_ref().and_then(|label| label.role));
            self.place(line, &all[at].text, place, role.unwrap_or(Role::NotSaid));
        }
        if !named.is_empty() {
            if let Some(label) = &mut self.label {
                label.used = true;
            }
            return;
        }
        // "AWS:" above a list of its regions.
        const PROVIDERS: &[&str] = &["aws", "amazon", "azure", "gcp", "google", "cloud", "provider"];
        if !all.is_empty() && all.iter().all(|word| word.is_one_of(PROVIDERS)) {
            return self.say(Code::NotRead, line, "a provider's name, not a place", "nothing");
        }
        let role = role(&all);
        let short = all.len() <= MAX_NAME && !text.ends_with(['.', '?', '!']);
        if short && !all.is_empty() && !text.starts_with('"') && (about_places(&all) || text.ends_with(':')) {
            return self.label(line, text, role);
        }
        let name = text.split(" (").next().unwrap_or(text);
        let name = name.rsplit_once(": ").map_or(name, |(_, name)| name).trim();
        let promise = has_any(&all, &["rpo", "rto"]);
        let begins =
            name.starts_with(char::is_uppercase) || (listed && name.starts_with(char::is_alphabetic));
        if short && begins && !promise && !all.is_empty() {
            let message = format!("`{name}` is not shaped like a region");
            self.say(
                Code::ZoneShape,
                line,
                message,
                "write the provider's name for it, for example us-east-2",
            );
            self.add(name, line, role.unwrap_or(Role::NotSaid));
        } else if !all.is_empty() {
            self.say(
                Code::NotRead,
                line,
                "no place is named here",
                "write the provider's name for each region",
            );
        }
    }

    fn place(&mut self, line: usize, word: &str, place: Place, role: Role) {
        let (name, near, zone) = match place {
            Place::Region => (word.to_owned(), false, false),
            // Its zones are one misspelt region.
            Place::NearRegion => (region_of(word).unwrap_or_else(|| word.to_owned()), true, false),
            Place::ZoneOf(region) => (region, false, true),
        };
        if let Some(at) = self.read.iter().position(|read| read.zone.name == name) {
            return self.again(at, line, role, near, zone);
        }
        let last = self.read.last_mut().filter(|last| zone && !last.zones);
        if let Some(last) = last {
            let is_near = last.near && last.zone.line == line && is_near(&last.zone.name, &name);
            last.zones = true;
            if is_near {
                let message =
                    format!("`{}` is misspelt: the zones beside it are those of {name}", last.zone.name);
                last.zone.name.clone_from(&name);
                last.near = false;
                self.findings.retain(|finding| finding.line != line || finding.code != Code::ZoneShape);
                return self.say(Code::ZoneShape, line, message, "correct it");
            }
            let message = format!("`{word}` is a zone of {name}, and stands with {}", last.zone.name);
            let remedy = "correct one of them: a zone is named after its region";
            self.say(Code::ZoneShape, line, message, remedy);
        } else if zone {
            let message =
                format!("`{word}` is an availability zone of {name}, and nothing lists {name} itself");
            let finding = Finding::new(Code::ZoneShape, line, message, "write the region");
            self.add(&name, line, role);
            if let Some(read) = self.read.last_mut().filter(|read| read.zone.name == name) {
                (read.zones, read.only_zones) = (true, Some(finding));
            }
            return;
        }
        if near {
            let message = format!("`{word}` is not shaped like a region, but nearly");
            self.say(Code::ZoneShape, line, message, "correct it: area, direction, number, as in us-east-2");
        }
        self.add(&name, line, role);
        if let Some(read) = self.read.last_mut().filter(|read| read.zone.name == name) {
            (read.near, read.zones) = (near, zone);
        }
    }

    /// A place that was read before: its zones may be listed, and a region once.
    fn again(&mut self, at: usize, line: usize, role: Role, near: bool, zone: bool) {
        let read = &mut self.read[at];
        read.role = read.role.min(role);
        read.zones |= zone;
        if zone || near {
            return;
        }
        let zones_first = read.only_zones.take().is_some();
        let (name, first) = (&read.zone.name, read.zone.line);
        if !zones_first && first != line {
            let message = format!("{name} is on line {first} already");
            self.say(Code::ZoneAgain, line, message, "delete one of them");
        }
    }

    fn add(&mut self, name: &str, line: usize, role: Role) {
        if self.read.len() < MAX_ZONES {
            let zone = Zone { name: name.to_owned(), line };
            self.read.push(Read { zone, role, near: false, zones: false, only_zones: None });
        } else {
            let message = format!("more than {MAX_ZONES} places: `{name}` is not read");
            self.say(Code::NotRead, line, message, "list the regions that the site can run in");
        }
    }

    fn say(&mut self, code: Code, line: usize, message: impl Into<String>, remedy: &str) {
        let on_line =
            self.findings.iter().rev().take_while(|finding| finding.line == line).take(MAX_ZONES).count();
        if on_line == MAX_ZONES {
            return;
        }
        self.findings.push(Finding::new(code, line, message, remedy));
    }
}

/// Words of lines that say what those below are: "Zone 1", "Subnets:", "Primary site".
const LABELS: &[&str] =
    &["zone", "region", "site", "az", "location", "subnet", "datacenter", "primary", "secondary"];

fn about_places(all: &[Word]) -> bool {
    let numbered = |word: &Word| word.text.trim_end_matches(|c: char| c.is_ascii_digit()) == "zone";
    all.iter().any(|word| numbered(word) || word.is_one_of(LABELS))
}

/// Words beside a third place: it decides, and nothing of the site runs there.
const WITNESS: &[&str] = &["witness", "voter", "quorum", "arbiter", "tiebreaker"];

fn role(words: &[Word]) -> Option<Role> {
    const ACTIVE: &[&str] = &["primary", "active", "main", "home", "production", "prod"];
    const STANDBY: &[&str] = &["secondary", "standby", "dr", "backup", "passive", "disaster", "failover"];
    words.iter().find_map(|word| {
        if word.is_one_of(ACTIVE) {
            Some(Role::Active)
        } else {
            word.is_one_of(STANDBY).then_some(Role::Standby)
        }
    })
}
