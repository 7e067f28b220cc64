//! The application's answers, read: pure. Its envelope is described in `app/openapi.yaml`.

use serde_json::Value;

/// The token in the answer to a registration.
pub(crate) fn token(body: &Value) -> Result<String, String> {
    let token = body["dataset"]["token"].as_str();
    token.map(str::to_owned).ok_or_else(|| format!("no token in {body}"))
}

/// The id and name of an event.
pub(crate) fn event(body: &Value) -> Result<(u64, String), String> {
    let event = &body["dataset"];
    match (event["id"].as_u64(), event["name"].as_str()) {
        (Some(id), Some(name)) => Ok((id, name.to_owned())),
        (Some(_) | None, _) => Err(format!("no event in {body}")),
    }
}

/// The region in `x-served-by`, which is written `instance.region`.
pub(crate) fn region(served_by: Option<&str>) -> Result<String, String> {
    let region = served_by.and_then(|text| text.split_once('.')).map(|(_, region)| region.to_owned());
    region.ok_or_else(|| format!("x-served-by is {served_by:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_read_or_refused() {
        assert_eq!(token(&json!({"dataset": {"token": "t"}})), Ok("t".to_owned()));
        assert_eq!(event(&json!({"dataset": {"id": 7, "name": "n"}})), Ok((7, "n".to_owned())));
        assert_eq!(region(Some("app1.us-east-2")), Ok("us-east-2".to_owned()));
        assert!(token(&json!({})).is_err() && event(&json!({})).is_err() && region(Some("x")).is_err());
    }
}
