//! Any bytes: the reader of Markdown documents answers, every line that it names is there, and no row is dropped.
#![no_main]

use std::collections::BTreeSet;

use bascule_import::markdown::{self, Imported};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // CR and LF each end a line, so this is no less than the lines there are.
    let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    match markdown::read(bytes) {
        Ok(imported) => {
            assert!(imported.findings.iter().all(|finding| finding.line <= lines));
            assert!(imported.document.assets.iter().all(|row| row.line <= lines && !row.name.is_empty()));
            nothing_dropped(bytes, &imported);
        }
        Err(finding) => assert!(finding.line <= lines),
    }
});

/// Of each run of lines that begin with a pipe, at most its header is neither read nor found fault with.
fn nothing_dropped(bytes: &[u8], imported: &Imported) {
    let document = &imported.document;
    let plans = &document.plans;
    let mut accounted: BTreeSet<usize> = imported.findings.iter().map(|finding| finding.line).collect();
    accounted.extend(document.assets.iter().map(|row| row.line));
    accounted.extend(document.zones.iter().map(|zone| zone.line));
    accounted.extend(document.descriptions.iter().map(|prose| prose.line));
    accounted.extend(plans.iter().flat_map(|plan| plan.pre_steps.iter().chain(&plan.steps)).map(|step| step.line));
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let mut silent = 0;
    for (at, line) in text.split('\n').enumerate() {
        let held = line.contains(char::is_alphanumeric) && !accounted.contains(&(at + 1));
        // A heading in a row begins another table, with a header of its own.
        let heading = line.trim_start_matches(['|', ' ']).starts_with('#');
        let row = line.starts_with('|') && !heading;
        silent = if row { silent + usize::from(held) } else { 0 };
        assert!(silent <= 1, "line {} is dropped", at + 1);
    }
}
