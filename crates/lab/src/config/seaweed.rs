//! `SeaweedFS`: who may use the S3 gateway, the keys by which its servers trust each other, and copying between regions.

use serde_json::json;

use crate::assets::{Assets, RegionAssets};
use crate::layout;
use crate::plan::Secret;
use crate::secrets::Secrets;

/// File with the versioning of a bucket.
pub const VERSIONING: &str = "bucket-versioning.xml";
/// File with the encryption of a bucket.
pub const ENCRYPTION: &str = "bucket-encryption.xml";
/// File with the keys, the same in both regions: objects are copied as they are stored, and the copy has to be read.
pub const SECURITY: &str = "storage-security.toml";

/// The identities of an S3 gateway. With any listed, a request without a signature is refused.
#[must_use]
pub fn identities(assets: &Assets, secrets: &Secrets) -> String {
    let identities = json!({"identities": [{
        "name": assets.access_key,
        "credentials": [{"accessKey": assets.access_key, "secretKey": secrets.get(Secret::Storage)}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    format!("{identities:#}\n")
}

/// The keys. Without the first two, whoever reaches a file store's or a volume's port needs no S3 credentials.
#[must_use]
pub fn security(secrets: &Secrets) -> String {
    format!(
        "# Writes to volumes.
[jwt.signing]
key = \"{token}\"

# Reads and writes of files, by their path.
[jwt.filer_signing]
key = \"{token}\"

[jwt.filer_signing.read]
key = \"{token}\"

# Wraps the key of each object.
[s3.sse]
kek = \"{encryption}\"
",
        token = secrets.get(Secret::StorageToken),
        encryption = secrets.get(Secret::StorageEncryption)
    )
}

/// Body of `PutBucketVersioning`.
#[must_use]
pub fn versioning() -> String {
    "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
     <Status>Enabled</Status></VersioningConfiguration>\n"
        .to_owned()
}

/// Body of `PutBucketEncryption`: what is put without a word about encryption is encrypted with the gateway's own keys.
#[must_use]
pub fn encryption() -> String {
    "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
     <ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
     </Rule></ServerSideEncryptionConfiguration>\n"
        .to_owned()
}

/// Name of the script that copies into a region.
#[must_use]
pub fn sync_file(own: &RegionAssets) -> String {
    format!("{}-sync.sh", own.storage.name)
}

/// Copies from the other region into this one.
///
/// A version's name and data are copied one after the other, and a gateway that is asked for the object between the two
/// takes the name for broken and deletes it, which then is copied back as a deletion. So names come last (one change at
/// a time), and nothing is copied while volumes on either side can't be written, as in the first seconds after a
/// region's return.
#[must_use]
pub fn sync(assets: &Assets, own: &RegionAssets, peer: &RegionAssets) -> String {
    let ports = &assets.ports;
    let (here, there) = (own.storage.address, peer.storage.address);
    format!(
        "# Copies what is written to {there_bucket} into {here_bucket}, while both can store.
# What came from here is not sent back.
can_store() {{
    curl -sf --max-time 1 \"http://$1:{master}/dir/assign?collection=$2\" | grep -q '\"fid\"'
}}
both_answer() {{
    curl -sf --max-time 1 --fail-early -o /dev/null http://{here}:{s3}/healthz -o /dev/null http://{there}:{s3}/healthz
}}
while :; do
    until can_store {here} {here_bucket} && can_store {there} {there_bucket}; do sleep 0.5; done
    {weed} -logtostderr=true filer.sync -isActivePassive -concurrency=1 \\
        -a={there}:{filer} -a.path=/buckets/{there_bucket} \\
        -b={here}:{filer} -b.path=/buckets/{here_bucket} \\
        -metricsIp={here} -metricsPort={metrics} &
    while kill -0 $! 2>/dev/null && both_answer; do sleep 1; done
    kill $! 2>/dev/null
    sleep 0.5
    kill -KILL $! 2>/dev/null
    wait
done
",
        there_bucket = peer.bucket,
        here_bucket = own.bucket,
        master = ports.master,
        s3 = ports.s3,
        filer = ports.filer,
        metrics = ports.sync_metrics,
        weed = layout::venv("weed").display(),
    )
}
