//! The SSH key pairs: made when the lab starts, their private halves in the lab's folder of secrets and nowhere else.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::assets::{AUTHORIZED_KEYS, Assets, KeyPair};
use crate::enter::Privilege;
use crate::layout;
use crate::plan::LabPlan;

/// Makes every pair; returns their public halves, a line each.
///
/// # Errors
/// When `ssh-keygen` fails.
pub fn make(assets: &Assets) -> anyhow::Result<String> {
    assets.key_pairs.iter().map(make_pair).collect()
}

fn make_pair(pair: &KeyPair) -> anyhow::Result<String> {
    let output = Command::new("/usr/bin/ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", &pair.name, "-f"])
        .arg(&pair.private)
        .stdin(Stdio::null())
        .output()
        .context("run ssh-keygen")?;
    anyhow::ensure!(
        output.status.success(),
        "ssh-keygen, for {}: {}",
        pair.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let public = pair.private.with_extension("pub");
    let line = std::fs::read_to_string(&public).with_context(|| format!("read {}", public.display()))?;
    // The folder of secrets holds secrets only.
    std::fs::remove_file(&public).with_context(|| format!("remove {}", public.display()))?;
    Ok(line)
}

/// Puts the public halves on every host of the application, in both regions.
///
/// # Errors
/// When a file can't be written.
pub fn install(plan: &LabPlan, public: &str, privilege: Privilege) -> anyhow::Result<()> {
    for app in plan.regions.iter().flat_map(|region| &region.apps) {
        let path = layout::data(app).join(AUTHORIZED_KEYS);
        let folder = path.parent().context("a file is in a folder")?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("make {}", folder.display()))?;
        std::fs::write(&path, public).with_context(|| format!("write {}", path.display()))?;
        // sshd refuses a file that others may write (sshd_config(5), StrictModes).
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).context("set its mode")?;
        privilege.give(folder)?;
        privilege.give(&path)?;
    }
    Ok(())
}
