//! The one binary, `bascule`.
fn main() {}
