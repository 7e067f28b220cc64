//! What moves, the permit and a reinstatement ask of the management user, right by right, and whether it has them.
//!
//! Each is asked for by the function, role or attribute that the server itself looks at, so a superuser has them all and
//! nobody needs to be one. What is left out: the tables of the application, which `pg_read_all_data` opens.

use bascule_core::id::MemberName;

use super::client::{PatroniCluster, login};
use crate::sql::Session;

/// A right that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// What it is for.
    pub what: &'static str,
    /// What gives it to the user, who is called `USER` there.
    pub remedy: &'static str,
    /// Whether the user has it.
    pub granted: bool,
}

/// What a right is for, what the server is asked, and what gives it.
type Asked = (&'static str, &'static str, &'static str);

/// In `postgres`, where moves ask. Sources: PostgreSQL 15 manual, sections 9.27, 22.5 and F.38, and `COPY`.
const MANAGEMENT: &[Asked] = &[
    // `log.rs`, and `client.rs` of a standby that receives nothing
    (
        "list the log's files",
        "has_function_privilege('pg_ls_waldir()', 'EXECUTE')",
        "GRANT pg_monitor TO USER",
    ),
    (
        "read the control file",
        "has_function_privilege('pg_control_system()', 'EXECUTE')",
        "GRANT EXECUTE ON FUNCTION pg_control_system() TO USER",
    ),
    // without it no user's session is counted, and a drain believes that nobody is connected
    (
        "see users' sessions and followers",
        "pg_has_role('pg_read_all_stats', 'USAGE')",
        "GRANT pg_monitor TO USER",
    ),
    (
        "end the log",
        "has_function_privilege('pg_logical_emit_message(boolean, text, text)', 'EXECUTE')",
        "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO USER",
    ),
    ("checkpoint", "pg_has_role('pg_checkpoint', 'USAGE')", "GRANT pg_checkpoint TO USER"),
    ("end sessions", "pg_has_role('pg_signal_backend', 'USAGE')", "GRANT pg_signal_backend TO USER"),
    // a promotion skips timelines: `client.rs`
    ("see where the data is", "pg_has_role('pg_read_all_settings', 'USAGE')", "GRANT pg_monitor TO USER"),
    (
        "write files of timelines",
        "pg_has_role('pg_write_server_files', 'USAGE')",
        "GRANT pg_write_server_files TO USER",
    ),
    HISTORY,
    WALK,
    // the permit, and a rewind's source
    (
        "follow the log",
        "(SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)",
        "ALTER ROLE USER REPLICATION",
    ),
];

/// In the application's database, where a reinstatement reads what only the old region has.
const SAVING: &[Asked] = &[
    HISTORY,
    WALK,
    ("read what users wrote", "pg_has_role('pg_read_all_data', 'USAGE')", "GRANT pg_read_all_data TO USER"),
];

const HISTORY: Asked = (
    "read files of timelines",
    "has_function_privilege('pg_read_file(text)', 'EXECUTE')",
    "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO USER, in postgres and in the application's database",
);

/// The extension may be missing: then there is no function, and the server is asked nothing.
const WALK: Asked = (
    "read the log's records",
    "coalesce(has_function_privilege(to_regprocedure('pg_get_wal_records_info(pg_lsn, pg_lsn)'), 'EXECUTE'), false)",
    "CREATE EXTENSION pg_walinspect, and GRANT pg_read_server_files TO USER, in postgres and in the application's \
     database",
);

impl PatroniCluster {
    /// The rights that the management user has at a member, and those that it lacks.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn rights(&self, member: &MemberName) -> Result<Vec<Right>, String> {
        let session = self.session(member).ok_or_else(|| format!("{member} is not in the manifest"))?;
        let mut rights = ask(session, MANAGEMENT).await?;
        let saving = Session::new(login(self.config(), self.member(member)?, &self.config().database));
        // one that is used in both databases is had if it is had in both
        for there in ask(&saving, SAVING).await? {
            match rights.iter_mut().find(|right| right.what == there.what) {
                Some(right) => right.granted &= there.granted,
                None => rights.push(there),
            }
        }
        Ok(rights)
    }
}

async fn ask(session: &Session, asked: &[Asked]) -> Result<Vec<Right>, String> {
    let cells: Vec<&str> = asked.iter().map(|(_, sql, _)| *sql).collect();
    let rows = session.ask(&format!("SELECT {}", cells.join(", "))).await.map_err(|e| e.to_string())?;
    let row = rows.first().ok_or("it answered no row")?;
    let right = |(index, (what, _, remedy)): (usize, &Asked)| match row.get(index) {
        Some("t") => Ok(Right { what, remedy, granted: true }),
        Some("f") => Ok(Right { what, remedy, granted: false }),
        other => Err(format!("whether the user may {what}: {other:?} is not a boolean")),
    };
    asked.iter().enumerate().map(right).collect()
}
