//! Backups: each region stores its own database in its own bucket, from where they are copied to the other.
//!
//! Leaves out: the log between two backups, and restores.

use std::path::PathBuf;
use std::time::Duration;

use crate::assets::{Assets, RegionAssets};
use crate::layout;
use crate::plan::{LabPlan, Region, Secret};
use crate::secrets::Secrets;

/// Between two backups. One is 4 MB, and a lab lives for an afternoon, so none is thrown away.
pub const EVERY: Duration = Duration::from_secs(3600);

/// Name of the part, of its log, and of its script.
#[must_use]
pub fn part_name(own: &RegionAssets) -> String {
    format!("{}-backup", own.storage.name)
}

/// Name of the script.
#[must_use]
pub fn file(own: &RegionAssets) -> String {
    format!("{}.sh", part_name(own))
}

/// A file that is as old as the newest backup, and has its name.
#[must_use]
pub fn newest(own: &RegionAssets) -> PathBuf {
    layout::data(&own.storage).join("newest-backup")
}

/// The script: what is stored was compared with its own checksums before. The manifest goes last: it is the mark of a
/// backup that is whole. Secrets go in by the environment and by
/// standard input, never as arguments.
#[must_use]
pub fn script(
    plan: &LabPlan,
    assets: &Assets,
    region: &Region,
    own: &RegionAssets,
    secrets: &Secrets,
) -> String {
    let hosts: Vec<String> = region.nodes.iter().map(|node| node.address.to_string()).collect();
    format!(
        "# Stores the database of {place} in {bucket}: at once, then every {every} s. A standby is asked first.
export PGPASSWORD='{password}' PGCONNECT_TIMEOUT=5
bin=/usr/lib/postgresql/15/bin
new=$HOME/backup
store() {{
    curl -sSf --max-time 60 -K - <<END
user = \"{user}:{secret}\"
aws-sigv4 = \"aws:amz:{place}:s3\"
upload-file = \"$1\"
url = \"http://{storage}:{s3}/{bucket}/backups/$name/$2\"
END
}}
back_up() {{
    rm -rf \"$new\" &&
    $bin/pg_basebackup -d 'host={hosts} port={port} user=replicator target_session_attrs=prefer-standby' \\
        -D \"$new\" --wal-method=fetch --checkpoint=fast &&
    $bin/pg_verifybackup -q \"$new\" &&
    tar -C \"$new\" --use-compress-program='gzip -1' -cf \"$new.tar.gz\" . &&
    name={place}-$(date -u +%Y%m%dT%H%M%SZ) &&
    store \"$new.tar.gz\" base.tar.gz && store \"$new/backup_manifest\" backup_manifest &&
    rm -rf \"$new\" \"$new.tar.gz\" && echo \"$name\" >\"$HOME/newest-backup\"
}}
while :; do
    back_up && sleep {every} || sleep 1
done
",
        place = region.place.name(),
        bucket = own.bucket,
        every = EVERY.as_secs(),
        password = secrets.get(Secret::Replication),
        user = assets.access_key,
        secret = secrets.get(Secret::Storage),
        storage = own.storage.address,
        s3 = assets.ports.s3,
        hosts = hosts.join(","),
        port = plan.ports.postgres,
    )
}
