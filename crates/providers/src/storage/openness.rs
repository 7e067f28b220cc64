//! Whether strangers get at a bucket: what they were tried to be answered, and what its storage says of its rules. Pure.
//!
//! A bucket is open if anything shows it: a stranger's question that was answered, a policy, or a grant. It is closed if a
//! stranger may neither list it nor read the object that was tried; or, where there is no object to try, if its storage
//! says that policy and grants are closed, or that it blocks them. The rights of each object by itself are not asked for.

use super::map::{code, refusal};

/// All that was tried. What a storage does not answer is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    /// Whether a stranger was shown the list of objects.
    pub listed: Result<bool, String>,
    /// An object, and whether a stranger was shown it; none if there is none.
    pub read: Option<(String, Result<bool, String>)>,
    /// Whether its policy lets strangers in (`GetBucketPolicyStatus`).
    pub policy: Result<bool, String>,
    /// Whether its grants do (`GetBucketAcl`).
    pub grants: Result<bool, String>,
    /// What is blocked whatever those two say (`GetPublicAccessBlock`).
    pub block: Result<Block, String>,
}

/// What a bucket blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    policy: bool,
    grants: bool,
}

/// Groups that anybody is in (Amazon S3 user guide, "Access control list overview").
const EVERYBODY: [&str; 2] = ["/groups/global/AllUsers<", "/groups/global/AuthenticatedUsers<"];

pub(super) fn policy(status: u16, body: &[u8]) -> Result<bool, String> {
    match (status, code(body).as_deref()) {
        (404, Some("NoSuchBucketPolicy")) => Ok(false),
        (200, _) => within(body, "<PolicyStatus").map(|text| is_true(&text, "IsPublic")),
        _ => Err(refusal(status, body)),
    }
}

pub(super) fn grants(status: u16, body: &[u8]) -> Result<bool, String> {
    match status {
        200 => {
            within(body, "<AccessControlPolicy").map(|text| EVERYBODY.iter().any(|all| text.contains(all)))
        }
        _ => Err(refusal(status, body)),
    }
}

pub(super) fn block(status: u16, body: &[u8]) -> Result<Block, String> {
    match (status, code(body).as_deref()) {
        (404, Some("NoSuchPublicAccessBlockConfiguration")) => Ok(Block::default()),
        (200, _) => within(body, "<PublicAccessBlockConfiguration").map(|text| Block {
            policy: is_true(&text, "RestrictPublicBuckets"),
            grants: is_true(&text, "IgnorePublicAcls"),
        }),
        _ => Err(refusal(status, body)),
    }
}

/// An answer of that kind: a storage that does not know a question may answer another one.
fn within(body: &[u8], root: &str) -> Result<String, String> {
    let text = String::from_utf8_lossy(body).into_owned();
    if text.contains(root) { Ok(text) } else { Err("it answers something else".to_owned()) }
}

fn is_true(text: &str, element: &str) -> bool {
    text.to_ascii_lowercase().contains(&format!("<{}>true<", element.to_ascii_lowercase()))
}

impl Tried {
    /// Whether it is open to strangers.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn is_open(&self) -> Result<bool, String> {
        let block = self.block.as_ref().copied().unwrap_or_default();
        let read = self.read.as_ref().map(|(_, read)| read);
        if self.listed == Ok(true)
            || read == Some(&Ok(true))
            || (self.policy == Ok(true) && !block.policy)
            || (self.grants == Ok(true) && !block.grants)
        {
            return Ok(true);
        }
        self.listed.clone()?;
        let closed = |rule: &Result<bool, String>, blocked: bool| blocked || *rule == Ok(false);
        match read {
            Some(Ok(_)) => Ok(false),
            _ if closed(&self.policy, block.policy) && closed(&self.grants, block.grants) => Ok(false),
            Some(Err(why)) => Err(why.clone()),
            None => {
                Err("it is empty, so no object could be tried, and its storage does not say its rules"
                    .to_owned())
            }
        }
    }

    /// What was tried, and what came of it.
    pub fn told(&self) -> String {
        let stranger = |answer: &Result<bool, String>| match answer {
            Ok(true) => "answered".to_owned(),
            Ok(false) => "refused".to_owned(),
            Err(why) => format!("not known ({why})"),
        };
        let rule = |answer: &Result<bool, String>| match answer {
            Ok(true) => "lets anybody in".to_owned(),
            Ok(false) => "lets nobody in".to_owned(),
            Err(why) => format!("not said ({why})"),
        };
        let read = match &self.read {
            Some((key, answer)) => format!("object {key} unsigned: {}", stranger(answer)),
            None => "no object to try".to_owned(),
        };
        let block = match &self.block {
            Ok(Block { policy: true, grants: true }) => "all".to_owned(),
            Ok(Block { policy: false, grants: false }) => "nothing".to_owned(),
            Ok(Block { policy: true, .. }) => "policies".to_owned(),
            Ok(Block { policy: false, .. }) => "grants".to_owned(),
            Err(why) => format!("not said ({why})"),
        };
        format!(
            "list unsigned: {}; {read}; ?policyStatus: {}; ?acl: {}; ?publicAccessBlock blocks: {block}",
            stranger(&self.listed),
            rule(&self.policy),
            rule(&self.grants)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &str = "<AccessControlPolicy><AccessControlList><Grant><Grantee><ID>me</ID></Grantee>\
        </Grant></AccessControlList></AccessControlPolicy>";
    const OPEN: &str = "<AccessControlPolicy><AccessControlList><Grant><Grantee><URI>\
        http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee></Grant></AccessControlList></AccessControlPolicy>";

    fn error(code: &str) -> String {
        format!("<Error><Code>{code}</Code></Error>")
    }

    fn silent() -> Tried {
        Tried {
            listed: Ok(false),
            read: Some(("k".to_owned(), Ok(false))),
            policy: Err("501".to_owned()),
            grants: Err("501".to_owned()),
            block: Err("501".to_owned()),
        }
    }

    #[test]
    fn rules_are_read_from_their_own_answers_only() {
        let status = |is: &str| format!("<PolicyStatus><IsPublic>{is}</IsPublic></PolicyStatus>");
        assert_eq!(policy(200, status("TRUE").as_bytes()), Ok(true));
        assert_eq!(policy(200, status("false").as_bytes()), Ok(false));
        assert_eq!(policy(404, error("NoSuchBucketPolicy").as_bytes()), Ok(false));
        assert_eq!((grants(200, OPEN.as_bytes()), grants(200, CLOSED.as_bytes())), (Ok(true), Ok(false)));
        let list = b"<ListBucketResult><Name>b</Name></ListBucketResult>";
        assert!(policy(200, list).is_err() && grants(200, list).is_err() && block(200, list).is_err());
        assert!(grants(501, error("NotImplemented").as_bytes()).is_err());
        let all = b"<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls>\
            <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
        assert_eq!(block(200, all), Ok(Block { policy: true, grants: true }));
        let none = error("NoSuchPublicAccessBlockConfiguration");
        assert_eq!(block(404, none.as_bytes()), Ok(Block::default()));
    }

    #[test]
    fn one_thing_that_lets_strangers_in_is_enough_unless_it_is_blocked() {
        assert_eq!(silent().is_open(), Ok(false));
        let blocked = Ok(Block { policy: true, grants: true });
        for open in [
            Tried { listed: Ok(true), ..silent() },
            Tried { read: Some(("k".to_owned(), Ok(true))), ..silent() },
            Tried { policy: Ok(true), ..silent() },
            Tried { grants: Ok(true), ..silent() },
            // a stranger who was answered was answered
            Tried { listed: Ok(true), block: blocked.clone(), ..silent() },
        ] {
            assert_eq!(open.is_open(), Ok(true), "{}", open.told());
        }
        assert_eq!(Tried { policy: Ok(true), block: blocked, ..silent() }.is_open(), Ok(false));
    }

    #[test]
    fn an_empty_bucket_is_closed_only_if_its_storage_says_so() {
        let empty = Tried { read: None, ..silent() };
        assert!(empty.is_open().is_err());
        assert_eq!(Tried { policy: Ok(false), grants: Ok(false), ..empty.clone() }.is_open(), Ok(false));
        assert!(Tried { policy: Ok(false), ..empty.clone() }.is_open().is_err());
        assert!(Tried { listed: Err("late".to_owned()), ..silent() }.is_open().is_err());
        assert!(empty.told().contains("no object to try; ?policyStatus: not said (501)"), "{}", empty.told());
    }
}
