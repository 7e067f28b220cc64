//! `bascule history` and `bascule report`.

use std::fmt::Write as _;
use std::process::ExitCode;

use bascule_core::id::OperationId;
use clap::Args;

use crate::cmd::{block_on, print, print_json};
use crate::render;
use crate::site::Site;
use crate::wiring;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How many, at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The operation
    operation: OperationId,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// `bascule history`.
pub fn list(site: &Site, args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        let mut reports = Vec::new();
        for (header, _) in world.journals.list(args.limit).await? {
            reports.push(bascule_engine::report::report(&world.journals.read(&header.id).await?)?);
        }
        if args.json {
            print_json(&reports)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = String::new();
        for r in &reports {
            let outcome = match &r.outcome {
                Some(outcome) => outcome.to_string(),
                None => format!("open, {}", r.course),
            };
            let hold = r.hold_us.map_or(String::new(), |us| format!(", writes held {} ms", render::ms(us)));
            let _ = writeln!(
                out,
                "{}  {:<28} {} -> {}  epoch {}  {} ms{hold}  {outcome}",
                r.begun,
                r.operation,
                r.from,
                r.to,
                r.base,
                render::ms(r.took_us)
            );
        }
        if reports.is_empty() {
            out.push_str("no operation has begun yet\n");
        }
        print(&out);
        Ok(ExitCode::SUCCESS)
    })
}

/// `bascule report`.
pub fn report(site: &Site, args: &ReportArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let world = wiring::world(site)?;
        let report = bascule_engine::report::report(&world.journals.read(&args.operation).await?)?;
        if args.json {
            print_json(&report)?;
        } else {
            print(&render::report(&report));
        }
        Ok(ExitCode::SUCCESS)
    })
}
