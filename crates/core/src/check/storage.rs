//! Checks of buckets.

use super::answers::{Answers, judge, listed};
use super::code::Code;
use crate::asset::AssetKind;
use crate::facts::{Bucket, Destination, Fact, Facts};

const KIND: AssetKind = AssetKind::ObjectStorage;

fn setting(
    code: Code,
    facts: &Facts,
    answers: &mut Answers,
    what: &str,
    wanted: bool,
    pick: fn(&Bucket) -> &Fact<bool>,
) {
    answers.each(
        code,
        facts,
        KIND,
        |r| &r.object_storage,
        |case, _, bucket| {
            let is = *case.need(what, pick(bucket))?;
            judge(is == wanted, format!("{what}: {}", if is { "yes" } else { "no" }))
        },
    );
}

pub(super) fn versioning(facts: &Facts, answers: &mut Answers) {
    setting(Code::Versioning, facts, answers, "keeps versions", true, |b| &b.versioning);
}

pub(super) fn encryption(facts: &Facts, answers: &mut Answers) {
    setting(Code::Encryption, facts, answers, "encrypted", true, |b| &b.encryption);
}

pub(super) fn not_public(facts: &Facts, answers: &mut Answers) {
    answers.each(
        Code::NotPublic,
        facts,
        KIND,
        |r| &r.object_storage,
        |case, _, bucket| {
            let open = *case.need("public", &bucket.public)?;
            let is = if open { "open to anybody" } else { "closed, as far as was tried" };
            judge(!open, format!("{is} ({})", bucket.public.from))
        },
    );
}

pub(super) fn bucket_replication(facts: &Facts, answers: &mut Answers) {
    let copies = facts.bucket_copies();
    let before = answers.done.len();
    for (region, other) in [(&facts.home, &facts.away), (&facts.away, &facts.home)] {
        let code = Code::BucketReplication;
        let Some(buckets) = answers.listing(code, region.name.as_str(), KIND, &region.object_storage) else {
            continue;
        };
        for (name, bucket) in buckets {
            answers.ask(code, format!("{} {name}", region.name), |case| {
                let to = case.need("replicated to", &bucket.replication)?;
                if let Some(to) = to.as_ref().filter(|to| to.region == other.name) {
                    return judge(true, format!("replicated to {} in {}", to.bucket, to.region));
                }
                let own = Destination { region: region.name.clone(), bucket: name.clone() };
                if copies.of.contains(&own) {
                    return judge(true, format!("it is the copy of a bucket in {}", other.name));
                }
                if !copies.all_seen {
                    case.lack("it may be the copy of a bucket that was not observed");
                    return None;
                }
                judge(false, "it is not replicated to the other region, nor a copy of one there")
            });
        }
    }
    answers.at_least_one_in(Code::BucketReplication, facts, KIND, before, |r| &r.object_storage);
}

pub(super) fn backup_age(facts: &Facts, answers: &mut Answers) {
    let code = Code::BackupAge;
    let before = answers.done.len();
    let mut unsure = false;
    for region in facts.regions() {
        let listing = answers.listing(code, region.name.as_str(), KIND, &region.object_storage);
        for (name, bucket) in listing.into_iter().flatten() {
            unsure |= bucket.newest_backup_age_s.value().is_none();
            if bucket.newest_backup_age_s.value() == Some(&None) {
                continue;
            }
            answers.ask(code, format!("{} {name}", region.name), |case| {
                let age = (*case.need("newest backup's age in s", &bucket.newest_backup_age_s)?)?;
                let rpo = *case.need_set("backups' RPO in ms", &facts.promise.backup_rpo_ms)?;
                let right = age.saturating_mul(1000) <= rpo;
                judge(right, format!("the newest finished backup, or the log after it, is {age} s old; allowed are {rpo} ms"))
            });
        }
    }
    // a site without buckets has no backup either
    if !unsure && answers.done.len() == before {
        answers.ask(code, facts.site.as_str(), |case| {
            for region in facts.regions() {
                case.note(listed(region.name.as_str(), KIND, &region.object_storage));
            }
            judge(false, "no bucket holds a finished backup")
        });
    }
}
