//! `openapi.yaml` is the contract: the routes in code are those in the file, and every answer that any test
//! gets has a status that the file lists for its route, in the envelope.

use std::collections::BTreeSet;

use events_app::routes;
use serde_json::Value;

use crate::instance::Answer;

pub struct Contract(Value);

impl Contract {
    pub fn read() -> Self {
        Self(serde_saphyr::from_str(include_str!("../../openapi.yaml")).expect("openapi.yaml is YAML"))
    }

    fn operations(&self) -> impl Iterator<Item = (String, &str, &Value)> {
        const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
        let paths = self.0["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            let operations = operations.filter(|(method, _)| METHODS.contains(&method.as_str()));
            operations.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
        })
    }

    /// Checks one answer. What is not in the file is 404 or 405.
    pub fn check(&self, method: &str, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap();
        let operation = self.operations().find(|(m, pattern, _)| m == method && fits(pattern, path));
        let Answer { status, body, .. } = answer;
        match operation {
            Some((_, _, operation)) => {
                let listed = operation["responses"].as_object().unwrap();
                assert!(
                    listed.contains_key(&status.to_string()),
                    "{method} {path} does not list {status}: {body}"
                );
            }
            None => assert!([404, 405].contains(status), "{method} {path} is not in the file: {status}"),
        }
        if path != "/metrics" && method != "HEAD" {
            check_envelope(*status, body);
        }
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(p, s)| p == s || (p.starts_with('{') && !s.is_empty()))
}

fn check_envelope(status: u16, body: &Value) {
    let keys: Vec<&String> = body.as_object().unwrap_or_else(|| panic!("{status}: {body}")).keys().collect();
    assert_eq!(keys, ["dataset", "status"], "{body}");
    let success = body["status"]["success"].as_bool().expect("success is a bool");
    assert_eq!(success, (200..300).contains(&status), "{body}");
    assert!(body["status"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    let records = match &body["dataset"] {
        Value::Null => 0,
        Value::Array(list) => list.len() as u64,
        Value::Object(_) => 1,
        other => panic!("dataset is {other}"),
    };
    assert_eq!(body["status"]["records"].as_u64(), Some(records), "{body}");
}

#[test]
fn the_file_and_the_code_have_the_same_routes() {
    let contract = Contract::read();
    let file: BTreeSet<(String, String)> =
        contract.operations().map(|(method, path, _)| (method, path.to_owned())).collect();
    let code: BTreeSet<(String, String)> =
        routes::table().iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    assert_eq!(file, code);
    assert_eq!(code.len(), routes::table().len(), "a route is there twice");
}

#[test]
fn every_reference_in_the_file_leads_somewhere() {
    let Contract(file) = Contract::read();
    let mut open = vec![&file];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(file.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}
