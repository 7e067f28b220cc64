//! Prints what is read from a disaster-recovery document: `cargo run -p bascule-import --example read_markdown -- FILE`.

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
    match bascule_import::markdown::read(&bytes) {
        Ok(imported) => {
            println!("{:#?}", imported.document);
            for finding in imported.findings {
                println!(
                    "{} {:?} line {}: {}",
                    finding.code.as_str(),
                    finding.severity,
                    finding.line,
                    finding.message
                );
            }
            ExitCode::SUCCESS
        }
        Err(finding) => {
            eprintln!("{} line {}: {}", finding.code.as_str(), finding.line, finding.message);
            ExitCode::FAILURE
        }
    }
}
