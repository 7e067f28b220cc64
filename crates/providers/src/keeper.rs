//! A keeper's word about itself.

use std::net::SocketAddr;

use reqwest::Client;
use serde::Deserialize;

use crate::web;

/// Largest answer: the state of a keeper has some 20 short fields.
const ANSWER_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Status {
    version: Option<String>,
}

/// The version of the keeper at an address.
///
/// # Errors
/// Why it did not say.
pub async fn version(http: &Client, at: SocketAddr) -> Result<String, String> {
    let body = web::get(http, &format!("http://{at}/status"), ANSWER_MAX).await?;
    read(&body)
}

fn read(body: &[u8]) -> Result<String, String> {
    let status: Status = serde_json::from_slice(body).map_err(|e| format!("its state can't be read: {e}"))?;
    status.version.ok_or_else(|| "it does not say its version: it is older than 0.1.0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_does_not_say_its_version_is_not_given_one() {
        assert_eq!(read(br#"{"place":"east/1","version":"0.1.0"}"#).as_deref(), Ok("0.1.0"));
        assert!(read(br#"{"place":"east/1"}"#).is_err_and(|why| why.contains("does not say")));
        assert!(read(b"open").is_err());
    }
}
