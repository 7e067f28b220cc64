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

fn resources(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(packaging().join("kubernetes").join(file)).unwrap();
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap()).collect()
}

fn of_kind(file: &str, kind: &str) -> Vec<Value> {
    resources(file).into_iter().filter(|resource| resource["kind"] == kind).collect()
}

/// The region's two keepers, and the witness' prober.
fn keepers() -> Value {
    of_kind("keeper.yaml", "StatefulSet").remove(0)
}
fn witness() -> Value {
    of_kind("witness.yaml", "Deployment").remove(0)
}

fn container(of: &Value) -> &Value {
    &of["spec"]["template"]["spec"]["containers"][0]
}

/// A variable of a container's, as the program finds it.
fn environment<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    let all = container(of)["env"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name)?["value"].as_str()
}

/// Where a container's volumes are, each with whether it can be written to.
fn mounts(of: &Value) -> Vec<(&str, &str, bool)> {
    let all = container(of)["volumeMounts"].as_array().unwrap().iter();
    all.map(|m| (m["name"].as_str().unwrap(), m["mountPath"].as_str().unwrap(), m["readOnly"] != true))
        .collect()
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
fn units_keep_reports_where_they_may_write() {
    for (name, text) in units() {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        let reports = value("Environment=BASCULE_REPORTS=").unwrap();
        let state = value("StateDirectory=").unwrap();
        assert_eq!(reports, format!("/var/lib/{state}"), "{name}: all else is read-only");
        assert_eq!(value("ProtectSystem=").as_deref(), Some("strict"), "{name}");
        assert_eq!(value("ReadOnlyPaths=").as_deref(), Some("/etc/bascule"), "{name}");
    }
}

#[test]
fn a_region_has_two_keepers_on_two_nodes_that_are_replaced_in_turn() {
    let keepers = keepers();
    let (spec, pod) = (&keepers["spec"], &keepers["spec"]["template"]);
    assert_eq!(of_kind("keeper.yaml", "Deployment").len(), 0, "two would be replaced at once");
    assert_eq!((&spec["replicas"], &spec["updateStrategy"]["type"]), (&2.into(), &"RollingUpdate".into()));
    assert_eq!(spec["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let apart = &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(apart[0]["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(
        apart[0]["labelSelector"]["matchLabels"], pod["metadata"]["labels"],
        "it keeps the other one away"
    );
    let budget = of_kind("keeper.yaml", "PodDisruptionBudget").remove(0);
    assert_eq!(budget["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    assert_eq!(budget["spec"]["minAvailable"], 1);
}

#[test]
fn pods_start_the_program_by_options_that_it_has() {
    let name = keepers()["metadata"]["name"].as_str().unwrap().to_owned();
    for pod in [keepers(), witness()] {
        let container = container(&pod);
        let arguments = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap());
        let arguments: Vec<String> =
            arguments.map(|a| a.replace("$(POD_NAME)", &format!("{name}-0"))).collect();
        is_understood(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        for (probe, path) in
            [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz"), ("startupProbe", "/healthz")]
        {
            assert_eq!(container[probe]["httpGet"]["path"], path, "{probe}");
        }
    }
}

/// A rolling update takes the pods away: what was set aside before a rewind is nowhere else.
#[test]
fn what_keepers_set_aside_outlives_their_pods() {
    let keepers = keepers();
    let reports = environment(&keepers, "BASCULE_REPORTS").unwrap();
    let mounts = mounts(&keepers);
    let (volume, ..) = mounts.iter().find(|(_, path, writable)| *path == reports && *writable).unwrap();
    let claims = keepers["spec"]["volumeClaimTemplates"].as_array().unwrap();
    assert!(claims.iter().any(|claim| claim["metadata"]["name"] == *volume), "{claims:?}");
    let read_only = |path: &str| mounts.iter().any(|(_, at, writable)| *at == path && !writable);
    assert!(read_only("/etc/bascule") && read_only("/etc/bascule/secrets"));
}

#[test]
fn each_keeper_has_a_service_that_leads_to_it_alone() {
    let keepers = keepers();
    let set = keepers["metadata"]["name"].as_str().unwrap();
    let services = of_kind("keeper.yaml", "Service");
    let (heads, own): (Vec<_>, Vec<_>) = services.iter().partition(|one| one["spec"]["clusterIP"] == "None");
    assert_eq!(heads[0]["metadata"]["name"], keepers["spec"]["serviceName"]);
    for (number, service) in own.iter().enumerate() {
        let pod = format!("{set}-{number}");
        assert_eq!(service["metadata"]["name"], pod);
        assert_eq!(service["spec"]["selector"]["statefulset.kubernetes.io/pod-name"], pod);
        assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "a closed gate answers, too");
    }
    assert_eq!(own.len(), 2);
}
