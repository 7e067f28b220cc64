//! A manifest made from a document and code.
//!
//! What they say is filled in; every other value is a placeholder with a comment `# guess: …`. Addresses are from
//! the ranges that are kept for documentation (RFC 5737), and names without a zone from `.test` (RFC 6761), so
//! that a manifest which was not mended reaches nobody. The text is written by the manifest's own writer and is
//! read back by its reader, whatever the input.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bascule_core::asset::AssetKind;
use bascule_core::document::Document;
use bascule_core::id::RegionName;
use bascule_core::manifest::{
    Compute, Database, FrontDoor, HttpUrl, LoadBalancer, Manifest, Member, NameRecord, Names, Objective,
    Pool, Region, RegionDatabase, RegionPool, Scheme, Store, Target, TsigAlgorithm,
};

use super::wanted::wanted;
use super::{names, written_regions};
use crate::terraform::{Declared, Facts};
use crate::{Code, Finding};

/// The networks of the home region, the other one, and the third place: TEST-NET-1, -2 and -3.
const NETWORKS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];
/// Host numbers: 20 and 21 are the load balancer and the pool, 53 the name server; members are 101 to 160.
const MEMBERS_FROM: u8 = 101;
const MAX_MEMBERS: u32 = 60;
/// Instances are 161 to 250.
const INSTANCES_FROM: u8 = 161;
const MAX_INSTANCES: u32 = 90;
/// What a region needs to outlive the loss of one: the number that the checks ask for.
const USUAL: u32 = 3;

/// A manifest's text, and what could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text; [`Manifest::parse`] reads it.
    pub text: String,
    /// How many lines are marked as guesses.
    pub guesses: usize,
    /// What is missing from the input. Lines are the document's.
    pub findings: Vec<Finding>,
}

/// Write a manifest from what there is.
#[must_use]
pub fn write(document: Option<&Document>, declared: Option<&Declared>) -> Written {
    let mut writer = Writer { document, declared, notes: Notes::default(), findings: Vec::new() };
    let manifest = writer.manifest();
    let Writer { notes, findings, .. } = writer;
    let (text, guesses) = notes.annotate(&manifest.to_toml());
    Written { text, guesses, findings }
}

struct Writer<'a> {
    document: Option<&'a Document>,
    declared: Option<&'a Declared>,
    notes: Notes,
    findings: Vec<Finding>,
}

impl Writer<'_> {
    fn manifest(&mut self) -> Manifest {
        let [home, other] = self.regions();
        let names = self.names();
        let mut front = names.records.iter().filter(|record| record.target == Target::LoadBalancer);
        let host = front.next().map_or_else(|| names.zone.clone(), |record| record.name.clone());
        let database = self.database_name();
        self.engine();
        let placed = [(home.clone(), NETWORKS[0]), (other, NETWORKS[1])];
        let regions = placed.into_iter().map(|(name, net)| (name.clone(), self.region(&name, net))).collect();
        self.guess("site", "name", "the application's name is not in the input");
        for key in ["rpo", "rto", "max_pause"] {
            self.guess("objective", key, "what may be lost is yours to say");
        }
        self.guess("store", "kind", "one controller with a file: a person moves the site");
        self.guess("store", "path", "a usual name");
        self.guess("front_door", "url", "whether users come in by TLS is not in the input");
        self.guess("front_door", "user", "a user of the application, whom the proving write belongs to");
        for (section, key) in [
            ("database", "user"),
            ("database", "password_file"),
            ("database", "patroni_user"),
            ("database", "patroni_password_file"),
            ("pool", "user"),
            ("pool", "password_file"),
        ] {
            self.guess(section, key, "a usual name; secrets are not imported");
        }
        Manifest {
            site: "site".parse().expect("a label"),
            home,
            owner: None,
            without: BTreeSet::new(),
            objective: Objective {
                backup_rpo: None,
                rpo: Duration::from_secs(5),
                rto: Duration::from_secs(60),
                max_pause: Duration::from_secs(5),
            },
            store: Store::Sqlite { path: "bascule.db".into() },
            front_door: FrontDoor {
                url: HttpUrl { scheme: Scheme::Https, host, port: None },
                user: "bascule-verify".to_owned(),
            },
            database: Database {
                name: database.clone(),
                user: "bascule".to_owned(),
                password_file: "secrets/management".into(),
                patroni_user: "bascule".to_owned(),
                patroni_password_file: "secrets/patroni".into(),
            },
            pool: Pool { database, user: "bascule".to_owned(), password_file: "secrets/pool".into() },
            names,
            regions,
            automatic: None,
            witness: None,
            monitoring: Vec::new(),
            repositories: Vec::new(),
            lab: None,
        }
    }

    fn guess(&mut self, section: &str, key: &str, why: &str) {
        self.notes.guess(section, key, why);
    }

    fn finding(&mut self, code: Code, line: usize, message: String, remedy: &str) {
        self.findings.push(Finding::new(code, line, message, remedy));
    }

    /// The two regions, the one that is active first.
    fn regions(&mut self) -> [RegionName; 2] {
        let written = self.document.map(written_regions).unwrap_or_default();
        let line = written.first().map_or(0, |(_, line)| *line);
        let coded: Vec<RegionName> = self.declared.map_or(Vec::new(), |declared| {
            let names = declared.regions().into_iter();
            names.filter_map(super::as_region).collect()
        });
        let mut found: Vec<RegionName> = written.iter().map(|(region, _)| region.clone()).collect();
        let said = found.len();
        if said < 2 {
            found
                .extend(coded.into_iter().filter(|region| !written.iter().any(|(known, _)| known == region)));
        }
        if said == 0 && !found.is_empty() {
            self.guess("site", "home", "the code does not say which region is active");
        }
        let told = if self.document.is_some() { "the document and the code" } else { "the code" };
        let remedy = "name the two regions: bascule moves a site between exactly two";
        if found.len() != 2 {
            let names: Vec<&str> = found.iter().map(RegionName::as_str).collect();
            let message = match names.len() {
                0 => format!("{told} name no region that can be used"),
                1 => format!("{told} name only one region, {}", names[0]),
                _ => format!("{told} name {} regions: {}", names.len(), shortened(&names)),
            };
            self.finding(Code::SiteZones, line, message, remedy);
        }
        let doubt = found.len() > 2;
        for placeholder in ["region-a", "region-b"] {
            let placeholder: RegionName = placeholder.parse().expect("a label");
            if found.len() < 2 && !found.contains(&placeholder) {
                self.guess(
                    &format!("regions.{placeholder}.database"),
                    "",
                    "the region's name is not in the input",
                );
                if found.is_empty() {
                    self.guess("site", "home", "no region is named in the input");
                }
                found.push(placeholder);
            }
        }
        found.truncate(2);
        if doubt {
            self.guess("site", "home", "more than two regions are named; this is the first");
            for region in &found {
                self.notes.guess(&format!("regions.{region}.database"), "", "one of more than two regions");
            }
        }
        let [home, other] = [found.swap_remove(0), found.swap_remove(0)];
        [home, other]
    }

    fn names(&mut self) -> Names {
        let found = names::find(self.declared, &mut self.notes);
        for (key, why) in [
            ("update_server", "where updates go"),
            ("tsig_name", "the key that signs updates"),
            ("tsig_algorithm", "that key's algorithm"),
            ("tsig_secret_file", "a usual name; secrets are not imported"),
            ("servers", "the servers that users ask"),
        ] {
            self.guess("names", key, why);
        }
        let servers = NETWORKS.map(|net| socket(net, 53, 53)).to_vec();
        let records = found.records.iter();
        Names {
            update_server: servers[2],
            tsig_name: "bascule".parse().expect("a name"),
            tsig_algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret_file: "secrets/tsig".into(),
            servers,
            records: records
                .map(|record| NameRecord {
                    name: record.name.clone(),
                    target: record.target,
                    ttl: record.ttl,
                    move_ttl: Duration::from_secs(1),
                })
                .collect(),
            zone: found.zone,
        }
    }

    /// The application's database, if the code names exactly one that can be a name in a manifest.
    fn database_name(&mut self) -> String {
        let mut found: Vec<&str> = Vec::new();
        for resource in self.declared.iter().flat_map(|declared| &declared.resources) {
            let (Facts::Database { database, .. } | Facts::DatabaseCluster { database, .. }) =
                &resource.facts
            else {
                continue;
            };
            if let Some(Some(name)) = database.get()
                && !found.contains(&name.as_str())
            {
                found.push(name);
            }
        }
        let plain = |name: &str| {
            (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match found[..] {
            [name] if plain(name) => name.to_owned(),
            _ => {
                let why = if found.is_empty() { "no database is named" } else { "not one database is named" };
                self.guess("database", "name", why);
                self.guess("pool", "database", why);
                "app".to_owned()
            }
        }
    }

    /// What is moved is PostgreSQL.
    fn engine(&mut self) {
        for resource in self.declared.iter().flat_map(|declared| &declared.resources) {
            let engine = match &resource.facts {
                Facts::Database { engine, .. } | Facts::DatabaseCluster { engine, .. } => engine.get(),
                _ => continue,
            };
            if let Some(Some(engine)) = engine
                && !engine.contains("postgres")
            {
                let shown: String = engine.chars().filter(|c| !c.is_control()).take(40).collect();
                let message = format!("{} is {shown}; bascule moves PostgreSQL", resource.address);
                let finding = Finding::new(Code::SiteEngine, 0, message, "move the data to PostgreSQL first");
                return self.findings.push(finding);
            }
        }
    }

    fn region(&mut self, name: &RegionName, net: [u8; 3]) -> Region {
        let address = "an address is not in the input; this one is from a range for documentation";
        let (database, balancer) =
            (format!("regions.{name}.database"), format!("regions.{name}.load_balancer"));
        for (section, key) in [
            (&database, "replication"),
            (&database, "ingress"),
            (&balancer, "address"),
            (&balancer, "admin"),
            (&format!("regions.{name}.pool"), "address"),
            (&format!("regions.{name}.pool"), "admin"),
        ] {
            self.guess(section, key, address);
        }
        self.guess(&balancer, "gate_map", "a usual name");
        self.guess(&balancer, "database_backend", "a usual name");
        let (members, why) = self.number(name, AssetKind::Database, MAX_MEMBERS);
        for at in 0..members {
            let section = format!("{database}.members#{at}");
            self.guess(
                &section,
                "name",
                &format!("members' names are not in the input; {members} of them: {why}"),
            );
            self.guess(&section, "postgres", address);
            self.guess(&section, "patroni", address);
        }
        let (instances, why) = self.number(name, AssetKind::Compute, MAX_INSTANCES);
        let why = format!("addresses are not in the input; {instances} of them: {why}");
        self.guess(&format!("regions.{name}.compute"), "instances", &why);
        let port = self.port();
        Region {
            database: RegionDatabase {
                replication: socket(net, 20, 5434),
                ingress: socket(net, 20, 5433),
                members: (0..members)
                    .map(|at| Member {
                        name: format!("{name}-db{}", at + 1)
                            .parse()
                            .expect("a region's name is short enough"),
                        postgres: socket(net, MEMBERS_FROM + at, 5432),
                        patroni: socket(net, MEMBERS_FROM + at, 8008),
                    })
                    .collect(),
            },
            load_balancer: LoadBalancer {
                address: socket(net, 20, 0).ip(),
                admin: socket(net, 20, 9999),
                gate_map: "/etc/haproxy/gate.map".into(),
                database_backend: "db_local".to_owned(),
            },
            pool: RegionPool { address: socket(net, 21, 0).ip(), admin: socket(net, 21, 5432) },
            compute: Compute {
                instances: (0..instances).map(|at| socket(net, INSTANCES_FROM + at, port)).collect(),
                zones: Vec::new(),
            },
            keepers: Vec::new(),
            object_storage: Vec::new(),
            key_pairs: Vec::new(),
            ranges: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// How many a region has, at least one and at most so many, and why.
    fn number(&mut self, region: &RegionName, kind: AssetKind, most: u32) -> (u8, String) {
        let wanted = wanted(self.document, self.declared, kind, region.as_str(), USUAL);
        let number = wanted.number.clamp(1, most);
        if number != wanted.number {
            let what = kind.as_str();
            let message = format!("{region} is to have {} of {what}; {number} are written", wanted.number);
            let remedy = "write the others yourself: a manifest names each, and at least one";
            self.finding(Code::SiteNumber, 0, message, remedy);
        }
        let why = match wanted.guess {
            true => format!("{} (a guess)", wanted.source),
            false => wanted.source,
        };
        (u8::try_from(number).expect("both limits are below 100"), why)
    }

    /// The application's port, if all target groups have the same.
    fn port(&self) -> u16 {
        let mut found = BTreeMap::new();
        for resource in self.declared.iter().flat_map(|declared| &declared.resources) {
            if let Facts::TargetGroup { port, .. } = &resource.facts
                && let Some(Some(port)) = port.get()
            {
                found.insert(*port, ());
            }
        }
        let mut ports = found.into_keys();
        match (ports.next(), ports.next()) {
            (Some(port), None) => u16::try_from(port).ok().filter(|port| *port > 0).unwrap_or(8080),
            _ => 8080,
        }
    }
}

fn shortened(names: &[&str]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(5)].join(", "))
}

fn socket(net: [u8; 3], host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(net[0], net[1], net[2], host)), port)
}

/// Which values are guesses, by section and key. The sections of a list are numbered: `names.records#1`.
#[derive(Default)]
pub(super) struct Notes {
    guesses: BTreeMap<(String, String), String>,
}

impl Notes {
    /// Mark a value; no key marks the section. The first reason stays.
    pub(super) fn guess(&mut self, section: &str, key: &str, why: &str) {
        let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.guesses.entry((section.to_owned(), key.to_owned())).or_insert(why);
    }

    /// The text with a comment at each guess, and how many there are.
    fn annotate(&self, text: &str) -> (String, usize) {
        let mut out =
            "# Made by `bascule import`. Replace each value that is marked as a guess.\n\n".to_owned();
        let (mut section, mut seen, mut guesses) = (String::new(), BTreeMap::new(), 0);
        for line in text.lines() {
            let key = match heading(line) {
                Some((name, false)) => {
                    section = name.to_owned();
                    ""
                }
                Some((name, true)) => {
                    let number: &mut usize = seen.entry(name.to_owned()).or_default();
                    section = format!("{name}#{number}");
                    *number += 1;
                    ""
                }
                None => line.split_once(" = ").map_or("-", |(key, _)| key),
            };
            out.push_str(line);
            if let Some(why) =
                self.guesses.get(&(section.clone(), key.to_owned())).filter(|_| !line.is_empty())
            {
                out.push_str(&format!(" # guess: {why}"));
                guesses += 1;
            }
            out.push('\n');
        }
        (out, guesses)
    }
}

/// A section's name, and whether it is one of a list.
fn heading(line: &str) -> Option<(&str, bool)> {
    let list = line.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"));
    let one = || line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    list.map(|name| (name, true)).or_else(|| one().map(|name| (name, false)))
}
