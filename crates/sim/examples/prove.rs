//! `make prove`: the model at bounds that take minutes, in the order in which they grow. The first argument
//! is the number of bounds to check (all of them without it).

use std::process::ExitCode;
use std::time::Instant;

use bascule_sim::model::{Bound, I1, Mutation, check};

const BOUNDS: [Bound; 6] = [
    Bound { ttl: 4, keepers: 1, operations: 1, takeovers: 1, releases: 0 },
    Bound { ttl: 4, keepers: 1, operations: 2, takeovers: 0, releases: 0 },
    Bound { ttl: 4, keepers: 1, operations: 1, takeovers: 0, releases: 1 },
    Bound { ttl: 8, keepers: 1, operations: 1, takeovers: 1, releases: 0 },
    Bound { ttl: 4, keepers: 1, operations: 1, takeovers: 2, releases: 0 },
    Bound { ttl: 4, keepers: 2, operations: 1, takeovers: 0, releases: 0 },
];
/// Two operations and a takeover: the least in which a call can outlive its controller.
const LATE: Bound = Bound { ttl: 4, keepers: 1, operations: 2, takeovers: 1, releases: 0 };

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let mut failed = false;
    for bound in BOUNDS.into_iter().take(wanted) {
        let began = Instant::now();
        let verdict = check(bound, None, threads);
        let seconds = began.elapsed().as_secs();
        let said = if verdict.complete { "holds" } else { "BROKEN" };
        println!("{said}: {bound:?}: {} states, {} deep, {seconds} s", verdict.states, verdict.depth);
        for (promise, history) in verdict.broken.iter() {
            println!("{promise}\n{history:#?}");
        }
        failed |= !verdict.complete || !verdict.never.is_empty();
    }
    let late = check(LATE, Some(Mutation::LateGateCalls), threads);
    let shown = late.broken.as_ref().is_some_and(|(promise, _)| *promise == I1);
    println!("the bound on calls under way is needed: {shown}, {:?}", late.broken);
    if failed || !shown { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
