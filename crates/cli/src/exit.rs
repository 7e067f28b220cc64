//! Exit codes: one meaning each, the same for every command.

use std::process::ExitCode;

/// Shown at the end of `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done, or: the plan could run, the verdict is met
  1  it did not work; stderr says why
  2  the command line or the manifest is wrong; nothing was changed
  3  refused: something forbids it; nothing was changed. Of `check`: one fails
  4  aborted: everything that was begun was taken back
  5  stopped half-way: `bascule resume` goes on
  6  a drill's verdict is missed or void
  7  abandoned: it made a region active that is lost; fail over next
  8  no check fails, but one is unknown: something was not observed, and that is not green";

/// Refused: something forbids it.
pub const REFUSED: u8 = 3;
/// Aborted.
pub const ABORTED: u8 = 4;
/// Stopped half-way.
pub const STOPPED: u8 = 5;
/// A verdict that is not "met".
pub const MISSED: u8 = 6;

/// Abandoned.
pub const ABANDONED: u8 = 7;
/// A check fails: a move is not to be counted on.
pub const FAILS: u8 = REFUSED;
/// No check fails, and one is unknown.
pub const UNKNOWN: u8 = 8;

/// A mistake of the user's, which has changed nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Print an error and its causes once, and choose the code.
pub fn explain(error: &anyhow::Error) -> ExitCode {
    if let Some(report) = error.downcast_ref::<crate::site::BadManifest>() {
        eprint!("{report}");
        return ExitCode::from(2);
    }
    eprintln!("error: {error:#}");
    if error.downcast_ref::<Usage>().is_some() {
        return ExitCode::from(2);
    }
    match error.downcast_ref::<bascule_engine::executor::Error>() {
        Some(
            bascule_engine::executor::Error::PastCommit { .. }
            | bascule_engine::executor::Error::NotCommitted { .. }
            | bascule_engine::executor::Error::NotLost { .. },
        ) => ExitCode::from(REFUSED),
        Some(bascule_engine::executor::Error::Store(bascule_core::ports::StoreError::Busy(_))) => {
            ExitCode::from(REFUSED)
        }
        Some(
            bascule_engine::executor::Error::Stalled { .. }
            | bascule_engine::executor::Error::Store(_)
            | bascule_engine::executor::Error::Illegal(..),
        ) => ExitCode::from(STOPPED),
        None => ExitCode::FAILURE,
    }
}
