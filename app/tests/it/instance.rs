//! One running `events-app`, and a client that holds every answer against `openapi.yaml`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use events_app::config::Config;

use crate::contract::Contract;
use crate::servers::{PASSWORD, signal, until};

/// A program under test. Killed when dropped, and with the test.
pub struct Instance {
    pub address: SocketAddr,
    pub name: &'static str,
    child: Child,
    client: Client,
    contract: Contract,
    log: Arc<Mutex<Vec<String>>>,
    _password: NamedTempFile,
}

/// An answer, already checked against the contract.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn message(&self) -> &str {
        self.body["status"]["message"].as_str().unwrap()
    }

    pub fn dataset(&self) -> &Value {
        &self.body["dataset"]
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }
}

/// The configuration of an instance inside the test itself.
pub fn config(host: &str, port: u16, pool: usize) -> Config {
    let password = NamedTempFile::new().unwrap();
    std::fs::write(password.path(), PASSWORD).unwrap();
    Config::parse(|variable| match variable {
        "LISTEN" => Some("127.0.0.1:0".into()),
        "DATABASE_PORT" => Some(port.to_string()),
        "DATABASE_HOST" => Some(host.into()),
        "ALLOW_DATABASE_ADDRESS" => Some("1".into()),
        "DATABASE_POOL" => Some(pool.to_string()),
        "DATABASE_PASSWORD_FILE" => Some(password.path().display().to_string()),
        _ => Some("events".into()),
    })
    .unwrap()
}

/// Runs the program with these variables, dying with this thread.
pub fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_events-app")]);
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped());
    command
}

impl Instance {
    /// Starts one against the database at this port, and waits until it listens.
    pub async fn start(name: &'static str, database_port: u16) -> Self {
        let password = NamedTempFile::new().unwrap();
        std::fs::write(password.path(), PASSWORD).unwrap();
        let (port, file) = (database_port.to_string(), password.path().display().to_string());
        let mut child = command(&[
            ("LISTEN", "127.0.0.1:0"),
            ("DATABASE_HOST", "127.0.0.1"),
            ("ALLOW_DATABASE_ADDRESS", "1"),
            ("DATABASE_PORT", &port),
            ("DATABASE_NAME", "events"),
            ("DATABASE_USER", "events"),
            ("DATABASE_PASSWORD_FILE", &file),
            ("INSTANCE", name),
            ("REGION", "us-test-1"),
            ("RUST_LOG", "debug"),
        ])
        .spawn()
        .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (kept, stderr) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        let address = until("the application to listen", async || {
            assert_eq!(child.try_wait().unwrap(), None, "{:?}", log.lock().unwrap());
            let lines = log.lock().unwrap();
            let line = lines.iter().find(|line| line.contains("listening"))?;
            line.split("address=").nth(1)?.split(' ').next()?.parse().ok()
        })
        .await;
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, name, child, client, contract: Contract::read(), log, _password: password }
    }

    /// Starts one, and makes the tables.
    pub async fn ready(name: &'static str, database_port: u16) -> Self {
        let instance = Self::start(name, database_port).await;
        let made = instance.call("POST", "/init", None, None).await;
        assert_eq!(made.status, 200, "{}", made.message());
        instance
    }

    /// Sends one request with a JSON body, and checks the answer against the contract.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method, path, token.map(|token| format!("Bearer {token}")), body).await
    }

    /// As [`Self::call`], with any `Authorization`, content type and body.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<String>,
        body: Option<(&str, String)>,
    ) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        if let Some((kind, text)) = body {
            request = request.header("content-type", kind).body(text);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let answer = Answer { status, headers, body };
        self.contract.check(method, path, &answer);
        assert_eq!(answer.header("x-served-by"), format!("{}.us-test-1", self.name));
        answer
    }

    /// Registers a user and gives the token.
    pub async fn register(&self, name: &str) -> String {
        let answer = self.call("POST", "/auth/register", None, Some(json!({ "name": name }))).await;
        assert_eq!(answer.status, 201, "{}", answer.message());
        answer.dataset()["token"].as_str().unwrap().to_owned()
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn terminate(&self) {
        signal(&self.child, "TERM");
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the application to end", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended by itself, as a test asked it to.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
