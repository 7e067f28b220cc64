//! The manifest as a file: read, its mistakes underlined, its paths resolved.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bascule_core::manifest::{Manifest, ManifestErrors};
use bascule_lab::INSIDE_LAB;
use miette::{GraphicalReportHandler, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity};

/// A manifest and the folder it stands in.
pub struct Site {
    /// What it says.
    pub manifest: Manifest,
    /// Relative paths in it start here.
    pub folder: PathBuf,
    /// Its file, as it was named.
    pub file: String,
    /// The line of it that says what the site is without; 0 if none does.
    pub without_line: usize,
    /// Where operations leave their reports.
    pub reports: PathBuf,
}

/// A manifest with mistakes, as text with each place underlined.
#[derive(Debug)]
pub struct BadManifest(String);

impl fmt::Display for BadManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadManifest {}

/// Largest manifest that is read: a hundred times the lab's.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;

impl Site {
    /// Read a manifest.
    pub fn load(path: &Path, reports: Option<&Path>) -> anyhow::Result<Self> {
        let bad = |error| crate::exit::Usage(format!("can't read the manifest {}: {error}", path.display()));
        let size = std::fs::metadata(path).map_err(|e| {
            crate::exit::Usage(format!(
                "can't read the manifest {}: {e}; name it with --manifest, or make a lab with `bascule lab up`",
                path.display()
            ))
        })?;
        if size.len() > MANIFEST_MAX_BYTES {
            return Err(bad(format!("it has {} bytes, over {MANIFEST_MAX_BYTES}", size.len())).into());
        }
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(|errors| underline(path, &errors))?;
        // By the name it was given: a file of a Kubernetes ConfigMap is a link into a folder that has nothing else.
        let folder = std::path::absolute(path)?.parent().context("a file has a folder")?.to_owned();
        let reports = reports.map_or_else(|| Ok(folder.join("reports")), std::path::absolute)?;
        let without_line = Manifest::line_of_without(&text);
        Ok(Self { manifest, folder, file: path.display().to_string(), without_line, reports })
    }

    /// A path in the manifest.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// A secret that the manifest names by its file.
    pub fn secret(&self, path: &Path) -> anyhow::Result<String> {
        let path = self.path(path);
        let context = || format!("secret file {}", path.display());
        let about = std::fs::metadata(&path).with_context(context)?;
        // a pipe that nobody writes into would never end
        anyhow::ensure!(about.is_file(), "secret file {}: it is no regular file", path.display());
        let most = MANIFEST_MAX_BYTES;
        anyhow::ensure!(about.len() <= most, "secret file {}: it has over {most} bytes", path.display());
        let text = std::fs::read_to_string(&path).with_context(context)?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// Go on inside the lab's network, if the site lives in a lab and this process is not there yet: a
    /// lab's addresses exist only in its own network namespaces.
    pub fn enter_lab(&self) -> anyhow::Result<()> {
        if self.manifest.lab.is_none() {
            return Ok(());
        }
        // A lab knows its folder by that one's own name.
        let here = self.folder.canonicalize().context("find the lab's folder")?;
        if std::env::var_os(INSIDE_LAB).as_deref() == Some(here.as_os_str()) {
            return Ok(());
        }
        let mut command = bascule_lab::enter_command(&here, "clients")?;
        command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE_LAB, here);
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(error).context("can't enter the lab's network")
    }
}

fn underline(path: &Path, errors: &ManifestErrors) -> BadManifest {
    let handler = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        GraphicalReportHandler::new()
    } else {
        GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
    };
    let mut out = String::new();
    for error in errors.errors() {
        let mut labels =
            vec![LabeledSpan::new_primary_with_span(Some(error.label.clone()), error.span.clone())];
        labels.extend(
            error
                .also
                .iter()
                .map(|also| LabeledSpan::new_with_span(Some(also.label.clone()), also.span.clone())),
        );
        let diagnostic = MietteDiagnostic::new(error.message.clone())
            .with_code(error.code.as_str())
            .with_severity(Severity::Error)
            .with_help(error.help.clone())
            .with_labels(labels);
        let source = NamedSource::new(path.display().to_string(), errors.shown().to_owned());
        let report = Report::new(diagnostic).with_source_code(source);
        if handler.render_report(&mut out, report.as_ref()).is_err() {
            out.push_str(&error.message);
        }
        out.push('\n');
    }
    BadManifest(out)
}
