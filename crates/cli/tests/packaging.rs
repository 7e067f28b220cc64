//! What is in infra/packaging starts this program, by options that it has.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/packaging")
}

fn units() -> Vec<(String, String)> {
    let folder = packaging().join("systemd");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    entries.map(read).collect()
}

fn resources() -> Vec<Value> {
    let text = std::fs::read_to_string(packaging().join("kubernetes/keeper.yaml")).unwrap();
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap()).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    resources().into_iter().filter(|resource| resource["kind"] == kind).collect()
}

/// The options are understood: what stops it is that there is no such manifest.
fn is_understood(arguments: &[&str]) {
    let out = Command::new(env!("CARGO_BIN_EXE_bascule"))
        .args(arguments)
        .env("BASCULE_MANIFEST", "/nowhere/bascule.toml")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.code() == Some(2) && said.contains("can't read the manifest"),
        "{arguments:?}: {said}"
    );
}

#[test]
fn units_start_the_program_by_options_that_it_has() {
    assert_eq!(units().len(), 2);
    for (name, text) in units() {
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/bascule ")).unwrap();
        let line = line.replace("${BASCULE_REGION}", "us-east-2").replace("%i", "us-east-2-keeper1");
        is_understood(&line.split(' ').collect::<Vec<_>>());
        assert!(text.contains("Type=notify") && text.contains("WatchdogSec="), "{name} says that it lives");
    }
}

#[test]
fn units_are_what_systemd_understands() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in units() {
        let path = folder.path().join(name);
        // The program is not installed where this runs.
        std::fs::write(&path, text.replace("/usr/bin/bascule", "/usr/bin/env")).unwrap();
        let known = |line: &str| {
            let is_key = |(key, _): (&str, &str)| key.chars().all(|c| c.is_ascii_alphabetic());
            line.is_empty() || line.starts_with(['#', '[']) || line.split_once('=').is_some_and(is_key)
        };
        assert_eq!(text.lines().find(|line| !known(line)), None, "each line is a key with its value");
        let out = match Command::new("systemd-analyze").arg("verify").arg(&path).output() {
            Ok(out) => out,
            // A machine without systemd can say no more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("systemd-analyze: {error}"),
        };
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}

#[test]
fn a_region_has_two_keepers_on_two_nodes() {
    let keepers = of_kind("Deployment");
    let names: Vec<&str> =
        keepers.iter().map(|keeper| keeper["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bascule-keeper1", "bascule-keeper2"]);
    for keeper in &keepers {
        let pod = &keeper["spec"]["template"];
        assert_eq!(keeper["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
        let apart =
            &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(apart[0]["topologyKey"], "kubernetes.io/hostname");
        let both = &apart[0]["labelSelector"]["matchLabels"]["app.kubernetes.io/name"];
        assert_eq!(*both, pod["metadata"]["labels"]["app.kubernetes.io/name"], "it keeps the other one away");
    }
}

#[test]
fn pods_start_the_program_by_options_that_it_has() {
    for keeper in of_kind("Deployment") {
        let container = &keeper["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap());
        is_understood(&arguments.collect::<Vec<_>>());
        for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
            assert_eq!(container[probe]["httpGet"]["path"], "/healthz", "{probe}");
        }
    }
}

#[test]
fn each_service_leads_to_its_own_keeper() {
    let (services, keepers) = (of_kind("Service"), of_kind("Deployment"));
    assert_eq!(services.len(), keepers.len());
    for (service, keeper) in services.iter().zip(&keepers) {
        assert_eq!(service["spec"]["selector"], keeper["spec"]["template"]["metadata"]["labels"]);
    }
}
