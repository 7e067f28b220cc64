//! `bascule import`: what a team has written, in a document and in Terraform, as a report and a manifest.
//!
//! The report has what the readers found, where the document and the code differ, and which checks fail on paper
//! alone. It decides nothing: what papers can't show is counted as unknown.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bascule_core::check::{self, Answer, Checked};
use bascule_core::document::{Document, Row};
use bascule_core::facts::{Evidence, Source};
use bascule_import::site::{self, Entry};
use bascule_import::terraform;
use bascule_import::{Code, Finding, Severity};
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::{print, print_json};
use crate::exit;
use crate::papers::Papers;

/// How many answers of one check, and notes of one kind, are printed; the others are counted.
const MAX_ANSWERS: usize = 5;

/// Shown at the end of the command's own `--help`.
const EXITS: &str = "\
Exit codes:
  0  the papers were read, whatever was found in them
  1  a file could not be used at all, or none of them says anything; the report and stderr say which and why
  2  something that was named can't be opened, or is more than is read; nothing was read
  3  the manifest is there already; nothing was written";

/// Arguments of `import`.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXITS)]
pub struct Args {
    /// A document in Markdown, a printed state or plan (`terraform show -json`), `.tf` files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print what was read as JSON
    #[arg(long)]
    json: bool,
    /// Write a manifest here, with a comment at each guess; a file that is there is not replaced
    #[arg(long, value_name = "MANIFEST")]
    out: Option<PathBuf>,
}

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = Report::of(Papers::open(&args.files)?, args.out.is_some());
    // A manifest of nothing but guesses helps nobody.
    if let (Some(path), Some(manifest), false) = (&args.out, &report.manifest, report.papers.are_empty())
        && !write_new(path, &manifest.text)?
    {
        eprintln!("error: {} is there already; nothing was written", path.display());
        return Ok(ExitCode::from(exit::REFUSED));
    }
    if args.json {
        print_json(&report.json())?;
    } else {
        print(&report.text(args.out.as_deref()));
    }
    for file in report.papers.refused() {
        eprintln!("error: {} could not be used; its findings say why", plain(file));
    }
    if report.papers.are_empty() {
        eprintln!("error: nothing that was read is a zone, an asset or a step");
        return Ok(ExitCode::FAILURE);
    }
    Ok(if report.papers.refused().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Write a file that is not there yet; whether it was not.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let context = || format!("{} can't be written", path.display());
    match File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).with_context(context).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(context),
    }
}

/// A finding with its file, as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: usize,
    code: Code,
    severity: Severity,
    message: &'a str,
    remedy: &'a str,
}

/// An answer of a check, as it is printed.
#[derive(Serialize)]
struct Answered<'a> {
    code: check::Code,
    title: &'static str,
    severity: check::Severity,
    answer: Answer,
    subject: &'a str,
    message: &'a str,
    remedy: &'a str,
    /// The first place that the answer rests on.
    file: Option<&'a str>,
    line: Option<usize>,
    evidence: &'a [Evidence],
}

impl<'a> Answered<'a> {
    fn of(one: &'a Checked) -> Self {
        let (file, line) = one.evidence.iter().find_map(place).unzip();
        Answered {
            code: one.code,
            title: one.code.title(),
            severity: one.code.severity(),
            answer: one.answer,
            subject: &one.subject,
            message: &one.message,
            remedy: &one.remedy,
            file,
            line,
            evidence: &one.evidence,
        }
    }
}

fn place(evidence: &Evidence) -> Option<(&str, usize)> {
    match &evidence.from {
        Source::Line { file, line } => Some((file, *line)),
        Source::Address(_) | Source::Nowhere => None,
    }
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Json<'a> {
    assets: &'a [Row],
    document: Option<&'a Document>,
    resources: &'a [terraform::Resource],
    modules: &'a [terraform::ModuleCall],
    findings: Vec<Line<'a>>,
    differences: Option<&'a [Entry]>,
    checks: Vec<Answered<'a>>,
    guesses: Option<usize>,
}

struct Report {
    papers: Papers,
    findings: Vec<(String, Finding)>,
    differences: Option<Vec<Entry>>,
    checks: Vec<Checked>,
    manifest: Option<site::Written>,
}

impl Report {
    fn of(papers: Papers, with_manifest: bool) -> Self {
        let mut findings = papers.findings.clone();
        let document = papers.document.as_ref().map(|(_, imported)| &imported.document);
        let declared = papers.declared.as_ref();
        let differences =
            document.zip(declared).map(|(document, declared)| site::compare(document, declared));
        let manifest = with_manifest.then(|| site::write(document, declared));
        for finding in manifest.iter().flat_map(|manifest| &manifest.findings) {
            let named = papers.document.as_ref().map(|(name, _)| name).or(papers.files.first());
            findings.push((named.cloned().unwrap_or_default(), finding.clone()));
        }
        let checks = if papers.are_empty() { Vec::new() } else { check::check(&papers.facts()) };
        Report { findings, differences, checks, manifest, papers }
    }

    fn document(&self) -> Option<&Document> {
        self.papers.document.as_ref().map(|(_, imported)| &imported.document)
    }

    fn json(&self) -> Json<'_> {
        let findings = self.findings.iter().map(|(file, finding)| Line {
            file,
            line: finding.line,
            code: finding.code,
            severity: finding.severity,
            message: &finding.message,
            remedy: &finding.remedy,
        });
        let declared = self.papers.declared.as_ref();
        Json {
            assets: self.document().map_or(&[], |document| &document.assets),
            document: self.document(),
            resources: declared.map_or(&[], |declared| &declared.resources),
            modules: declared.map_or(&[], |declared| &declared.modules),
            findings: findings.collect(),
            differences: self.differences.as_deref(),
            checks: self.checks.iter().map(Answered::of).collect(),
            guesses: self.manifest.as_ref().map(|manifest| manifest.guesses),
        }
    }

    fn text(&self, out: Option<&Path>) -> String {
        let mut text = self.read();
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            text += &self.found(severity);
        }
        if let Some(differences) = &self.differences {
            text += &match differences.len() {
                0 => "\nThe document and the code agree, as far as both say anything.\n".to_owned(),
                number => format!(
                    "\nThe document beside the code: {}\n{}",
                    counted(number, "difference or doubt", "differences or doubts"),
                    site::render(differences)
                ),
            };
        }
        text += &self.failing();
        text += &self.sums();
        if let (Some(path), Some(manifest), false) = (out, &self.manifest, self.papers.are_empty()) {
            let guesses = manifest.guesses;
            text += &format!("{} was written; {guesses} of its lines are marked `# guess`\n", path.display());
        }
        text
    }

    /// What was read, in a few lines.
    fn read(&self) -> String {
        let mut text = String::new();
        if let Some((name, imported)) = &self.papers.document {
            let document = &imported.document;
            let zones: Vec<&str> = document.zones.iter().map(|zone| zone.name.as_str()).collect();
            let zones = match zones.is_empty() {
                true => "no zones".to_owned(),
                false => format!("zones {} (the first is taken for the one that is lost)", zones.join(", ")),
            };
            let steps: usize = document.plans.iter().map(|plan| plan.steps.len()).sum();
            let pre_steps: usize = document.plans.iter().map(|plan| plan.pre_steps.len()).sum();
            let parts = [
                zones,
                counted(document.assets.len(), "asset", "assets"),
                counted(document.plans.len(), "plan", "plans"),
                counted(pre_steps, "pre-step", "pre-steps"),
                counted(steps, "step", "steps"),
            ];
            text += &plain(&format!("Read {name}: {}", parts.join(", ")));
            text.push('\n');
        }
        if let Some(declared) = &self.papers.declared {
            let regions = declared.regions();
            let regions = if regions.is_empty() { "no region".to_owned() } else { regions.join(", ") };
            let documents = usize::from(self.papers.document.is_some());
            let mut parts = vec![
                counted(self.papers.files.len().saturating_sub(documents), "file", "files"),
                counted(declared.resources.len(), "resource", "resources"),
            ];
            if !declared.modules.is_empty() {
                parts.push(format!(
                    "{} not looked into",
                    counted(declared.modules.len(), "module", "modules")
                ));
            }
            text += &plain(&format!("Read Terraform: {}, in {regions}", parts.join(", ")));
            text.push('\n');
        }
        text
    }

    /// The findings of a severity. One that stands on many lines is told once.
    fn found(&self, severity: Severity) -> String {
        let (word, heading) = match severity {
            Severity::Error => ("error", "Wrong"),
            Severity::Warning => ("warning", "Missing, or read by a guess"),
            Severity::Note => ("note", "Worth knowing"),
        };
        let mut groups: Vec<(&str, &Finding, Vec<usize>)> = Vec::new();
        for (file, finding) in self.findings.iter().filter(|(_, finding)| finding.severity == severity) {
            let same = |(there, first, _): &&mut (&str, &Finding, Vec<usize>)| {
                there == file
                    && (first.code, &first.message, &first.remedy)
                        == (finding.code, &finding.message, &finding.remedy)
            };
            // Those that repeat stand close together: a table's rows.
            match groups.iter_mut().rev().take(NEAR).find(same) {
                Some((_, _, lines)) => lines.push(finding.line),
                None => groups.push((file, finding, vec![finding.line])),
            }
        }
        if groups.is_empty() {
            return String::new();
        }
        // Of what is only worth knowing one kind after the other is read more easily, and a few of a kind tell it.
        let few = severity == Severity::Note;
        if few {
            let first = |code| groups.iter().position(|(_, one, _)| one.code == code);
            let order: Vec<_> = groups.iter().map(|(_, one, _)| first(one.code)).collect();
            let mut sorted: Vec<_> = order.into_iter().zip(groups).collect();
            sorted.sort_by_key(|(at, _)| *at);
            groups = sorted.into_iter().map(|(_, group)| group).collect();
        }
        let mut text = format!("\n{heading}:\n");
        for alike in groups.chunk_by(|a, b| a.1.code == b.1.code && a.1.remedy == b.1.remedy) {
            let shown = if few { alike.len().min(MAX_ANSWERS) } else { alike.len() };
            for (file, finding, lines) in &alike[..shown] {
                text += &line_of(file, finding, lines, word);
            }
            if alike.len() > shown {
                text += &format!("    and {} more, which --json lists\n", alike.len() - shown);
            }
            let remedy = &alike[0].1.remedy;
            if remedy != "nothing" {
                text += &format!("    do: {}\n", plain(remedy));
            }
        }
        text
    }

    /// The checks that fail, each with its lines.
    fn failing(&self) -> String {
        let failing: Vec<&Checked> = self.checks.iter().filter(|one| one.answer == Answer::Fails).collect();
        if failing.is_empty() {
            return String::new();
        }
        let mut text = "\nChecks that fail on paper already:\n".to_owned();
        let by_code: Vec<&[&Checked]> = failing.chunk_by(|a, b| a.code == b.code).collect();
        // Several checks may fail for one reason, such as that there is no plan at all: it is told once.
        for alike in by_code.chunk_by(|a, b| reasons(a) == reasons(b)) {
            for same in alike {
                let code = same[0].code;
                let (name, severity) = (code.as_str(), code.severity().as_str());
                text += &format!("{name} {severity}: not so: {}\n", code.title());
            }
            for one in alike[0].iter().take(MAX_ANSWERS) {
                text += &format!("    {}: {}\n", plain(&one.subject), plain(&one.message));
                one.evidence.iter().for_each(|evidence| text += &told(evidence));
            }
            if alike[0].len() > MAX_ANSWERS {
                text += &format!("    and {} more, which --json lists\n", alike[0].len() - MAX_ANSWERS);
            }
            for same in alike {
                text += &format!("    do: {}\n", plain(&same[0].remedy));
            }
        }
        text
    }

    fn sums(&self) -> String {
        let number = |severity| self.findings.iter().filter(|(_, f)| f.severity == severity).count();
        let answers = |answer| self.checks.iter().filter(|one| one.answer == answer).count();
        let assets = self.document().map_or(0, |document| document.assets.len());
        let resources = self.papers.declared.as_ref().map_or(0, |declared| declared.resources.len());
        let mut text = format!(
            "\n{}, {}; {}: {}, {}, {}\n",
            counted(assets, "asset", "assets"),
            counted(resources, "resource", "resources"),
            counted(self.findings.len(), "finding", "findings"),
            counted(number(Severity::Error), "error", "errors"),
            counted(number(Severity::Warning), "warning", "warnings"),
            counted(number(Severity::Note), "note", "notes"),
        );
        if !self.checks.is_empty() {
            text += &format!(
                "Checks: {} fail, {} hold, {} are unknown, because papers do not show it\n",
                answers(Answer::Fails),
                answers(Answer::Holds),
                answers(Answer::Unknown),
            );
        }
        text
    }
}

/// A finding and the lines on which it stands.
fn line_of(file: &str, finding: &Finding, lines: &[usize], word: &str) -> String {
    let place = match finding.line {
        0 => file.to_owned(),
        line => format!("{file}:{line}"),
    };
    let more = match &lines[1..] {
        [] => String::new(),
        [line] => format!(" (also on line {line})"),
        more => format!(" (also on lines {})", ranges(more)),
    };
    let code = finding.code.as_str();
    let mut text = plain(&format!("{place}: {code} {word}: {}{more}", finding.message));
    text.push('\n');
    text
}

/// Why a check fails, in all its answers.
fn reasons<'a>(answers: &'a [&Checked]) -> Vec<(&'a str, &'a str)> {
    answers.iter().map(|one| (one.subject.as_str(), one.message.as_str())).collect()
}

/// How far back a finding of the same words is looked for: a row has a handful of findings.
const NEAR: usize = 16;

/// A piece of evidence, after the place it is from.
fn told(evidence: &Evidence) -> String {
    match place(evidence) {
        Some((file, line)) => {
            let what = evidence.what.strip_prefix(&format!("line {line}: ")).unwrap_or(&evidence.what);
            let place = if line == 0 { file.to_owned() } else { format!("{file}:{line}") };
            format!("      {}: {}\n", plain(&place), plain(&shortened(what)))
        }
        None => format!("      {}\n", plain(&evidence.what)),
    }
}

/// The beginning of a step: some are whole paragraphs.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 160;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `1 asset`, `2 assets`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Lines in their order, neighbours together: `14-20, 27`.
fn ranges(lines: &[usize]) -> String {
    let parts = lines.chunk_by(|a, b| *b == a + 1).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        [only] => only.to_string(),
        [] => String::new(),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// On one line, and harmless for a terminal: files and their names may hold anything.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
