//! The places under "Zones": lines, items, rows or prose, the active region first.

use bascule_core::document::Zone;

use super::block::{RawRow, RowMark};
use super::region::{Place, place};
use super::template;
use super::words::{has_any, words};
use crate::finding::{Code, Finding};

/// The most places, and the most findings of one line: a site has two regions and a witness, and more than this is no list
/// of a site's places.
const MAX_ZONES: usize = 16;

/// The most words of a line that is a place's name and not prose: "Ohio, US East (primary)".
const MAX_NAME: usize = 5;

/// The places read so far.
#[derive(Default)]
pub(super) struct Zones {
    /// With whether the text calls the place the active one.
    read: Vec<(Zone, Role)>,
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
        let mut read = std::mem::take(&mut self.read);
        // What is not shaped like a place may be none: it goes last among its like.
        read.sort_by_key(|(zone, role)| (*role, place(&zone.name).is_none()));
        read.into_iter().map(|(zone, _)| zone).collect()
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
            if names_one {
                self.line(row.line, &text, true);
            } else {
                let name = row.cells.iter().find(|cell| cell.contains(char::is_alphabetic));
                match name {
                    Some(name) => self.line(row.line, name, true),
                    None => self.say(Code::EmptyRow, row.line, "a row without a place", "delete it"),
                }
            }
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
            self.place(line, &all[at].text, place, role.unwrap_or(Role::NotSaid));
        }
        let found = !named.is_empty();
        if found {
            return;
        }
        // "AWS:" above a list of its regions.
        const PROVIDERS: &[&str] = &["aws", "amazon", "azure", "gcp", "google", "cloud", "provider"];
        if !all.is_empty() && all.iter().all(|word| word.is_one_of(PROVIDERS)) {
            return self.say(Code::NotRead, line, "a provider's name, not a place", "nothing");
        }
        let role = role(&all);
        let name = text.trim_end_matches(':').split(" (").next().unwrap_or(text);
        let name = name.rsplit_once(": ").map_or(name, |(_, name)| name).trim();
        let promise = has_any(&all, &["rpo", "rto"]);
        let is_name =
            !promise && !all.is_empty() && all.len() <= MAX_NAME && !text.ends_with(['.', '?', '!']);
        if is_name && (listed || all.len() <= 2 || name.starts_with(char::is_uppercase)) {
            let message = format!("`{name}` is not shaped like a region");
            self.say(
                Code::ZoneShape,
                line,
                message,
                "write the provider's name for it, for example us-east-2",
            );
            self.add(Zone { name: name.to_owned(), line }, role.unwrap_or(Role::NotSaid));
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
        let name = match place {
            Place::Region => word.to_owned(),
            Place::NearRegion => {
                let message = format!("`{word}` is not shaped like a region, but nearly");
                self.say(
                    Code::ZoneShape,
                    line,
                    message,
                    "correct it: area, direction, number, as in us-east-2",
                );
                word.to_owned()
            }
            Place::ZoneOf(region)
                if self.read.iter().any(|(zone, _)| zone.name == region && zone.line == line) =>
            {
                // Its region stands on the same line: nothing was misunderstood.
                return;
            }
            Place::ZoneOf(region) => {
                let message = format!("`{word}` is an availability zone of {region}, not a region");
                self.say(Code::ZoneShape, line, message, "write the region");
                region
            }
        };
        if let Some((first, known)) = self.read.iter_mut().find(|(zone, _)| zone.name == name) {
            *known = (*known).min(role);
            let message = format!("{name} is on line {} already", first.line);
            if first.line != line {
                self.say(Code::ZoneAgain, line, message, "delete one of them");
            }
            return;
        }
        self.add(Zone { name, line }, role);
    }

    fn add(&mut self, zone: Zone, role: Role) {
        if self.read.len() < MAX_ZONES {
            self.read.push((zone, role));
        } else {
            let message = format!("more than {MAX_ZONES} places: `{}` is not read", zone.name);
            self.say(Code::NotRead, zone.line, message, "list the regions that the site can run in");
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

/// Words beside a third place: it decides, and nothing of the site runs there.
const WITNESS: &[&str] = &["witness", "voter", "quorum", "arbiter", "tiebreaker"];

fn role(words: &[super::words::Word]) -> Option<Role> {
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
