//! The conformance suite against each store, and what only a file can get wrong.

mod conformance;

mod site;
mod stores;
