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

/// A mistake of the user's.
pub const USAGE: u8 = 2;
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
        return ExitCode::from(USAGE);
    }
    eprintln!("error: {error:#}");
    if error.downcast_ref::<Usage>().is_some() {
        return ExitCode::from(USAGE);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bascule_core::id::Epoch;
    use bascule_core::ports::StoreError;
    use bascule_core::tenure::Tenure;
    use bascule_core::time::Timestamp;
    use bascule_engine::executor::Error;
    use bascule_engine::lost::NotLost;

    use super::*;

    fn tenure(renewals: u64) -> Tenure {
        Tenure {
            epoch: Epoch(2),
            active: "west".parse().unwrap(),
            since: Timestamp(1),
            by: Some("failover-1".parse().unwrap()),
            renewals,
            settled: false,
            released: None,
        }
    }

    /// What `bascule abandon` says, which is a refusal whatever the cause.
    fn refusal(why: NotLost) -> String {
        let error = Error::NotLost { id: "failover-1".parse().unwrap(), why };
        let said = error.to_string();
        assert_eq!(explain(&error.into()), ExitCode::from(REFUSED));
        said.strip_prefix("operation failover-1 is not abandoned: ").unwrap().to_owned()
    }

    fn waited(now: Result<Option<Tenure>, StoreError>) -> String {
        refusal(NotLost::after_waiting(&tenure(7), now, Duration::from_millis(4_206)))
    }

    #[test]
    fn a_region_whose_keepers_renew_is_not_abandoned_before_it_lets_go() {
        let said = waited(Ok(Some(tenure(9))));
        assert!(
            said.starts_with("the keepers of west still renew its tenure (2 times within 4206 ms)"),
            "{said}"
        );
        assert!(said.contains("`bascule resume`") && said.contains("`bascule release`"), "{said}");
    }

    #[test]
    fn a_region_that_is_seen_is_not_abandoned_before_all_of_it_is_gone() {
        let said =
            refusal(NotLost::Seen { region: "west".parse().unwrap(), why: "west answers here".to_owned() });
        assert!(said.starts_with("not enough places see west as lost (west answers here)"), "{said}");
        assert!(said.contains("`bascule resume`") && said.contains("stop what is left of it"), "{said}");
    }

    #[test]
    fn a_store_that_is_silent_says_nothing_about_the_region() {
        for silent in [Err(StoreError::Unavailable("no answer in time".to_owned())), Ok(Some(tenure(7)))] {
            let said = waited(silent);
            assert!(
                said.starts_with("it is unknown whether west is lost, since the store could not be asked (")
            );
            assert!(said.contains("bring the store back") && !said.contains("resume"), "{said}");
        }
    }

    #[test]
    fn an_operation_that_another_one_followed_has_nothing_to_abandon() {
        let said = waited(Ok(Some(Tenure { epoch: Epoch(3), ..tenure(0) })));
        assert!(said.starts_with("west is not active in epoch 2 any more"), "{said}");
    }
}
