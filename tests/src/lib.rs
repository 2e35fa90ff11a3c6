//! What needs more than one room: the lab, the hijacked agent, and the demo that puts ATF between
//! them. Nothing here is part of the product.

pub mod agentdojo;
pub mod attempts;
pub mod bench;
pub mod compatibility;
pub mod conformance;
pub mod corpus;
pub mod demo;
pub mod hijacked;
pub mod lab;
pub mod postgres;
mod random;
mod served;
pub mod sys;
pub mod systemd;
