//! Writers: what they write is well formed whatever names are in it, and says what was seen.

mod document;
mod kept;
mod reports;
mod sheet;
#[path = "../check/site.rs"]
#[allow(dead_code, reason = "the baseline is shared; these tests break fewer of its parts")]
mod site;
mod xml;
