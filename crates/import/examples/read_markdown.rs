//! Prints, as JSON, what is read from a disaster-recovery document: `cargo run -p bascule-import --example read_markdown -- FILE`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: read_markdown FILE");
        return ExitCode::from(2);
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    let (imported, findings) = match bascule_import::markdown::read(&bytes) {
        Ok(imported) => (Some(imported.document), imported.findings),
        Err(finding) => (None, vec![finding]),
    };
    let text = serde_json::json!({ "document": imported, "findings": findings });
    println!("{text:#}");
    if imported.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
