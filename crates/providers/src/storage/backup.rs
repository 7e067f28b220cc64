//! Which objects of a bucket say that a backup was finished, by the marks that its tool makes last. Pure.
//!
//! Invariant: an object that is there while a backup is being made, or is left of one that died, is no mark. A log file
//! counts from the first finished backup on, and never by itself: without one it can't be replayed.
//! What is left out: whether the log has gaps, and whether a backup can be restored, which only a restore tells.

use super::map::Object;

/// pgBackRest writes `…/LABEL/backup.manifest.copy` while it runs, and `backup.manifest` at the end. Its `backup.info` is
/// no mark: it is also written when a stanza is made and when backups expire (pgBackRest user guide, "Repository").
const PGBACKREST: &str = "backup.manifest";
/// `pg_basebackup` writes it last (its manual page, `--manifest-checksums`), and whoever stores it does so last too.
const BASE_BACKUP: &str = "backup_manifest";
/// WAL-G and WAL-E store `basebackups_005/base_…_backup_stop_sentinel.json` when all else is stored.
const WAL_G: &str = "_backup_stop_sentinel.json";
/// Barman stores `SERVER/base/ID/backup.info` at the end, of a backup that failed too: it says which.
const BARMAN: &str = "backup.info";
/// Dumps are one object each, and an object is there whole or not at all.
const DUMPS: [&str; 6] = [".dump", ".pgdump", ".sql.gz", ".sql.zst", ".sql.xz", ".sql.bz2"];
/// Plain SQL is a dump only where dumps are kept: it may be anything else.
const DUMP_FOLDERS: [&str; 4] = ["backup", "backups", "dump", "dumps"];
/// How archived log is packed, if it is.
const PACKED: [&str; 8] = ["", ".gz", ".lz4", ".lzma", ".zst", ".bz2", ".xz", ".br"];

/// An object that is made when a backup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// It is there only if the backup was finished.
    Finished(&'a Object),
    /// Its content says whether it was.
    Says(&'a Object),
}

impl<'a> Mark<'a> {
    fn object(self) -> &'a Object {
        match self {
            Mark::Finished(object) | Mark::Says(object) => object,
        }
    }
}

/// Every mark, the newest first.
pub(super) fn marks(objects: &[Object]) -> Vec<Mark<'_>> {
    let mut marks: Vec<_> = objects.iter().filter(|object| object.size > 0).filter_map(mark).collect();
    marks.sort_by_key(|mark| std::cmp::Reverse(mark.object().last_modified));
    marks
}

fn mark(object: &Object) -> Option<Mark<'_>> {
    let mut folders: Vec<&str> = object.key.split('/').collect();
    let name = folders.pop()?;
    let parent = |up: usize| folders.iter().rev().nth(up).copied();
    let lower = name.to_ascii_lowercase();
    let finished = (name == PGBACKREST && parent(0).is_some_and(is_label))
        || name == BASE_BACKUP
        || (name.starts_with("base_") && name.ends_with(WAL_G))
        || DUMPS.iter().any(|ending| lower.ends_with(ending))
        || (lower.ends_with(".sql") && parent(0).is_some_and(|folder| DUMP_FOLDERS.contains(&folder)));
    if finished {
        return Some(Mark::Finished(object));
    }
    (name == BARMAN && parent(1) == Some("base")).then_some(Mark::Says(object))
}

/// A backup's label at pgBackRest: `20260901-020000F`, and of what follows a full one `…F_20260902-020000I`.
fn is_label(folder: &str) -> bool {
    let (full, rest) = folder.split_once('F').unwrap_or((folder, "?"));
    let time = |text: &str| text.split_once('-').is_some_and(|(day, time)| digits(day, 8) && digits(time, 6));
    time(full)
        && (rest.is_empty()
            || rest.strip_prefix('_').and_then(|r| r.strip_suffix(['I', 'D'])).is_some_and(time))
}

fn digits(text: &str, many: usize) -> bool {
    text.len() == many && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What Barman says of a backup: a file of lines `key=value`.
pub(super) fn is_done(status: u16, body: &[u8]) -> Result<bool, String> {
    if status != 200 {
        return Err(format!("{BARMAN}: it answers {status}"));
    }
    let said = String::from_utf8_lossy(body)
        .lines()
        .find_map(|line| line.strip_prefix("status=").map(str::to_owned));
    said.map(|said| said.trim() == "DONE").ok_or_else(|| format!("{BARMAN} says no status"))
}

/// The newest archived log file that was stored after this backup.
pub(super) fn log_after<'a>(objects: &'a [Object], backup: &Object) -> Option<&'a Object> {
    let logs =
        objects.iter().filter(|o| o.size > 0 && o.last_modified > backup.last_modified && is_log(&o.key));
    logs.max_by_key(|object| object.last_modified)
}

/// A log file as PostgreSQL names it, packed or not; pgBackRest adds a digest. One in `pg_wal` is part of a backup.
fn is_log(key: &str) -> bool {
    let mut folders = key.rsplit('/');
    let name = folders.next().unwrap_or_default();
    if folders.next().is_some_and(|folder| matches!(folder, "pg_wal" | "pg_xlog")) {
        return false;
    }
    let hex = |text: &str, many: usize| text.len() == many && text.bytes().all(|b| b.is_ascii_hexdigit());
    let Some((segment, rest)) = name.split_at_checked(24) else { return false };
    let rest = match rest.strip_prefix('-').and_then(|rest| rest.split_at_checked(40)) {
        Some((digest, rest)) if hex(digest, 40) => rest,
        Some(_) | None => rest,
    };
    hex(segment, 24) && PACKED.contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, written_s: i64) -> Object {
        let last_modified = jiff::Timestamp::from_second(1_790_000_000 + written_s).unwrap();
        Object { key: key.to_owned(), last_modified, etag: "\"e\"".to_owned(), size: 4 }
    }

    const LOG: &str = "00000001000000A0000000FF";

    #[test]
    fn a_backup_that_never_finished_leaves_no_mark() {
        for key in [
            "pg/backup/main/20260901-020000F/backup.manifest.copy",
            "pg/backup/main/20260901-020000F/pg_data/base/1/1259.gz",
            "pg/backup/main/backup.info",
            "x/basebackups_005/base_000000010000000000000002/tar_partitions/part_1.tar.lz4",
            "main/base/20260901T020000/data.tar",
            "nightly/base.tar.gz",
            "nightly/base/1/1259",
            "pictures/base/x.png",
            "pictures/backup/x.png",
            "backup.manifest",
            "a/backup.info",
            "migrations/0001_init.sql",
            "etc/haproxy.cfg.bak",
        ] {
            assert_eq!(marks(&[object(key, 0)]), vec![], "{key}");
        }
        let empty = Object { size: 0, ..object("a.dump", 0) };
        assert_eq!(marks(&[empty]), vec![]);
    }

    #[test]
    fn each_tool_has_its_mark_and_the_newest_comes_first() {
        let keys = [
            "pg/backup/main/20260901-020000F/backup.manifest",
            "pg/backup/main/20260901-020000F_20260902-020000I/backup.manifest",
            "x/basebackups_005/base_000000010000000000000002_backup_stop_sentinel.json",
            "backups/us-east-2-20260901T020000Z/backup_manifest",
            "nightly.sql.gz",
            "NIGHTLY.DUMP",
            "dumps/nightly.sql",
        ];
        let objects: Vec<_> = keys.iter().zip(0..).map(|(key, at)| object(key, at)).collect();
        let found: Vec<_> = marks(&objects).into_iter().map(|mark| mark.object().key.as_str()).collect();
        assert_eq!(found, keys.iter().rev().copied().collect::<Vec<_>>());
        let barman = object("main/base/20260901T020000/backup.info", 0);
        assert_eq!(marks(std::slice::from_ref(&barman)), vec![Mark::Says(&barman)]);
    }

    #[test]
    fn barman_says_itself_whether_it_finished() {
        assert_eq!(is_done(200, b"size=1\nstatus=DONE\n"), Ok(true));
        assert_eq!(is_done(200, b"error=died\nstatus=FAILED\n"), Ok(false));
        assert!(is_done(200, b"size=1\n").is_err() && is_done(404, b"status=DONE").is_err());
    }

    #[test]
    fn log_counts_after_a_finished_backup_and_not_as_part_of_the_next_one() {
        let backup = object("main/base/1/backup.info", 10);
        let after = |key: &str, at| {
            let objects = [object(key, at)];
            log_after(&objects, &backup).is_some()
        };
        for name in [
            format!("main/wals/00000001000000A0/{LOG}.gz"),
            format!("wal_005/{LOG}.br"),
            format!("archive/main/15-1/00000001000000A0/{LOG}-{}.zst", "a1".repeat(20)),
            LOG.to_owned(),
        ] {
            assert!(after(&name, 11), "{name}");
            assert!(!after(&name, 10), "{name}: the backup is as new");
        }
        for name in [
            format!("nightly/pg_wal/{LOG}"),
            format!("wal/{LOG}.partial"),
            format!("wal/{LOG}.00000028.backup"),
            "wal/00000002.history".to_owned(),
            "wals/notes.txt".to_owned(),
        ] {
            assert!(!after(&name, 11), "{name}");
        }
    }
}
