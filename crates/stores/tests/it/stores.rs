//! The stores that the suite is run against.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bascule_stores::{EtcdConfig, EtcdStore, MemoryStore, SqliteStore};
use tempfile::TempDir;

use crate::conformance::{Backend, Handle, conformance, laws};
use crate::etcd::Cluster;
use crate::site;

struct Memory(MemoryStore);

#[async_trait]
impl Backend for Memory {
    async fn empty() -> Self {
        Self(MemoryStore::new(site::name()))
    }
    async fn open(&self) -> Handle {
        Arc::new(self.0.clone())
    }
}

struct Sqlite(TempDir);

#[async_trait]
impl Backend for Sqlite {
    async fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    async fn open(&self) -> Handle {
        // A connection and a thread of its own, as in another process.
        Arc::new(SqliteStore::open(&self.0.path().join("store"), &site::name()).unwrap())
    }
}

conformance!(memory, super::Memory);
conformance!(sqlite, super::Sqlite);

/// A folder of its own in one cluster.
struct Etcd(EtcdConfig);

/// The cluster of this process, for as long as its one test runs.
static ENDPOINTS: OnceLock<Vec<String>> = OnceLock::new();
static FOLDERS: AtomicU64 = AtomicU64::new(0);

#[async_trait]
impl Backend for Etcd {
    async fn empty() -> Self {
        let mut config = EtcdConfig::new(ENDPOINTS.get().unwrap().clone());
        config.prefix = format!("/law-{}/", FOLDERS.fetch_add(1, Ordering::Relaxed));
        // The laws are not about time, and the machine may be busy.
        config.deadline = Duration::from_secs(10);
        Self(config)
    }
    async fn open(&self) -> Handle {
        // Connections of its own, as in another process.
        Arc::new(EtcdStore::connect(self.0.clone(), &site::name()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn etcd_obeys_every_law() {
    let cluster = Cluster::start().await;
    ENDPOINTS.set(cluster.endpoints()).unwrap();
    laws!(run_all Etcd:);
}
