//! How many there are of an asset, as a cell says it.

use bascule_core::asset::{AssetKind, Quantity};

use super::region::region_of;
use super::words::{Word, words};

/// What a cell says of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: empty, or a dash.
    Nothing,
    /// That there is no number: "NA".
    NotApplicable,
    /// A number.
    Number(Quantity),
    /// Something that is not one number in all or in each region.
    Unclear,
}

/// Read a cell of an asset of this kind: of a cluster its nodes count, and not the clusters.
pub(super) fn read_of(kind: Option<AssetKind>, cell: &str) -> Said {
    let clusters = match kind {
        Some(AssetKind::Kubernetes | AssetKind::Database) => of_clusters(cell),
        _ => None,
    };
    clusters.unwrap_or_else(|| read(cell))
}

/// What a cell says that counts clusters: "1 cluster (3 nodes) per region".
fn of_clusters(cell: &str) -> Option<Said> {
    const NODES: &[&str] = &["node", "instance", "replica", "server", "worker", "member", "machine", "vm"];
    const REACH: usize = 5;
    let all = words(&cell.replace('/', " per "));
    let numbers: Vec<(usize, u32)> = (0..all.len()).filter_map(|at| Some((at, number(&all[at])??))).collect();
    let (mut clusters, mut nodes) = (Vec::new(), Vec::new());
    for (index, (at, n)) in numbers.iter().enumerate() {
        let end = numbers.get(index + 1).map_or(all.len(), |(next, _)| *next).min(at + 1 + REACH);
        let counted = all[at + 1..end].iter().find(|word| word.is("cluster") || word.is_one_of(NODES));
        match counted {
            Some(word) if word.is("cluster") => clusters.push(*n),
            Some(_) => nodes.push(*n),
            None => {}
        }
    }
    let after = |texts: &[&str]| {
        let spreads = |at: &usize| all[*at].is_one_of(&["per", "each", "every"]);
        (0..all.len()).filter(spreads).any(|at| all.get(at + 1).is_some_and(|next| next.is_one_of(texts)))
    };
    let per_region = after(&["region", "site", "location"]);
    let last = all.last().is_some_and(|word| word.is("each"));
    let said = match (clusters.as_slice(), nodes.as_slice()) {
        ([], _) => return None,
        _ if numbers.len() != clusters.len() + nodes.len() => Said::Unclear,
        ([1], [n]) if per_region => Said::Number(Quantity::PerRegion(*n)),
        ([1], [n]) => Said::Number(Quantity::Total(*n)),
        ([c], [n]) if !per_region && (last || after(&["cluster", "ha", "has", "with", "having", "of"])) => {
            c.checked_mul(*n).map_or(Said::Unclear, |all| Said::Number(Quantity::Total(all)))
        }
        _ => Said::Unclear,
    };
    Some(said)
}

/// Read a cell.
pub(super) fn read(cell: &str) -> Said {
    // what a document of ours counted behind what is wanted
    let cell = cell.split_once("(found:").map_or(cell, |(wanted, _)| wanted).trim();
    match read_whole(cell) {
        // "2 (one in each region)": what is in brackets only explains.
        Said::Unclear => match cell.split_once('(') {
            Some((before, after)) if !before.trim().is_empty() && after.trim_end().ends_with(')') => {
                match read_whole(before) {
                    Said::Number(quantity @ Quantity::Total(_)) => Said::Number(quantity),
                    _ => Said::Unclear,
                }
            }
            _ => of_regions(cell).map_or(Said::Unclear, Said::Number),
        },
        said => of_regions(cell).map_or(said, Said::Number),
    }
}

/// "3 in us-east-2 and 3 in us-west-1": a number for each of several regions.
fn of_regions(cell: &str) -> Option<Quantity> {
    const REACH: usize = 4;
    let all = words(cell);
    let numbers: Vec<(usize, u32)> = (0..all.len()).filter_map(|at| Some((at, number(&all[at])??))).collect();
    let mut each: Vec<(String, u32)> = Vec::new();
    for (index, (at, n)) in numbers.iter().enumerate() {
        let end = numbers.get(index + 1).map_or(all.len(), |(next, _)| *next).min(at + 1 + REACH);
        let region = all[at + 1..end].iter().find_map(|word| region_of(&word.text))?;
        if each.iter().any(|(known, _)| *known == region) {
            return None;
        }
        each.push((region, *n));
    }
    let (_, first) = each.first().filter(|_| each.len() >= 2)?;
    if each.iter().all(|(_, n)| n == first) {
        return Some(Quantity::PerRegion(*first));
    }
    let sum = each.iter().try_fold(0_u32, |sum, (_, n)| sum.checked_add(*n))?;
    Some(Quantity::Total(sum))
}

fn read_whole(cell: &str) -> Said {
    if is_nothing(cell) {
        return Said::Nothing;
    }
    if is_not_applicable(cell) {
        return Said::NotApplicable;
    }
    // A range, a sum, a sign or a share is not one number.
    if cell.contains(['+', '~', '%', '<', '>']) || signed(cell) {
        return Said::Unclear;
    }
    let plain = cell.replace(['×', '*'], "x");
    let plain = without_thousands(&plain);
    let all = words(&plain);
    // "Up to two" is a bound.
    if all.iter().any(|word| word.is_one_of(&["upto", "max", "maximum"]))
        || all.windows(2).any(|w| w[0].is("up") && w[1].is("to"))
    {
        return Said::Unclear;
    }
    let mut numbers: Vec<u32> = Vec::new();
    for word in &all {
        match number(word) {
            // "two (2)" says it twice, "2 here, 2 there" does not.
            Some(Some(n)) if numbers != [n] || !plain.contains(&format!("({n})")) => numbers.push(n),
            Some(Some(_)) => {}
            // Digits that are no number: a range, a fraction, a number past 32 bits.
            Some(None) => return Said::Unclear,
            None => {}
        }
    }
    // "one region only" counts places, and no assets.
    let of_places = !plain.contains('/')
        && all.windows(2).any(|pair| {
            number(&pair[0]).is_some() && pair[1].is_one_of(&["region", "zone", "location", "az", "site"])
        });
    if of_places {
        return Said::Unclear;
    }
    match (numbers.as_slice(), spread(&all, &plain)) {
        ([n], Spread::InAll) => Said::Number(Quantity::Total(*n)),
        ([n], Spread::PerRegion) => Said::Number(Quantity::PerRegion(*n)),
        _ => Said::Unclear,
    }
}

/// Over what a number is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    InAll,
    PerRegion,
    /// Over zones, subnets, or the like: how many there are of those is not known.
    PerOther,
}

/// Over what the words spread a number.
pub(super) fn spread(all: &[Word], text: &str) -> Spread {
    let at = all.iter().position(|word| word.is_one_of(&["per", "each", "every", "both"]));
    let slash = text.split_once('/').map(|(_, after)| words(after)).unwrap_or_default();
    let after = match at {
        Some(at) => &all[at + 1..],
        None if !slash.is_empty() => &slash[..],
        None => return Spread::InAll,
    };
    let first: Vec<_> = after.iter().filter(|word| !word.is_one_of(&["aws", "the", "of"])).take(1).collect();
    match first.first() {
        Some(word) if word.is_one_of(&["region", "site", "location"]) => Spread::PerRegion,
        None => Spread::PerRegion,
        Some(_) => Spread::PerOther,
    }
}

/// The number that a word is; `Some(None)` if it has digits first but is no whole number.
pub(super) fn number(word: &Word) -> Option<Option<u32>> {
    const SPELT: &[&str] = &[
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    let text = word.text.as_str();
    if let Some(n) = SPELT.iter().position(|spelt| *spelt == text) {
        return Some(u32::try_from(n).ok());
    }
    match text {
        "a" | "an" | "single" => return Some(Some(1)),
        "dozen" => return Some(Some(12)),
        _ => {}
    }
    let digits = text.trim_start_matches('x').trim_end_matches('x');
    let starts = digits.starts_with(|c: char| c.is_ascii_digit());
    if !starts || digits.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    Some(digits.parse().ok())
}

/// Whether a cell says nothing: empty, dashes, a question mark, "TBD".
pub(super) fn is_nothing(cell: &str) -> bool {
    let cell = cell.trim();
    let only_marks = cell.chars().all(|c| matches!(c, '-' | '–' | '—' | '.' | '…' | '?' | '_' | ' '));
    only_marks || ["tbd", "todo", "tbc"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Whether a cell says that nothing belongs there.
pub(super) fn is_not_applicable(cell: &str) -> bool {
    let plain: String = cell.chars().filter(|c| c.is_alphabetic()).collect();
    ["na", "notapplicable"].iter().any(|word| plain.eq_ignore_ascii_case(word))
}

fn signed(cell: &str) -> bool {
    let mut before = None;
    for (at, c) in cell.char_indices() {
        let next = cell[at + c.len_utf8()..].chars().next();
        let digit_after = next.is_some_and(|c| c.is_ascii_digit());
        if matches!(c, '-' | '–' | '−') && digit_after && before.is_none_or(|b: char| !b.is_alphanumeric())
        {
            return true;
        }
        // "2-3": a range.
        if matches!(c, '-' | '–' | '−') && digit_after && before.is_some_and(|b| b.is_ascii_digit()) {
            return true;
        }
        before = Some(c);
    }
    false
}

/// "1,000" without its comma.
fn without_thousands(cell: &str) -> String {
    let chars: Vec<char> = cell.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
    let separates = |at: usize| {
        chars[at] == ','
            && digit(at.checked_sub(1))
            && (1..=3).all(|n| digit(Some(at + n)))
            && !digit(Some(at + 4))
    };
    (0..chars.len()).filter(|&at| !separates(at)).map(|at| chars[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_number_or_it_is_unclear() {
        for (cell, expected) in [
            ("2 instances", Said::Number(Quantity::Total(2))),
            ("6", Said::Number(Quantity::Total(6))),
            ("three nodes", Said::Number(Quantity::Total(3))),
            ("two (2)", Said::Number(Quantity::Total(2))),
            ("1,000", Said::Number(Quantity::Total(1000))),
            ("x2", Said::Number(Quantity::Total(2))),
            ("3 per region", Said::Number(Quantity::PerRegion(3))),
            ("2/region", Said::Number(Quantity::PerRegion(2))),
            ("2 in each AWS region", Said::Number(Quantity::PerRegion(2))),
            ("3 each", Said::Number(Quantity::PerRegion(3))),
            ("1 per AZ", Said::Unclear),
            ("2-3", Said::Unclear),
            ("1 + 1 standby", Said::Unclear),
            ("-1", Said::Unclear),
            ("99999999999", Said::Unclear),
            ("some", Said::Unclear),
            ("2 here, 2 there", Said::Unclear),
            ("2 (one in each region)", Said::Number(Quantity::Total(2))),
            ("3 (2 at least)", Said::Number(Quantity::Total(3))),
            ("up to two", Said::Unclear),
            ("2 sets of 2 each", Said::Unclear),
            ("3 in us-east-2 and 3 in us-west-1", Said::Number(Quantity::PerRegion(3))),
            ("3 in us-east-2 and 2 in us-west-1", Said::Number(Quantity::Total(5))),
            ("one region only", Said::Unclear),
            ("NA", Said::NotApplicable),
            ("n/a", Said::NotApplicable),
            ("", Said::Nothing),
            (" — ", Said::Nothing),
        ] {
            assert_eq!(read(cell), expected, "{cell}");
        }
    }

    #[test]
    fn of_clusters_the_nodes_count() {
        let read = |cell| read_of(Some(AssetKind::Database), cell);
        for (cell, expected) in [
            ("1 cluster, 2 nodes", Said::Number(Quantity::Total(2))),
            ("1 cluster (3 instances) per region", Said::Number(Quantity::PerRegion(3))),
            ("2 clusters, 2 nodes/cluster", Said::Number(Quantity::Total(4))),
            ("2 clusters with 2 nodes each", Said::Number(Quantity::Total(4))),
            ("2 clusters (4 instances)", Said::Unclear),
            ("1 cluster", Said::Unclear),
            ("2 nodes cluster", Said::Number(Quantity::Total(2))),
            ("2 node clusters", Said::Number(Quantity::Total(2))),
            ("3", Said::Number(Quantity::Total(3))),
        ] {
            assert_eq!(read(cell), expected, "{cell}");
        }
        assert_eq!(read_of(None, "1 cluster"), Said::Number(Quantity::Total(1)));
    }
}
