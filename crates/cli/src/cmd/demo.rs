//! `bascule demo`: the whole story on a new lab, told by the same commands a person would type.
//!
//! Each line of the story runs this very binary, so the demonstration can't do anything a user can't.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use bascule_drill::DrillReport;
use bascule_engine::report::Report;
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cmd::print;
use crate::{exit, render};

/// Arguments of `demo`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The lab's folder
    #[arg(long, default_value = "target/lab/demo")]
    dir: PathBuf,
    /// Where the drills' reports go, as JSON
    #[arg(long, default_value = "target/demo.json")]
    out: PathBuf,
    /// Leave the lab running at the end
    #[arg(long)]
    keep: bool,
}

/// What the demonstration leaves.
#[derive(Debug, Serialize)]
struct Story {
    version: u32,
    lab_up_ms: u64,
    drills: Vec<DrillReport>,
    reinstate: Report,
}

/// Run it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let teller = Teller { me: std::env::current_exe()?, manifest: args.dir.join("bascule.toml") };
    let dir = args.dir.to_string_lossy().into_owned();
    let told = tell(&teller, &dir);
    if !args.keep {
        teller.show(&["lab", "down", "--dir", &dir])?;
    }
    let story = told?;
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&args.out, serde_json::to_string_pretty(&story)?)
        .with_context(|| format!("write {}", args.out.display()))?;
    print(&table(&story));
    let met = story.drills.iter().all(|d| d.verdict.is_met());
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::from(exit::MISSED) })
}

fn tell(teller: &Teller, dir: &str) -> anyhow::Result<Story> {
    let (east, west) = ("us-east-2", "us-west-1");
    let began = Instant::now();
    teller.show(&["lab", "up", "--minimal", "--dir", dir])?;
    let lab_up_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    teller.show(&["status"])?;
    teller.show(&["plan", "switchover", "--to", west])?;
    let mut drills = vec![
        teller.json(&["drill", "switchover", "--to", west, "--json"])?,
        teller.json(&["drill", "switchover", "--to", east, "--json"])?,
        teller.json(&["drill", "region-loss", east, "--json"])?,
    ];
    teller.show(&["status"])?;
    teller.show(&["lab", "heal", east, "--dir", dir])?;
    let reinstate = teller.json(&["reinstate", east, "--json"])?;
    teller.show(&["status"])?;
    drills.push(teller.json(&["drill", "switchover", "--to", east, "--json"])?);
    teller.show(&["history"])?;
    Ok(Story { version: 1, lab_up_ms, drills, reinstate })
}

struct Teller {
    me: PathBuf,
    manifest: PathBuf,
}

impl Teller {
    fn command(&self, argv: &[&str]) -> Command {
        print(&format!("\n$ bascule {}\n", argv.join(" ")));
        let mut command = Command::new(&self.me);
        command.args(argv).env("BASCULE_MANIFEST", &self.manifest);
        command
    }

    /// Run a command whose output is for the audience.
    fn show(&self, argv: &[&str]) -> anyhow::Result<()> {
        let status = self.command(argv).status()?;
        if !status.success() {
            bail!("`bascule {}` ended with {status}", argv.join(" "));
        }
        Ok(())
    }

    /// Run a command whose answer is data. A missed verdict is an answer too.
    fn json<T: serde::de::DeserializeOwned>(&self, argv: &[&str]) -> anyhow::Result<T> {
        let out = self.command(argv).stderr(Stdio::inherit()).output()?;
        if out.stdout.is_empty() {
            bail!("`bascule {}` ended with {} and no answer", argv.join(" "), out.status);
        }
        serde_json::from_slice(&out.stdout).with_context(|| format!("`bascule {}`", argv.join(" ")))
    }
}

fn table(story: &Story) -> String {
    let known = |ms: Option<u64>| ms.map_or("unknown".to_owned(), |ms| format!("{ms} ms"));
    let count = |n: Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
    let mut out = String::new();
    let _ = writeln!(
        out,
        "\n{:<12} {:<24} {:>7} {:>5} {:>7} {:>9} {:>9} {:>8} {:>11}  verdict",
        "drill", "move", "acked", "lost", "errors", "pause", "RTO", "RPO", "two writers"
    );
    for d in &story.drills {
        let _ = writeln!(
            out,
            "{:<12} {:<24} {:>7} {:>5} {:>7} {:>9} {:>9} {:>8} {:>11}  {}",
            d.drill,
            format!("{} -> {}", d.from, d.to),
            d.acknowledged,
            count(d.lost_writes),
            d.errors,
            known(d.write_pause_ms),
            known(d.rto_ms),
            known(d.rpo_ms),
            known(d.double_writer_ms),
            d.verdict.word()
        );
    }
    let saved = story.reinstate.steps.iter().find(|s| s.step.as_str().starts_with("save-"));
    let _ = writeln!(
        out,
        "reinstate of {}: {} ms; {}",
        story.reinstate.to,
        render::ms(story.reinstate.took_us),
        saved.map_or("", |s| s.note.as_str())
    );
    let _ = writeln!(out, "lab healthy after {} ms", story.lab_up_ms);
    out
}
