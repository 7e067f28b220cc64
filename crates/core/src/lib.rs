//! The pure heart of bascule.
//!
//! Nothing here reads a clock, draws a random number, opens a file or a socket, or looks at the
//! environment: time and observations are arguments, decisions are values. Whatever performs an effect
//! lives behind a trait in [`ports`].

pub mod action;
pub mod asset;
pub mod check;
pub mod decision;
pub mod document;
pub mod explain;
pub mod facts;
pub mod id;
pub mod inventory;
pub mod manifest;
pub mod observation;
pub mod operation;
pub mod permit;
pub mod plan;
pub mod planner;
pub mod ports;
pub mod position;
pub mod render;
pub mod tenure;
pub mod time;
pub mod vantage;
