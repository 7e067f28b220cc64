//! Where files are: outside, in the lab's folder; inside, under `/run/bascule` of the lab's own mount namespace.
//!
//! Invariant: parts only ever see paths under [`INSIDE`]. Those are short (a Unix socket's path has 107 bytes),
//! and can be reached by an unprivileged user even when the lab's folder is under a home directory that can't.

use std::path::PathBuf;

use crate::plan::{Host, Place, Secret};

/// Root of all that the lab's parts see.
pub const INSIDE: &str = "/run/bascule";
/// In a command's environment: the folder of the lab whose network it has entered already.
pub const INSIDE_LAB: &str = "BASCULE_INSIDE_LAB";
/// Name of the control socket in the lab's folder.
pub const CONTROL_SOCKET: &str = "control.sock";
/// Name of the file with the process id and start time of the lab's outermost process.
pub const PID_FILE: &str = "lab.pid";

/// The lab's folder, as the parts see it.
#[must_use]
pub fn lab() -> PathBuf {
    PathBuf::from(INSIDE).join("lab")
}

/// A configuration file, as the parts see it.
#[must_use]
pub fn conf(file: &str) -> PathBuf {
    lab().join("conf").join(file)
}

/// A secret's file, as the parts see it.
#[must_use]
pub fn secret(secret: Secret) -> PathBuf {
    lab().join("secrets").join(secret.file_name())
}

/// A region's own copy of the application's password, as its instances see it.
#[must_use]
pub fn app_secret(place: Place) -> PathBuf {
    lab().join("secrets").join(app_secret_file(place))
}

/// Name of that copy in the folder of secrets.
#[must_use]
pub fn app_secret_file(place: Place) -> String {
    format!("{}-{}", place.name(), Secret::App.file_name())
}

/// A host's data: a bounded disk in memory for a database node, a folder of the lab's for every other.
#[must_use]
pub fn data(host: &Host) -> PathBuf {
    PathBuf::from(INSIDE).join("data").join(&host.name)
}

/// PostgreSQL's data directory of a node: a folder in its [`data`], so that it can be replaced as a whole.
#[must_use]
pub fn pgdata(node: &Host) -> PathBuf {
    data(node).join("pg")
}

/// The folder of the running executable, where the application is too.
#[must_use]
pub fn bin(program: &str) -> PathBuf {
    PathBuf::from(INSIDE).join("bin").join(program)
}

/// A program of the Python environment that has Patroni.
#[must_use]
pub fn venv(program: &str) -> PathBuf {
    PathBuf::from(INSIDE).join("venv/bin").join(program)
}
