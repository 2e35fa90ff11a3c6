//! Strict JSON (RFC 8259): what passes here means the same to every parser, so that what is judged is
//! what the tool will see. It reads; it builds nothing.

mod number;
mod scan;
mod text;
mod value;

pub(super) use scan::{Fault, scan};
pub(super) use value::PRIVATE;
pub use value::value;
