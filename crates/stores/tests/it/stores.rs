//! The stores that the suite is run against.

use std::sync::Arc;

use async_trait::async_trait;
use bascule_stores::{MemoryStore, SqliteStore};
use tempfile::TempDir;

use crate::conformance::{Backend, Handle, conformance};
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
