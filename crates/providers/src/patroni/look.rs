//! What only checks ask of a cluster: its manager's settings, questions to one member, and whether a move's changes
//! would be allowed. Nothing here changes anything.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::id::MemberName;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{MemberEndpoint, PatroniCluster, login};
use crate::sql::try_login;
use crate::{Trial, web};

/// Largest answer of Patroni's REST API: the settings of a cluster have some hundred keys.
const ANSWER_MAX: usize = 256 << 10;
/// A key that Patroni does not have, set to nothing: it is compared, found equal, and not written.
const NO_CHANGE: &str = "bascule_permission";

/// Patroni's default for its times.
const SECONDS_10: Duration = Duration::from_secs(10);

/// A row of text cells.
pub type Row = Vec<Option<String>>;

/// A cluster's settings, as its manager holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the manager was told to keep its hands off.
    pub paused: bool,
    /// Whether an old primary is rewound.
    pub rewinds: bool,
    /// Whether each replica has a slot.
    pub uses_slots: bool,
    /// Slots that are to be there always.
    pub permanent_slots: BTreeSet<String>,
    /// What a standby cluster follows; none of a primary.
    pub follows: Option<Follows>,
    /// How long the manager sleeps between two rounds.
    pub loop_wait: Duration,
    /// How long one of its rounds may wait for the cluster's own store.
    pub retry_timeout: Duration,
}

impl Default for Settings {
    /// What holds where nothing is set.
    fn default() -> Self {
        Self {
            paused: false,
            rewinds: false,
            uses_slots: true,
            permanent_slots: BTreeSet::new(),
            follows: None,
            loop_wait: SECONDS_10,
            retry_timeout: SECONDS_10,
        }
    }
}

/// What a standby cluster follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    /// The host.
    pub host: String,
    /// The slot that is kept for it there, if one is.
    pub slot: Option<String>,
}

impl PatroniCluster {
    /// The settings, and the member that was asked: whichever answers first.
    ///
    /// # Errors
    /// Why nobody said.
    pub async fn settings(&self) -> Result<(SocketAddr, Settings), String> {
        let mut asks = JoinSet::new();
        for member in &self.config().members {
            let (http, at) = (self.http().clone(), member.patroni);
            asks.spawn(async move {
                let body = web::get(&http, &format!("http://{at}/config"), ANSWER_MAX).await?;
                Ok::<_, String>((at, body))
            });
        }
        let mut why = "it has no members".to_owned();
        while let Some(joined) = asks.join_next().await {
            match joined {
                Ok(Ok((at, body))) => return settings(&body).map(|settings| (at, settings)),
                Ok(Err(error)) => why = error,
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("no member's Patroni answers: {why}"))
    }

    /// Ask one member.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, member: &MemberName, sql: &str) -> Result<Vec<Row>, String> {
        let session = self.session(member).ok_or_else(|| format!("{member} is not in the manifest"))?;
        let rows = session.ask(sql).await.map_err(|error| error.to_string())?;
        let cells = |row: &tokio_postgres::SimpleQueryRow| -> Row {
            (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()
        };
        Ok(rows.iter().map(cells).collect())
    }

    /// Whether a member lets the management user in.
    ///
    /// # Errors
    /// Why that could not be tried.
    pub async fn may_log_in(&self, member: &MemberName) -> Result<Trial, String> {
        try_login(&login(self.config(), self.member(member)?, "postgres")).await
    }

    /// Whether a member's Patroni takes changes of the settings from us: a change that changes nothing.
    ///
    /// # Errors
    /// Why that could not be tried.
    pub async fn may_configure(&self, member: &MemberName) -> Result<Trial, String> {
        let config = self.config();
        let request = self
            .http()
            .patch(format!("http://{}/config", self.member(member)?.patroni))
            .basic_auth(&config.patroni_user, Some(config.patroni_password.reveal()))
            .json(&json!({ NO_CHANGE: Value::Null }));
        let reply = web::ask(request, ANSWER_MAX).await?;
        match reply.status {
            status if status.is_success() => Ok(Trial::Granted),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Ok(Trial::Refused { why: format!("Patroni answers {status}") })
            }
            status => Err(format!("Patroni answers {status}")),
        }
    }

    pub(super) fn member(&self, name: &MemberName) -> Result<&MemberEndpoint, String> {
        let found = self.config().members.iter().find(|member| &member.name == name);
        found.ok_or_else(|| format!("{name} is not in the manifest"))
    }
}

/// `GET /config` (Patroni 4.1, REST API and dynamic configuration; what is left out has the defaults named there).
fn settings(body: &[u8]) -> Result<Settings, String> {
    let config: Value =
        serde_json::from_slice(body).map_err(|e| format!("its settings can't be read: {e}"))?;
    let config = config.as_object().ok_or("its settings are no object")?;
    let postgresql = config.get("postgresql");
    let flag = |key: &str, default| postgresql.and_then(|p| p[key].as_bool()).unwrap_or(default);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let time = |key: &str| config.get(key).and_then(Value::as_u64).map_or(SECONDS_10, Duration::from_secs);
    let standby = config.get("standby_cluster").filter(|standby| standby.is_object());
    Ok(Settings {
        paused: config.get("pause").and_then(Value::as_bool).unwrap_or(false),
        rewinds: flag("use_pg_rewind", false),
        uses_slots: flag("use_slots", true),
        permanent_slots: config
            .get("slots")
            .and_then(Value::as_object)
            .map(|slots| slots.keys().cloned().collect())
            .unwrap_or_default(),
        follows: standby.map(|standby| Follows {
            host: text(&standby["host"]).unwrap_or_default(),
            slot: text(&standby["primary_slot_name"]),
        }),
        loop_wait: time("loop_wait"),
        retry_timeout: time("retry_timeout"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_what_is_left_out_is_patronis_default() {
        let read = |text: &str| settings(text.as_bytes());
        assert_eq!(read(r#"{"ttl": 30}"#), Ok(Settings::default()));
        assert_eq!(read(r#"{"loop_wait": 1}"#).unwrap().loop_wait, Duration::from_secs(1));
        let standby = read(
            r#"{"pause": true, "postgresql": {"use_pg_rewind": true, "use_slots": false}, "slots": {"west": {}},
                "standby_cluster": {"host": "10.77.1.20", "port": 5434, "primary_slot_name": "west"}}"#,
        )
        .unwrap();
        assert_eq!((standby.paused, standby.rewinds, standby.uses_slots), (true, true, false));
        assert!(standby.permanent_slots.contains("west"));
        let follows = Follows { host: "10.77.1.20".to_owned(), slot: Some("west".to_owned()) };
        assert_eq!(standby.follows, Some(follows));
        assert_eq!(read(r#"{"standby_cluster": null}"#).unwrap().follows, None);
        assert!(read("[]").is_err() && read("").is_err());
    }
}
