//! Key pairs, by the public halves that hosts have: fingerprints as `ssh-keygen -l` prints them.
//!
//! Invariant: a fingerprint that counts as seen was computed from every file that the manifest names for the pair.
//! Private halves are never opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bascule_core::facts::{Fact, KeyPair, Listing, Source};
use bascule_core::manifest::{self, PublicHalf};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{file, now};

/// Largest list that is read: a thousand people with RSA keys of 16384 bits (2.8 kB a line).
const FILE_MAX: u64 = 4 << 20;

/// The key pairs of a region. One that is in none of its files, all of which could be read, is not there.
pub async fn key_pairs(pairs: &[manifest::KeyPair], folder: &Path) -> Listing<KeyPair> {
    let mut found = BTreeMap::new();
    let mut files = BTreeSet::new();
    for pair in pairs {
        let (paths, named) = match &pair.public {
            PublicHalf::File(path) => (std::slice::from_ref(path), None),
            PublicHalf::AuthorizedKeys(paths) => (paths.as_slice(), Some(pair.name.as_str())),
        };
        let mut seen = Vec::new();
        for path in paths {
            let looked = read(folder.join(path)).await.map(|text| find(&text, named));
            files.insert(path.display().to_string());
            seen.push((path.display().to_string(), looked));
        }
        if let Some(fingerprint) = together(&pair.name, &seen) {
            found.insert(pair.name.clone(), KeyPair { fingerprint });
        }
    }
    let files: Vec<_> = files.into_iter().collect();
    Fact::seen(found, now(), Source::Address(files.join(", ")))
}

/// A key in a file: its fingerprint, and the line it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    fingerprint: String,
    line: usize,
}

/// What one file said: its key, that it has none, or why it could not be read.
type Looked = Result<Option<Key>, String>;

async fn read(path: PathBuf) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&file::read(path, FILE_MAX).await?.bytes).into_owned())
}

/// What all files say together; none if the pair is in none of them.
fn together(name: &str, seen: &[(String, Looked)]) -> Option<Fact<String>> {
    let source = |file: &str, line| Source::Line { file: file.to_owned(), line };
    if let Some((file, Err(why))) = seen.iter().find(|(_, looked)| looked.is_err()) {
        return Some(Fact::not_observed(why, source(file, 0)));
    }
    let has = |looked: &Looked| looked.as_ref().ok().and_then(Option::as_ref).cloned();
    let (first, key) = seen.iter().find_map(|(file, looked)| has(looked).map(|key| (file, key)))?;
    for (file, looked) in seen {
        let why = match has(looked) {
            Some(other) if other.fingerprint == key.fingerprint => continue,
            Some(_) => format!("{first} and {file} have different keys called {name}"),
            None => format!("{file} has no key called {name}, but {first} has"),
        };
        return Some(Fact::not_observed(why, source(file, 0)));
    }
    Some(Fact::seen(key.fingerprint.clone(), now(), source(first, key.line)))
}

/// The key whose comment is this; the first, if none is asked for.
fn find(text: &str, comment: Option<&str>) -> Option<Key> {
    text.lines().enumerate().find_map(|(index, line)| {
        let (blob, said) = public_key(line)?;
        let fits = comment.is_none_or(|wanted| wanted == said);
        fits.then(|| Key { fingerprint: fingerprint(&blob), line: index + 1 })
    })
}

/// The key on a line of `authorized_keys` or of a `.pub` file, and its comment: options, type, base64, comment
/// (sshd(8), "`AUTHORIZED_KEYS` FILE FORMAT"). Options may hold blanks and words that look like types: a key is
/// where base64 follows that begins with the type's own name (RFC 4253, section 6.6).
fn public_key(line: &str) -> Option<(Vec<u8>, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).enumerate().find_map(|(at, pair)| {
        let blob = STANDARD.decode(pair[1]).ok()?;
        let length = usize::try_from(u32::from_be_bytes(*blob.first_chunk()?)).ok()?;
        let named = blob.get(4..)?.get(..length)?;
        (named == pair[0].as_bytes()).then(|| (blob, words[at + 2..].join(" ")))
    })
}

/// As `ssh-keygen -l` prints it (ssh-keygen(1)): SHA-256 of the key, in base64 without padding.
fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two keys made for this test by ssh-keygen; their private halves were thrown away.
    const DEPLOY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINy/vaf6KTHtAXeNX1huQg0QgiSyVr/6XJXC4U+xM+IQ deploy";
    const DEPLOY_PRINT: &str = "SHA256:z7mmyyXUfsOLGFXhFjlrzK/RyCo5457NiZtG55bRRmM";
    const ADMIN: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDVdfi/lNx2M1tKuMLb8gBBbaIf1ITIhYfw/rHC4ye97JY9sH+NMqiOFeZP+gDTnHP6twQHGMNJGGwu7FipVBFBQowodNk64Ze7MgoxGzsc+7XDAWrAPYOTg3mZULACaeCwdEFGNrP+Ha4ipo6QmXv9gngcV4GJ02bA6fIhGxif+w== admin";
    const ADMIN_PRINT: &str = "SHA256:l7puJ4noBr1VBFIX+34f8MsKu2EMpR4oAEudaJYHZSA";

    fn pair(files: &[PathBuf]) -> manifest::KeyPair {
        manifest::KeyPair { name: "deploy".to_owned(), public: PublicHalf::AuthorizedKeys(files.to_vec()) }
    }

    async fn look(texts: &[&str]) -> Listing<KeyPair> {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            files.push(PathBuf::from(format!("host{number}")));
            std::fs::write(folder.path().join(&files[number]), text).unwrap();
        }
        key_pairs(&[pair(&files)], folder.path()).await
    }

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_prints() {
        assert_eq!(find(DEPLOY, None).unwrap().fingerprint, DEPLOY_PRINT);
        assert_eq!(find(ADMIN, None).unwrap().fingerprint, ADMIN_PRINT);
    }

    #[test]
    fn a_key_is_found_by_its_comment_behind_options_and_between_others() {
        let options = format!("no-pty,command=\"echo ssh-ed25519 AAAA\" {DEPLOY}");
        let text = format!("# who may log in\n\n{ADMIN}\nnonsense\n{options}\n");
        let key = find(&text, Some("deploy")).unwrap();
        assert_eq!((key.fingerprint.as_str(), key.line), (DEPLOY_PRINT, 5));
        assert_eq!(find(&text, Some("nobody")), None);
        for wrong in ["", "ssh-ed25519", "ssh-ed25519 AAAA deploy", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA x"] {
            assert_eq!(public_key(wrong), None, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_pair_is_seen_only_if_every_host_has_the_same_key() {
        let seen = look(&[DEPLOY, DEPLOY]).await;
        let print = |listing: &Listing<KeyPair>| listing.value().unwrap().get("deploy").cloned();
        assert_eq!(print(&seen).unwrap().fingerprint.value().map(String::as_str), Some(DEPLOY_PRINT));
        let other = ADMIN.replace("admin", "deploy");
        for (texts, why) in [
            ([DEPLOY, ADMIN], "host1 has no key called deploy, but host0 has"),
            ([ADMIN, DEPLOY], "host0 has no key called deploy, but host1 has"),
            ([DEPLOY, other.as_str()], "host0 and host1 have different keys called deploy"),
        ] {
            let fact = print(&look(&texts).await).unwrap().fingerprint;
            assert_eq!(fact.answer.why_not(), Some(why));
        }
    }

    #[tokio::test]
    async fn a_pair_that_no_host_has_is_not_there_and_an_unread_file_is_not_observed() {
        assert_eq!(look(&[ADMIN, ADMIN]).await.value(), Some(&BTreeMap::new()));
        let gone = key_pairs(&[pair(&[PathBuf::from("gone")])], Path::new("/nowhere")).await;
        let fact = &gone.value().unwrap()["deploy"].fingerprint;
        assert!(fact.answer.why_not().unwrap().starts_with("can't read /nowhere/gone: "), "{fact:?}");
    }
}
