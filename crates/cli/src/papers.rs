//! Papers as files: opens what is named on a command line, and hands it to `bascule_import`, which opens nothing.
//!
//! Invariant: what is not read is an error or a finding that names it and says what to do. A folder is walked without
//! following links and without its hidden folders. What is read has limits, in depth, number and size. Left out:
//! judging; a command does that.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bascule_core::facts::Facts;
use bascule_core::time::Timestamp;
use bascule_import::markdown::{self, Imported};
use bascule_import::terraform::{self, Declared};
use bascule_import::{Code, Finding, MAX_BYTES};

use crate::exit;

/// How deep folders are walked: more than any layout of roots and modules has.
const MAX_DEPTH: usize = 16;
/// How many files are opened: 10,000 resources, each in a file of its own.
const MAX_FILES: usize = 10_000;
/// How much is read in all: ten of the largest inputs.
const MAX_TOTAL: usize = 10 * MAX_BYTES;
/// How much of a JSON file in a folder is looked at to tell whether it is Terraform's: it says so in the first line.
const PROBE: usize = 4096;

/// What was read of the papers that were named.
pub struct Papers {
    /// The document, after the name of its file.
    pub document: Option<(String, Imported)>,
    /// What code, states and plans declare.
    pub declared: Option<Declared>,
    /// What could not be used or contradicts something else, after the name of its file.
    pub findings: Vec<(String, Finding)>,
    /// The files that were opened, in their order.
    pub files: Vec<String>,
    at: Timestamp,
}

impl Papers {
    /// Open and read files, and folders with Terraform's files.
    ///
    /// # Errors
    /// [`exit::Usage`] if something can't be opened or is more than is read; nothing was used then.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = Files::default();
        for path in paths {
            files.take(path)?;
        }
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let at = Timestamp(u64::try_from(millis).unwrap_or(u64::MAX));
        let mut findings = files.findings;
        let document = files.document.and_then(|(name, bytes)| match markdown::read(&bytes) {
            Ok(mut read) => {
                let own = std::mem::take(&mut read.findings);
                findings.extend(own.into_iter().map(|finding| (name.clone(), finding)));
                Some((name, read))
            }
            Err(finding) => {
                findings.push((name, finding));
                None
            }
        });
        let inputs: Vec<_> =
            files.terraform.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let mut declared = (!inputs.is_empty()).then(|| terraform::read(&inputs));
        for noted in declared.iter_mut().flat_map(|declared| std::mem::take(&mut declared.findings)) {
            findings.push((noted.file, noted.finding));
        }
        Ok(Papers { document, declared, findings, files: files.names, at })
    }

    /// What they say, as facts for checks and inventory.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let document = self.document.as_ref().map(|(name, imported)| (name.as_str(), imported));
        bascule_import::facts(&bascule_import::Papers {
            document,
            declared: self.declared.as_ref(),
            at: self.at,
        })
    }

    /// Whether nothing of them could be used.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        let document = self.document.as_ref().map(|(_, imported)| &imported.document);
        let silent = document.is_none_or(|document| {
            document.zones.is_empty() && document.assets.is_empty() && document.plans.is_empty()
        });
        silent && self.declared.as_ref().is_none_or(|d| d.resources.is_empty() && d.modules.is_empty())
    }

    /// The files of which nothing could be used.
    #[must_use]
    pub fn refused(&self) -> BTreeSet<&str> {
        let whole = |code: Code| {
            matches!(
                code,
                Code::TooLarge
                    | Code::Unreadable
                    | Code::TerraformFormat
                    | Code::TerraformRawState
                    | Code::TerraformSyntax
            )
        };
        let refused = self.findings.iter().filter(|(_, finding)| whole(finding.code));
        refused.map(|(name, _)| name.as_str()).collect()
    }
}

/// A mistake on the command line: what, and what to do about it.
fn mistake(what: impl std::fmt::Display, remedy: &str) -> anyhow::Error {
    exit::Usage(format!("{what}; {remedy}")).into()
}

/// Why a file or folder can't be opened, with what to do.
fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "look at how it is spelt",
        io::ErrorKind::PermissionDenied => "let this user read it, or leave it out",
        _ if error.raw_os_error() == Some(ELOOP) => "name the file that the links are meant to lead to",
        _ => "see to it, or leave it out",
    };
    mistake(format!("{} can't be read: {error}", path.display()), remedy)
}

/// Links that lead round in a circle (Linux, `errno(3)`); the standard library has no stable name for it.
const ELOOP: i32 = 40;

/// What was opened.
#[derive(Default)]
struct Files {
    document: Option<(String, Vec<u8>)>,
    terraform: Vec<(String, Vec<u8>)>,
    findings: Vec<(String, Finding)>,
    names: Vec<String>,
    /// The files themselves, by whatever name: one that is named twice is read once.
    seen: HashSet<PathBuf>,
    bytes: usize,
}

impl Files {
    /// A file or folder that was named.
    fn take(&mut self, path: &Path) -> anyhow::Result<()> {
        let what = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if what.is_dir() {
            let before = self.names.len();
            self.walk(path, 0)?;
            if self.names.len() == before {
                let what = format!("{} has no files of Terraform", path.display());
                return Err(mistake(what, "name the folder of a root, or the document itself"));
            }
            return Ok(());
        }
        if !what.is_file() {
            return Err(mistake(format!("{} is neither a file nor a folder", path.display()), "name a file"));
        }
        let Some((name, bytes)) = self.read(path)? else { return Ok(()) };
        match Kind::of(path, &bytes) {
            Kind::Terraform => self.terraform.push((name, bytes)),
            Kind::Unusable { why, remedy } => {
                self.findings.push((name, Finding::new(Code::Unreadable, 0, why, remedy)));
            }
            Kind::Document => match &self.document {
                None => self.document = Some((name, bytes)),
                Some((first, _)) => {
                    let what = format!("{first} and {name} are two documents");
                    return Err(mistake(what, "import them one by one"));
                }
            },
        }
        Ok(())
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> anyhow::Result<()> {
        if depth > MAX_DEPTH {
            let what = format!("{} is more than {MAX_DEPTH} folders deep", folder.display());
            return Err(mistake(what, "name the folders of the roots themselves"));
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.map_err(|error| unreadable(folder, &error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
            // `.terraform` holds copies of modules, `.git` everything.
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                self.walk(&path, depth + 1)?;
            } else if kind.is_symlink() {
                self.link(&path);
            } else if kind.is_file()
                && is_terraform(&path)?
                && let Some(file) = self.read(&path)?
            {
                self.terraform.push(file);
            }
        }
        Ok(())
    }

    /// A link in a folder that may lead to code.
    fn link(&mut self, path: &Path) {
        let folder = fs::metadata(path).is_ok_and(|what| what.is_dir());
        if folder || is_code(path) {
            let remedy = "name what it leads to as well, if it is part of the site";
            let finding =
                Finding::new(Code::TerraformNotRead, 0, "links in folders are not followed", remedy);
            self.findings.push((path.to_string_lossy().into_owned(), finding));
        }
    }

    /// A file's name and content; none if it was read already.
    fn read(&mut self, path: &Path) -> anyhow::Result<Option<(String, Vec<u8>)>> {
        let own = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
        if !self.seen.insert(own) {
            return Ok(None);
        }
        if self.names.len() >= MAX_FILES {
            return Err(mistake(format!("more than {MAX_FILES} files"), "name the folders of the roots"));
        }
        // One byte too many is enough for a reader to refuse it.
        let bytes = head(path, MAX_BYTES + 1)?;
        self.bytes += bytes.len();
        if self.bytes > MAX_TOTAL {
            let what = format!("{} and the files before it have more than {MAX_TOTAL} bytes", path.display());
            return Err(mistake(what, "import fewer of them at once"));
        }
        let name = path.to_string_lossy().into_owned();
        self.names.push(name.clone());
        Ok(Some((name, bytes)))
    }
}

fn head(path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// What a file that was named is.
enum Kind {
    Document,
    Terraform,
    Unusable { why: &'static str, remedy: &'static str },
}

impl Kind {
    /// By its name, and where that does not tell, by its beginning.
    fn of(path: &Path, bytes: &[u8]) -> Self {
        const FORMATS: &[(&[u8], &str, &str)] = &[
            (b"%PDF", "it is a PDF", "export the document as Markdown"),
            (
                b"PK\x03\x04",
                "it is an archive: a saved plan of Terraform, or a document of an office suite",
                "hand over `terraform show -json` of the plan, or export the document as Markdown",
            ),
        ];
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Kind::Unusable { why: "it is empty", remedy: "look at how it was made" };
        }
        if let Some((_, why, remedy)) = FORMATS.iter().find(|(mark, ..)| bytes.starts_with(mark)) {
            return Kind::Unusable { why, remedy };
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if bytes.contains(&0) {
            let remedy = "hand over a document in Markdown, `terraform show -json`, or code";
            return Kind::Unusable { why: "it is not text", remedy };
        }
        let markdown = ["md", "markdown", "mdown", "txt"].contains(&extension.as_str());
        if !markdown && (is_code(path) || extension == "json" || text.starts_with(b"{")) {
            return Kind::Terraform;
        }
        Kind::Document
    }
}

/// Whether a name is one of Terraform's own.
fn is_code(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tf", ".tf.json", ".tfvars", ".tfvars.json", ".tfstate"].iter().any(|end| name.ends_with(end))
}

/// Whether a file in a folder is Terraform's: by its name, or as JSON that has a format version.
fn is_terraform(path: &Path) -> anyhow::Result<bool> {
    let json = path.extension().is_some_and(|extension| extension == "json");
    if is_code(path) || !json {
        return Ok(is_code(path));
    }
    let start = head(path, PROBE)?;
    let mark = b"\"format_version\"";
    Ok(start.windows(mark.len()).any(|window| window == mark))
}
