//! The picture of the two regions: what is in each, how much of it is well, which way data follows and where
//! names point. Everything that is drawn is also said in words: nothing is told by colour alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::{plain, xml};
use super::words;
use crate::asset::AssetKind;
use crate::facts::{Database, Facts, Place, Region};
use crate::inventory::Item;
use crate::observation::ClusterRole;

/// Rows drawn in a region: two of each of the seven kinds that are in regions. The table below has them all.
const ROWS_MAX: usize = 14;
/// Rows of one kind where there are more than fit.
const ROWS_OF_KIND: usize = 2;
/// Characters of a row: what fits into a region's box.
const CHARS_MAX: usize = 44;
const ROW_HEIGHT: usize = 24;
const BOX_TOP: usize = 130;
const BOX_WIDTH: usize = 380;
/// The left edges of the two boxes.
const BOX_LEFT: [usize; 2] = [20, 560];
const WIDTH: usize = 960;

/// An SVG element, to be put into a page as it is.
#[must_use]
pub fn picture_svg(facts: &Facts, items: &[Item]) -> String {
    let (drawn, left_out) = drawn(facts, items);
    let rows = drawn.len() + usize::from(left_out > 0);
    let height = 60 + rows * ROW_HEIGHT;
    let bottom = BOX_TOP + height;
    let mut out = String::new();
    let total = bottom + 20;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"14\">"
    );
    let _ = writeln!(out, "<title>{}</title>", xml(&format!("The two regions of {}", facts.site)));
    out.push_str(
        "<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto-start-reverse\"><path d=\"M0 0L10 5L0 10z\"/></marker></defs>\n",
    );
    for (region, left) in facts.regions().into_iter().zip(BOX_LEFT) {
        one_region(&mut out, region, (&drawn, left_out), left, height);
    }
    names(&mut out, facts);
    replication(&mut out, facts, BOX_TOP + height / 2);
    out.push_str("</svg>\n");
    out
}

/// The assets that are drawn, and how many more there are: all that are in a region if they fit, else some of each
/// kind.
fn drawn<'a>(facts: &Facts, items: &'a [Item]) -> (Vec<&'a Item>, usize) {
    let in_region = |place: &Place| facts.regions().iter().any(|region| place.is(&region.name));
    // names have a box of their own, and code is in no region's part of the site
    let has_row = |item: &&Item| !matches!(item.kind, AssetKind::Dns | AssetKind::Repository);
    let regional = items.iter().filter(has_row).filter(|i| i.found.iter().any(|f| in_region(&f.place)));
    let all: Vec<&Item> = regional.collect();
    if all.len() <= ROWS_MAX {
        return (all, 0);
    }
    let mut of_kind: BTreeMap<AssetKind, usize> = BTreeMap::new();
    let mut some = Vec::new();
    for item in &all {
        let times = of_kind.entry(item.kind).or_default();
        *times += 1;
        if *times <= ROWS_OF_KIND {
            some.push(*item);
        }
    }
    let left_out = all.len() - some.len();
    (some, left_out)
}

/// What a region does, as its databases say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Active,
    Standby,
    NotObserved,
}

fn part(region: &Region) -> Part {
    let databases = region.database.value().into_iter().flat_map(|l| l.values());
    let mut part = Part::NotObserved;
    for database in databases {
        match database.role.value() {
            Some(ClusterRole::Primary) => return Part::Active,
            Some(ClusterRole::Standby) => part = Part::Standby,
            Some(ClusterRole::Leaderless) | None => {}
        }
    }
    part
}

fn one_region(
    out: &mut String,
    region: &Region,
    (items, left_out): (&[&Item], usize),
    left: usize,
    height: usize,
) {
    let does = match part(region) {
        Part::Active => "active",
        Part::Standby => "standby",
        Part::NotObserved => "role not observed",
    };
    let _ = writeln!(
        out,
        "<rect x=\"{left}\" y=\"{BOX_TOP}\" width=\"{BOX_WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#f6f8fa\" \
         stroke=\"#57606a\"/>"
    );
    let (x, mut y) = (left + 16, BOX_TOP + 28);
    let heading = cut(&format!("{}: {does}", region.name));
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" font-weight=\"bold\">{heading}</text>");
    for item in items {
        y += ROW_HEIGHT;
        let found = item.found.iter().find(|f| f.place.is(&region.name));
        let health = found.map_or_else(|| "none".to_owned(), |f| words::health(&f.count));
        let row = cut(&words::asset(item));
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\">{row}: {}</text>", xml(&health));
    }
    if left_out > 0 {
        y += ROW_HEIGHT;
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\">and {left_out} more</text>");
    }
}

/// Names, with a full arrow to the active region and a broken one to each other that they have a target in.
fn names(out: &mut String, facts: &Facts) {
    let listed = facts.dns.value();
    let label = match listed {
        Some(names) => crate::facts::told::list(names.keys()),
        None => "names not observed".to_owned(),
    };
    let middle = WIDTH / 2;
    let _ = writeln!(
        out,
        "<rect x=\"{}\" y=\"16\" width=\"360\" height=\"36\" rx=\"8\" fill=\"#fff\" stroke=\"#57606a\"/>",
        middle - 180
    );
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"39\" text-anchor=\"middle\">{}</text>", cut(&label));
    for (region, left) in facts.regions().into_iter().zip(BOX_LEFT) {
        let mut targets = listed.into_iter().flat_map(|l| l.values()).filter_map(|r| r.targets.value());
        if !targets.any(|t| t.contains(&region.name)) {
            continue;
        }
        let (dash, word) = match part(region) {
            Part::Active => ("", "users"),
            Part::Standby => (" stroke-dasharray=\"6 4\"", "after a move"),
            Part::NotObserved => (" stroke-dasharray=\"2 4\"", "role not observed"),
        };
        let x = left + BOX_WIDTH / 2;
        let _ = writeln!(
            out,
            "<path class=\"name\" d=\"M{middle} 52L{x} {}\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"2\"{dash} \
             marker-end=\"url(#tip)\"/>",
            BOX_TOP - 2
        );
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{word}</text>", BOX_TOP - 24);
    }
}

/// An arrow from what is followed to what follows, for each direction that was seen.
fn replication(out: &mut String, facts: &Facts, y: usize) {
    let gap = (BOX_LEFT[0] + BOX_WIDTH + 4, BOX_LEFT[1] - 4);
    let pairs = [(&facts.home, &facts.away, (gap.1, gap.0), y + 24), (&facts.away, &facts.home, gap, y - 24)];
    for (follower, source, (from, to), y) in pairs {
        let databases = follower.database.value().into_iter().flat_map(|l| l.values());
        let follows = |d: &Database| d.replica_source.value() == Some(&Some(source.name.clone()));
        if databases.filter(|d| follows(d)).count() == 0 {
            continue;
        }
        let _ = writeln!(
            out,
            "<path class=\"replication\" d=\"M{from} {y}L{to} {y}\" stroke=\"#1a7f37\" stroke-width=\"2\" \
             marker-end=\"url(#tip)\"/>"
        );
        let (middle, above) = (WIDTH / 2, y - 8);
        let _ = writeln!(out, "<text x=\"{middle}\" y=\"{above}\" text-anchor=\"middle\">replicates</text>");
    }
}

/// As much as fits, escaped.
fn cut(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => xml(&format!("{}…", &text[..end])),
        None => xml(&text),
    }
}
