//! Where tenures and journals are kept: in memory for tests, in SQLite for one controller.
//!
//! Both obey one conformance suite (`tests/it/conformance.rs`). The rules live in `rules`, so that two stores can't
//! read them differently.

mod memory;
mod rules;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteStore};
