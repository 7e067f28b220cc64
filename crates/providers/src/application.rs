//! An instance of the application: whether it lives, whether it can write, and what it says of itself.
//!
//! What it says stands in its metrics, as Prometheus' exporters do: a series `…build_info` with the label `image`,
//! `revision` or `version`, `…database_info` with the label `host`, and `…machine_info` with the label `size`. An
//! application that says none of them is not wrong: then that is not observed.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode};

use crate::web;

/// Largest page of metrics that is read: ten thousand series of 100 bytes.
const METRICS_MAX: usize = 1 << 20;
/// Largest answer of a health check.
const HEALTH_MAX: usize = 64 << 10;
/// For the answer whether it can write: a write across regions takes 0.1 s, ten times that is not in time.
const READY: Duration = Duration::from_millis(1000);

/// What an application without a health check is told.
const NO_HEALTH: &str = "it has no /healthz";
/// What Go's client library says of the program's own modules, which is `(devel)` for most.
const GO_BUILD: &str = "go_build_info";

/// What was seen of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The name that it answers by, if it said one.
    pub name: Option<String>,
    /// Whether it lives; one where nobody listens does not.
    pub alive: Result<bool, String>,
    /// Whether it can do its work, writes to the database included.
    pub ready: Result<bool, String>,
    /// What it says of itself.
    pub said: Result<Said, String>,
}

/// What an instance says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The image or version it runs.
    pub image: Option<String>,
    /// How much of a machine it may use.
    pub size: Option<String>,
    /// The host it is told to find its database at.
    pub database_host: Option<String>,
}

/// Look at an instance. One that does not answer at all is asked once.
pub async fn look(http: &Client, at: SocketAddr) -> Instance {
    let (name, alive) = match http.get(format!("http://{at}/healthz")).send().await {
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
            (served_by(&answer), Err(NO_HEALTH.to_owned()))
        }
        Ok(answer) => (served_by(&answer), Ok(answer.status().is_success())),
        Err(error) if refused(&error) => (None, Ok(false)),
        Err(error) => (None, Err(web::why(&error))),
    };
    let unseen = match &alive {
        Ok(true) => None,
        Ok(false) => Some("it is not alive".to_owned()),
        Err(why) if why == NO_HEALTH => None,
        Err(why) => Some(why.clone()),
    };
    if let Some(why) = unseen {
        let ready = alive.clone();
        return Instance { name, alive, ready, said: Err(why) };
    }
    let metrics = format!("http://{at}/metrics");
    let (ready, said) = tokio::join!(ready(http, at), web::get(http, &metrics, METRICS_MAX));
    let said =
        said.map(|text| read(&String::from_utf8_lossy(&text))).map_err(|why| format!("/metrics: {why}"));
    Instance { name, alive, ready, said }
}

/// One that lives and does not answer in time may wait for its database, as it does while a move holds it.
async fn ready(http: &Client, at: SocketAddr) -> Result<bool, String> {
    let request = http.get(format!("http://{at}/readyz")).timeout(READY);
    match web::ask(request, HEALTH_MAX).await {
        Ok(reply) if reply.status == StatusCode::NOT_FOUND => Err("it has no /readyz".to_owned()),
        Ok(reply) => Ok(reply.status.is_success()),
        Err(why) => Err(why),
    }
}

fn served_by(answer: &reqwest::Response) -> Option<String> {
    let name = answer.headers().get("x-served-by")?.to_str().ok()?;
    Some(name.split('.').next().unwrap_or(name).to_owned())
}

/// Whether the host is there and nobody listens.
fn refused(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = inner.source();
    }
    false
}

/// What metrics say, in the text format (Prometheus, exposition formats; OpenMetrics 1.0).
fn read(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let label = |wanted: &str| {
            let named = format!("{wanted}=\"");
            let whole = |at: &usize| *at == 0 || matches!(rest.as_bytes().get(at - 1), Some(b',' | b' '));
            let start = rest.match_indices(&named).map(|(at, _)| at).find(whole)? + named.len();
            let value = rest.get(start..)?;
            Some(value.get(..value.find('"')?)?.to_owned())
        };
        if name == GO_BUILD {
            continue;
        }
        if name.ends_with("build_info") {
            said.image = said.image.or_else(|| ["image", "revision", "version"].into_iter().find_map(label));
        } else if name.ends_with("database_info") {
            said.database_host = said.database_host.or_else(|| label("host"));
        } else if name.ends_with("machine_info") {
            said.size = said.size.or_else(|| label("size"));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_says_of_itself_is_read_from_its_metrics() {
        let text = "# TYPE events_app_build info\n\
            events_app_build_info{version=\"1.2.3\",image=\"sha256:aa\"} 1\n\
            events_app_machine_info{size=\"2 cores, 4.0 GiB\"} 1\n\
            events_app_database_info{host=\"db.events.test\"} 1\nevents_app_up 1\n# EOF\n";
        let said = read(text);
        assert_eq!(said.image.as_deref(), Some("sha256:aa"), "an image tells more than a version");
        assert_eq!(said.database_host.as_deref(), Some("db.events.test"));
        assert_eq!(said.size.as_deref(), Some("2 cores, 4.0 GiB"));
        let go = "go_build_info{path=\"x\",version=\"(devel)\"} 1\n\
            shop_build_info{branch=\"main\",goversion=\"go1.22\",version=\"7\"} 1\n";
        assert_eq!(read(go).image.as_deref(), Some("7"), "its own version, and not its language's");
        assert_eq!(read("up 1\nbroken{\nbuild_info{version=\"\n"), Said::default());
    }

    #[tokio::test]
    async fn an_instance_where_nobody_listens_is_not_alive() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap();
        let seen = look(&crate::patroni::http_client().unwrap(), nobody).await;
        assert_eq!((seen.alive, seen.ready), (Ok(false), Ok(false)));
        assert_eq!(seen.said, Err("it is not alive".to_owned()));
    }
}
