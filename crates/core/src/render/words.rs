//! The words of the document: for kinds, numbers, times and steps.

use super::kept::WANTED;
use crate::action::Action;
use crate::asset::{AssetKind, Quantity};
use crate::inventory::{Count, Item};
use crate::observation::GateState;

/// The words for a kind, as documents have them.
pub(super) fn kind(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Compute => "Instances",
        AssetKind::Kubernetes => "Kubernetes cluster",
        AssetKind::LoadBalancer => "Load balancer",
        AssetKind::Database => "Database cluster",
        AssetKind::ObjectStorage => "Bucket",
        AssetKind::KeyPair => "Key pair",
        AssetKind::Monitoring => "Monitoring",
        AssetKind::Repository => "Repository",
        AssetKind::Dns => "DNS name",
    }
}

/// An asset by its kind and its name.
pub(super) fn asset(item: &Item) -> String {
    title(item.kind, &item.name)
}

/// A kind and a name, which may begin with its kind.
pub(super) fn title(of: AssetKind, name: &str) -> String {
    let kind = kind(of);
    if begins_with(name, kind) { name.to_owned() } else { format!("{kind} {name}") }
}

/// The kind and the name that a title was made of, if it is one. A name that begins with its kind comes without it.
pub(super) fn titled(title: &str) -> Option<(AssetKind, &str)> {
    let of = *AssetKind::ALL.iter().find(|of| begins_with(title, kind(**of)))?;
    let name = title[kind(of).len()..].strip_prefix(' ').map(str::trim_start).filter(|name| !name.is_empty());
    Some((of, name.unwrap_or(title)))
}

fn begins_with(name: &str, kind: &str) -> bool {
    name.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// Whether assets of a kind have a size at all.
fn sized(kind: AssetKind) -> bool {
    match kind {
        AssetKind::Compute | AssetKind::Database => true,
        AssetKind::Kubernetes
        | AssetKind::LoadBalancer
        | AssetKind::ObjectStorage
        | AssetKind::KeyPair
        | AssetKind::Monitoring
        | AssetKind::Repository
        | AssetKind::Dns => false,
    }
}

/// The cell of the size column.
pub(super) fn size(item: &Item) -> String {
    match (&item.size, &item.wanted_size) {
        (Some(seen), Some(wanted)) if seen != wanted => format!("{seen}{WANTED}{wanted})"),
        (Some(seen), _) => seen.clone(),
        (None, Some(_)) => not_observed(item.wanted_size.as_deref()),
        (None, None) if sized(item.kind) => not_observed(None),
        (None, None) => "NA".to_owned(),
    }
}

/// The cell of something that was not seen, and may be wanted.
pub(super) fn not_observed(wanted: Option<&str>) -> String {
    wanted.map_or_else(|| "not observed".to_owned(), |wanted| format!("not observed{WANTED}{wanted})"))
}

/// The words for a wanted number.
pub(super) fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Total(total) => total.to_string(),
        Quantity::PerRegion(each) => format!("{each} per region"),
    }
}

/// The number that such words are for.
pub(super) fn read_quantity(words: &str) -> Option<Quantity> {
    let number = |text: &str| text.trim().parse().ok();
    match words.split_once(" per region") {
        Some((each, "")) => number(each).map(Quantity::PerRegion),
        Some(_) => None,
        None => number(words).map(Quantity::Total),
    }
}

/// The cell of the quantity column.
pub(super) fn counted(item: &Item) -> String {
    // one thing, in however many places it is kept
    let one = matches!(item.kind, AssetKind::Repository | AssetKind::Dns) && !item.found.is_empty();
    match (item.wanted, item.as_wanted()) {
        _ if one => "1".to_owned(),
        (None, _) | (Some(_), Some(true)) => per_place(item),
        (Some(wanted), Some(false) | None) if item.found.is_empty() => uncounted(wanted),
        (Some(wanted), Some(false) | None) => {
            let in_place =
                |found: &crate::inventory::Found| format!("{} in {}", health(&found.count), found.place);
            let found: Vec<String> = item.found.iter().map(in_place).collect();
            format!("{}{COUNTED}{})", quantity(wanted), found.join(", "))
        }
    }
}

/// The cell of the quantity column of something of which nothing was counted.
pub(super) fn uncounted(wanted: Quantity) -> String {
    format!("{}{COUNTED}not observed)", quantity(wanted))
}

/// What begins, in the column of quantities, what was counted where it is not what is wanted. It is not compared.
pub(super) const COUNTED: &str = " (found: ";

fn per_place(item: &Item) -> String {
    let totals: Option<Vec<u32>> = item.found.iter().map(|f| f.count.total()).collect();
    if let Some([first, rest @ ..]) = totals.as_deref()
        && rest.iter().all(|total| total == first)
    {
        return if rest.is_empty() { first.to_string() } else { format!("{first} per region") };
    }
    let each = item.found.iter().map(|found| match &found.count {
        Count::Seen { total, .. } => format!("{total} in {}", found.place),
        Count::NotObserved { .. } => format!("not observed in {}", found.place),
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "not observed".to_owned() } else { each.join(", ") }
}

/// How many are there and well.
pub(super) fn health(count: &Count) -> String {
    match count {
        Count::Seen { total: 0, .. } => "none".to_owned(),
        Count::Seen { total, well: Some(well) } => format!("{well} of {total} well"),
        Count::Seen { total, well: None } => format!("{total}, health not observed"),
        Count::NotObserved { .. } => "not observed".to_owned(),
    }
}

/// A span, in the unit that fits.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        1_000..=119_999 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        7_200_000.. => format!("{} h", ms / 3_600_000),
    }
}

/// What a step does, as one would write it down: a reader of documents shall find the same intents in it.
pub(super) fn action(action: &Action) -> String {
    match action {
        Action::Checkpoint { region } => format!("Flush the database of {region}"),
        Action::SetTtl { name, ttl_s, .. } => format!("Set the time to live of {name} to {ttl_s} s"),
        Action::HoldWrites { region } => format!("Hold writes in {region}"),
        Action::ReleaseWrites { region } => format!("Let writes go on in {region}"),
        Action::SetGate { region, state, .. } => match state {
            GateState::Closed => format!("Fence {region}: close its gate"),
            GateState::Local => format!("Open the gate of {region}"),
            GateState::Remote => format!("Let the gate of {region} pass writes on to the other region"),
        },
        Action::ReadEnd { region } => format!("Read where the log of {region} ends"),
        Action::AwaitReplay { region, .. } => format!("Wait until {region} has replayed it all"),
        Action::Commit { active, .. } => format!("Record that {active} is active"),
        Action::WaitOut { region, .. } => {
            format!("Fence {region}: wait until none of its keepers lets a write pass")
        }
        Action::StandDown { region, follow } => {
            format!("Make the old region {region} the standby of {follow}")
        }
        Action::AwaitShutdownRecord { region, .. } => {
            format!("Wait until {region} has replayed the closing record")
        }
        Action::Promote { region } => format!("Promote the database of {region}"),
        Action::MoveName { name, from, to, .. } => format!("Point the name {name} at {to} instead of {from}"),
        Action::AwaitFollowing { region, .. } => format!("Reinstate {region}: wait until it follows"),
        Action::VerifyWrite { region } => {
            format!("Verify that {region} serves: write through the front door, and read it back")
        }
        Action::ConfirmLost { region } => {
            format!("Make sure, from more than one side, that {region} is gone")
        }
        Action::ReadFork { region, at_most_ms } => {
            format!(
                "Read how far {region} got; stop if more than {} of writes may be lost",
                span(*at_most_ms)
            )
        }
        Action::Renumber { region } => format!("Give the history of {region} a timeline of its own"),
        Action::SaveDivergence { region, active, accept_unsaved } => {
            let rest = if *accept_unsaved { "give up" } else { "stop at" };
            format!("Save the writes that {region} has and {active} has not; {rest} what can't be saved")
        }
    }
}
