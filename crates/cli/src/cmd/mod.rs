//! One file a command.

mod bench;
mod by_hand;
mod check;
mod demo;
mod document;
mod drill;
mod explain;
mod gates;
mod history;
mod import;
mod inventory;
mod keeper;
mod lab;
mod load;
mod operate;
mod pause;
mod peers;
mod plan;
mod release;
mod soak;
mod status;
mod torture;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::site::Site;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show both regions: roles, positions, lag, names, and what is unknown
    Status(status::Args),
    /// Ask 51 questions that decide whether a move would work, each with its evidence (exit code 0: all hold, 3: one fails, 8: one is unknown)
    Check(check::Args),
    /// Every asset: what was found of it, and how it is protected, with the evidence
    Inventory(inventory::Args),
    /// Who is active, what would happen if it were lost now, and why not if not (exit code 0: it would move)
    Explain(explain::Args),
    /// Forbid that the site moves by itself, or allow it again
    Pause(pause::Args),
    /// Have the active region let go, although its keepers could renew: its users can't write, and it is not lost
    Release(release::Args),
    /// Draw a plan and say whether it could run now (exit code 0: it could, 3: it could not)
    Plan(plan::Args),
    /// Planned move to the other region; nothing is lost
    Switchover(operate::MoveArgs),
    /// Move away from a region that is gone
    Failover(operate::FailoverArgs),
    /// Make a returned region the standby; what only it has is saved first
    Reinstate(operate::ReinstateArgs),
    /// Take an open operation over and bring it to its end
    Resume(operate::OpenArgs),
    /// Take an open operation back, if it is not past its commit point
    Abort(operate::OpenArgs),
    /// End an open operation that made a region active which is lost; then fail over
    Abandon(operate::OpenArgs),
    /// Past operations, newest first
    History(history::HistoryArgs),
    /// What an operation did, step by step, and where its time went
    Report(history::ReportArgs),
    /// Rehearse: load, a fault or a move, and a verdict from counted writes
    Drill(drill::Args),
    /// Record which region is active at the start, and open the gates for it
    Found(gates::FoundArgs),
    /// Have every commit wait for a keeper's permit, or no longer
    Guard(gates::GuardArgs),
    /// Set every gate to what the recorded tenure says
    Open(gates::OpenArgs),
    /// Keep a region: renew its tenure, hold its gate, and decide; or look from the witness
    Keeper(keeper::Args),
    /// Start, look at and break a real two-region deployment on this machine
    Lab(lab::Args),
    /// Read a disaster-recovery document and Terraform: what is wrong, where they differ, and a manifest from both
    Import(import::Args),
    /// Write the disaster-recovery document from what is seen, or say whether a committed one still matches
    Document(document::Args),
    /// The whole story on a new lab: there and back, loss, failover, reinstate
    Demo(demo::Args),
    /// Break a lab that moves by itself, again and again under load, and judge each time
    Torture(torture::Args),
    /// A lab that moves by itself, with small troubles for an hour: nothing may move
    Soak(soak::Args),
    /// Measure moves on a new lab, beside the same move done by hand: medians and ratios
    Bench(bench::Args),
    /// The client that measures other failover managers, on a lab that moves by itself
    #[command(hide = true)]
    Pulse,
}

/// Run a command.
pub fn run(command: Command, manifest: &Path, reports: Option<&Path>) -> anyhow::Result<ExitCode> {
    let on_site = |run: &dyn Fn(&Site) -> anyhow::Result<ExitCode>| {
        let site = Site::load(manifest, reports)?;
        site.enter_lab()?;
        run(&site)
    };
    match command {
        Command::Lab(args) => lab::run(args),
        Command::Import(args) => import::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Torture(args) => torture::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Check(args) if args.is_of_papers() => check::papers(&args),
        Command::Inventory(args) => on_site(&|site| inventory::run(site, &args)),
        Command::Check(args) => on_site(&|site| check::live(site, &args)),
        Command::Document(args) => on_site(&|site| document::run(site, &args)),
        Command::Status(args) => on_site(&|site| status::run(site, &args)),
        Command::Explain(args) => on_site(&|site| explain::run(site, &args)),
        Command::Release(args) => on_site(&|site| release::run(site, &args)),
        Command::Pause(args) => on_site(&|site| pause::run(site, &args)),
        Command::Plan(args) => on_site(&|site| plan::run(site, &args)),
        Command::Switchover(args) => on_site(&|site| operate::switchover(site, &args)),
        Command::Failover(args) => on_site(&|site| operate::failover(site, &args)),
        Command::Reinstate(args) => on_site(&|site| operate::reinstate(site, &args)),
        Command::Resume(args) => on_site(&|site| operate::resume(site, &args)),
        Command::Abort(args) => on_site(&|site| operate::abort(site, &args)),
        Command::Abandon(args) => on_site(&|site| operate::abandon(site, &args)),
        Command::History(args) => on_site(&|site| history::list(site, &args)),
        Command::Report(args) => on_site(&|site| history::report(site, &args)),
        Command::Drill(args) => on_site(&|site| drill::run(site, &args)),
        Command::Pulse => on_site(&peers::pulse),
        Command::Keeper(args) => on_site(&|site| keeper::run(site, &args)),
        Command::Found(args) => on_site(&|site| gates::found(site, &args)),
        Command::Guard(args) => on_site(&|site| gates::guard(site, &args)),
        Command::Open(args) => on_site(&|site| gates::open(site, &args)),
    }
}

/// For what still runs when a command is done: nothing that is written is left to it.
const LINGER: std::time::Duration = std::time::Duration::from_millis(100);

/// The runtime for one command: two workers, as many as the smallest machine it is meant for has cores.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(future);
    // a file that is still being read, on a mount that hangs, was given up already
    runtime.shutdown_timeout(LINGER);
    done
}

/// Print data: a closed pipe is the reader's choice, not an error.
pub fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Print a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}
