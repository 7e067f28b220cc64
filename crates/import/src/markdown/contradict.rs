//! Where a document contradicts itself, or says what cannot be.
//!
//! Works on the document as it was read, so that other readers' documents can be judged too. Invariant: linear in the
//! document. What is only missing from a plan, or in a wrong order, is for the checks and not for here.

use std::collections::{HashMap, HashSet};

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, Intent, Row, WrittenPlan, WrittenStep};

use super::counts::counts;
use super::kind;
use super::region::{is_near, region_of};
use super::sizes::{is_database_class, retired};
use super::text::sentences;
use super::words::{Word, has, has_any, words};
use crate::finding::{Code, Finding};

/// Every contradiction, in no order.
#[must_use]
pub fn contradictions(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    numbers(document, &mut findings);
    for row in &document.assets {
        kind_confused(row, &mut findings);
        size(row, &mut findings);
    }
    rows_of_one_asset(document, &mut findings);
    zones_of_steps(document, &mut findings);
    not_in_table(document, &mut findings);
    owners(document, &mut findings);
    findings
}

/// The most numbers of one line that are found fault with: there are nine kinds, each with a number before and after.
const MAX_OF_LINE: usize = 18;

/// A number that a text says.
struct SaidNumber {
    kind: AssetKind,
    quantity: Quantity,
    line: usize,
    from: bool,
    /// Whether a step asks for it: what is to be, and not what is.
    asked: bool,
}

/// Numbers in descriptions and steps beside the table's.
fn numbers(document: &Document, findings: &mut Vec<Finding>) {
    let mut table: HashMap<AssetKind, Vec<(Quantity, usize)>> = HashMap::new();
    for row in &document.assets {
        if let (Some(kind), Some(quantity)) = (row.kind, row.quantity) {
            table.entry(kind).or_default().push((quantity, row.line));
        }
    }
    let known: HashMap<AssetKind, Known<'_>> =
        table.iter().map(|(kind, rows)| (*kind, Known::of(rows, document.zones.len()))).collect();
    let mut said: HashSet<(AssetKind, u64, usize)> = HashSet::new();
    let mut on_line: HashMap<usize, usize> = HashMap::new();
    for number in said_numbers(document) {
        let Some(known) = known.get(&number.kind) else { continue };
        let Some(total) = in_all(number.quantity, document.zones.len()) else { continue };
        if known.numbers.contains(&total) || !said.insert((number.kind, total, number.line)) {
            continue;
        }
        let count = on_line.entry(number.line).or_default();
        *count += 1;
        if *count > MAX_OF_LINE {
            continue;
        }
        let (table, line) = (known.shown(), known.rows[0].1);
        let what = noun(number.kind);
        let text = shown(number.quantity);
        let (message, remedy) = if number.from {
            (
                format!("this starts from {text} {what}; the table says {table} (line {line})"),
                "count them, and write the same number in both places",
            )
        } else if number.asked {
            (
                format!("a step asks for {text} {what}; the table says {table} (line {line})"),
                "if the step is done, write its number in the table; if not, it is still to be done",
            )
        } else {
            (
                format!("the text says {text} {what}; the table says {table} (line {line})"),
                "count them, and write the same number in both places",
            )
        };
        findings.push(Finding::new(Code::NumbersDisagree, number.line, message, remedy));
    }
}

/// The numbers that the table says of one kind: each row's, and all rows' together.
struct Known<'r> {
    numbers: HashSet<u64>,
    rows: &'r [(Quantity, usize)],
}

impl<'r> Known<'r> {
    fn of(rows: &'r [(Quantity, usize)], zones: usize) -> Self {
        let each: Vec<u64> = rows.iter().filter_map(|(quantity, _)| in_all(*quantity, zones)).collect();
        let sum = each.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        Self { numbers: each.into_iter().chain([sum]).collect(), rows }
    }

    fn shown(&self) -> String {
        // The first rows are enough for a message.
        const SHOWN: usize = 3;
        let texts: Vec<String> = self.rows.iter().take(SHOWN).map(|(quantity, _)| shown(*quantity)).collect();
        let more = if self.rows.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", texts.join(", "))
    }
}

/// How many in all; none if a number per region can't be multiplied. A document without zones means one place or two:
/// that is not known.
fn in_all(quantity: Quantity, zones: usize) -> Option<u64> {
    match quantity {
        Quantity::Total(n) => Some(u64::from(n)),
        Quantity::PerRegion(n) if zones > 0 => Some(u64::from(n).saturating_mul(zones as u64)),
        Quantity::PerRegion(_) => None,
    }
}

fn shown(quantity: Quantity) -> String {
    match quantity {
        Quantity::Total(n) => n.to_string(),
        Quantity::PerRegion(n) => format!("{n} per region"),
    }
}

fn said_numbers(document: &Document) -> Vec<SaidNumber> {
    let mut said = Vec::new();
    let mut from_text = |text: &str, line: usize, only_from: bool| {
        for sentence in sentences(text) {
            for count in counts(sentence).into_iter().filter(|count| !only_from || count.from) {
                said.push(SaidNumber {
                    kind: count.kind,
                    quantity: count.quantity,
                    line,
                    from: count.from,
                    asked: false,
                });
            }
        }
    };
    document.descriptions.iter().for_each(|prose| from_text(&prose.text, prose.line, false));
    steps(document).for_each(|step| from_text(&step.text, step.line, true));
    for step in steps(document) {
        for intent in &step.intents {
            if let Intent::Scale { kind, to } = intent {
                said.push(SaidNumber {
                    kind: *kind,
                    quantity: *to,
                    line: step.line,
                    from: false,
                    asked: true,
                });
            }
        }
    }
    said
}

fn steps(document: &Document) -> impl Iterator<Item = &WrittenStep> {
    document.plans.iter().flat_map(|plan: &WrittenPlan| plan.pre_steps.iter().chain(&plan.steps))
}

/// What one counts of a kind.
fn noun(kind: AssetKind) -> &'static str {
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
    let mut same: HashMap<(Name, Vec<String>), &Row> = HashMap::new();
    let mut named: HashMap<Name, &Row> = HashMap::new();
    for row in &document.assets {
        let (name, purpose) = ((row.kind, without_place(&row.name)), without_place(&row.purpose));
        let first = *named.entry(name.clone()).or_insert(row);
        let either_silent = row.purpose.is_empty() || first.purpose.is_empty();
        let before = if either_silent { first } else { *same.entry((name, purpose)).or_insert(row) };
        if before.line != row.line {
            findings.push(beside(before, row));
        }
    }
}

fn without_place(text: &str) -> Vec<String> {
    let all = words(text).into_iter();
    all.filter(|word| !word.is_one_of(PLACES) && region_of(&word.text).is_none())
        .map(|word| word.text)
        .collect()
}

/// What two rows of one asset say of each other.
fn beside(before: &Row, row: &Row) -> Finding {
    let elsewhere =
        words(&before.name) != words(&row.name) || before.zones != row.zones || said_place(before, row);
    let mut differ = Vec::new();
    if let (Some(a), Some(b)) = (&before.size, &row.size)
        && !a.eq_ignore_ascii_case(b)
    {
        differ.push(format!("the size ({a}, {b})"));
    }
    if !elsewhere && before.quantity != row.quantity {
        let number = |row: &Row| row.quantity.map_or("no number".to_owned(), shown);
        differ.push(format!("the number ({}, {})", number(before), number(row)));
    }
    if !elsewhere && before.dr != row.dr {
        differ.push("how it is protected".to_owned());
    }
    let stands = format!("`{}` stands on line {} too", row.name, before.line);
    if differ.is_empty() {
        let remedy = if elsewhere { "nothing, if they are its two places" } else { "delete one of the rows" };
        return Finding::new(Code::TwoRows, row.line, stands, remedy);
    }
    let message = format!("{stands}, and they differ in {}", differ.join(" and "));
    Finding::new(Code::RowsDisagree, row.line, message, "write what is so on both rows")
}

/// Whether one of two rows says in its purpose that it is the one in the other region.
fn said_place(a: &Row, b: &Row) -> bool {
    let place = |row: &Row| has_any(&words(&row.purpose), &["primary", "secondary", "standby", "dr"]);
    place(a) != place(b) || (place(a) && a.purpose != b.purpose)
}

/// Places in steps that are not among the zones. Without any zones that is another matter, said once.
fn zones_of_steps(document: &Document, findings: &mut Vec<Finding>) {
    let known: Vec<&str> = document.zones.iter().map(|zone| zone.name.as_str()).collect();
    if known.is_empty() {
        return;
    }
    for step in steps(document) {
        let unlisted = step.zones.iter().filter(|zone| !known.contains(&zone.as_str()));
        let unlisted: Vec<&str> = unlisted.map(String::as_str).collect();
        let Some(first) = unlisted.first() else { continue };
        let message = format!("`{}` is not one of the zones ({})", unlisted.join("`, `"), known.join(", "));
        let remedy = match known.iter().find(|known| is_near(known, first)) {
            Some(near) => format!("write {near}, if that is meant"),
            None => "correct it, or list it as a zone".to_owned(),
        };
        findings.push(Finding::new(Code::ZoneUnlisted, step.line, message, remedy));
    }
}

/// Assets that the text names and the table leaves out, each at its first mention.
fn not_in_table(document: &Document, findings: &mut Vec<Finding>) {
    // Without a table everything is left out, and that is said.
    if document.assets.is_empty() {
        return;
    }
    let mut there: HashSet<AssetKind> = document.assets.iter().filter_map(|row| row.kind).collect();
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
