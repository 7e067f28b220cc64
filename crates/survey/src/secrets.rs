//! The secrets that the application reads in a region, by digest. Their texts stay here.
//!
//! Invariant: a secret is compared only with one that was read from another file: what is one file for both regions says
//! nothing of what the other region's hosts have.

use std::collections::BTreeMap;

use bascule_core::facts::{Fact, Listing, Source};
use bascule_core::manifest::SecretFile;
use bascule_core::observation::Observed;
use bascule_providers::file::{self, Identity};

use crate::network::digest;
use crate::{Place, now};

/// Largest secret that is read: a chain of certificates with its key has 20 kB.
const FILE_MAX: u64 = 1 << 20;

/// A region's secrets, and which files they were read from.
pub(crate) struct Looked {
    pub digests: Listing<Fact<String>>,
    pub files: BTreeMap<String, Identity>,
}

pub(crate) async fn look(place: &Place) -> Looked {
    let (region, name) = (place.manifest(), &place.name);
    let mut files = BTreeMap::new();
    if region.secrets.is_empty() {
        let why = format!(
            "nothing says which secrets the application reads in {name}: write them into [[regions.{name}.secrets]]"
        );
        return Looked { digests: place.scene.unsaid(why), files };
    }
    let mut digests = BTreeMap::new();
    for secret in &region.secrets {
        let path = place.scene.site.folder.join(&secret.file);
        let fact = match place.limits.by_the_end(file::read(path, FILE_MAX)).await {
            Ok(content) => {
                files.insert(secret.name.clone(), content.of);
                // a line's end is not part of a secret: all readers leave it out
                Fact::seen(digest(content.bytes.trim_ascii_end()), now(), source(secret))
            }
            Err(why) => Fact::not_observed(why, source(secret)),
        };
        digests.insert(secret.name.clone(), fact);
    }
    Looked { digests: place.scene.said(digests), files }
}

fn source(secret: &SecretFile) -> Source {
    Source::Line { file: secret.file.display().to_string(), line: 0 }
}

/// Takes back what was read of one file for both regions.
pub(crate) fn apart<F: PartialEq>(
    both: [&mut Listing<Fact<String>>; 2],
    [home, away]: [&BTreeMap<String, F>; 2],
    manifest: &Source,
) {
    for listing in both {
        let Observed::Seen { value: secrets, .. } = &mut listing.answer else { continue };
        for (name, fact) in secrets {
            if home.get(name).is_some_and(|file| away.get(name) == Some(file)) {
                let why = format!(
                    "{} is both regions' {name}, and can't differ from itself: write a file of each region's own into \
                     [[regions.R.secrets]]",
                    fact.from
                );
                *fact = Fact::not_observed(why, manifest.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bascule_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_file_is_not_compared_with_itself() {
        let secrets = || {
            let secret = |text: &str| Fact::seen(text.to_owned(), Timestamp(1), Source::Nowhere);
            let all = [("one", secret("same")), ("two", secret("same"))];
            Fact::seen(all.map(|(name, fact)| (name.to_owned(), fact)).into(), Timestamp(1), Source::Nowhere)
        };
        let (mut home, mut away) = (secrets(), secrets());
        let both = BTreeMap::from([("one".to_owned(), 1), ("two".to_owned(), 2)]);
        let other = BTreeMap::from([("one".to_owned(), 1), ("two".to_owned(), 3)]);
        apart([&mut home, &mut away], [&both, &other], &Source::Nowhere);
        for secrets in [home, away] {
            let secrets = secrets.value().expect("they are listed").clone();
            let why = secrets["one"].answer.why_not().expect("it is one file");
            assert!(why.contains("can't differ from itself: write"), "{why}");
            assert!(secrets["two"].value().is_some(), "two files with one content are equal");
        }
    }
}
