//! Names of places: what is shaped like a region, an availability zone, or neither.
//!
//! Shapes, not lists: providers open regions faster than a list is mended. AWS: `us-east-2`, `us-gov-west-1`, zone
//! `us-east-2a`. Google: `europe-west4`, zone `europe-west4-b`. Azure: `westus2`, `northeurope`.

use super::words::distance;

/// What a word is, as a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A region.
    Region,
    /// A zone within the region that is named.
    ZoneOf(String),
    /// Shaped nearly like a region: probably misspelt.
    NearRegion,
}

const DIRECTIONS: &[&str] =
    &["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];
const AREAS: &[&str] = &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx", "cn"];
const GOOGLE_AREAS: &[&str] =
    &["us", "europe", "asia", "australia", "northamerica", "southamerica", "africa", "me"];
const AZURE_AREAS: &[&str] = &[
    "us",
    "europe",
    "asia",
    "india",
    "japan",
    "uk",
    "france",
    "germany",
    "korea",
    "canada",
    "norway",
    "brazil",
    "australia",
];

/// What a lower-case word is as a place; none if it is nothing like one.
pub(super) fn place(word: &str) -> Option<Place> {
    if word.len() > 32 || !word.is_ascii() {
        return None;
    }
    aws(word).or_else(|| google(word)).or_else(|| azure(word))
}

/// The region of a place.
pub(super) fn region_of(word: &str) -> Option<String> {
    place(word).map(|place| match place {
        Place::Region => word.to_owned(),
        Place::NearRegion => word.trim_end_matches(|c: char| c.is_ascii_lowercase()).to_owned(),
        Place::ZoneOf(region) => region,
    })
}

/// Whether one name is probably the other, misspelt: at most two letters or hyphens more, less, or different.
pub(super) fn is_near(a: &str, b: &str) -> bool {
    // The longest names that are places: whatever is longer would only take long.
    const LONGEST: usize = 32;
    a.len() <= LONGEST && b.len() <= LONGEST && distance(a.as_bytes(), b.as_bytes()) <= 2
}

fn aws(word: &str) -> Option<Place> {
    let parts: Vec<&str> = word.split('-').collect();
    if !(3..=4).contains(&parts.len()) {
        return None;
    }
    let (area, direction, last) = (parts[0], parts[parts.len() - 2], parts[parts.len() - 1]);
    let number = last.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let zone = &last[number.len()..];
    let numbered = number.len() == 1 && number.as_bytes()[0].is_ascii_digit() && zone.len() <= 1;
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    if !numbered
        || !parts[..parts.len() - 1].iter().all(|part| letters(part))
        || (area.len() != 2 && area != "aws")
    {
        return None;
    }
    let middle = parts.len() == 3 || parts[1] == "gov" || parts[1].starts_with("iso");
    match (AREAS.contains(&area) && middle, DIRECTIONS.contains(&direction)) {
        (true, true) if zone.is_empty() => Some(Place::Region),
        (true, true) => Some(Place::ZoneOf(word[..word.len() - 1].to_owned())),
        (true, false) | (false, true) => Some(Place::NearRegion),
        (false, false) => None,
    }
}

fn google(word: &str) -> Option<Place> {
    let mut parts = word.split('-');
    let (area, direction, zone) = (parts.next()?, parts.next()?, parts.next());
    let name = direction.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = name.len() < direction.len();
    if !numbered || parts.next().is_some() || !GOOGLE_AREAS.contains(&area) || !DIRECTIONS.contains(&name) {
        return None;
    }
    match zone {
        None => Some(Place::Region),
        Some(zone) if zone.len() == 1 && zone.as_bytes()[0].is_ascii_lowercase() => {
            Some(Place::ZoneOf(format!("{area}-{direction}")))
        }
        Some(_) => None,
    }
}

fn azure(word: &str) -> Option<Place> {
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = DIRECTIONS.iter().any(|direction| {
        let before = name.strip_prefix(direction).is_some_and(|area| AZURE_AREAS.contains(&area));
        before || name.strip_suffix(direction).is_some_and(|area| AZURE_AREAS.contains(&area))
    });
    known.then_some(Place::Region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_their_shape() {
        for (word, expected) in [
            ("us-east-2", Some(Place::Region)),
            ("us-gov-west-1", Some(Place::Region)),
            ("us-east-2a", Some(Place::ZoneOf("us-east-2".to_owned()))),
            ("europe-west4", Some(Place::Region)),
            ("europe-west4-b", Some(Place::ZoneOf("europe-west4".to_owned()))),
            ("westus2", Some(Place::Region)),
            ("northeurope", Some(Place::Region)),
            ("us-esat-2", Some(Place::NearRegion)),
            ("su-west-1", Some(Place::NearRegion)),
            ("aws-west-1b", Some(Place::NearRegion)),
            ("db-node-1", None),
            ("t3.medium", None),
            ("east", None),
        ] {
            assert_eq!(place(word), expected, "{word}");
        }
    }
}
