//! Input that means harm, and input that is large.

use std::time::{Duration, Instant};

use bascule_import::terraform::{Facts, hcl, json, read};
use bascule_import::{Code, MAX_BYTES};

use super::{codes, fixture, is};

const CODE: [&str; 8] = [
    "east/main.tf",
    "values/main.tf",
    "calls/main.tf",
    "database.tf",
    "names.tf",
    "storage.tf",
    "network.tf",
    "platform.tf",
];
const SHOWN: [&str; 6] = [
    "state.json",
    "plan.json",
    "state_modules.json",
    "state_secrets.json",
    "state_ragged.json",
    "state_old.json",
];

/// The longest that any of these may take, on a busy machine and without optimisation: a hang is what is looked for.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn whatever_is_nested_too_deep_is_refused() {
    let deep = 200_000;
    let code = [
        format!("a = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a = {}", "(".repeat(deep)),
        format!("a = {}1", "!".repeat(deep)),
        format!("a = {}1", "-".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        "a {\n".repeat(deep),
        format!("a = {}1", "1 + ".repeat(deep)),
        format!("a = {}1", "b ? c : ".repeat(deep)),
        format!("a = \"{}", "${\"".repeat(deep)),
        format!("a = \"{}", "%{ if a }".repeat(deep)),
        format!("a = {}", "f(".repeat(deep)),
        format!("a = {}", "[for a in ".repeat(deep)),
        format!("a = b{}", "[b".repeat(deep)),
        format!("# [\na = {}1", "[ # ]\n".repeat(deep)),
    ];
    for text in code {
        let declared = hcl::read("deep.tf", text.as_bytes());
        let shown: String = text.chars().take(20).collect();
        assert_eq!(codes(&declared), [Code::TooLarge], "{shown}: {:?}", declared.findings);
    }
    for text in ["[".repeat(deep), "{\"a\":".repeat(deep)] {
        assert_eq!(codes(&json::read(text.as_bytes())), [Code::TooLarge]);
    }
}

#[test]
fn more_than_the_limit_is_refused_unread() {
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(codes(&hcl::read("large.tf", &large)), [Code::TooLarge]);
    assert_eq!(codes(&json::read(&large)), [Code::TooLarge]);
    let half = vec![b'\n'; 4_000_000];
    assert_eq!(codes(&read(&[("a/a.tf", &half), ("a/b.tf", &half)])), [Code::TooLarge], "a folder in all");
}

#[test]
fn values_that_double_themselves_come_to_an_end() {
    let begun = Instant::now();
    let mut lists = "locals {\n  l0 = [1, 1]\n  s0 = \"xxxxxxxxxxxxxxxx\"\n".to_owned();
    for i in 1..60 {
        let p = i - 1;
        lists += &format!("  l{i} = [local.l{p}, local.l{p}]\n  s{i} = \"${{local.s{p}}}${{local.s{p}}}\"\n");
    }
    lists += "  loop = [local.loop, local.loop]\n}\n";
    lists += "resource \"aws_instance\" \"a\" {\n  x = local.l59\n  y = local.s59\n  z = local.loop\n}\n";
    let declared = hcl::read("bomb.tf", lists.as_bytes());
    assert!(codes(&declared).contains(&Code::TooLarge));
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn one_object_of_very_many_keys_is_refused() {
    let keys: String = (0..5000).map(|i| format!("k{i}=1\n")).collect();
    assert_eq!(codes(&hcl::read("keys.tf", format!("a = {{\n{keys}}}").as_bytes())), [Code::TooLarge]);
}

#[test]
fn odd_bytes_are_findings() {
    for bytes in [&b"\xff\xfe"[..], b"\0", b"\xef\xbb\xbf\xff", b"resource", b"a = \"", b"a = <<E\n", b"{"] {
        let (code, shown) = (hcl::read("odd.tf", bytes), json::read(bytes));
        assert!(!code.findings.is_empty() && !shown.findings.is_empty(), "{bytes:?}");
        assert!(code.resources.is_empty() && shown.resources.is_empty());
    }
    for text in ["", "\u{feff}", "\r\n\r\n"] {
        assert!(hcl::read("empty.tf", text.as_bytes()).findings.is_empty());
        assert_eq!(codes(&json::read(text.as_bytes())), [Code::Unreadable]);
    }
    let dos = String::from_utf8(fixture("names.tf")).unwrap().replace('\n', "\r\n");
    let declared = hcl::read("dos.tf", format!("\u{feff}{dos}").as_bytes());
    assert_eq!(declared.resources.len(), 5);
    assert_eq!(declared.resources[1].place.line, 5);
}

#[test]
fn a_mistake_in_code_is_told_without_the_line_that_may_hold_a_secret() {
    let declared = hcl::read("x.tf", b"a {\n  password = \"hunter2\" oops\n}\n");
    assert_eq!(codes(&declared), [Code::TerraformSyntax]);
    assert_eq!(declared.findings[0].finding.line, 2);
    assert!(!format!("{declared:?}").contains("hunter2"));
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
}

/// Bytes that matter to either language.
const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"${",
    b"%{ if a }",
    b"<<E\n",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"\\u0000",
    b"\n",
    b",",
    b":",
    b"=",
    b"count = ",
    b"for_each = ",
    b"dynamic \"x\" {}",
    b"\xff",
    b"4294967296",
    b"local.loop",
    b"[0]",
];

fn mutated(seeds: &mut Seeded, source: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..=seeds.below(6) {
        let at = seeds.below(bytes.len().max(1)).min(bytes.len());
        match seeds.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, TOKENS[seeds.below(TOKENS.len())].iter().copied())),
            2 => {
                let end = (at + seeds.below(40)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            3 => {
                let from = seeds.below(other.len());
                let to = (from + seeds.below(80)).min(other.len());
                drop(bytes.splice(at..at, other[from..to].iter().copied()));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << seeds.below(8);
                }
            }
        }
    }
    bytes
}

#[test]
fn no_mutation_of_any_fixture_makes_a_reader_panic_or_hang() {
    let mut seeds = Seeded(0x9e37_79b9_7f4a_7c15);
    let code: Vec<_> = CODE.iter().map(|name| fixture(name)).collect();
    let shown: Vec<_> = SHOWN.iter().map(|name| fixture(name)).collect();
    let begun = Instant::now();
    for _ in 0..1500 {
        let (a, b) = (seeds.below(code.len()), seeds.below(code.len()));
        let text = mutated(&mut seeds, &code[a], &code[b]);
        let read = hcl::read("mutated.tf", &text);
        assert!(read.resources.len() < 200);
        let (a, b) = (seeds.below(shown.len()), seeds.below(shown.len()));
        let text = mutated(&mut seeds, &shown[a], &shown[b]);
        assert!(json::read(&text).resources.len() < 200);
    }
    assert!(begun.elapsed() < LONG * 3, "{:?}", begun.elapsed());
}

fn state_of(number: usize) -> String {
    let resource = |i: usize| {
        format!(
            "{{\"address\": \"aws_instance.web[{i}]\", \"mode\": \"managed\", \"type\": \"aws_instance\", \"name\": \"web\",
            \"values\": {{\"id\": \"i-{i}\", \"instance_type\": \"t3.medium\", \"ami\": \"ami-1\",
            \"availability_zone\": \"us-east-2a\", \"tags\": {{\"Name\": \"web-{i}\"}}}}, \"sensitive_values\": {{}}}}"
        )
    };
    let list: Vec<String> = (0..number).map(resource).collect();
    let list = list.join(",\n");
    format!("{{\"format_version\": \"1.0\", \"values\": {{\"root_module\": {{\"resources\": [{list}]}}}}}}")
}

fn code_of(number: usize) -> String {
    let resource = |i: usize| {
        format!(
            "resource \"aws_instance\" \"web{i}\" {{\n  instance_type = \"t3.medium\"\n  ami = \"ami-1\"\n  tags = {{\n    Name = \"web-{i}\"\n  }}\n}}\n"
        )
    };
    (0..number).map(resource).collect()
}

#[test]
fn a_thousand_and_ten_thousand_resources_are_read_whole() {
    for number in [1000, 10_000] {
        let begun = Instant::now();
        for declared in
            [json::read(state_of(number).as_bytes()), hcl::read("large.tf", code_of(number).as_bytes())]
        {
            assert_eq!(declared.resources.len(), number, "{:?}", declared.findings.first());
            let last = &declared.resources[number - 1];
            assert_eq!(last.units(), is(1));
            assert!(matches!(&last.facts, Facts::Instance { size, .. } if size.get().is_some()));
            assert!(last.place.line > number, "{}", last.place);
        }
        assert!(begun.elapsed() < LONG, "{number}: {:?}", begun.elapsed());
    }
}
