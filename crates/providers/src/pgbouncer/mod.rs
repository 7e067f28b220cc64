//! The pool: PgBouncer's console (`PAUSE`, `RESUME`, `SHOW`; PgBouncer 1.18 usage, "Admin console").

mod client;
mod look;
mod map;

pub use client::{PgbouncerPool, PoolConfig};
