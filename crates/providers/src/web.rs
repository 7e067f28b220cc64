//! Questions by HTTP whose answers are bounded. URLs stay out of errors: they may be signed.

use reqwest::{Client, Response, StatusCode};

/// An answer that was read whole.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// Ask, and read the answer up to a limit.
pub(crate) async fn ask(request: reqwest::RequestBuilder, max: usize) -> Result<Reply, String> {
    let response = request.send().await.map_err(|e| why(&e))?;
    let status = response.status();
    Ok(Reply { status, body: body(response, max).await? })
}

/// What a page says that has to be there.
pub(crate) async fn get(http: &Client, url: &str, max: usize) -> Result<Vec<u8>, String> {
    let reply = ask(http.get(url), max).await?;
    if reply.status != StatusCode::OK {
        return Err(format!("it answers {}", reply.status));
    }
    Ok(reply.body)
}

async fn body(mut response: Response, max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| why(&e))? {
        body.extend_from_slice(&piece);
        if body.len() > max {
            return Err(format!("its answer has over {max} bytes"));
        }
    }
    Ok(body)
}

/// The innermost cause says most: "connection refused" rather than "error sending request".
pub(crate) fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) && error.is_builder() {
        return "the URL can't be asked".to_owned();
    }
    cause.to_string()
}
