//! What a site may have besides what a move needs: the right sections, and wrong ones.

use std::collections::BTreeSet;

use bascule_core::asset::AssetKind;
use bascule_core::facts::Place;
use bascule_core::manifest::{AccessKey, Manifest, PublicHalf};

use crate::{RIGHT, Wrong, right, wrong};

const MORE: &str = r#"
[[monitoring]]
name = "prometheus-east"
url = "http://10.77.1.60:9090"
place = "us-east-2"

[[repository]]
name = "infrastructure"
url = "git://10.77.3.80/site.git"
place = "a third site"
manifest = "sites/bascule.toml"

[[repository]]
name = "infrastructure"
url = "ssh://git@code.events.test:2222/site.git"
place = "us-west-1"

[[regions.us-east-2.compute.zones]]
name = "us-east-2a"
subnet = "10.77.1.0/26"
instances = ["10.77.1.31:8080"]

[[regions.us-east-2.compute.zones]]
name = "us-east-2b"
instances = ["10.77.1.32:8080"]

[[regions.us-east-2.object_storage]]
name = "backups-east"
endpoint = "http://10.77.1.70:8333"
access_key = "bascule"
secret_key_file = "secrets/storage"
replicated_to = "backups-west"

[[regions.us-west-1.object_storage]]
name = "backups-west"
endpoint = "https://s3.events.test"
access_key_file = "secrets/access-key"
secret_key_file = "secrets/storage"

[[regions.us-east-2.key_pairs]]
name = "deploy"
public_key_file = "keys/deploy.pub"

[regions.us-east-2.network]
ranges = ["10.77.1.0/24", "fd00:1::/32"]

[[regions.us-east-2.secrets]]
name = "database"
file = "secrets/app"

[[regions.us-west-1.key_pairs]]
name = "deploy"
authorized_keys = ["data/app1/.ssh/authorized_keys", "data/app2/.ssh/authorized_keys"]
"#;

/// The golden manifest, of a site that has everything.
fn whole() -> String {
    RIGHT
        .replace(
            "name = \"events\"\nhome",
            "name = \"events\"\nowner = \"Ada, on call\"\nwithout = [\"kubernetes\"]\nhome",
        )
        .replace("rto = ", "backup_rpo = \"1h\"\nrto = ")
        + MORE
}

const EAST: &str = "us-east-2";

/// How many lines are before the first that has this.
fn line_before(text: &str) -> usize {
    whole().lines().position(|line| line.contains(text)).expect("it is there")
}

fn with(from: &str, to: &str) -> String {
    let text = whole();
    assert_eq!(text.matches(from).count(), 1, "{from:?} is not there just once");
    text.replacen(from, to, 1)
}

/// Right manifests that are read back as they were written.
pub fn manifests() -> Vec<Manifest> {
    let whole = Manifest::parse(&whole()).expect("right");
    let nowhere = Manifest::parse(&with("place = \"us-east-2\"\n", "")).expect("right");
    vec![whole, nowhere]
}

#[test]
fn the_sections_become_types() {
    let manifest = Manifest::parse(&whole()).unwrap();
    assert_eq!(manifest.owner.as_deref(), Some("Ada, on call"));
    assert_eq!(manifest.without, BTreeSet::from([AssetKind::Kubernetes]));
    assert_eq!(Manifest::line_of_without(&whole()), 1 + line_before("without = "));
    let [east, west] = ["us-east-2", "us-west-1"].map(|name| name.parse().unwrap());
    let [monitor] = &manifest.monitoring[..] else { panic!("{:?}", manifest.monitoring) };
    assert_eq!(monitor.url.to_string(), "http://10.77.1.60:9090");
    assert_eq!(monitor.place, Some(Place::Region(east)));
    let [first, second] = &manifest.repositories[..] else { panic!("{:?}", manifest.repositories) };
    assert_eq!((&first.name, &first.place), (&second.name, &Place::Elsewhere("a third site".to_owned())));
    assert_eq!((first.manifest.as_deref(), second.manifest.as_deref()), (Some("sites/bascule.toml"), None));
    let [first, second] = &manifest.regions[&EAST.parse().unwrap()].compute.zones[..] else { panic!() };
    assert_eq!((first.name.as_str(), first.subnet.as_deref()), ("us-east-2a", Some("10.77.1.0/26")));
    assert_eq!((second.subnet.as_deref(), second.instances.len()), (None, 1));
    let west = &manifest.regions[&west];
    assert_eq!(west.object_storage[0].access_key, AccessKey::File("secrets/access-key".into()));
    let PublicHalf::AuthorizedKeys(files) = &west.key_pairs[0].public else { panic!("{west:?}") };
    assert_eq!(files.len(), 2);
}

#[test]
fn a_manifest_without_the_sections_says_nothing_of_them() {
    let manifest = right();
    assert_eq!((manifest.without.len(), Manifest::line_of_without(RIGHT)), (0, 0));
    assert_eq!((manifest.owner, manifest.monitoring, manifest.repositories), (None, vec![], vec![]));
    let none = |region: &bascule_core::manifest::Region| {
        region.object_storage.is_empty()
            && region.key_pairs.is_empty()
            && region.ranges.is_empty()
            && region.secrets.is_empty()
    };
    assert!(manifest.regions.values().all(none));
}

#[test]
fn every_wrong_section_has_one_error_in_its_place_that_says_what_to_write() {
    for Wrong { law, write: (from, to), code, underlined, message, help } in WRONG {
        let text = with(from, to);
        let errors = wrong(&text);
        let [error] = errors.errors() else { panic!("{law}: {errors}") };
        let found = (error.code.as_str(), &text[error.span.clone()], &*error.message, &*error.help);
        assert_eq!(found, (*code, *underlined, *message, *help), "{law}");
        assert!(!error.label.is_empty(), "{law}: nothing stands under the place");
    }
}

#[test]
fn a_login_in_a_url_is_never_shown() {
    for (from, to) in [
        ("git://10.77.3.80/site.git", "https://me:hunter2@10.77.3.80/site.git"),
        ("ssh://git@code", "ssh://git:hunter2@code"),
        ("http://10.77.1.60:9090", "http://me:hunter2@10.77.1.60:9090"),
    ] {
        let errors = wrong(&with(from, to));
        for said in [errors.to_string(), format!("{errors:?}"), errors.shown().to_owned()] {
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

/// BSC-M035 to BSC-M042, less M040, and older codes in these sections.
pub const WRONG: &[Wrong] = &[
    Wrong {
        law: "a service has a path",
        write: (r#""http://10.77.1.60:9090""#, r#""http://10.77.1.60:9090/metrics""#),
        code: "BSC-M035",
        underlined: r#""http://10.77.1.60:9090/metrics""#,
        message: "`monitoring.url` is not the address of a service",
        help: r#"write http:// or https://, a name or an IPv4 address, and a port if need be: url = "http://10.77.1.60:9090""#,
    },
    Wrong {
        law: "a repository is a folder",
        write: (r#""git://10.77.3.80/site.git""#, r#""/srv/site.git""#),
        code: "BSC-M036",
        underlined: r#""/srv/site.git""#,
        message: "`repository.url` is not a URL that git can be asked for",
        help: r#"write git://, ssh://, http:// or https://, a host and a path, for example: url = "git://10.77.3.80/site.git""#,
    },
    Wrong {
        law: "a repository's host is an option of ssh",
        write: ("ssh://git@code.events.test:2222", "ssh://-oProxyCommand=x"),
        code: "BSC-M036",
        underlined: r#""ssh://-oProxyCommand=x/site.git""#,
        message: "`repository.url` is not a URL that git can be asked for",
        help: r#"write git://, ssh://, http:// or https://, a host and a path, for example: url = "git://10.77.3.80/site.git""#,
    },
    Wrong {
        law: "a key is written twice over",
        write: (r#"access_key = "bascule""#, "access_key = \"bascule\"\naccess_key_file = \"f\""),
        code: "BSC-M037",
        underlined: r#""f""#,
        message: "`regions.us-east-2.object_storage.access_key_file` stands beside `access_key`, which says the same",
        help: "keep one of access_key and access_key_file",
    },
    Wrong {
        law: "a bucket is replicated to one that is not there",
        write: (r#"replicated_to = "backups-west""#, r#"replicated_to = "backups-east""#),
        code: "BSC-M038",
        underlined: r#""backups-east""#,
        message: r#""backups-east" is no bucket of the other region in this manifest"#,
        help: r#"write, for example: replicated_to = "backups-west""#,
    },
    Wrong {
        law: "two copies are one",
        write: ("ssh://git@code.events.test:2222/site.git", "git://10.77.3.80/site.git"),
        code: "BSC-M039",
        underlined: r#""git://10.77.3.80/site.git""#,
        message: r#"two copies have the url "git://10.77.3.80/site.git""#,
        help: "keep one of them, or write the other's own url",
    },
    Wrong {
        law: "what the site is without is described",
        write: (r#"without = ["kubernetes"]"#, r#"without = ["kubernetes", "repository"]"#),
        code: "BSC-M041",
        underlined: r#""repository""#,
        message: r#"the site is said to be without "repository", and one is described"#,
        help: r#"take "repository" out of `without`, or delete the section"#,
    },
    Wrong {
        law: "a site can't be without what a move needs",
        write: (r#"without = ["kubernetes"]"#, r#"without = ["database"]"#),
        code: "BSC-M011",
        underlined: r#""database""#,
        message: r#"`site.without` cannot be "database""#,
        help: r#"write "kubernetes" or "object_storage" or "key_pair" or "monitoring" or "repository""#,
    },
    Wrong {
        law: "a zone has an instance that the region has not",
        write: (r#"instances = ["10.77.1.32:8080"]"#, r#"instances = ["10.77.2.31:8080"]"#),
        code: "BSC-M042",
        underlined: r#""10.77.2.31:8080""#,
        message: "10.77.2.31:8080 is in a zone and is no instance of us-east-2",
        help: "add it to the instances of [regions.us-east-2.compute], or write the address of one of them",
    },
    Wrong {
        law: "an instance is in two zones",
        write: (r#"instances = ["10.77.1.32:8080"]"#, r#"instances = ["10.77.1.31:8080"]"#),
        code: "BSC-M042",
        underlined: r#""10.77.1.31:8080""#,
        message: "10.77.1.31:8080 is in a zone twice",
        help: "keep it in the zone that it is in",
    },
    Wrong {
        law: "the manifest's path leads out of the repository",
        write: ("sites/bascule.toml", "../bascule.toml"),
        code: "BSC-M012",
        underlined: r#""../bascule.toml""#,
        message: "`repository.manifest` is not a path inside the repository",
        help: r#"write it from the repository's top, for example: manifest = "bascule.toml""#,
    },
    Wrong {
        law: "a key pair has no public half",
        write: ("public_key_file = \"keys/deploy.pub\"\n", ""),
        code: "BSC-M005",
        underlined: "[[regions.us-east-2.key_pairs]]",
        message: "[[regions.us-east-2.key_pairs]] has no `public_key_file`",
        help: r#"add: public_key_file = "keys/deploy.pub""#,
    },
    Wrong {
        law: "the secret itself stands there",
        write: (r#"access_key_file = "secrets/access-key""#, "access_key = \"x\"\nsecret_key = \"hunter2\""),
        code: "BSC-M007",
        underlined: "secret_key",
        message: "[[regions.us-west-1.object_storage]] holds a secret, `secret_key`",
        help: r#"put the secret into a file, and name the file: secret_key_file = "secrets/storage""#,
    },
    Wrong {
        law: "a range is an address in one",
        write: (r#""10.77.1.0/24""#, r#""10.77.1.1/24""#),
        code: "BSC-M010",
        underlined: r#""10.77.1.1/24""#,
        message: "`regions.us-east-2.network.ranges` has something in it that is not an address range",
        help: r#"write the first address and the length of the prefix: "10.77.1.0/24""#,
    },
    Wrong {
        law: "two secrets are one",
        write: (
            "name = \"database\"\n",
            "name = \"mail\"\nfile = \"secrets/mail\"\n\n[[regions.us-east-2.secrets]]\nname = \"mail\"\n",
        ),
        code: "BSC-M039",
        underlined: r#""mail""#,
        message: r#"two secrets have the name "mail""#,
        help: "give each, in a region, a name of its own",
    },
    Wrong {
        law: "an owner is empty",
        write: (r#""Ada, on call""#, r#""""#),
        code: "BSC-M012",
        underlined: r#""""#,
        message: "`site.owner` is empty",
        help: r#"write 1 to 200 bytes, no control characters; for example: owner = "on-call <sre@events.test>""#,
    },
];
