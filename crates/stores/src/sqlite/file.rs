//! The file: made for its owner only, recognised, brought to the current format, or refused by name.
//!
//! The race it handles: `fcntl` locks belong to a process and a file, and closing *any* descriptor of the file
//! drops them all (fcntl(2), "Record locking"; SQLite, "How To Corrupt", 2.2). A store opened twice in one
//! process must not do that, or a third party takes itself for the last one and removes the write-ahead log under
//! the first. So nothing here opens the file but SQLite.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bascule_core::id::SiteName;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use rustix::fs::{CWD, FileType, Mode};

/// "basc", in SQLite's `application_id`: tells a store from any other SQLite file.
pub(super) const APPLICATION: i64 = 0x6261_7363;

/// What makes each format of the one before it. How many a file has behind it stands in `user_version`.
pub(super) const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE site (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE tenure (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        tenure TEXT NOT NULL
    ) STRICT;
    CREATE TABLE dark (
        region TEXT PRIMARY KEY,
        since_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE operation (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        header TEXT NOT NULL,
        term INTEGER NOT NULL,
        open INTEGER NOT NULL CHECK (open IN (0, 1))
    ) STRICT;
    CREATE UNIQUE INDEX one_open_operation ON operation (open) WHERE open = 1;
    CREATE TABLE entry (
        operation INTEGER NOT NULL REFERENCES operation (number),
        at INTEGER NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (operation, at)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE operation ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE report (
        place TEXT PRIMARY KEY,
        report TEXT NOT NULL
    ) STRICT;
    CREATE TABLE pause (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        pause TEXT NOT NULL
    ) STRICT;
",
];

/// The format this bascule writes.
const FORMAT: i64 = MIGRATIONS.len() as i64;

/// Pages in the write-ahead log at which SQLite copies them into the file by itself, in the middle of an append.
/// `begin` does that before users' writes are held. An append writes one or two pages (measured), so an operation
/// stays under this for a thousand appends; it has one or two a step.
const CHECKPOINT_PAGES: i64 = 2000;

/// Between two attempts at the switch: the other's takes an fsync or two, a third of a millisecond each.
const SWITCH_PAUSE: Duration = Duration::from_millis(1);

/// Why a store file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be made.
    #[error("can't make the store {path}")]
    File {
        /// Which file.
        path: PathBuf,
        #[source]
        /// Why.
        source: std::io::Error,
    },
    /// It did not answer: locked for too long, a full disk, no right to read it.
    #[error("can't use the store {path}")]
    Unavailable {
        /// Which file.
        path: PathBuf,
        #[source]
        /// Why.
        source: rusqlite::Error,
    },
    /// What is in it can't be read.
    #[error("the store {path} is damaged")]
    Damaged {
        /// Which file.
        path: PathBuf,
        #[source]
        /// Why.
        source: rusqlite::Error,
    },
    /// It is something else.
    #[error("{path} is not a store of bascule's: name another file")]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A newer bascule wrote it.
    #[error("the store {path} has format {found}; this bascule reads up to {FORMAT}: use a newer one")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// It belongs to another site.
    #[error("the store {path} is that of site {found}, not of {site}")]
    OtherSite {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        site: SiteName,
    },
}

/// Whether SQLite's word means that what is stored can't be read, as against a call that did not succeed.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            // A constraint holds what the rules check before each write: only a damaged file breaks one.
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation
        ),
        // Not SQLite's refusal but a row that is missing or of the wrong type.
        None => true,
    }
}

/// Open or make the store of a site; `busy` is how long to wait for another process' transaction.
pub(super) fn open(path: &Path, site: &SiteName, busy: Duration) -> Result<Connection, OpenError> {
    make(path)?;
    let sqlite = |source: rusqlite::Error| {
        let path = path.to_owned();
        if is_damage(&source) {
            OpenError::Damaged { path, source }
        } else {
            OpenError::Unavailable { path, source }
        }
    };
    let mut connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(busy).map_err(sqlite)?;
    // Before anything is changed: a file that is not ours stays as it is. In one transaction, so that a file that
    // is being made is seen either empty or whole.
    let look = connection.transaction().map_err(sqlite)?;
    let found = recognise(&look, path, sqlite)?;
    look.finish().map_err(sqlite)?;
    write_ahead(&connection, busy).map_err(sqlite)?;
    configure(&connection).map_err(sqlite)?;
    // Who only comes to look keeps no writer waiting.
    if found < FORMAT {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        // Again, since another process may have done it in between.
        let found = recognise(&transaction, path, sqlite)?;
        migrate(&transaction, found, site).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
    }
    let name: String = connection.query_row("SELECT name FROM site", [], |row| row.get(0)).map_err(sqlite)?;
    if name == site.as_str() {
        Ok(connection)
    } else {
        Err(OpenError::OtherSite { path: path.to_owned(), found: name, site: site.clone() })
    }
}

/// Make an empty file that only its owner may read, without opening it (see above). SQLite gives the files it
/// makes beside it the same mode.
fn make(path: &Path) -> Result<(), OpenError> {
    match rustix::fs::mknodat(CWD, path, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => Err(OpenError::File { path: path.to_owned(), source: errno.into() }),
    }
}

/// The format of a file that is ours, 0 for an empty one.
fn recognise(
    connection: &Connection,
    path: &Path,
    sqlite: impl Fn(rusqlite::Error) -> OpenError,
) -> Result<i64, OpenError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = number("user_version").map_err(&sqlite)?;
    let application = number("application_id").map_err(&sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&sqlite)?;
    if application != APPLICATION && (application, found, tables) != (0, 0, 0) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    Ok(found)
}

/// The first switch to a write-ahead log needs the file alone, and SQLite does not wait for that by itself: two
/// processes that make a store at the same moment would wait for each other.
fn write_ahead(connection: &Connection, busy: Duration) -> Result<(), rusqlite::Error> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && begun.elapsed() < busy => std::thread::sleep(SWITCH_PAUSE),
            answer => return answer,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
}

fn migrate(connection: &Connection, found: i64, site: &SiteName) -> Result<(), rusqlite::Error> {
    if found == FORMAT {
        return Ok(());
    }
    for script in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        connection.execute_batch(script)?;
    }
    if found == 0 {
        connection.execute("INSERT INTO site (one, name) VALUES (1, ?1)", [site.as_str()])?;
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", FORMAT)
}
