//! `bascule check`: questions that decide whether a move would work, asked of the running site or of papers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bascule_core::check::{self, Answer, Checked, Code};
use bascule_core::facts::{Facts, Region, Source};
use bascule_core::render::{self, Held};
use clap::Args as ClapArgs;

use crate::cmd::{block_on, print};
use crate::papers::Papers;
use crate::site::Site;
use crate::{exit, wiring};

/// Shown at the end of the command's own `--help`.
const EXITS: &str = "\
Exit codes:
  0  every check holds
  1  it did not work; stderr says why
  2  the command line or the manifest is wrong, or a paper can't be used; unless a check of the others fails
  3  a check fails
  8  no check fails, but one is unknown: something that it needs was not observed, and that is not green

Each check has a page: docs/checks/BSC-C….md";

/// Arguments of `check`.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXITS)]
pub struct Args {
    /// Papers instead of the running site: a document in Markdown, Terraform's states, plans, `.tf` files, or folders
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print every answer as JSON
    #[arg(long, group = "format")]
    json: bool,
    /// Print what does not hold as SARIF 2.1.0, which code review tools show
    #[arg(long, group = "format")]
    sarif: bool,
    /// Print every answer as JUnit XML, which CI systems show
    #[arg(long, group = "format")]
    junit: bool,
    /// Ask this check alone, e.g. BSC-C021; may be given again
    #[arg(long, value_name = "CODE", value_parser = parse_code)]
    only: Vec<Code>,
    /// List what holds too, instead of counting it
    #[arg(long)]
    all: bool,
    /// How long to look at the running site, e.g. 10s: for many parts, or slow lines [default: 2.5s, at most: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_within, conflicts_with = "files")]
    within: Option<Duration>,
}

impl Args {
    /// Whether papers are checked, for which no site is needed.
    pub fn is_of_papers(&self) -> bool {
        !self.files.is_empty()
    }
}

/// The number alone is enough, in any case of letters.
fn parse_code(text: &str) -> Result<Code, String> {
    let wanted = text.trim().to_ascii_uppercase();
    let wanted = wanted.strip_prefix("BSC-").unwrap_or(&wanted);
    let known = Code::ALL.iter().find(|code| code.as_str().strip_prefix("BSC-") == Some(wanted));
    known.copied().ok_or_else(|| {
        let (first, last) = (Code::ALL.first(), Code::ALL.last());
        let name = |code: Option<&Code>| code.map_or("", |code| code.as_str());
        format!(
            "there is no such check; they are {} to {}, see docs/checks/README.md",
            name(first),
            name(last)
        )
    })
}

/// Within the survey's own limits: a shorter time would leave out what answers.
pub fn parse_within(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let (least, most) = (bascule_survey::WITHIN, bascule_survey::WITHIN_MAX);
    time.filter(|time| (least..=most).contains(time)).ok_or_else(|| {
        format!("write seconds from {} to {}, for example: 10s", least.as_secs_f64(), most.as_secs_f64())
    })
}

/// Check the running site.
pub fn live(site: &Site, args: &Args) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let within = args.within.unwrap_or(bascule_survey::WITHIN);
    let facts = block_on(wiring::survey_within(site, within))?;
    let code = report(&facts, &site.file, args)?;
    eprintln!("looked for {} ms, of {} ms at most", begun.elapsed().as_millis(), within.as_millis());
    Ok(code)
}

/// Check papers.
pub fn papers(args: &Args) -> anyhow::Result<ExitCode> {
    let papers = Papers::open(&args.files)?;
    for file in papers.refused() {
        eprintln!("error: {file:?} could not be used; `bascule import` says why");
    }
    if papers.are_empty() {
        return Err(exit::Usage("nothing that was read is a zone, an asset or a step".to_owned()).into());
    }
    let about = args.files.first().map(|file| file.display().to_string()).unwrap_or_default();
    let code = report(&papers.facts(), &about, args)?;
    // what fails of the others fails all the same
    let unread = !papers.refused().is_empty() && code != ExitCode::from(exit::FAILS);
    Ok(if unread { ExitCode::from(exit::USAGE) } else { code })
}

/// `about`: the file that describes what was checked.
fn report(facts: &Facts, about: &str, args: &Args) -> anyhow::Result<ExitCode> {
    let mut checked = check::check(facts);
    if !args.only.is_empty() {
        checked.retain(|one| args.only.contains(&one.code));
    }
    let text = if args.json {
        render::checks_json(&facts.site, &checked) + "\n"
    } else if args.sarif {
        render::checks_sarif(&checked, about) + "\n"
    } else if args.junit {
        render::checks_junit(&checked)
    } else {
        render::checks_text(&checked, if args.all { Held::Listed } else { Held::Counted })
    };
    print(&text);
    for region in facts.regions().into_iter().filter(|region| is_silent(region)) {
        eprintln!(
            "warning: nothing of {name} answers: what is unknown of it follows from that; see `bascule status`",
            name = region.name
        );
    }
    Ok(verdict(&checked))
}

/// Whether neither its databases, nor its load balancers, nor its instances answered.
fn is_silent(region: &Region) -> bool {
    let databases = region.database.value().into_iter().flat_map(|all| all.values());
    let balancers = region.load_balancer.value().into_iter().flat_map(|all| all.values());
    let groups = region.compute.value().into_iter().flat_map(|all| all.values());
    let mut instances = groups.filter_map(|group| group.instances.value()).flatten().peekable();
    // papers have instances that nobody asked
    instances.peek().is_some_and(|first| matches!(first.alive.from, Source::Address(_)))
        && databases.into_iter().all(|database| database.members.value().is_none())
        && balancers.into_iter().all(|balancer| balancer.targets.value().is_none())
        && instances.all(|instance| instance.alive.value().is_none())
}

fn verdict(checked: &[Checked]) -> ExitCode {
    match checked.iter().map(|one| one.answer).max() {
        Some(Answer::Fails) => ExitCode::from(exit::FAILS),
        Some(Answer::Unknown) => ExitCode::from(exit::UNKNOWN),
        Some(Answer::Holds) | None => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_named_by_its_code_in_any_spelling() {
        for text in ["BSC-C021", "bsc-c021", "C021", "c021"] {
            assert_eq!(parse_code(text), Ok(Code::LagInObjective));
        }
        assert!(parse_code("C052").is_err_and(|why| why.contains("BSC-C001 to BSC-C051")));
    }
}
