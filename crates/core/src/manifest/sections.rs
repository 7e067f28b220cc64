//! The sections of the manifest: their keys, and how each becomes a type.
//!
//! Every function reads all its fields before it gives up on one, so that all mistakes are collected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ErrorCode, ManifestErrors};
use super::reader::{Keys, Reader, Section, is_secret};
use super::rules::{self, RecordFact};
use super::url;
use super::value::{self, quoted};
use super::{
    Compute, Database, FrontDoor, Lab, LoadBalancer, Manifest, Member, NameRecord, Names, Objective, Pool,
    Region, RegionDatabase, RegionPool, Target, TsigAlgorithm, VERSION, Zone,
};
use super::{assets, automatic, parity, store};
use crate::asset::AssetKind;
use crate::id::{RegionName, SiteName};

/// The longest manifest, in bytes: two regions with a thousand instances each take about 50 kB.
const MAX_BYTES: usize = 256 * 1024;
/// Syntax errors reported at most: the parser guesses on after each, and guesses worse each time.
const MAX_SYNTAX_ERRORS: usize = 8;
/// The longest objective: a promise beyond a month is none.
const MAX_OBJECTIVE: Duration = Duration::from_secs(30 * 86_400);
/// No backup is made and stored within less.
const MIN_BACKUP_RPO: Duration = Duration::from_secs(1);
/// A hold below this ends before a standby's feedback interval could show that it caught up.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Past this, clients' own timeouts (commonly 30 to 60 s) end what the hold was to save.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// What a name's time to live is lowered to if nothing is said: the shortest that DNS can say but 0.
const DEFAULT_MOVE_TTL: Duration = Duration::from_secs(1);

const ROOT: Keys = &[
    ("version", "1"),
    ("site", ""),
    ("objective", ""),
    ("store", ""),
    ("front_door", ""),
    ("database", ""),
    ("pool", ""),
    ("names", ""),
    ("regions", ""),
    ("automatic", ""),
    ("witness", ""),
    ("monitoring", ""),
    ("repository", ""),
    ("lab", ""),
];
const SITE: Keys = &[
    ("name", "\"events\""),
    ("home", "\"us-east-2\""),
    ("owner", "\"on-call <sre@events.test>\""),
    ("without", "[\"kubernetes\"]"),
];
const OBJECTIVE: Keys =
    &[("rpo", "\"5s\""), ("backup_rpo", "\"1h\""), ("rto", "\"60s\""), ("max_pause", "\"5s\"")];
const FRONT_DOOR: Keys = &[("url", "\"http://app.events.test\""), ("user", "\"bascule-verify\"")];
const DATABASE: Keys = &[
    ("name", "\"events\""),
    ("user", "\"bascule\""),
    ("password_file", "\"secrets/management\""),
    ("patroni_user", "\"bascule\""),
    ("patroni_password_file", "\"secrets/patroni\""),
];
const POOL: Keys =
    &[("database", "\"events\""), ("user", "\"bascule\""), ("password_file", "\"secrets/pool\"")];
const NAMES: Keys = &[
    ("zone", "\"events.test\""),
    ("update_server", "\"10.77.3.53:53\""),
    ("tsig_name", "\"bascule\""),
    ("tsig_algorithm", "\"hmac-sha256\""),
    ("tsig_secret_file", "\"secrets/tsig\""),
    ("servers", "[\"10.77.1.53:53\"]"),
    ("records", ""),
];
const RECORD: Keys = &[
    ("name", "\"app.events.test\""),
    ("target", "\"load_balancer\""),
    ("ttl", "\"30s\""),
    ("move_ttl", "\"1s\""),
];
const REGION: Keys = &[
    ("database", ""),
    ("load_balancer", ""),
    ("pool", ""),
    ("compute", ""),
    ("keepers", ""),
    ("object_storage", ""),
    ("key_pairs", ""),
    ("network", ""),
    ("secrets", ""),
];
const REGION_DATABASE: Keys =
    &[("replication", "\"10.77.1.20:5434\""), ("ingress", "\"10.77.1.20:5433\""), ("members", "")];
const MEMBER: Keys =
    &[("name", "\"us-east-2-db1\""), ("postgres", "\"10.77.1.11:5432\""), ("patroni", "\"10.77.1.11:8008\"")];
const LOAD_BALANCER: Keys = &[
    ("address", "\"10.77.1.20\""),
    ("admin", "\"10.77.1.20:9999\""),
    ("gate_map", "\"/etc/haproxy/gate.map\""),
    ("database_backend", "\"db_local\""),
];
const REGION_POOL: Keys = &[("address", "\"10.77.1.21\""), ("admin", "\"10.77.1.21:5432\"")];
const COMPUTE: Keys = &[("instances", "[\"10.77.1.31:8080\"]"), ("zones", "")];
const ZONE: Keys =
    &[("name", "\"us-east-2a\""), ("subnet", "\"subnet-1\""), ("instances", "[\"10.77.1.31:8080\"]")];
const LAB: Keys = &[("name", "\"lab\"")];

/// Read a manifest, see [`Manifest::parse`].
pub(super) fn read(text: &str) -> Result<Manifest, ManifestErrors> {
    let mut r = Reader::new(text);
    let manifest = document(&mut r, text);
    match manifest {
        Some(manifest) if r.errors.is_empty() => Ok(manifest),
        _ => {
            debug_assert!(!r.errors.is_empty(), "whatever could not be read was said");
            Err(ManifestErrors::new(r.errors, text, &r.secrets))
        }
    }
}

fn document(r: &mut Reader, text: &str) -> Option<Manifest> {
    if text.len() > MAX_BYTES {
        let message = format!("the manifest has {} bytes, and {MAX_BYTES} are read at most", text.len());
        let help = "is this the right file? split the application into several sites if it is";
        r.error(ErrorCode::TooLarge, &(0..0), message, "too large", help);
        return None;
    }
    let (table, wrong) = DeTable::parse_recoverable(text);
    r.find_secrets_in(table.get_ref());
    if !wrong.is_empty() {
        syntax(r, text, &wrong);
        return None;
    }
    // Another version may have other keys: what else is wrong with it is not ours to say.
    version(r, table.get_ref())?;
    let root = r.root(table.get_ref(), ROOT);
    r.field(&root, "version");
    let site = site(r, &root);
    let objective = objective(r, &root);
    let store = store::read(r, &root);
    let front_door = front_door(r, &root);
    let database = database(r, &root);
    let pool = pool(r, &root);
    let names = names(r, &root);
    let regions = regions(r, &root);
    let automatic = automatic::automatic(r, &root);
    let witness = automatic::witness(r, &root);
    let monitoring = assets::monitoring(r, &root);
    let repositories = assets::repositories(r, &root);
    let lab = r.optional_section(&root, "lab", LAB).map(|s| r.read(&s, "name", value::label));
    rules::check(r);
    let (site, home, owner, without) = site?;
    Some(Manifest {
        site,
        home,
        owner,
        without,
        objective: objective?,
        store: store?,
        front_door: front_door?,
        database: database?,
        pool: pool?,
        names: names?,
        regions: regions?,
        automatic: automatic?,
        witness: witness?,
        monitoring: monitoring?,
        repositories: repositories?,
        lab: match lab {
            None => None,
            Some(name) => Some(Lab { name: name?.into_inner() }),
        },
    })
}

fn version(r: &mut Reader, table: &DeTable<'_>) -> Option<()> {
    let Some(found) = table.get("version") else { return Some(()) };
    let written = match found.get_ref() {
        DeValue::Integer(number) if number.as_str() == VERSION.to_string() => return Some(()),
        DeValue::Integer(number) => format!("the manifest is of version {}", number.as_str()),
        DeValue::String(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => "the manifest's version is not a whole number".to_owned(),
    };
    let message = format!("{written}, and this bascule reads version {VERSION}");
    let help = format!("write version = {VERSION}, or use the bascule that this manifest was written for");
    r.error(ErrorCode::Version, &found.span(), message, format!("not {VERSION}"), help);
    None
}

fn syntax(r: &mut Reader, text: &str, wrong: &[toml::de::Error]) {
    let mut lines = Vec::new();
    for error in wrong {
        let span = error.span().unwrap_or(0..0);
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        if lines.contains(&start) || lines.len() == MAX_SYNTAX_ERRORS {
            continue;
        }
        lines.push(start);
        let line = text[start..].lines().next().unwrap_or("");
        // What is missing has no place of its own: the line up to there is underlined.
        let span = if span.is_empty() { start..span.start } else { span };
        let value = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let help = match value {
            _ if error.message() == "duplicate key" && line.starts_with('[') => {
                "keep one of the two; each section of a list begins with [[two brackets]]".to_owned()
            }
            _ if error.message() == "duplicate key" => "keep one of the two".to_owned(),
            Some((key, _)) if is_secret(key) => {
                format!("delete it, and name a file: {key}_file = \"secrets/…\"")
            }
            // What stands before an @ may be a login: it is not repeated.
            Some((key, value)) if !value.starts_with(['"', '\'', '[', '{']) && !value.contains('@') => {
                let value = value.split('#').next().unwrap_or(value).trim().trim_matches(['"', '\'']);
                format!("texts stand in quotes; write {key} = {}", quoted(value))
            }
            Some((key, _)) => format!("write {key} = \"text\", a number, or a list in [ ], on one line"),
            None => "write key = \"text\", [section] or [[list]], or begin a comment with #".to_owned(),
        };
        let message = format!("the manifest is not TOML: {}", error.message());
        r.error(ErrorCode::Syntax, &span, message, "not understood", help);
    }
}

/// Where a key of a section stands, as a line from 1.
pub(super) fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let (root, _) = DeTable::parse_recoverable(text);
    let DeValue::Table(table) = root.get_ref().get(section)?.get_ref() else { return None };
    let (found, _) = table.get_key_value(key)?;
    text.get(..found.span().start).map(|before| before.matches('\n').count() + 1)
}

type SiteSection = (SiteName, RegionName, Option<String>, BTreeSet<AssetKind>);

fn site<'t>(r: &mut Reader, root: &Section<'t>) -> Option<SiteSection> {
    let s = r.section(root, "site", SITE)?;
    let name = r.read(&s, "name", value::name::<SiteName>);
    let home = r.read(&s, "home", value::name::<RegionName>);
    let owner = r.read_optional(&s, "owner", value::line);
    let without = assets::without(r, &s);
    r.facts.home = home.as_ref().map(|h| Spanned::new(h.span(), h.get_ref().as_str().to_owned()));
    Some((name?.into_inner(), home?.into_inner(), owner?.map(Spanned::into_inner), without?))
}

fn objective<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Objective> {
    let s = r.section(root, "objective", OBJECTIVE)?;
    let rpo = r.read(&s, "rpo", |r, f| value::duration(r, f, Duration::ZERO, MAX_OBJECTIVE));
    let backup =
        r.read_optional(&s, "backup_rpo", |r, f| value::duration(r, f, MIN_BACKUP_RPO, MAX_OBJECTIVE));
    let rto = r.read(&s, "rto", |r, f| value::duration(r, f, Duration::ZERO, MAX_OBJECTIVE));
    let pause = r.read(&s, "max_pause", |r, f| value::duration(r, f, MIN_PAUSE, MAX_PAUSE));
    r.facts.rpo.clone_from(&rpo);
    r.facts.rto_and_pause = rto.clone().zip(pause.as_ref().map(|pause| *pause.get_ref()));
    Some(Objective {
        rpo: rpo?.into_inner(),
        backup_rpo: backup?.map(Spanned::into_inner),
        rto: rto?.into_inner(),
        max_pause: pause?.into_inner(),
    })
}

fn front_door<'t>(r: &mut Reader, root: &Section<'t>) -> Option<FrontDoor> {
    let s = r.section(root, "front_door", FRONT_DOOR)?;
    let url = r.read(&s, "url", url::url);
    let user = r.read(&s, "user", value::identifier);
    r.facts.front_door.clone_from(&url);
    Some(FrontDoor { url: url?.into_inner(), user: user?.into_inner() })
}

fn database<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Database> {
    let s = r.section(root, "database", DATABASE)?;
    let name = r.read(&s, "name", value::identifier);
    let user = r.read(&s, "user", value::identifier);
    let password_file = r.read(&s, "password_file", value::path);
    let patroni_user = r.read(&s, "patroni_user", value::identifier);
    let patroni_password_file = r.read(&s, "patroni_password_file", value::path);
    Some(Database {
        name: name?.into_inner(),
        user: user?.into_inner(),
        password_file: password_file?.into_inner(),
        patroni_user: patroni_user?.into_inner(),
        patroni_password_file: patroni_password_file?.into_inner(),
    })
}

fn pool<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Pool> {
    let s = r.section(root, "pool", POOL)?;
    let database = r.read(&s, "database", value::identifier);
    let user = r.read(&s, "user", value::identifier);
    let password_file = r.read(&s, "password_file", value::path);
    Some(Pool {
        database: database?.into_inner(),
        user: user?.into_inner(),
        password_file: password_file?.into_inner(),
    })
}

fn names<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Names> {
    let s = r.section(root, "names", NAMES)?;
    let zone = r.read(&s, "zone", value::name);
    let update_server = r.read(&s, "update_server", value::socket);
    let tsig_name = r.read(&s, "tsig_name", value::name);
    let algorithm = |r: &mut Reader, f: &_| value::choice(r, f, &TsigAlgorithm::ALL, TsigAlgorithm::as_str);
    let tsig_algorithm = r.read(&s, "tsig_algorithm", algorithm);
    let tsig_secret_file = r.read(&s, "tsig_secret_file", value::path);
    let servers = r.read_list(&s, "servers", value::socket);
    let sections = r.sections(&s, "records", RECORD);
    let records: Vec<_> = sections.iter().map(|s| record(r, s)).collect();
    r.facts.names = Some(s.span);
    r.facts.zone.clone_from(&zone);
    r.facts.update_server.clone_from(&update_server);
    r.facts.servers = servers.clone().unwrap_or_default();
    r.facts.records_incomplete = records.iter().any(Option::is_none);
    Some(Names {
        zone: zone?.into_inner(),
        update_server: update_server?.into_inner(),
        tsig_name: tsig_name?.into_inner(),
        tsig_algorithm: tsig_algorithm?.into_inner(),
        tsig_secret_file: tsig_secret_file?.into_inner(),
        servers: servers?.into_iter().map(Spanned::into_inner).collect(),
        records: records.into_iter().collect::<Option<_>>()?,
    })
}

fn record<'t>(r: &mut Reader, s: &Section<'t>) -> Option<NameRecord> {
    let name = r.read(s, "name", value::name);
    let target = r.read(s, "target", |r, f| value::choice(r, f, &Target::ALL, Target::as_str));
    let ttl = r.read(s, "ttl", value::ttl);
    let move_ttl = r.read_optional(s, "move_ttl", value::ttl);
    let (name, target, ttl, move_ttl) = (name?, target?.into_inner(), ttl?.into_inner(), move_ttl?);
    let chosen = move_ttl.as_ref().map_or(DEFAULT_MOVE_TTL, |found| *found.get_ref());
    r.facts.records.push(RecordFact { name: name.clone(), target, ttl, move_ttl });
    Some(NameRecord { name: name.into_inner(), target, ttl, move_ttl: chosen })
}

fn regions<'t>(r: &mut Reader, root: &Section<'t>) -> Option<BTreeMap<RegionName, Region>> {
    // A region may have any name, so the section has no keys of its own.
    let s = r.section(root, "regions", &[])?;
    let mut found = Vec::new();
    let mut regions = Vec::new();
    for (key, value) in s.entries() {
        found.push(Spanned::new(key.span(), (*key.get_ref()).to_owned()));
        let name = key.get_ref().parse::<RegionName>();
        if let Err(wrong) = &name {
            let message = format!("{} is not a valid {}", quoted(key.get_ref()), wrong.kind);
            let help = "write, for example: [regions.us-east-2.database]";
            r.error(ErrorCode::InvalidName, &key.span(), message, wrong.rule, help);
        }
        let path = format!("regions.{}", key.get_ref());
        let parts = r.value_as_section(path, value, REGION, false);
        let parts = parts.and_then(|s| region(r, &s, &key));
        regions.push(name.ok().zip(parts));
    }
    found.sort_by_key(|name| name.span().start);
    r.facts.regions = Some(found);
    regions.into_iter().collect()
}

fn region<'t>(r: &mut Reader, s: &Section<'t>, key: &Spanned<&str>) -> Option<Region> {
    let name = key.get_ref();
    let database = region_database(r, s, name);
    let load_balancer = load_balancer(r, s, name);
    let pool = region_pool(r, s, name);
    let compute = compute(r, s, name);
    let keepers = automatic::keepers(r, s, key);
    let object_storage = assets::object_storage(r, s, name);
    let key_pairs = assets::key_pairs(r, s, name);
    let ranges = parity::ranges(r, s);
    let secrets = parity::secrets(r, s, name);
    Some(Region {
        database: database?,
        load_balancer: load_balancer?,
        pool: pool?,
        compute: compute?,
        keepers: keepers?,
        object_storage: object_storage?,
        key_pairs: key_pairs?,
        ranges: ranges?,
        secrets: secrets?,
    })
}

fn region_database<'t>(r: &mut Reader, parent: &Section<'t>, region: &str) -> Option<RegionDatabase> {
    let s = r.section(parent, "database", REGION_DATABASE)?;
    let replication = endpoint(r, &s, "replication", format!("the replication of {region}"));
    let ingress = endpoint(r, &s, "ingress", format!("the ingress of {region}"));
    let sections = r.sections(&s, "members", MEMBER);
    let empty = sections.is_empty();
    let members: Vec<_> = sections.iter().map(|s| member(r, s)).collect();
    let members = members.into_iter().collect::<Option<Vec<_>>>().filter(|_| !empty);
    Some(RegionDatabase { replication: replication?, ingress: ingress?, members: members? })
}

fn member<'t>(r: &mut Reader, s: &Section<'t>) -> Option<Member> {
    let name = r.read(s, "name", value::name);
    let called = name.as_ref().map_or("a member".to_owned(), |n: &Spanned<_>| format!("{}", n.get_ref()));
    let postgres = endpoint(r, s, "postgres", format!("the PostgreSQL of {called}"));
    let patroni = endpoint(r, s, "patroni", format!("the Patroni of {called}"));
    r.facts.members.extend(name.clone());
    Some(Member { name: name?.into_inner(), postgres: postgres?, patroni: patroni? })
}

fn load_balancer<'t>(r: &mut Reader, parent: &Section<'t>, region: &str) -> Option<LoadBalancer> {
    let s = r.section(parent, "load_balancer", LOAD_BALANCER)?;
    let address = r.read(&s, "address", value::ip);
    let admin = endpoint(r, &s, "admin", format!("the runtime API of the load balancer of {region}"));
    let gate_map = r.read(&s, "gate_map", value::remote_path);
    let database_backend = r.read(&s, "database_backend", value::identifier);
    r.facts.targets.extend(address.clone().map(|at| (Target::LoadBalancer, at)));
    Some(LoadBalancer {
        address: address?.into_inner(),
        admin: admin?,
        gate_map: gate_map?.into_inner(),
        database_backend: database_backend?.into_inner(),
    })
}

fn region_pool<'t>(r: &mut Reader, parent: &Section<'t>, region: &str) -> Option<RegionPool> {
    let s = r.section(parent, "pool", REGION_POOL)?;
    let address = r.read(&s, "address", value::ip);
    let admin = endpoint(r, &s, "admin", format!("the console of the pool of {region}"));
    r.facts.targets.extend(address.clone().map(|at| (Target::Pool, at)));
    Some(RegionPool { address: address?.into_inner(), admin: admin? })
}

fn compute<'t>(r: &mut Reader, parent: &Section<'t>, region: &str) -> Option<Compute> {
    let s = r.section(parent, "compute", COMPUTE)?;
    let instances = r.read_list(&s, "instances", value::socket);
    let zones = assets::optional_list(r, &s, "zones", ZONE, zone);
    let (instances, zones) = (instances?, zones?);
    zones_have(r, &instances, &zones, region);
    let what = format!("an instance of {region}");
    r.facts.endpoints.extend(instances.iter().map(|at| (at.clone(), what.clone())));
    let plain = |list: Vec<Spanned<_>>| list.into_iter().map(Spanned::into_inner).collect();
    let zone = |(name, subnet, instances)| Zone { name, subnet, instances: plain(instances) };
    Some(Compute { instances: plain(instances), zones: zones.into_iter().map(zone).collect() })
}

/// A zone's name, its subnet, and the instances in it.
type ZoneFound = (String, Option<String>, Vec<Spanned<std::net::SocketAddr>>);

fn zone<'t>(r: &mut Reader, s: &Section<'t>) -> Option<ZoneFound> {
    let name = r.read(s, "name", value::line);
    let subnet = r.read_optional(s, "subnet", value::line);
    let instances = r.read_list(s, "instances", value::socket);
    Some((name?.into_inner(), subnet?.map(Spanned::into_inner), instances?))
}

/// Each instance of a zone is one of the region's, and in no other zone.
fn zones_have(
    r: &mut Reader,
    instances: &[Spanned<std::net::SocketAddr>],
    zones: &[ZoneFound],
    region: &str,
) {
    let mut seen: BTreeMap<std::net::SocketAddr, std::ops::Range<usize>> = BTreeMap::new();
    for at in zones.iter().flat_map(|(_, _, instances)| instances) {
        let socket = *at.get_ref();
        if let Some(first) = seen.insert(socket, at.span()) {
            let message = format!("{socket} is in a zone twice");
            r.error(
                ErrorCode::ZoneInstance,
                &at.span(),
                message,
                "used twice",
                "keep it in the zone that it is in",
            );
            r.note(first, "the first is here");
        } else if instances.iter().all(|instance| *instance.get_ref() != socket) {
            let message = format!("{socket} is in a zone and is no instance of {region}");
            let help = format!(
                "add it to the instances of [regions.{region}.compute], or write the address of one of them"
            );
            r.error(ErrorCode::ZoneInstance, &at.span(), message, "no such instance", help);
        }
    }
}

/// An address with a port where one thing is, and nothing else may be.
fn endpoint<'t>(
    r: &mut Reader,
    s: &Section<'t>,
    key: &'static str,
    what: String,
) -> Option<std::net::SocketAddr> {
    let socket = r.read(s, key, value::socket)?;
    r.facts.endpoints.push((socket.clone(), what));
    Some(socket.into_inner())
}
