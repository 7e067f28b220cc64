//! Whether the primary waits for this permit at all: its cluster manager may have set other names, or none.
//!
//! Invariant: "in force" is the primary's own word of this moment: no commit of whoever keeps to its defaults is
//! acknowledged without one of the pair, and this permit counts as one. What it does not say is unknown.
//!
//! Leaves out: a session that lowers `synchronous_commit` for itself.

use std::sync::Arc;
use std::time::Duration;

use bascule_core::permit::{self, Permit};
use serde::Deserialize;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::{Hold, PermitState};
use crate::sql::{Login, Session};

/// Between two questions: each costs the primary 0.3 ms, and a keeper's report comes once a second.
const EVERY: Duration = Duration::from_secs(2);
/// While it is not in force: a session that has just begun counts from its first confirmation on.
const AGAIN: Duration = Duration::from_millis(250);

/// Asks for as long as this lives.
pub(super) struct Force(AbortHandle);

impl Force {
    /// Ask the primary at `login` about the permit with this name.
    pub(super) fn ask(login: Login, application: &str, hold: Arc<dyn Hold>, state: Arc<PermitState>) -> Self {
        let sql = sql(application);
        let ask = async move {
            let session = Session::new(login);
            loop {
                let found = found(session.ask(&sql).await.map_err(|error| error.to_string()).and_then(read));
                let pause = if found == Permit::InForce { EVERY } else { AGAIN };
                // What could not be asked leaves what was told before; how old that is its reader judges.
                if !matches!(found, Permit::Unknown { .. }) {
                    hold.told(found.clone());
                }
                state.set_found(found);
                sleep(pause).await;
            }
        };
        Self(tokio::spawn(ask).abort_handle())
    }
}

impl Drop for Force {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `reset_val` is what a session begins with. A role's or a database's own is in `pg_db_role_setting`.
fn sql(application: &str) -> String {
    format!(
        "SELECT json_build_object(
            'names', current_setting('synchronous_standby_names'),
            'counts', EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '{application}'
                AND state = 'streaming' AND sync_state IN ('sync', 'quorum')),
            'begins_with', (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'),
            'hidden', (SELECT source IN ('user', 'database user') FROM pg_settings
                WHERE name = 'synchronous_commit'),
            'lowered', (SELECT coalesce(json_agg(concat_ws(' in ', coalesce(r.rolname, 'every role'), d.datname)),
                    '[]')
                FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
                LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS entry
                WHERE (s.setdatabase = 0 OR d.datname = current_database())
                    AND lower(entry) ~ '^synchronous_commit=\"?(off|local|false|no|0)'))"
    )
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    names: String,
    counts: bool,
    begins_with: String,
    hidden: bool,
    lowered: Vec<String>,
}

fn read(rows: Vec<tokio_postgres::SimpleQueryRow>) -> Result<Answer, String> {
    let cell = rows.first().and_then(|row| row.get(0)).ok_or("it answered no row")?;
    serde_json::from_str(cell).map_err(|error| format!("its answer can't be read: {error}"))
}

fn found(answer: Result<Answer, String>) -> Permit {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return Permit::Unknown { why },
    };
    let not = |why: String| Permit::NotInForce { why };
    if !permit::is_required_by(&answer.names) {
        return not(format!("synchronous_standby_names is {:?}, not {:?}", answer.names, permit::setting()));
    }
    if ["off", "local"].contains(&answer.begins_with.as_str()) {
        return not(format!("synchronous_commit is {} by default", answer.begins_with));
    }
    if let Some(whose) = answer.lowered.first() {
        return not(format!("synchronous_commit is off or local for {whose}"));
    }
    let unknown = |why: &str| Permit::Unknown { why: why.to_owned() };
    if answer.hidden {
        return unknown("the management user's own synchronous_commit hides everybody's default");
    }
    if !answer.counts {
        // Commits wait for somebody; of a session that has just begun it may be this one in a moment.
        return unknown("the primary does not count this keeper's confirmations");
    }
    Permit::InForce
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(change: impl FnOnce(&mut Answer)) -> Permit {
        let mut answer = Answer {
            names: permit::setting(),
            counts: true,
            begins_with: "on".to_owned(),
            hidden: false,
            lowered: Vec::new(),
        };
        change(&mut answer);
        found(Ok(answer))
    }

    #[test]
    fn in_force_is_only_what_the_primary_says_is() {
        assert_eq!(answer(|_| ()), Permit::InForce);
        assert_eq!(answer(|a| a.begins_with = "remote_apply".to_owned()), Permit::InForce);
        let breaks: [fn(&mut Answer); 4] = [
            |a| a.names.clear(),
            |a| a.names = "us-east-2-db2".to_owned(),
            |a| a.begins_with = "local".to_owned(),
            |a| a.lowered = vec!["app in events".to_owned()],
        ];
        for change in breaks {
            assert!(matches!(answer(change), Permit::NotInForce { .. }));
        }
        assert!(matches!(answer(|a| a.hidden = true), Permit::Unknown { .. }));
        assert!(matches!(answer(|a| a.counts = false), Permit::Unknown { .. }));
        assert!(matches!(found(Err("no answer".to_owned())), Permit::Unknown { .. }));
    }
}
