//! The document beside the code, and the manifest that is made from both.

use std::path::Path;

use bascule_core::asset::{AssetKind, Quantity};
use bascule_core::document::{Document, DrCell, Intent, Row, WrittenPlan, WrittenStep, Zone};
use bascule_core::manifest::{Manifest, Target};
use bascule_import::Code;
use bascule_import::site::{AskedBy, Difference, Entry, Written, compare, render, write};
use bascule_import::terraform::{Declared, read};

fn site(names: &[&str]) -> Declared {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terraform/fixtures");
    let bytes: Vec<_> =
        names.iter().map(|name| std::fs::read(folder.join(name)).expect("a fixture")).collect();
    let files: Vec<_> = names.iter().zip(&bytes).map(|(name, bytes)| (*name, &bytes[..])).collect();
    read(&files)
}

const TWO: [&str; 4] = ["east/main.tf", "east/variables.tf", "west/main.tf", "west/variables.tf"];

fn row(kind: AssetKind, quantity: Option<Quantity>, size: Option<&str>, line: usize) -> Row {
    Row {
        kind: Some(kind),
        name: kind.as_str().to_owned(),
        purpose: String::new(),
        size: size.map(str::to_owned),
        quantity,
        dr: DrCell::Empty,
        zones: Vec::new(),
        line,
    }
}

fn document(zones: &[&str], assets: Vec<Row>, wanted: &[(AssetKind, Quantity)]) -> Document {
    let step = |(at, (kind, to)): (usize, &(AssetKind, Quantity))| WrittenStep {
        text: "more of them".to_owned(),
        intents: vec![Intent::Scale { kind: *kind, to: *to }],
        zones: Vec::new(),
        owner: None,
        done: None,
        line: 40 + at,
    };
    Document {
        zones: zones.iter().zip(3..).map(|(name, line)| Zone { name: (*name).to_owned(), line }).collect(),
        assets,
        descriptions: Vec::new(),
        plans: vec![WrittenPlan {
            title: "Plan".to_owned(),
            line: 30,
            pre_steps: wanted.iter().enumerate().map(step).collect(),
            steps: Vec::new(),
        }],
    }
}

/// What a manifest promises, whatever it was made from.
fn parsed(written: &Written) -> Manifest {
    let manifest =
        Manifest::parse(&written.text).unwrap_or_else(|error| panic!("{error:?}\n{}", written.text));
    assert_eq!(written.text.matches("# guess: ").count(), written.guesses);
    manifest
}

fn codes(entries: &[Entry]) -> Vec<(Code, Option<AssetKind>)> {
    entries.iter().map(|entry| (entry.code, entry.kind)).collect()
}

#[test]
fn what_agrees_is_not_mentioned() {
    let rows = vec![
        row(AssetKind::Compute, Some(Quantity::Total(5)), Some("t3.medium"), 10),
        row(AssetKind::LoadBalancer, Some(Quantity::PerRegion(1)), None, 11),
        row(AssetKind::KeyPair, Some(Quantity::Total(2)), None, 12),
    ];
    let entries = compare(&document(&["us-east-2", "us-west-1b"], rows, &[]), &site(&TWO));
    assert_eq!(entries, []);
}

#[test]
fn each_difference_is_told_with_both_places() {
    let rows = vec![
        row(AssetKind::Compute, Some(Quantity::Total(2)), Some("t2.small"), 10),
        row(AssetKind::Database, Some(Quantity::Total(1)), None, 11),
        row(AssetKind::LoadBalancer, Some(Quantity::Total(2)), None, 12),
    ];
    let wanted = [(AssetKind::Compute, Quantity::PerRegion(3))];
    let entries = compare(&document(&["us-east-2", "eu-west-1"], rows, &wanted), &site(&TWO));
    let (compute, database) = (Some(AssetKind::Compute), Some(AssetKind::Database));
    assert_eq!(
        codes(&entries),
        [
            (Code::SiteNumberDiffers, compute),
            (Code::SiteNumberDiffers, compute),
            (Code::SiteSizeDiffers, compute),
            (Code::SiteOnlyInDocument, database),
            (Code::SiteOnlyInCode, Some(AssetKind::KeyPair)),
            (Code::SiteZoneDiffers, None),
            (Code::SiteZoneDiffers, None),
        ]
    );
    let code = vec![("us-east-2".to_owned(), 3), ("us-west-1".to_owned(), 2)];
    let (asked_by, said) = (AskedBy::PreStep, Quantity::PerRegion(3));
    assert_eq!(entries[1].difference, Difference::Number { asked_by, document: said, code });
    assert_eq!(
        (entries[1].document_line, entries[1].code_place.as_ref().map(|p| p.line)),
        (Some(40), Some(18))
    );
    let text = render(&entries);
    assert_eq!(text.lines().count(), entries.len());
    let first = "BSC-I072 compute: the table says 2; the code makes 3 in us-east-2, 2 in us-west-1 \
                 (document line 10; code east/main.tf:18)";
    assert_eq!(text.lines().next(), Some(first));
    assert!(text.contains(
        "BSC-I074 eu-west-1 is in the document, but nothing in the code is there (document line 4)"
    ));
}

#[test]
fn a_primary_and_its_standby_on_two_rows_count_together() {
    let rows = vec![
        row(AssetKind::Compute, Some(Quantity::Total(3)), None, 10),
        row(AssetKind::Compute, Some(Quantity::Total(2)), None, 11),
        row(AssetKind::KeyPair, None, None, 12),
        row(AssetKind::LoadBalancer, None, None, 13),
    ];
    assert_eq!(compare(&document(&["us-east-2", "us-west-1"], rows, &[]), &site(&TWO)), []);
}

#[test]
fn what_a_module_hides_is_no_difference() {
    let rows = vec![row(AssetKind::Database, Some(Quantity::Total(3)), None, 10)];
    let entries = compare(&document(&["us-east-2"], rows, &[]), &site(&["calls/main.tf"]));
    assert_eq!(entries[0].code, Code::SiteOnlyInCode, "the node group");
    let database: Vec<_> = entries.iter().filter(|entry| entry.kind == Some(AssetKind::Database)).collect();
    assert_eq!(database.len(), 1);
    assert!(
        matches!(&database[0].difference, Difference::NotComparable { why } if why.contains("module.web"))
    );
}

#[test]
fn an_unknown_number_differs_only_if_the_known_part_is_too_much_already() {
    let code = site(&["values/main.tf", "values/terraform.tfvars"]);
    let entries = |number| {
        let rows = vec![row(AssetKind::Compute, Some(Quantity::Total(number)), None, 10)];
        codes(&compare(&document(&["us-east-2", "us-west-1"], rows, &[]), &code))
    };
    assert_eq!(entries(9), [(Code::SiteNotComparable, Some(AssetKind::Compute))]);
    assert_eq!(entries(4), [(Code::SiteNotComparable, Some(AssetKind::Compute))]);
    assert_eq!(entries(3), [(Code::SiteNumberDiffers, Some(AssetKind::Compute))]);
}

#[test]
fn a_manifest_takes_what_is_known_and_marks_the_rest() {
    let wanted = [(AssetKind::Database, Quantity::Total(3))];
    let code = site(&[
        "east/main.tf",
        "east/variables.tf",
        "west/main.tf",
        "west/variables.tf",
        "names.tf",
        "database.tf",
    ]);
    let written = write(Some(&document(&["us-west-1", "us-east-2"], Vec::new(), &wanted)), Some(&code));
    let manifest = parsed(&written);
    assert_eq!(written.findings, []);
    assert_eq!(manifest.home.as_str(), "us-west-1", "the first of the zones is active");
    assert_eq!((manifest.database.name.as_str(), manifest.pool.database.as_str()), ("orders", "orders"));
    assert_eq!(manifest.names.zone.as_str(), "shop.example");
    let records: Vec<_> =
        manifest.names.records.iter().map(|r| (r.name.as_str(), r.target, r.ttl.as_secs())).collect();
    assert_eq!(
        records,
        [("app.shop.example", Target::LoadBalancer, 30), ("db.shop.example", Target::Pool, 300)]
    );
    for (region, instances) in [("us-east-2", 3), ("us-west-1", 2)] {
        let region = manifest.region(&region.parse().expect("a label")).expect("it is there");
        assert_eq!((region.database.members.len(), region.compute.instances.len()), (3, instances));
        assert_eq!(region.compute.instances[0].port(), 8080);
    }
    for line in
        ["name = \"orders\"\n", "home = \"us-west-1\"\n", "zone = \"shop.example\"\n", "ttl = \"5m\"\n"]
    {
        assert!(written.text.contains(line), "{line} is known, and unmarked");
    }
    assert!(written.text.contains("name = \"us-east-2-db1\" # guess: "));
    let unmarked = |line: &&str| line.contains("192.0.2.") && !line.contains("# guess: ");
    assert_eq!(written.text.lines().find(unmarked), None);
}

#[test]
fn fewer_or_more_than_two_regions_are_told_and_marked() {
    for (zones, home) in [
        (&[][..], "region-a"),
        (&["us-east-2"], "us-east-2"),
        (&["us-east-2a", "us-east-2b"], "us-east-2"),
        (&["somewhere in Ohio", "us-east-2"], "us-east-2"),
        (&["us-east-2", "us-west-1", "eu-west-1"], "us-east-2"),
    ] {
        let written = write(Some(&document(zones, Vec::new(), &[])), None);
        let found: Vec<Code> = written.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, [Code::SiteZones], "{zones:?}");
        let manifest = parsed(&written);
        assert_eq!(manifest.home.as_str(), home);
        let headings = written.text.lines().filter(|line| line.contains(".database] # guess: ")).count();
        assert!(headings > 0, "{}", written.text);
    }
}

#[test]
fn numbers_that_a_manifest_cannot_have_are_bounded_and_told() {
    for number in [0, u32::MAX] {
        let wanted = [(AssetKind::Database, Quantity::PerRegion(number))];
        let written = write(Some(&document(&["us-east-2", "us-west-1"], Vec::new(), &wanted)), None);
        parsed(&written);
        assert_eq!(written.findings.iter().filter(|f| f.code == Code::SiteNumber).count(), 2);
    }
}

#[test]
fn another_engine_is_told() {
    let code = read(&[("x.tf", b"resource \"aws_db_instance\" \"a\" {\n  engine = \"mysql\"\n}\n")]);
    let written = write(None, Some(&code));
    assert!(written.findings.iter().any(|finding| finding.code == Code::SiteEngine));
    parsed(&written);
}

/// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const ODD: [&str; 18] = [
    "us-east-2",
    "us-west-1a",
    "EU-WEST-1",
    "region-a",
    "region-b",
    "",
    " ",
    "a",
    "a\nb",
    "x\"]\n[store]",
    "-bad-",
    "1.2.3.4",
    "shop.example.",
    "_sip.example",
    "app.example.test",
    "é",
    "\u{0}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn quantity(seeds: &mut Seeded) -> Quantity {
    let number = seeds.pick(&[0, 1, 2, 3, 59, 61, 1000, u32::MAX]);
    if seeds.below(2) == 0 { Quantity::Total(number) } else { Quantity::PerRegion(number) }
}

fn some_document(seeds: &mut Seeded) -> Document {
    let zones: Vec<&str> = (0..seeds.below(5)).map(|_| seeds.pick(&ODD)).collect();
    let rows = (0..seeds.below(6)).map(|at| {
        let (kind, size) = (seeds.pick(AssetKind::ALL), seeds.pick(&ODD));
        let number = (seeds.below(3) > 0).then(|| quantity(seeds));
        Row { zones: vec![seeds.pick(&ODD).to_owned()], ..row(kind, number, Some(size), at) }
    });
    let rows: Vec<Row> = rows.collect();
    let wanted: Vec<_> = (0..seeds.below(4)).map(|_| (seeds.pick(AssetKind::ALL), quantity(seeds))).collect();
    document(&zones, rows, &wanted)
}

fn some_code(seeds: &mut Seeded) -> Declared {
    let mut text = String::new();
    let quoted = |text: &str| format!("{text:?}").replace("\\0", "");
    for at in 0..seeds.below(5) {
        text += &format!(
            "provider \"aws\" {{\n  alias  = \"p{at}\"\n  region = {}\n}}\n",
            quoted(seeds.pick(&ODD))
        );
    }
    for at in 0..seeds.below(12) {
        let of = [
            "aws_instance",
            "aws_db_instance",
            "aws_route53_zone",
            "aws_route53_record",
            "aws_lb_target_group",
        ];
        text +=
            &format!("resource {:?} \"r{at}\" {{\n  provider = aws.p{}\n", seeds.pick(&of), seeds.below(5));
        text += &format!(
            "  name = {}\n  db_name = {0}\n  count = {}\n",
            quoted(seeds.pick(&ODD)),
            seeds.below(200)
        );
        text +=
            &format!("  type = \"A\"\n  ttl = {}\n  port = {}\n", seeds.below(90_000), seeds.below(70_000));
        let alias = seeds.pick(&["aws_lb.a.dns_name", "aws_db_instance.a.address", "\"elsewhere\""]);
        text += &format!("  records = [{alias}]\n}}\n");
    }
    let declared = read(&[("site/main.tf", text.as_bytes())]);
    assert!(declared.findings.iter().all(|n| n.finding.code != Code::TerraformSyntax), "{text}");
    declared
}

#[test]
fn whatever_is_read_the_manifest_that_is_written_parses() {
    let mut seeds = Seeded(0x2545_f491_4f6c_dd1d);
    for _ in 0..200 {
        let (document, code) = (some_document(&mut seeds), some_code(&mut seeds));
        for (document, code) in
            [(Some(&document), Some(&code)), (Some(&document), None), (None, Some(&code)), (None, None)]
        {
            let written = write(document, code);
            assert_eq!(parsed(&written).regions.len(), 2);
        }
        let entries = compare(&document, &code);
        assert_eq!(render(&entries).lines().count(), entries.len(), "one line each");
    }
}
