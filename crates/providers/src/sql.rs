//! One warm SQL session: made at first use, kept, made anew when it broke.
//!
//! It speaks the simple query protocol only, which PgBouncer's console understands too. The race it
//! handles: the server ends the session while it idles, and its farewell (a FATAL error) is read as the
//! answer to the next statement. That one is asked again on a new session; every statement here is a
//! question, or changes nothing when it is carried out twice. One whose answer was lost otherwise is reported
//! as unknown, and whoever asked decides.

use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::ports::PortError;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::{ANSWER, CONNECT, Secret};

/// Why a statement has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SqlError {
    /// No session could be made: nothing was sent.
    #[error("{at}: {why}")]
    Connect { at: SocketAddr, why: String },
    /// The server refused the statement.
    #[error("{at}: {message}")]
    Refused { at: SocketAddr, message: String, code: SqlState },
    /// The session broke, or the answer did not come in time.
    #[error("{at}: {why}")]
    Lost { at: SocketAddr, why: String },
}

impl From<SqlError> for PortError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Connect { .. } | SqlError::Refused { .. } => PortError::Refused(error.to_string()),
            SqlError::Lost { .. } => PortError::Unknown(error.to_string()),
        }
    }
}

/// Why one session has no result.
enum Trouble {
    /// The server ended the session.
    Ended(String),
    /// Anything else.
    Told(SqlError),
}

/// Where and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub at: SocketAddr,
    pub database: String,
    pub user: String,
    pub password: Secret,
}

/// A session.
pub(crate) struct Session {
    login: Login,
    client: Mutex<Option<Client>>,
}

impl Session {
    pub(crate) fn new(login: Login) -> Self {
        Self { login, client: Mutex::new(None) }
    }

    /// Run a statement, within [`ANSWER`].
    pub(crate) async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, SqlError> {
        self.ask_within(sql, ANSWER).await
    }

    /// Run a statement, within a bound that the caller derives.
    pub(crate) async fn ask_within(
        &self,
        sql: &str,
        bound: Duration,
    ) -> Result<Vec<SimpleQueryRow>, SqlError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.take().filter(|c| !c.is_closed()) {
            match self.ask_on(client, &mut slot, sql, bound).await {
                Err(Trouble::Ended(why)) => tracing::debug!(at = %self.login.at, why, "session ended"),
                Err(Trouble::Told(error)) => return Err(error),
                Ok(rows) => return Ok(rows),
            }
        }
        let client = self.connect().await?;
        self.ask_on(client, &mut slot, sql, bound).await.map_err(|trouble| match trouble {
            Trouble::Ended(why) => SqlError::Lost { at: self.login.at, why },
            Trouble::Told(error) => error,
        })
    }

    async fn ask_on(
        &self,
        client: Client,
        slot: &mut Option<Client>,
        sql: &str,
        bound: Duration,
    ) -> Result<Vec<SimpleQueryRow>, Trouble> {
        let at = self.login.at;
        let lost = |why| Trouble::Told(SqlError::Lost { at, why });
        match timeout(bound, client.simple_query(sql)).await {
            Ok(Ok(messages)) => {
                *slot = Some(client);
                Ok(messages.into_iter().filter_map(row).collect())
            }
            Ok(Err(error)) => match error.as_db_error() {
                Some(end) if matches!(end.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
                    Err(Trouble::Ended(end.message().to_owned()))
                }
                Some(refusal) => {
                    let (message, code) = (refusal.message().to_owned(), refusal.code().clone());
                    *slot = Some(client);
                    Err(Trouble::Told(SqlError::Refused { at, message, code }))
                }
                None => Err(lost(describe(&error))),
            },
            Err(_) => Err(lost(format!("no answer within {} ms", bound.as_millis()))),
        }
    }

    async fn connect(&self) -> Result<Client, SqlError> {
        let failed = |why: String| SqlError::Connect { at: self.login.at, why };
        let connecting = timeout(ANSWER, config(&self.login).connect(NoTls)).await;
        let (client, connection) = connecting
            .map_err(|_| failed(format!("no session within {} ms", ANSWER.as_millis())))?
            .map_err(|e| failed(describe(&e)))?;
        // Ends when the client is dropped or the session breaks; the statement under way then says so.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

fn config(login: &Login) -> tokio_postgres::Config {
    let Login { at, database, user, password } = login;
    let mut config = tokio_postgres::Config::new();
    config
        .host(at.ip().to_string())
        .port(at.port())
        .dbname(database)
        .user(user)
        .password(password.reveal())
        .application_name("bascule")
        .connect_timeout(CONNECT)
        .tcp_user_timeout(ANSWER);
    config
}

/// Whether the server lets this user in. Nothing is asked of it.
pub(crate) async fn try_login(login: &Login) -> Result<crate::Trial, String> {
    let at = login.at;
    match timeout(ANSWER, config(login).connect(NoTls)).await {
        Ok(Ok(_)) => Ok(crate::Trial::Granted),
        Ok(Err(error)) => match error.as_db_error() {
            // class 28, invalid authorization, and 42501, insufficient privilege (PostgreSQL manual, appendix A)
            Some(said) if said.code().code().starts_with("28") || said.code().code() == "42501" => {
                Ok(crate::Trial::Refused { why: said.message().to_owned() })
            }
            // PgBouncer says `08P01` for a password that is wrong
            Some(said) if said.message().contains("authentication failed") => {
                Ok(crate::Trial::Refused { why: said.message().to_owned() })
            }
            Some(_) | None => Err(format!("{at}: {}", describe(&error))),
        },
        Err(_) => Err(format!("{at}: no session within {} ms", ANSWER.as_millis())),
    }
}

fn row(message: SimpleQueryMessage) -> Option<SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}

/// The error with its cause: tokio-postgres' own text is only "error connecting to server".
fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
