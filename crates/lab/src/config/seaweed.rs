//! `SeaweedFS`: who may use the S3 gateway, and the keys that its servers trust each other by.

use serde_json::json;

use crate::assets::Assets;
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
    "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>\n".to_owned()
}

/// Body of `PutBucketEncryption`: what is put without a word about encryption is encrypted with the gateway's own keys.
#[must_use]
pub fn encryption() -> String {
    "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
     <ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
     </Rule></ServerSideEncryptionConfiguration>\n"
        .to_owned()
}
