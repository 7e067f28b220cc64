//! Operations in the fake world: what holds whatever dies, and whenever.

mod controllers;
mod crashes;
mod faults;
mod losses;
mod pauses;
mod stage;
