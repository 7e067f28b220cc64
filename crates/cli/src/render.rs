//! Plain text for people. Data goes to stdout; meaning is never in colour alone, so there is no colour.

use std::fmt::Write as _;

use bascule_core::id::RegionName;
use bascule_core::manifest::Manifest;
use bascule_core::observation::{ClusterRole, DatabaseObservation, Observation, Observed, RegionObservation};
use bascule_core::planner::{Assessment, Finding};
use bascule_core::position::Lsn;
use bascule_engine::report::Report;

/// A cell of the status table for something that was not observed.
fn cell<T>(observed: &Observed<T>, show: impl Fn(&T) -> String) -> String {
    match observed {
        Observed::Seen { value, .. } => show(value),
        Observed::NotObserved { .. } => "unknown".to_owned(),
    }
}

/// The status of a site.
pub fn status(manifest: &Manifest, seen: &Observation) -> String {
    let mut out = String::new();
    let active = seen.tenure.seen().map(|t| t.active.clone());
    let operation = match &seen.open_operation {
        Observed::Seen { value: Some(id), .. } => format!("operation {id} is open"),
        Observed::Seen { value: None, .. } => "no operation is open".to_owned(),
        Observed::NotObserved { .. } => "whether an operation is open is unknown".to_owned(),
    };
    let _ = match seen.tenure.seen() {
        Some(t) => writeln!(
            out,
            "site {}: {} is active since {} (epoch {}); {operation}",
            manifest.site, t.active, t.since, t.epoch
        ),
        None => writeln!(out, "site {}: who is active is unknown; {operation}", manifest.site),
    };
    let regions: Vec<(&RegionName, &RegionObservation)> = seen.regions.iter().collect();
    let title = |region: &RegionName| match &active {
        Some(a) if a == region => format!("{region} (active)"),
        Some(_) => format!("{region} (standby)"),
        None => format!("{region} (role unknown)"),
    };
    let end = regions.iter().filter_map(|(_, r)| primary_end(r)).max();
    let mut row = |name: &str, show: &dyn Fn(&RegionName, &RegionObservation) -> String| {
        let cells: Vec<String> = regions.iter().map(|(n, r)| show(n, r)).collect();
        let _ = writeln!(
            out,
            "{name:<10} {}",
            cells.iter().map(|c| format!("{c:<38}")).collect::<String>().trim_end()
        );
    };
    row("", &|name, _| title(name));
    row("database", &|_, r| cell(&r.database, database));
    row("position", &|_, r| {
        cell(&r.database, |d| d.position.map_or("unknown".to_owned(), |p| p.to_string()))
    });
    row("lag", &|_, r| cell(&r.database, |d| lag(d, end)));
    row("gate", &|_, r| {
        cell(&r.gate, |g| format!("{} (epoch {}), {} up", g.state.as_str(), g.epoch, g.servers_up))
    });
    row("pool", &|_, r| {
        cell(&r.pool, |p| {
            format!(
                "{}, {} clients, {} waiting",
                if p.held { "HOLDING" } else { "open" },
                p.clients,
                p.waiting
            )
        })
    });
    row("instances", &|_, r| {
        cell(&r.compute, |c| format!("{} ready, {} alive, {} wanted", c.ready, c.alive, c.wanted))
    });
    names(&mut out, manifest, seen);
    unknowns(&mut out, seen);
    out
}

fn primary_end(region: &RegionObservation) -> Option<Lsn> {
    region.database.seen().filter(|d| d.role == ClusterRole::Primary).and_then(|d| d.position).map(|p| p.lsn)
}

fn database(d: &DatabaseObservation) -> String {
    let (well, all) = d.well();
    let role = match d.role {
        ClusterRole::Primary => "primary",
        ClusterRole::Standby => "standby",
        ClusterRole::Leaderless => "no leader",
    };
    let leader = d.leader.as_ref().map_or(String::new(), |l| format!(" {l}"));
    format!("{role}{leader}, {well}/{all} well")
}

fn lag(d: &DatabaseObservation, end: Option<Lsn>) -> String {
    match d.role {
        ClusterRole::Primary => "-".to_owned(),
        ClusterRole::Leaderless => "unknown".to_owned(),
        ClusterRole::Standby => {
            let bytes = match (end, d.position) {
                (Some(end), Some(here)) => format!("{} bytes", end.bytes_past(here.lsn)),
                (None, _) | (_, None) => "unknown bytes".to_owned(),
            };
            #[allow(clippy::cast_precision_loss)] // an age in ms is far below 2^52
            let age = d
                .newest_replayed_age_ms
                .map_or("of unknown age".to_owned(), |ms| format!("{:.1} s old", ms as f64 / 1000.0));
            let stream = if d.streaming { "" } else { ", NOT STREAMING" };
            format!("{bytes}, newest {age}{stream}")
        }
    }
}

fn names(out: &mut String, manifest: &Manifest, seen: &Observation) {
    for record in &manifest.names.records {
        let answers = seen.names.get(&record.name).map_or(&[][..], Vec::as_slice);
        let mut told: Vec<(String, u32)> = Vec::new();
        for answer in answers.iter().filter_map(|a| a.answer.seen()) {
            let region = |address| {
                manifest
                    .regions
                    .keys()
                    .find(|r| manifest.address(record, r) == address)
                    .map(|r| format!(" ({r})"))
            };
            let points: Vec<String> =
                answer.addresses.iter().map(|a| format!("{a}{}", region(*a).unwrap_or_default())).collect();
            let text = format!("{}, ttl {} s", points.join(" "), answer.ttl_s);
            match told.iter_mut().find(|(t, _)| *t == text) {
                Some((_, count)) => *count += 1,
                None => told.push((text, 1)),
            }
        }
        if told.is_empty() {
            told.push(("unknown".to_owned(), 0));
        }
        for (text, count) in told {
            let _ = writeln!(out, "{:<20} {text}: {count} of {} servers", record.name, answers.len());
        }
    }
}

fn unknowns(out: &mut String, seen: &Observation) {
    let mut list: Vec<String> = Vec::new();
    for (region, r) in &seen.regions {
        let parts = [
            ("database", r.database.why_not()),
            ("load balancer", r.gate.why_not()),
            ("pool", r.pool.why_not()),
            ("instances", r.compute.why_not()),
        ];
        list.extend(parts.iter().filter_map(|(part, why)| Some(format!("{region} {part}: {}", (*why)?))));
        if let Some(since) = r.lost_since {
            list.push(if since > seen.at {
                format!("{region}: nothing of it is seen; its gate may be open until {since}")
            } else {
                format!("{region}: nothing of it has been seen since {since}")
            });
        }
    }
    for (name, answers) in &seen.names {
        list.extend(
            answers.iter().filter_map(|a| Some(format!("{name} at {}: {}", a.server, a.answer.why_not()?))),
        );
    }
    list.extend(seen.tenure.why_not().map(|why| format!("tenure: {why}")));
    if list.is_empty() {
        out.push_str("unknown: nothing\n");
    } else {
        out.push_str("unknown:\n");
        for line in list {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// A plan, and what is to be said of it.
pub fn assessment(assessment: &Assessment) -> String {
    let mut out = String::new();
    if let Some(plan) = &assessment.plan {
        let _ = writeln!(
            out,
            "{} of {} to {} (other region {}), planned on epoch {}, plan {}",
            plan.kind.as_str(),
            plan.site,
            plan.to,
            plan.from,
            plan.base,
            &plan.hash()[..12]
        );
        let mut phase = None;
        for step in &plan.steps {
            if phase != Some(step.phase) {
                phase = Some(step.phase);
                let _ = writeln!(out, "{}", step.phase.as_str());
            }
            let needs: Vec<_> = step.needs.iter().map(|n| n.as_str()).collect();
            let after =
                if needs.is_empty() { String::new() } else { format!("  [after {}]", needs.join(", ")) };
            let _ = writeln!(out, "  {:<28} {}{after}", step.id, step.why);
        }
        let pause = plan.prediction.write_pause_ms.map_or("unknown".to_owned(), |ms| format!("{ms} ms"));
        let _ = writeln!(out, "predicted write pause: {pause} ({})", plan.prediction.basis);
    }
    findings(&mut out, "warning", &assessment.warnings);
    findings(&mut out, "blocked", &assessment.blocks);
    if assessment.blocks.is_empty() {
        out.push_str("it could run now\n");
    } else {
        let _ = writeln!(out, "it can't run now: {} thing(s) forbid it", assessment.blocks.len());
    }
    out
}

/// Findings, two lines each.
pub fn findings(out: &mut String, word: &str, findings: &[Finding]) {
    for f in findings {
        let _ = writeln!(
            out,
            "{word} {}: {}: {}\n    to do: {}",
            f.code.as_str(),
            f.subject,
            f.message,
            f.remedy
        );
    }
}

/// Microseconds as milliseconds with one decimal.
pub fn ms(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}

/// The account of an operation.
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    let ended = match &report.outcome {
        Some(outcome) => outcome.to_string(),
        None => format!("open, {}", report.course),
    };
    let _ = writeln!(
        out,
        "operation {}: {} of {} -> {}, epoch {}, begun {}\n{ended}; {} ms, {} controller(s)",
        report.operation,
        report.kind.as_str(),
        report.from,
        report.to,
        report.base,
        report.begun,
        ms(report.took_us),
        report.controllers
    );
    for step in report.steps.iter().filter(|s| s.state == "given up") {
        let _ = writeln!(out, "GAVE UP {}: {}", step.step, step.note);
    }
    if let Some(loss) = report.loss_ms {
        let _ = writeln!(out, "writes of at most {loss} ms may be lost");
    }
    for s in &report.steps {
        let time = match (s.began_us, s.ended_us) {
            (Some(began), Some(ended)) => format!("{:>9} +{:>8}", ms(began), ms(ended.saturating_sub(began))),
            (Some(began), None) => format!("{:>9} {:>9}", ms(began), "-"),
            (None, _) => format!("{:>9} {:>9}", "-", "-"),
        };
        let again = if s.attempts > 1 { format!(" ({} attempts)", s.attempts) } else { String::new() };
        let _ = writeln!(out, "  {time} ms  {:<28} {}{again}: {}", s.step, s.state, s.note);
    }
    if let Some(hold) = report.hold_us {
        let _ = writeln!(
            out,
            "writes were held for {} ms (each step's time includes its journal write):",
            ms(hold)
        );
        for stretch in &report.hold {
            let steps = if stretch.steps.is_empty() { "(between steps)" } else { &stretch.steps };
            let _ = writeln!(out, "  {:>9} ms  {steps}", ms(stretch.took_us));
        }
    }
    out
}
