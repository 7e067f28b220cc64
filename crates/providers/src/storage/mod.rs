//! Buckets, by the S3 protocol: what each is set to, whether strangers get in, and whether its objects arrive in the
//! other region.
//!
//! Invariant: nothing is written, and no object's content is read but what Barman says of a backup. That a bucket is replicated is not taken from its
//! configuration but seen: its newest settled object is in the other bucket. What is left out: which of two buckets an
//! object was written to first, so of two that copy into each other both count as copied as long as one is.

mod backup;
mod client;
mod map;
mod openness;

pub use client::{Storage, buckets};
