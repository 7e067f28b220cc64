//! The front door over HTTP.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{DnsName, RegionName};
use bascule_core::observation::{ComputeObservation, Observed};
use bascule_core::ports::{FrontDoor, PortError};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::map;
use crate::dns::client::resolve;
use crate::{ANSWER, observed};

/// A write may wait as long as the application lets it: its own bound is 10 s.
const WRITE_WITHIN: Duration = Duration::from_secs(11);

/// For an instance that is alive to say whether it can write. It answers in milliseconds, or, while its
/// database is gone, only after seconds: those are not waited for, since a failover is (30 times the
/// slowest answer of an idle lab).
const READY: Duration = Duration::from_millis(200);

/// Where users come in.
#[derive(Debug, Clone)]
pub struct FrontDoorConfig {
    /// The public name.
    pub host: DnsName,
    /// Its port.
    pub port: u16,
    /// The application's user whom the proving writes belong to.
    pub user: String,
    /// Whom users ask for the name.
    pub dns_servers: Vec<SocketAddr>,
    /// Each region's instances.
    pub instances: BTreeMap<RegionName, Vec<SocketAddr>>,
    /// An address of the site: whether its names have A or AAAA records.
    pub like: IpAddr,
}

/// The front door.
pub struct HttpFrontDoor {
    config: FrontDoorConfig,
    http: reqwest::Client,
    token: Mutex<Option<String>>,
}

impl HttpFrontDoor {
    /// A front door; nothing is connected yet.
    #[must_use]
    pub fn new(config: FrontDoorConfig, http: reqwest::Client) -> Self {
        Self { config, http, token: Mutex::new(None) }
    }

    /// A request through the public name, resolved afresh; the answer's body and who served it.
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<(Value, Option<String>), PortError> {
        let config = &self.config;
        let unknown = |why: String| PortError::Unknown(format!("{method} {path} at {}: {why}", config.host));
        let address = resolve(&config.dns_servers, &config.host, config.like).await.map_err(&unknown)?;
        let at = SocketAddr::new(address, config.port);
        let mut request = self
            .http
            .request(method.clone(), format!("http://{at}{path}"))
            .header("host", config.host.as_str())
            .timeout(WRITE_WITHIN);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|e| unknown(e.to_string()))?;
        let served_by = answer.headers().get("x-served-by").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|e| unknown(format!("{status}: {e}")))?;
        if status.is_success() { Ok((body, served_by)) } else { Err(unknown(format!("{status}: {body}"))) }
    }

    async fn token(&self) -> Result<String, PortError> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref() {
            return Ok(token.clone());
        }
        let user = json!({ "name": self.config.user });
        let (body, _) = self.ask(reqwest::Method::POST, "/auth/register", None, Some(user)).await?;
        let new = map::token(&body).map_err(PortError::Unknown)?;
        *token = Some(new.clone());
        Ok(new)
    }

    async fn write_once(&self) -> Result<String, PortError> {
        let token = self.token().await?;
        let name = format!("bascule-verify-{}", crate::now().0);
        let event = json!({ "name": name });
        let (body, served_by) = self.ask(reqwest::Method::POST, "/events", Some(&token), Some(event)).await?;
        let (id, _) = map::event(&body).map_err(PortError::Unknown)?;
        let path = format!("/events/{id}");
        let (body, _) = self.ask(reqwest::Method::GET, &path, Some(&token), None).await?;
        let (_, read) = map::event(&body).map_err(PortError::Unknown)?;
        if read != name {
            return Err(PortError::Unknown(format!("wrote {name:?} and read back {read:?}")));
        }
        self.ask(reqwest::Method::DELETE, &path, Some(&token), None).await?;
        map::region(served_by.as_deref()).map_err(PortError::Unknown)
    }

    async fn count(&self, region: &RegionName) -> Result<ComputeObservation, String> {
        let instances = self.config.instances.get(region).ok_or("the manifest has no such region")?;
        let mut asks = JoinSet::new();
        for instance in instances.clone() {
            let get = |path, bound| self.http.get(format!("http://{instance}{path}")).timeout(bound).send();
            let (alive, ready) = (get("/healthz", ANSWER), get("/readyz", READY));
            asks.spawn(async move {
                let (alive, ready) = tokio::join!(alive, ready);
                let well = |a: Result<reqwest::Response, _>| a.map(|r| r.status().is_success());
                (well(alive), well(ready))
            });
        }
        let wanted = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        let mut seen = ComputeObservation { alive: 0, ready: 0, wanted };
        let mut why = None;
        while let Some(joined) = asks.join_next().await {
            match joined {
                Ok((Ok(alive), ready)) => {
                    seen.alive += u32::from(alive);
                    // An instance that answers that it is alive, but not in time that it can write, can't.
                    seen.ready += u32::from(ready.unwrap_or(false));
                }
                Ok((Err(error), _)) => why = Some(error.to_string()),
                Err(error) => why = Some(error.to_string()),
            }
        }
        // None answered at all: that is not "none alive", it is not observed.
        match why {
            Some(why) if seen.alive == 0 => Err(why),
            Some(_) | None => Ok(seen),
        }
    }
}

#[async_trait]
impl FrontDoor for HttpFrontDoor {
    async fn write(&self) -> Result<String, PortError> {
        let answer = self.write_once().await;
        if answer.is_err() {
            // The token may be of a user that a failover lost: register anew next time.
            *self.token.lock().await = None;
        }
        answer
    }

    async fn compute(&self, region: &RegionName) -> Observed<ComputeObservation> {
        observed(self.count(region).await)
    }
}
