//! What people wrote is taken over, written, and read back as it was.

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, DrCell, Prose, Row};
use bascule_core::facts::{Facts, Source};
use bascule_core::inventory::inventory;
use bascule_core::render::{Kept, Told, document_matches};

use crate::sheet::Parts;
use crate::site::{AWAY, HOME, at, group, region, sound};

fn row(line: usize, kind: Option<AssetKind>, name: &str, size: Option<&str>, count: Option<u32>) -> Row {
    Row {
        kind,
        name: name.to_owned(),
        purpose: format!("what {name} is for"),
        size: size.map(str::to_owned),
        quantity: count.map(Quantity::Total),
        dr: DrCell::Empty,
        zones: Vec::new(),
        line,
    }
}

fn by_hand() -> Document {
    let notes = ["Orders are kept for ten years | by *law*.", "Ask [Ann](mailto:a) first & last"];
    let note = |(n, text): (usize, &&str)| Prose { text: (*text).to_owned(), line: 90 + n };
    Document {
        assets: vec![
            row(10, Some(AssetKind::Compute), "EC2 instances", Some("t3.large (burst)"), Some(9)),
            row(11, Some(AssetKind::Database), "RDS cluster", Some("db.t3.small"), Some(1)),
            row(12, Some(AssetKind::ObjectStorage), "S3 buckets", None, Some(1)),
            row(13, Some(AssetKind::KeyPair), "Jump host's key", None, Some(2)),
            row(14, Some(AssetKind::KeyPair), "admin", None, None),
            row(15, Some(AssetKind::Kubernetes), "Kubernetes cluster watch", None, None),
            row(16, Some(AssetKind::Kubernetes), "Kubernetes cluster", None, Some(2)),
            row(17, None, "Vault | SQS", Some("c5"), Some(3)),
        ],
        descriptions: notes.iter().enumerate().map(note).collect(),
        ..Document::default()
    }
}

/// The document that is written from facts and an older one, and what is told of that.
fn written(mut facts: Facts, mut kept: Kept) -> (String, Vec<Told>) {
    let items = inventory(&facts);
    let told = kept.take_over(&mut facts.wanted, &items, &[region(HOME), region(AWAY)], "older.md");
    let mut parts = Parts::of(facts);
    parts.kept = kept;
    (parts.markdown(), told)
}

#[test]
fn what_was_taken_over_is_read_back_and_matches() {
    let (first, told) = written(sound(), Kept::of(&by_hand()));
    for line in [
        "| Instances app | what EC2 instances is for | t3.medium (wanted: t3.large (burst)) | 3 per region | deployed |",
        "| Database cluster orders | what RDS cluster is for | db.t3.small | 3 per region | replicated |",
        "| Bucket backups | what S3 buckets is for | NA | 1 per region | replicated |",
        "| Key pair Jump host's key | what Jump host's key is for | NA | 2 (found: none in north-1, none in south-1) | unknown |",
        "| Kubernetes cluster | what Kubernetes cluster is for | NA | 2 (found: none in north-1, none in south-1) | unknown |",
        "| Vault \\| SQS | what Vault \\| SQS is for | not observed (wanted: c5) | 3 (found: not observed) | unknown |",
        "- Noted, not observed: Orders are kept for ten years \\| by \\*law\\*.",
    ] {
        assert!(first.contains(&format!("\n{line}\n")), "{line}\n{first}");
    }
    assert_eq!(told.iter().map(|t| t.line).collect::<Vec<_>>(), [13, 16, 17], "{told:?}");
    let again = Kept::again(&first).expect("it was written here");
    assert!(
        again.is_ours()
            && again.notes.iter().map(|n| &n.text).eq(by_hand().descriptions.iter().map(|n| &n.text))
    );
    let (second, told) = written(sound(), again);
    assert_eq!(document_matches(&first, &second), []);
    assert_eq!(told.len(), 3, "they stay marked");
}

#[test]
fn what_was_seen_is_not_asked_for_when_it_is_read_back() {
    let (first, _) = written(sound(), Kept::of(&by_hand()));
    let mut facts = sound();
    facts.wanted.clear();
    Kept::again(&first).unwrap().take_over(&mut facts.wanted, &inventory(&sound()), &[], "dr.md");
    let of = |kind| facts.wanted.iter().find(|w| w.kind == kind).unwrap();
    assert_eq!(of(AssetKind::Database).size, None, "it was seen to be so");
    assert_eq!(of(AssetKind::Compute).size.as_deref(), Some("t3.large (burst)"));
    assert_eq!(of(AssetKind::Compute).quantity, None);
    assert_eq!(of(AssetKind::Compute).from, Source::Line { file: "dr.md".to_owned(), line: 14 });
}

#[test]
fn an_asset_whose_name_looks_like_another_kind_is_known_again() {
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        at(&mut region.compute).insert("git bucket runner".to_owned(), group("x"));
        at(&mut region.compute).insert("Instances of old".to_owned(), group("y"));
    }
    let (first, _) = written(facts.clone(), Kept::default());
    let (second, told) = written(facts, Kept::again(&first).unwrap());
    assert_eq!((document_matches(&first, &second), told), (vec![], vec![]));
}

#[test]
fn an_asset_that_has_gone_stays_in_the_table_until_somebody_deletes_it() {
    let (first, _) = written(sound(), Kept::default());
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        at(&mut region.key_pair).clear();
    }
    let (second, told) = written(facts, Kept::again(&first).unwrap());
    assert!(second.contains("| Key pair admin | not said | NA | 0 per region | unknown |"), "{second}");
    assert!(told[0].what.contains("nothing of this site is it"), "{told:?}");
}

#[test]
fn a_document_that_people_wrote_is_not_taken_for_one_of_ours() {
    let text =
        "| Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n| Web | | t3 (wanted: t4) | 2 | |\n";
    assert_eq!(Kept::again(text), None);
    assert_eq!(Kept::again(&format!("{text}\nObserved: 2 of 3 fail\n")), None);
}

#[test]
fn one_asset_on_a_row_for_each_region_is_one_asset() {
    let mut older = by_hand();
    older.assets = [HOME, AWAY]
        .map(|zone| Row {
            zones: vec![zone.to_owned()],
            ..row(10, Some(AssetKind::Compute), &format!("web ({zone})"), Some("t3.medium"), Some(2))
        })
        .into();
    let (text, told) = written(sound(), Kept::of(&older));
    assert_eq!(told, []);
    assert!(text.contains("| t3.medium | 3 per region | deployed |"), "{text}");
}
