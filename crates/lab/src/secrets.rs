//! The lab's secrets: drawn anew for each lab, kept in files that only their owner reads, never printed.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::plan::Secret;

/// Bytes of randomness in each secret: 256 bits, also the block that HMAC-SHA256 keys are advised to have at least
/// (RFC 8945, section 8: as long as the digest).
const BYTES: usize = 32;

/// The secrets of one lab. Has no `Debug`, so that it can't be logged by accident.
pub struct Secrets(BTreeMap<Secret, String>);

impl Secrets {
    /// Draws every secret.
    ///
    /// # Errors
    /// When the kernel's random numbers can't be read.
    pub fn draw() -> anyhow::Result<Self> {
        let mut random = std::fs::File::open("/dev/urandom").context("open /dev/urandom")?;
        let mut secrets = BTreeMap::new();
        for secret in Secret::ALL {
            let mut bytes = [0_u8; BYTES];
            random.read_exact(&mut bytes).context("read /dev/urandom")?;
            // Hexadecimal needs no quoting in any of the configuration files; TSIG keys are base64 by definition.
            let text = match secret {
                Secret::Tsig => STANDARD.encode(bytes),
                Secret::Superuser
                | Secret::Replication
                | Secret::Rewind
                | Secret::Management
                | Secret::App
                | Secret::PatroniRest
                | Secret::Storage
                | Secret::StorageToken
                | Secret::StorageEncryption => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            };
            secrets.insert(secret, text);
        }
        Ok(Self(secrets))
    }

    /// The same text for every secret: for golden files.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self(Secret::ALL.into_iter().map(|secret| (secret, format!("<{}>", secret.file_name()))).collect())
    }

    /// The secret's text.
    #[must_use]
    pub fn get(&self, secret: Secret) -> &str {
        self.0.get(&secret).map_or("", String::as_str)
    }

    /// Writes each secret to its own file in `dir`.
    ///
    /// # Errors
    /// When a file can't be made.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        for (secret, text) in &self.0 {
            write_private(&dir.join(secret.file_name()), text)?;
        }
        Ok(())
    }
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// When it can't be made.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
