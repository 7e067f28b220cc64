//! How etcd is reached. Everything is given as a value: whoever reads the manifest reads its files.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use etcd_client::{Certificate, Identity, TlsOptions};

/// How long a request may take: three renewals fit into a tenure of 3 s, so one that takes longer is as good as lost.
const DEADLINE: Duration = Duration::from_secs(1);
/// Where a cluster that others use too keeps what is ours.
const PREFIX: &str = "/bascule/";

/// Where etcd is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    /// Its members' client addresses, `http://` or `https://`, the nearest first.
    pub endpoints: Vec<String>,
    /// Who asks, if it wants to know.
    pub login: Option<EtcdLogin>,
    /// With `https://`.
    pub tls: Option<EtcdTls>,
    /// How long one request may take, through however many members.
    pub deadline: Duration,
    /// What every key begins with, before the site's name; with slashes around it.
    pub prefix: String,
    /// Counts the requests that are sent to members: what this costs the cluster.
    pub asked: Arc<AtomicU64>,
}

impl EtcdConfig {
    /// Members that are spoken to without a login; a request may take a second, and keys are under `/bascule/`.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            login: None,
            tls: None,
            deadline: DEADLINE,
            prefix: PREFIX.to_owned(),
            asked: Arc::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), EtcdConfigError> {
        if self.endpoints.is_empty() {
            return Err(EtcdConfigError::NoEndpoint);
        }
        let scheme = if self.tls.is_some() { "https://" } else { "http://" };
        if let Some(wrong) = self.endpoints.iter().find(|url| !url.starts_with(scheme)) {
            return Err(EtcdConfigError::Scheme { url: wrong.clone(), scheme });
        }
        let Some(tls) = &self.tls else { return Ok(()) };
        let is_pem = |bytes: &[u8], what: &'static str| {
            let begins = String::from_utf8_lossy(bytes).contains("-----BEGIN ");
            if begins { Ok(()) } else { Err(EtcdConfigError::NotPem(what)) }
        };
        is_pem(&tls.ca_pem, "the authority's certificate")?;
        if let Some(client) = &tls.client {
            is_pem(&client.cert_pem, "the client's certificate")?;
            is_pem(&client.key_pem, "the client's key")?;
        }
        Ok(())
    }
}

/// Why etcd could never be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdConfigError {
    /// There is no member.
    #[error("no endpoint of etcd is named")]
    NoEndpoint,
    /// TLS without `https://`, or the other way round.
    #[error("the endpoint {url} does not begin with {scheme}")]
    Scheme {
        /// Which.
        url: String,
        /// What it should be.
        scheme: &'static str,
    },
    /// A certificate or key in another format.
    #[error("{0} is not PEM")]
    NotPem(&'static str),
}

/// A user of etcd.
#[derive(Clone)]
pub struct EtcdLogin {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for EtcdLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdLogin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// TLS to etcd.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// The authority that signed the members' certificates, PEM; no other is believed.
    pub ca_pem: Vec<u8>,
    /// What the client shows, if it is asked.
    pub client: Option<EtcdClient>,
}

/// A client's certificate.
#[derive(Clone)]
pub struct EtcdClient {
    /// The certificate, PEM.
    pub cert_pem: Vec<u8>,
    /// Its key, PEM.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for EtcdClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdClient").finish_non_exhaustive()
    }
}

impl EtcdTls {
    pub(super) fn options(&self) -> TlsOptions {
        let options = TlsOptions::new().ca_certificate(Certificate::from_pem(&self.ca_pem));
        match &self.client {
            None => options,
            Some(client) => options.identity(Identity::from_pem(&client.cert_pem, &client.key_pem)),
        }
    }
}
