//! Any bytes: the reader of Markdown documents answers, and every line that it names is there.
#![no_main]

use bascule_import::markdown;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // CR and LF each end a line, so this is no less than the lines there are.
    let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    match markdown::read(bytes) {
        Ok(imported) => {
            let document = &imported.document;
            assert!(imported.findings.iter().all(|finding| finding.line <= lines));
            assert!(document.assets.iter().all(|row| (1..=lines).contains(&row.line) && !row.name.is_empty()));
            assert!(document.zones.iter().all(|zone| (1..=lines).contains(&zone.line)));
            let steps = document.plans.iter().flat_map(|plan| plan.pre_steps.iter().chain(&plan.steps));
            assert!(steps.into_iter().all(|step| (1..=lines).contains(&step.line) && !step.text.is_empty()));
        }
        Err(finding) => assert!(finding.line <= lines),
    }
});
