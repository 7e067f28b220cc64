//! The scripts in `scenarios/`, each held to its transcript; and what is no script.
//!
//! `BLESS=1` writes the transcripts anew.

use std::path::{Path, PathBuf};

use bascule_sim::scenario::{self, Failed};

/// A transcript that is longer is read by nobody.
const LINES_MAX: usize = 150;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn play(script: &str) -> Result<String, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(scenario::play(script))
}

fn stems(of: &Path, extension: &str) -> Vec<String> {
    let files = std::fs::read_dir(of).expect("the folder is there").flatten().map(|f| f.path());
    let ours = files.filter(|p| p.extension().is_some_and(|e| e == extension));
    let mut stems: Vec<String> = ours.filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned())).collect();
    stems.sort();
    stems
}

#[test]
fn every_script_plays_as_its_transcript_says() {
    let golden = folder().join("golden");
    let scripts = stems(&folder(), "scn");
    assert!(scripts.len() >= 8, "{scripts:?}");
    let mut wrong = Vec::new();
    for name in &scripts {
        let script = std::fs::read_to_string(folder().join(format!("{name}.scn"))).expect("it is there");
        let transcript = play(&script).unwrap_or_else(|e| panic!("{name}.scn, {e}"));
        assert!(transcript.lines().count() < LINES_MAX, "{name}: {} lines", transcript.lines().count());
        let file = golden.join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &transcript).expect("it can be written");
        } else if std::fs::read_to_string(&file).unwrap_or_default() != transcript {
            wrong.push(format!("{name}:\n{transcript}"));
        }
    }
    assert!(wrong.is_empty(), "not as in scenarios/golden (BLESS=1 accepts it):\n{}", wrong.join("\n"));
    if std::env::var_os("BLESS").is_none() {
        assert_eq!(stems(&golden, "txt"), scripts, "each transcript has its script");
    }
}

#[test]
fn the_same_script_plays_the_same_twice() {
    let script = std::fs::read_to_string(folder().join("switchover.scn")).expect("it is there");
    assert_eq!(play(&script), play(&script));
}

/// A script, the line that is wrong, and a piece of what is said of it.
const WRONG: &[(&str, usize, &str)] = &[
    ("obserwe", 1, "one of: observe, plan"),
    ("observe\n\n# fine\nobserve twice", 4, "observe alone on its line"),
    ("plan", 1, "plan switchover --to REGION"),
    ("plan move --to us-west-1", 1, "\"move\" is not an operation"),
    ("plan switchover us-west-1", 1, "the region to move to is missing"),
    ("plan switchover --to US", 1, "a region of the site: us-east-2 or us-west-1"),
    ("plan failover --to us-west-1 --accept-data-loss 5", 1, "a number and a unit: 250ms, 5s or 2m"),
    ("crash during=1", 1, "crash after=STEP.intent"),
    ("rival resume 20ms", 1, "at=20ms, counted from when the controller begins"),
    ("rival wait at=20ms", 1, "rival resume at=20ms or rival abort at=20ms"),
    ("break us-east-2", 1, "break region-loss REGION"),
    ("break region-loss us-east-2 at=1s now", 1, "one word too many"),
    ("partition everything", 1, "partition replication"),
    ("lag fast", 1, "\"fast\" is not a duration"),
    ("wait 5", 1, "a number and a unit"),
    ("wait", 1, "wait 5s"),
    ("expect", 1, "expect and one of: succeeded"),
    ("expect luck", 1, "expect and one of: succeeded"),
    ("expect blocked P014", 1, "BSC-P014"),
    ("expect active us-west-1 2", 1, "expect active us-west-1 epoch=2"),
    ("expect gate us-west-1 open", 1, "closed, local or remote"),
    ("expect pools full", 1, "expect pools held or expect pools free"),
    ("expect pause 400ms", 1, "expect pause <=400ms"),
    ("expect rival lucky", 1, "expect rival fenced"),
];

#[test]
fn a_wrong_script_is_refused_with_its_line_and_what_to_write() {
    for (script, line, piece) in WRONG {
        let error = scenario::parse(script).expect_err(script);
        assert_eq!(error.line, *line, "{script}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("line {line}: ")) && text.contains(piece), "{script}: {text}");
    }
}

#[test]
fn what_is_not_as_expected_fails_with_its_line_and_the_transcript() {
    let error = play("observe\nexpect active us-west-1 epoch=2\n").expect_err("it is not");
    assert!(matches!(&error, Failed::Unmet { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("us-east-2 is active in epoch 1"), "{error}");
    for (script, line) in [
        ("apply", 1),
        ("resume", 1),
        ("break region-loss us-east-2\nplan switchover --to us-west-1\napply", 3),
    ] {
        let error = play(script).expect_err(script);
        assert!(matches!(error, Failed::Impossible { line: at, .. } if at == line), "{script}: {error}");
    }
}
