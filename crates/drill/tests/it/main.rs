//! The drill against real servers and against what was planted for it: one binary, to link once.

mod knot;
mod load;
mod oracle;
mod postgres;
mod probes;
mod recorder;
mod resolver;
mod site;
