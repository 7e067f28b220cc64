//! The lab: a real two-region deployment on one machine, of real parts started as real processes, that can be broken on
//! purpose.
//!
//! A lab is one supervisor in namespaces of its own (network, mount, process; and user, without root). Its network
//! namespace is the router between the places; its process namespace makes sure that nothing outlives it.
//! The databases' data is on bounded disks in memory, which can be made full on purpose (a kernel without quotas, and a
//! user without rights, allow no other way). A flush to them costs nothing: durations measured here hold for the moves
//! themselves, not for disks. Everything else that is kept, etcd's votes above all, is on the machine's own disk.

pub mod assets;
pub mod client;
pub mod config;
pub mod control;
pub mod delay;
pub mod enter;
pub mod fault;
pub mod manifest;
pub mod net;
pub mod part;
pub mod plan;
pub mod probe;
pub mod status;
pub mod supervise;
pub use layout::INSIDE_LAB;

mod boot;
mod effect;
mod layout;
mod proc;
mod secrets;
mod world;

pub use enter::enter_command;
pub use plan::{LabPlan, Secret};
