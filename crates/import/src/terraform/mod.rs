//! Terraform: `terraform show -json` of a state or a plan, and `.tf` files.
//!
//! Both readers give one model, [`Declared`]. Invariant: what the input hides (a module, a variable without a
//! default, a computation, a value that is known only after apply) is [`Known::Unknown`] with the reason, never a
//! guess; sensitive values are neither kept nor printed. Left out: expressions beyond literals and simple
//! references, `.tf.json`, modules' own code, and any provider but those in [`facts`].

pub mod facts;
pub mod hcl;
pub mod json;
mod mapping;
mod model;
mod region;
mod resolve;
mod roots;
mod source;
mod tally;
mod value;

pub use facts::{Facts, Record, Rule};
pub use model::{Backend, Declared, GLOBAL, Known, ModuleCall, Noted, Place, Resource, SecretDigest};
pub(crate) use region::zone_region;
pub use roots::{Input, read};
