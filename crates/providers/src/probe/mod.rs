//! A probe: a real write through one region's own front door, as often as a keeper renews.
//!
//! It goes to the load balancer's address, not through the public name: what is asked is whether this region takes
//! writes, wherever the name points. It changes one row of its own, over and over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bascule_core::id::{DnsName, RegionName};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::front_door::map;

/// Which doors there are.
#[derive(Debug, Clone)]
pub struct ProbeConfig {
    /// The public name, which every load balancer is asked for.
    pub host: DnsName,
    /// The application's user whom the row belongs to.
    pub user: String,
    /// Who probes: written into the row.
    pub place: String,
    /// Each region's front door.
    pub doors: BTreeMap<RegionName, SocketAddr>,
    /// What one probe may take.
    pub within: Duration,
}

/// A row of the prober's own.
#[derive(Debug, Clone)]
struct Row {
    token: String,
    id: u64,
}

/// Writes through front doors.
pub struct HttpProbe {
    config: ProbeConfig,
    http: reqwest::Client,
    row: Mutex<Option<Row>>,
    count: std::sync::atomic::AtomicU64,
}

impl HttpProbe {
    /// A probe; nothing is connected yet.
    #[must_use]
    pub fn new(config: ProbeConfig, http: reqwest::Client) -> Self {
        Self { config, http, row: Mutex::new(None), count: std::sync::atomic::AtomicU64::new(0) }
    }

    /// Write through a region's front door, within the bound.
    ///
    /// # Errors
    /// Why it did not work, in one sentence. The write may have happened.
    pub async fn write_at(&self, region: &RegionName) -> Result<(), String> {
        let within = self.config.within;
        timeout(within, self.write(region))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} ms", within.as_millis())))
    }

    async fn write(&self, region: &RegionName) -> Result<(), String> {
        let mut kept = self.row.lock().await;
        let row = match kept.clone() {
            Some(row) => row,
            None => self.new_row(region).await?,
        };
        let count = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let note = json!({ "note": format!("{} {count}", self.config.place) });
        let path = format!("/events/{}", row.id);
        let changed = self.ask(region, Method::PATCH, &path, Some(&row.token), &note).await;
        // A row or user that a failover lost is not there: the next probe makes them anew.
        *kept = match &changed {
            Err(Refusal { client: true, .. }) => None,
            Ok(_) | Err(_) => Some(row),
        };
        let (_, served_by) = changed.map_err(|refusal| refusal.why)?;
        let served = map::region(served_by.as_deref())?;
        if served == region.as_str() {
            Ok(())
        } else {
            Err(format!("{region}'s front door is served by {served}"))
        }
    }

    async fn new_row(&self, region: &RegionName) -> Result<Row, String> {
        let user = json!({ "name": self.config.user });
        let told = |refusal: Refusal| refusal.why;
        let (body, _) = self.ask(region, Method::POST, "/auth/register", None, &user).await.map_err(told)?;
        let token = map::token(&body)?;
        let event = json!({ "name": format!("bascule-probe-{}", self.config.place) });
        let (body, _) =
            self.ask(region, Method::POST, "/events", Some(&token), &event).await.map_err(told)?;
        Ok(Row { token, id: map::event(&body)?.0 })
    }

    async fn ask(
        &self,
        region: &RegionName,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<(Value, Option<String>), Refusal> {
        let away = |why: String| Refusal { why, client: false };
        let door = self.config.doors.get(region);
        let at = door.ok_or_else(|| away(format!("the manifest has no front door of {region}")))?;
        let mut request = self
            .http
            .request(method.clone(), format!("http://{at}{path}"))
            .header("host", self.config.host.as_str())
            .timeout(self.config.within)
            .json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|e| away(describe(&e)))?;
        let served_by = answer.headers().get("x-served-by").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let status = answer.status();
        let body = answer.text().await.map_err(|e| away(describe(&e)))?;
        if !status.is_success() {
            let why = format!("{method} {path}: {status}");
            return Err(Refusal { why, client: status.is_client_error() });
        }
        let body = serde_json::from_str(&body).map_err(|e| away(format!("{method} {path}: {e}")))?;
        Ok((body, served_by))
    }
}

struct Refusal {
    why: String,
    /// Whether the request was wrong, rather than its time.
    client: bool,
}

fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if error.is_connect() {
        return "no connection".to_owned();
    }
    error.to_string()
}
