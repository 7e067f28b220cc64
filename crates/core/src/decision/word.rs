//! A decision in words: one sentence for a tired person.

use std::fmt;

use super::{Act, Decision, Look, Refusal, Rest};

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Rest(rest) => rest.fmt(f),
            Decision::Look(Look::Failover) => f.write_str("the tenure stands still; looking at the standby"),
            Decision::Look(Look::Reinstate) => {
                f.write_str("no standby was seen yet; looking at the other region")
            }
            Decision::Look(Look::Restore) => {
                f.write_str("looking whether gates and pools are as they should be")
            }
            Decision::Act(act) => act.fmt(f),
            Decision::Refuse(refusals) => {
                f.write_str("nothing is done")?;
                for (n, refusal) in refusals.iter().enumerate() {
                    let mark = if n == 0 { ": " } else { "; " };
                    write!(f, "{mark}{} {refusal}", refusal.code())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rest::Renewed => f.write_str("nothing to do: the tenure is renewed"),
            Rest::NotYet { left_ms } => {
                write!(f, "the tenure stands still; its gate may be open for {left_ms} ms more")
            }
            Rest::AtWork(operation) => write!(f, "{operation} is under way"),
            Rest::StoreUnknown { why } => {
                write!(f, "nothing can be decided while the store does not say what is: {why}")
            }
            Rest::Manual => f.write_str("a person decides (mode manual)"),
            Rest::Released(release) => {
                write!(f, "{} let the region go at {}: {}", release.by, release.at, release.why)
            }
            Rest::Impaired { for_ms, why } => write!(
                f,
                "users have not been able to write for {} s ({why}); the tenure is renewed, so nobody takes over: mend \
                 it, or `bascule release` and then `bascule failover`",
                for_ms / 1_000
            ),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Resume(operation) => {
                write!(f, "take {operation} over: its controller gives no sign of life")
            }
            Act::Abort(operation) => write!(f, "take {operation} back: the region it needs is lost"),
            Act::Abandon(operation) => {
                write!(f, "abandon {operation}: the region that it made active is lost")
            }
            Act::FailOver => f.write_str("fail over: the active region is lost, and its gate is closed"),
            Act::Reinstate => f.write_str("reinstate the other region: it is back"),
            Act::Restore => f.write_str("set gates and pools to what the tenure says"),
            Act::Release { why } => write!(f, "let the region go, for users can't write in it: {why}"),
            Act::Keep { .. } => f.write_str("renew again: nobody took over"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Paused(pause) => {
                write!(f, "{} has paused it since {}: {}", pause.by, pause.since, pause.why)
            }
            Refusal::PauseUnknown { why } => write!(f, "whether it is paused is not known: {why}"),
            Refusal::CoolingDown { left_ms } => {
                write!(f, "the last move is too recent, wait {left_ms} ms more")
            }
            Refusal::NotSettled => f.write_str("no standby was seen to follow since the last move"),
            Refusal::TooFewVantages { agree, silent } => {
                let list = |names: &[String]| {
                    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
                };
                write!(
                    f,
                    "too few places see that the region takes no writes: {} do, {} say nothing",
                    list(agree),
                    list(silent)
                )
            }
            Refusal::StillWrites { place } => write!(f, "{place} can still write through its front door"),
            Refusal::Unguarded { why } => {
                write!(f, "its commits may need no keeper's permit, so it might write when it wakes: {why}")
            }
            Refusal::Blocked(finding) => {
                write!(f, "{}: {} (to do: {})", finding.subject, finding.message, finding.remedy)
            }
        }
    }
}
