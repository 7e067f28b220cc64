//! A manifest as a file. What is written here is read back by the reader as the same value.

use std::fmt::Display;
use std::path::Path;

use super::value::{quoted, show, show_max_data_loss};
use super::{AccessKey, Automatic, Manifest, ObjectStorage, PublicHalf, Region, Store, VERSION};
use crate::id::RegionName;

pub(super) fn to_toml(manifest: &Manifest) -> String {
    let Manifest {
        site,
        home,
        owner,
        without,
        objective,
        store,
        front_door,
        database,
        pool,
        names,
        regions,
        automatic,
        witness,
        monitoring,
        repositories,
        lab,
    } = manifest;
    let mut file = File { text: format!("version = {VERSION}\n") };
    file.section("[site]").text("name", site).text("home", home);
    if let Some(owner) = owner {
        file.text("owner", owner);
    }
    if !without.is_empty() {
        let kinds: Vec<_> = without.iter().map(|kind| kind.as_str()).collect();
        file.list("without", &kinds);
    }
    file.section("[objective]").text("rpo", show(objective.rpo));
    if let Some(age) = objective.backup_rpo {
        file.text("backup_rpo", show(age));
    }
    file.text("rto", show(objective.rto)).text("max_pause", show(objective.max_pause));
    write_store(&mut file, store);
    file.section("[front_door]").text("url", &front_door.url).text("user", &front_door.user);
    file.section("[database]")
        .text("name", &database.name)
        .text("user", &database.user)
        .path("password_file", &database.password_file)
        .text("patroni_user", &database.patroni_user)
        .path("patroni_password_file", &database.patroni_password_file);
    file.section("[pool]")
        .text("database", &pool.database)
        .text("user", &pool.user)
        .path("password_file", &pool.password_file);
    file.section("[names]")
        .text("zone", &names.zone)
        .text("update_server", names.update_server)
        .text("tsig_name", &names.tsig_name)
        .text("tsig_algorithm", names.tsig_algorithm.as_str())
        .path("tsig_secret_file", &names.tsig_secret_file)
        .list("servers", &names.servers);
    for record in &names.records {
        file.section("[[names.records]]")
            .text("name", &record.name)
            .text("target", record.target.as_str())
            .text("ttl", show(record.ttl))
            .text("move_ttl", show(record.move_ttl));
    }
    for (name, region) in regions {
        write_region(&mut file, name, region);
    }
    if let Some(automatic) = automatic {
        write_automatic(&mut file, automatic);
    }
    if let Some(witness) = witness {
        file.section("[witness]").text("address", witness.address);
    }
    for monitor in monitoring {
        file.section("[[monitoring]]").text("name", &monitor.name).text("url", &monitor.url);
        if let Some(place) = &monitor.place {
            file.text("place", place);
        }
    }
    for copy in repositories {
        file.section("[[repository]]")
            .text("name", &copy.name)
            .text("url", &copy.url)
            .text("place", &copy.place);
        if let Some(manifest) = &copy.manifest {
            file.text("manifest", manifest);
        }
    }
    if let Some(lab) = lab {
        file.section("[lab]").text("name", &lab.name);
    }
    file.text
}

fn write_region(file: &mut File, name: &RegionName, region: &Region) {
    let Region {
        database,
        load_balancer,
        pool,
        compute,
        keepers,
        object_storage,
        key_pairs,
        ranges,
        secrets,
    } = region;
    file.section(&format!("[regions.{name}.database]"))
        .text("replication", database.replication)
        .text("ingress", database.ingress);
    for member in &database.members {
        file.section(&format!("[[regions.{name}.database.members]]"))
            .text("name", &member.name)
            .text("postgres", member.postgres)
            .text("patroni", member.patroni);
    }
    file.section(&format!("[regions.{name}.load_balancer]"))
        .text("address", load_balancer.address)
        .text("admin", load_balancer.admin)
        .path("gate_map", &load_balancer.gate_map)
        .text("database_backend", &load_balancer.database_backend);
    file.section(&format!("[regions.{name}.pool]")).text("address", pool.address).text("admin", pool.admin);
    file.section(&format!("[regions.{name}.compute]")).list("instances", &compute.instances);
    for zone in &compute.zones {
        file.section(&format!("[[regions.{name}.compute.zones]]")).text("name", &zone.name);
        if let Some(subnet) = &zone.subnet {
            file.text("subnet", subnet);
        }
        file.list("instances", &zone.instances);
    }
    for keeper in keepers {
        file.section(&format!("[[regions.{name}.keepers]]"))
            .text("name", &keeper.name)
            .text("address", keeper.address);
    }
    for bucket in object_storage {
        write_bucket(file, name, bucket);
    }
    for pair in key_pairs {
        file.section(&format!("[[regions.{name}.key_pairs]]")).text("name", &pair.name);
        match &pair.public {
            PublicHalf::File(path) => file.path("public_key_file", path),
            PublicHalf::AuthorizedKeys(paths) => {
                let paths: Vec<_> = paths.iter().map(|path| path.display()).collect();
                file.list("authorized_keys", &paths)
            }
        };
    }
    if !ranges.is_empty() {
        file.section(&format!("[regions.{name}.network]")).list("ranges", ranges);
    }
    for secret in secrets {
        file.section(&format!("[[regions.{name}.secrets]]"))
            .text("name", &secret.name)
            .path("file", &secret.file);
    }
}

fn write_bucket(file: &mut File, region: &RegionName, bucket: &ObjectStorage) {
    let ObjectStorage { name, endpoint, access_key, secret_key_file, replicated_to } = bucket;
    file.section(&format!("[[regions.{region}.object_storage]]"))
        .text("name", name)
        .text("endpoint", endpoint);
    match access_key {
        AccessKey::Id(id) => file.text("access_key", id),
        AccessKey::File(path) => file.path("access_key_file", path),
    };
    file.path("secret_key_file", secret_key_file);
    if let Some(to) = replicated_to {
        file.text("replicated_to", to);
    }
}

fn write_store(file: &mut File, store: &Store) {
    let (endpoints, user, tls) = match store {
        Store::Sqlite { path } => {
            file.section("[store]").text("kind", "sqlite").path("path", path);
            return;
        }
        Store::Etcd { endpoints, user, tls } => (endpoints, user, tls),
    };
    file.section("[store]").text("kind", "etcd").list("endpoints", endpoints);
    if let Some(user) = user {
        file.text("user", &user.name).path("password_file", &user.password_file);
    }
    if let Some(tls) = tls {
        file.path("ca_file", &tls.ca_file);
        if let Some(client) = &tls.client {
            file.path("cert_file", &client.cert_file).path("key_file", &client.key_file);
        }
    }
}

fn write_automatic(file: &mut File, automatic: &Automatic) {
    let Automatic { mode, ttl, cool_down, impaired_after, impaired, max_data_loss } = automatic;
    file.section("[automatic]")
        .text("mode", mode.as_str())
        .text("ttl", show(*ttl))
        .text("cool_down", show(*cool_down))
        .text("impaired_after", show(*impaired_after))
        .text("impaired", impaired.as_str())
        .text("max_data_loss", show_max_data_loss(*max_data_loss));
}

struct File {
    text: String,
}

impl File {
    fn section(&mut self, heading: &str) -> &mut Self {
        self.line(format!("\n{heading}"))
    }

    fn text(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.line(format!("{key} = {}", quoted(&value.to_string())))
    }

    /// Paths came from a text, so they are Unicode.
    fn path(&mut self, key: &str, value: &Path) -> &mut Self {
        self.text(key, value.display())
    }

    fn list(&mut self, key: &str, values: &[impl Display]) -> &mut Self {
        let values: Vec<_> = values.iter().map(|value| quoted(&value.to_string())).collect();
        self.line(format!("{key} = [{}]", values.join(", ")))
    }

    fn line(&mut self, line: String) -> &mut Self {
        self.text.push_str(&line);
        self.text.push('\n');
        self
    }
}
