//! The cluster over Patroni's REST API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::MemberName;
use bascule_core::observation::{DatabaseObservation, Observed};
use bascule_core::ports::{Database, PortError};
use bascule_core::position::{Position, Timeline};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::map::{self, Cluster, State};
use crate::sql::{Login, Session, SqlError};
use crate::{ANSWER, Secret, observed};

/// A checkpoint writes all dirty pages; the step's own bound (30 s) ends the wait before this.
const CHECKPOINT: Duration = Duration::from_secs(60);
/// A loop of Patroni that is under way ends first: 0.1 s, or its `retry_timeout` (10 s by default) while it
/// waits for a leader that is gone. The step's bound is longer.
const PROMOTED_WITHIN: Duration = Duration::from_secs(10);
/// A change of the configuration is two rounds with the cluster's own store, 55 ms at the median.
const CONFIGURE: Duration = Duration::from_secs(2);
/// Between two questions whether the promotion is over.
const POLL: Duration = Duration::from_millis(5);

/// A member.
#[derive(Debug, Clone)]
pub struct MemberEndpoint {
    /// Its name.
    pub name: MemberName,
    /// PostgreSQL.
    pub postgres: SocketAddr,
    /// Patroni's REST API.
    pub patroni: SocketAddr,
}

/// A region's cluster, and as whom to manage it.
#[derive(Debug, Clone)]
pub struct PatroniConfig {
    /// Its members.
    pub members: Vec<MemberEndpoint>,
    /// The other region's members: a divergence is read against them.
    pub peers: Vec<MemberEndpoint>,
    /// The application's database; management itself uses `postgres`.
    pub database: String,
    /// The management user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The REST API's user.
    pub patroni_user: String,
    /// Its password.
    pub patroni_password: Secret,
}

/// A region's cluster.
#[derive(Clone)]
pub struct PatroniCluster(Arc<Inner>);

struct Inner {
    config: PatroniConfig,
    http: reqwest::Client,
    sessions: BTreeMap<MemberName, Session>,
    /// The leader as it was last seen; asked anew when it does not answer.
    leader: Mutex<Option<MemberName>>,
    /// That its log's records may not be read is told once.
    unreadable: Once,
}

impl PatroniCluster {
    /// A cluster; nothing is connected yet.
    #[must_use]
    pub fn new(config: PatroniConfig, http: reqwest::Client) -> Self {
        let sessions = config
            .members
            .iter()
            .map(|m| (m.name.clone(), Session::new(login(&config, m, "postgres"))))
            .collect();
        Self(Arc::new(Inner { config, http, sessions, leader: Mutex::new(None), unreadable: Once::new() }))
    }

    pub(super) fn config(&self) -> &PatroniConfig {
        &self.0.config
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(super) fn session(&self, member: &MemberName) -> Option<&Session> {
        self.0.sessions.get(member)
    }

    /// The cluster as the first member that answers describes it.
    async fn cluster(&self) -> Result<Cluster, String> {
        let mut asks = JoinSet::new();
        for member in &self.0.config.members {
            let request = self.0.http.get(format!("http://{}/cluster", member.patroni));
            asks.spawn(async move {
                let answer = request.send().await.map_err(|e| describe(&e))?;
                answer.json::<Cluster>().await.map_err(|e| describe(&e))
            });
        }
        let mut why = "it has no members".to_owned();
        while let Some(joined) = asks.join_next().await {
            match joined {
                Ok(Ok(cluster)) => {
                    *self.0.leader.lock().await = cluster.leader().cloned();
                    return Ok(cluster);
                }
                Ok(Err(error)) => why = error,
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("no member's Patroni answers: {why}"))
    }

    /// The leader's session, by what was last known of who leads.
    pub(super) async fn leader(&self) -> Result<(MemberName, &Session), PortError> {
        let known = self.0.leader.lock().await.clone();
        let name = match known {
            Some(name) => Some(name),
            None => self.cluster().await.map_err(PortError::Refused)?.leader().cloned(),
        };
        let name = name.ok_or_else(|| PortError::Refused("the cluster has no leader".to_owned()))?;
        let session = self.0.sessions.get(&name);
        let session = session.ok_or_else(|| {
            PortError::Refused(format!("the cluster's leader {name} is not in the manifest"))
        })?;
        Ok((name, session))
    }

    /// Its log's records may not be read.
    pub(super) fn unreadable(&self, why: &SqlError) {
        self.0.unreadable.call_once(
            || tracing::warn!(%why, "the log's records can't be read: the old region will be rewound"),
        );
    }

    /// Forget who leads: whoever was thought to does not answer.
    pub(super) async fn forget_leader(&self) {
        *self.0.leader.lock().await = None;
    }

    /// The leader's word about itself. A leader that does not answer is looked for anew, once.
    pub(super) async fn state(&self) -> Result<State, PortError> {
        let (_, session) = self.leader().await?;
        match session.ask(map::STATE_SQL).await {
            Ok(rows) => read_state(&rows),
            Err(SqlError::Refused { message, at, .. }) => Err(PortError::Refused(format!("{at}: {message}"))),
            Err(SqlError::Connect { .. } | SqlError::Lost { .. }) => {
                self.forget_leader().await;
                let (_, session) = self.leader().await?;
                read_state(&session.ask(map::STATE_SQL).await?)
            }
        }
    }

    async fn look(&self) -> Result<DatabaseObservation, String> {
        let cluster = self.cluster().await?;
        let state = match cluster.leader() {
            Some(_) => self.state().await.ok(),
            None => None,
        };
        Ok(map::observation(&cluster, state.as_ref()))
    }

    /// End users' sessions whose commits wait for a confirmation. The commits stay, unacknowledged.
    ///
    /// # Errors
    /// When the leader can't be asked.
    pub async fn end_waiting(&self) -> Result<(), PortError> {
        let (_, session) = self.leader().await?;
        session
            .ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE wait_event = 'SyncRep' AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
            )
            .await?;
        Ok(())
    }

    /// Change the cluster's configuration through its leader, whose loop that wakes.
    pub(super) async fn configure(&self, change: &serde_json::Value) -> Result<(), PortError> {
        let (name, _) = self.leader().await?;
        let member = self.0.config.members.iter().find(|m| m.name == name);
        let member = member.ok_or_else(|| PortError::Refused(format!("{name} is not in the manifest")))?;
        let config = &self.0.config;
        let request = self
            .0
            .http
            .patch(format!("http://{}/config", member.patroni))
            .basic_auth(&config.patroni_user, Some(config.patroni_password.reveal()))
            .timeout(CONFIGURE)
            .json(change);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // It may lead no more: the next attempt asks who does.
                self.forget_leader().await;
                let what = format!("Patroni of {name}: {}", describe(&error));
                let sent = !error.is_connect();
                return Err(if sent { PortError::Unknown(what) } else { PortError::Refused(what) });
            }
        };
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        Err(PortError::Refused(format!("Patroni of {name} answers {status}: {}", body.trim())))
    }
}

pub(super) fn login(config: &PatroniConfig, member: &MemberEndpoint, database: &str) -> Login {
    Login {
        at: member.postgres,
        database: database.to_owned(),
        user: config.user.clone(),
        password: config.password.clone(),
    }
}

fn read_state(rows: &[tokio_postgres::SimpleQueryRow]) -> Result<State, PortError> {
    let row = rows.first().ok_or_else(|| PortError::Unknown("the leader answered no row".to_owned()))?;
    let cells: Vec<Option<&str>> = (0..row.len()).map(|i| row.get(i)).collect();
    State::read(&cells).map_err(PortError::Refused)
}

fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[async_trait]
impl Database for PatroniCluster {
    async fn observe(&self) -> Observed<DatabaseObservation> {
        observed(self.look().await)
    }

    async fn checkpoint(&self) -> Result<(), PortError> {
        // A session of its own: a checkpoint takes seconds, and others ask the leader meanwhile.
        let (name, _) = self.leader().await?;
        let member = self.0.config.members.iter().find(|m| m.name == name);
        let member = member.ok_or_else(|| PortError::Refused(format!("{name} is not in the manifest")))?;
        let session = Session::new(login(&self.0.config, member, "postgres"));
        session.ask_within("CHECKPOINT", CHECKPOINT).await?;
        Ok(())
    }

    async fn stand_down(&self, follow: SocketAddr) -> Result<(), PortError> {
        let standby = json!({
            "host": follow.ip().to_string(),
            "port": follow.port(),
            "create_replica_methods": ["basebackup"],
        });
        self.configure(&json!({ "standby_cluster": standby })).await
    }

    async fn promote(&self) -> Result<Position, PortError> {
        let deadline = Instant::now() + PROMOTED_WITHIN;
        self.skip_timelines().await?;
        // Only through the manager, whose loop this wakes. `pg_promote` beside it would be 0.1 s faster, but
        // a loop that had begun before still believes in a standby cluster: it was seen to restart the
        // new primary as a standby.
        self.configure(&json!({ "standby_cluster": null })).await?;
        let (_, session) = self.leader().await?;
        loop {
            // One small question in a loop: whatever it costs, the promotion has less of.
            let rows = session.ask("SELECT pg_is_in_recovery()").await;
            if rows.is_ok_and(|rows| rows.first().is_some_and(|row| row.get(0) == Some("f"))) {
                return Ok(self.state().await?.end().map_err(PortError::Unknown)?.position);
            }
            if Instant::now() >= deadline {
                let ms = PROMOTED_WITHIN.as_millis();
                return Err(PortError::Unknown(format!(
                    "its manager was told, but it is no primary within {ms} ms"
                )));
            }
            sleep(POLL).await;
        }
    }

    /// With [`TIMELINES_SKIPPED`] a returned region has no number of the active one's, unless it promoted
    /// itself that often. Then it rises above: what remains is a rewind by numbers that differ.
    async fn renumber(&self) -> Result<Timeline, PortError> {
        let state = self.state().await?;
        let position =
            state.position.ok_or_else(|| PortError::Refused("its timeline is unknown".to_owned()))?;
        if state.in_recovery {
            return Ok(position.timeline);
        }
        let floor = super::divergence::peer_timeline(self).await?;
        if position.timeline < floor { Ok(position.timeline) } else { self.rise_above(floor).await }
    }
}

/// Numbers left to a region that comes back and promotes itself, before the active one's: one for its
/// restart, and six for leaders it may lose before somebody reinstates it.
const TIMELINES_SKIPPED: u32 = 7;
/// A switchover inside a region took 3–5 s, and waits for a replica that is ready: after a region's
/// restart that takes up to 20 s.
const SWITCHED_WITHIN: Duration = Duration::from_secs(60);
/// Between two attempts at it: Patroni answers at once that no replica is ready.
const SWITCH_POLL: Duration = Duration::from_secs(1);

impl PatroniCluster {
    /// Occupy the next timelines, so that the promotion takes a number that the other region, should it
    /// come back and promote itself, does not also take.
    ///
    /// Patroni decides by the number alone whether a member must be rewound, and `pg_rewind` trusts equal
    /// numbers that begin at the same position: two regions that both promoted to timeline 7 would follow
    /// each other on different data. PostgreSQL takes the number after the last history file it finds
    /// (`findNewestTimeLine`), so files for the numbers in between are enough. They are empty: a history that
    /// does not hold the present timeline is nobody's child, and recovery leaves it alone.
    async fn skip_timelines(&self) -> Result<(), PortError> {
        let state = self.state().await?;
        let (true, Some(here)) = (state.in_recovery, state.received) else { return Ok(()) };
        let (_, session) = self.leader().await?;
        let rows = session.ask("SELECT current_setting('data_directory')").await?;
        let folder = rows.first().and_then(|row| row.get(0)).unwrap_or_default().replace('\'', "''");
        let copies = (1..=TIMELINES_SKIPPED).map(|step| {
            let number = here.timeline.0 + step;
            format!("COPY (SELECT WHERE false) TO '{folder}/pg_wal/{number:08X}.history'")
        });
        session.ask(&copies.collect::<Vec<_>>().join("; ")).await?;
        Ok(())
    }

    /// One switchover inside the region: a new timeline.
    async fn switch(&self, leader: &MemberName) -> Result<(), PortError> {
        let member = self.0.config.members.iter().find(|m| &m.name == leader);
        let member = member.ok_or_else(|| PortError::Refused(format!("{leader} is not in the manifest")))?;
        let config = &self.0.config;
        let request = self
            .0
            .http
            .post(format!("http://{}/switchover", member.patroni))
            .basic_auth(&config.patroni_user, Some(config.patroni_password.reveal()))
            .timeout(SWITCHED_WITHIN)
            .json(&json!({ "leader": leader.as_str() }));
        let answer = request.send().await.map_err(|e| PortError::Unknown(describe(&e)))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
        Err(PortError::Refused(format!("Patroni of {leader} answers {status}: {}", body.trim())))
    }

    /// Switch over inside the region until its timeline is above `floor`. Each switchover adds one.
    async fn rise_above(&self, floor: Timeline) -> Result<Timeline, PortError> {
        let deadline = Instant::now() + SWITCHED_WITHIN;
        loop {
            // The leader changes under way: ask who leads now.
            self.forget_leader().await;
            let why = match self.primary_timeline().await {
                Ok((_, timeline)) if timeline > floor => return Ok(timeline),
                Ok((leader, _)) => self.switch(&leader).await.err().map(|e| e.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if Instant::now() >= deadline {
                let why = why.unwrap_or_else(|| "its timeline did not rise".to_owned());
                return Err(PortError::Unknown(format!("could not give it a timeline above {floor}: {why}")));
            }
            if why.is_some() {
                sleep(SWITCH_POLL).await;
            }
        }
    }

    async fn primary_timeline(&self) -> Result<(MemberName, Timeline), PortError> {
        let (leader, _) = self.leader().await?;
        let state = self.state().await?;
        let position = state.end().map_err(PortError::Refused)?.position;
        Ok((leader, position.timeline))
    }
}

/// A client for REST calls: short time-outs, kept connections.
///
/// # Errors
/// When the HTTP library can't be set up.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(crate::CONNECT)
        .timeout(ANSWER)
        .tcp_nodelay(true)
        .no_proxy()
        // What another page says is no answer, and the URL that was asked may be signed.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .build()
}
