//! Writers: answers of checks as text, JSON, SARIF and JUnit; the inventory as text and JSON; the document as Markdown and HTML.
//!
//! Invariant: everything that comes from outside (names, words of a document, an error's text) is escaped for
//! where it lands. Equal facts give equal text. What is left out: writing to files, and colours.

mod assets;
mod document;
mod escape;
mod html;
mod json;
mod junit;
mod kept;
mod markdown;
mod matches;
mod picture;
mod pre_steps;
mod sarif;
mod text;
mod words;

pub use assets::{assets_json, assets_text};
pub use document::{Failback, LookedBack, Move, Rehearsal, Sheet, Timing};
pub use html::document_html;
pub use json::checks_json;
pub use junit::checks_junit;
pub use kept::{Kept, Told};
pub use markdown::document_markdown;
pub use matches::{Difference, document_matches};
pub use picture::picture_svg;
pub use sarif::checks_sarif;
pub use text::{Held, checks_text};
