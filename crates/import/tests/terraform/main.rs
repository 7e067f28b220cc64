//! What the readers of Terraform make of a team's papers.

mod code;
mod hostile;
mod pages;
mod shown;

use std::path::Path;

use bascule_import::Code;
use bascule_import::terraform::{Declared, Known, Resource, read};

/// A fixture's bytes.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terraform/fixtures");
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Read fixtures together, as one site.
fn site(names: &[&str]) -> Declared {
    let bytes: Vec<Vec<u8>> = names.iter().map(|name| fixture(name)).collect();
    let files: Vec<_> = names.iter().zip(&bytes).map(|(name, bytes)| (*name, &bytes[..])).collect();
    read(&files)
}

/// A resource by its address; there is exactly one.
fn at<'d>(declared: &'d Declared, address: &str) -> &'d Resource {
    let found: Vec<_> = declared.resources.iter().filter(|r| r.address == address).collect();
    assert_eq!(found.len(), 1, "{address} in {:?}", declared.resources);
    found[0]
}

fn codes(declared: &Declared) -> Vec<Code> {
    declared.findings.iter().map(|noted| noted.finding.code).collect()
}

/// Where a finding of a code is: file, line, message.
fn found(declared: &Declared, code: Code) -> Vec<(&str, usize, &str)> {
    let findings = declared.findings.iter().filter(|noted| noted.finding.code == code);
    findings.map(|noted| (&*noted.file, noted.finding.line, &*noted.finding.message)).collect()
}

fn is<T>(value: T) -> Known<T> {
    Known::Is(value)
}

fn text(value: &str) -> Known<String> {
    is(value.to_owned())
}

fn set(value: &str) -> Known<Option<String>> {
    is(Some(value.to_owned()))
}

fn why<T>(known: &Known<T>) -> &str {
    match known {
        Known::Is(_) => panic!("this should not be known"),
        Known::Unknown { why } => why,
    }
}
