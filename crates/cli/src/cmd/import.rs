//! `bascule import`: what a team has written, in a document and in Terraform, as a report and a manifest.
//!
//! Opens the files that are named, and in folders those of Terraform; reads them with `bascule_import`, which
//! opens nothing. A folder is walked without following links.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bascule_core::document::{Document, Row};
use bascule_import::site::{self, Entry};
use bascule_import::terraform::{self, Declared};
use bascule_import::{Code, Finding, MAX_BYTES, Severity, markdown};
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::{print, print_json};
use crate::exit;

/// How deep folders are walked: more than any layout of roots and modules has.
const MAX_DEPTH: usize = 16;
/// How many files are opened: 10,000 resources, each in a file of its own.
const MAX_FILES: usize = 10_000;
/// How much is read in all: ten of the largest inputs.
const MAX_TOTAL: usize = 10 * MAX_BYTES;
/// How much of a JSON file in a folder is looked at to tell whether it is Terraform's: it says so in the first line.
const PROBE: usize = 4096;

/// Arguments of `import`.
#[derive(Debug, ClapArgs)]
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
    let mut files = Files::default();
    for path in &args.files {
        files.take(path)?;
    }
    let report = Report::of(&files, args.out.is_some())?;
    if let (Some(path), Some(manifest)) = (&args.out, &report.manifest)
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
    if report.empty() {
        eprintln!("error: nothing that was read could be used; the findings say why");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
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

/// What was opened.
#[derive(Default)]
struct Files {
    documents: Vec<(String, Vec<u8>)>,
    terraform: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Files {
    /// A file or folder that was named.
    fn take(&mut self, path: &Path) -> anyhow::Result<()> {
        let what = fs::metadata(path);
        let what = what.map_err(|error| exit::Usage(format!("{} can't be read: {error}", path.display())))?;
        if what.is_dir() {
            let before = self.terraform.len();
            self.walk(path, 0)?;
            if self.terraform.len() == before {
                return Err(exit::Usage(format!("{} has no files of Terraform", path.display())).into());
            }
            return Ok(());
        }
        let markdown = path.extension().is_some_and(|e| ["md", "markdown", "txt"].iter().any(|m| e == *m));
        let file = self.read(path)?;
        if markdown {
            self.documents.push(file)
        } else {
            self.terraform.push(file)
        }
        Ok(())
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> anyhow::Result<()> {
        if depth > MAX_DEPTH {
            let message = format!("{} is more than {MAX_DEPTH} folders deep", folder.display());
            return Err(exit::Usage(message).into());
        }
        let read = || format!("{} can't be read", folder.display());
        let mut entries =
            fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().with_context(read)?);
            // `.terraform` holds copies of modules, `.git` everything.
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                self.walk(&path, depth + 1)?;
            } else if kind.is_file() && is_terraform(&path)? {
                let file = self.read(&path)?;
                self.terraform.push(file);
            }
        }
        Ok(())
    }

    fn read(&mut self, path: &Path) -> anyhow::Result<(String, Vec<u8>)> {
        if self.documents.len() + self.terraform.len() >= MAX_FILES {
            return Err(exit::Usage(format!("more than {MAX_FILES} files")).into());
        }
        // One byte too many is enough for a reader to refuse it.
        let bytes = head(path, MAX_BYTES + 1)?;
        self.bytes += bytes.len();
        if self.bytes > MAX_TOTAL {
            return Err(exit::Usage(format!("more than {MAX_TOTAL} bytes in all")).into());
        }
        Ok((path.to_string_lossy().into_owned(), bytes))
    }
}

fn head(path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64).read_to_end(&mut bytes));
    read.with_context(|| format!("{} can't be read", path.display()))?;
    Ok(bytes)
}

/// Whether a file in a folder is Terraform's: by its name, or as JSON that has a format version.
fn is_terraform(path: &Path) -> anyhow::Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if [".tf", ".tf.json", ".tfvars", ".tfvars.json", ".tfstate"].iter().any(|end| name.ends_with(end)) {
        return Ok(true);
    }
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let start = head(path, PROBE)?;
    let mark = b"\"format_version\"";
    Ok(start.windows(mark.len()).any(|window| window == mark))
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

/// What is printed with `--json`.
#[derive(Serialize)]
struct Json<'a> {
    assets: &'a [Row],
    document: Option<&'a Document>,
    resources: &'a [terraform::Resource],
    modules: &'a [terraform::ModuleCall],
    findings: Vec<Line<'a>>,
    differences: Option<&'a [Entry]>,
    guesses: Option<usize>,
}

struct Report {
    document: Option<Document>,
    declared: Option<Declared>,
    findings: Vec<(String, Finding)>,
    differences: Option<Vec<Entry>>,
    manifest: Option<site::Written>,
}

impl Report {
    fn of(files: &Files, with_manifest: bool) -> anyhow::Result<Self> {
        let mut findings = Vec::new();
        let document = match &files.documents[..] {
            [] => None,
            [(name, bytes)] => match markdown::read(bytes) {
                Ok(read) => {
                    findings.extend(read.findings.into_iter().map(|finding| (name.clone(), finding)));
                    Some(read.document)
                }
                Err(finding) => {
                    findings.push((name.clone(), finding));
                    None
                }
            },
            _ => return Err(exit::Usage("more than one document; import them one by one".to_owned()).into()),
        };
        let inputs: Vec<_> =
            files.terraform.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let declared = (!inputs.is_empty()).then(|| terraform::read(&inputs));
        for noted in declared.iter().flat_map(|declared| &declared.findings) {
            findings.push((noted.file.clone(), noted.finding.clone()));
        }
        let both = document.as_ref().zip(declared.as_ref());
        let differences = both.map(|(document, declared)| site::compare(document, declared));
        let manifest = with_manifest.then(|| site::write(document.as_ref(), declared.as_ref()));
        for finding in manifest.iter().flat_map(|manifest| &manifest.findings) {
            let file = files.documents.first().or(files.terraform.first()).map_or("", |(name, _)| name);
            findings.push((file.to_owned(), finding.clone()));
        }
        Ok(Report { document, declared, findings, differences, manifest })
    }

    /// Whether nothing could be used.
    fn empty(&self) -> bool {
        let declared = self.declared.as_ref();
        self.document.is_none() && declared.is_none_or(|d| d.resources.is_empty() && d.modules.is_empty())
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
        Json {
            assets: self.document.as_ref().map_or(&[], |document| &document.assets),
            document: self.document.as_ref(),
            resources: self.declared.as_ref().map_or(&[], |declared| &declared.resources),
            modules: self.declared.as_ref().map_or(&[], |declared| &declared.modules),
            findings: findings.collect(),
            differences: self.differences.as_deref(),
            guesses: self.manifest.as_ref().map(|manifest| manifest.guesses),
        }
    }

    fn text(&self, out: Option<&Path>) -> String {
        let mut text = String::new();
        for (file, finding) in &self.findings {
            let severity = match finding.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            let (code, message) = (finding.code.as_str(), &finding.message);
            let place = match finding.line {
                0 => file.clone(),
                line => format!("{file}:{line}"),
            };
            text += &format!("{place}: {code} {severity}: {message}\n    {}\n", finding.remedy);
        }
        if let Some(differences) = &self.differences {
            text += &match differences.len() {
                0 => "\nThe document and the code agree.\n".to_owned(),
                number => format!(
                    "\nThe document beside the code, {number} entries:\n{}",
                    site::render(differences)
                ),
            };
        }
        let assets = self.document.as_ref().map_or(0, |document| document.assets.len());
        let resources = self.declared.as_ref().map_or(0, |declared| declared.resources.len());
        text += &format!("\n{assets} assets, {resources} resources, {} findings\n", self.findings.len());
        if let (Some(path), Some(manifest)) = (out, &self.manifest) {
            text +=
                &format!("{} was written; {} of its lines are guesses\n", path.display(), manifest.guesses);
        }
        text
    }
}
