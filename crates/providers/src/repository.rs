//! Where the code is kept: whether git can read each copy, and whether the manifest in it is the one in use.
//!
//! Invariant: git is given a bounded time and nothing to ask a person for. Nothing of a repository is checked out or
//! run. What is left out: whether what *runs* is as the manifest says; the other facts show that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bascule_core::facts::{Drift, Fact, Listing, Place, Repository, Source};
use bascule_core::manifest::{self, Manifest};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::now;

/// For `git ls-remote`: a log-in by SSH across an ocean takes ten round trips of 100 ms, and half as much again.
const LIST_WITHIN: Duration = Duration::from_millis(1500);
/// For the newest commit's files, without history. With what is done before and after it, it ends before the survey does:
/// one copy that hangs takes the answers of no other along.
const FETCH_WITHIN: Duration = Duration::from_millis(2000);
/// Largest manifest, in bytes: a hundred times that of a large site.
const MANIFEST_MAX: u64 = 1 << 20;
/// Of what git complains, a line.
const COMPLAINT_MAX: usize = 200;

/// Every repository that the manifest names, its copies taken together. `file` is the manifest as it was named.
pub async fn repositories(manifest: &Manifest, file: &str) -> Listing<Repository> {
    let mut asks = JoinSet::new();
    for copy in &manifest.repositories {
        let (copy, ours) = (copy.clone(), manifest.clone());
        asks.spawn(async move {
            let (read, drift) = tokio::join!(list(&copy.url), drift_of(&copy, &ours));
            Copy { name: copy.name, url: copy.url, place: copy.place, read, drift }
        });
    }
    let mut copies: BTreeMap<String, Vec<Copy>> = BTreeMap::new();
    for copy in asks.join_all().await {
        copies.entry(copy.name.clone()).or_default().push(copy);
    }
    for group in copies.values_mut() {
        // In the manifest's order: who answered first says nothing.
        group.sort_by_key(|copy| manifest.repositories.iter().position(|c| c.url == copy.url));
    }
    let together = copies.into_iter().map(|(name, group)| (name, together(&group)));
    Fact::seen(together.collect(), now(), Source::Line { file: file.to_owned(), line: 0 })
}

/// What was seen of one copy.
struct Copy {
    name: String,
    url: String,
    place: Place,
    read: Read,
    /// How many sections differ; none if the manifest does not say where it stands in it.
    drift: Option<Result<u32, String>>,
}

/// Whether git can read a copy.
enum Read {
    /// Its newest commit.
    Yes,
    /// It says why not.
    No(String),
    /// It did not end in time, or could not be run.
    Unknown(String),
}

/// One asset of all copies: it can be read if each of them can, and is kept where one can.
fn together(copies: &[Copy]) -> Repository {
    let from = |copies: &[&Copy]| {
        let urls: Vec<_> = copies.iter().map(|copy| copy.url.as_str()).collect();
        Source::Address(format!("git ls-remote {}", urls.join(", ")))
    };
    let readable: Vec<&Copy> = copies.iter().filter(|c| matches!(c.read, Read::Yes)).collect();
    let refused: Vec<&Copy> = copies.iter().filter(|c| matches!(c.read, Read::No(_))).collect();
    let late = copies.iter().find_map(|c| match &c.read {
        Read::Unknown(why) => Some((c, why)),
        Read::Yes | Read::No(_) => None,
    });
    let reachable = match (refused.is_empty(), late) {
        (false, _) => Fact::seen(false, now(), from(&refused)),
        (true, Some((copy, why))) => Fact::not_observed(why, from(&[copy])),
        (true, None) => Fact::seen(true, now(), from(&readable)),
    };
    let all: Vec<&Copy> = copies.iter().collect();
    let places: BTreeSet<Place> = readable.iter().map(|copy| copy.place.clone()).collect();
    let places = if readable.is_empty() {
        let why = copies.iter().find_map(|copy| match &copy.read {
            Read::No(why) | Read::Unknown(why) => Some(why.as_str()),
            Read::Yes => None,
        });
        Fact::not_observed(format!("no copy can be read: {}", why.unwrap_or("none is named")), from(&all))
    } else {
        Fact::seen(places.into_iter().collect(), now(), from(&readable))
    };
    Repository { reachable, places, drift: drift(copies) }
}

/// The copy that differs most, of those that hold the manifest.
fn drift(copies: &[Copy]) -> Fact<Drift> {
    let mut most: Option<(u32, &str)> = None;
    for copy in copies {
        let from = || Source::Address(copy.url.clone());
        match &copy.drift {
            None => {}
            Some(Err(why)) => return Fact::not_observed(why, from()),
            Some(Ok(differ)) if most.is_none_or(|(before, _)| before < *differ) => {
                most = Some((*differ, &copy.url))
            }
            Some(Ok(_)) => {}
        }
    }
    match most {
        Some((resources, url)) => Fact::seen(Drift { resources }, now(), Source::Address(url.to_owned())),
        None => Fact::not_observed(
            "the manifest does not say where it stands in the repository: add `manifest` to its [[repository]]",
            Source::Nowhere,
        ),
    }
}

async fn list(url: &str) -> Read {
    let mut command = git();
    command.args(["ls-remote", "--exit-code", "--", url, "HEAD"]);
    match run(command, LIST_WITHIN).await {
        Ok(_) => Read::Yes,
        Err(Failed::Refused(why)) => Read::No(why),
        Err(Failed::Late(why)) => Read::Unknown(why),
    }
}

/// How many sections of the manifest in a copy differ from ours.
async fn drift_of(copy: &manifest::Repository, ours: &Manifest) -> Option<Result<u32, String>> {
    let path = copy.manifest.as_ref()?;
    Some(theirs(&copy.url, path).await.and_then(|text| differing(&text, path, ours)))
}

/// The manifest as the newest commit has it.
async fn theirs(url: &str, path: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|e| format!("can't make a folder for it: {e}"))?;
    let told = |failed: Failed| match failed {
        Failed::Refused(why) | Failed::Late(why) => why,
    };
    let within = |folder: &Path| {
        let mut command = git();
        command.arg("-C").arg(folder);
        command
    };
    let mut init = within(folder.path());
    init.args(["init", "-q", "--bare", "--template="]);
    run(init, LIST_WITHIN).await.map_err(told)?;
    let mut fetch = within(folder.path());
    fetch.args(["fetch", "-q", "--no-tags", "--depth=1", "--", url, "HEAD"]);
    run(fetch, FETCH_WITHIN).await.map_err(told)?;
    let mut size = within(folder.path());
    size.arg("cat-file").arg("-s").arg(format!("FETCH_HEAD:{path}"));
    let size = run(size, LIST_WITHIN).await.map_err(told)?;
    let size = String::from_utf8_lossy(&size).trim().parse::<u64>().unwrap_or(u64::MAX);
    if size > MANIFEST_MAX {
        return Err(format!("{path} in it has {size} bytes: a manifest has at most {MANIFEST_MAX}"));
    }
    let mut show = within(folder.path());
    show.arg("show").arg(format!("FETCH_HEAD:{path}"));
    let text = run(show, LIST_WITHIN).await.map_err(told)?;
    String::from_utf8(text).map_err(|_| format!("{path} in it is no text"))
}

/// Sections are compared as a manifest writes them: comments, order and white space say nothing.
fn differing(theirs: &str, path: &str, ours: &Manifest) -> Result<u32, String> {
    let theirs =
        Manifest::parse(theirs).map_err(|errors| format!("{path} in it is no right manifest: {errors}"))?;
    let (theirs, ours) = (theirs.to_toml(), ours.to_toml());
    let (left, right): (Vec<_>, Vec<_>) =
        (theirs.trim_end().split("\n\n").collect(), ours.trim_end().split("\n\n").collect());
    // A changed section stands on both sides under one heading, and counts once.
    let mut headings: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (side, one, other) in [(0, &left, &right), (1, &right, &left)] {
        for section in one.iter().filter(|section| !other.contains(section)) {
            headings.entry(section.lines().next().unwrap_or_default()).or_default()[side] += 1;
        }
    }
    let changed: usize = headings.values().map(|[gone, new]| gone.max(new)).sum();
    Ok(u32::try_from(changed).unwrap_or(u32::MAX))
}

/// Git that asks nobody for anything: no prompt, no pager, no helper program from a URL (git(1)).
fn git() -> Command {
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "protocol.file.allow=never",
            "-c",
            "core.askPass=true",
        ])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS", "true")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=1")
        // Its words are part of what is told, so they are in one language.
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

enum Failed {
    Refused(String),
    Late(String),
}

async fn run(mut command: Command, within: Duration) -> Result<Vec<u8>, Failed> {
    let output = match tokio::time::timeout(within, command.output()).await {
        Err(_) => return Err(Failed::Late(format!("git did not end within {} ms", within.as_millis()))),
        Ok(Err(error)) => return Err(Failed::Late(format!("can't run git: {error}"))),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.starts_with("fatal:")).or(said.lines().next());
    let line: String = line.unwrap_or("it has no commit").chars().take(COMPLAINT_MAX).collect();
    Err(Failed::Refused(format!("git says: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(url: &str, place: &str, read: Read, drift: Option<Result<u32, String>>) -> Copy {
        let place = Place::Elsewhere(place.to_owned());
        Copy { name: "code".to_owned(), url: url.to_owned(), place, read, drift }
    }

    #[test]
    fn a_repository_can_be_read_only_if_each_copy_can() {
        let one = || copy("git://a/x", "a", Read::Yes, Some(Ok(0)));
        let both = together(&[one(), copy("git://b/x", "b", Read::Yes, Some(Ok(2)))]);
        assert_eq!((both.reachable.value(), both.places.value().map(Vec::len)), (Some(&true), Some(2)));
        assert_eq!(both.drift.value(), Some(&Drift { resources: 2 }), "the copy that differs most");
        let refused = together(&[one(), copy("git://b/x", "b", Read::No("gone".to_owned()), None)]);
        assert_eq!(
            (refused.reachable.value(), refused.places.value().map(Vec::len)),
            (Some(&false), Some(1))
        );
        assert_eq!(refused.reachable.from, Source::Address("git ls-remote git://b/x".to_owned()));
        let late = together(&[one(), copy("git://b/x", "b", Read::Unknown("late".to_owned()), None)]);
        assert_eq!(late.reachable.answer.why_not(), Some("late"));
    }

    #[test]
    fn what_was_not_compared_is_not_observed() {
        let plain = together(&[copy("git://a/x", "a", Read::Yes, None)]);
        assert!(plain.drift.answer.why_not().unwrap().contains("add `manifest`"));
        let failed = together(&[copy("git://a/x", "a", Read::Yes, Some(Err("late".to_owned())))]);
        assert_eq!(failed.drift.answer.why_not(), Some("late"));
        let none = together(&[copy("git://a/x", "a", Read::No("gone".to_owned()), None)]);
        assert_eq!(none.places.answer.why_not(), Some("no copy can be read: gone"));
    }

    #[test]
    fn drift_counts_sections_and_not_words() {
        let text = include_str!("../../core/tests/manifest/right.toml");
        let ours = Manifest::parse(text).unwrap();
        let differ = |text: &str| differing(text, "bascule.toml", &ours);
        assert_eq!(differ(text), Ok(0));
        assert_eq!(differ(&format!("# a comment\n{text}\n\n")), Ok(0));
        assert_eq!(differ(&text.replace("rpo = \"5s\"", "rpo = \"6s\"")), Ok(1));
        assert_eq!(differ(&text.replace("move_ttl = \"2s\"", "move_ttl = \"1s\"")), Ok(1), "of two records");
        assert_eq!(differ(text.split("[lab]").next().unwrap()), Ok(1));
        assert!(differ("version = 1").unwrap_err().starts_with("bascule.toml in it is no right manifest"));
    }
}
