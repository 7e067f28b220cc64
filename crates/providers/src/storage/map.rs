//! What S3's answers mean (Amazon S3 API reference). Pure.

use bascule_core::time::Timestamp;
use serde::Deserialize;

/// An object younger than this may still be on its way: a copier needs a round trip between regions and a write, well
/// under a second each; the rest is for clocks that differ.
pub(super) const SETTLED_MS: u64 = 5_000;
/// An object that is older and not there will not come: S3 promises its replication time control for 15 minutes.
pub(super) const LOST_MS: u64 = 15 * 60_000;
/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Object {
    pub key: String,
    pub last_modified: jiff::Timestamp,
    #[serde(rename = "ETag", default)]
    pub etag: String,
    pub size: u64,
}

impl Object {
    /// How old it is, in milliseconds; 0 if its storage's clock is ahead.
    pub fn age_ms(&self, now: Timestamp) -> u64 {
        let written = u64::try_from(self.last_modified.as_millisecond()).unwrap_or(0);
        now.0.saturating_sub(written)
    }
}

/// A page of a listing (`ListObjectsV2`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(default)]
    pub contents: Vec<Object>,
    pub next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versioning {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
}

/// Whether a bucket keeps versions; one that never did says nothing (`GetBucketVersioning`).
pub(super) fn versioning(status: u16, body: &[u8]) -> Result<bool, String> {
    match status {
        200 => parse::<Versioning>(body).map(|answer| answer.status.as_deref() == Some("Enabled")),
        _ => Err(refusal(status, body)),
    }
}

/// Whether a bucket encrypts what is put into it (`GetBucketEncryption`).
pub(super) fn encryption(status: u16, body: &[u8]) -> Result<bool, String> {
    match (status, code(body).as_deref()) {
        // The body names the algorithm; whichever it is, there is one.
        (200, _) => Ok(String::from_utf8_lossy(body).contains("<SSEAlgorithm>")),
        (404, Some("ServerSideEncryptionConfigurationNotFoundError")) => Ok(false),
        _ => Err(refusal(status, body)),
    }
}

/// Whether a stranger's question was answered.
pub(super) fn public(status: u16, body: &[u8]) -> Result<bool, String> {
    match status {
        200 => Ok(true),
        401 | 403 => Ok(false),
        _ => Err(refusal(status, body)),
    }
}

/// Whether the bucket is there at all, and its objects.
pub(super) fn page(status: u16, body: &[u8]) -> Result<Option<Page>, String> {
    match (status, code(body).as_deref()) {
        (200, _) => parse(body).map(Some),
        (404, Some("NoSuchBucket")) => Ok(None),
        _ => Err(refusal(status, body)),
    }
}

/// The newest object that had time to be copied; the newest of all if none had.
pub(super) fn newest(objects: &[Object], now: Timestamp) -> Option<&Object> {
    objects.iter().max_by_key(|o| (o.age_ms(now) >= SETTLED_MS, o.last_modified))
}

/// What became of an object in the other bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is there, the same.
    There,
    /// It is not there, and will not come.
    Lost,
    /// It can't be told, and why.
    Unknown(String),
}

/// `there` is the object of the same key in the other bucket.
pub(super) fn arrival(object: &Object, there: Option<&Object>, now: Timestamp) -> Arrival {
    let (key, age_s) = (&object.key, object.age_ms(now) / 1000);
    match there {
        Some(copy) if (copy.size, &copy.etag) == (object.size, &object.etag) => Arrival::There,
        // With keys of a region's own, a true copy may have another tag than its original.
        Some(copy) if copy.size == object.size => Arrival::Unknown(format!(
            "{key} has {} bytes there too, and another ETag: compare them",
            copy.size
        )),
        Some(_) if object.age_ms(now) >= LOST_MS => Arrival::Lost,
        None if object.age_ms(now) >= LOST_MS => Arrival::Lost,
        Some(_) => {
            Arrival::Unknown(format!("{key}, {age_s} s old, is another object in the other bucket yet"))
        }
        None => Arrival::Unknown(format!("{key}, {age_s} s old, is not in the other bucket yet")),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|_| "its answer is no text".to_owned())?;
    quick_xml::de::from_str(text).map_err(|e| format!("it does not answer as S3 does: {e}"))
}

/// The error's code, if the body is an error.
pub(super) fn code(body: &[u8]) -> Option<String> {
    parse::<Refusal>(body).ok().map(|refusal| refusal.code)
}

pub(super) fn refusal(status: u16, body: &[u8]) -> String {
    match code(body) {
        Some(code) => format!("it answers {status} {code}"),
        None => format!("it answers {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn object(key: &str, age_ms: u64) -> Object {
        let written = i64::try_from(NOW.0 - age_ms).unwrap();
        let last_modified = jiff::Timestamp::from_millisecond(written).unwrap();
        Object { key: key.to_owned(), last_modified, etag: "\"e\"".to_owned(), size: 4 }
    }

    fn error(code: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>")
    }

    #[test]
    fn a_bucket_that_says_nothing_of_versions_keeps_none() {
        let answer =
            |inner| format!("<VersioningConfiguration xmlns=\"x\">{inner}</VersioningConfiguration>");
        for (inner, keeps) in
            [("<Status>Enabled</Status>", true), ("<Status>Suspended</Status>", false), ("", false)]
        {
            assert_eq!(versioning(200, answer(inner).as_bytes()), Ok(keeps), "{inner}");
        }
        assert_eq!(
            versioning(403, error("AccessDenied").as_bytes()),
            Err("it answers 403 AccessDenied".to_owned())
        );
        assert_eq!(versioning(502, b"<html>"), Err("it answers 502".to_owned()));
    }

    #[test]
    fn only_a_named_refusal_says_that_nothing_is_encrypted() {
        let without = error("ServerSideEncryptionConfigurationNotFoundError");
        assert_eq!(encryption(404, without.as_bytes()), Ok(false));
        assert_eq!(
            encryption(404, error("NoSuchBucket").as_bytes()),
            Err("it answers 404 NoSuchBucket".to_owned())
        );
        assert_eq!(encryption(200, b"<S><R><SSEAlgorithm>AES256</SSEAlgorithm></R></S>"), Ok(true));
    }

    #[test]
    fn a_stranger_is_let_in_kept_out_or_it_is_not_known() {
        assert_eq!((public(200, b""), public(403, b""), public(401, b"")), (Ok(true), Ok(false), Ok(false)));
        assert!(public(500, b"").is_err());
    }

    #[test]
    fn a_listing_has_its_objects_and_says_if_there_is_more() {
        let text = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
            <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
            <Contents><Key>a &amp; b</Key><LastModified>2026-11-23T09:28:00.123Z</LastModified>\
            <ETag>&#34;e&#34;</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass></Contents>\
            </ListBucketResult>";
        let page = super::page(200, text.as_bytes()).unwrap().unwrap();
        assert_eq!(page.next_continuation_token.as_deref(), Some("t"));
        let [object] = &page.contents[..] else { panic!("{page:?}") };
        assert_eq!((object.key.as_str(), object.etag.as_str(), object.size), ("a & b", "\"e\"", 4));
        assert_eq!(super::page(404, error("NoSuchBucket").as_bytes()), Ok(None));
        assert!(super::page(200, b"<html>").is_err());
    }

    #[test]
    fn an_object_that_is_just_written_is_no_evidence() {
        let objects = [object("old", 60_000), object("new", SETTLED_MS), object("newest", SETTLED_MS - 1)];
        assert_eq!(newest(&objects, NOW), Some(&objects[1]));
        assert_eq!(newest(&objects[2..], NOW), Some(&objects[2]), "too young, and all there is");
    }

    #[test]
    fn what_is_late_is_unknown_until_it_is_lost() {
        let fresh = object("k", SETTLED_MS);
        let tagged = Object { etag: "\"f\"".to_owned(), ..fresh.clone() };
        let other = Object { size: fresh.size + 1, ..tagged.clone() };
        assert_eq!(arrival(&fresh, Some(&fresh), NOW), Arrival::There);
        assert!(matches!(arrival(&object("k", LOST_MS), Some(&tagged), NOW), Arrival::Unknown(_)));
        for there in [None, Some(&other)] {
            assert!(matches!(arrival(&fresh, there, NOW), Arrival::Unknown(_)));
            assert_eq!(arrival(&object("k", LOST_MS), there, NOW), Arrival::Lost);
        }
    }
}
