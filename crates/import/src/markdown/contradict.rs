//! Where a document contradicts itself, or says what cannot be.
//!
//! Works on the document as it was read, so that other readers' documents can be judged too. Invariant: linear in the
//! document. What is only missing from a plan, or in a wrong order, is for the checks and not for here.

use std::collections::{HashMap, HashSet};

use bascule_core::asset::{AssetKind, Protection};
use bascule_core::document::{Document, DrCell, Row};

use super::kind;
use super::numbers::{self, shown, steps};
use super::region::{Place, is_near, place, region_of};
use super::sizes::{is_database_class, retired};
use super::words::{Word, has, has_any, words};
use crate::finding::{Code, Finding};

/// Every contradiction, in no order.
#[must_use]
pub fn contradictions(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    numbers::numbers(document, &mut findings);
    for row in &document.assets {
        kind_confused(row, &mut findings);
        size(row, &mut findings);
    }
    rows_of_one_asset(document, &mut findings);
    zones_elsewhere(document, &mut findings);
    not_in_table(document, &mut findings);
    owners(document, &mut findings);
    findings
}

/// What one counts of a kind.
pub(super) fn noun(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Compute => "instances",
        AssetKind::Kubernetes => "cluster nodes",
        AssetKind::LoadBalancer => "load balancers",
        AssetKind::Database => "database nodes",
        AssetKind::ObjectStorage => "buckets",
        AssetKind::KeyPair => "key pairs",
        AssetKind::Monitoring => "monitoring platforms",
        AssetKind::Repository => "repositories",
        AssetKind::Dns => "names",
    }
}

/// A service that has no such thing, and the one that has it: the kind, the wrong words, the right word.
const CONFUSIONS: &[(AssetKind, &[&str], &str)] = &[
    (AssetKind::KeyPair, &["s3", "rds", "eks", "route53", "cloudfront"], "EC2"),
    (AssetKind::ObjectStorage, &["ec2", "rds", "eks", "route53"], "S3"),
    (AssetKind::Kubernetes, &["s3", "rds", "route53"], "EKS"),
    (AssetKind::Dns, &["s3", "rds", "ec2"], "Route 53"),
    (AssetKind::LoadBalancer, &["s3", "rds"], "EC2"),
];

fn kind_confused(row: &Row, findings: &mut Vec<Finding>) {
    let name = words(&row.name);
    let Some(kind) = row.kind else { return };
    let end = name.iter().position(|word| word.is_one_of(&["for", "of", "in", "on", "with", "to", "from"]));
    let head = &name[..end.unwrap_or(name.len())];
    // "S3 instance": the service names a kind, and the noun another.
    let machine = head.last().is_some_and(|word| word.is_one_of(&["instance", "vm"]));
    let (wrong, right, what) = if machine && kind == AssetKind::ObjectStorage {
        (head.iter().find(|word| word.is("s3")), "EC2", "instances")
    } else {
        let Some((_, wrong, right)) = CONFUSIONS.iter().find(|(confused, _, _)| *confused == kind) else {
            return;
        };
        (head.iter().find(|word| word.is_one_of(wrong)), *right, noun(kind))
    };
    let Some(wrong) = wrong.map(|word| service(&word.text)) else { return };
    let message = format!("`{}`: these are {right} {what}; {wrong} has none", row.name);
    findings.push(Finding::new(Code::KindConfused, row.line, message, format!("call them {right} {what}")));
}

/// A service as its provider writes it.
fn service(word: &str) -> String {
    match word {
        "route53" => "Route 53".to_owned(),
        "cloudfront" => "CloudFront".to_owned(),
        other => other.to_uppercase(),
    }
}

fn size(row: &Row, findings: &mut Vec<Finding>) {
    let Some(text) = &row.size else { return };
    // A size is a word or two; of a whole text only the first are looked at.
    const WORDS: usize = 8;
    for word in words(text).into_iter().take(WORDS) {
        if let Some(retired) = retired(&word.text) {
            let message = format!("`{}` of `{}`: {}", word.text, row.name, retired.said);
            let remedy = format!("move to {}", retired.instead);
            findings.push(Finding::new(Code::SizeRetired, row.line, message, remedy));
        }
        let class = is_database_class(&word.text);
        let misplaced = match row.kind {
            Some(AssetKind::Database) | None => false,
            Some(_) => class,
        };
        if misplaced {
            let message = format!("`{}` is a class of RDS, and `{}` is no database", word.text, row.name);
            findings.push(Finding::new(Code::SizeMisplaced, row.line, message, "write the asset's own size"));
        }
    }
}

/// Words of a name that say which of two places, and not which asset.
const PLACES: &[&str] =
    &["primary", "secondary", "standby", "dr", "active", "passive", "main", "region", "replica"];

/// Rows whose names are the same but for the place. Another purpose makes another asset of it.
fn rows_of_one_asset(document: &Document, findings: &mut Vec<Finding>) {
    /// A kind, and the words of a name.
    type Name = (Option<AssetKind>, Vec<String>);
    let mut same: HashMap<(Name, Vec<String>), (&Row, usize)> = HashMap::new();
    let mut named: HashMap<Name, (&Row, usize)> = HashMap::new();
    let (mut table, mut last) = (0, 0);
    for row in &document.assets {
        // Between two tables stands at least a heading with blank lines, a header and its delimiter row.
        table += usize::from(row.line > last + TABLES_APART);
        last = row.line;
        let (name, purpose) = ((row.kind, without_place(&row.name)), without_place(&row.purpose));
        let (first, its_table) = *named.entry(name.clone()).or_insert((row, table));
        let either_silent = row.purpose.is_empty() || first.purpose.is_empty();
        let (before, its_table) = if either_silent {
            (first, its_table)
        } else {
            *same.entry((name, purpose)).or_insert((row, table))
        };
        if before.line != row.line {
            findings.extend(beside(before, row, its_table == table));
        }
    }
}

const TABLES_APART: usize = 4;

/// A name's words without those that say where.
pub(super) fn without_place(text: &str) -> Vec<String> {
    let all = words(text).into_iter();
    all.filter(|word| !word.is_one_of(PLACES) && region_of(&word.text).is_none())
        .map(|word| word.text)
        .collect()
}

/// What two rows of one asset say of each other. Another table may be of another place, or of another time.
fn beside(before: &Row, row: &Row, one_table: bool) -> Option<Finding> {
    let elsewhere = !one_table
        || words(&before.name) != words(&row.name)
        || before.zones != row.zones
        || said_place(before, row);
    let mut differ = Vec::new();
    if let (Some(a), Some(b), Some(_)) = (&before.size, &row.size, row.kind)
        && !a.eq_ignore_ascii_case(b)
    {
        differ.push(format!("the size ({a}, {b})"));
    }
    if !(elsewhere && one_table) && before.quantity.is_some() && before.quantity != row.quantity {
        let number = |row: &Row| row.quantity.map_or("no number".to_owned(), shown);
        differ.push(format!("the number ({}, {})", number(before), number(row)));
    }
    if !elsewhere && before.dr != row.dr {
        differ.push("how it is protected".to_owned());
    }
    let stands = format!("`{}` stands on line {} too", row.name, before.line);
    match (differ.is_empty(), one_table) {
        (true, false) => None,
        (true, true) if elsewhere => {
            let words = "an asset on a second row, for its other place";
            Some(Finding::new(Code::TwoRows, row.line, words, "nothing, if that is so"))
        }
        (true, true) => Some(Finding::new(Code::TwoRows, row.line, stands, "delete one of the rows")),
        (false, true) => {
            let message = format!("{stands}, and they differ in {}", differ.join(" and "));
            Some(Finding::new(Code::RowsDisagree, row.line, message, "write what is so on both rows"))
        }
        (false, false) => {
            let message = format!("{stands}, in another table, and they differ in {}", differ.join(" and "));
            Some(Finding::new(
                Code::TwoRows,
                row.line,
                message,
                "say above each table which place or time it is of",
            ))
        }
    }
}

/// Whether one of two rows says in its purpose or protection that it is the one in the other place.
fn said_place(a: &Row, b: &Row) -> bool {
    let marks = |text: &str| -> Vec<String> {
        let places = [
            "primary",
            "secondary",
            "standby",
            "dr",
            "main",
            "zone",
            "site",
            "region",
            "writer",
            "reader",
            "replica",
        ];
        let all = words(text);
        let named = all.iter().any(|word| word.is_one_of(&places) || region_of(&word.text).is_some());
        if named { all.into_iter().map(|word| word.text).collect() } else { Vec::new() }
    };
    let dr = |row: &Row| match &row.dr {
        DrCell::Said { text, .. } => marks(text),
        DrCell::Empty => Vec::new(),
    };
    marks(&a.purpose) != marks(&b.purpose) || dr(a) != dr(b)
}

/// Places in rows and steps that are not among the zones. Without any zones that is another matter, said once.
fn zones_elsewhere(document: &Document, findings: &mut Vec<Finding>) {
    let known: Vec<&str> = document.zones.iter().map(|zone| zone.name.as_str()).collect();
    if known.is_empty() {
        return;
    }
    // What is stored elsewhere is to be elsewhere, and a machine image has a region of its own.
    let elsewhere = |row: &&Row| {
        row.kind.is_none()
            || matches!(row.dr, DrCell::Said { protection: Some(Protection::StoredElsewhere), .. })
    };
    // A row beside a zone that is misspelt, and was said to be, has the right name.
    let mended = |zone: &str| {
        known.iter().any(|known| is_near(known, zone) && place(known) == Some(Place::NearRegion))
    };
    let rows = document.assets.iter().filter(|row| !elsewhere(row)).map(|row| (&row.zones, row.line, true));
    for (zones, line, row) in rows.chain(steps(document).map(|step| (&step.zones, step.line, false))) {
        let unlisted = zones.iter().map(String::as_str).filter(|zone| !known.contains(zone));
        let unlisted: Vec<&str> = unlisted.filter(|zone| !(row && mended(zone))).collect();
        let Some(first) = unlisted.first() else { continue };
        let is = if unlisted.len() == 1 { "is not one of" } else { "are none of" };
        let message = format!("`{}` {is} the zones ({})", unlisted.join("`, `"), known.join(", "));
        let remedy = match known.iter().find(|known| is_near(known, first)) {
            Some(near) => format!("write {near}, if that is meant"),
            None => "correct it, or list it as a zone".to_owned(),
        };
        findings.push(Finding::new(Code::ZoneUnlisted, line, message, remedy));
    }
}

/// Assets that the text names and the table leaves out, each at its first mention.
fn not_in_table(document: &Document, findings: &mut Vec<Finding>) {
    // Without a table everything is left out, and that is said.
    if document.assets.is_empty() {
        return;
    }
    let mut there: HashSet<AssetKind> = document.assets.iter().filter_map(|row| row.kind).collect();
    // A row whose kind can't be told is most often about machines.
    let untold = document.assets.iter().any(|row| row.kind.is_none() && kind::other(&row.name).is_none());
    there.extend(untold.then_some(AssetKind::Compute));
    let backup = |all: &[Word]| has_any(all, &["backup", "snapshot"]);
    let mut backups =
        document.assets.iter().any(|row| backup(&words(&format!("{} {}", row.name, row.purpose))));
    let texts = document.descriptions.iter().map(|prose| (prose.text.as_str(), prose.line));
    let texts = texts.chain(steps(document).map(|step| (step.text.as_str(), step.line)));
    for (text, line) in texts {
        let all = words(text);
        for kind in
            all.iter().filter(|word| !word.guessed && !kind::is_generic(word)).filter_map(kind::of_word)
        {
            if there.insert(kind) {
                let message = format!("this names {}, and the table has no row for them", named(kind));
                findings.push(Finding::new(
                    Code::NotInTable,
                    line,
                    message,
                    "add a row, with how it is protected",
                ));
            }
        }
        if !backups && backup(&all) && !has(&all, "restore") {
            backups = true;
            let message = "this names backups, and no row of the table is about them";
            findings.push(Finding::new(
                Code::NotInTable,
                line,
                message,
                "add a row: where they are, and how often",
            ));
        }
    }
}

fn named(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Dns => "DNS records",
        AssetKind::Kubernetes => "Kubernetes clusters",
        AssetKind::Database => "databases",
        AssetKind::Compute
        | AssetKind::LoadBalancer
        | AssetKind::ObjectStorage
        | AssetKind::KeyPair
        | AssetKind::Monitoring
        | AssetKind::Repository => noun(kind),
    }
}

fn owners(document: &Document, findings: &mut Vec<Finding>) {
    for plan in &document.plans {
        let without = plan.steps.iter().filter(|step| step.owner.is_none()).count();
        if without > 0 {
            let all = plan.steps.len();
            let message = format!("steps without an owner: {without} of {all} in `{}`", plan.title);
            findings.push(Finding::new(
                Code::NoOwner,
                plan.line,
                message,
                "write who does it: (owner: NAME)",
            ));
        }
    }
}
