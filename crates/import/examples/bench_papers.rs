//! Measures what papers cost: documents and Terraform of 1,000 to 10,000 assets through import, facts, checks and document.
//!
//! `cargo run --release -p bascule-import --example bench_papers -- FOLDER` writes `papers-bench.json` and `papers-bench.svg`
//! there. Each asset is a row of the document and a resource in each of two regions' code, half of them with parts of their
//! own. Each run is a process of its own, so that its peak of memory is its own; the medians of five are kept. Times are
//! those on the processor, which other programs disturb less, and the whole by the clock too. What is left out: opening
//! files.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bascule_core::check::check;
use bascule_core::inventory::inventory;
use bascule_core::render::{Failback, Kept, LookedBack, Sheet, document_markdown};
use bascule_core::time::Timestamp;
use bascule_import::{Papers, facts, markdown, site, terraform};
use serde::{Deserialize, Serialize};

/// How many assets.
const SIZES: [usize; 4] = [1_000, 2_000, 5_000, 10_000];
/// How often each is measured.
const RUNS: usize = 5;

/// What one run took.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    assets: usize,
    /// Bytes of the document and of the code.
    input_kb: usize,
    import_ms: f64,
    facts_ms: f64,
    check_ms: f64,
    document_ms: f64,
    total_ms: f64,
    /// By the clock, other programs' share of the machine included.
    wall_ms: f64,
    peak_rss_mb: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [one, assets] if one == "--one" => assets.parse().map_err(Into::into).and_then(one_run),
        [folder] => all(Path::new(folder)),
        _ => Err("usage: bench_papers FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measure all sizes, each in processes of its own, and write the two files.
fn all(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut medians = Vec::new();
    for assets in SIZES {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let output =
                Command::new(std::env::current_exe()?).args(["--one", &assets.to_string()]).output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            runs.push(serde_json::from_slice::<Run>(&output.stdout)?);
        }
        let run = median(&runs);
        println!(
            "{assets:>6} assets: {:>6.0} ms (import {:.0}, facts {:.0}, checks {:.0}, document {:.0}), {:.0} MB; {:.0} ms by the clock",
            run.total_ms,
            run.import_ms,
            run.facts_ms,
            run.check_ms,
            run.document_ms,
            run.peak_rss_mb,
            run.wall_ms
        );
        medians.push(run);
    }
    let json = serde_json::json!({ "version": 1, "runs_each": RUNS, "medians": medians });
    std::fs::write(folder.join("papers-bench.json"), format!("{json:#}\n"))?;
    std::fs::write(folder.join("papers-bench.svg"), plot(&medians))?;
    Ok(())
}

/// The median of each number by itself.
fn median(runs: &[Run]) -> Run {
    let of = |pick: fn(&Run) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2] * 10.0).round() / 10.0
    };
    Run {
        assets: runs[0].assets,
        input_kb: runs[0].input_kb,
        import_ms: of(|run| run.import_ms),
        facts_ms: of(|run| run.facts_ms),
        check_ms: of(|run| run.check_ms),
        document_ms: of(|run| run.document_ms),
        total_ms: of(|run| run.total_ms),
        wall_ms: of(|run| run.wall_ms),
        peak_rss_mb: of(|run| run.peak_rss_mb),
    }
}

/// One run, in this process.
fn one_run(assets: usize) -> Result<(), Box<dyn Error>> {
    let (document, east, west) = (document(assets), code(assets, "us-east-2"), code(assets, "us-west-1"));
    let input_kb = (document.len() + east.len() + west.len()) / 1024;
    let wall = Instant::now();
    let begun = spent_ms()?;
    let imported = markdown::read(document.as_bytes()).map_err(|finding| finding.message)?;
    let declared = terraform::read(&[("east/main.tf", east.as_bytes()), ("west/main.tf", west.as_bytes())]);
    let differences = site::compare(&imported.document, &declared);
    let import_ms = spent_ms()? - begun;

    let at = Timestamp(1_790_000_000_000);
    let begun_facts = spent_ms()?;
    let known = facts(&Papers { document: Some(("dr.md", &imported)), declared: Some(&declared), at });
    let facts_ms = spent_ms()? - begun_facts;

    let begun_check = spent_ms()?;
    let checked = check(&known);
    let check_ms = spent_ms()? - begun_check;

    let begun_document = spent_ms()?;
    let items = inventory(&known);
    let written = document_markdown(&Sheet {
        facts: &known,
        items: &items,
        checked: &checked,
        kept: &Kept::default(),
        failover: Err("papers make no plan"),
        switchover: Err("papers make no plan"),
        failback: Failback::default(),
        rehearsal: None,
        looked_back: LookedBack::default(),
        at,
    });
    let document_ms = spent_ms()? - begun_document;
    let total_ms = spent_ms()? - begun;
    let wall_ms = wall.elapsed().as_secs_f64() * 1000.0;

    // A bench of nothing would be fast.
    let complete = imported.document.assets.len() == assets && items.len() >= assets && !written.is_empty();
    if !complete || declared.resources.len() < 2 * assets || differences.len() > assets {
        return Err(format!("{} rows, {} items", imported.document.assets.len(), items.len()).into());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kb: f64 = peak.and_then(|text| text.trim().strip_suffix(" kB")).ok_or("no VmHWM")?.parse()?;
    let run = Run {
        assets,
        input_kb,
        import_ms,
        facts_ms,
        check_ms,
        document_ms,
        total_ms,
        wall_ms,
        peak_rss_mb: peak_kb / 1024.0,
    };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

/// How long this process was on the processor, in milliseconds (Linux: `/proc/self/schedstat`, in nanoseconds). It has one
/// thread.
fn spent_ms() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos: f64 = stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?;
    Ok(nanos / 1e6)
}

/// What the assets are, in turn.
const KINDS: [(&str, &str); 6] = [
    ("EC2 instance", "t3.medium"),
    ("Load balancer", ""),
    ("S3 bucket", ""),
    ("Key pair", ""),
    ("RDS cluster", "db.t3.medium"),
    ("EKS cluster", ""),
];

fn document(assets: usize) -> String {
    let mut text = "# Infrastructure\n\n## AWS Zones\nus-east-2\nus-west-1\n\n### Table 1.1 Summary\n\
        | Asset | Purpose | Size | Qty | DR |\n|---|---|---|---|---|\n"
        .to_owned();
    for at in 0..assets {
        let (name, size) = KINDS[at % KINDS.len()];
        let _ = writeln!(text, "| {name} n{at} | serves part {at} of the shop | {size} | 3 per region | |");
    }
    text += "\n### Descriptions\nAll of it serves the shop.\n\n## DR Plan\n### Steps\n\
        1. Promote the database in us-west-1\n2. Point DNS at us-west-1\n3. Verify\n";
    text
}

fn code(assets: usize, region: &str) -> String {
    let mut text = format!("provider \"aws\" {{\n  region = \"{region}\"\n}}\n");
    for at in 0..assets {
        let _ = match at % KINDS.len() {
            0 => write!(
                text,
                "resource \"aws_instance\" \"n{at}\" {{\n  count         = 3\n  ami           = \"ami-1\"\n  \
                 instance_type = \"t3.medium\"\n}}\n"
            ),
            1 => write!(
                text,
                "resource \"aws_lb\" \"n{at}\" {{\n  name = \"n{at}\"\n}}\nresource \"aws_lb_listener\" \"n{at}\" \
                 {{\n  load_balancer_arn = aws_lb.n{at}.arn\n  port              = 443\n}}\n"
            ),
            2 => write!(
                text,
                "resource \"aws_s3_bucket\" \"n{at}\" {{\n  bucket = \"n{at}-{region}\"\n}}\nresource \
                 \"aws_s3_bucket_versioning\" \"n{at}\" {{\n  bucket = aws_s3_bucket.n{at}.id\n  \
                 versioning_configuration {{\n    status = \"Enabled\"\n  }}\n}}\n"
            ),
            3 => write!(
                text,
                "resource \"aws_key_pair\" \"n{at}\" {{\n  public_key = \"ssh-ed25519 key{at}\"\n}}\n"
            ),
            4 => write!(
                text,
                "resource \"aws_db_instance\" \"n{at}\" {{\n  engine         = \"postgres\"\n  instance_class = \
                 \"db.t3.medium\"\n  multi_az       = true\n}}\n"
            ),
            _ => write!(
                text,
                "resource \"aws_eks_cluster\" \"n{at}\" {{\n  name = \"n{at}\"\n}}\nresource \"aws_eks_node_group\" \
                 \"n{at}\" {{\n  cluster_name = aws_eks_cluster.n{at}.name\n  scaling_config {{\n    desired_size = \
                 3\n    min_size     = 3\n    max_size     = 6\n  }}\n}}\n"
            ),
        };
    }
    text
}

/// Both curves over the number of assets, with a straight line through the first point: what is linear lies on it.
fn plot(runs: &[Run]) -> String {
    let mut svg =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"300\" font-family=\"sans-serif\" \
        font-size=\"12\">\n<rect width=\"760\" height=\"300\" fill=\"white\"/>\n"
            .to_owned();
    svg += &panel(runs, 60.0, "processor time, ms", |run| run.total_ms);
    svg += &panel(runs, 440.0, "peak memory, MB", |run| run.peak_rss_mb);
    svg + "</svg>\n"
}

fn panel(runs: &[Run], left: f64, title: &str, pick: fn(&Run) -> f64) -> String {
    const WIDTH: f64 = 280.0;
    const BOTTOM: f64 = 250.0;
    const HEIGHT: f64 = 200.0;
    let most = runs.iter().map(pick).fold(0.0, f64::max) * 1.15;
    let widest = runs.last().map_or(1.0, |run| run.assets as f64);
    let x = |assets: usize| left + WIDTH * assets as f64 / widest;
    let y = |value: f64| BOTTOM - HEIGHT * value / most;
    let mut svg = format!("<text x=\"{left}\" y=\"30\" font-weight=\"bold\">{title}</text>\n");
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {} V{BOTTOM} H{}\" fill=\"none\" stroke=\"#888\"/>",
        BOTTOM - HEIGHT,
        left + WIDTH
    );
    if let (Some(first), Some(last)) = (runs.first(), runs.last()) {
        let slope = pick(first) / first.assets as f64;
        let end = (slope * last.assets as f64).min(most);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{BOTTOM}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#bbb\" stroke-dasharray=\"4 4\"/>",
            x((end / slope) as usize),
            y(end)
        );
    }
    let points: Vec<String> =
        runs.iter().map(|run| format!("{:.1},{:.1}", x(run.assets), y(pick(run)))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0a5\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for run in runs {
        let (x, value) = (x(run.assets), pick(run));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#0a5\"/>", y(value));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            x - 5.0,
            y(value) - 5.0
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"268\" text-anchor=\"middle\">{}k</text>",
            run.assets / 1000
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"288\" text-anchor=\"middle\">assets; dashed: linear from the first point</text>",
        left + WIDTH / 2.0
    );
    svg
}
