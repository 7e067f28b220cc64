//! Any bytes as what `terraform show -json` prints: the reader answers, all that it names is there, no sensitive value
//! comes through, and facts are made of whatever it read.
#![no_main]

use bascule_core::time::Timestamp;
use bascule_import::{Papers, facts, terraform};
use libfuzzer_sys::fuzz_target;

/// Stands for a password in the corpus. A mutated input may hold it in a place that is not sensitive, so only the ones that
/// are certainly secret are looked for: it must not come through in a message.
const SECRET: &str = "hunter2";

fuzz_target!(|bytes: &[u8]| {
    let declared = terraform::read(&[("state.json", bytes)]);
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(declared.findings.iter().all(|noted| noted.finding.line <= lines && !noted.file.is_empty()));
    assert!(declared.resources.iter().all(|resource| resource.place.line <= lines));
    let syntax =
        declared.findings.iter().filter(|noted| noted.finding.message.contains("can't be read as JSON"));
    assert!(syntax.into_iter().all(|noted| !noted.finding.message.contains(SECRET)));
    let known = facts(&Papers { document: None, declared: Some(&declared), at: Timestamp(0) });
    assert!(known.home.name != known.away.name);
});
