//! Files that a manifest names, read while a site is looked at.
//!
//! Invariant: only a regular file is read, no more of it than the caller takes, and on a thread of its own: a pipe that
//! nobody writes into, or a mount that hangs, holds up no look but its own. How long that one waits is the caller's limit.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Which file it is, whatever it is called: its device and its number there (stat(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(u64, u64);

/// What was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// All that is in it.
    pub bytes: Vec<u8>,
    /// The file that it was read from.
    pub of: Identity,
}

/// A regular file of at most so many bytes.
///
/// # Errors
/// Why it can't be read, with its name.
pub async fn read(path: PathBuf, most: u64) -> Result<Content, String> {
    let reading = tokio::task::spawn_blocking(move || read_here(&path, most));
    reading.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn read_here(path: &Path, most: u64) -> Result<Content, String> {
    let why = |error: std::io::Error| format!("can't read {}: {error}", path.display());
    // asked before it is opened: opening a pipe waits for whoever writes into it
    if !std::fs::metadata(path).map_err(why)?.is_file() {
        return Err(format!("can't read {}: it is no regular file", path.display()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(why)?;
    let about = file.metadata().map_err(why)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(why)?;
    if bytes.len() as u64 > most {
        return Err(format!("can't read {}: it has over {most} bytes", path.display()));
    }
    Ok(Content { bytes, of: Identity(about.dev(), about.ino()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_a_folder_and_what_is_too_large_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("secret"), "1234").unwrap();
        std::os::unix::fs::symlink(path("secret"), path("link")).unwrap();
        let (secret, link) = (read(path("secret"), 4).await.unwrap(), read(path("link"), 4).await.unwrap());
        assert_eq!((&secret.bytes[..], secret.of), (&b"1234"[..], link.of));
        let large = read(path("secret"), 3).await.err().unwrap();
        assert!(large.ends_with("it has over 3 bytes"), "{large}");
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        for other in [path("pipe"), folder.path().to_owned()] {
            let why = read(other, 4).await.err().unwrap();
            assert!(why.ends_with("it is no regular file"), "{why}");
        }
        assert!(read(path("gone"), 4).await.err().unwrap().starts_with("can't read "));
    }
}
