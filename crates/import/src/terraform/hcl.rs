//! `.tf` files: the blocks of one root, which is a folder.
//!
//! What [`super::source`] has parsed is resolved by [`super::resolve`]; the rest is unknown. A variable's default counts as its value unless `terraform.tfvars` or a
//! `*.auto.tfvars` of the folder gives another; what a command line or the environment gave is not seen.

use std::collections::{HashMap, HashSet};

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Structure};

use super::model::{Backend, Declared, Known, ModuleCall, Noted, Place};
use super::resolve::{Scope, Variable};
use super::source::File;
use super::tally::{Raw, Tally};
use super::value::Value;
use crate::Code;

/// Read one file as a root of its own. What is wrong with it is in the findings.
#[must_use]
pub fn read(name: &str, bytes: &[u8]) -> Declared {
    match File::parse(name, bytes) {
        Ok(file) => root(name, &[file], &[]),
        Err(finding) => {
            let findings = vec![Noted { file: name.to_owned(), finding }];
            Declared { findings, ..Declared::default() }
        }
    }
}

/// The blocks of one folder, with its files of variables.
pub(super) fn root(name: &str, files: &[File], variables: &[File]) -> Declared {
    let scope = scope(files, variables);
    let mut reader = Reader {
        root: name,
        providers: providers(&scope, files),
        scope,
        declared: Declared::default(),
        tally: Tally::default(),
        addresses: HashSet::new(),
    };
    for file in files {
        for (structure, place) in file.structures() {
            match structure {
                Structure::Block(block) => reader.block(block, place),
                Structure::Attribute(_) => reader.tally.idle("attributes outside of any block"),
            }
        }
    }
    let Reader { mut declared, tally, scope, .. } = reader;
    let first = files.first().map_or(name, |file| &file.name);
    if scope.exhausted() {
        let place = Place { file: first.to_owned(), line: 0 };
        let message = "its values are too many or too long; those past the limit are unknown";
        declared.note(Code::TooLarge, &place, message, "hand over a state instead");
    }
    tally.tell(first, &mut declared);
    declared
}

fn scope<'a>(files: &'a [File], given: &'a [File]) -> Scope<'a> {
    let mut scope = Scope::new();
    for block in files.iter().flat_map(File::blocks) {
        match (block.ident.as_str(), label(block, 0)) {
            ("variable", Some(name)) => {
                let sensitive = block.body.get_attribute("sensitive").map(|a| &a.value);
                let variable = Variable {
                    value: block.body.get_attribute("default").map(|a| &a.value),
                    // Anything but a plain "no" is taken as "yes".
                    sensitive: sensitive.is_some_and(|value| value.as_bool() != Some(false)),
                };
                scope.variables.insert(name, variable);
            }
            ("locals", _) => {
                scope.locals.extend(block.body.attributes().map(|a| (a.key.as_str(), &a.value)));
            }
            _ => {}
        }
    }
    for attribute in given.iter().flat_map(File::attributes) {
        // Terraform ignores values of variables that are not declared.
        if let Some(variable) = scope.variables.get_mut(attribute.key.as_str()) {
            variable.value = Some(&attribute.value);
        }
    }
    scope
}

/// The regions of the providers, by the name that resources use: `aws`, `aws.west`.
fn providers(scope: &Scope, files: &[File]) -> HashMap<String, Known<String>> {
    let mut found = HashMap::new();
    for block in files.iter().flat_map(File::blocks).filter(|b| b.ident.as_str() == "provider") {
        let Some(name) = label(block, 0) else { continue };
        let values = scope.body(&block.body);
        let key = match values.text("alias") {
            Known::Is(None) => name.to_owned(),
            Known::Is(Some(alias)) => format!("{name}.{alias}"),
            Known::Unknown { .. } => continue,
        };
        let region = match values.must("region") {
            Known::Is(region) => Known::Is(region),
            Known::Unknown { why } => Known::unknown(format!("provider {key}: {why}")),
        };
        found.insert(key, region);
    }
    found
}

fn label(block: &Block, at: usize) -> Option<&str> {
    block.labels.get(at).map(|label| label.as_str())
}

struct Reader<'a> {
    root: &'a str,
    scope: Scope<'a>,
    providers: HashMap<String, Known<String>>,
    declared: Declared,
    tally: Tally,
    addresses: HashSet<String>,
}

impl Reader<'_> {
    fn block(&mut self, block: &Block, place: Place) {
        match (block.ident.as_str(), label(block, 0), label(block, 1)) {
            ("resource", Some(type_name), Some(name)) => self.resource(type_name, name, block, place),
            ("module", Some(name), _) => self.module(name, block, place),
            ("terraform", ..) => self.backend(block, &place),
            ("variable" | "locals" | "provider", ..) => {}
            ("data", ..) => self.tally.idle("data sources"),
            ("output", ..) => self.tally.idle("outputs"),
            ("resource" | "module", ..) => {
                let message = "a resource or module without its names is left out";
                self.declared.note(
                    Code::TerraformShape,
                    &place,
                    message,
                    "name it: resource \"type\" \"name\"",
                );
            }
            _ => self.tally.idle("other blocks"),
        }
    }

    fn resource(&mut self, type_name: &str, name: &str, block: &Block, place: Place) {
        let address = format!("{type_name}.{name}");
        if !self.addresses.insert(address.clone()) {
            let message = format!("{address} stands here a second time; only the first counts");
            return self.declared.note(Code::TerraformTwice, &place, message, "rename one of them");
        }
        let values = self.scope.body(&block.body);
        let provider = provider_name(block, type_name);
        let providers = &self.providers;
        let region = || match providers.get(&provider) {
            Some(region) => region.clone(),
            None => Known::unknown(format!("no provider \"{provider}\" in its folder names a region")),
        };
        let raw = Raw {
            root: self.root.to_owned(),
            address,
            type_name: type_name.to_owned(),
            count: count(&values),
            id: None,
            place,
        };
        let resource = self.tally.resource(raw, &values, region);
        self.declared.resources.push(resource);
    }

    fn module(&mut self, name: &str, block: &Block, place: Place) {
        let address = format!("module.{name}");
        let source = self.scope.body(&block.body).must("source");
        let message = match &source {
            Known::Is(source) => format!("what {address} makes is unknown: its code is {source:?}"),
            Known::Unknown { .. } => format!("what {address} makes is unknown"),
        };
        let remedy = "hand over `terraform show -json` of the state or of a plan: modules are open there";
        self.declared.note(Code::TerraformModule, &place, message, remedy);
        self.declared.modules.push(ModuleCall { root: self.root.to_owned(), address, source, place });
    }

    fn backend(&mut self, block: &Block, place: &Place) {
        for inner in block.body.blocks() {
            let kind = match (inner.ident.as_str(), label(inner, 0)) {
                ("backend", Some(kind)) => kind,
                ("cloud", _) => "cloud",
                _ => continue,
            };
            let values = self.scope.body(&inner.body);
            self.declared.backends.push(Backend {
                root: self.root.to_owned(),
                kind: kind.to_owned(),
                bucket: values.text("bucket"),
                region: values.text("region"),
                place: place.clone(),
            });
        }
    }
}

/// The provider that a resource names; else the one that its type begins with.
fn provider_name(block: &Block, type_name: &str) -> String {
    let named = block.body.get_attribute("provider").map(|attribute| &attribute.value);
    match named {
        Some(Expression::Traversal(traversal)) => {
            use hcl_edit::expr::TraversalOperator;
            let alias = traversal.operators.first().map(|operator| operator.value());
            match (&traversal.expr, alias) {
                (Expression::Variable(name), Some(TraversalOperator::GetAttr(alias))) => {
                    format!("{}.{}", name.as_str(), alias.as_str())
                }
                _ => String::new(),
            }
        }
        Some(Expression::Variable(name)) => name.as_str().to_owned(),
        // Before Terraform 0.12 it was written in quotes.
        Some(Expression::String(name)) => name.as_str().to_owned(),
        _ => type_name.split('_').next().unwrap_or(type_name).to_owned(),
    }
}

fn count(values: &Value) -> Known<u32> {
    match (values.get("count"), values.get("for_each")) {
        (Value::Null, Value::Null) => Known::Is(1),
        (Value::Null, Value::List(list)) => whole(list.len()),
        (Value::Null, Value::Map(map)) => whole(map.len()),
        (Value::Null, other) => Known::unknown(other.why("for_each")),
        (count, _) => count.as_number("count"),
    }
}

fn whole(number: usize) -> Known<u32> {
    u32::try_from(number).map_or_else(|_| Known::unknown("more than can be counted"), Known::Is)
}
