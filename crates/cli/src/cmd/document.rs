//! `bascule document`: the disaster-recovery document, written from what is seen now, and whether a committed one still
//! matches it.
//!
//! What only people know is read from an older document: what an asset is for, what is wanted of it, what they noted, and
//! the pre-steps that nobody can look at. All else is seen, planned, or taken from the history of operations. Decides nothing, changes nothing on the site.

mod older;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bascule_core::check::check;
use bascule_core::facts::{Fact, Facts, Paper, Source};
use bascule_core::inventory::{Item, inventory};
use bascule_core::render::{self, Kept, Move, Sheet};
use bascule_core::time::Timestamp;
use clap::Args as ClapArgs;

use self::older::Older;
use crate::cmd::{block_on, print};
use crate::past::{Past, Planned};
use crate::site::Site;
use crate::{exit, wiring};

/// Largest document and largest facts: those of 10,000 assets have 30 MB.
const FILE_MAX: u64 = 100 << 20;

/// Shown at the end of the command's own `--help`.
const EXITS: &str = "\
--check compares what stays so until somebody changes the site: regions, the table, how each asset is protected and why,
owner, RPO and RTO, what is open, and the steps. It leaves out dates, times, predictions, the last rehearsal, how many of
an asset are well, evidence, and pre-steps that come and go by themselves.

Exit codes:
  0  the document was written, or the committed one matches
  1  it did not work; stderr says why
  2  the command line, the manifest or a file that was named is wrong; nothing was written
  3  the committed document no longer matches; stdout has the lines that differ";

/// Arguments of `document`.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXITS)]
pub struct Args {
    /// An older document: its rows, what they are for, its descriptions and pre-steps are kept; stderr says what is not
    /// [default: the one that is checked]
    #[arg(long, value_name = "DOCUMENT")]
    from: Option<PathBuf>,
    /// Write the Markdown here, in place of what is there; without any of these three it is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write it as one HTML page here, with a picture of both regions
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Say whether this document, in Markdown, still matches what is seen
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Facts as JSON, instead of looking
    #[arg(long, value_name = "FILE", hide = true)]
    facts: Option<PathBuf>,
}

/// What is known of the site beside its facts.
struct Known {
    facts: Facts,
    past: Past,
    failover: Result<Planned, String>,
    switchover: Result<Planned, String>,
}

/// Run it.
pub fn run(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let committed = args.check.as_deref().map(read).transpose()?;
    let older = args.from.as_ref().or(args.check.as_ref()).map(|path| Older::read(path)).transpose()?;
    let mut known = match &args.facts {
        Some(path) => from_file(path)?,
        None => look(site)?,
    };
    let mut kept = Kept::default();
    if let Some(older) = &older {
        let facts = &mut known.facts;
        let paper = Paper::Written(older.document().clone());
        facts.paper = Fact::seen(paper, now(), Source::Line { file: older.file.clone(), line: 0 });
        let untaken;
        (kept, untaken) = older.kept(facts);
        // the check itself compares each line
        if args.from.is_some() {
            older.warn(facts, &untaken);
        }
    }
    let items = inventory(&known.facts);
    let (markdown, html) = written(&known, &items, &kept);
    if let Some(older) = older.filter(|_| args.from.is_some()) {
        older.warn_of_lost(&markdown);
    }
    if let Some(path) = &args.out {
        replace(path, &markdown)?;
    }
    if let Some(path) = &args.html {
        replace(path, &html)?;
    }
    match (&committed, &args.check) {
        (Some(committed), Some(path)) => Ok(compare(path, committed, &markdown)),
        _ => {
            if args.out.is_none() && args.html.is_none() {
                print(&markdown);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The document as Markdown and as a page.
fn written(known: &Known, items: &[Item], kept: &Kept) -> (String, String) {
    let checked = check(&known.facts);
    let timings = |planned: &Result<Planned, String>| match planned {
        Ok(planned) => known.past.timings(&planned.plan),
        Err(_) => BTreeMap::new(),
    };
    let (failing, switching) = (timings(&known.failover), timings(&known.switchover));
    let sheet = Sheet {
        facts: &known.facts,
        items,
        checked: &checked,
        kept,
        failover: known
            .failover
            .as_ref()
            .map(|p| Move { plan: &p.plan, timings: &failing, warnings: &p.warnings })
            .map_err(String::as_str),
        switchover: known
            .switchover
            .as_ref()
            .map(|p| Move { plan: &p.plan, timings: &switching, warnings: &p.warnings })
            .map_err(String::as_str),
        failback: known.past.failback(&known.facts.home.name),
        rehearsal: known.past.rehearsal(),
        looked_back: known.past.looked_back(),
        at: items.iter().flat_map(|i| &i.evidence).filter_map(|e| e.at).max().unwrap_or_else(now),
    };
    (render::document_markdown(&sheet), render::document_html(&sheet))
}

/// What is seen of the site now, its history, and how it would be moved.
fn look(site: &Site) -> anyhow::Result<Known> {
    block_on(async {
        let world = wiring::world(site)?;
        let past = Past::read(&world).await?;
        let (facts, seen) = tokio::join!(wiring::survey(site), bascule_engine::observer::observe(&world));
        let facts = facts?;
        let plan = |kind| past.plan(&site.manifest, &seen, kind, &facts.away.name);
        let failover = plan(bascule_core::plan::Kind::Failover);
        let switchover = plan(bascule_core::plan::Kind::Switchover);
        Ok(Known { facts, past, failover, switchover })
    })
}

/// Facts that somebody wrote down: nothing is looked at, so no plan can be made.
fn from_file(path: &Path) -> anyhow::Result<Known> {
    let facts = serde_json::from_str(&read(path)?)
        .map_err(|error| exit::Usage(format!("{} holds no facts: {error}", path.display())))?;
    let none = || Err("the facts were read from a file, and the site was not looked at".to_owned());
    Ok(Known { facts, past: Past::default(), failover: none(), switchover: none() })
}

fn compare(path: &Path, committed: &str, fresh: &str) -> ExitCode {
    let differences = render::document_matches(committed, fresh);
    if differences.is_empty() {
        print(&format!("{} matches what is seen\n", path.display()));
        return ExitCode::SUCCESS;
    }
    let lines: Vec<_> =
        differences.iter().map(|difference| format!("{}: {difference}\n", path.display())).collect();
    print(&lines.concat());
    eprintln!(
        "error: {} no longer matches; see whether the site or the document is wrong, then write it anew with --out",
        path.display()
    );
    ExitCode::from(exit::REFUSED)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bad = |why: String| {
        exit::Usage(format!("{} can't be read: {why}; look at how it is spelt", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
    if size > FILE_MAX {
        return Err(bad(format!("it has {size} bytes, over {FILE_MAX}")).into());
    }
    Ok(std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?)
}

/// Whole or not at all: a document that is half written would be committed.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let context = || format!("{} can't be written", path.display());
    if path.is_dir() {
        return Err(exit::Usage(format!("{} is a folder: name a file", path.display())).into());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut file = std::fs::File::create(&aside).with_context(context)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let replaced = written.and_then(|()| std::fs::rename(&aside, path));
    if replaced.is_err() {
        // half of it is of use to nobody; that it can't be removed adds nothing to why it was not written
        drop(std::fs::remove_file(&aside));
    }
    replaced.with_context(context)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
