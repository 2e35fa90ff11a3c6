//! The lab: network namespaces of our own, in which canaries play the internet and the local
//! services. Everything that an attempt can reach is here, and no real address is ever touched.

pub mod cell;
pub mod cgroup;
pub mod link;
mod namespace;
mod netlink;
mod odd;
mod oracle;
mod shared;
pub mod terminal;
mod world;

pub mod address;

pub use cgroup::Cgroup;
pub use namespace::Namespace;
pub use oracle::{Canary, Oracle};

pub use world::World;
