//! What goes wrong with a call, and when.

use crate::rng::Rng;

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused: nothing changed, and the caller knows.
    Refused,
    /// It is done, and the answer is lost.
    LostAnswer,
    /// It is lost on the way, and the caller does not know.
    LostCall,
    /// It is done, but the answer takes longer than any bound.
    SlowAnswer,
    /// It hangs for longer than any bound and is never done.
    Hangs,
}

/// Every fault a call can have.
pub const ALL: [Fault; 5] =
    [Fault::Refused, Fault::LostAnswer, Fault::LostCall, Fault::SlowAnswer, Fault::Hangs];

/// Which calls go wrong.
#[derive(Debug, Clone)]
pub enum Faults {
    /// None.
    None,
    /// Calls whose name contains the text, so many times.
    At {
        /// Part of a call's name, for example `promote us-west-1`.
        call: String,
        /// What happens to it.
        fault: Fault,
        /// How often it still happens.
        times: u32,
    },
    /// Any call, by chance.
    Random {
        /// In a thousand.
        per_mille: u64,
        /// How many at most: what never heals proves nothing.
        left: u32,
    },
}

impl Faults {
    /// What happens to this call.
    pub fn strike(&mut self, call: &str, rng: &mut Rng) -> Option<Fault> {
        match self {
            Faults::None => None,
            Faults::At { call: wanted, fault, times } => {
                if *times == 0 || !call.contains(wanted.as_str()) {
                    return None;
                }
                *times -= 1;
                Some(*fault)
            }
            Faults::Random { per_mille, left } => {
                if *left == 0 || !rng.chance(*per_mille) {
                    return None;
                }
                *left -= 1;
                let pick = usize::try_from(rng.below(ALL.len() as u64)).unwrap_or(0);
                Some(ALL[pick])
            }
        }
    }
}
