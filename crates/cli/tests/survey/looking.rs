//! A lab that is looked at: what its checks find, and the ways in which the tests break it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::EAST;
use crate::rig::Lab;

/// For a fault to show or to heal: a replica that is made anew takes 10 s on idle cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lab's own.
const MANIFEST: &str = bascule_lab::manifest::FILE;
/// Between two looks: each is sixty questions to the site.
const AGAIN: Duration = Duration::from_millis(500);

pub struct Looking {
    pub lab: Lab,
}

/// What a command that ended said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// What a check found.
#[derive(Debug)]
pub struct Seen {
    pub fails: BTreeSet<String>,
    pub unknown: BTreeSet<String>,
    pub out: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Looking {
    pub fn at(name: &str) -> Self {
        Self { lab: Lab::up_with(name, &[]) }
    }

    pub fn bascule(&self, args: &[&str]) -> Said {
        self.bascule_on(MANIFEST, args)
    }

    pub fn bascule_on(&self, manifest: &str, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
        command.args(args).env("BASCULE_MANIFEST", self.lab.dir.join(manifest)).current_dir("/");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What the checks of this manifest find.
    fn seen_by(&self, manifest: &str) -> Seen {
        let said = self.bascule_on(manifest, &["check", "--json"]);
        let codes = |answer: &str| {
            let checks = said.json()["checks"].as_array().unwrap().clone();
            let such = checks.into_iter().filter(|check| check["answer"] == answer);
            such.map(|check| check["code"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let (fails, unknown) = (codes("fails"), codes("unknown"));
        let wanted = match (fails.is_empty(), unknown.is_empty()) {
            (true, true) => 0,
            (true, false) => 8,
            (false, _) => 3,
        };
        assert_eq!(said.code, Some(wanted), "{}", said.err);
        Seen { fails, unknown, out: said.out }
    }

    /// Waits until these checks fail, these are unknown, and all others hold.
    #[track_caller]
    pub fn finds(&self, fails: &[&str], unknown: &[&str]) -> Seen {
        self.finds_by(MANIFEST, fails, unknown)
    }

    /// The same, by another manifest.
    #[track_caller]
    pub fn finds_by(&self, manifest: &str, fails: &[&str], unknown: &[&str]) -> Seen {
        let set = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<_>>();
        let (fails, unknown) = (set(fails), set(unknown));
        let what = format!("fails {fails:?}, unknown {unknown:?}");
        self.until_by(manifest, &what, |seen| seen.fails == fails && seen.unknown == unknown)
    }

    #[track_caller]
    pub fn until(&self, what: &str, right: impl Fn(&Seen) -> bool) -> Seen {
        self.until_by(MANIFEST, what, right)
    }

    #[track_caller]
    fn until_by(&self, manifest: &str, what: &str, right: impl Fn(&Seen) -> bool) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.seen_by(manifest);
            if right(&seen) {
                return seen;
            }
            let (fails, unknown) = (&seen.fails, &seen.unknown);
            if begun.elapsed() > PATIENCE {
                panic!("waited for {what}; but fails {fails:?}, unknown {unknown:?}:\n{}", seen.out);
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Waits until the document matches: on busy cores a part may not answer in the survey's time, and is unknown then.
    #[track_caller]
    pub fn matches(&self, file: &str) {
        let begun = Instant::now();
        loop {
            let said = self.bascule(&["document", "--check", file]);
            if said.code == Some(0) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{}{}", said.out, said.err);
            std::thread::sleep(AGAIN);
        }
    }

    /// The first part of a region whose name has this in it.
    pub fn part(&self, region: &str, what: &str) -> String {
        let status = self.lab.status();
        let names = status["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap());
        names.filter(|name| name.starts_with(region) && name.contains(what)).min().unwrap().to_owned()
    }

    /// The address of a database node, as the manifest has it.
    fn address(&self, member: &str, port: &str) -> String {
        let text = std::fs::read_to_string(self.lab.dir.join(MANIFEST)).unwrap();
        let (_, node) = text.split_once(&format!("name = \"{member}\"\n")).unwrap();
        let (_, address) = node.split_once(&format!("{port} = \"")).unwrap();
        address.split(':').next().unwrap().to_owned()
    }

    fn secret(&self, name: &str) -> String {
        std::fs::read_to_string(self.lab.dir.join("secrets").join(name)).unwrap().trim().to_owned()
    }

    /// Change the settings of a region's cluster.
    #[track_caller]
    pub fn patroni(&self, region: &str, change: &str) {
        let net = self.address(&format!("{region}-db1"), "patroni");
        let (login, url) =
            (format!("bascule:{}", self.secret("patroni_rest")), format!("http://{net}:8008/config"));
        self.lab.at("clients", &["curl", "-sSf", "-X", "PATCH", "-u", &login, "-d", change, &url]).unwrap();
    }

    /// SQL of the superuser at a member.
    #[track_caller]
    pub fn superuser(&self, region: &str, member: &str, sql: &str) -> String {
        let host = self.address(member, "postgres");
        let password = format!("PGPASSWORD={}", self.secret("superuser"));
        let psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", &host, "-U", "postgres", "-c", sql];
        self.lab
            .at(region, &[&["env", &password, "timeout", "20"], &psql[..], &["postgres"]].concat())
            .unwrap()
    }

    /// Change the zone.
    #[track_caller]
    pub fn zone(&self, change: &str) {
        let key = format!("hmac-sha256:bascule:{}", self.secret("tsig"));
        let words = format!("server 10.77.3.53\nzone events.test.\n{change}\nsend\n");
        let script = format!("printf '%s' \"$1\" | knsupdate -y '{key}'");
        self.lab.at("clients", &["sh", "-c", &script, "sh", &words]).unwrap();
    }

    /// A signed question to a region's bucket: `path` begins with a slash if it is of an object.
    #[track_caller]
    pub fn bucket(&self, region: &str, path: &str, options: &[&str]) {
        let network = if region == EAST { 1 } else { 2 };
        let url = format!("http://10.77.{network}.70:8333/events-backups-{region}{path}");
        let (user, scope) = (format!("bascule:{}", self.secret("storage")), format!("aws:amz:{region}:s3"));
        let signed = ["--user", &user, "--aws-sigv4", &scope];
        let (status, body) = self.lab.http("clients", &url, &[&signed, options].concat()).unwrap();
        assert!((200..300).contains(&status), "{url} answers {status}: {body}");
    }

    /// The manifest with a change, in a file beside it.
    #[track_caller]
    pub fn manifest_with(&self, change: impl FnOnce(&str) -> String) -> &'static str {
        let text = std::fs::read_to_string(self.lab.dir.join(MANIFEST)).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed);
        std::fs::write(self.lab.dir.join("other.toml"), changed).unwrap();
        "other.toml"
    }
}
