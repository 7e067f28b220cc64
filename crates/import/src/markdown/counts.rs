//! Numbers of assets in prose: "from 1 db node to 3 nodes", "2 nodes Kubernetes cluster", "3 instances per region".

use bascule_core::asset::{AssetKind, Quantity};

use super::kind;
use super::quantity::{Spread, number, spread};
use super::words::{Word, has_any, words};

/// A number that is said of a kind of asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub kind: AssetKind,
    pub quantity: Quantity,
    /// Whether it is what is left: "from 1 …".
    pub from: bool,
    /// Whether there may be more: "at least 3", or replicas beside their primary.
    pub or_more: bool,
    /// Which word it is.
    pub at: usize,
}

/// Words after a number that make it a measure of something else.
const UNITS: &[&str] = &[
    "second", "sec", "s", "minute", "min", "hour", "hr", "h", "day", "week", "month", "year", "time", "ms",
    "gb", "tb", "mb", "gib", "vcpu", "cpu", "core", "percent", "am", "pm", "am.", "step", "region", "zone",
    "az", "subnet", "way",
];

/// Words before a number that make it a name's part.
const LABELS: &[&str] = &[
    "version",
    "v",
    "postgres",
    "postgresql",
    "mysql",
    "port",
    "step",
    "phase",
    "stage",
    "layer",
    "level",
    "tier",
    "table",
    "line",
    "page",
    "section",
    "region",
    "zone",
    "figure",
    "chapter",
    "under",
    "within",
    "after",
];

/// How many words after a number may name what is counted.
const REACH: usize = 4;

/// What a text is about: the kind that stands before its colon, or among its first words. Its "instances" are of that kind.
pub(super) fn about(text: &str) -> Option<AssetKind> {
    const WORDS: usize = 3;
    const HEAD: usize = 60;
    let head = text.split_once(':').map(|(head, _)| head).filter(|head| head.len() <= HEAD);
    let all = words(head.unwrap_or(text));
    let first = if head.is_some() { &all[..] } else { &all[..all.len().min(WORDS)] };
    first.iter().filter(|word| !kind::is_generic(word)).find_map(kind::of_word)
}

/// The numbers of assets in a sentence of a text about this kind, in the order of the words.
pub(super) fn counts(sentence: &str, about: Option<AssetKind>) -> Vec<Count> {
    let all = words(sentence);
    let numbers: Vec<(usize, u32)> = all
        .iter()
        .enumerate()
        .filter(|(_, word)| !word.is_one_of(&["a", "an", "one", "zero"]))
        .filter_map(|(at, word)| Some((at, number(word)??)))
        .filter(|(at, _)| !all.get(at + 1).is_some_and(|next| next.is_one_of(UNITS)))
        .filter(|(at, _)| !at.checked_sub(1).is_some_and(|before| all[before].is_one_of(LABELS)))
        .filter(|(at, n)| *n != 1 || !is_any(&all[at + 1..]))
        .collect();
    let mut counts: Vec<Count> = Vec::new();
    for (index, (at, n)) in numbers.iter().copied().enumerate() {
        let end = numbers.get(index + 1).map_or(all.len(), |(next, _)| *next);
        let before_from = at.checked_sub(1).is_some_and(|before| all[before].is("from"));
        let after = &all[at + 1..end.min(at + 1 + REACH)];
        let before = index.checked_sub(1).map_or(0, |last| numbers[last].0 + 1);
        // "from 1 db node to 3 nodes": what the second number counts was said with the first.
        let last = counts.last().filter(|last| last.from).map(|last| last.kind);
        let kind = counted(after, &all[before..at], last, about).or_else(|| {
            if is_new_number(&all[..at]) { last.or_else(|| named_before(&all[before..at])) } else { None }
        });
        let Some(kind) = kind else { continue };
        let spread_over = spread(&all[at + 1..end], "");
        let quantity = match spread_over {
            Spread::InAll => Quantity::Total(n),
            Spread::PerRegion => Quantity::PerRegion(n),
            Spread::PerOther => continue,
        };
        let least = has_any(&all[at.saturating_sub(2)..at], &["least", "atleast", "minimum", "min"]);
        let or_more = least || after.iter().take(2).any(|word| word.is("replica"));
        counts.push(Count { kind, quantity, from: before_from, or_more, at });
    }
    counts
}

/// Whether the words before a number make it the number of what they name: "scale the servers to 8", and not "set the
/// records' TTL to 60".
fn is_new_number(before: &[Word]) -> bool {
    const VERBS: &[&str] = &["scale", "increase", "grow", "expand", "raise", "reduce"];
    const MEASURES: &[&str] = &[
        "ttl",
        "timeout",
        "retention",
        "storage",
        "memory",
        "size",
        "interval",
        "weight",
        "capacity",
        "lag",
        "disk",
    ];
    before.last().is_some_and(|word| word.is_one_of(&["to", "from"]))
        && before.iter().any(|word| word.is_one_of_verbs(VERBS))
        && !before.iter().any(|word| word.is_one_of(MEASURES))
}

/// The kind that is named before a number that stands alone.
fn named_before(before: &[Word]) -> Option<AssetKind> {
    let specific = before.iter().filter(|word| !kind::is_generic(word)).find_map(kind::of_word);
    specific.or_else(|| before.iter().find_map(kind::of_word))
}

/// "1 instance is offline": any one, and not how many there are.
fn is_any(after: &[Word]) -> bool {
    const FAILS: &[&str] =
        &["is", "fail", "fails", "goes", "crash", "crashes", "dies", "down", "offline", "lost"];
    after.iter().take(3).any(|word| word.is_one_of(FAILS))
}

/// What a number counts: the first kind that is named after it, or, if it only counts "nodes", what is named near.
fn counted(
    after: &[Word],
    before: &[Word],
    last: Option<AssetKind>,
    about: Option<AssetKind>,
) -> Option<AssetKind> {
    let specific = |words: &[Word]| words.iter().filter(|w| !kind::is_generic(w)).find_map(kind::of_word);
    let nearest =
        |words: &[Word]| words.iter().rev().filter(|w| !kind::is_generic(w)).find_map(kind::of_word);
    let ends = |word: &Word| {
        word.is_one_of(&["for", "of", "with", "to", "and", "so", "behind", "from", "that", "in"])
    };
    let near = &after[..after.iter().position(ends).unwrap_or(after.len())];
    let generic = near.iter().find(|word| kind::is_generic(word));
    let found = specific(near);
    // "2 database clusters": of those the nodes are counted.
    let clusters = near.iter().any(|word| word.is("cluster")) && generic.is_none();
    if clusters && matches!(found, Some(AssetKind::Database | AssetKind::Kubernetes)) {
        return None;
    }
    // "3 images", "2 EC2 instances" of a Kubernetes cluster: others than those of the table.
    let others = near.iter().any(|word| word.is_one_of(&["ami", "image", "subnet", "vpc"]));
    let of_cluster =
        found == Some(AssetKind::Compute) && nearest(before).or(about) == Some(AssetKind::Kubernetes);
    if others || of_cluster {
        return None;
    }
    let application = near.iter().any(|word| word.is_one_of(&["web", "application", "app", "webserver"]));
    match (found, generic) {
        (Some(kind), _) => Some(kind),
        (None, Some(_)) if application => Some(AssetKind::Compute),
        (None, Some(word)) => last.or_else(|| nearest(before)).or(about).or_else(|| kind::of_word(word)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_what_they_count() {
        use AssetKind::{Compute, Database, KeyPair, Kubernetes, LoadBalancer};
        let total = |kind, n| (kind, Quantity::Total(n), false);
        let from = |kind, n| (kind, Quantity::Total(n), true);
        for (text, expected) in [
            ("Grow from 1 db node to 3 nodes.", vec![from(Database, 1), total(Database, 3)]),
            ("from 2 K8s nodes to 3 K8s nodes", vec![from(Kubernetes, 2), total(Kubernetes, 3)]),
            ("run 3 VM instances on EC2", vec![total(Compute, 3)]),
            ("2 nodes Kubernetes cluster for the tools", vec![total(Kubernetes, 2)]),
            ("a 1 node Postgres cluster", vec![total(Database, 1)]),
            ("2 SSH key pairs to log in to the EC2 servers", vec![total(KeyPair, 2)]),
            ("1 load balancer and three EC2 instances", vec![total(LoadBalancer, 1), total(Compute, 3)]),
            ("Scale the web servers to 8", vec![total(Compute, 8)]),
            ("Scale the database nodes from 2 to 3", vec![from(Database, 2), total(Database, 3)]),
            ("Reduce the TTL of the DNS records to 60", vec![]),
            ("3 instances per region", vec![(Compute, Quantity::PerRegion(3), false)]),
            ("within 5 minutes the database is up", vec![]),
            ("Postgres 15 database", vec![]),
            ("Route 53 and port 5432", vec![]),
            ("3 instances per AZ", vec![]),
            ("If 1 EC2 instance is offline the others serve", vec![]),
            ("EC2 instances, and tools in a Kubernetes cluster on 2 nodes", vec![total(Kubernetes, 2)]),
            ("The balancer spreads the load over 3 application servers", vec![total(Compute, 3)]),
            ("A Kubernetes node group of 2 EC2 instances", vec![]),
            ("2 RDS clusters, one in each region", vec![]),
            ("2 AMI images", vec![]),
        ] {
            let found: Vec<_> =
                counts(text, None).into_iter().map(|c| (c.kind, c.quantity, c.from)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_a_text_is_about_has_the_instances() {
        let text = "RDS: the database of the shop.";
        let found = counts("There are 2 instances", about(text));
        assert_eq!(found.first().map(|count| count.kind), Some(AssetKind::Database));
    }
}
