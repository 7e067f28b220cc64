//! A whole lab, run for real: object storage, monitoring, the repository and key pairs, used through their own protocols.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::rig::{Lab, eventually};

const REGIONS: [&str; 2] = ["us-east-2", "us-west-1"];
const STORAGE: [&str; 2] = ["10.77.1.70:8333", "10.77.2.70:8333"];

/// An object's URL in a region.
fn object(region: usize, key: &str) -> String {
    format!("http://{}/events-backups-{}/{key}", STORAGE[region], REGIONS[region])
}

/// A signed request (AWS Signature Version 4).
fn signed(lab: &Lab, region: usize, url: &str, options: &[&str]) -> Result<(u16, String), String> {
    let secret = std::fs::read_to_string(lab.dir.join("secrets/storage")).unwrap();
    let (user, scope) = (format!("bascule:{secret}"), format!("aws:amz:{}:s3", REGIONS[region]));
    lab.http("clients", url, &[&["--user", &user, "--aws-sigv4", &scope], options].concat())
}

fn put(lab: &Lab, region: usize, key: &str, text: &str) {
    let file = lab.dir.join("log/object");
    std::fs::write(&file, text).unwrap();
    let stored = || {
        let answer = signed(lab, region, &object(region, key), &["-T", file.to_str().unwrap()]);
        answer.is_ok_and(|(status, _)| status == 200)
    };
    assert!(eventually(stored), "{key} is stored in {}", REGIONS[region]);
}

fn reads(lab: &Lab, region: usize, key: &str, text: &str) -> bool {
    signed(lab, region, &object(region, key), &[]).is_ok_and(|answer| answer == (200, text.to_owned()))
}

/// What is stored in a region is copied to the other, and the repository is the same in both places.
pub fn keeps_what_it_stores(lab: &Lab) {
    put(lab, 0, "kept", "kept");
    assert!(eventually(|| reads(lab, 1, "kept", "kept")));
    assert!(eventually(
        || head(lab, "10.77.2.80").is_some_and(|commit| head(lab, "10.77.3.80") == Some(commit))
    ));
}

fn what_is_written_in_one_region_is_read_in_the_other(lab: &Lab) {
    for (here, there) in [(0, 1), (1, 0)] {
        put(lab, here, &format!("from-{here}"), "first");
        assert!(eventually(|| reads(lab, there, &format!("from-{here}"), "first")));
        put(lab, here, &format!("from-{here}"), "second");
        assert!(eventually(|| reads(lab, there, &format!("from-{here}"), "second")));
    }
    let (_, versions) = signed(lab, 1, &object(1, "?versions="), &[]).unwrap();
    assert_eq!(versions.matches("<Key>from-0</Key>").count(), 2, "both versions are there: {versions}");
}

fn buckets_are_versioned_encrypted_and_closed_to_strangers(lab: &Lab) {
    for (region, storage) in STORAGE.into_iter().enumerate() {
        let (_, versioning) = signed(lab, region, &object(region, "?versioning="), &[]).unwrap();
        assert!(versioning.contains("<Status>Enabled</Status>"), "{versioning}");
        let (_, encryption) = signed(lab, region, &object(region, "?encryption="), &[]).unwrap();
        assert!(encryption.contains("<SSEAlgorithm>AES256</SSEAlgorithm>"), "{encryption}");
        let (_, head) = signed(lab, region, &object(region, "from-0"), &["-I"]).unwrap();
        assert!(head.contains("X-Amz-Server-Side-Encryption: AES256"), "also the copy: {head}");
        for key in ["", "from-0"] {
            assert_eq!(lab.http("clients", &object(region, key), &[]).unwrap().0, 403, "unsigned");
        }
        // The servers behind the gateway ask for a signature, too.
        let behind = format!("http://{}/buckets/", storage.replace("8333", "8888"));
        assert_eq!(lab.http("clients", &behind, &[]).unwrap().0, 401);
    }
}

/// Targets that Prometheus in a region sees up, and down.
fn targets(lab: &Lab, region: usize) -> (Vec<String>, Vec<String>) {
    let url = format!("http://10.77.{}.60:9090/api/v1/query?query=up", region + 1);
    let Ok((200, answer)) = lab.http("clients", &url, &[]) else { return (Vec::new(), Vec::new()) };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for target in answer["data"]["result"].as_array().unwrap() {
        let text = |name: &str| target["metric"][name].as_str().unwrap();
        let name = format!("{} {}", text("job"), text("instance"));
        if target["value"][1] == "1" { up.push(name) } else { down.push(name) }
    }
    (up, down)
}

fn each_prometheus_sees_both_regions(lab: &Lab) {
    // 6 databases, 2 load balancers, 6 instances; and a keeper's copy, a storage and a Prometheus in each region.
    let all = 6 + 2 + 6 + 2 + 2 + 2;
    for region in 0..REGIONS.len() {
        let seen = || targets(lab, region);
        assert!(eventually(|| seen().0.len() == all && seen().1.is_empty()), "{:?}", seen());
    }
}

fn head(lab: &Lab, host: &str) -> Option<String> {
    let refs = lab.at("clients", &["git", "ls-remote", &format!("git://{host}/site.git"), "main"]).ok()?;
    refs.split_whitespace().next().map(str::to_owned)
}

fn both_copies_of_the_repository_hold_the_manifest(lab: &Lab) {
    let manifest = std::fs::read_to_string(lab.dir.join("bascule.toml")).unwrap();
    let mut heads = Vec::new();
    for host in ["10.77.3.80", "10.77.2.80"] {
        let clone = lab.dir.join("log/clone");
        let url = format!("git://{host}/site.git");
        lab.at("clients", &["git", "clone", "-q", &url, clone.to_str().unwrap()]).unwrap();
        assert_eq!(std::fs::read_to_string(clone.join("bascule.toml")).unwrap(), manifest);
        assert!(clone.join("README.md").exists());
        heads.push(head(lab, host).unwrap());
        let push = ["git", "-C", clone.to_str().unwrap(), "push", "-q", "origin", "HEAD:refs/heads/other"];
        assert!(lab.at("clients", &push).is_err(), "strangers read only");
        std::fs::remove_dir_all(clone).unwrap();
    }
    assert_eq!(heads[0], heads[1]);
}

/// Fingerprints of the public keys in a file (ssh-keygen(1), -l).
fn fingerprints(file: &Path) -> Vec<String> {
    let output = Command::new("ssh-keygen").arg("-lf").arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

fn the_same_keys_open_every_host_of_the_application(lab: &Lab) {
    let mut private = Vec::new();
    for pair in ["deploy", "admin"] {
        let file = lab.dir.join("secrets").join(format!("ssh_{pair}"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        private.extend(fingerprints(&file));
    }
    assert_eq!(private.len(), 2);
    for region in REGIONS {
        for n in 1..=3 {
            let file = lab.dir.join(format!("data/{region}-app{n}/.ssh/authorized_keys"));
            assert_eq!(fingerprints(&file), private, "{}", file.display());
            assert!(!std::fs::read_to_string(file).unwrap().contains("PRIVATE"));
        }
    }
}

/// What was stored while the region was lost reaches it; what it had, it has still.
fn a_lost_region_returns_with_all_it_had_and_all_it_missed(lab: &Lab, lost: usize) {
    let other = 1 - lost;
    put(lab, lost, &format!("before-{lost}"), "before");
    lab.does(&["break", "region-loss", REGIONS[lost]]);
    put(lab, other, &format!("during-{lost}"), "during");
    assert!(eventually(|| !targets(lab, other).1.is_empty()), "the survivor knows");
    assert!(targets(lab, other).1.iter().all(|name| {
        // What copies out of the lost region has nothing to do.
        name.contains(REGIONS[lost]) || name.starts_with("storage-sync ")
    }));
    assert!(head(lab, "10.77.3.80").is_some());
    lab.does(&["heal", REGIONS[lost]]);
    for key in ["before", "during"] {
        for region in [lost, other] {
            let there = eventually(|| reads(lab, region, &format!("{key}-{lost}"), key));
            assert!(there, "{key} the loss of {}, read in {}", REGIONS[lost], REGIONS[region]);
        }
    }
    put(lab, lost, &format!("after-{lost}"), "after");
    assert!(eventually(|| reads(lab, other, &format!("after-{lost}"), "after")));
    assert!(eventually(|| head(lab, "10.77.2.80") == head(lab, "10.77.3.80")));
}

#[test]
fn a_whole_lab_has_every_asset_of_the_document() {
    let lab = Lab::up_with("whole", &["--mode", "manual"]);
    let parts = lab.status()["parts"].as_array().unwrap().len();
    assert_eq!(
        parts,
        24 + 11,
        "and 2 storages, 2 copiers, 2 that back up, 2 Prometheus, 2 repositories and what fetches for one"
    );
    the_same_keys_open_every_host_of_the_application(&lab);
    both_copies_of_the_repository_hold_the_manifest(&lab);
    what_is_written_in_one_region_is_read_in_the_other(&lab);
    buckets_are_versioned_encrypted_and_closed_to_strangers(&lab);
    each_prometheus_sees_both_regions(&lab);
    lab.does(&["break", "region-freeze", "us-west-1"]);
    lab.does(&["heal", "us-west-1"]);
    lab.until_healthy();
    a_lost_region_returns_with_all_it_had_and_all_it_missed(&lab, 1);
    a_lost_region_returns_with_all_it_had_and_all_it_missed(&lab, 0);
    lab.does(&["down"]);
    assert!(!lab.dir.exists() && lab.processes() == 0, "nothing is left");
}
