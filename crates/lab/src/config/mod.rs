//! The text of every configuration file, made by pure functions from the plan and the secrets.
//!
//! Invariant: both regions' files are the same but for addresses, and for the block that makes the second
//! region's cluster a standby when the lab is new; so a move needs no change of configuration.

pub mod backup;
pub mod etcd;
pub mod haproxy;
pub mod hosts;
pub mod knot;
pub mod patroni;
pub mod pgbouncer;
pub mod prometheus;
pub mod repository;
pub mod seaweed;

use crate::assets::Assets;
use crate::plan::LabPlan;
use crate::secrets::Secrets;

/// A file for the lab's `conf` folder.
pub struct ConfFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Every configuration file of a lab.
#[must_use]
pub fn files(plan: &LabPlan, secrets: &Secrets) -> Vec<ConfFile> {
    let mut files = vec![
        ConfFile { name: "hosts".to_owned(), text: hosts::hosts(plan) },
        ConfFile { name: "bootstrap.sql".to_owned(), text: patroni::bootstrap_sql(plan, secrets) },
        ConfFile { name: "bootstrap.sh".to_owned(), text: patroni::bootstrap_script() },
        ConfFile { name: "pgbouncer-users.txt".to_owned(), text: pgbouncer::users(plan, secrets) },
        ConfFile { name: "events.test.zone".to_owned(), text: knot::zone(plan) },
    ];
    for server in plan.name_servers() {
        files.push(ConfFile {
            name: format!("{}.conf", server.name),
            text: knot::config(plan, server, secrets),
        });
    }
    for region in &plan.regions {
        files.push(ConfFile { name: format!("{}.cfg", region.lb.name), text: haproxy::config(plan, region) });
        files.push(ConfFile { name: format!("{}.map", region.lb.name), text: haproxy::gate_at_boot() });
        files.push(ConfFile {
            name: format!("{}.ini", region.pool.name),
            text: pgbouncer::config(plan, region),
        });
        for node in &region.nodes {
            let text = patroni::config(plan, region, node, secrets);
            files.push(ConfFile { name: format!("{}.yml", node.name), text });
        }
    }
    files.extend(plan.assets.iter().flat_map(|assets| asset_files(plan, assets, secrets)));
    files
}

fn asset_files(plan: &LabPlan, assets: &Assets, secrets: &Secrets) -> Vec<ConfFile> {
    let mut files = repository::files(assets);
    let mut add = |name: String, text| files.push(ConfFile { name, text });
    add(seaweed::SECURITY.to_owned(), seaweed::security(secrets));
    add(seaweed::VERSIONING.to_owned(), seaweed::versioning());
    add(seaweed::ENCRYPTION.to_owned(), seaweed::encryption());
    for region in &plan.regions {
        let Some((own, peer)) = assets.of(region) else { continue };
        add(backup::file(own), backup::script(plan, assets, region, own, secrets));
        add(seaweed::sync_file(own), seaweed::sync(assets, own, peer));
        add(format!("{}.json", own.storage.name), seaweed::identities(assets, secrets));
        add(format!("{}.yml", own.monitor.name), prometheus::config(plan, assets, region));
    }
    files
}

#[cfg(test)]
mod tests;
