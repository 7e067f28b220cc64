//! `bascule inventory`: every asset of the running site, what was found of it, and how it is protected.
//!
//! Protection is derived from what is seen now, never taken from the manifest or a document.

use std::process::ExitCode;

use bascule_core::inventory::inventory;
use bascule_core::render;
use clap::Args as ClapArgs;

use crate::cmd::{block_on, print};
use crate::site::Site;
use crate::wiring;

/// Shown at the end of the command's own `--help`.
const AFTER: &str = "\
It lists and does not judge: exit code 0 says that it was listed, also where something is not observed or protected in no
way. `bascule check` judges.";

/// Arguments of `inventory`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// How long to look, e.g. 10s: for many parts, or slow lines [default: 2.5s, at most: 60s]
    #[arg(long, value_name = "TIME", value_parser = super::check::parse_within)]
    within: Option<std::time::Duration>,
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let facts = block_on(wiring::survey_within(site, args.within.unwrap_or(bascule_survey::WITHIN)))?;
    let items = inventory(&facts);
    let text =
        if args.json { render::assets_json(&facts.site, &items) + "\n" } else { render::assets_text(&items) };
    print(&text);
    Ok(ExitCode::SUCCESS)
}
