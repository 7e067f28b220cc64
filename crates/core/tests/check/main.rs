//! Checks: each fails on what it is about and on nothing else, and what was not seen is never green.

mod broken;
mod laws;
mod pages;
mod scale;
mod site;
