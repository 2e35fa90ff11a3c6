//! Every message between ATF's processes. Unknown fields and variants are refused, so that two
//! versions that do not know each other's words stop instead of guessing.

mod authority;
mod executor;
mod recorder;

pub use authority::*;
pub use executor::*;
pub use recorder::*;
