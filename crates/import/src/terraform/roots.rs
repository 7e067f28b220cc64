//! Several files: which of them make a root together, and which count.
//!
//! A folder with `.tf` files is a root, unless another root calls it as a module; each state or plan is a root of
//! its own. Where a folder has both, the state or plan is what is, so the code beside it is not counted again.

use std::collections::{BTreeMap, HashSet};

use super::model::{Declared, Known, Noted, Place};
use super::source::{File, MAX_CODE};
use super::{hcl, json};
use crate::{Code, Finding};

/// A file: its path as it is to be shown, and what is in it.
pub type Input<'a> = (&'a str, &'a [u8]);

/// Read all files of a site. Roots are merged; what is wrong is in the findings.
#[must_use]
pub fn read(files: &[Input<'_>]) -> Declared {
    let mut declared = Declared::default();
    let mut folders: BTreeMap<&str, Folder> = BTreeMap::new();
    for (path, bytes) in files {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let entry = folders.entry(folder).or_default();
        match Kind::of(name) {
            Kind::Shown => entry.shown.push((path, bytes)),
            Kind::Code => entry.code.push((path, bytes)),
            Kind::Variables => entry.variables.push((path, bytes)),
            Kind::NotRead(why) => {
                let place = Place { file: (*path).to_owned(), line: 0 };
                let remedy = "hand over `terraform show -json` of the state or of a plan";
                declared.note(Code::TerraformNotRead, &place, why, remedy);
            }
        }
    }
    let mut code = Vec::new();
    for (folder, files) in &folders {
        let mut shown = Declared::default();
        for (path, bytes) in &files.shown {
            shown.append(json::read_named(path, bytes));
        }
        let usable = !shown.resources.is_empty();
        declared.append(shown);
        match files.code.first() {
            Some((path, _)) if usable => {
                let place = Place { file: (*path).to_owned(), line: 0 };
                let message =
                    format!("the code in {folder} stands beside a state or plan, which counts instead");
                let remedy = "nothing; or keep states of other roots in another folder";
                declared.note(Code::TerraformTwice, &place, message, remedy);
            }
            Some(_) => code.push((*folder, files.root(folder))),
            None => {}
        }
    }
    without_modules(&mut declared, code);
    without_doubles(&mut declared);
    declared
}

enum Kind {
    Shown,
    Code,
    Variables,
    NotRead(&'static str),
}

impl Kind {
    fn of(name: &str) -> Self {
        let automatic = name == "terraform.tfvars" || name.ends_with(".auto.tfvars");
        match name {
            _ if name.ends_with(".tf.json") => Kind::NotRead("code written as JSON is not read"),
            _ if name.ends_with(".tfvars.json") => Kind::NotRead("variables written as JSON are not read"),
            _ if name == "override.tf" || name.ends_with("_override.tf") => Kind::NotRead(
                "an override changes other blocks; it is not read, so what it changes is not seen",
            ),
            _ if automatic => Kind::Variables,
            _ if name.ends_with(".tfvars") => {
                Kind::NotRead("Terraform reads this file only if its command line says so; it is not read")
            }
            _ if name.ends_with(".tf") => Kind::Code,
            _ => Kind::Shown,
        }
    }
}

#[derive(Default)]
struct Folder<'a> {
    shown: Vec<Input<'a>>,
    code: Vec<Input<'a>>,
    variables: Vec<Input<'a>>,
}

impl Folder<'_> {
    fn root(&self, folder: &str) -> Declared {
        let mut findings = Vec::new();
        // As Terraform reads them: terraform.tfvars first, then the others by name; the last one wins.
        let mut variables = self.variables.clone();
        variables.sort_by_key(|(path, _)| (!path.ends_with("terraform.tfvars"), *path));
        let mut left = MAX_CODE;
        let mut parse = |files: &[Input<'_>]| -> Vec<File> {
            let mut parsed = Vec::new();
            for (path, bytes) in files {
                let found = if bytes.len() > left {
                    let message = format!("the code of this folder has more than {MAX_CODE} bytes");
                    let remedy = "hand over a state or a plan instead";
                    Err(Finding::new(Code::TooLarge, 0, message, remedy))
                } else {
                    left -= bytes.len();
                    File::parse(path, bytes)
                };
                match found {
                    Ok(file) => parsed.push(file),
                    Err(finding) => findings.push(Noted { file: (*path).to_owned(), finding }),
                }
            }
            parsed
        };
        let (code, variables) = (parse(&self.code), parse(&variables));
        let mut declared = Declared { findings, ..Declared::default() };
        declared.append(hcl::root(folder, &code, &variables));
        declared
    }
}

/// A folder that another one calls is that one's module, not a root.
fn without_modules(declared: &mut Declared, code: Vec<(&str, Declared)>) {
    let called: HashSet<String> = code
        .iter()
        .flat_map(|(folder, root)| root.modules.iter().map(move |module| (folder, module)))
        .filter_map(|(folder, module)| match &module.source {
            Known::Is(source) if source.starts_with('.') => Some(normal(&format!("{folder}/{source}"))),
            _ => None,
        })
        .collect();
    for (folder, mut root) in code {
        if called.contains(&normal(folder))
            && !root.modules.iter().any(|module| is_self(folder, &module.source))
        {
            let file = root.resources.first().map_or(folder.to_owned(), |first| first.place.file.clone());
            let message = format!(
                "{folder} is a module of another folder: its {} resources are not counted by themselves",
                root.resources.len()
            );
            root.resources.clear();
            root.findings.clear();
            let place = Place { file, line: 0 };
            root.note(Code::TerraformModule, &place, message, "hand over a state or a plan of the root");
        }
        declared.append(root);
    }
}

/// A folder that calls itself would otherwise vanish with everything in it.
fn is_self(folder: &str, source: &Known<String>) -> bool {
    source.get().is_some_and(|source| normal(&format!("{folder}/{source}")) == normal(folder))
}

/// A path without `.`, `..` and doubled slashes; nothing is looked up.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A state and a plan of the same root hold the same resources: the later ones are left out.
fn without_doubles(declared: &mut Declared) {
    let mut seen: HashSet<(String, String, String)> = HashSet::new();
    let mut doubled: BTreeMap<String, (usize, Place)> = BTreeMap::new();
    declared.resources.retain(|resource| {
        let Some(id) = resource.id.clone() else { return true };
        let region = resource.region.get().cloned().unwrap_or_default();
        if seen.insert((resource.address.clone(), id, region)) {
            return true;
        }
        let place = Place { file: resource.place.file.clone(), line: resource.place.line };
        doubled.entry(resource.root.clone()).or_insert((0, place)).0 += 1;
        false
    });
    for (number, place) in doubled.into_values() {
        let message =
            format!("{number} resources were handed over twice, by address and identifier; they count once");
        declared.note(Code::TerraformTwice, &place, message, "hand over one state or plan for each root");
    }
}
