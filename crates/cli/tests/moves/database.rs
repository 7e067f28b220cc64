//! Both regions' databases, asked directly: what is in them, and which history they are on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::eventually;
use crate::site::{EAST, Site};

/// Each table's rows, counted and hashed.
pub type Tables = BTreeMap<String, String>;

pub fn address(member: &str) -> String {
    let (region, number) = member.rsplit_once("-db").unwrap();
    format!("10.77.{}.1{number}", if region == EAST { 1 } else { 2 })
}

/// SQL on a member itself, as whom bascule manages it: no gate is between.
pub fn sql(site: &Site, member: &str, sql: &str) -> Result<String, String> {
    let password = std::fs::read_to_string(site.lab.dir.join("secrets/management")).unwrap();
    let (password, host) = (format!("PGPASSWORD={password}"), address(member));
    let psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", &host, "-U", "bascule", "-c", sql, "events"];
    site.lab.at("clients", &[&["env", &password, "PGCONNECT_TIMEOUT=5", "timeout", "20"], &psql[..]].concat())
}

/// A region's database as `status` tells it, if it was seen.
pub fn observed(site: &Site, region: &str) -> Option<Value> {
    site.status().pointer(&format!("/regions/{region}/database/seen/value")).cloned()
}

pub fn leader(site: &Site, region: &str) -> String {
    observed(site, region).unwrap()["leader"].as_str().unwrap().to_owned()
}

/// The timeline a region's leader is on, once it is known.
pub fn timeline(site: &Site, region: &str) -> u32 {
    let mut found = None;
    let known = eventually(|| {
        found = observed(site, region).and_then(|d| u32::try_from(d["position"]["timeline"].as_u64()?).ok());
        found.is_some()
    });
    assert!(known, "the timeline of {region} is not known");
    found.unwrap()
}

/// Waits until a region's cluster leads itself, with every member well: a returned one does so by itself.
pub fn until_primary(site: &Site, region: &str) {
    let primary = || {
        observed(site, region).is_some_and(|d| d["role"] == "primary" && d["position"].is_object())
            && well(site, region) == 3
    };
    assert!(eventually(primary), "{:#?}", observed(site, region));
}

/// How many of a region's members are well: they stream from the leader, on its timeline.
pub fn well(site: &Site, region: &str) -> usize {
    let Some(database) = observed(site, region) else { return 0 };
    let members = database["members"].as_array().unwrap();
    let leads = members.iter().find(|m| m["leads"] == true);
    let is_well = |m: &&Value| {
        m["leads"] == true
            || m["state"] == "streaming" && leads.is_some_and(|l| l["timeline"] == m["timeline"])
    };
    members.iter().filter(is_well).count()
}

/// Where each timeline up to the leader's ended, in PostgreSQL's own file.
pub fn history(site: &Site, region: &str) -> String {
    let file = format!("pg_wal/{:08X}.history", timeline(site, region));
    sql(site, &leader(site, region), &format!("select pg_read_file('{file}')")).unwrap()
}

fn tables(site: &Site, region: &str) -> Tables {
    let leader = leader(site, region);
    let names = "select relname from pg_stat_user_tables where schemaname = 'public' order by 1";
    let names = sql(site, &leader, names).unwrap();
    // Readiness probes never stop writing to theirs.
    let names = names.lines().filter(|name| *name != "readiness");
    let content = |name: &str| {
        let rows = "count(*) || ' rows, ' || md5(coalesce(string_agg(t::text, '|' order by t::text), ''))";
        sql(site, &leader, &format!("select {rows} from public.{name} t")).unwrap()
    };
    names.map(|name| (name.to_owned(), content(name))).collect()
}

/// Asserts that both leaders hold the same, and gives it back. Nobody may be writing.
pub fn equal_tables(site: &Site) -> Tables {
    let mut both = (Tables::new(), Tables::new());
    let equal = eventually(|| {
        both = (tables(site, EAST), tables(site, crate::site::WEST));
        both.0 == both.1
    });
    assert!(equal, "{both:#?}");
    assert!(both.0.contains_key("events"), "{both:#?}");
    both.0
}
