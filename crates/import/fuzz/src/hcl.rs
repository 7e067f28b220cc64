//! Any bytes as code, beside a file of variables: the reader answers, all that it names is there, and facts are made of
//! whatever it read.
#![no_main]

use bascule_core::time::Timestamp;
use bascule_import::{Papers, facts, terraform};
use libfuzzer_sys::fuzz_target;

/// What parts the code from its variables.
const CUT: &[u8] = b"\n# terraform.tfvars\n";

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.windows(CUT.len()).position(|window| window == CUT);
    let (code, variables) = cut.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + CUT.len()..]));
    let declared = terraform::read(&[("root/main.tf", code), ("root/terraform.tfvars", variables)]);
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(declared.findings.iter().all(|noted| noted.finding.line <= lines && !noted.file.is_empty()));
    assert!(
        declared.resources.iter().all(|resource| resource.place.line <= lines && resource.root == "root")
    );
    assert!(declared.modules.iter().all(|module| module.place.line <= lines));
    let known = facts(&Papers { document: None, declared: Some(&declared), at: Timestamp(0) });
    assert!(known.home.name != known.away.name);
});
