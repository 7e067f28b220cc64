//! The directions between crates, and the purity of the core, held by the build's own account of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Which of the workspace's crates each may depend on (tests may use more where noted).
const MAY_USE: &[(&str, &[&str])] = &[
    ("bascule-core", &[]),
    ("bascule-engine", &["bascule-core"]),
    ("bascule-stores", &["bascule-core"]),
    ("bascule-providers", &["bascule-core"]),
    ("bascule-import", &["bascule-core"]),
    ("bascule-lab", &["bascule-core"]),
    ("bascule-drill", &["bascule-core"]),
    ("bascule-survey", &["bascule-core", "bascule-providers"]),
    ("bascule-sim", &["bascule-core", "bascule-engine", "bascule-stores"]),
    (
        "bascule",
        &[
            "bascule-core",
            "bascule-engine",
            "bascule-import",
            "bascule-stores",
            "bascule-survey",
            "bascule-providers",
            "bascule-lab",
            "bascule-drill",
        ],
    ),
    ("events-app", &[]),
];

/// What the core may use from outside the workspace: nothing with a clock, a socket, a file or a thread.
const CORE_MAY_USE: &[&str] = &["async-trait", "serde", "serde_json", "sha2", "thiserror", "toml"];

fn metadata() -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("cargo prints JSON")
}

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let normal = dependencies.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"]));
            (text(&package["name"]), normal.collect())
        })
        .collect()
}

#[test]
fn crates_depend_in_one_direction() {
    let found = dependencies();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(there, known, "a crate came or went: say here what it may use");
    for (name, allowed) in MAY_USE {
        let ours = found[*name].iter().filter(|d| known.contains(d.as_str()));
        let wrong: Vec<_> = ours.filter(|d| !allowed.contains(&d.as_str())).collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}");
    }
}

#[test]
fn the_core_has_no_clock_network_file_or_randomness() {
    let found = dependencies();
    let extra: Vec<_> =
        found["bascule-core"].iter().filter(|d| !CORE_MAY_USE.contains(&d.as_str())).collect();
    assert!(extra.is_empty(), "the core must not depend on {extra:?}");

    let forbidden = [
        "std::env",
        "std::fs",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "TcpStream",
        "UdpSocket",
        "tokio",
    ];
    let mut wrong = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).expect("a source file");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if forbidden.iter().any(|word| code.contains(word)) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(files > 10, "only {files} files were read: the core has moved");
    assert!(wrong.is_empty(), "the core is pure, but:\n{}", wrong.join("\n"));
}
