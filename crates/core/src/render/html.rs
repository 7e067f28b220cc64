//! The document as one HTML page, with the picture of the two regions in it. It loads nothing and runs nothing.

use std::fmt::Write as _;

use super::document::{self, COLUMNS, Move, Sheet, StepLine};
use super::escape::xml;
use super::kept::NOTED;
use super::matches::WARNED;
use super::picture::picture_svg;
use super::pre_steps::NOTHING;
use super::words;
use crate::asset::Protection;
use crate::inventory::Item;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
";
const STYLE: &str = "<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .3rem .6rem; text-align: left; vertical-align: top; }
svg { max-width: 100%; height: auto; }
</style>
";

/// The whole page.
#[must_use]
pub fn document_html(sheet: &Sheet<'_>) -> String {
    let mut out = String::from(HEAD);
    let site = xml(sheet.facts.site.as_str());
    let _ = writeln!(out, "<title>{site}: disaster recovery</title>\n{STYLE}</head>\n<body>");
    out.push_str("<h1>Infrastructure</h1>\n<h2>AWS Zones</h2>\n<ul>\n");
    for region in sheet.facts.regions() {
        let _ = writeln!(out, "<li>{}</li>", xml(region.name.as_str()));
    }
    let _ = writeln!(out, "</ul>\n<figure>\n{}</figure>", picture_svg(sheet.facts, sheet.items));
    out.push_str("<h2>Servers and Clusters</h2>\n<h3>Table 1.1 Summary</h3>\n");
    let rows = document::rows(sheet).map(|row| row.cells.to_vec());
    table(&mut out, &COLUMNS, rows);
    out.push_str("<h3>Descriptions</h3>\n");
    for item in sheet.items {
        description(&mut out, item);
    }
    for row in &sheet.kept.rows {
        let _ = writeln!(out, "<p>{}: {}</p>", xml(&row.name), document::not_looked_for());
    }
    for note in &sheet.kept.notes {
        let _ = writeln!(out, "<p>{NOTED}{}</p>", xml(&note.text));
    }
    out.push_str("<h2>DR Plan</h2>\n<ul>\n");
    for (what, words) in document::promises(sheet) {
        let _ = writeln!(out, "<li>{what}: {}</li>", xml(&words));
    }
    let _ = writeln!(out, "<li>Last rehearsal: {}</li>", xml(&document::rehearsal(sheet)));
    let _ = writeln!(out, "<li>Observed: {}</li>\n</ul>\n<h3>Pre-Steps</h3>", sheet.at);
    pre_steps(&mut out, &document::pre_steps(sheet));
    out.push_str("<h2>Steps</h2>\n");
    steps(&mut out, sheet, &sheet.failover);
    out.push_str("<h2>Failback</h2>\n");
    lines(&mut out, document::way_back(sheet).into());
    out.push_str("<h2>Switchover Plan</h2>\n<h3>Steps</h3>\n");
    steps(&mut out, sheet, &sheet.switchover);
    out.push_str("</body>\n</html>\n");
    out
}

fn table(out: &mut String, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    out.push_str("<table>\n<thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", xml(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", marked(&cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

/// A cell; what somebody has to see to stands out.
fn marked(cell: &str) -> String {
    let gap = [Protection::OneRegionOnly, Protection::Unknown].map(Protection::as_str).contains(&cell);
    if gap { format!("<strong>{cell}</strong>") } else { xml(cell) }
}

fn description(out: &mut String, item: &Item) {
    let (title, found) = (xml(&words::asset(item)), xml(&document::found(item)));
    let (how, why) = (marked(item.protection.as_str()), xml(&item.why));
    let _ = writeln!(out, "<details><summary>{title}: {how}, {found}</summary>\n<p>{why}</p>\n<ul>");
    for told in document::told(&item.evidence) {
        let _ = writeln!(out, "<li>{}</li>", xml(&told));
    }
    out.push_str("</ul></details>\n");
}

fn pre_steps(out: &mut String, open: &[String]) {
    if open.is_empty() {
        let _ = writeln!(out, "<p>{NOTHING}</p>");
        return;
    }
    out.push_str("<ul>\n");
    for step in open {
        let _ = writeln!(out, "<li>{}</li>", xml(step));
    }
    out.push_str("</ul>\n");
}

fn steps(out: &mut String, sheet: &Sheet<'_>, plan: &Result<Move<'_>, &str>) {
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => {
            let _ = writeln!(out, "<p>No plan can be made: {}</p>", xml(why));
            return;
        }
    };
    let _ = writeln!(out, "<p>A {}</p>", xml(&document::purpose(plan.plan)));
    for warning in document::warnings(plan) {
        let _ = writeln!(out, "<p>{WARNED}{}</p>", xml(&warning));
    }
    lines(out, document::steps(sheet, plan));
    let _ = writeln!(out, "<p>Predicted: {}</p>", xml(&document::prediction(plan.plan)));
}

fn lines(out: &mut String, steps: Vec<StepLine>) {
    let rows = steps.into_iter().enumerate().map(|(index, step)| {
        let number = (index + 1).to_string();
        vec![number, step.does, step.why, step.owner, step.bound, step.predicted, step.measured]
    });
    table(out, &["", "Step", "Why", "Owner", "At most", "Predicted", "Last measured"], rows);
}
