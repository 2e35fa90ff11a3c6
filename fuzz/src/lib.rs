//! What the fuzz targets have in common. What they promise stands in the crates that they are of, and is
//! shared with the random tests there. Nothing of it is in a build that does not fuzz.

#![cfg(fuzzing)]

mod arguments;
mod begin;
mod counted;
mod message;
mod policy;
mod statement;
mod verdict;

pub use arguments::arguments;
pub use begin::{as_bytes, begin};
pub use counted::counted;
pub use message::message;
pub use policy::Question;
pub use statement::{spelled, statement};
pub use verdict::Case;
