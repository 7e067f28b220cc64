//! `terraform show -json` of a state or a plan.
//!
//! The format is HashiCorp's "JSON Output Format": a state has `values`, a plan `planned_values`. Depth: serde_json
//! reads at most 128 levels, which bounds every walk here. A sensitive value is left behind as a digest before its
//! resource is looked at; a value that is known only after apply is unknown. Left out: outputs, checks, what a plan
//! would destroy. Where the state itself is kept is in neither.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use super::model::{Declared, Known, Place, SecretDigest};
use super::tally::{Raw, Tally};
use super::value::Value;
use crate::{Code, Finding, MAX_BYTES};

/// How deep modules may stand in modules: serde_json's 128 levels leave room for 60; nobody nests ten.
const MAX_MODULES: usize = 32;
/// What to do with whatever is not the format.
const REMEDY: &str = "hand over what `terraform show -json` prints of a state or a saved plan";

/// Read a state or a plan that has no name.
#[must_use]
pub fn read(bytes: &[u8]) -> Declared {
    read_named("input.json", bytes)
}

/// Read a state or a plan. What is wrong with it is in the findings.
#[must_use]
pub fn read_named(file: &str, bytes: &[u8]) -> Declared {
    let json = match parse(bytes) {
        Ok(json) => json,
        Err(finding) => {
            let noted = super::Noted { file: file.to_owned(), finding };
            return Declared { findings: vec![noted], ..Declared::default() };
        }
    };
    let mut reader = Reader {
        file,
        lines: address_lines(bytes),
        declared: Declared::default(),
        regions: Regions::of(&json),
        changes: changes(&json),
        tally: Tally::default(),
    };
    reader.document(&json);
    let Reader { mut declared, tally, .. } = reader;
    tally.tell(file, &mut declared);
    declared
}

fn parse(bytes: &[u8]) -> Result<Json, Finding> {
    if bytes.len() > MAX_BYTES {
        let message = format!("{} bytes; at most {MAX_BYTES} are read", bytes.len());
        return Err(Finding::new(Code::TooLarge, 0, message, "hand over one root at a time"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let json: Json = serde_json::from_slice(bytes).map_err(|error| {
        // A syntax error names a place and what was expected, never a value.
        let text = error.to_string();
        let code = if text.contains("recursion limit") { Code::TooLarge } else { Code::Unreadable };
        Finding::new(code, error.line(), format!("it can't be read as JSON: {text}"), REMEDY)
    })?;
    let raw_state = json["version"].is_number() && json["resources"].is_array();
    if raw_state && json["format_version"].is_null() {
        let message = "this is Terraform's own state file, whose shape changes from version to version";
        let remedy = "in the root's folder: terraform show -json > state.json, and hand that over";
        return Err(Finding::new(Code::TerraformRawState, 0, message, remedy));
    }
    let Some(version) = json["format_version"].as_str() else {
        let message = "it has no format_version: neither a state nor a plan";
        return Err(Finding::new(Code::Unreadable, 0, message, REMEDY));
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if !matches!(major, Some(0 | 1)) {
        let version: String = version.chars().filter(|c| !c.is_control()).take(20).collect();
        let message = format!("its format_version is {version:?}; 0 and 1 are read");
        let remedy = "run `terraform show -json` of a version of Terraform that writes format 1";
        return Err(Finding::new(Code::TerraformFormat, 0, message, remedy));
    }
    Ok(json)
}

struct Reader<'a> {
    file: &'a str,
    /// The line on which an address is first named.
    lines: HashMap<String, usize>,
    declared: Declared,
    regions: Regions<'a>,
    /// What is known of an address only after apply.
    changes: HashMap<&'a str, &'a Json>,
    tally: Tally,
}

impl Reader<'_> {
    fn document(&mut self, json: &Json) {
        let found = ["planned_values", "values"].iter().map(|key| &json[key]).find(|v| !v.is_null());
        // An empty state has neither.
        let Some(values) = found else { return };
        if !values["root_module"].is_object() {
            return self.shape(0, "its values have no root_module");
        }
        self.module(&values["root_module"], 0);
    }

    fn shape(&mut self, line: usize, message: &str) {
        let place = Place { file: self.file.to_owned(), line };
        self.declared.note(Code::TerraformShape, &place, message, REMEDY);
    }

    fn module(&mut self, module: &Json, depth: usize) {
        if depth > MAX_MODULES {
            let place = Place { file: self.file.to_owned(), line: 0 };
            let message = format!("modules are nested deeper than {MAX_MODULES}; what is below is left out");
            return self.declared.note(Code::TooLarge, &place, message, "hand over a state of fewer modules");
        }
        for resource in self.list(module, "resources") {
            self.resource(resource);
        }
        for child in self.list(module, "child_modules") {
            self.module(child, depth + 1);
        }
    }

    fn list<'j>(&mut self, module: &'j Json, key: &str) -> &'j [Json] {
        match &module[key] {
            Json::Array(list) => list,
            Json::Null => &[],
            _ => {
                self.shape(0, &format!("{key} of a module is no list"));
                &[]
            }
        }
    }

    fn resource(&mut self, json: &Json) {
        let (Some(address), Some(type_name)) = (json["address"].as_str(), json["type"].as_str()) else {
            return self.shape(0, "a resource has no address or no type, and is left out");
        };
        let line = self.lines.get(address).copied().unwrap_or(0);
        if json["mode"] == "data" {
            return self.tally.idle("data sources");
        }
        if json["deposed_key"].is_string() {
            return self.tally.idle("deposed resources, which Terraform will destroy,");
        }
        if !json["values"].is_object() {
            return self.shape(line, &format!("{address} has no values, and is left out"));
        }
        let unknown = self.changes.get(address).copied().unwrap_or(&Json::Null);
        let values = value(&json["values"], &json["sensitive_values"], unknown);
        let id = values.text("id").get().cloned().flatten();
        let raw = Raw {
            root: self.file.to_owned(),
            address: address.to_owned(),
            type_name: type_name.to_owned(),
            count: Known::Is(1),
            id,
            place: Place { file: self.file.to_owned(), line },
        };
        let regions = &self.regions;
        let resource = self.tally.resource(raw, &values, || regions.of_resource(address));
        self.declared.resources.push(resource);
    }
}

/// A value, with what is sensitive and what is known only after apply marked by trees of the same shape.
fn value(json: &Json, sensitive: &Json, unknown: &Json) -> Value {
    if *unknown == Json::Bool(true) {
        return Value::Unknown("known only after apply".to_owned());
    }
    if *sensitive == Json::Bool(true) {
        return match json {
            Json::Null => Value::Null,
            Json::String(text) => Value::Secret(SecretDigest::of(text)),
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                Value::Unknown("sensitive".to_owned())
            }
        };
    }
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => number.as_f64().map_or(Value::Null, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(list) => {
            let items = list.iter().enumerate();
            Value::List(items.map(|(i, item)| value(item, &sensitive[i], &unknown[i])).collect())
        }
        Json::Object(map) => {
            let mut found: BTreeMap<String, Value> = map
                .iter()
                .map(|(key, item)| (key.clone(), value(item, &sensitive[key], &unknown[key])))
                .collect();
            for (key, mark) in unknown.as_object().into_iter().flatten() {
                if *mark == Json::Bool(true) {
                    found.insert(key.clone(), Value::Unknown("known only after apply".to_owned()));
                }
            }
            Value::Map(found)
        }
    }
}

fn changes(json: &Json) -> HashMap<&str, &Json> {
    let changes = json["resource_changes"].as_array().map_or(&[][..], Vec::as_slice);
    changes.iter().filter_map(|c| Some((c["address"].as_str()?, &c["change"]["after_unknown"]))).collect()
}

/// The regions of a plan's providers, and the provider of each resource. A state has neither.
struct Regions<'a> {
    providers: HashMap<&'a str, Known<String>>,
    resources: HashMap<String, &'a str>,
}

impl<'a> Regions<'a> {
    fn of(json: &'a Json) -> Self {
        let configuration = &json["configuration"];
        let mut found = Regions { providers: HashMap::new(), resources: HashMap::new() };
        for (key, provider) in configuration["provider_config"].as_object().into_iter().flatten() {
            let region = &provider["expressions"]["region"];
            found.providers.insert(key, provider_region(region, &json["variables"]));
        }
        found.module(&configuration["root_module"], "", 0);
        found
    }

    fn module(&mut self, module: &'a Json, prefix: &str, depth: usize) {
        if depth > MAX_MODULES {
            return;
        }
        for resource in module["resources"].as_array().into_iter().flatten() {
            if let (Some(address), Some(key)) =
                (resource["address"].as_str(), resource["provider_config_key"].as_str())
            {
                self.resources.insert(format!("{prefix}{address}"), key);
            }
        }
        for (name, call) in module["module_calls"].as_object().into_iter().flatten() {
            self.module(&call["module"], &format!("{prefix}module.{name}."), depth + 1);
        }
    }

    fn of_resource(&self, address: &str) -> Known<String> {
        let Some(key) = self.resources.get(&without_indices(address)) else {
            return Known::unknown("its attributes name no region, and no provider is told");
        };
        // A module's provider without a configuration of its own is the one of the root.
        let plain = key.rsplit(':').next().unwrap_or(key);
        let found = self.providers.get(key).or_else(|| self.providers.get(plain));
        found.cloned().unwrap_or_else(|| Known::unknown(format!("the provider {plain} has no configuration")))
    }
}

fn provider_region(region: &Json, variables: &Json) -> Known<String> {
    if let Some(region) = region["constant_value"].as_str() {
        return Known::Is(region.to_owned());
    }
    let Some(name) = region["references"][0].as_str() else {
        return Known::unknown("its provider has no region in the plan");
    };
    let value = name.strip_prefix("var.").and_then(|name| variables[name]["value"].as_str());
    match value.filter(|value| super::region::is_region(value)) {
        Some(value) => Known::Is(value.to_owned()),
        None => Known::unknown(format!("its provider's region comes from {name}")),
    }
}

/// An address as the configuration has it: `module.a["x"].b.c[0]` is `module.a.b.c`.
fn without_indices(address: &str) -> String {
    let (mut found, mut inside, mut quoted, mut escaped) = (String::new(), false, false, false);
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if inside => quoted = !quoted,
            '[' if !quoted => inside = true,
            ']' if !quoted => inside = false,
            _ if inside => {}
            c => found.push(c),
        }
    }
    found
}

/// On which line each address is first named.
fn address_lines(bytes: &[u8]) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let Ok(text) = std::str::from_utf8(bytes) else { return found };
    let (mut line, mut counted) = (1, 0);
    for (at, key) in text.match_indices("\"address\"") {
        line += text[counted..at].bytes().filter(|b| *b == b'\n').count();
        counted = at;
        let rest = text[at + key.len()..].trim_start();
        let Some(rest) = rest.strip_prefix(':').map(str::trim_start) else { continue };
        let mut value = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        if let Some(Ok(address)) = value.next() {
            found.entry(address).or_insert(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::without_indices;

    #[test]
    fn an_index_is_no_part_of_what_the_configuration_calls_it() {
        for (address, plain) in [
            ("aws_instance.web", "aws_instance.web"),
            ("aws_instance.web[0]", "aws_instance.web"),
            (r#"module.a["x"].aws_instance.web["b]c"]"#, "module.a.aws_instance.web"),
            (r#"aws_instance.web["q\"]"]"#, "aws_instance.web"),
        ] {
            assert_eq!(without_indices(address), plain);
        }
    }
}
