//! Readers of what a team has: a disaster-recovery document in Markdown, and Terraform's state, plan or code.
//!
//! Invariant: nothing is dropped in silence. Every row, step and resource becomes part of what is returned, or a
//! [`Finding`] with the line it stands on. What the input hides is unknown, not guessed. The input is hostile: a
//! reader has limits, returns findings or an error, and never panics. Nothing here opens a file.

mod finding;
pub mod markdown;
mod papers;
pub mod site;
pub mod terraform;

pub use finding::{Code, Finding, Severity};
pub use papers::{Papers, facts};

/// The largest input that is read, in bytes: a state of 10,000 resources has about 20 kB for each ten.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
