//! What the gate promises of any input, each promise once: the random tests hold inputs of chance against it, the
//! fuzz targets those that coverage leads to. No build that is shipped has it.

pub mod arguments;
pub mod messages;
pub(super) mod peers;
pub mod policy;
pub mod statements;
