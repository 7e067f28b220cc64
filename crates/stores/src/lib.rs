//! Where tenures and journals are kept: in memory for tests, in SQLite for one controller, in etcd for keepers.
//!
//! All obey one conformance suite (`tests/it/conformance.rs`). The rules live in `rules`, so that two stores can't
//! read them differently.

#[cfg(feature = "etcd")]
mod etcd;
mod memory;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "etcd")]
pub use etcd::{EtcdClient, EtcdConfig, EtcdConfigError, EtcdLogin, EtcdStore, EtcdTls};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, SqliteStore};
